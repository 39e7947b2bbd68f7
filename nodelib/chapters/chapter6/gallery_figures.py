"""The ten diagnostic pictures of the failure gallery, in one figure."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.workbook.style import GREY, INK, LOOKS, Look, book, plain_ticks

from .pain import Pain

SHORT = (
    "1  underflow", "2  a slow adjoint", "3  memory that grows", "4  lost on the way back", "5  the sign of ∂L/∂t₀",
    "6  lost parameters", "7  one step for all", "8  below the floor", "9  a long series", "10  the last digits",
)  # fmt: skip

OWN = {"before": Look(GREY, ":", "o"), "after": Look(INK, "-", "D"), "dots": Look(INK, "", ".")}


def picture(pains: tuple[Pain, ...]) -> Figure:
    """A panel a pain, two in a row."""
    with book():
        fig = Figure(figsize=(8.4, 11.0))
        for ax, pain, title in zip(fig.subplots(5, 2).flat, pains, SHORT, strict=True):
            _draw(ax, pain)
            ax.set_title(title)
    return fig


def _draw(ax: Axes, pain: Pain) -> None:
    """Its curves, with a legend where there are several."""
    for curve in pain.curves:
        look = OWN.get(curve.look) or LOOKS[curve.look]
        few = len(curve.x) < 40 or not curve.line
        ax.plot(
            curve.x, curve.y, color=look.colour, linestyle=look.line if curve.line else "",
            marker=look.marker if few else "", markersize=4, label=curve.name,
        )  # fmt: skip
    settings = dict(pain.axes)
    for axis, scale in ((ax.xaxis, ax.set_xscale), (ax.yaxis, ax.set_yscale)):
        if ticks := settings.pop(f"{axis.axis_name}ticks", None):  # type: ignore[attr-defined]
            scale("log")
            plain_ticks(axis, ticks)
    ax.set(**settings)
    if not pain.curves[-1].line:
        ax.axhline(0, color=GREY, linewidth=1)
    if len(pain.curves) > 1:
        ax.legend(fontsize=8.5)
