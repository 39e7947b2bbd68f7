"""Chapter 4's pictures of a density that a map carries: one dimension, the plane, and many small steps."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from nodelib.models.flows import CNF, base_log_prob
from nodelib.workbook.style import INK, LOOKS, PURPLE, book, label, look, plain_ticks

from .figures import bare, picture
from .numbers import on_plane, plane


class Map(NamedTuple):
    """z -> y(z) on the line, its slope dy/dz, and what the picture calls it."""

    y: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    title: str


def normal_density(z: np.ndarray) -> np.ndarray:
    """The density of the standard normal distribution."""
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def one_dimension(maps: Sequence[Map], draws: int = 100_000) -> Figure:
    """Each map above; below it a histogram of mapped normal draws, and the formula p(z)/|dy/dz| at y(z)."""
    z = np.linspace(-4, 4, 2001)
    sample = np.random.default_rng(0).normal(size=draws)
    with book():
        fig = Figure(figsize=(7.6, 4.4))
        axes = fig.subplots(2, len(maps), sharex="col", height_ratios=[1, 1.15])
        for (above, below), one in zip(axes.T, maps, strict=True):
            y, slope = one.y(z), np.abs(one.slope(z))
            above.plot(y, z, color=INK)
            above.set_title(one.title)
            below.hist(one.y(sample), 120, range=(-4, 4), density=True, color=LOOKS["data"].colour, alpha=0.55)
            below.plot(y, np.where(slope > 0.02, normal_density(z) / slope, np.nan), color=PURPLE, lw=1.5)
            below.set(xlim=(-4, 4), ylim=(0, 0.8), xlabel="y")
        axes[0, 0].set_ylabel("z")
        axes[1, 0].set_ylabel("density")
        label(axes[1, 0], "p(z) / |dy/dz|", (0, 0.26), PURPLE, shift=(0, 0), ha="center")
        label(axes[1, 0], "histogram of y", (0, 0.06), "#555555", shift=(0, 0), ha="center")
    return fig


@torch.no_grad()
def on_grid(model: CNF, t: float, reach: float = 3.8, side: int = 100) -> tuple[np.ndarray, float]:
    """The model's density at time t on a grid over [-reach, reach]², (side, side) with x along its rows, and its
    integral over that square, by the trapezoidal rule."""
    points, line = plane(reach, side), np.linspace(-reach, reach, side)
    density = on_plane((model.pull(points, t)[1] if t > 0 else base_log_prob(points)).exp())
    return density, float(np.trapezoid(np.trapezoid(density, line), line))


def carried(densities: Mapping[float, np.ndarray], reach: float = 3.8, shown: float = 3.4) -> Figure:
    """Densities of ``on_grid`` by their times, side by side; brightness goes with the square root, on one scale."""
    brightest = max(float(density.max()) for density in densities.values())
    with book():
        fig = Figure(figsize=(8.6, 1.75))
        for ax, (t, density) in zip(fig.subplots(1, len(densities)), densities.items(), strict=True):
            extent = (-reach, reach, -reach, reach)
            ax.imshow(density**0.5, origin="lower", extent=extent, vmin=0, vmax=brightest**0.5)
            bare(ax, shown)
            ax.set_title(f"t = {t:g}", fontsize=10)
    return fig


def sum_of_log_dets(velocity: Callable[[float, Tensor], Tensor], z: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """z after n Euler steps from t = 0 to 1, and the sum of log |det ∂z_next/∂z| over the steps, with the Jacobian of
    each step by automatic differentiation; for one point z (D,)."""
    total = z.new_zeros(())
    for k in range(n):

        def step(x: Tensor, k: int = k) -> Tensor:
            return x + velocity(k / n, x) / n

        total = total + torch.linalg.slogdet(torch.func.jacrev(step)(z))[1]
        z = step(z)
    return z, total


def halving(steps: Sequence[int], errors: Mapping[str, Sequence[float]]) -> Figure:
    """Errors against the number of steps, and a line that halves when the steps double."""
    looks: dict[str, dict[str, Any]] = {
        name: look(key, points=True) for name, key in zip(errors, ("euler", "odenet"), strict=False)
    }
    with book():
        fig = Figure(figsize=(5.6, 3.2))
        ax = fig.subplots()
        for name, found in errors.items():
            ax.loglog(steps, found, label=name, **looks[name])
        first = next(iter(errors.values()))[0]
        ax.loglog(steps, 2 * first * steps[0] / np.array(steps), "-", color="#999999", lw=1, label="halves")
        ax.set(xlabel="Euler steps n", ylabel="largest error", xlim=(steps[0], steps[-1]))
        plain_ticks(ax.xaxis, steps)
        ax.legend()
    return fig


def side_by_side(log_ps: Mapping[str, Callable[[Tensor], Tensor]], reach: float = 4.0, side: int = 90) -> Figure:
    """Densities exp(log p) by their titles, one beside the other, each as bright as it can be."""
    with book():
        fig = Figure(figsize=(2.9 * len(log_ps), 3.1))
        for ax, (title, log_p) in zip(fig.subplots(1, len(log_ps), squeeze=False)[0], log_ps.items(), strict=True):
            picture(ax, log_p, reach, side)
            ax.set_title(title)
    return fig


def pairs_and_paths(pairs: Tensor, paths: np.ndarray, reach: float = 2.8) -> Figure:
    """Straight lines of pairs, rows (z0, x1, t), and paths (times, points, 2); a dot at each end."""
    lines = torch.stack([pairs[:, :2], pairs[:, 2:4]]).numpy()
    with book():
        fig = Figure(figsize=(7.0, 3.5))
        for ax, z, title in zip(fig.subplots(1, 2), (lines, paths), ("pairs", "the flow"), strict=True):
            ax.plot(z[..., 0], z[..., 1], "-", color=LOOKS["odenet"].colour, lw=0.9, alpha=0.8)
            ax.plot(*z[0].T, ".", color=LOOKS["data"].colour, ms=5)
            ax.plot(*z[-1].T, ".", color=INK, ms=5)
            bare(ax, reach)
            ax.set_title(title)
    return fig
