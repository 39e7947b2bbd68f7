"""Chapter 3's pictures of costs: Figure 3 of the paper, what its panel c hides, and Table 1's O(L), O(L̃) and O(1).

They draw numbers of ``nodelib.nfe`` and ``nodelib.costs``, measured live or read from a record.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from nodelib.costs import exponent
from nodelib.nfe import ratio

from .style import BLUE, GREY, INK, ORANGE, PURPLE, RED, STYLE, label

Rows = Sequence[Mapping[str, Any]]
SOLVER_LOOK = {  # colour, line style, marker
    "dopri5": (BLUE, "-", "o"),
    "seminorm": (ORANGE, "--", "^"),
    "VODE": (RED, "-.", "s"),
    "checkpoint": (INK, ":", "D"),
}
WAY_LOOK = {  # name, colour, line style, marker
    "ResNet": ("ResNet", PURPLE, "-.", "D"),
    "backprop": ("RK-Net", BLUE, "-", "o"),
    "checkpoint": ("checkpoints", ORANGE, "--", "^"),
    "adjoint": ("ODE-Net", RED, ":", "s"),
}


def figure3(numbers: Mapping[str, Any], log: Mapping[str, Sequence[float]]) -> Figure:
    """Panels a to d of the paper's Figure 3: ``numbers`` of ``nfe.figure3``, and the ``log`` of the training."""
    with rc_context(STYLE):
        fig = Figure(figsize=(7.0, 6.2))
        axes = fig.subplot_mosaic("ab;cd")
        _error(axes["a"], numbers["forward"])
        _time(axes["b"], numbers["forward"])
        _backward(axes["c"], numbers["backward"])
        _training(axes["d"], log)
    return fig


def _curves(ax: Axes, rows: Rows, x: str, y: str, **look: Any) -> dict[str, tuple[list[float], list[float]]]:
    """One curve for each solver in ``rows``; returns their points."""
    curves = {}
    for solver in dict.fromkeys(row["solver"] for row in rows):
        own = [row for row in rows if row["solver"] == solver]
        colour, style, marker = SOLVER_LOOK[solver]
        points = [row[x] for row in own], [row[y] for row in own]
        ax.plot(*points, color=colour, linestyle=style, marker=marker, **look)
        curves[solver] = points
    return curves


def _error(ax: Axes, rows: Rows) -> None:
    ax.set(xscale="log", yscale="log", title="a  error against evaluations")
    ax.set(xlabel="evaluations forward (NFE-F)", ylabel="relative error of z(1)")
    for solver, (x, y) in _curves(ax, rows, "nfe", "error").items():
        label(ax, solver, (x[-1], y[-1]), SOLVER_LOOK[solver][0])
    _powers_of_two(ax.xaxis, [row["nfe"] for row in rows])
    ax.set_xlim(right=ax.get_xlim()[1] * 1.6)


def _time(ax: Axes, rows: Rows) -> None:
    """Proportional to evaluations: each solver's line has the slope of its median seconds per evaluation."""
    ax.set(title="b  time against evaluations", xlabel="evaluations forward (NFE-F)", ylabel="time forward (ms)")
    most = 0.0
    for solver in dict.fromkeys(row["solver"] for row in rows):
        own = [row for row in rows if row["solver"] == solver]
        colour, style, marker = SOLVER_LOOK[solver]
        nfe = np.array([row["nfe"] for row in own])
        milliseconds = 1e3 * np.array([row["seconds"] for row in own])
        each, last = float(np.median(milliseconds / nfe)), float(nfe.max())
        ax.plot(nfe, milliseconds, color=colour, marker=marker, linestyle="none")
        ax.plot([0, last], [0, each * last], color=colour, linestyle=style, linewidth=1)
        label(ax, f"{solver}\n{each:.2g} ms each", (last, each * last), colour, shift=(-6, 2))
        most = max(most, last)
    ax.set(xlim=(0, 1.08 * most), ylim=(0, None))


def _backward(ax: Axes, rows: Rows) -> None:
    """NFE-B against NFE-F: empty markers for the mean loss as it is, full ones for the loss scaled."""
    ax.set(xscale="log", yscale="log", title="c  backward against forward")
    ax.set(xlabel="evaluations forward (NFE-F)", ylabel="evaluations backward (NFE-B)")
    adjoint = [row for row in rows if row["solver"] != "checkpoint"]
    forward = np.array([row["nfe_forward"] for row in adjoint])
    ends = np.array([forward.min() / 1.3, forward.max() * 2.2])
    for factor, name in ((1, "equal"), (0.5, "half")):
        ax.plot(ends, factor * ends, color=GREY, linestyle="-", linewidth=1)
        label(ax, name, (ends[1], factor * ends[1]), GREY, shift=(-2, -7), fontsize=8.5)
    scaled = [row for row in adjoint if row["loss"] == "unit"]
    _curves(ax, [row for row in adjoint if row["loss"] == "mean"], "nfe_forward", "nfe_backward", mfc="white")
    for solver, (x, y) in _curves(ax, scaled, "nfe_forward", "nfe_backward").items():
        label(ax, solver, (x[-1], y[-1]), SOLVER_LOOK[solver][0])
    label(ax, "full: loss scaled\nempty: mean loss", (0.03, 0.97), va="top", shift=(0, 0), xycoords="axes fraction")
    ax.set(xlim=tuple(ends), ylim=(0.4 * ends[0], 3 * max(row["nfe_backward"] for row in adjoint)))
    _powers_of_two(ax.xaxis, forward)
    _powers_of_two(ax.yaxis, [row["nfe_backward"] for row in adjoint])


def _training(ax: Axes, log: Mapping[str, Sequence[float]]) -> None:
    ax.set(title="d  evaluations as it trains", xlabel="epoch", ylabel="evaluations an iteration")
    for key, name, colour, style in (
        ("nfe_forward", "forward", BLUE, "-"),
        ("nfe_backward", "backward", RED, "-."),
    ):
        ax.plot(log["epoch"], log[key], color=colour, linestyle=style)
        label(ax, name, (log["epoch"][-1], log[key][-1]), colour)
    ax.set(xlim=(0, 1.32 * log["epoch"][-1]), ylim=(0, 1.15 * max(*log["nfe_forward"], *log["nfe_backward"])))


def price_of_half(numbers: Mapping[str, Any]) -> Figure:
    """What panel c leaves out, at one tolerance: how wrong the gradient is, and what the size of the batch does."""
    with rc_context(STYLE):
        fig = Figure(figsize=(7.0, 3.6))
        left, right = fig.subplots(1, 2)
        tol = numbers["batches"][0]["tol"]
        rows = [row for row in numbers["backward"] if row["tol"] == tol]
        _price(left, rows, tol)
        _share(right, [*numbers["batches"], *({**row, "batch": numbers["batch"]} for row in rows)])
    return fig


def _price(ax: Axes, rows: Rows, tol: float) -> None:
    """The error of the gradient against NFE-B / NFE-F, a line from the mean loss to the scaled one."""
    ax.set(xscale="log", yscale="log", title=f"error of the gradient, tolerance {tol:g}")
    ax.set(xlabel="NFE-B / NFE-F", ylabel="relative error of dL/dθ")
    for solver, (colour, style, marker) in SOLVER_LOOK.items():
        own = [row for row in rows if row["solver"] == solver]
        x, y = [ratio(row) for row in own], [row["error"] for row in own]
        ax.plot(x, y, color=colour, linestyle=style)
        for row, *point in zip(own, x, y, strict=True):
            face = "white" if row["loss"] == "mean" else colour
            ax.plot(*point, color=colour, marker=marker, mfc=face, linestyle="none")
        label(ax, solver, (x[0], y[0]), colour, shift=(0, 9), ha="center")
    ax.axvline(0.5, color=GREY, linestyle="-", linewidth=1)
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, 0.4), 1.2 * high)
    low, high = ax.get_ylim()
    ax.set_ylim(low / 1.2, 1.4 * high)
    _powers_of_two(ax.xaxis, [0.5, *(ratio(row) for row in rows)])


def _share(ax: Axes, rows: Rows) -> None:
    """NFE-B / NFE-F against the number of images in a batch, for both losses."""
    ax.set(xscale="log", yscale="log", title="the batch and the loss", xlabel="images in the batch")
    ax.set_ylabel("NFE-B / NFE-F")
    for loss in ("mean", "unit"):
        for solver in ("dopri5", "VODE"):
            own = sorted((r for r in rows if (r["solver"], r["loss"]) == (solver, loss)), key=lambda r: r["batch"])
            colour, style, marker = SOLVER_LOOK[solver]
            x, y = [row["batch"] for row in own], [ratio(row) for row in own]
            ax.plot(x, y, color=colour, linestyle=style, marker=marker, mfc="white" if loss == "mean" else colour)
            label(ax, solver, (x[0], y[0]), colour, shift=(2, 9 if solver == "dopri5" else -10))
    ax.axhline(0.5, color=GREY, linestyle="-", linewidth=1)
    ax.set_ylim(0.35, 2 * max(ratio(row) for row in rows))
    label(ax, "full: loss scaled\nempty: mean loss", (0.03, 0.97), va="top", shift=(0, 0), xycoords="axes fraction")
    _powers_of_two(ax.xaxis, [row["batch"] for row in rows], 2)
    _powers_of_two(ax.yaxis, [0.5, *(ratio(row) for row in rows)])


def growth(numbers: Mapping[str, Any]) -> Figure:
    """Memory and time of ``costs.growth`` against depth; each curve is named with its slope at the right end."""
    with rc_context(STYLE):
        fig = Figure(figsize=(7.0, 3.8))
        for ax, of, unit, title in zip(
            fig.subplots(1, 2),
            ("bytes", "seconds"),
            (1e6, 1e-3),
            ("peak memory (MB)", "time of a gradient (ms)"),
            strict=True,
        ):
            ax.set(xscale="log", yscale="log", title=title, xlabel="residual blocks, or evaluations of f")
            _named_by_slope(ax, numbers["rows"], of, unit)
    return fig


def _named_by_slope(ax: Axes, rows: Mapping[str, Any], of: str, unit: float) -> None:
    ends = []
    for way, row in rows.items():
        name, colour, style, marker = WAY_LOOK[way]
        values = [value / unit for value in row[of]]
        ax.plot(row["depth"], values, color=colour, linestyle=style, marker=marker)
        ends.append((values[-1], f"{name} {exponent(row, of):.2f}", colour))
    depths = rows["ResNet"]["depth"]
    ax.set_xlim(depths[0] / 1.15, depths[-1] * 8)
    _powers_of_two(ax.xaxis, depths)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high)
    for place, (_, text, colour) in zip(_apart([e[0] for e in ends], high / low), ends, strict=True):
        label(ax, text, (depths[-1], place), colour, shift=(7, 0))


def _apart(values: Sequence[float], span: float, share: float = 0.075) -> list[float]:
    """The values, those too close moved up so that labels beside them on a logarithmic axis over ``span`` clear."""
    gap = span**share
    placed = list(values)
    order = sorted(range(len(values)), key=values.__getitem__)
    for below, above in pairwise(order):
        placed[above] = max(placed[above], placed[below] * gap)
    return placed


def _powers_of_two(axis: Axis, values: Iterable[float], step: int = 1) -> None:
    """Ticks at powers of two within ``values``: decades are too far apart for so few doublings."""
    low, high = np.log2(min(values := list(values))), np.log2(max(values))
    axis.set_major_locator(FixedLocator((2.0 ** np.arange(np.floor(low), np.ceil(high) + 1, step)).tolist()))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
