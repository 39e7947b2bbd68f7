"""Figure 6.1: one network under the steps that it was trained with, under finer ones, and solved accurately."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from nodelib.experiments.rings import Points
from nodelib.models.rings import NeuralODEs, alone
from nodelib.workbook.style import INK, LOOKS, book

from .swap import REACH, by_solver, undecided

INNER: dict[str, Any] = {"color": INK, "marker": "o"}
OUTER: dict[str, Any] = {"color": "#777777", "marker": "o", "mfc": "white"}
OUTER_LINE = "#a5a5a5"
TINT = 0.35


def regions(models: NeuralODEs, points: Points, seed: int, end: float, steps: tuple[int, ...] = (2, 4)) -> Figure:
    """Above, where the network says "inner", and its training points; below, the paths that they take."""
    found = by_solver(models, points, seed, end, steps)
    x, y = (part[seed].numpy() for part in points)
    looks = [LOOKS["euler"]] * len(found)  # of the training
    line = undecided(alone(models, seed))
    with book():
        fig = Figure(figsize=(7.6, 5.3))
        axes = fig.subplots(2, len(found), subplot_kw={"box_aspect": 1})
        for (name, (paths, region)), look, top, bottom in zip(found.items(), looks, *axes, strict=True):
            top.imshow(tinted(region, look.colour), origin="lower", extent=(-REACH, REACH, -REACH, REACH))
            top.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), title=name)
            dots(top, x, y)
            ways(bottom, paths, y[: paths.shape[1]], line)
        axes[0, 0].set_ylabel("where a point starts")
        axes[1, 0].set_ylabel("its way and its end")
    return fig


def tinted(region: np.ndarray, colour: str) -> np.ndarray:
    """A picture (…, 4) of the region in a pale ``colour``, transparent elsewhere."""
    return np.concatenate([np.broadcast_to(to_rgb(colour), (*region.shape, 3)), TINT * region[..., None]], -1)


def dots(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """The points: inner ones black, outer ones rings."""
    for look, side in ((INNER, 1), (OUTER, -1)):
        ax.plot(*x[y == side].T, linestyle="none", ms=3, **look)


def ways(ax: Axes, paths: np.ndarray, y: np.ndarray, line: np.ndarray) -> None:
    """Paths (times, n, 2) with their ends as points, and the line at which the head is undecided."""
    for colour, look, side in ((OUTER_LINE, OUTER, -1), (INK, INNER, 1)):
        own = paths[:, y == side]
        ax.plot(*own.transpose(2, 0, 1), "-", color=colour, lw=0.6, alpha=0.8)
        ax.plot(*own[-1].T, linestyle="none", ms=4, **look)
    low, high = paths.min((0, 1)), paths.max((0, 1))
    half = 0.55 * float((high - low).max())
    ax.plot(*line.T, "--", color=INK, lw=1)
    middle = (low + high) / 2
    ax.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
