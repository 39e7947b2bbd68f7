"""What every chapter promises, however many there are: it was run, its exercises are open, its solutions solve them.

nbval compares the stored outputs with a fresh run; it skips a cell that was never run and knows nothing of exercises.
An exercise is a code cell tagged ``exercise`` (the stub), then a code cell tagged ``check``, then a markdown cell whose
``<details>`` holds the solution in one ``python`` block, the only place where the solution is written down.
"""

import re
from copy import deepcopy
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CHAPTERS = sorted(NOTEBOOKS.glob("*.ipynb"))
SECONDS_A_CELL = 120
HEADING = "<summary>Solution</summary>"
PROSE = r"(?:(?!```|<summary>).)*?"
SOLUTION = re.compile(f"{HEADING}{PROSE}^```python\n(.*?)^```$\n{PROSE}^</details>", re.DOTALL | re.MULTILINE)

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


@cache
def chapter(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def printed_lines(check: NotebookNode) -> list[str]:
    """Every line that a check cell printed: one a comparison, and nothing else."""
    lines: list[str] = [*"".join(output.get("text", "") for output in check.outputs).splitlines()]
    assert lines, f"this check printed nothing:\n{check.source}"
    return lines


def with_solutions(notebook: NotebookNode) -> NotebookNode:
    """A copy whose stubs are replaced by the solution that follows them."""
    solved, stub = deepcopy(notebook), None
    for cell in solved.cells:
        if "exercise" in cell.metadata.get("tags", []):
            stub = cell
        elif stub is not None and cell.cell_type == "markdown" and (solution := SOLUTION.search(cell.source)):
            stub.source, stub = solution[1], None
    return solved


@each_chapter
def test_every_code_cell_was_run_in_order_and_without_error(path):
    cells = code_cells(chapter(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


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


@pytest.mark.timeout(600)
@each_chapter
def test_the_solutions_pass_every_check(path):
    solved = with_solutions(chapter(path))
    checks = tagged(solved, "check")
    if not checks:
        pytest.skip("this chapter has no exercises")
    where = {"metadata": {"path": NOTEBOOKS}}
    NotebookClient(solved, timeout=SECONDS_A_CELL, kernel_name="python3", resources=where).execute()
    for check in checks:
        assert [line for line in printed_lines(check) if not line.startswith("✓ ")] == []
