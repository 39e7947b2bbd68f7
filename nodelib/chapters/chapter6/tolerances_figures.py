"""Figure 6.7: the error against the span, the gradient's against two tolerances, and single precision's floor."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from nodelib.workbook.style import GREY, INK, LOOKS, book, label, plain_ticks

from .tolerances import SINGLE, Grid, Precision, in_precision, of_span, two_tolerances

SPAN_LOOK = {-1.0: ("contracting, λ = −1", LOOKS["dopri5"].colour, "-"), 0.0: ("neutral, λ = 0", GREY, "--"),
             1.0: ("expanding, λ = 1", LOOKS["euler"].colour, ":")}  # fmt: skip
TOL = 1e-6


def promises(
    grid: Grid | None = None, single: Precision | None = None, double: Precision | None = None, tol: float = TOL
) -> Figure:
    """The three panels; what is not given is computed."""
    grid = two_tolerances() if grid is None else grid
    single = in_precision(torch.float32) if single is None else single
    double = in_precision(torch.float64) if double is None else double
    with book():
        fig = Figure(figsize=(10.5, 3.4))
        spans, heat, floor = fig.subplots(1, 3, width_ratios=[1, 1.1, 1])
        _spans(spans, tol)
        _heat(heat, grid)
        _floor(floor, single, double)
    return fig


def _spans(ax: Axes, tol: float) -> None:
    """The error up to t over the tolerance: one solution, three fields."""
    for rate, (name, colour, style) in SPAN_LOOK.items():
        t, error = of_span(rate, tol)
        ax.plot(t[1:], error[1:], color=colour, linestyle=style)
        at = int(0.98 * len(t))
        up = {-1.0: -9, 0.0: 9, 1.0: 0}[rate]
        label(ax, name, (t[at], error[at]), colour, shift=(-24 if up == 0 else -6, up), fontsize=9)
    ax.axhline(1, color=INK, linewidth=0.8, linestyle="-")
    ax.set(yscale="log", xlim=(0, 12), ylim=(0.05, 1e5), xlabel="span", title=f"error / tolerance ({tol:.0e})")


def _heat(ax: Axes, grid: Grid) -> None:
    """The gradient's error at each pair of tolerances, written into each field."""
    ax.imshow(grid.error, norm=LogNorm(1e-6, 1e-1), cmap="cividis")
    names = [f"{tol:.0e}".replace("e-0", "e-") for tol in grid.levels]
    ax.set_xticks(range(len(names)), names, fontsize=8.5)
    ax.set_yticks(range(len(names)), names, fontsize=8.5)
    ax.set(xlabel="tolerance back", ylabel="tolerance there", title="error of the adjoint's gradient")
    ax.grid(visible=False)
    for (i, j), error in np.ndenumerate(grid.error):
        dark = error < 3e-4  # the middle of the colours
        text = f"{error:.0e}".replace("e-0", "e-")
        ax.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")


def _floor(ax: Axes, single: Precision, double: Precision) -> None:
    """Error against evaluations in either precision, a point a tolerance."""
    for found, colour, style, marker in ((double, INK, "-", "o"), (single, LOOKS["euler"].colour, ":", "s")):
        ax.plot(found.nfe, found.error, color=colour, linestyle=style, marker=marker, markerfacecolor="white")
    label(ax, "float64", (double.nfe[-2], double.error[-2]), INK, shift=(-6, -8))
    label(ax, "float32", (single.nfe[-1], single.error[-1]), LOOKS["euler"].colour, shift=(-2, 10))
    ax.set(xscale="log", yscale="log", xlabel="evaluations", title=f"tolerances {SINGLE[0]:.0e} to {SINGLE[-1]:.0e}")
    ax.set_ylabel("relative error of y(1)")
    plain_ticks(ax.xaxis, [20, 50, 100, 200])
