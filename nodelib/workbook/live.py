"""`Live`: a figure that follows its controls, and that stands still, with its sentence, where no kernel runs.

An explorer is three plain functions and some controls: `compute` turns the controls' values into numbers, `draw` moves
artists to those numbers, `describe` says in one sentence what is to be seen. `Live` connects them.
"""

import base64
import html
import struct
import textwrap
import traceback
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from ipywidgets import HTML, Box, Layout, ValueWidget, VBox
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .style import book, caption_html

N = TypeVar("N")


class Live(Generic[N]):
    """A figure redrawn whenever one of its controls changes.

    fig       a `Figure` made under `style.book`, not by pyplot. Artists created with `animated=True` move. All others,
              the axes among them, are drawn once, and again only when `draw` has changed one of them, which takes
              several times longer.
    controls  argument name -> ipywidgets control with a description, in the order shown
    compute   `compute(**values)` -> numbers, pure
    draw      `draw(numbers)` sets the artists; or several such functions, one a panel
    describe  `describe(numbers)` -> one sentence: the text under the figure, its alternative text, its `text/plain`

    With or without a browser, `numbers`, `description` and `png` hold the last good state, and `error` is None or what
    was raised at the present values. An error leaves the last good picture and stands under it; one at the first values
    is raised.
    """

    def __init__(
        self,
        fig: Figure,
        controls: Mapping[str, ValueWidget],
        compute: Callable[..., N],
        draw: Callable[[N], None] | Sequence[Callable[[N], None]],
        describe: Callable[[N], str],
    ) -> None:
        self.fig, self.controls = fig, dict(controls)
        self._compute, self._describe = compute, describe
        self._draws = (draw,) if callable(draw) else tuple(draw)
        self._canvas = FigureCanvasAgg(fig)
        self.error: str | None = None
        self._update()
        if self.fig.stale:  # drawing settled something still, so that a control would wait for the whole figure again
            self._update()
        self._view = HTML(self._html())
        for control in self.controls.values():
            control.observe(self._on_change, "value")
        row = Box(list(self.controls.values()), layout=Layout(flex_flow="row wrap"))
        row.add_class("nodelib-controls")
        self.widget = VBox([row, self._view])
        self.widget.add_class("nodelib-live")

    def _on_change(self, _: Any) -> None:
        try:
            self._update()
            self.error, details = None, ""
        except Exception as e:  # shown to the reader: an exception in a callback is otherwise lost
            self.error, details = f"{type(e).__name__}: {e}", traceback.format_exc()
        self._view.value = self._html(details)

    def _update(self) -> None:
        numbers = self._compute(**{name: control.value for name, control in self.controls.items()})  # type: ignore[attr-defined]
        with book():
            for draw in self._draws:
                draw(numbers)
            description = self._describe(numbers)
            self._pixels = self._render()
        self.png = _encode(self._pixels)
        self.numbers, self.description = numbers, description

    def _render(self) -> np.ndarray:
        """The figure, (height, width, 3) uint8. A change of anything but an animated artist marks a figure stale."""
        if self.fig.stale:
            self._canvas.draw()
            self.fig.set_layout_engine("none")  # from now on the axes stay where they are
            self.fig.stale = False
            self._still = self._canvas.copy_from_bbox(self.fig.bbox)
            self._moving = sorted(self.fig.findobj(Artist.get_animated), key=Artist.get_zorder)
        self._canvas.restore_region(self._still)  # type: ignore[attr-defined]
        for artist in self._moving:
            self.fig.draw_artist(artist)
        return np.array(self._canvas.buffer_rgba())[..., :3]

    def _html(self, details: str = "") -> str:
        height, width = self._pixels.shape[:2]
        picture = (
            f'<img class="nodelib-picture" alt="{html.escape(self.description)}" width="{width}" height="{height}"'
            f' style="max-width:100%;height:auto" decoding="sync" src="data:image/png;base64,{_base64(self.png)}">'
        )
        text = caption_html(self.description)
        if self.error is not None:
            text = (
                '<details class="nodelib-error" role="alert" style="color:#b3151f">'
                f"<summary>{html.escape(self.error)}</summary><pre>{html.escape(details)}</pre></details>"
            )
        return f'{picture}<div style="line-height:1.4">{text}</div>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        view = self.widget._repr_mimebundle_() or {}
        still = _base64(_encode(np.vstack([self._pixels, self._caption_pixels()])))
        return {**view, "image/png": still, "text/plain": self.description}, {"image/png": {"alt": self.description}}

    def _caption_pixels(self) -> np.ndarray:
        """The sentence as pixels, since a viewer without a kernel shows the picture and nothing else."""
        columns = int(13.2 * self.fig.get_figwidth())
        lines = textwrap.wrap(self.description, columns)
        with book():
            strip = Figure((self.fig.get_figwidth(), 0.2 * len(lines) + 0.15), dpi=self.fig.dpi)
            canvas = FigureCanvasAgg(strip)
            strip.text(0.01, 0.98, "\n".join(lines), va="top", fontsize=10, linespacing=1.35)
            canvas.draw()
        return np.array(canvas.buffer_rgba())[..., :3]


def counted(count: float, one: str, many: str = "") -> str:
    """The count and what is counted, for a sentence: "1 step", "2 steps"; ``many`` where an s is not enough."""
    return f"{count:.0f} {one if round(count) == 1 else many or one + 's'}"


def _encode(pixels: np.ndarray) -> bytes:
    """The (height, width, 3) pixels as a PNG, unfiltered: a slider waits, and filters take as long as the rest."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # a leading 0: this row has no filter
    rows[:, 1:].reshape(pixels.shape)[:] = pixels  # a view, so that they are copied once
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    tail = (struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(tail)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
