"""What a reader costs: the smallest chapter measured, the tables made of the record. No time is asserted."""

import json
import os
import sys
from types import SimpleNamespace

import nbformat
import pytest

from nodelib.experiments import records
from nodelib.workbook.refresh import NOTEBOOKS
from tests.bench import readme, seats
from tests.bench.seats import (
    AT_ONCE,
    DRAG,
    GB,
    MB,
    NAME,
    READERS,
    SESSION,
    SPARE_GB,
    a_picture,
    chapter,
    chapters_table,
    classes_table,
    memory,
)

# The last explorer's first control has no order. The kernel's clock of drags advances by 0.25 at each look.
SOURCE = """
import itertools, time
from ipywidgets import IntRangeSlider, IntSlider, SelectionSlider
from matplotlib.figure import Figure
from nodelib.workbook.live import Live

def explorer(control, compute=lambda n: n):
    fig = Figure((3, 2))
    line, = fig.subplots().plot([0, 1], animated=True)
    return Live(fig, {"n": control}, compute, lambda n: line.set_ydata([0, n]), lambda n: f"{n}")

explorers = (
    explorer(IntSlider(0, 0, 4, description="n"), lambda n: len(600_000_000 * b"x") / 150e6 if n == 4 else n),
    explorer(SelectionSlider(options=[("a", 1), ("b", 2), ("c", 3)], description="n")),
    explorer(IntRangeSlider(value=(0, 1), min=0, max=4, description="n"), lambda n: max(n)),
)
"""
LAST = """
with open("cpu", "w") as file:
    file.write(str(time.process_time()))
time.process_time = itertools.count(0, 0.25).__next__
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_chapter_says_what_it_took(tmp_path, monkeypatch):
    clock = iter((0.0, 10.0, 12.0, 13.0, 20.0, 25.0, 30.0, 33.0))  # the first cell's start, its end and once more
    monkeypatch.setattr(seats, "time", SimpleNamespace(perf_counter=clock.__next__))
    sources = ('x = 300_000_000 * b"x"\ndel x', SOURCE, LAST)
    path = tmp_path / "small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources]), path)
    found = chapter(path)
    assert (found["start"], found["longest"]) == (13, 25 - 20)
    assert 300_000_000 < found["peak"] < 600_000_000  # also what was freed long ago, and not what the drag needs
    assert found["cpu"] > float((tmp_path / "cpu").read_text()) - 0.02  # the system's part too
    one, other = sorted(found["drags"], key=lambda drag: -drag["pictures"])
    assert (one["pictures"], other["pictures"]) == (4, 2)  # five values and three, the first of which is there already
    assert 4 * 2_000 < one["bytes"] < 4 * 100_000
    assert other["bytes"] == pytest.approx(one["bytes"] / 2, rel=0.2)
    assert (one["cpu"], other["cpu"]) == (0.25, 0.25)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_in_bytes():
    from resource import RUSAGE_SELF, getrusage

    assert memory(os.getpid(), "VmHWM") == pytest.approx(1024 * getrusage(RUSAGE_SELF).ru_maxrss, rel=0.05)
    assert 0 < memory("self", "VmRSS") <= memory("self", "VmHWM")


def test_a_class_is_its_seats():
    """The largest chapter, the one with the most CPU seconds, and the one whose pictures cost most, may be three."""
    drags = [{"pictures": 2, "bytes": 80_000, "cpu": 0.1}, {"pictures": 0, "bytes": 0, "cpu": 0.0}]
    drags += [{"pictures": 1, "bytes": 10_000, "cpu": 0.3}, {"pictures": 4, "bytes": 1_600_000, "cpu": 0.04}]
    row = {"start": 2.0, "cpu": SESSION / 100, "longest": 3.0, "peak": 300_000_000, "drags": drags}
    other = row | {"cpu": SESSION / 300, "drags": [{"pictures": 1, "bytes": 10_000, "cpu": 0.02}]}
    chapters = {"02_c": other, "01_a": row, "00_b": other | {"drags": [], "peak": 900_000_000}}
    record = {"chapters": chapters, "lab": {"memory": 100_000_000}}
    assert a_picture(row) == (40.0, 50.0)
    lines = classes_table(record).splitlines()
    assert "| 30 | 32 | 0.3 | 3 | 6 | 2 MB/s |" in lines
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {n:,}" for n in READERS]
    assert chapters_table(record).splitlines()[2:] == [
        "| 0 | 2 | 18 | 3 | 900 | – | – |",
        "| 1 | 2 | 54 | 3 | 300 | 40 | 50 |",
        "| 2 | 2 | 18 | 3 | 300 | 10 | 20 |",
    ]


def test_no_chapter_takes_more_than_a_gibibyte():
    chapters = records.read(NAME)["chapters"]
    assert set(chapters) == {path.stem for path in NOTEBOOKS.glob("0*.ipynb")}
    assert max(row["peak"] for row in chapters.values()) < 2**30, json.dumps(chapters)


def test_the_readme_has_what_was_recorded():
    record = records.read(NAME)
    assert chapters_table(record) in readme.tables()
    assert classes_table(record) in readme.tables()
    assert READERS == (30, 300, 1000)


def test_the_readme_says_what_was_recorded():
    record, text = records.read(NAME), readme.prose()
    rows, lab = list(record["chapters"].values()), record["lab"]
    assert record["mnist"]
    assert f"({readme.made(record)}, MNIST there.)" in text
    assert record["provenance"]["device"].endswith(", 2 CPU threads")
    assert "Measured with two threads a kernel" in text
    assert f"A browser fetches {lab['first'] / MB:.1f} MB the first time" in text
    assert f"and {lab['again'] / MB:.1f} MB when it comes again" in text
    assert f"server takes {lab['memory'] / MB:.0f} MB beside the kernel" in text
    assert f"a kernel with its imports took up to {max(row['start'] for row in rows):.0f} s" in text
    assert round(sum(row["cpu"] for row in rows) / 60) == 5
    assert "all chapters together take five minutes of one" in text
    assert 60 <= (64 - SPARE_GB) * GB / (max(row["peak"] for row in rows) + lab["memory"]) < 70
    assert "a node of 64 GB holds some 60 readers" in text


def test_the_readme_says_how_a_class_was_reckoned():
    text = readme.prose()
    assert f"the largest chapter's peak and a server, and {SPARE_GB} GB" in text
    assert f"over a session of {SESSION // 60} minutes" in text
    assert (AT_ONCE, DRAG) == (1 / 5, 10)
    assert 'a fifth of the class, and "dragging" ten pictures a second' in text
