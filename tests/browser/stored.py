"""A chapter for the browser: what a widget stands on is computed, other cells show the outputs that are stored.

The browser has to show every output and to move every widget. That the other cells compute what is stored is nbval's to
find out, on the same sources; here it would cost most of the time once more.
"""

from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tests.names import needed

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MAGIC = """import sys
import nbformat
from IPython.display import display

def stored(line, source, cells=nbformat.read({path!r}, as_version=4).cells):
    for output in cells[int(line)].outputs:
        if output.output_type == "stream":
            print(output.text, end="", file=getattr(sys, output.name))
        else:
            display(output.data, metadata=output.metadata, raw=True)

get_ipython().register_magic_function(stored, "cell")"""


def shown_as_stored(path: Path) -> NotebookNode:
    """The notebook at ``path``, its first cell a new one that defines the magic ``%%stored``, with which each code cell
    begins that was run when it was stored, shows no widget, and binds nothing that one with a widget needs.

    A notebook that has none of these, one that was never run say, stays as it is.
    """
    notebook = nbformat.read(path, as_version=4)
    code = [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    widgets = [k for k, (_, cell) in enumerate(code) if any(WIDGET_VIEW in o.get("data", {}) for o in cell.outputs)]
    computed = needed([cell.source for _, cell in code], widgets)
    shown = [(i, cell) for k, (i, cell) in enumerate(code) if cell.execution_count and k not in computed]
    for i, cell in shown:
        cell.source = f"%%stored {i}\n{cell.source}"
    if shown:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(MAGIC.format(path=str(path))))
    return notebook
