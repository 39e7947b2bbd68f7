"""What the browser shows of a chapter without computing it is what is stored, and a widget has all that it needs."""

from types import SimpleNamespace

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.browser.stored import WIDGET_VIEW, shown_as_stored

PICTURE = {"text/plain": "a picture", "image/png": "iVBO"}


def ran(source: str, *outputs):
    return new_code_cell(source, execution_count=1, outputs=[*outputs])


def test_a_cell_that_no_widget_needs_shows_its_stored_outputs(tmp_path, monkeypatch, capsys):
    cells = [
        ran("n = 1"),
        new_markdown_cell("# A title"),
        ran("m = 2", new_output("display_data", PICTURE, metadata={"width": 3}), new_output("stream", text="so\n")),
        ran("explorer(n)", new_output("display_data", {WIDGET_VIEW: {"model_id": "1"}})),
        ran("explorer(n).n"),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "a.ipynb")
    magic, *found = shown_as_stored(tmp_path / "a.ipynb").cells
    assert [cell.source for cell in found] == [
        "n = 1", "# A title", "%%stored 2\nm = 2", "explorer(n)", "%%stored 4\nexplorer(n).n",
    ]  # fmt: skip
    magics, shown = {}, []
    shell = SimpleNamespace(register_magic_function=lambda function, kind: magics.update({kind: function}))
    monkeypatch.setattr("IPython.display.display", lambda data, **how: shown.append((data, how)))
    exec(magic.source, {"get_ipython": lambda: shell})
    magics["cell"]("2", "m = 2")
    assert shown == [(PICTURE, {"metadata": {"width": 3}, "raw": True})]
    assert capsys.readouterr().out == "so\n"


def test_what_was_never_run_is_computed(tmp_path):
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), tmp_path / "a.ipynb")
    assert [cell.source for cell in shown_as_stored(tmp_path / "a.ipynb").cells] == ["1 / 0"]
