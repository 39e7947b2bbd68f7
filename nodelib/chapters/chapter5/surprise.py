"""The numbers of chapter 5's explorer of events: what a latent ODE makes of a part of a sequence, and its scores."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nodelib.data.events import Constant, Events, Sinusoid, draw
from nodelib.experiments import records
from nodelib.experiments.poisson import TASKS, Task, between, nats, on_grid, phase_known
from nodelib.models.flows import one_of
from nodelib.models.irregular import hermite
from nodelib.models.trained_poisson import END, trained_poisson
from nodelib.torch_ode import odeint

from .poisson_figures import RIVAL_NAME, best_run, middle

FAMILY = Sinusoid()  # what the models were trained on, at all phases
KNOTS = 41  # of rk4; by λ's largest error, 0.001, it is as good as 400
SERIES = 20
TRUE, KNOWN, MODEL, CONSTANT = "true λ", RIVAL_NAME["phase known"], "latent ODE", "constant"


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
