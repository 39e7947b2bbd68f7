"""The explorer of chapter 5's events: a latent ODE is given some events of a sequence, and others surprise it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from ipywidgets import Dropdown, FloatSlider, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from nodelib.data.events import Constant, Events, Sinusoid, draw
from nodelib.experiments import records
from nodelib.experiments.poisson import TASKS, Task, between, nats, on_grid, phase_known
from nodelib.models.flows import one_of
from nodelib.models.irregular import hermite
from nodelib.models.trained_poisson import END, trained_poisson
from nodelib.torch_ode import odeint
from nodelib.workbook.live import Live
from nodelib.workbook.style import INK, LOOKS, book, label, moving, text_colour

from .poisson_figures import RIVAL_NAME, best_run, line, middle

FAMILY = Sinusoid()  # what the models were trained on, at all phases
KNOTS = 41  # of rk4; by λ's largest error, 0.001, it is as good as 400
SERIES = 20
TRUE, KNOWN, MODEL, CONSTANT = "true λ", RIVAL_NAME["phase known"], "latent ODE", "constant"
DRAWN: dict[str, Any] = {
    TRUE: {"color": INK, "ls": "-", "lw": 1.8},
    KNOWN: {"color": INK, "ls": ":", "lw": 1.4},
    MODEL: line("latent ODE") | {"linestyle": "--", "lw": 1.8},
    CONSTANT: line("constant") | {"lw": 1.4},
}
GIVEN, KEPT = LOOKS["adjoint"].colour, LOOKS["data"].colour

# --- numbers ----------------------------------------------------------------------------------------------------------


class Surprise(NamedTuple):
    """What is made of the given events of one sequence, and how it fares with the others.

    given, kept:  the times of the events that are given, and of those kept back, on whose window ``task`` the scores
                  are.
    rates:        λ of each that foretells, on the explorer's grid; the kept events have ``task.share`` of it.
    scores:       of each, in nats per kept event.
    passed:       by each name the surprise until now, less the constant's, in nats: at the times ``t``, (m,), on which
                  each kept event stands twice, before and after.
    worst, low:   when the kept event is that surprises the model most, and the model's λ there.
    """

    what: str
    task: Task
    depth: float
    given: np.ndarray
    kept: np.ndarray
    rates: dict[str, np.ndarray]
    scores: dict[str, float]
    t: np.ndarray
    passed: dict[str, np.ndarray]
    worst: float
    low: float


class Sequences:
    """Event sequences of λ = 4 (1 + depth sin(2πt/5 + φ)), and for each task the latent ODE that was trained on it.

    A sequence keeps its candidates, their marks and its two halves, whatever φ and the depth: a candidate is an event
    where its mark is below λ. So events come and go one by one.
    """

    def __init__(self, models: Mapping[str, Any], series: int = SERIES):
        self.models, self.series, self.t = models, series, on_grid(END)
        generator = torch.Generator().manual_seed(0)
        self.candidates = draw(Constant(FAMILY.bound), series, generator)
        shape = self.candidates.times.shape
        self.marks = FAMILY.bound * torch.rand(shape, generator=generator, dtype=torch.float64)
        self.first = torch.rand(shape, generator=generator) < 0.5

    def events(self, family: Sinusoid, what: str, number: int) -> tuple[Events, Events]:
        """The events of a sequence that are given, and those kept back, both (1, m)."""
        rows = slice(number, number + 1)
        every = self.candidates.rows(rows)
        there = self.marks[rows] < family.rate(every.times)
        given = self.first[rows] if TASKS[what].share < 1 else every.times < TASKS[what].given[1]
        return every.keep(there & given), every.keep(there & ~given)

    @torch.no_grad()
    def at(self, what: str, phase: float, depth: float, number: int) -> Surprise:
        """The numbers of the explorer; the phase in turns."""
        task, family = TASKS[what], Sinusoid(depth=depth, phase=2 * np.pi * phase)
        given, kept = self.events(family, what, number)
        rates = {
            TRUE: family.rate(self.t)[None],
            KNOWN: phase_known(Sinusoid(depth=depth), given, task, self.t),
            MODEL: expected(self.models[what], given, task, self.t),
            CONSTANT: torch.full((1, len(self.t)), family.mean, dtype=torch.float64),
        }
        at = kept.times[kept.mask]
        t, passed = passing(rates, at, task)
        there = between(rates[MODEL], at[None] / END * (len(self.t) - 1))[0]
        worst = int(there.argmin())
        return Surprise(
            what,
            task,
            depth,
            given.times[given.mask].numpy(),
            at.numpy(),
            {name: rate[0].numpy() for name, rate in rates.items()},
            {name: float(nats(rate, kept, task.scored, task.share)) / len(at) for name, rate in rates.items()},
            t,
            passed,
            float(at[worst]),
            float(there[worst]),
        )


def expected(model: Any, given: Events, task: Task, times: Tensor, draws: int = 20) -> Tensor:
    """What ``experiments.poisson.conditioned`` computes for one sequence, (1, m), in a tenth of its time: all draws of
    z0 are one batch, and z is solved for without the integral of λ."""
    process, given = model.process, Events(given.times.float(), given.mask)
    mean, log_std = model.posterior(*given, task.given)
    generator = torch.Generator().manual_seed(0)
    noise = torch.cat([torch.randn(mean.shape, generator=generator) for _ in range(draws)])
    knots = torch.linspace(0, END, KNOTS)
    z = odeint(process.growth.field, mean + log_std.exp() * noise, knots, method="rk4")
    slopes = process.growth.field(knots[0], z)
    z = hermite(knots, z, slopes, slopes, times.float().expand(draws, -1))
    return process.growth.log_rate(knots[0], z).exp().mean(0, keepdim=True).double()


def passing(rates: Mapping[str, Tensor], at: Tensor, task: Task) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """-(Σ log λ(t_i) - ∫ λ dt) from the scored window's begin until each of some times, less the same of the constant:
    the times, ordered, with each event ``at`` twice, before and after; and by name, in nats."""
    points = next(iter(rates.values())).shape[-1]
    grid = on_grid(END, points)
    begin = round(task.scored[0] / END * (points - 1))
    t, order = torch.cat([grid[begin:], at, at]).sort(stable=True)  # the grid first, then before, then after
    is_after = order >= points - begin + len(at)
    place = t[None] / END * (points - 1)
    found = {}
    for name, rate in rates.items():
        whole = torch.cat([torch.zeros(1, 1), torch.cumulative_trapezoid(rate, dx=END / (points - 1))], -1)
        passed = task.share * (between(whole, place) - whole[:, begin])
        logs = (task.share * between(rate, place)).log()
        found[name] = (passed - torch.where(is_after, logs, 0.0).cumsum(-1))[0]
    return t.numpy(), {name: (each - found[CONSTANT]).numpy() for name, each in found.items()}


def sequences() -> Sequences:
    """With the recorded trainings: of the KL weight that validation chose the seed whose error is in the middle."""
    record, models = records.read("fig7_poisson"), {}
    for task in TASKS:
        run = best_run(record, task)
        models[task] = one_of(trained_poisson(f"fig7_{task}_{run['weight']:g}"), middle(run["error"]))
    return Sequences(models)


# --- the figure -------------------------------------------------------------------------------------------------------


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
