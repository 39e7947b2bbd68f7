"""The table of contents and the map of the paper point at what exists."""

import importlib
import re

import nbformat
import pytest

from nodelib.workbook import book
from nodelib.workbook.book import CHAPTERS, MAP, NOTEBOOKS, Chapter, Entry

READY = [chapter for chapter in CHAPTERS if chapter.ready]
THERE = [entry for entry in MAP if CHAPTERS[entry.chapter].ready]
each_ready_chapter = pytest.mark.parametrize("chapter", READY, ids=lambda chapter: chapter.file)
each_ready_entry = pytest.mark.parametrize("entry", THERE, ids=lambda entry: entry.item)


def cells(chapter: Chapter, kind: str) -> list[str]:
    notebook = nbformat.read(NOTEBOOKS / chapter.file, as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == kind]


def headings(chapter: Chapter) -> list[str]:
    return re.findall(r"^#+ (.+)$", "\n".join(cells(chapter, "markdown")), re.MULTILINE)


def test_the_files_are_in_order_and_each_notebook_is_in_the_list():
    assert [chapter.file[:2] for chapter in CHAPTERS] == [f"{number:02}" for number in range(len(CHAPTERS))]
    assert {path.name for path in NOTEBOOKS.glob("*.ipynb")} == {chapter.file for chapter in READY}


@each_ready_chapter
def test_a_chapter_begins_with_its_number(chapter: Chapter):
    assert headings(chapter)[0].startswith(f"{int(chapter.file[:2])} ")


def test_every_number_of_the_paper_is_in_the_map():
    items = [entry.item for entry in MAP]
    assert len(items) == len(set(items))
    expected = [f"Eq. {n}" for n in range(1, 11)] + ["Eq. 11–13", "Algorithm 1", "Algorithm 2", "Theorem 1"]
    expected += ["Table 1", "Table 2", *(f"Figure {n}" for n in range(1, 10)), "Section 3, software", "Section 6"]
    expected += [f"Appendix {letter}" for letter in "ABDE"]  # C is Algorithm 2
    assert items == expected


@each_ready_entry
def test_the_map_points_at_sections_and_names_that_exist(entry: Entry):
    sections = [heading.split()[0] for heading in headings(CHAPTERS[entry.chapter])]
    assert entry.sections
    assert set(entry.sections) <= set(sections)
    for name in entry.names:
        module, _, attribute = f"nodelib.{name}".rpartition(".")
        assert callable(getattr(importlib.import_module(module), attribute))


def test_a_chapter_that_is_not_there_has_no_link():
    for number, row in enumerate(book.chapters().rows):
        assert (f"({CHAPTERS[number].file})" in row[1]) == CHAPTERS[number].ready == (row[4] != "not yet")
    for entry, row in zip(MAP, book.paper_map().rows, strict=True):
        assert ("](" in row[2]) == CHAPTERS[entry.chapter].ready
