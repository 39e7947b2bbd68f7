"""Tables: what a browser gets, what a terminal gets."""

import re

import pytest

from nodelib.workbook.table import In, Table

ROWS = [("[adjoint](02_adjoint.ipynb)", "`a < b` & more"), (In("ja", "随伴変数（a<b）"), "")]
TABLE = Table(("word", "meaning"), ROWS)


def test_html_marks_code_links_and_languages_and_escapes_the_rest():
    page = TABLE._repr_html_()
    assert '<a href="02_adjoint.ipynb">adjoint</a>' in page
    assert "<code>a &lt; b</code> &amp; more" in page
    assert re.search('<td lang="ja" style="[^"]*">随伴変数<wbr>（a&lt;b）</td>', page)
    assert page.count("<tr>") == 3


def test_plain_text_drops_the_markup():
    assert repr(TABLE) == "word | meaning\nadjoint | a < b & more\n随伴変数（a<b） | "


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"row \('one',\) has 1 cells, the header 2"):
        Table(("a", "b"), [("one",)])
