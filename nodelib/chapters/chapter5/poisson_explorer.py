"""The explorer of chapter 5's events: a latent ODE is given some events of a sequence, and others surprise it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ipywidgets import Dropdown, FloatSlider, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.models.trained_poisson import END
from nodelib.workbook.live import Live
from nodelib.workbook.style import INK, LOOKS, book, label, moving, text_colour

from .poisson_figures import line
from .surprise import CONSTANT, FAMILY, KNOWN, MODEL, TRUE, Sequences, Surprise, sequences

DRAWN: dict[str, Any] = {
    TRUE: {"color": INK, "ls": "-", "lw": 1.8},
    KNOWN: {"color": INK, "ls": ":", "lw": 1.4},
    MODEL: line("latent ODE") | {"linestyle": "--", "lw": 1.8},
    CONSTANT: line("constant") | {"lw": 1.4},
}
GIVEN, KEPT = LOOKS["adjoint"].colour, LOOKS["data"].colour


def describe_surprise(s: Surprise) -> str:
    """The sentence under ``surprise``."""
    which = "half of the events" if s.what == "half" else "the events before t = 5"
    cost = {name: round(score, 2) + 0.0 for name, score in s.scores.items()}
    each = f"{MODEL} {cost[MODEL]:.2f} nats each, the {TRUE} {cost[TRUE]:.2f}, who knows all but φ {cost[KNOWN]:.2f}"
    luck = " By luck, the true λ is not the cheapest here." if cost[TRUE] > min(cost.values()) else ""
    unlike = "" if abs(s.depth - FAMILY.depth) < 0.01 else f" It was trained on a depth of {FAMILY.depth} alone."
    more = np.log(FAMILY.mean / s.low)
    return (
        f"Given {which}, {len(s.given)} of {len(s.given) + len(s.kept)}: the others cost the {each}, the constant "
        f"{cost[CONSTANT]:.2f}.{luck} What surprises the latent ODE most is the event at t = {s.worst:.2f}: its λ is "
        f"{s.low:.2f} there, and the event costs it {abs(more):.2f} nats {'more' if more > 0 else 'less'} than the "
        f"constant.{unlike}"
    )


def surprise(number: str = "5.10", numbers: Sequences | None = None) -> Live[Surprise]:
    """What the model expects after some events of a sequence, and how the others surprise it. Figure ``number``; by
    default of the trained models."""
    numbers = sequences() if numbers is None else numbers
    with book():
        fig = Figure(figsize=(8.8, 3.7))
        left, right = fig.subplots(1, 2, width_ratios=[1.2, 1])
        movers = [_intensity(left, numbers.t.numpy()), _surprise(right)]
    choices = [("half of the events", "half"), ("those before t = 5", "past")]
    controls = {
        "what": Dropdown(options=choices, value="half", description="given"),
        "phase": FloatSlider(value=0.3, min=0, max=0.95, step=0.05, description="phase φ/2π", readout_format=".2f"),
        "depth": FloatSlider(value=0.9, min=0, max=0.9, step=0.1, description="depth", readout_format=".1f"),
        "number": IntSlider(value=min(11, numbers.series - 1), min=0, max=numbers.series - 1, description="draw"),
    }
    return Live(fig, controls, numbers.at, movers, lambda s: f"Figure {number}. {describe_surprise(s)}")


def _intensity(ax: Axes, t: np.ndarray) -> Callable[[Surprise], None]:
    """Intensities; below them the events, and a ring around the one that surprises the model most."""
    ax.set(xlim=(0, END), ylim=(-2.4, 11.5), yticks=[0, 4, 8], xlabel="t", ylabel="λ", title="intensity, and events")
    lines = {name: moving(ax, label=name, **look) for name, look in reversed(DRAWN.items())}
    begin = moving(ax, "-", color=KEPT, lw=0.8)
    ticks = [moving(ax, "|", color=colour, ms=8, mew=1.3) for colour in (GIVEN, KEPT)]
    ring = moving(ax, "o", color=LOOKS["odenet"].colour, ms=11, mfc="none", mew=1.5)
    for name, height, colour in (("given", -0.7, GIVEN), ("others", -1.7, KEPT)):
        label(ax, name, (END, height), colour, fontsize=8.5)
    ax.legend(
        *zip(*((lines[name], name) for name in DRAWN), strict=True),
        loc="upper right",
        ncols=2,
        fontsize=8.5,
        borderpad=0,
        handlelength=2,
    )

    def move(s: Surprise) -> None:
        for name, each in lines.items():
            each.set_data(t, s.rates[name])
        begin.set_data([s.task.scored[0]] * 2, [-2.4, 9])
        for each, at, height in zip(ticks, (s.given, s.kept), (-0.7, -1.7), strict=True):
            each.set_data(at, np.full(len(at), height))
        ring.set_data([s.worst], [-1.7])

    return move


def _surprise(ax: Axes, low: float = -13, high: float = 10) -> Callable[[Surprise], None]:
    """The surprise until each time less the constant's, with the ring at the same event; where the model's leaves the
    axes, how far it goes."""
    ax.axhline(0, **DRAWN[CONSTANT])
    ax.set(xlim=(0, END), ylim=(low, high), xlabel="t", ylabel="nats; below 0 is better")
    ax.set_title("surprise so far, less the constant's")
    lines = {name: moving(ax, **DRAWN[name]) for name in (KNOWN, TRUE, MODEL)}
    lines[MODEL].set_linestyle("-")  # dashes and jumps do not go together
    ring = moving(ax, "o", color=LOOKS["odenet"].colour, ms=11, mfc="none", mew=1.5)
    beyond = ax.text(0.02, 0.03, "", transform=ax.transAxes, fontsize=9, animated=True)
    beyond.set_color(text_colour(LOOKS["odenet"].colour))

    def move(s: Surprise) -> None:
        for name, each in lines.items():
            each.set_data(s.t, s.passed[name])
        after = np.searchsorted(s.t, s.worst, side="right") - 1
        ring.set_data([s.worst], [s.passed[MODEL][after]])
        most = s.passed[MODEL].max()
        beyond.set_text(f"{MODEL}: up to {most:.0f} nats" if most > high else "")

    return move
