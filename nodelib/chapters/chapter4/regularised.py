"""A picture of what a price on kinetic energy buys, and what it costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.workbook.style import INK, LOOKS, Look, book, label

FLOW = LOOKS["odenet"]
# Another tolerance is the same method with another line.
TOLERANCES = {"1e-05": ("at 1e-5", FLOW), "0.001": ("at 1e-3", Look(FLOW.colour, "--", "o"))}


def regularised(record: Mapping[str, Any], paths: Mapping[float, np.ndarray], steps: int = 4) -> Figure:
    """Paths (times, points, 2) at two weights; and against the weight, the mean over seeds as a line and each seed as
    a point: the error of Euler's method with ``steps`` steps, nats above the entropy, evaluations and energy."""
    runs = record["runs"]
    with book():
        fig = Figure(figsize=(8.8, 5.0))
        (*ways, euler), (nats, evaluations, energy) = fig.subplots(2, 3)
        for ax, (weight, z) in zip(ways, paths.items(), strict=True):
            _paths(ax, z, f"weight {weight:g}")
            ax.set(xlim=_range(paths, 0), ylim=_range(paths, 1))
        over_seeds(euler, runs, [[each[str(steps)] for each in run["euler"]] for run in runs])
        euler.set(ylabel=f"RMS error, {steps} Euler steps", ylim=(0, None))
        over_seeds(nats, runs, [[each - record["test_entropy"] for each in run["nats"]] for run in runs])
        nats.set(ylabel="nats above the entropy", ylim=(0, None))
        for tol, (name, drawn) in TOLERANCES.items():
            each = [[nfe[tol] for nfe in run["nfe"]] for run in runs]
            over_seeds(evaluations, runs, each, drawn, name)
        evaluations.set(ylabel="evaluations", ylim=(0, None))
        evaluations.legend(loc="upper right", fontsize=9.5)
        over_seeds(energy, runs, [run["energy"] for run in runs])
        least = float(np.mean(list(record["least_energy"].values())[-1]))
        energy.axhline(least, color=INK, lw=1)
        label(energy, "W₂²", (0, least), shift=(0, -8))
        energy.set(ylabel="kinetic energy", ylim=(0, None))
    return fig


def _paths(ax: Axes, z: np.ndarray, title: str) -> None:
    ax.plot(z[..., 0], z[..., 1], "-", color=FLOW.colour, lw=0.7, alpha=0.8)
    ax.plot(*z[0].T, ".", color=LOOKS["data"].colour, ms=3)
    ax.plot(*z[-1].T, ".", color=INK, ms=3)
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.set_title(title, fontsize=10)
    ax.grid(False)


def _range(paths: Mapping[float, np.ndarray], axis: int, margin: float = 0.15) -> tuple[float, float]:
    """From the least to the largest coordinate of all paths, and a margin."""
    low, high = zip(*[(z[..., axis].min(), z[..., axis].max()) for z in paths.values()], strict=True)
    return min(low) - margin, max(high) + margin


def over_seeds(
    ax: Axes,
    runs: Sequence[Mapping[str, Any]],
    each: Sequence[Sequence[float]],
    drawn: Look = FLOW,
    name: str | None = None,
) -> None:
    """Values of each weight's seeds; the weights stand at equal distances, since 0 has no logarithm."""
    inside = drawn.colour if drawn.line == "-" else "white"
    ax.plot(range(len(runs)), list(map(np.mean, each)), color=drawn.colour, linestyle=drawn.line, label=name)
    for place, values in enumerate(each):
        ax.plot([place] * len(values), values, drawn.marker, color=drawn.colour, ms=3.5, markerfacecolor=inside)
    ax.set_xticks(range(len(runs)), [f"{run['weight']:g}" for run in runs])
    ax.set_xlabel("weight of the energy")
