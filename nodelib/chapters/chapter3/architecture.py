"""Chapter 3's first picture: the two networks, which differ between the stem and the head that they share."""

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from nodelib.data.sample import mnist_sample
from nodelib.models.odenet import ODENet
from nodelib.models.resnet import ResNet, parameter_count
from nodelib.models.table1 import trained
from nodelib.torch_ode import solve
from nodelib.workbook.style import BLUE, GREY, INK, RED, book, text_colour

from .numbers import RUN

WIDTH, HEIGHT = 8.8, 3.8  # inches; so are all lengths below
UPPER, MIDDLE, LOWER = 2.95, 1.9, 0.85  # the heights of ResNet, of what both share, of ODE-Net
LEFT, RIGHT = 4.0, 7.45  # where the lanes of the two begin and end
STAGES = ((0.52, 28), (1.62, 26), (2.58, 13), (3.4, 6))  # a place in the stem, and the side of the images there
LAYERS = ("conv\n3 × 3", "conv 4 × 4\nstride 2", "conv 4 × 4\nstride 2")
SMALL = 8.8  # points
IMAGE = 35  # of the sample


def architecture() -> Figure:
    """ResNet above, ODE-Net below, with the stem and the head that they share between them. Parameters are counted."""
    resnet, odenet = ResNet(), ODENet()
    parts = {name: parameter_count(part) for name, part in resnet.named_children()}
    blocks, field = len(resnet.body), parameter_count(odenet.body)  # type: ignore[arg-type]
    with book():
        fig = Figure(figsize=(WIDTH, HEIGHT))
        fig.set_layout_engine("none")
        ax = fig.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
        ax.axis("off")
        _stem(ax, f"stem: {parts['stem']:,} parameters")
        _head(ax, f"head:\n{parts['head']:,} parameters")
        _lane(ax, UPPER, RED, f"ResNet: {blocks} blocks of {parts['body'] // blocks:,} parameters, h ← h + g(h)")
        _lane(ax, LOWER, BLUE, f"ODE-Net: one field of {field:,} parameters, dz/dt = f(t, z)")
        _text(ax, ((LEFT + RIGHT) / 2, MIDDLE), "the two differ here, and nowhere else", color="#666666")
        _blocks(ax, blocks)
        _flow(ax)
        for y, colour, net in ((UPPER, RED, resnet), (LOWER, BLUE, odenet)):
            _text(ax, (8.15, y), f"in all\n{parameter_count(net):,}", color=text_colour(colour), fontsize=10)
    return fig


def _text(ax: Axes, at: tuple[float, float], text: str, **look: Any) -> None:
    ax.text(*at, text, **{"ha": "center", "va": "center", "fontsize": SMALL, "linespacing": 1.35} | look)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = GREY, **look: Any) -> None:
    shape = {"arrowstyle": "-|>", "mutation_scale": 9, "shrinkA": 0, "shrinkB": 0, "lw": 1.3}
    ax.add_patch(FancyArrowPatch(start, end, color=colour, **shape | look))


def _stem(ax: Axes, text: str) -> None:
    """The image and the three stacks of images that the convolutions make of it, each to scale."""
    digit = mnist_sample().x[IMAGE, 0].numpy()
    for (x, side), (before, pixels) in zip(STAGES[1:], STAGES, strict=False):
        _arrow(ax, (before + 0.015 * pixels + 0.06, MIDDLE), (x - 0.015 * side - 0.04, MIDDLE))
    for i, (x, pixels) in enumerate(STAGES):
        half = 0.015 * pixels
        for shift in (0.08, 0.04, 0.0) if i else (0.0,):
            corner = (x - half + shift, MIDDLE - half + shift)
            ax.add_patch(Rectangle(corner, 2 * half, 2 * half, facecolor="white", edgecolor="#777777", lw=1.1))
        _text(ax, (x, MIDDLE - 0.62), f"{64 if i else 1} × {pixels} × {pixels}")
    (x, pixels), half = STAGES[0], 0.015 * STAGES[0][1]
    ax.imshow(digit, cmap="gray_r", extent=(x - half, x + half, MIDDLE - half, MIDDLE + half), zorder=3, aspect="auto")
    for (before, _), (x, _), layer in zip(STAGES, STAGES[1:], LAYERS, strict=False):
        _text(ax, ((before + x) / 2, MIDDLE + 0.68), layer)
    _text(ax, (1.9, MIDDLE + 1.2), text, fontsize=10)


def _head(ax: Axes, text: str) -> None:
    ax.add_patch(FancyBboxPatch((7.75, MIDDLE - 0.3), 0.8, 0.6, boxstyle="round,pad=0,rounding_size=0.06",
                                facecolor="white", edgecolor="#777777", lw=1.1))  # fmt: skip
    _text(ax, (8.15, MIDDLE), "average,\nlinear")
    _text(ax, (8.15, MIDDLE - 0.5), text)
    for y in (UPPER, LOWER):
        side = np.sign(y - MIDDLE)
        _arrow(ax, (STAGES[-1][0] + 0.2, MIDDLE + 0.06 * side), (LEFT - 0.03, y - 0.2 * side))
        _arrow(ax, (RIGHT + 0.03, y - 0.2 * side), (7.75, MIDDLE + 0.15 * side))


def _lane(ax: Axes, y: float, colour: str, text: str) -> None:
    """A tinted lane for what is a network's own, with its name on the far side."""
    size = (RIGHT - LEFT, 0.9)
    ax.add_patch(FancyBboxPatch((LEFT, y - 0.45), *size, boxstyle="round,pad=0,rounding_size=0.08",
                                facecolor=colour, alpha=0.1, edgecolor="none"))  # fmt: skip
    away = 0.63 * np.sign(y - MIDDLE)
    _text(ax, ((LEFT + RIGHT) / 2, y + away), text, color=text_colour(colour), fontsize=10)


def _blocks(ax: Axes, count: int) -> None:
    """The stream of h, and what each block adds to it."""
    y, room = UPPER - 0.2, (RIGHT - LEFT - 0.2) / count
    _arrow(ax, (LEFT + 0.05, y), (RIGHT - 0.05, y), INK)
    for i in range(count):
        x = LEFT + (i + 1) * room
        start, box = x - 0.42, x - 0.37
        ax.plot([start, start, box], [y, y + 0.36, y + 0.36], "-", color=INK, lw=1.1)
        ax.plot([box + 0.26, x], [y + 0.36, y + 0.36], "-", color=INK, lw=1.1)
        _arrow(ax, (x, y + 0.36), (x, y + 0.07), INK, lw=1.1)
        ax.add_patch(Rectangle((box, y + 0.23), 0.26, 0.26, facecolor="white", edgecolor=RED, lw=1.4, zorder=3))
        _text(ax, (box + 0.13, y + 0.355), f"$g_{i + 1}$", zorder=4)
        ax.add_patch(Circle((x, y), 0.07, facecolor="white", edgecolor=INK, lw=1.1, zorder=3))
        ax.plot([x - 0.04, x + 0.04, np.nan, x, x], [y, y, np.nan, y - 0.04, y + 0.04], "-", color=INK, lw=1, zorder=4)


@torch.no_grad()
def _solved() -> tuple[np.ndarray, np.ndarray]:
    """The score of the right class for the image in the stem, (n, 2) with its t: along the exact path of the trained
    ODE-Net, and at dopri5's evaluations of its field."""
    stem, block, head = trained(RUN)  # type: ignore[misc]
    images, evaluated = mnist_sample(), []

    def score(z: torch.Tensor) -> float:
        return float(head(z[IMAGE : IMAGE + 1])[0, images.y[IMAGE]])

    def field(t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        evaluated.append((float(t), score(z)))
        return block.field(t, z)

    start, times = stem(images.x), np.linspace(0, 1, 41)
    solve(field, start, (0.0, 1.0), **block.settings)
    exact = solve(block.field, start, times, rtol=1e-5, atol=1e-5).y
    return np.array([(t, score(z)) for t, z in zip(times, exact, strict=True)]), np.array(evaluated)


def _flow(ax: Axes) -> None:
    """A solution with the places where dopri5 evaluated its field: a real solve, by the network trained on MNIST."""
    (t, z), (times, states) = (points.T for points in _solved())
    middle, scale = (z.max() + z.min()) / 2, 0.45 / max(np.ptp(z), np.ptp(states))

    def place(t: Any, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return LEFT + 0.15 + (RIGHT - LEFT - 0.3) * t, LOWER + 0.06 + scale * (z - middle)

    ax.plot(*place(t, z), "-", color=BLUE, lw=2)
    ax.plot(*place(times, states), "o", color=INK, ms=3.6)
    for s in (0, 1):
        _text(ax, (LEFT + 0.3 + (RIGHT - LEFT - 0.6) * s, LOWER - 0.33), f"t = {s}")
    _text(ax, ((LEFT + RIGHT) / 2, LOWER - 0.33), f"dots: the solver's {len(times)} evaluations of f")
