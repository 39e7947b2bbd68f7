"""What a reader costs: the smallest chapter measured, the tables made of the record. No time is asserted."""

import json
import sys

import nbformat
import pytest

from nodelib.experiments import records
from nodelib.workbook.refresh import NOTEBOOKS
from tests.bench.seats import NAME, SESSION, a_picture, chapter, chapters_table, classes_table

SOURCE = """
from ipywidgets import IntSlider
from matplotlib.figure import Figure
from nodelib.workbook.live import Live

fig = Figure((3, 2))
line, = fig.subplots().plot([0, 1], animated=True)
Live(fig, {"n": IntSlider(0, 0, 4, description="n")}, lambda n: n, lambda n: line.set_ydata([0, n]), lambda n: f"{n}")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_chapter_says_what_it_took(tmp_path):
    cells = [nbformat.v4.new_code_cell('x = 300_000_000 * b"x"\ndel x'), nbformat.v4.new_code_cell(SOURCE)]
    path = tmp_path / "small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    found = chapter(path)
    assert found["peak"] > 300_000_000  # also what was freed long ago
    assert found["cpu"] > 0.1
    assert 0 < found["longest"] < 60
    (drag,) = found["drags"]
    assert drag["pictures"] == 4  # five values, the first of which is there already
    assert 4 * 2_000 < drag["bytes"] < 4 * 100_000
    assert drag["cpu"] > 0


def test_a_class_is_its_seats():
    drags = [{"pictures": 2, "bytes": 80_000, "cpu": 0.1}, {"pictures": 0, "bytes": 0, "cpu": 0.0}]
    row = {"start": 2.0, "cpu": SESSION / 100, "longest": 3.0, "peak": 900_000_000, "drags": drags}
    record = {"chapters": {"01_a": row, "00_b": {**row, "drags": [], "peak": 1}}, "lab": {"memory": 100_000_000}}
    assert a_picture(row) == (40.0, 50.0)
    assert "| 30 | 32 | 0.3 | 3 | 6 | 2 MB/s |" in classes_table(record).splitlines()
    assert chapters_table(record).splitlines()[2:] == [
        "| 0 | 2 | 54 | 3 | 0 | – | – |",
        "| 1 | 2 | 54 | 3 | 900 | 40 | 50 |",
    ]


def test_no_chapter_takes_more_than_a_gibibyte():
    chapters = records.read(NAME)["chapters"]
    assert set(chapters) == {path.stem for path in NOTEBOOKS.glob("0*.ipynb")}
    assert max(row["peak"] for row in chapters.values()) < 2**30, json.dumps(chapters)


def test_the_readme_has_what_was_recorded():
    text = (records.ROOT / "README.md").read_text(encoding="utf-8")
    record = records.read(NAME)
    assert chapters_table(record) in text
    assert classes_table(record) in text
