"""All cells of a notebook once more, in another order, in the kernel that ran them: no error, and no other picture.

Running a chapter costs most of a minute. So nbval's own kernel, which has just run it, serves for this as well: the
root ``conftest.py`` puts an item `Again` behind the cells of each chapter. ``test_notebooks.py`` does the same with the
solutions in place of the stubs.
"""

import random
from typing import Any

import pytest
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, NbCellError

from tests.pattern import MENDED

IGNORED = "nbval-ignore-output"  # the tag of a cell whose output differs from run to run
PICTURES = ("image/png", "image/jpeg")


class Again(pytest.Item):
    """Runs all ``cells`` of a notebook, which are nbval's items, once more; fails where that gives something else."""

    def __init__(self, cells: list[IPyNbCell], **more: Any) -> None:
        super().__init__(**more)
        self.cells = cells
        self.add_marker(pytest.mark.timeout(900))

    def runtest(self) -> None:
        if any(cell.test_outputs is None for cell in self.cells):
            pytest.skip("not all cells of this notebook were run before")
        first = [as_run(cell) for cell in self.cells]
        for i in another_order(len(self.cells)):
            cell = self.cells[i]
            cell.options["check"] = False  # against what is stored: that was its first run's
            try:
                cell.runtest()
            except NbCellError as error:
                cell.test_outputs = [NotebookNode(output_type="error", ename=f"{error}\n{error.inner_traceback}")]
        if found := differences(first, [as_run(cell) for cell in self.cells]):
            pytest.fail("\n\n".join(found), pytrace=False)

    def reportinfo(self) -> tuple[Any, None, str]:
        return self.path, None, self.name


def with_again(items: list[pytest.Item]) -> list[pytest.Item]:
    """The items, with an `Again` behind the last cell of each chapter that is one of the ``MENDED``."""
    cells: dict[Any, list[IPyNbCell]] = {}
    for item in items:
        if isinstance(item, IPyNbCell) and item.path.stem in MENDED:
            cells.setdefault(item.parent, []).append(item)
    last = {of[-1]: file for file, of in cells.items()}
    longer: list[pytest.Item] = []
    for item in items:
        longer.append(item)
        if file := last.get(item):  # type: ignore[arg-type]
            longer.append(Again.from_parent(file, name="any cell can be run again", cells=cells[file]))
    return longer


def another_order(cells: int) -> list[int]:
    """The numbers of the cells in a random order that is the same each time."""
    order = [*range(cells)]
    random.Random("any order").shuffle(order)
    return order


def as_run(cell: IPyNbCell) -> NotebookNode:
    """The cell with the outputs of its latest run."""
    return NotebookNode(source=cell.cell.source, metadata=cell.cell.metadata, outputs=cell.test_outputs)


def differences(first: list[NotebookNode], again: list[NotebookNode]) -> list[str]:
    """Where running cells again gave an error, another picture, or another line of a check; which, and the cell."""
    found = []
    for before, after in zip(first, again, strict=True):
        tags = before.metadata.get("tags", [])
        errors = [output.ename for output in after.outputs if output.output_type == "error"]
        if errors:
            found.append(f"{errors[0]}\n{before.source}")
        elif IGNORED not in tags and pictures(before) != pictures(after):
            found.append(f"another picture:\n{before.source}")
        elif "check" in tags and printed_lines(before) != printed_lines(after):
            found.append(f"another verdict:\n{before.source}")
    return found


def pictures(cell: NotebookNode) -> list[str]:
    """The pictures that a cell shows, as they are stored."""
    data = [output.get("data", {}) for output in cell.outputs]
    return [found[kind] for found in data for kind in PICTURES if kind in found]


def printed_lines(check: NotebookNode) -> list[str]:
    """Every line that a check cell printed: one a comparison, and nothing else."""
    lines: list[str] = [*"".join(output.get("text", "") for output in check.outputs).splitlines()]
    assert lines, f"this check printed nothing:\n{check.source}"
    return lines
