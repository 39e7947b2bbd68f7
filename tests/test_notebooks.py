"""What every chapter promises, however many there are, and needs no kernel: it was run, its exercises are open.

nbval compares the stored outputs with a fresh run; it skips a cell that was never run and knows nothing of exercises.
That the solutions solve them, and that any cell can be run again, `tests/again.py` tries in nbval's kernels.
An exercise is a code cell tagged ``exercise`` (the stub), then a code cell tagged ``check``, then a markdown cell whose
``<details>`` holds the solution in one ``python`` block, the only place where the solution is written down.
"""

import builtins
import importlib
import os
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from tests.again import PICTURES, printed_lines
from tests.names import Cell, two_meanings, unused_imports
from tests.pattern import MENDED
from tests.solutions import HEADING, SOLUTION, code_cells, tagged, with_solutions

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CHAPTERS = sorted(NOTEBOOKS.glob("*.ipynb"))

# A path of some machine: from a root, a drive, a share, a home, or as an address. "/ 2", "a/b" and "</td>" are none.
PATH = re.compile(
    r"""file:/ | (?<![\w/])~[\w.-]*[/\\] | \b[A-Za-z]:[\\/](?!/) | \\\\[\w.-]+\\
    | (?<![\w<:/.~…)\]])/(?: [\w.@+-]+/ | (?:bin|dev|etc|home|mnt|opt|proc|root|srv|tmp|Users|usr|var|work)\b)""",
    re.VERBOSE,
)

ALLOWED: dict[str, set[str]] = {}  # chapter -> global names that may mean two things there, and why
FOR_THE_READER = {"hint"}  # imported for cells that the reader adds

ASKED, CHECKED = re.compile(r'\bpredict\(\s*"([^"]+)"'), re.compile(r'\bcheck\(\s*"([^"]+)"')

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
each_mended = pytest.mark.parametrize("path", [p for p in CHAPTERS if p.stem in MENDED], ids=lambda path: path.stem)


@cache
def chapter(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def test_kernels_of_the_tests_see_nothing_of_the_readers_ipython(monkeypatch, request):
    (conftest,) = (p for p in request.config.pluginmanager.get_plugins() if hasattr(p, "READERS"))
    names = ("IPYTHONDIR", *conftest.READERS)
    for name in names:
        monkeypatch.setenv(name, "the reader's")
    cleanups: list = []
    conftest.pytest_configure(SimpleNamespace(option=SimpleNamespace(), add_cleanup=cleanups.append))
    assert "the reader's" not in map(os.environ.get, names)
    for cleanup in cleanups:
        cleanup()


@each_chapter
def test_every_code_cell_was_run_in_order_and_without_error(path):
    cells = code_cells(chapter(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


@each_chapter
def test_no_output_holds_a_path_of_a_machine(path):
    words = [text for cell in code_cells(chapter(path)) for output in cell.outputs for text in texts(output)]
    assert [found for text in words for found in paths_in(text)] == []


@pytest.mark.parametrize("text", [
    "MNIST: /srv/data/mnist", "File '/usr/lib/python3.11/ast.py', line 1", "in /tmp", "<td>/home/ann/x</td>",
    "=/a/b.py", "~/.cache/nodelib", "~ann/data/", r"~\AppData", r"C:\Users\ann", "D:/data", r"\\server\share",
    "file:///a", "file:/a", str(Path.home() / "x"), str(NOTEBOOKS),
])  # fmt: skip
def test_a_path_is_seen(text):
    assert paths_in(text)


@pytest.mark.parametrize("text", [
    "NFE-B / NFE-F", "1/2", "h/2 and dL/dθ", "a/b/c", "<tr></td></tr>", "https://arxiv.org/abs/1806.07366", "∂f/∂z",
    "tol ~ 1e-3", "numpy_ode/solve.py", "[1.1](01_resnet_as_euler.ipynb)", "dz/dt = f(z)/(1+t)/2",
    "image/png", "3:4", "a: b",
])  # fmt: skip
def test_what_is_no_path_is_not_taken_for_one(text):
    assert not paths_in(text)


def paths_in(text: str) -> list[str]:
    """Each path, with a few letters around it."""
    return [text[max(0, match.start() - 20) : match.end() + 30] for match in PATH.finditer(text)]


def texts(part: object, key: str = "") -> list[str]:
    """All strings in a part of an output, its metadata and the names in it included; pictures' bytes are none."""
    if isinstance(part, dict):
        return [*part, *(text for name, value in part.items() for text in texts(value, name))]
    if isinstance(part, list | tuple):
        return [text for value in part for text in texts(value, key)]
    return [part] if isinstance(part, str) and key not in PICTURES else []


@each_chapter
def test_no_code_cell_is_longer_than_a_screen(path):
    assert not [cell.source for cell in code_cells(chapter(path)) if len(cell.source.splitlines()) > 25]


@each_chapter
def test_each_exercise_has_its_stub_its_check_and_its_solution(path):
    parts = []
    for cell in chapter(path).cells:
        parts += [tag for tag in ("exercise", "check") if tag in cell.metadata.get("tags", [])]
        assert len(SOLUTION.findall(cell.source)) == cell.source.count(HEADING), cell.source
        parts += ["solution"] * cell.source.count(HEADING)
    assert parts == ["exercise", "check", "solution"] * parts.count("exercise")


@each_chapter
def test_the_stored_exercises_are_unsolved(path):
    for check in tagged(chapter(path), "check"):
        assert [line for line in printed_lines(check) if not line.startswith("✗ ")] == []


@each_chapter
def test_a_solution_reads_only_what_is_there_before_it(path):
    """`tests/again.py` tries it in a kernel in which all cells were run, those below it too."""
    there = set(dir(builtins))
    for cell in code_cells(with_solutions(chapter(path))):
        names = Cell(cell.source)
        assert names.read | names.later <= there | names.names, cell.source
        there |= names.names


@each_mended
def test_each_prediction_is_asked_once_and_answered_before_the_next(path):
    """In the order of the chapter's questions; its answer is a cell tagged ``answer``; the tally comes at the end."""
    asked: list[str] = []
    answered = True
    for cell in chapter(path).cells:
        if cell.cell_type == "code":
            for key in ASKED.findall(cell.source):
                assert answered, f"{asked[-1]!r} has no answer before {key!r} is asked"
                asked, answered = [*asked, key], False
            assert "tally()" not in cell.source or answered
        answered = answered or "answer" in cell.metadata.get("tags", [])
        assert "**Predict.**" not in cell.source  # a question that nobody commits to
    assert answered
    assert asked == list(room(path, "questions").QUESTIONS.questions)
    assert sum("tally()" in cell.source for cell in code_cells(chapter(path))) == 1


@each_mended
def test_the_checks_are_those_of_the_chapters_exercises(path):
    exercises = room(path, "exercises").EXERCISES
    checked = [name for cell in tagged(chapter(path), "check") for name in CHECKED.findall(cell.source)]
    assert {exercises[name].name for name in checked} == set(exercises.exercises)
    folder = Path(__file__).parent / "chapters" / f"chapter{int(path.stem[:2])}"
    assert "every_exercise_is_graded(" in (folder / "test_exercises.py").read_text(encoding="utf-8")


def room(path: Path, name: str) -> Any:
    """A module of the chapter's room."""
    return importlib.import_module(f"nodelib.chapters.chapter{int(path.stem[:2])}.{name}")


@each_mended
def test_no_global_name_means_two_things(path):
    assert two_meanings([cell.source for cell in code_cells(chapter(path))], ALLOWED.get(path.stem, ())) == {}


@each_mended
def test_a_check_keeps_its_variables_to_itself(path):
    for check in map(Cell, (cell.source for cell in tagged(chapter(path), "check"))):
        assert check.names - check.imported <= {"_"}


@each_mended
def test_a_chapter_imports_what_it_uses(path):
    assert unused_imports([cell.source for cell in code_cells(chapter(path))]) <= FOR_THE_READER
