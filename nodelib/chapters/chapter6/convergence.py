"""Chapter 6's table and picture of a convergence test: ``nodelib.experiments.convergence`` makes the numbers."""

from math import inf

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.experiments.convergence import Convergence
from nodelib.workbook.style import GREY, INK, LOOKS, Look, book, label, plain_ticks
from nodelib.workbook.table import Table


def table(found: Convergence) -> Table:
    """A row a solution: the training's solver, ever finer ones, the reference."""
    rows = [
        (
            _name(row.factor, found.adaptive),
            row.solver,
            f"{row.loss:.3g}",
            f"{row.apart:.1e}" if i else "0",
            str(row.nfe),
        )
        for row, i in zip(found.rows, range(len(found.rows) - 1, -1, -1), strict=True)
    ]
    return Table(("", "solver", "loss", "states apart, of the way", "evaluations"), rows)


def _name(factor: float, adaptive: bool) -> str:
    if factor in (1, inf):
        return "training" if factor == 1 else "reference"
    return f"tolerance / {factor:,.0f}" if adaptive else f"steps / {factor:.0f}"


def picture(found: Convergence) -> Figure:
    """Loss and distance of the states against refinement, with the lines that the verdict is drawn at."""
    look = LOOKS.get(found.rows[0].solver.partition(",")[0], LOOKS["adaptive"])
    what = "tolerance of the training, divided by" if found.adaptive else "steps of the training, each divided by"
    with book():
        fig = Figure(figsize=(7.0, 3.4))
        left, right = fig.subplots(1, 2)
        for ax in (left, right):
            ax.set(xscale="log", xlabel=what)
            ax.margins(y=0.13)
        _losses(left, found, look)
        _states(right, found, look)
        if not found.adaptive:
            for ax in (left, right):
                plain_ticks(ax.xaxis, [row.factor for row in found.rows[:-1]])
        fig.suptitle(f"{found.rows[0].solver} in training: {found.verdict}", x=0.01, ha="left", fontsize=11)
    return fig


def _losses(ax: Axes, found: Convergence, look: Look) -> None:
    """The losses, that of the reference as a line, and the limit above which it counts as worse."""
    _points(ax, found, look, [row.loss for row in found.rows[:-1]])
    every = [found.limit, *(row.loss for row in found.rows)]
    if min(every) > 0 and max(every) > 5 * min(every):
        ax.set_yscale("log")
    ax.axhline(found.solved, color=LOOKS["truth"].colour, linestyle="-", linewidth=1)
    ax.axhline(found.limit, color=GREY, linestyle="--", linewidth=1)
    for text, y, colour in (("reference", found.solved, INK), ("worse above this", found.limit, GREY)):
        label(ax, text, (1, y), colour, shift=(0, 8), xycoords=ax.get_yaxis_transform(), ha="right")
    ax.set_ylabel("loss")


def _states(ax: Axes, found: Convergence, look: Look) -> None:
    """How far the states are from the reference's, as a part of the way."""
    _points(ax, found, look, [row.apart for row in found.rows[:-1]])
    ax.set_yscale("log")
    ax.axhline(found.close, color=GREY, linestyle="--", linewidth=1)
    label(
        ax,
        "other states above this",
        (0.02, found.close),
        GREY,
        shift=(0, 8),
        xycoords=ax.get_yaxis_transform(),
        ha="left",
    )
    ax.set_ylabel("states apart, of the way")


def _points(ax: Axes, found: Convergence, look: Look, values: list[float]) -> None:
    """The values against the factors of refinement; the first, that of the training, is a filled point."""
    factors = [row.factor for row in found.rows[:-1]]
    ax.plot(factors, values, color=look.colour, linestyle=look.line, marker=look.marker, markerfacecolor="white")
    ax.plot(factors[:1], values[:1], color=look.colour, linestyle="none", marker=look.marker, markersize=7)
