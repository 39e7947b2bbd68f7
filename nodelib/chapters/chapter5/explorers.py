"""The explorers of chapter 5: a latent ODE on few, noisy and missing observations, and in its latent space."""

from collections.abc import Callable

import numpy as np
from ipywidgets import FloatSlider, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.data.spirals import STEPS
from nodelib.workbook.controls import wide_slider
from nodelib.workbook.live import Live, counted
from nodelib.workbook.style import INK, LOOKS, book, moving, plain_ticks

from .numbers import HORIZON, SENSES, Forecast, LatentPlanes, Observations, Start

MODEL = LOOKS["odenet"].colour
TRUE = "#888888"

# --- observations -----------------------------------------------------------------------------------------------------


def describe_forecast(f: Forecast) -> str:
    """The sentence under ``observations``."""
    after = "" if np.isnan(f.further) else f", and of {f.further:.2f} after it"
    gap = "" if f.gap[0] == f.gap[1] else f", none from t = {f.gap[0]:.2f} to {f.gap[1]:.2f}"
    return (
        f"Spiral {f.spiral}, {counted(len(f.t), 'observation')}{gap}, with noise of {f.noise:.2f}: an RMS error of "
        f"{f.window:.2f} in the window{after}."
    )


def observations(number: str, numbers: Observations) -> Live[Forecast]:
    """What the model draws through some observations of a spiral, and how far off it is. Figure ``number``."""
    with book():
        fig = Figure(figsize=(8.8, 3.6))
        left, right = fig.subplots(1, 2, width_ratios=[1, 1.25])
        movers = [_curve(left), _distance(right, numbers)]
    counts = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)
    controls = {
        "spiral": IntSlider(value=1, min=0, max=numbers.series - 1, description="spiral"),
        "k": wide_slider("observations", [(str(k), k) for k in counts], 30, width="22em"),
        "noise": FloatSlider(value=0.1, min=0, max=1, step=0.1, description="noise", readout_format=".1f"),
        "gap": FloatSlider(value=0, min=0, max=0.8, step=0.1, description="gap", readout_format=".1f"),
        "until": FloatSlider(value=2, min=1, max=HORIZON, step=0.25, description="horizon", readout_format=".2f"),
    }
    return Live(fig, controls, numbers.at, movers, lambda f: f"Figure {number}. {describe_forecast(f)}")


def _curve(ax: Axes, reach: float = 3.6) -> Callable[[Forecast], None]:
    """Observations, the spiral, and what the model draws: a whole line in the window, dashes after it."""
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="x₁", ylabel="x₂", title="in the plane")
    true = moving(ax, "-", color=TRUE, lw=1)
    inside, after = moving(ax, "-", color=MODEL, lw=2), moving(ax, "--", color=MODEL, lw=2)
    dots = moving(ax, ".", color=INK, ms=5)
    outside = ax.text(0.02, 0.02, "", transform=ax.transAxes, fontsize=9, animated=True)

    def move(f: Forecast) -> None:
        true.set_data(*f.clean[: max(f.until, STEPS)].T)
        inside.set_data(*f.found[: STEPS + 1].T)
        after.set_data(*f.found[STEPS : f.until].T)
        dots.set_data(*f.x.T)
        count = int((np.abs(f.x).max(1) > reach).sum())
        outside.set_text(f"{count} of {len(f.x)} lie outside" if count else "")

    return move


def _distance(ax: Axes, numbers: Observations) -> Callable[[Forecast], None]:
    """The distance from the spiral at each time; below, when something was observed."""
    ax.axvspan(0, 1, color="#eeeeee", zorder=0)
    ax.set(xlim=(-0.02, HORIZON), xlabel="t, in windows", ylabel="distance from the spiral")
    ax.set(yscale="log", ylim=(0.004, 6))  # from 0.05 where it foretells well to 5 where one observation is all
    plain_ticks(ax.yaxis, [0.01, 0.1, 1])
    ax.set_title("error; the observed window in grey")
    line = moving(ax, "-", color=MODEL, lw=2)
    when = moving(ax, "|", color=INK, ms=8)

    def move(f: Forecast) -> None:
        line.set_data(numbers.t[: f.until], f.distance[: f.until])
        when.set_data(f.t, np.full(len(f.t), 0.0055))

    return move


# --- the latent planes ------------------------------------------------------------------------------------------------

SENSE_LOOK = {1: ("counter-clockwise", LOOKS["odenet"]), -1: ("clockwise", LOOKS["resnet"])}


def describe_start(s: Start) -> str:
    """The sentence under ``latent_planes``."""
    way = "counter-clockwise" if s.turns > 0 else "clockwise"
    turned = f"the curve turns {abs(s.turns):.2f} times {way} in the window"
    if abs(s.turns) < 0.5:
        turned = f"the curve turns {s.turns:+.2f} times on balance in the window, counter-clockwise counted positive"
    where = f"{1 - s.mix:.0%} counter-clockwise, {s.mix:.0%} clockwise"
    return f"A start at an angle of {s.angle:.2f} turns, {where}: {turned}."


def latent_planes(number: str, planes: LatentPlanes) -> Live[Start]:
    """A latent start on or between the planes of the two senses, and what is seen of it. Figure ``number``."""
    with book():
        fig = Figure(figsize=(8.8, 3.3))
        one, other, right = fig.subplots(1, 3, subplot_kw={"box_aspect": 1})
        movers = [_starts(one, planes, 0), _starts(other, planes, 1), _seen(right)]
    span = {"min": 0.0, "step": 0.05, "readout_format": ".2f"}
    controls = {
        "angle": FloatSlider(value=0.2, max=0.95, description="angle", **span),
        "mix": FloatSlider(value=0.0, max=1.0, description="mix", **span),
    }
    return Live(fig, controls, planes.at, movers, lambda s: f"Figure {number}. {describe_start(s)}")


def _starts(ax: Axes, planes: LatentPlanes, i: int) -> Callable[[Start], None]:
    """All starts as one plane sees them, and the trajectory of the chosen one."""
    for sense, (name, look) in SENSE_LOOK.items():
        points = planes.starts[i][planes.sense == sense]
        ax.plot(*points.T, look.marker, color=look.colour, ms=3, alpha=0.6, label=name)
    reach = 1.45 * float(np.abs(planes.starts).max())  # with room for the legend
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), title=f"{SENSE_LOOK[SENSES[i]][0]} plane")
    ax.set(xlabel="first axis", ylabel="second axis")
    if i == 0:
        ax.legend(loc="lower left", fontsize=8.5, handletextpad=0.1, borderpad=0, labelspacing=0.2)
    path = moving(ax, "-", color=INK, lw=1)
    dot = moving(ax, "o", color=INK, ms=8, mec="white")

    def move(s: Start) -> None:
        path.set_data(*s.paths[i].T)
        dot.set_data(*s.paths[i][:1].T)

    return move


def _seen(ax: Axes, reach: float = 3.6) -> Callable[[Start], None]:
    """The curve that is decoded: a whole line in the window, dashes after it."""
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="x₁", ylabel="x₂", title="what is seen")
    inside, after = moving(ax, "-", color=INK, lw=2), moving(ax, "--", color=INK, lw=2)
    begin = moving(ax, "o", color=INK, ms=8, mec="white")

    def move(s: Start) -> None:
        inside.set_data(*s.seen[: STEPS + 1].T)
        after.set_data(*s.seen[STEPS:].T)
        begin.set_data(*s.seen[:1].T)

    return move
