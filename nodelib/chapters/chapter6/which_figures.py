"""Figure 6.10: what ten networks reach, trained by either gradient through four coarse solvers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.workbook.style import LOOKS, book, plain_ticks

WAY_LOOK = {"DtO": LOOKS["backprop"], "OtD": LOOKS["adjoint"]}
SOLVER_NAME = {"euler": "Euler", "rk4": "RK4"}
COST = {"euler": 1, "rk4": 4}


def losses(record: Mapping[str, Any], method: str, steps: int, way: str, what: str = "own") -> np.ndarray:
    """The losses at the end, (seeds,): by the training's solver, or "solved" accurately."""
    (row,) = (r for r in record["rows"] if (r["method"], r["steps"], r["way"]) == (method, steps, way))
    return np.array(row[what])


def two_trainings(record: Mapping[str, Any]) -> Figure:
    """Pairs of a seed, joined: the loss by the training's solver, and the same networks solved accurately."""
    with book():
        fig = Figure(figsize=(8.8, 3.5))
        left, right = fig.subplots(1, 2, sharey=True)
        _pairs(left, record, "own", "by the training's solver")
        _pairs(right, record, "solved", "the same networks, solved accurately")
        left.set_ylabel("loss")
        for way, look in WAY_LOOK.items():
            left.plot([], [], color=look.colour, marker=look.marker, linestyle="none", label=way)
        left.legend(loc="upper right", fontsize=9)
    return fig


def _pairs(ax: Axes, record: Mapping[str, Any], what: str, title: str) -> None:
    solvers = list(dict.fromkeys((row["method"], row["steps"]) for row in record["rows"]))
    for k, solver in enumerate(solvers):
        pair = [losses(record, *solver, way, what) for way in WAY_LOOK]
        for x, y in zip(*pair, strict=True):
            ax.plot([k - 0.15, k + 0.15], [x, y], color="#bbbbbb", linestyle="-", linewidth=0.8)
        for dx, values, look in zip((-0.15, 0.15), pair, WAY_LOOK.values(), strict=True):
            ax.plot([k + dx] * len(values), values, color=look.colour, marker=look.marker, linestyle="none", ms=5)
    names = [f"{SOLVER_NAME[m]}, {n} steps\n{COST[m] * n} evaluations" for m, n in solvers]
    ax.set_xticks(range(len(solvers)), names, fontsize=8.5)
    ax.set(yscale="log", title=title, xlim=(-0.5, len(solvers) - 0.5))
    ax.grid(visible=False, axis="x")
    plain_ticks(ax.yaxis, [0.02, 0.1, 1, 10])
