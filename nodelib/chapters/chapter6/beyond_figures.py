"""The figure of box 6.14: energy that is kept or lost, and a path's sense, told as it is observed."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from nodelib.chapters.chapter6.beyond import CDE, STEPPERS, Turns
from nodelib.workbook.style import BLUE, GREY, LOOKS, PURPLE, RED, book, label

LINES = {"leapfrog": (PURPLE, "-"), "rk4": (LOOKS["rk4"].colour, LOOKS["rk4"].line)}
NAMES = {"leapfrog": "leapfrog", "rk4": "RK4"}


def beyond(drifts: dict[str, Tensor], every: float, models: CDE, data: Turns, shown: int = 12) -> Figure:
    """Left: |H - H(0)| through time of ten Hamiltonian networks, ``drifts`` by method, as far as it came. Right: the
    logit of some series of the first model after each of their observations, coloured by their sense."""
    with book():
        fig = Figure(figsize=(7.6, 3.5))
        left, right = fig.subplots(1, 2)
        for method, values in drifts.items():
            _so_far(left, method, values, every * STEPPERS[method][1])
        left.set(xscale="log", yscale="log", xlabel="t", title="error of the energy, the largest so far")
        left.margins(y=0.12)
        _logits(right, models, data, shown)
    return fig


def _so_far(ax: Axes, method: str, values: Tensor, h: float) -> None:
    largest = values.cummax(0).values.numpy()
    t = h * np.arange(1, len(largest) + 1)
    keep = np.unique(np.geomspace(1, len(t), 200).astype(int)) - 1
    colour, dashes = LINES[method]
    ax.plot(t[keep], np.median(largest[keep], 1), color=colour, linestyle=dashes)
    ax.fill_between(t[keep], largest[keep].min(1), largest[keep].max(1), color=colour, alpha=0.2, linewidth=0)
    label(ax, NAMES[method], (t[-1], float(np.median(largest[-1]))), colour, shift=(-4, 9), ha="right")


@torch.no_grad()
def _logits(ax: Axes, models: CDE, data: Turns, shown: int) -> None:
    logits = models(data.x)[:, 0, :shown].numpy()  # (observations, series)
    sense = data.sense[0, :shown].numpy()
    for i in range(shown):
        ax.plot(range(1, len(logits) + 1), logits[:, i], color=BLUE if sense[i] > 0 else RED, linewidth=1,
                linestyle="-" if sense[i] > 0 else ":")  # fmt: skip
    ax.axhline(0, color=GREY, linewidth=1)
    label(ax, "one way round", (0.02, 0.95), BLUE, xycoords="axes fraction")
    label(ax, "the other", (0.02, 0.05), RED, xycoords="axes fraction")
    ax.set(xlabel="observations so far", title="a neural CDE's logit", xlim=(1, len(logits)))
