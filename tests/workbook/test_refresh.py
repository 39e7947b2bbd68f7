"""Notebooks run again in place: the same bytes twice in a row, and nothing stored when something went wrong."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from nodelib.workbook.refresh import NOTEBOOKS, WIDGET_VIEW, main, merged, named, refresh

SOURCES = [
    "import sys, threading\nprint('a', flush=True)\nthreading.Event().wait(0.3)  # so that the kernel sends two texts",
    "print(sys.executable)",
    "from ipywidgets import FloatSlider, VBox\nslider = FloatSlider()\nVBox([slider])",
    "slider",
    "slider",
    "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])",
]


def store(path: Path, *sources: str) -> Path:
    """A notebook in an old format with these cells, never run, and with what editors leave behind."""
    cells = [new_markdown_cell("# A title"), *map(new_code_cell, sources)]
    for cell in cells:
        cell.metadata["execution"] = {"iopub.execute_input": "2020-01-01T00:00:00"}
    notebook = new_notebook(cells=cells, metadata={"language_info": {"name": "python", "version": "3.11.7"}})
    nbformat.write(notebook, path)
    return path


def test_twice_in_a_row_changes_nothing(tmp_path):
    path = store(tmp_path / "a chapter.ipynb", SOURCES[0] + "\nprint('b')", *SOURCES[1:])
    assert refresh(path)
    first = path.read_bytes()
    assert not refresh(path)
    assert path.read_bytes() == first
    assert b"\r" not in first
    assert first.endswith(b"}\n")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]

    notebook = nbformat.reads(first, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.keys() == {"kernelspec", "language_info"}
    assert "version" not in notebook.metadata.language_info
    code = notebook.cells[1:]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, 5, 6]
    assert not any("execution" in cell.metadata for cell in notebook.cells)
    assert [output.text for output in code[0].outputs] == ["a\nb\n"]
    assert code[1].outputs[0].text.strip() == sys.executable
    ids = [int(cell.outputs[0].data[WIDGET_VIEW].model_id, 16) for cell in code[2:5]]
    assert ids == [1, 2, 2]
    assert "image/png" in code[5].outputs[0].data


def test_a_cell_keeps_its_id_wherever_it_stands(tmp_path):
    path = store(tmp_path / "a.ipynb", "1", "2", "2")
    refresh(path)
    before = [cell.id for cell in nbformat.read(path, as_version=4).cells]
    assert len(set(before)) == 4
    refresh(store(path, "0", "1", "2", "2"))
    assert [cell.id for cell in nbformat.read(path, as_version=4).cells if cell.source != "0"] == before


def test_the_readers_ipython_has_no_part_in_what_is_stored(tmp_path, monkeypatch):
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "mine.py").write_text("mine = 1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    path = store(tmp_path / "a.ipynb", "print('mine' in globals())")
    refresh(path)
    assert nbformat.read(path, as_version=4).cells[1].outputs[0].text == "False\n"


@pytest.mark.parametrize(("source", "seconds", "error"), [
    ("1 / 0", 60, CellExecutionError),
    ("while True: pass", 3, CellTimeoutError),
])  # fmt: skip
def test_an_error_leaves_the_stored_form(tmp_path, source, seconds, error):
    path = store(tmp_path / "a.ipynb", "print(1)", source)
    before = path.read_bytes()
    with pytest.raises(error, match=r"division by zero|timed out"):
        refresh(path, seconds)
    assert path.read_bytes() == before


def test_the_command_shows_an_error_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("nodelib.workbook.refresh.NOTEBOOKS", tmp_path)
    store(tmp_path / "01_wrong.ipynb", "1 / 0")
    store(tmp_path / "02_right.ipynb", "print(1)")
    assert main([]) == 1
    printed = capsys.readouterr().out
    assert "01_wrong.ipynb" in printed
    assert "left as it was:" in printed
    assert "division by zero" in printed
    assert printed.splitlines()[-1].endswith("s: changed")
    assert main(["02"]) == 0
    assert capsys.readouterr().out.strip().endswith("s: unchanged")


def test_texts_are_joined_in_the_order_in_which_they_came():
    def text(name, words):
        return new_output("stream", name=name, text=words)

    picture = new_output("display_data", data={"text/plain": "picture"})
    outputs = [text("stdout", "a"), text("stdout", "b"), picture, text("stdout", "c"), text("stderr", "d")]
    assert merged(outputs) == [text("stdout", "ab"), picture, text("stdout", "c"), text("stderr", "d")]


def test_a_chapter_is_named_by_the_beginning_of_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr("nodelib.workbook.refresh.NOTEBOOKS", tmp_path)
    paths = [store(tmp_path / name) for name in ("01_a.ipynb", "02_b.ipynb")]
    assert named([]) == paths
    assert named(["02"]) == named(["02_b"]) == named(["02_b.ipynb"]) == paths[1:]
    with pytest.raises(ValueError, match="no notebook begins with '03': there are 01_a, 02_b"):
        named(["01", "03"])


def test_the_command_line_names_what_there_is():
    done = subprocess.run(
        [sys.executable, "-m", "nodelib.workbook.refresh", "none"], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 1
    assert f"there are {', '.join(sorted(path.stem for path in NOTEBOOKS.glob('*.ipynb')))}" in done.stderr
