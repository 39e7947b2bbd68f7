"""A chapter's minutes are those of what is in it, and no core path is longer than a session."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from nodelib.workbook.book import CHAPTERS, NOTEBOOKS, Chapter
from nodelib.workbook.minutes import MINUTES, WIDGET_VIEW, Minutes, contents, minutes, rounded
from tests.pattern import MENDED

LONGEST = 90  # minutes of a core path
each_mended = pytest.mark.parametrize("chapter", [c for c in CHAPTERS if c.file.removesuffix(".ipynb") in MENDED])
TIME = re.compile(r"\*\*Time:\*\* about (\d+) minutes(?:, and (\d+) more for the boxes)?")


def shown(*kinds: str):
    return new_output("display_data", data=dict.fromkeys(kinds, "x"))


def one_of_each(*tags: str) -> list:
    """Twelve words, two lines, and of everything else one."""
    return [
        new_markdown_cell("one two three four five six <details>seven\neight</details> nine", metadata={"tags": tags}),
        new_markdown_cell("ten <details>eleven</details> twelve", metadata={"tags": tags}),
        new_code_cell("import numpy\n\n# why\nx = 1  # y", metadata={"tags": tags}, outputs=[shown("image/png")]),
        new_code_cell("", metadata={"tags": tags}, outputs=[shown(WIDGET_VIEW, "image/png"), shown("text/plain")]),
        new_code_cell("", metadata={"tags": tags}, outputs=[shown(WIDGET_VIEW, "text/html")]),
        new_code_cell("def f():\n    ...", metadata={"tags": [*tags, "exercise"]}),
        new_code_cell("check(f)", metadata={"tags": [*tags, "check"]}),
    ]


def written(path: Path, cells: list) -> Path:
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_what_is_in_a_chapter_is_counted_and_what_is_in_boxes_apart(tmp_path):
    core, boxes = contents(written(tmp_path / "a.ipynb", [*one_of_each(), *one_of_each("box"), *one_of_each("box")]))
    one = {"words": 9, "lines": 2, "figures": 1, "explorers": 1, "predictions": 1, "exercises": 1}
    assert dict(core) == one
    assert dict(boxes) == {kind: 2 * n for kind, n in one.items()}


@pytest.mark.parametrize(("kind", "many", "expected"), [
    ("words", 1000, 5), ("words", 1001, 10), ("lines", 75, 5), ("predictions", 10, 5), ("figures", 11, 10),
    ("explorers", 5, 10), ("exercises", 8, 40),
])  # fmt: skip
def test_minutes_are_rounded_up_to_five(kind, many, expected):
    assert set(MINUTES) >= {kind}
    assert rounded({kind: many}) == expected  # type: ignore[arg-type]


def test_minutes_of_boxes_are_written_apart(tmp_path):
    assert minutes(written(tmp_path / "a.ipynb", one_of_each())) == (10, 0)
    assert minutes(written(tmp_path / "b.ipynb", one_of_each() + one_of_each("box"))) == (10, 10)
    assert [str(Minutes(90, 0)), str(Minutes(85, 20))] == ["90", "85 + 20"]


@each_mended
def test_the_core_path_is_a_session_at_most(chapter: Chapter):
    assert chapter.minutes.core <= LONGEST, contents(NOTEBOOKS / chapter.file)


@each_mended
def test_what_a_chapter_says_of_its_time_is_what_is_computed(chapter: Chapter):
    """It says "**Time:** about 85 minutes", and where it has boxes ", and 20 more for the boxes"."""
    head = nbformat.read(NOTEBOOKS / chapter.file, as_version=4).cells[0].source
    core, boxes = chapter.minutes
    (said,) = TIME.findall(head)
    assert said == (str(core), str(boxes) if boxes else "")
