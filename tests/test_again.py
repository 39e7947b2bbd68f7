"""What `tests/again.py` adds to nbval finds what is amiss in a notebook, and nothing in one that is right."""

import re
import subprocess
import sys
from pathlib import Path

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
    cell("display({'image/png': str(n + 1)}, raw=True)", IGNORED),
]
UNSOLVED = exercise("def double(x):\n    return 3 * x", "assert double(3) in (6, ...)")
ONCE = exercise(
    "def double(x):\n    return 2 * x",
    "if double(3) == 6:\n    m = globals().get('m', 0) + 1\n    display({'image/png': str(m)}, raw=True)",
)
RIGHT = [cell(FIRST), *exercise("def double(x):\n    return 2 * x", "display({'image/png': 'a'}, raw=True)")]


def outcome(folder: Path, **notebooks: list) -> tuple[dict[str, list[str]], str]:
    """Which items failed of each notebook, run with nbval under the root conftest; and what pytest said."""
    for name, cells in notebooks.items():
        (folder / name).mkdir()
        write(new_notebook(cells=cells), folder / name / f"{MENDED[0]}.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-p", "no:xdist", "--nbval"]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), "-rA", str(folder)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=240).stdout
    return {name: re.findall(rf"^FAILED \S*/{name}/\S*?::(.*?)(?: - |$)", said, re.M) for name in notebooks}, said


def test_what_is_amiss_in_a_second_run_and_in_a_solution_is_found(tmp_path):
    failed, said = outcome(tmp_path, wrong=WRONG, unsolved=UNSOLVED, once=ONCE, right=RIGHT)
    solved, again = "the solutions pass every check", "any cell can be run again"
    assert failed == {"wrong": [again], "unsolved": [solved, again], "once": [again], "right": []}
    assert said.count("another picture:") == 2  # one in `wrong`, where the ignored cell has none, and one in `once`
    assert "another verdict:" in said
    assert "AssertionError" in said
    assert "✗ it" in said
    assert said.count(f"/right/{MENDED[0]}.ipynb::") == len(RIGHT) - 1 + 2
