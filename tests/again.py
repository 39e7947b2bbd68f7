"""What else a chapter promises of its cells, tried in the kernel in which nbval has just run them all.

A chapter takes most of a minute to run, and nbval runs it anyhow. So the root ``conftest.py`` puts two items behind the
cells of each chapter: `Solved` runs those that exercises touch, with the solutions, then `Again` runs all once more.
"""

import random
from collections.abc import Iterable
from typing import Any

import pytest
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, NbCellError

from tests.names import influenced
from tests.pattern import MENDED
from tests.solutions import code_cells, tags, with_solutions

IGNORED = "nbval-ignore-output"  # the tag of a cell whose output differs from run to run
PICTURES = ("image/png", "image/jpeg")


class Further(pytest.Item):
    """An item that runs ``cells``, nbval's of one notebook, in their kernel, after all of them."""

    def __init__(self, cells: list[IPyNbCell], **more: Any) -> None:
        super().__init__(**more)
        self.cells = cells
        self.add_marker(pytest.mark.timeout(900))

    def setup(self) -> None:
        if any(cell.test_outputs is None for cell in self.cells):
            pytest.skip("not all cells of this notebook were run before")

    def run(self, numbers: Iterable[int]) -> None:
        """Run these cells, comparing nothing with what is stored; of one that fails, its only output is the error."""
        for cell in (self.cells[i] for i in numbers):
            cell.options["check"] = False
            try:
                cell.runtest()
            except NbCellError as error:
                cell.test_outputs = [NotebookNode(output_type="error", ename=f"{error}\n{error.inner_traceback}")]

    def as_run(self, number: int) -> NotebookNode:
        """This cell with the outputs of its latest run."""
        item = self.cells[number]
        return NotebookNode(source=item.cell.source, metadata=item.cell.metadata, outputs=item.test_outputs)

    def fail_for(self, found: list[str]) -> None:
        if found:
            pytest.fail("\n\n".join(found), pytrace=False)

    def reportinfo(self) -> tuple[Any, None, str]:
        return self.path, None, self.name


class Solved(Further):
    """The solutions in place of the stubs: each check passes, and the cells that run on what is written there do.

    In the others nothing changes, and these are not run.
    """

    def runtest(self) -> None:
        solved = code_cells(with_solutions(self.parent.nb))  # type: ignore[union-attr]
        for item, cell in zip(self.cells, solved, strict=True):
            item.cell = cell
        stubs, checks = ({i for i, cell in enumerate(solved) if tag in tags(cell)} for tag in ("exercise", "check"))
        touched = sorted(checks | influenced([cell.source for cell in solved], stubs))
        self.run(touched)
        self.fail_for([found for i in touched for found in amiss(self.as_run(i))])


class Again(Further):
    """After that, every cell once more in a random order, the same each time: no error, no other output or verdict."""

    def runtest(self) -> None:
        order = [*range(len(self.cells))]
        before = [*map(self.as_run, order)]
        random.Random("any order").shuffle(order)
        self.run(order)
        self.fail_for(differences(self.cells, before, [*map(self.as_run, sorted(order))]))


def with_further(items: list[pytest.Item]) -> list[pytest.Item]:
    """The items, with these two behind the last cell of each chapter that is one of the ``MENDED``."""
    cells: dict[Any, list[IPyNbCell]] = {}
    for item in items:
        if isinstance(item, IPyNbCell) and item.path.stem in MENDED:
            cells.setdefault(item.parent, []).append(item)
    last = {of[-1]: file for file, of in cells.items()}
    longer: list[pytest.Item] = []
    for item in items:
        longer.append(item)
        if file := last.get(item):  # type: ignore[arg-type]
            longer.append(Solved.from_parent(file, name="the solutions pass every check", cells=cells[file]))
            longer.append(Again.from_parent(file, name="any cell can be run again", cells=cells[file]))
    return longer


def amiss(cell: NotebookNode) -> list[str]:
    """The error of a cell, or the lines of a check that do not say ✓; each with the cell."""
    found = [output.ename for output in cell.outputs if output.output_type == "error"]
    if not found and "check" in tags(cell):
        found = [line for line in printed_lines(cell) if not line.startswith("✓ ")]
    return [f"{what}\n{cell.source}" for what in found]


def differences(items: list[IPyNbCell], first: list[NotebookNode], again: list[NotebookNode]) -> list[str]:
    """Where running cells again gave an error, another picture, text, or line of a check; which, and the cell.

    Texts are compared as nbval compares them with those that are stored.
    """
    found = []
    for item, before, after in zip(items, first, again, strict=True):
        errors = [output.ename for output in after.outputs if output.output_type == "error"]
        if errors:
            found.append(f"{errors[0]}\n{before.source}")
        elif IGNORED not in tags(before) and pictures(before) != pictures(after):
            found.append(f"another picture:\n{before.source}")
        elif "check" in tags(before) and printed_lines(before) != printed_lines(after):
            found.append(f"another verdict:\n{before.source}")
        elif IGNORED not in tags(before) and not item.compare_outputs(after.outputs, before.outputs):
            found.append(f"another text:\n{before.source}")
    return found


def pictures(cell: NotebookNode) -> list[str]:
    """The pictures that a cell shows, as they are stored."""
    data = [output.get("data", {}) for output in cell.outputs]
    return [found[kind] for found in data for kind in PICTURES if kind in found]


def printed_lines(check: NotebookNode) -> list[str]:
    """Every line that a check cell printed: one a comparison, and nothing else."""
    lines: list[str] = [*"".join(output.get("text", "") for output in check.outputs).splitlines()]
    return lines or ["this check printed nothing"]
