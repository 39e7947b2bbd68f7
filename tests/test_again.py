"""What `tests/again.py` adds to nbval finds what is amiss in a notebook, and nothing in one that is right."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from nbformat import write
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.again import IGNORED
from tests.pattern import MENDED

ROOT = Path(__file__).parents[1]
SOLUTION = "<details>\n<summary>Solution</summary>\n\n```python\n{}\n```\n\n</details>"
FIRST = "from IPython.display import display\nif 'n' not in globals():\n    n, k = 1, 1"


def cell(source: str, *tags: str):
    return new_code_cell(source, metadata={"tags": [*tags]})


def exercise(solution: str, then: str) -> list:
    """One to double a number, its check, its solution, and a cell that runs on what is written."""
    check = cell("print('✓ it' if double(2) == 4 else '✗ it')", "check")
    stub = cell("def double(x):\n    return ...", "exercise")
    return [stub, check, new_markdown_cell(SOLUTION.format(solution)), cell(then)]


WRONG = [
    cell(FIRST),
    cell("display({'image/png': str(n)}, raw=True)\nn = n + 1"),
    cell("assert k == 1\nk = 2"),
    cell("verdicts = globals().get('verdicts', 0) + 1\nprint('✓ so' if verdicts < 3 else '✗ so')", "check"),
    cell("display({'image/png': str(n + 1)}, raw=True)\nprint(n)", IGNORED),
    cell("m = globals().get('m', 0) + 1\nm"),
]
UNSOLVED = exercise("def double(x):\n    return 3 * x", "assert double(3) in (6, ...)")
ONCE = exercise(
    "def double(x):\n    return 2 * x",
    "if double(3) == 6:\n    m = globals().get('m', 0) + 1\n    display({'image/png': str(m)}, raw=True)",
)
RIGHT = [cell(FIRST), *exercise("def double(x):\n    return 2 * x", "display({'image/png': 'a'}, raw=True)")]


def outcome(folder: Path, **notebooks: list) -> dict[str, dict[str, str]]:
    """For each notebook, run with nbval under the root conftest: what each of its items said, "" where it passed."""
    for name, cells in notebooks.items():
        (folder / name).mkdir()
        write(new_notebook(cells=cells), folder / name / f"{MENDED[0]}.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-p", "no:xdist", "--nbval"]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), f"--junitxml={folder}/report.xml"]
    subprocess.run([*command, str(folder)], cwd=ROOT, capture_output=True, timeout=240)
    said: dict[str, dict[str, str]] = {name: {} for name in notebooks}
    for item in ElementTree.parse(folder / "report.xml").iter("testcase"):
        said[item.attrib["classname"].split(".")[0]][item.attrib["name"]] = item.findtext("failure", "")
    return said


def test_what_is_amiss_in_a_second_run_and_in_a_solution_is_found(tmp_path):
    said = outcome(tmp_path, wrong=WRONG, unsolved=UNSOLVED, once=ONCE, right=RIGHT)
    failed = {name: [item for item, why in items.items() if why] for name, items in said.items()}
    solved, again = "the solutions pass every check", "any cell can be run again"
    assert failed == {"wrong": [again], "unsolved": [solved, again], "once": [again], "right": []}
    assert said["wrong"][again].count("another picture:") == 1  # the cell that is ignored has none
    assert said["wrong"][again].count("another verdict:") == said["wrong"][again].count("another text:") == 1
    assert "AssertionError" in said["wrong"][again]
    assert said["once"][again].startswith("another picture:")
    assert said["unsolved"][solved].startswith("✗ it")
    assert "assert double(3)" in said["unsolved"][solved]
    assert [*said["right"]] == [*(f"Cell {i}" for i in range(len(RIGHT) - 1)), solved, again]
