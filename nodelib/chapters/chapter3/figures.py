"""Chapter 3's pictures of costs: Figure 3 of the paper, what its panel c hides, and Table 1's O(L), O(L̃) and O(1).

They draw numbers of ``nodelib.experiments.nfe`` and ``nodelib.experiments.costs``, measured live or read from a record.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from nodelib.experiments.costs import exponent
from nodelib.experiments.nfe import ratio
from nodelib.workbook.style import BLUE, GREY, INK, ORANGE, PURPLE, RED, book, label, plain_ticks

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
    with book():
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
    """Proportional to evaluations: each solver's line has the slope of its median time per evaluation."""
    ax.set(title="b  time against evaluations", xlabel="evaluations forward (NFE-F)", ylabel="time forward (ms)")
    ends = []
    for solver in dict.fromkeys(row["solver"] for row in rows):
        own = [row for row in rows if row["solver"] == solver]
        colour, style, marker = SOLVER_LOOK[solver]
        nfe = np.array([row["nfe"] for row in own])
        milliseconds = 1e3 * np.array([row["seconds"] for row in own])
        each, last = float(np.median(milliseconds / nfe)), float(nfe.max())
        ax.plot(nfe, milliseconds, color=colour, marker=marker, linestyle="none")
        ax.plot([0, last], [0, each * last], color=colour, linestyle=style, linewidth=1)
        ends.append((each, last, f"{solver}\n{each:.2g} ms each", colour))
    for i, (each, last, text, colour) in enumerate(sorted(ends)):  # the flatter line below, the steeper above
        label(ax, text, (last, each * last), colour, shift=(6, -9) if i == 0 else (-7, 4))
    ax.set_xlim(0, 1.45 * max(last for _, last, *_ in ends))
    ax.set_ylim(0, 1.2 * max(1e3 * row["seconds"] for row in rows))


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
    curves = _curves(ax, scaled, "nfe_forward", "nfe_backward")
    label(ax, "full: loss scaled\nempty: mean loss", (0.03, 0.97), va="top", shift=(0, 0), xycoords="axes fraction")
    ax.set(xlim=tuple(ends), ylim=(0.4 * ends[0], 4 * max(row["nfe_backward"] for row in adjoint)))
    places = _apart(ax, [y[-1] for _, y in curves.values()])
    for place, (solver, (x, _)) in zip(places, curves.items(), strict=True):
        label(ax, solver, (x[-1], place), SOLVER_LOOK[solver][0], shift=(7, 0))
    _powers_of_two(ax.xaxis, forward)
    _powers_of_two(ax.yaxis, [row["nfe_backward"] for row in adjoint])


def _training(ax: Axes, log: Mapping[str, Sequence[float]]) -> None:
    ax.set(title="d  evaluations as it trains", xlabel="epoch", ylabel="evaluations an iteration")
    for key, name, colour, style, up in (
        ("nfe_forward", "forward", BLUE, "-", 6),
        ("nfe_backward", "backward", RED, "-.", -6),
    ):
        ax.plot(log["epoch"], log[key], color=colour, linestyle=style)
        label(ax, name, (log["epoch"][-1], log[key][-1]), colour, shift=(4, up))  # apart where both end alike
    ax.set(xlim=(0, 1.42 * log["epoch"][-1]), ylim=(0, 1.15 * max(*log["nfe_forward"], *log["nfe_backward"])))


def price_of_half(numbers: Mapping[str, Any]) -> Figure:
    """What panel c leaves out, at one tolerance: how wrong the gradient is, and what the size of the batch does."""
    with book():
        fig = Figure(figsize=(7.0, 3.6))
        left, right = fig.subplots(1, 2)
        tol = numbers["batches"][0]["tol"]
        rows = [row for row in numbers["backward"] if row["tol"] == tol]
        _price(left, rows, tol)
        _share(right, [*numbers["batches"], *({**row, "batch": numbers["batch"]} for row in rows)])
    return fig


def _price(ax: Axes, rows: Rows, tol: float) -> None:
    """The error of the gradient against NFE-B / NFE-F, a line from the mean loss to the scaled one."""
    ax.set(xscale="log", yscale="log", title=f"gradient at tolerance {tol:g}")
    ax.set(xlabel="NFE-B / NFE-F", ylabel="relative error of dL/dθ")
    ends = {}
    for solver in dict.fromkeys(row["solver"] for row in rows):
        own = [row for row in rows if row["solver"] == solver]
        colour, style, marker = SOLVER_LOOK[solver]
        points = [(ratio(row), row["error"]) for row in own]
        ax.plot(*zip(*points, strict=True), color=colour, linestyle=style)
        for row, point in zip(own, points, strict=True):
            face = "white" if row["loss"] == "mean" else colour
            ax.plot(*point, color=colour, marker=marker, mfc=face, linestyle="none")
        ends[solver] = points[-1]
    ax.axvline(0.5, color=GREY, linestyle="-", linewidth=1)
    ratios, errors = [0.5, *(ratio(row) for row in rows)], [row["error"] for row in rows]
    ax.set(xlim=(0.4, 4 * max(ratios)), ylim=(min(errors) / 1.6, 1.3 * max(errors)))
    x, y = ends.pop("checkpoint")
    label(ax, "checkpoint", (x, y), shift=(0, -11), ha="center")
    places = _apart(ax, [y for _, y in ends.values()])
    for place, (solver, (x, _)) in zip(places, ends.items(), strict=True):
        label(ax, solver, (x, place), SOLVER_LOOK[solver][0], shift=(7, 0))
    label(ax, "half", (0.5, ax.get_ylim()[0]), GREY, shift=(3, 7))
    _powers_of_two(ax.xaxis, ratios)
    plain_ticks(ax.yaxis, [m * 10.0**k for k in range(-5, 2) for m in (1, 2, 5)])


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
    with book():
        fig = Figure(figsize=(7.0, 3.8))
        for ax, of, unit, title in zip(
            fig.subplots(1, 2),
            ("bytes", "seconds"),
            (1e6, 1e-3),
            ("peak memory (MB)", "time of a gradient (ms)"),
            strict=True,
        ):
            ax.set(xscale="log", yscale="log", title=title, xlabel="n: residual blocks, or evaluations of f")
            _named_by_slope(ax, numbers["rows"], of, unit)
    return fig


def _named_by_slope(ax: Axes, rows: Mapping[str, Any], of: str, unit: float) -> None:
    names, ends = [], []
    for way, row in rows.items():
        name, colour, style, marker = WAY_LOOK[way]
        values = [value / unit for value in row[of]]
        ax.plot(row["depth"], values, color=colour, linestyle=style, marker=marker)
        names.append((rf"{name} $\propto n^{{{exponent(row, of):.2f}}}$", colour))
        ends.append(values[-1])
    depths = rows["ResNet"]["depth"]
    ax.set_xlim(depths[0] / 1.15, depths[-1] * 16)
    _powers_of_two(ax.xaxis, depths)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high)
    places = _apart(ax, ends)
    ax.set_ylim(low, max(high, 1.1 * max(places)))
    for place, (text, colour) in zip(places, names, strict=True):
        label(ax, text, (depths[-1], place), colour, shift=(7, 0))


def _apart(ax: Axes, values: Sequence[float]) -> list[float]:
    """The values, those too close moved up, so that labels at them on the logarithmic y axis stand clear."""
    low, high = ax.get_ylim()
    placed, gap = list(values), (high / low) ** 0.075
    for below, above in pairwise(sorted(range(len(values)), key=values.__getitem__)):
        placed[above] = max(placed[above], placed[below] * gap)
    return placed


def _powers_of_two(axis: Axis, values: Iterable[float], step: int = 1) -> None:
    """Ticks at powers of two within ``values``: decades are too far apart for so few doublings."""
    values = list(values)
    low, high = np.floor(np.log2(min(values))), np.ceil(np.log2(max(values)))
    plain_ticks(axis, (2.0 ** np.arange(low, high + 1, step)).tolist())
