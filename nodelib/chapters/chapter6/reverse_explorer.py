"""The explorer "reverse error": a solve there, and the way back from where it ended."""

from collections.abc import Callable

import numpy as np
from ipywidgets import SelectionSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.workbook.controls import wide_slider
from nodelib.workbook.live import Live
from nodelib.workbook.style import GREY, INK, LOOKS, book, moving

from .reverse import Trip, Trips, truth

THERE, BACK = LOOKS["dopri5"].colour, LOOKS["adjoint"].colour
NAMES = {"dopri5": "dopri5", "rk4": "RK4", "reversible_heun": "reversible Heun", "reversible_rk4": "reversible RK4"}
LOW, HIGH, CLIP = 1e-17, 1e16, (-1.0, 3.0)  # of the errors shown, above which is the legend; of the states
FINE = np.linspace(0, 1, 201)


def describe_reverse(s: Trip) -> str:
    """The sentence under ``reverse``."""
    if s.failed:
        home = "and the way back was given up"
    elif s.missed < 1e-15:
        home = "and y(0) comes back to the last digit"
    else:
        home = f"and y(0) = 2 comes back off by {s.missed:.1e}"
    verdict = {
        (True, True): "Both ways are good.",
        (True, False): "The way there is good, and the way back is not.",
        (False, True): "The way back undoes every step, and the solve itself is wrong.",
        (False, False): "Neither way is good.",
    }[s.off < 0.01, s.missed < 0.01]
    at = f"at tolerance {s.tol:.0e}" if s.method == "dopri5" else f"with what dopri5 takes at {s.tol:.0e}"
    return (
        f"λ = {s.rate:g}, {NAMES[s.method]} {at}, {s.nfe} evaluations: y(1) is off by {s.off:.1e}, {home}. An exact "
        f"way back multiplies an error of y(1) by e^λ = {np.exp(s.rate):.1e}. {verdict}"
    )


def reverse(number: str = "6.8", numbers: Trips | None = None) -> Live[Trip]:
    """States there and back, and their errors. Figure ``number``."""
    numbers = Trips() if numbers is None else numbers
    with book():
        fig = Figure(figsize=(8.8, 3.5))
        left, right = fig.subplots(1, 2)
        movers = [_states(left), _errors(right)]
    tolerances = [(f"{tol:.0e}", tol) for tol in numbers.tolerances]
    controls = {
        "rate": SelectionSlider(options=[(f"{r:g}", r) for r in numbers.rates], value=10.0, description="λ"),
        "tol": SelectionSlider(options=tolerances, value=1e-3, description="tolerance"),
        "method": wide_slider("method", [(NAMES[m], m) for m in numbers.methods], "dopri5", "22em"),
    }
    return Live(fig, controls, numbers.at, movers, lambda s: f"Figure {number}. {describe_reverse(s)}")


def _states(ax: Axes) -> Callable[[Trip], None]:
    """The exact solution, the solve there, and the way back, which may leave the axes."""
    ax.set(xlim=(0, 1), ylim=CLIP, xlabel="t", ylabel="y", title="there, and back")
    exact = moving(ax, color=INK, linestyle="-", lw=1.2)
    there = moving(ax, color=THERE, linestyle="-", lw=2.4, alpha=0.7)
    back = moving(ax, color=BACK, linestyle="--", lw=2)
    ax.legend([exact, there, back], ["exact", "there", "back"], loc="lower right", ncols=3, fontsize=9, borderpad=0)

    def move(s: Trip) -> None:
        exact.set_data(FINE, truth(s.rate, FINE))
        for line, y in ((there, s.there), (back, s.back)):
            line.set_data(s.t, np.clip(y, -1e3, 1e3))

    return move


def _errors(ax: Axes) -> Callable[[Trip], None]:
    """How far the solve is from the exact solution, and the way back from the way there."""
    ax.set(yscale="log", xlim=(0, 1), ylim=(LOW, 1e7 * HIGH), xlabel="t", title="errors")
    ax.set_yticks([1e-16, 1e-12, 1e-8, 1e-4, 1, 1e4, 1e8, 1e12])
    there = moving(ax, color=THERE, linestyle="-", lw=2)
    back = moving(ax, color=BACK, linestyle="--", lw=2)
    growth = moving(ax, color=GREY, linestyle=":", lw=1.4)
    names = ["there, from exact", "back, from there", "end's error × e^(λ(1 − t))"]
    ax.legend([there, back, growth], names, loc="upper right", fontsize=8.5, borderpad=0)

    def move(s: Trip) -> None:
        there.set_data(s.t, np.clip(np.abs(s.there - truth(s.rate, s.t)), LOW, HIGH))
        back.set_data(s.t, np.clip(np.abs(s.back - s.there), LOW, HIGH))
        growth.set_data(FINE, np.clip(s.off * np.exp(s.rate * (1 - FINE)), LOW, HIGH))

    return move
