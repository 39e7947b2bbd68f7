"""A picture of the bridge that a continuous flow leaves between two modes."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from nodelib.data.toy2d import two_gaussians
from nodelib.models.flows import one_of
from nodelib.workbook.style import INK, LOOKS, book, label, plain_ticks

LOWEST = -8  # of the decades that the images tell apart
LOG10 = math.log(10)


@torch.no_grad()
def bridges(record: Mapping[str, Any], models: Mapping[int, Any], side: int = 120) -> Figure:
    """log₁₀ of the densities, targets above flows, and the pass's height and the evaluations against the distance.

    models: by the distance in standard deviations, the module of all seeds; shown is the seed whose pass is in the
            middle.
    """
    rows = {row["ratio"]: row for row in record["runs"]}
    with book():
        fig = Figure(figsize=(8.8, 3.4))
        axes = fig.subplots(2, 1 + len(models), width_ratios=[1] * len(models) + [1.15])
        for column, (ratio, many) in enumerate(models.items()):
            row = rows[ratio]
            target = two_gaussians(record["noise"], row["distance"])
            one = one_of(many, middle(row["saddle"]))
            decades(axes[0, column], target.log_prob, side)
            decades(axes[1, column], lambda x, one=one: one.pull(x)[1], side)
            axes[0, column].set_title(f"a = {ratio} σ", fontsize=10)
        axes[0, 0].set_ylabel("target", fontsize=9.5)
        axes[1, 0].set_ylabel("flow", fontsize=9.5)
        bar = fig.colorbar(axes[0, 0].images[0], ax=axes[:, : len(models)], aspect=30)
        bar.set_label("log₁₀ p; dark: this or less", fontsize=9)
        _heights(axes[0, -1], rows)
        _evaluations(axes[1, -1], rows)
    return fig


def middle(values: list[float]) -> int:
    """The number of the value that is the median, the upper one of two."""
    return int(np.argsort(values)[len(values) // 2])


def decades(ax: Axes, log_p: Any, side: int, reach: tuple[float, float] = (4.2, 3.0)) -> None:
    """log₁₀ p over ±reach as an image without ticks, cut off at ``LOWEST``."""
    x1, x2 = (torch.linspace(-r, r, side) for r in reach)
    x = torch.stack(torch.meshgrid(x1, x2, indexing="xy"), -1)
    height: Tensor = log_p(x.reshape(-1, 2)).reshape(side, side).double() / LOG10
    extent = (-reach[0], reach[0], -reach[1], reach[1])
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.imshow(height.clamp_min(LOWEST).numpy(), origin="lower", extent=extent, vmin=LOWEST, vmax=0)


def _heights(ax: Axes, rows: Mapping[int, Mapping[str, Any]]) -> None:
    ratios, drawn = list(rows), LOOKS["odenet"]
    target = [row["target"]["saddle"] / LOG10 for row in rows.values()]
    ax.plot(ratios, target, color=INK, linestyle=LOOKS["truth"].line, marker=LOOKS["truth"].marker)
    label(ax, "target", (ratios[-2], target[-2]), INK, shift=(-8, -4))
    _seeds(ax, {ratio: [height / LOG10 for height in row["saddle"]] for ratio, row in rows.items()})
    label(
        ax, "flow, ten seeds", (ratios[-1], np.median(rows[ratios[-1]]["saddle"]) / LOG10), drawn.colour, shift=(-4, 14)
    )
    ax.set(ylabel="log₁₀ p at pass")
    plain_ticks(ax.xaxis, ratios)


def _evaluations(ax: Axes, rows: Mapping[int, Mapping[str, Any]]) -> None:
    _seeds(ax, {ratio: row["nfe"] for ratio, row in rows.items()})
    ax.set(xlabel="a / σ", ylabel="evaluations, 1e-5")
    ax.set_ylim(0, 1.1 * max(max(row["nfe"]) for row in rows.values()))
    plain_ticks(ax.xaxis, list(rows))


def _seeds(ax: Axes, values: Mapping[int, list[float]]) -> None:
    """The median as a line, each seed as a point."""
    drawn = LOOKS["odenet"]
    ax.plot(list(values), [np.median(each) for each in values.values()], color=drawn.colour, linestyle=drawn.line)
    for ratio, each in values.items():
        ax.plot([ratio] * len(each), each, drawn.marker, color=drawn.colour, ms=3.5)
