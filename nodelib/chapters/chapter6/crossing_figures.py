"""Figure 6.5: two solutions from one start, and x to -x without and with one dimension more."""

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from nodelib.torch_ode import odeint
from nodelib.workbook.style import GREY, INK, LOOKS, book, label

from .crossing import TIMES, Reflected, leaves, paths, root

STARTS = np.linspace(-1, 1, 9)


def crossings(found: Mapping[str, Reflected], seed: int = 0) -> Figure:
    """Peano's solutions; a plain network's paths on the line; those of one with a dimension more, in its plane."""
    x = torch.tensor(STARTS)[:, None]
    with book():
        fig = Figure(figsize=(9.2, 3.2))
        left, middle, right = fig.subplots(1, 3)
        _peano(left)
        plain, more = (paths(found[way].models, seed, x) for way in ("plain", "one dimension more"))
        times = np.linspace(0, 1, TIMES)
        for i, colour in enumerate(shades(STARTS)):
            middle.plot(times, plain[:, i, 0], "-", color=colour, lw=1.4)
            middle.plot(1, -STARTS[i], "_", color=colour, ms=11, mew=2, clip_on=False)
            right.plot(*more[:, i].T, "-", color=colour, lw=1.4)
            right.plot(*more[0, i], "o", color=colour, ms=4, mfc="white")
            right.plot(*more[-1, i], "o", color=colour, ms=5)
        middle.set(xlim=(0, 1.03), xlabel="t", ylabel="x", title="plain (bars: where to go)")
        right.set(xlabel="x", ylabel="the dimension added", title="one dimension more")
    return fig


def shades(values: np.ndarray) -> list[tuple[float, ...]]:
    """A colour for each start, from a pale grey at the lowest to ink at the highest."""
    share = (values - values.min()) / np.ptp(values)
    pale, ink = np.array(to_rgb("#c4c4c4")), np.array(to_rgb(INK))
    return [tuple(pale + part * (ink - pale)) for part in share]


def _peano(ax: Axes) -> None:
    """Solutions of z' = z^(1/3) from 0, and solved from a start a little beside."""
    t = torch.linspace(0, 1, 41).double()
    z = odeint(root, torch.tensor([1e-12, -1e-12]).double(), t, rtol=1e-9, atol=1e-15)
    for late in (0.0, 0.25, 0.5, 0.75):
        times = np.linspace(late, 1, 40)
        ax.plot(times, leaves(times - late), "-", color=GREY, lw=1)
    ax.axhline(0, color=GREY, lw=1)
    ax.plot(t, z[:, 0], color=LOOKS["dopri5"].colour, lw=2, linestyle="--")
    ax.plot(t, z[:, 1], color=LOOKS["dopri5"].colour, lw=2, linestyle="--")
    for text, at in (("from 1e-12", (0.58, 0.36)), ("from -1e-12", (0.58, -0.36))):
        label(ax, text, at, LOOKS["dopri5"].colour, shift=(-3, 0))
    label(ax, "all of these begin at 0", (0.98, -0.06), GREY, shift=(0, 0), ha="right")
    ax.set(xlim=(0, 1), xlabel="t", ylabel="z", title="z' = z^(1/3)")
