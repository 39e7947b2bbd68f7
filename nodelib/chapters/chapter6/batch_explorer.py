"""The explorer "batch coupling": a few odd samples in a batch, and what the joint step costs both kinds."""

from collections.abc import Callable

import numpy as np
from ipywidgets import SelectionSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.workbook.live import Live, counted
from nodelib.workbook.style import GREY, INK, LOOKS, book, label, moving

from .batch import TIMES, TOLERANCE, Coupled, Coupling

ODD, ORDINARY = LOOKS["euler"].colour, LOOKS["dopri5"].colour
LOWEST = 1e-13  # of the errors shown; the legend is below


def describe_coupling(c: Coupled) -> str:
    """The sentence under ``coupling``."""
    odd, ordinary = c.alone
    who = "all are odd" if c.odd == c.batch else f"{c.odd:,} odd, {c.batch - c.odd:,} ordinary (λ = 1)"
    worst, own = c.joint.worst[0], odd.worst[0]
    told = (
        f"{counted(c.batch, 'sample') if c.batch < 1000 else f'{c.batch:,} samples'}, {who}; odd ones have λ = "
        f"{c.rate:g}. Jointly each takes {c.joint.nfe} evaluations, alone an odd one {odd.nfe} and an ordinary one "
        f"{ordinary.nfe}: the work of separate solves times {c.work:.2g}. An odd one's largest error is {worst:.1e}, "
        f"and {own:.1e} alone"
    )
    if c.odd == c.batch:
        return told + "."
    easy, alone = c.joint.worst[1], ordinary.worst[0]
    return f"{told}; an ordinary one's is {easy:.1e}, and {alone:.1e} alone."


def coupling(number: str = "6.4", numbers: Coupling | None = None) -> Live[Coupled]:
    """Errors of both kinds over time, jointly and alone, and evaluations. Figure ``number``."""
    numbers = Coupling() if numbers is None else numbers
    with book():
        fig = Figure(figsize=(8.8, 3.5))
        left, right = fig.subplots(1, 2, width_ratios=[1.7, 1])
        movers = [_errors(left), _evaluations(right)]
    sizes = [(f"{n:,}", n) for n in numbers.odds]
    controls = {
        "rate": SelectionSlider(options=[(f"{r:g}", r) for r in numbers.rates], value=50.0, description="odd λ"),
        "odd": SelectionSlider(options=sizes, value=1, description="odd ones"),
        "batch": SelectionSlider(options=sizes, value=10_000, description="batch"),
    }
    return Live(fig, controls, numbers.at, movers, lambda c: f"Figure {number}. {describe_coupling(c)}")


def _errors(ax: Axes) -> Callable[[Coupled], None]:
    """|z - exact| over time: jointly full, alone dashed; and the tolerance."""
    ax.set(
        yscale="log", xlim=(0, 2), ylim=(LOWEST / 1e4, 1), xlabel="t", ylabel="|z − exact|", title="error of a sample"
    )
    ax.set_yticks([1e-13, 1e-10, 1e-7, 1e-4, 1e-1])
    ax.axhline(TOLERANCE, color=GREY, linestyle=":", linewidth=1.2)
    label(ax, "tolerance", (2, TOLERANCE), GREY, shift=(3, 0), fontsize=9)
    looks = ((ODD, "-", 1.8), (ORDINARY, "-", 1.8), (ODD, "--", 1.1), (ORDINARY, "--", 1.1))
    lines = [moving(ax, color=colour, linestyle=style, lw=lw) for colour, style, lw in looks]
    names = ("odd, jointly", "ordinary, jointly", "odd, alone", "ordinary, alone")
    ax.legend(lines, names, loc="lower center", ncols=2, fontsize=8.5, borderpad=0)

    def move(c: Coupled) -> None:
        joint = c.joint.error.copy()
        if c.odd == c.batch:
            joint[:, 1] = np.nan
        errors = (joint[:, 0], joint[:, 1], c.alone[0].error[:, 0], c.alone[1].error[:, 0])
        for line, error in zip(lines, errors, strict=True):
            line.set_data(TIMES.numpy(), np.maximum(error, LOWEST))

    return move


def _evaluations(ax: Axes) -> Callable[[Coupled], None]:
    """Evaluations of f: what a sample takes in the batch, and either kind alone."""
    ax.set(xscale="log", xlim=(10, 2000), ylim=(-0.6, 2.6), title="evaluations a sample")
    ax.set_yticks([2, 1, 0], ["jointly", "odd, alone", "ordinary,\nalone"])
    ax.grid(visible=False, axis="y")
    bars = [moving(ax, color=colour, linestyle="-", lw=12, solid_capstyle="butt") for colour in (INK, ODD, ORDINARY)]
    texts = [ax.text(0, 0, "", va="center", fontsize=9.5, animated=True) for _ in bars]

    def move(c: Coupled) -> None:
        counts = (c.joint.nfe, c.alone[0].nfe, c.alone[1].nfe)
        for bar, text, count, y in zip(bars, texts, counts, (2, 1, 0), strict=True):
            bar.set_data([10, count], [y, y])
            text.set_position((count * 1.1, y))
            text.set_text(f"{count}")

    return move
