"""Where the solutions of a chapter stand, and the chapter with them in place of its stubs."""

import re
from copy import deepcopy

from nbformat import NotebookNode

HEADING = "<summary>Solution</summary>"
PROSE = r"(?:(?!```|<summary>).)*?"
SOLUTION = re.compile(f"{HEADING}{PROSE}^```python\n(.*?)^```$\n{PROSE}^</details>", re.DOTALL | re.MULTILINE)


def tags(cell: NotebookNode) -> list[str]:
    """The cell's tags."""
    return cell.metadata.get("tags", [])


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    """The cells with this tag, in order."""
    return [cell for cell in notebook.cells if tag in tags(cell)]


def with_solutions(notebook: NotebookNode) -> NotebookNode:
    """A copy whose stubs are replaced by the solution that follows them."""
    solved, stub = deepcopy(notebook), None
    for cell in solved.cells:
        if "exercise" in tags(cell):
            stub = cell
        elif stub is not None and cell.cell_type == "markdown" and (solution := SOLUTION.search(cell.source)):
            stub.source, stub = solution[1], None
    return solved
