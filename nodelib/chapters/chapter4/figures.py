"""Chapter 4's pictures: densities in the plane, how near they come to their floors, and straight and crooked paths."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from nodelib.data.toy2d import POTENTIALS, SHAPES, potential
from nodelib.models.flows import one_of
from nodelib.workbook.style import INK, LOOKS, Look, book, label, look, plain_ticks

from .numbers import on_plane, plane

SHARES = (0.05, 0.2, 0.4, 0.6, 0.8, 1.0)
# A continuous flow is an ODE-Net's look, a stack of layers a residual network's, wherever the book draws them.
FLOW_LOOK = {
    "gated": LOOKS["odenet"],
    "cnf": LOOKS["odenet"],
    "planar": LOOKS["resnet"],
    "timed": Look(LOOKS["odenet"].colour, "--", "o"),
}
FLOW_NAME = {"gated": "CNF, gated units", "cnf": "CNF", "planar": "planar flow", "timed": "CNF, all weights in t"}
WAY_LOOK = {"likelihood": LOOKS["odenet"], "independent": LOOKS["rk4"], "optimal": LOOKS["adjoint"]}
WAY_NAME = {
    "likelihood": "maximum likelihood",
    "independent": "flow matching, independent pairs",
    "optimal": "flow matching, optimal pairs",
}


@torch.no_grad()
def picture(ax: Axes, log_p: Callable[[Tensor], Tensor], reach: float = 4.0, side: int = 120) -> None:
    """exp(log_p) over [-reach, reach]² as an image without ticks, dark where it is zero."""
    density = on_plane(log_p(plane(reach, side)).exp())
    ax.imshow(density, origin="lower", extent=(-reach, reach, -reach, reach))
    bare(ax, reach)


def dots(ax: Axes, x: Tensor, reach: float = 4.0) -> None:
    """Points, without ticks."""
    ax.plot(*x.detach().T.numpy(), ".", color=LOOKS["data"].colour, ms=1.5)
    bare(ax, reach)


def bare(ax: Axes, reach: float) -> None:
    """[-reach, reach]² without ticks, as wide as high."""
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    ax.grid(False)


def density_matching(
    models: Mapping[tuple[str, int], Any], seeds: int, sizes: Sequence[int] = (2, 8, 32), side: int = 120
) -> Figure:
    """Figure 4: each target beside the densities of the first seed, by (flow, size): the modules of all targets and
    seeds."""
    flows = list(dict.fromkeys(flow for flow, _ in models))
    columns = [(flow, size) for flow in flows for size in sizes if (flow, size) in models]
    with book():
        fig = Figure(figsize=(1.15 * (1 + len(columns)), 3.9))
        axes = np.atleast_2d(fig.subplots(len(POTENTIALS), 1 + len(columns), squeeze=False))
        for i, (name, row) in enumerate(zip(POTENTIALS, axes, strict=True)):
            picture(row[0], lambda x, name=name: -potential(name, x), side=side)
            row[0].set_ylabel(name)
            for ax, (flow, size) in zip(row[1:], columns, strict=True):
                one = one_of(models[flow, size], i * seeds)
                picture(ax, lambda x, one=one: one.pull(x)[1], side=side)
        axes[0, 0].set_title("target", fontsize=9)
        for ax, (flow, size) in zip(axes[0, 1:], columns, strict=True):
            letter = "K" if flow == "planar" else "M"
            ax.set_title(f"{'flow' if flow == 'planar' else 'CNF'} {letter} = {size}", fontsize=9)
    return fig


def gaps(runs: Sequence[Mapping[str, Any]], floors: Mapping[str, float], title: str) -> Figure:
    """The loss above the floor against size, a panel a target: the mean over seeds as a line, each seed as a point."""
    with book():
        fig = Figure(figsize=(7.0, 2.9))
        for i, (ax, (name, floor)) in enumerate(
            zip(fig.subplots(1, len(floors), sharey=True), floors.items(), strict=True)
        ):
            for flow in dict.fromkeys(run["flow"] for run in runs):
                own = [run for run in runs if run["flow"] == flow]
                sizes, every = [run["size"] for run in own], [np.array(run["loss"][i]) - floor for run in own]
                drawn = FLOW_LOOK[flow]
                ax.plot(
                    sizes, [g.mean() for g in every], color=drawn.colour, linestyle=drawn.line, label=FLOW_NAME[flow]
                )
                for size, g in zip(sizes, every, strict=True):
                    ax.plot([size] * len(g), g, drawn.marker, color=drawn.colour, ms=3.5)
            ax.set(xscale="log", yscale="log", title=name, xlabel="layers or units")
            plain_ticks(ax.xaxis, sorted({run["size"] for run in runs}))
            if i == 0:
                ax.set_ylabel("KL(q‖p), nats")
        fig.legend(*fig.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9.5)
        fig.suptitle(title, fontsize=11, x=0.01, ha="left")
    return fig


@torch.no_grad()
def likelihood(
    record: Mapping[str, Any], models: Mapping[str, Any], shape: str, reach: float = 2.4, side: int = 120
) -> Figure:
    """Figure 5: density and draws of the seed in the middle, at 5 % to 100 % of the way from the base to the data, with
    its nats above the entropy of the test points."""
    target = SHAPES[shape]()
    noise = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    with book():
        fig = Figure(figsize=(7.0, 4.6))
        axes = fig.subplots(4, 1 + len(SHARES))
        for rows, (flow, many) in zip((axes[:2], axes[2:]), models.items(), strict=True):
            nats = next(run["test"] for run in record["runs"] if (run["flow"], run["shape"]) == (flow, shape))
            one = one_of(many, int(np.argsort(nats)[len(nats) // 2]))
            for column, share in enumerate(SHARES, 1):
                part, more = part_of(one, share)
                picture(rows[0, column], lambda x, part=part, more=more: part.pull(x, *more)[1], reach, side)
                dots(rows[1, column], part.push(noise, *more)[0], reach)
                rows[0, column].set_title(f"{share:.0%}", fontsize=9)
            picture(rows[0, 0], target.log_prob, reach, side)
            dots(rows[1, 0], target.sample(1000, torch.Generator().manual_seed(1)), reach)
            rows[0, 0].set_title("target", fontsize=9)
            rows[0, 0].set_ylabel(FLOW_NAME[flow], fontsize=9)
            above = np.median(nats) - record["shapes"][shape]["test_entropy"]
            rows[1, 0].set_ylabel(f"+{above:.3f} nats", fontsize=9)
    return fig


def part_of(model: Any, share: float) -> tuple[Any, tuple[float, ...]]:
    """The model as far as that ``share`` of the way from the base, and what its push and pull get besides."""
    if hasattr(model, "field"):
        return model, (share,)
    return model.nearest(max(1, round(share * model.w.shape[-2]))), ()


def matching_paths(record: Mapping[str, Any], paths: Mapping[str, np.ndarray]) -> Figure:
    """Paths (times, points, 2) of each way of training, and the error of a few Euler steps on each."""
    with book():
        fig = Figure(figsize=(8.0, 2.6))
        axes = fig.subplots(1, 1 + len(paths), width_ratios=[1] * len(paths) + [1.25])
        steps = list(map(int, record["runs"][0]["euler"]))
        for ax, (way, z) in zip(axes, paths.items(), strict=False):
            ax.plot(z[..., 0], z[..., 1], "-", color=WAY_LOOK[way].colour, lw=0.7, alpha=0.8)
            ax.plot(*z[0].T, ".", color=LOOKS["data"].colour, ms=3)
            ax.plot(*z[-1].T, ".", color=INK, ms=3)
            bare(ax, 2.8)
            ax.set_title(way, fontsize=10)
        for way, drawn in WAY_LOOK.items():
            runs = [run for run in record["runs"] if run["way"] == way]
            errors = np.array([list(run["euler"].values()) for run in runs])
            middle = np.median(errors, 0)
            axes[-1].plot(steps, middle, color=drawn.colour, linestyle=drawn.line, marker=drawn.marker)
            label(axes[-1], way, (steps[-1], float(middle[-1])), drawn.colour, shift=(8, 0), fontsize=8.5)
        axes[-1].set(xscale="log", yscale="log", xlabel="Euler steps", ylabel="RMS error of x(1)")
        plain_ticks(axes[-1].xaxis, steps)
    return fig


def trace_cost(record: Mapping[str, Any]) -> Figure:
    """Milliseconds and the estimates' spread against the dimension."""
    looks = {"f": LOOKS["truth"], "hutchinson": LOOKS["adjoint"], "exact": LOOKS["odenet"], "log-det": LOOKS["resnet"]}
    rows = record["rows"]
    dims = [row["dim"] for row in rows]
    with book():
        fig = Figure(figsize=(7.0, 3.4))
        left, right = fig.subplots(1, 2)
        for name, drawn in looks.items():
            ms = [1e3 * row["seconds"][name] for row in rows]
            left.plot(dims, ms, color=drawn.colour, linestyle=drawn.line, marker=drawn.marker)
            label(left, name, (dims[-1], ms[-1]), drawn.colour, shift=(8, 0))
        left.set(xscale="log", yscale="log", xlabel="dimension D", ylabel="ms for 16 points")
        for kind, key in (("gauss", "adjoint"), ("rademacher", "checkpoint")):
            right.plot(dims, [row["deviation"][kind] for row in rows], label=kind, **look(key, points=True))
        right.plot(dims, [abs(row["trace"]) for row in rows], label="|trace|", **look("truth", points=True))
        right.set(xscale="log", yscale="log", xlabel="dimension D", ylabel="standard deviation of the estimate")
        right.legend(loc="upper left")
        for ax in (left, right):
            ax.set_xlim(dims[0] / 1.15, dims[-1] * 1.15)
            plain_ticks(ax.xaxis, dims[::3])
    return fig
