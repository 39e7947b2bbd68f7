"""The explorer of chapter 0: a first slider. Many small blocks, each adding its share of the state, become a curve."""

from typing import NamedTuple

import numpy as np
from ipywidgets import IntSlider
from matplotlib.figure import Figure

from nodelib.workbook.live import Live, counted
from nodelib.workbook.style import INK, RED, book, label, look, moving

MOST = 24


class Stack(NamedTuple):
    """States ``h`` before the first block and after each, at depths ``t`` from 0 to 1; both of shape (blocks + 1,)."""

    t: np.ndarray
    h: np.ndarray


def stack(blocks: int) -> Stack:
    """``blocks`` residual blocks h ← h + h / blocks from h = 1: Euler's method for h' = h with step size 1 / blocks."""
    h = np.ones(blocks + 1)
    for k in range(blocks):
        h[k + 1] = h[k] + h[k] / blocks
    return Stack(np.linspace(0, 1, blocks + 1), h)


def describe(numbers: Stack) -> str:
    blocks = len(numbers.t) - 1
    steps = counted(blocks, "block takes", "blocks take")
    return f"Figure 0.1. {steps} h from 1 to {numbers.h[-1]:.3f}; the curve h' = h goes to e = {np.e:.3f}."


def blocks() -> Live[Stack]:
    """The states after each block beside the curve that they approach; the slider sets the number of blocks."""
    with book():
        fig = Figure(figsize=(7.0, 3.2))
        ax = fig.subplots()
        t = np.linspace(0, 1, 200)
        ax.plot(t, np.exp(t), **look("truth"))
        label(ax, "the curve h' = h", (t[120], np.exp(t[120])), INK, shift=(-8, 8))
        line = moving(ax, **look("euler", points=True))
        name = label(ax, "the blocks", (0, 0), RED, shift=(8, -10), animated=True)
        ax.set(xlabel="depth t", ylabel="state h", xlim=(-0.03, 1.03), ylim=(0.9, 2.85))

    def draw(numbers: Stack) -> None:
        line.set_data(numbers.t, numbers.h)
        name.xy = 0.6, np.interp(0.6, numbers.t, numbers.h)

    slider = IntSlider(value=2, min=1, max=MOST, description="blocks")
    return Live(fig, {"blocks": slider}, stack, draw, describe)
