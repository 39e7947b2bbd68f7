"""`Table`: rows of short texts, as HTML in a notebook and as plain text elsewhere; the same on every machine."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import NamedTuple

_INLINE = re.compile(r"`([^`]+)`|\[([^]]+)\]\(([^)\s]+)\)")
_CELL = "text-align:left;vertical-align:top"


class In(NamedTuple):
    """A term in another language. Chinese and Japanese share code points, so a browser picks the glyphs by ``lang``; it
    breaks the line before a bracket or at a space, not inside a word."""

    lang: str
    text: str


class Table:
    """A table with one header row.

    ``header`` has a text for each column; each row of ``rows`` has a cell for each column, a ``str`` or an ``In``. In a
    ``str``, `` `name` `` is code and ``[text](address)`` is a link. Raises ValueError when a row has another length.
    """

    def __init__(self, header: Sequence[str], rows: Sequence[Sequence[str | In]]) -> None:
        for row in rows:
            if len(row) != len(header):
                raise ValueError(f"Table: row {tuple(row)!r} has {len(row)} cells, the header {len(header)}")
        self.header, self.rows = tuple(header), [tuple(row) for row in rows]

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col" style="{_CELL}">{html.escape(text)}</th>' for text in self.header)
        body = "\n".join("<tr>" + "".join(map(_td, row)) + "</tr>" for row in self.rows)
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"

    def __repr__(self) -> str:
        return "\n".join(" | ".join(map(_plain, row)) for row in (self.header, *self.rows))


def _td(cell: str | In) -> str:
    if isinstance(cell, In):
        text = re.sub(r"(?=[（(])", "<wbr>", html.escape(cell.text))
        return f'<td lang="{cell.lang}" style="{_CELL};word-break:keep-all">{text}</td>'
    return f'<td style="{_CELL}">{inline(cell)}</td>'


def inline(text: str) -> str:
    """The text as HTML, where `` `name` `` is code and ``[text](address)`` a link; everything else stays as it is."""
    return _INLINE.sub(_markup, html.escape(text, quote=False))


def _markup(match: re.Match[str]) -> str:
    code, text, address = match.groups()
    return f"<code>{code}</code>" if code else f'<a href="{address}">{text}</a>'


def _plain(cell: str | In) -> str:
    return cell.text if isinstance(cell, In) else _INLINE.sub(lambda match: match[1] or match[2], cell)
