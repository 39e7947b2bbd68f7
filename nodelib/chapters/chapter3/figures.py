"""Chapter 3's pictures of costs: Figure 3 of the paper, what its panel c hides, and Table 1's O(L), O(L̃) and O(1).

They draw numbers of ``nodelib.experiments.nfe`` and ``nodelib.experiments.costs``, measured live or read from a record.
Numbers that ``nfe.together`` made of several sets of images are drawn as means, with a bar from the least to the most.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from nodelib.experiments.costs import slope
from nodelib.experiments.nfe import ratio
from nodelib.workbook.style import BLUE, INK, LOOKS, Look, book, label, plain_ticks

Rows = Sequence[Mapping[str, Any]]
SOLVER_LOOK = {
    "dopri5": LOOKS["dopri5"],
    "seminorm": Look(BLUE, "--", "v"),  # dopri5 as well
    "VODE": LOOKS["adams"],
    "checkpoint": LOOKS["checkpoint"],
}
WAY_LOOK = {"ResNet": LOOKS["resnet"], **{way: LOOKS[way] for way in ("backprop", "checkpoint", "adjoint")}}
WAY_NAME = {"ResNet": "ResNet", "backprop": "backprop", "checkpoint": "checkpoints", "adjoint": "adjoint"}
EMPTY = "full: loss scaled\nempty: mean loss"


def figure3(numbers: Mapping[str, Any], log: Mapping[str, Sequence[float]], timed: bool = True) -> Figure:
    """Panels a to d of the paper's Figure 3: ``numbers`` of ``nfe.figure3``, and the ``log`` of the training.

    Without ``timed`` panel b is left out: what a clock says differs from run to run.
    """
    with book():
        fig = Figure(figsize=(7.0, 6.2))
        axes = fig.subplot_mosaic("ab;cd" if timed else "aa;cd")
        _error(axes["a"], numbers["forward"])
        if timed:
            _time(axes["b"], numbers["forward"])
        _backward(axes["c"], numbers["backward"])
        _training(axes["d"], log)
    return fig


def _solvers(rows: Rows) -> dict[str, Rows]:
    return {name: [row for row in rows if row["solver"] == name] for name in dict.fromkeys(r["solver"] for r in rows)}


def _draw(ax: Axes, rows: Rows, x: Any, y: Any, **more: Any) -> tuple[list[float], list[float]]:
    """The points (x, y) of one solver's rows, x and y functions of a row, and their bars; returns the points."""
    colour, style, marker = SOLVER_LOOK[rows[0]["solver"]]
    for row in rows:
        xs, ys = ([of(one) for one in _each(row)] for of in (x, y))
        ax.plot([min(xs), max(xs)], [y(row)] * 2, "-", color=colour, lw=0.9, alpha=0.7)
        ax.plot([x(row)] * 2, [min(ys), max(ys)], "-", color=colour, lw=0.9, alpha=0.7)
    points = [x(row) for row in rows], [y(row) for row in rows]
    ax.plot(*points, color=colour, **{"linestyle": style, "marker": marker} | more)
    return points


def _each(row: Mapping[str, Any]) -> list[dict[str, float]]:
    """A row for each set of images that this one is the mean of; itself where it is none."""
    lists = row.get("all")
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)] if lists else [row]  # type: ignore[list-item]


def _error(ax: Axes, rows: Rows) -> None:
    ax.set(xscale="log", yscale="log", title="a  error against evaluations")
    ax.set(xlabel="evaluations forward (NFE-F)", ylabel="relative error of z(1)")
    for solver, own in _solvers(rows).items():
        x, y = _draw(ax, own, lambda row: row["nfe"], lambda row: row["error"])
        label(ax, solver, (x[-1], y[-1]), SOLVER_LOOK[solver].colour, shift=(7, 6))
    _powers_of_two(ax.xaxis, [row["nfe"] for row in rows])


def _time(ax: Axes, rows: Rows) -> None:
    """Proportional to evaluations: each solver's line has the slope of its median time per evaluation."""
    ax.set(title="b  time against evaluations", xlabel="evaluations forward (NFE-F)", ylabel="time forward (ms)")
    ends = []
    for solver, own in _solvers(rows).items():
        colour, style, _ = SOLVER_LOOK[solver]
        nfe, milliseconds = _draw(ax, own, lambda row: row["nfe"], lambda row: 1e3 * row["seconds"], linestyle="none")
        each, last = float(np.median(np.divide(milliseconds, nfe))), max(nfe)
        ax.plot([0, last], [0, each * last], color=colour, linestyle=style, linewidth=1)
        ends.append((each, last, f"{solver}\n{each:.2g} ms each", colour))
    for i, (each, last, text, colour) in enumerate(sorted(ends)):  # the flatter line's name right of it, the other left
        at = last if i == 0 else 0.75 * last
        label(ax, text, (at, each * at), colour, shift=(8, -4) if i == 0 else (-14, 8))
    ax.set(xlim=(0, None), ylim=(0, None))


def _backward(ax: Axes, rows: Rows) -> None:
    """NFE-B against NFE-F: empty markers for the mean loss as it is, full ones for the loss scaled."""
    ax.set(xscale="log", yscale="log", title="c  backward against forward")
    ax.set(xlabel="evaluations forward (NFE-F)", ylabel="evaluations backward (NFE-B)")
    adjoint = [row for row in rows if row["solver"] != "checkpoint"]
    forward = np.array([one["nfe_forward"] for row in adjoint for one in _each(row)])
    ends = np.array([forward.min() / 1.05, forward.max() * 1.05])
    for factor, name in ((1, "equal"), (0.5, "half")):
        ax.plot(ends, factor * ends, color=INK, linestyle="-", linewidth=0.8)
        label(ax, name, (ends[1], factor * ends[1]), INK, fontsize=8.5)
    full = {}
    for loss, more in (("mean", {"mfc": "white"}), ("unit", {})):
        for solver, own in _solvers([row for row in adjoint if row["loss"] == loss]).items():
            full[solver] = _draw(ax, own, lambda row: row["nfe_forward"], lambda row: row["nfe_backward"], **more)
    ax.set(xlim=tuple(ends), ylim=(0.45 * ends[0], None))
    label(ax, EMPTY, (0.02, 1.0), va="top", shift=(0, 0), xycoords="axes fraction", fontsize=8.5)
    ax.set_ylim(top=ax.get_ylim()[1] * 2.2)
    beside(ax, {solver: (y[-1], SOLVER_LOOK[solver].colour) for solver, (_, y) in full.items()})
    plain_ticks(ax.xaxis, [tick for tick in (8, 12, 16, 20, 26, 32, 44, 64) if ends[0] <= tick <= ends[1]])
    _powers_of_two(ax.yaxis, [0.5 * ends[0], *(row["nfe_backward"] for row in adjoint)])


def _training(ax: Axes, log: Mapping[str, Sequence[float]]) -> None:
    """Evaluations an iteration while the network was trained."""
    ax.set(title="d  evaluations in training", xlabel="epoch", ylabel="evaluations an iteration")
    ends = {}
    for key, name, (colour, style, _) in (
        ("nfe_forward", "forward", LOOKS["dopri5"]),
        ("nfe_backward", "backward", LOOKS["adjoint"]),
    ):
        ax.plot(log["epoch"], log[key], color=colour, linestyle=style)
        ends[name] = log[key][-1], colour
    ax.set(xlim=(0, log["epoch"][-1]), ylim=(0, 1.1 * max(*log["nfe_forward"], *log["nfe_backward"])))
    beside(ax, ends)


def price_of_half(numbers: Mapping[str, Any]) -> Figure:
    """What panel c leaves out, at one tolerance: how wrong the gradient is, and what the size of the batch does."""
    with book():
        fig = Figure(figsize=(7.0, 3.8))
        left, right = fig.subplots(1, 2)
        tol = numbers["batches"][0]["tol"]
        rows = [row for row in numbers["backward"] if row["tol"] == tol]
        _price(left, rows, tol)
        _share(right, [*numbers["batches"], *({**row, "batch": numbers["batch"]} for row in rows)])
    return fig


def _price(ax: Axes, rows: Rows, tol: float) -> None:
    """The error of the gradient against NFE-B / NFE-F, with the mean loss (empty) and with the loss scaled (full)."""
    ax.set(xscale="log", yscale="log", title=f"gradient at tolerance {tol:g}")
    ax.set(xlabel="NFE-B / NFE-F", ylabel="relative error of dL/dθ")
    ax.axvline(0.5, color=INK, linestyle="-", linewidth=0.8)
    names = {}
    for solver, own in _solvers(rows).items():
        for row in own:
            face = {} if row["loss"] == "unit" else {"mfc": "white"}
            _draw(ax, [row], ratio, lambda row: row["error"], linestyle="none", **face)
        side = min if solver == "VODE" else max  # VODE's name stands left of its mark, since right of it is dopri5's
        names[solver] = side(map(ratio, _each(own[-1]))), own[-1]["error"]
    each = [one for row in rows for one in _each(row)]
    low, high = (of(one["error"] for one in each) for of in (min, max))
    ax.set(xlim=(0.45, 1.15 * max(map(ratio, each))), ylim=(low / 1.2, 1.15 * high))
    heights = apart(_heights(ax, [y for _, y in names.values()]), 0.075)
    for (solver, (x, _)), height in zip(names.items(), heights, strict=True):
        away = {"shift": (-8 if solver == "VODE" else 8, 0), "xycoords": ("data", "axes fraction")}
        label(ax, solver, (x, height), SOLVER_LOOK[solver].colour, **away)
    label(ax, "half", (0.5, low / 1.2), INK, shift=(3, 7), fontsize=8.5)
    label(ax, EMPTY, (0.98, 0.98), va="top", ha="right", shift=(0, 0), xycoords="axes fraction", fontsize=8.5)
    plain_ticks(ax.xaxis, [0.5, 1, 2, 4, 8])
    plain_ticks(ax.yaxis, [tick for tick in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if low / 1.2 < tick < high * 1.1])


def _share(ax: Axes, rows: Rows) -> None:
    """NFE-B / NFE-F against the number of images in a batch, for both losses."""
    ax.set(xscale="log", yscale="log", title="the batch and the loss", xlabel="images in the batch")
    ax.set_ylabel("NFE-B / NFE-F")
    ends, sizes = {}, [row["batch"] for row in rows]
    for loss, text in (("mean", "mean"), ("unit", "scaled")):
        for solver in ("dopri5", "VODE"):
            own = sorted((r for r in rows if (r["solver"], r["loss"]) == (solver, loss)), key=lambda r: r["batch"])
            points = [{**row, "all": {**row["all"], "batch": [row["batch"]] * len(row["all"]["error"])}} if "all" in row
                      else row for row in own]  # fmt: skip
            face = {"mfc": "white"} if loss == "mean" else {}
            _, y = _draw(ax, points, lambda row: row["batch"], ratio, **face)
            ends[f"{solver}, {text}"] = y[-1], SOLVER_LOOK[solver].colour
    ax.axhline(0.5, color=INK, linestyle="-", linewidth=0.8)
    label(ax, "half", (min(sizes), 0.5), INK, shift=(3, 7), fontsize=8.5)
    ax.set_ylim(0.4, 1.3 * max(ratio(one) for row in rows for one in _each(row)))
    beside(ax, ends)
    _powers_of_two(ax.xaxis, sizes, 2)
    _powers_of_two(ax.yaxis, [0.5, *(ratio(row) for row in rows)])


def growth(numbers: Mapping[str, Any]) -> Figure:
    """Memory and time of ``costs.growth`` against depth; each line is named, with what one more of depth adds."""
    with book():
        fig = Figure(figsize=(7.0, 3.8))
        for ax, of, unit, what in zip(
            fig.subplots(1, 2),
            ("bytes", "seconds"),
            (1e6, 1e-3),
            ("peak memory (MB)", "time of a gradient (ms)"),
            strict=True,
        ):
            ax.set(title=what, xlabel="blocks, or evaluations of f")
            _named_by_slope(ax, numbers["rows"], of, unit)
    return fig


def _named_by_slope(ax: Axes, rows: Mapping[str, Any], of: str, unit: float) -> None:
    ends, last = {}, max(rows["ResNet"]["depth"])
    for way, row in rows.items():
        colour, style, marker = WAY_LOOK[way]
        values = [value / unit for value in row[of]]
        ax.plot(row["depth"], values, color=colour, linestyle=style, marker=marker)
        ends[f"{WAY_NAME[way]}\n+ {slope(row, of) / unit:.2g} each"] = values[-1], colour
    ax.set(xlim=(0, last), ylim=(0, None))
    ax.set_xticks([depth for depth in rows["ResNet"]["depth"] if depth >= 4])
    beside(ax, ends, gap=0.14)


def beside(ax: Axes, ends: Mapping[str, tuple[float, str]], gap: float = 0.075) -> None:
    """Labels in the margin at the right, each at the height where its line ends (text -> y and colour), and apart."""
    heights = _heights(ax, [y for y, _ in ends.values()])
    for height, (text, (_, colour)) in zip(apart(heights, gap), ends.items(), strict=True):
        label(ax, text, (1, height), colour, shift=(6, 0), xycoords="axes fraction", annotation_clip=False)


def _heights(ax: Axes, ys: Iterable[float]) -> list[float]:
    """Where these y lie, 0 at the axes' lower end and 1 at the upper."""
    scale = np.log if ax.get_yscale() == "log" else float
    low, high = map(scale, ax.get_ylim())
    return [float((scale(y) - low) / (high - low)) for y in ys]


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """The heights, moved so that each is ``gap`` above the next lower one, half of it up, half of it down."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    up, down = list(heights), list(heights)
    for below, above in pairwise(order):
        up[above] = max(up[above], up[below] + gap)
    for above, below in pairwise(order[::-1]):
        down[below] = min(down[below], down[above] - gap)
    return [(a + b) / 2 for a, b in zip(up, down, strict=True)]


def _powers_of_two(axis: Axis, values: Iterable[float], step: int = 1) -> None:
    """Ticks at powers of two within ``values``: decades are too far apart for so few doublings."""
    values = list(values)
    low, high = np.ceil(np.log2(min(values)) - 0.01), np.floor(np.log2(max(values)) + 0.01)
    plain_ticks(axis, (2.0 ** np.arange(low, high + 1, step)).tolist())
