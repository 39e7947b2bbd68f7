"""How every figure of the book looks: one palette, one set of line styles, one way to show it."""

import html
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
from IPython.core.getipython import get_ipython
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.rcsetup import cycler
from matplotlib.text import Annotation
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

# Petroff's six colours (arXiv:2107.02270), by value: matplotlib knows them by name only in its newest versions.
BLUE, ORANGE, RED, PURPLE, GREY, VIOLET = PETROFF6 = ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd")
# Colour alone would exclude readers who do not see it, so the cycle changes both.
LINE_STYLES = ("-", "--", "-.", ":", (0, (6, 2, 1, 2, 1, 2)), (0, (8, 2)))
INK = "#222222"


class Look(NamedTuple):
    """How one thing is drawn, wherever the book draws it: its colour, line style, and the marker of its points."""

    colour: str
    line: str | tuple
    marker: str


# One meaning for each colour, through the whole book. Names that share a look are one thing seen from two sides: a
# residual network is Euler's method.
_EULER, _RK4, _ADAPTIVE = Look(RED, ":", "o"), Look(PURPLE, "--", "^"), Look(BLUE, "-", "D")
LOOKS: dict[str, Look] = {
    "truth": Look(INK, "-", "*"),
    "euler": _EULER, "coarse": _EULER, "resnet": _EULER,
    "one block": Look(RED, "--", "s"),
    "no block": Look(RED, "-.", "x"),
    "midpoint": Look(PURPLE, "-.", "s"),
    "heun": Look(PURPLE, ":", "v"),
    "rk4": _RK4, "rknet": _RK4,
    "dopri5": _ADAPTIVE, "adaptive": _ADAPTIVE, "odenet": _ADAPTIVE,
    "adams": Look(GREY, "-.", "P"),
    "mlp": Look(GREY, "--", "h"),
    "data": Look(GREY, "", "."),
    "adjoint": Look(ORANGE, "-", "o"),
    "backprop": Look(VIOLET, "-", "s"),
    "checkpoint": Look(VIOLET, "--", "x"),
}  # fmt: skip

STYLE: dict = {
    "figure.figsize": (7.0, 3.6),
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 10.5,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.prop_cycle": cycler(color=PETROFF6) + cycler(linestyle=LINE_STYLES),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": "#777777",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "grid.color": "#cccccc",
    "grid.alpha": 0.5,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
    "image.cmap": "cividis",
    "mathtext.fontset": "dejavusans",
}


def use() -> None:
    """Give every figure made from here on the book's style. A chapter calls it once, in its first cell.

    What the reader's matplotlibrc says is put aside: with LaTeX, another font or a dark background, figures would not
    be those that are stored. In a kernel, pictures go into the page, whatever $MPLBACKEND says: it may have no screen.
    """
    shell = get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        shell.enable_matplotlib("inline")
    mpl.rcdefaults()  # the backend stays
    mpl.rcParams.update(STYLE)


@contextmanager
def book() -> Iterator[None]:
    """The book's style, and nothing of the reader's, for all figures made, drawn or saved inside.

    What was made inside is drawn inside, too: matplotlib looks up fonts and makes ticks only when it draws.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def save(fig: Figure, path: Path, **kwargs: Any) -> None:
    """Write ``fig`` to ``path`` as the book would draw it; ``kwargs`` are those of ``savefig``."""
    with book():
        fig.savefig(path, **kwargs)


def text_colour(colour: str, contrast: float = 4.5) -> tuple[float, float, float]:
    """`colour` darkened just until text in it is legible on white: the contrast is WCAG 2.1's, and 4.5 its level AA."""
    r, g, b = to_rgb(colour)
    while 1.05 / (_luminance((r, g, b)) + 0.05) < contrast:
        r, g, b = 0.97 * r, 0.97 * g, 0.97 * b
    return r, g, b


def _luminance(rgb: Iterable[float]) -> float:
    linear = [u / 12.92 if u <= 0.04045 else ((u + 0.055) / 1.055) ** 2.4 for u in rgb]
    return sum(w * u for w, u in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def label(
    ax: Axes,
    text: str,
    at: tuple[float, float],
    colour: str = INK,
    *,
    shift: tuple[float, float] = (4.0, 0.0),
    **kwargs,
) -> Annotation:
    """A label in place of a legend: `text` beside the data point `at`, `shift` points away, in a legible `colour`."""
    kwargs = {"va": "center", "ha": "left" if shift[0] >= 0 else "right", "fontsize": 9.5} | kwargs
    return ax.annotate(text, at, xytext=shift, textcoords="offset points", color=text_colour(colour), **kwargs)


def look(name: str, *, points: bool = False) -> dict[str, Any]:
    """The keywords with which ``plot`` draws ``name``, one of ``LOOKS``: colour and line style.

    With ``points``, and for what has no line, the marker as well. Raises KeyError, with the nearest names, for another.
    """
    if name not in LOOKS:
        near = get_close_matches(name, LOOKS, n=3, cutoff=0.3) or list(LOOKS)
        raise KeyError(f"look: nothing is called {name!r}; there is {', '.join(near)}")
    colour, line, marker = LOOKS[name]
    return {"color": colour, "linestyle": line} | ({"marker": marker} if points or not line else {})


def moving(ax: Axes, fmt: str = "", **look: Any) -> Line2D:
    """A line without points yet, for an explorer to move, with a format or the keywords of a ``look``."""
    (line,) = ax.plot([], [], *filter(None, [fmt]), animated=True, **look)
    return line


def plain_ticks(axis: Axis, ticks: Sequence[float]) -> None:
    """These ticks and no others, written without powers."""
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))


def show(fig: Figure, caption: str) -> None:
    """Display `fig` with `caption` under it, visible and as alternative text, and close it.

    `caption` is one sentence that begins with the figure's number, such as "Figure 1.2. An order is a slope." Nothing
    else is displayed, so a stored notebook compares equal when it runs again. Raises ValueError for a caption without a
    number.
    """
    if not re.match(r"Figure \d+\.\d+\. \S", caption):
        raise ValueError(f"caption must begin with the figure's number, as in 'Figure 1.2. An order …': {caption!r}")
    png = io.BytesIO()
    with book():
        fig.savefig(png, format="png")
    plt.close(fig)
    picture = {"image/png": png.getvalue(), "text/plain": caption}
    display(picture, raw=True, metadata={"image/png": {"alt": caption}})
    display({"text/html": caption_html(caption), "text/plain": caption}, raw=True)


def caption_html(caption: str) -> str:
    """The caption as HTML, its number in bold where it has one."""
    number, rest = re.fullmatch(r"(Figure \d+\.\d+\.)?(.*)", caption, re.DOTALL).groups()  # type: ignore[union-attr]
    bold = f"<b>{number}</b>" if number else ""
    text = html.escape(rest, quote=False)
    return f'<p class="nodelib-caption" style="max-width:52em;margin:0 0 1em">{bold}{text}</p>'
