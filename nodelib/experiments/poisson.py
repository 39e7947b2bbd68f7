"""Intensities learned from events, what they are compared with, and their scores on events they have not seen.

Scores are in nats per event: -(Σ log λ(t_i) - ∫ λ dt) of held-out sequences over the number of their events.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from nodelib.data.events import Events, Intensity, Sinusoid
from nodelib.experiments.optimize import Draw
from nodelib.models.latent import kl_from_normal
from nodelib.models.poisson import LatentPoisson, OneIntensity

# --- one intensity for all sequences ----------------------------------------------------------------------------------


def pooled(events: Events) -> Events:
    """The events of all sequences (*models, n, m) in one row each, (*models, 1, n m): Σ log λ asks for no more."""
    return Events(*(x.flatten(-2)[..., None, :] for x in events)).keep(torch.ones((), dtype=torch.bool))


def unlikelihood_of(events: Events) -> Callable[[OneIntensity, Tensor], Tensor]:
    """A loss, (*models,): the nats per event of ``events`` (*models, n, m), all of them at each iteration."""
    times, mask = pooled(events)
    n, count = events.times.shape[-2], mask.sum((-2, -1))

    def loss(model: OneIntensity, batch: Tensor) -> Tensor:
        path = model.process.path(model.z0)
        logs = torch.where(mask, model.process.log_rate(path, times), 0.0).sum((-2, -1))
        return (n * path.y[-1, ..., 0, -1] - logs) / count

    return loss


def nothing(buffer: Tensor, generator: torch.Generator) -> None:
    """Draw no batches: the loss has its data."""


@dataclass(frozen=True)
class Histogram:
    """λ constant in each of ``bins`` equal bins, (count + ½) / (n width): without the ½ an empty bin would make any
    event there impossible. One bin is the constant rate."""

    events: Events
    end: float
    bins: int

    @property
    def levels(self) -> Tensor:
        at = self.events.times[self.events.mask].double()
        counts = torch.histc(at, self.bins, 0.0, self.end)
        return (counts + 0.5) * self.bins / (len(self.events.times) * self.end)

    def rate(self, times: Tensor) -> Tensor:
        return self.levels[(times * self.bins / self.end).long().clamp(max=self.bins - 1)].to(times)

    def integral(self, times: Tensor) -> Tensor:
        filled = (times[..., None] * self.bins / self.end - torch.arange(self.bins)).clamp(0, 1)
        return (filled.double() @ self.levels * self.end / self.bins).to(times)


@dataclass(frozen=True)
class Kernel:
    """λ a sum of Gaussians of standard deviation ``width`` around the events, over n, each cut at 0 and ``end`` and
    made whole again (Diggle 1985); computed on 2,001 points, linear between them."""

    events: Events
    end: float
    width: float

    @cached_property
    def levels(self) -> Tensor:
        """λ on the points."""
        at = self.events.times[self.events.mask].double()
        normal = torch.distributions.Normal(at, self.width)
        low, high = (normal.cdf(torch.full_like(at, x)) for x in (0.0, self.end))
        parts = [(normal.log_prob(t).exp() / (high - low)).sum(-1) for t in on_grid(self.end, 2001)[:, None].split(100)]
        return torch.cat(parts) / len(self.events.times)

    def rate(self, times: Tensor) -> Tensor:
        return between(self.levels, times.double() / self.end * (len(self.levels) - 1)).to(times)

    def integral(self, times: Tensor) -> Tensor:
        total = torch.cumulative_trapezoid(self.levels, dx=self.end / (len(self.levels) - 1))
        total = torch.cat([total.new_zeros(1), total])
        return between(total, times.double() / self.end * (len(total) - 1)).to(times)


def between(values: Tensor, place: Tensor) -> Tensor:
    """``values`` (…, points) at places (…, m) that count its points from 0, linear in between: (…, m)."""
    left = place.long().clamp(max=values.shape[-1] - 2)
    lead = torch.broadcast_shapes(values.shape[:-1], place.shape[:-1])
    values = values.expand(*lead, -1)
    left, part = (x.expand(*lead, -1) for x in (left, place - left))
    return (1 - part) * values.gather(-1, left) + part * values.gather(-1, left + 1)


def on_grid(end: float, points: int = 401) -> Tensor:
    """The equally spaced times at which intensities are looked at, (points,)."""
    return torch.linspace(0, end, points, dtype=torch.float64)


def relative_error(rate: Tensor, truth: Tensor) -> Tensor:
    """‖λ̂ - λ‖ / ‖λ‖ in L², by the trapezoidal rule over the last axis of equally spaced points."""
    norm = [torch.trapezoid(x.double().square()) for x in (rate - truth, truth)]
    return (norm[0] / norm[1]).sqrt()


def score(intensity: Intensity | OneIntensity | Histogram | Kernel, events: Events, end: float) -> Tensor:
    """The nats per event of one intensity on sequences (n, m): (*models,)."""
    at = events.times[events.mask]
    whole = intensity.integral(torch.tensor([end], dtype=at.dtype))[..., 0].double()
    return (len(events.times) * whole - intensity.rate(at).double().log().sum(-1)) / len(at)


def nats(rates: Tensor, events: Events, window: tuple[float, float], share: float = 1.0) -> Tensor:
    """-(Σ log λ(t_i) - ∫ λ dt) over the window of each sequence, (*models, n): from λ ``on_grid`` (*models, n, points)
    that ends with the window, linear in between. ``share`` as in ``PoissonODE.log_likelihood``."""
    end, points = window[1], rates.shape[-1]
    rates = share * rates.double()
    at = between(rates, events.times.double() / end * (points - 1))
    begin = round(window[0] / end * (points - 1))
    whole = torch.trapezoid(rates[..., begin:], dx=end / (points - 1))
    return whole - torch.where(events.mask, at.log(), 0.0).sum(-1)


# --- an intensity for each sequence, from a part of its events --------------------------------------------------------


class Task(NamedTuple):
    """Which events of a sequence are given, and which are to be predicted.

    given:   the window of the given events. scored: that of the events to be predicted.
    share:   of all events in its window that the given ones are, and those to be predicted.
    trained: the window of the events that make the loss of a training: for "past" those that are given as well, as in
             the paper, since a model that hears of late events alone learns nothing (it stays at the mean).
    """

    given: tuple[float, float]
    scored: tuple[float, float]
    share: float
    trained: tuple[float, float]

    def split(self, events: Events, generator: torch.Generator) -> tuple[Events, Events]:
        """The events that are given, and those to be predicted."""
        return events.halves(generator) if self.share < 1 else events.apart(self.given[1])


# Halves are independent of each other, given the intensity, and so are past and future: in neither case does what is
# given say anything of what is scored, but through λ.
TASKS = {
    "half": Task((0.0, 10.0), (0.0, 10.0), 0.5, (0.0, 10.0)),
    "past": Task((0.0, 5.0), (5.0, 10.0), 1.0, (0.0, 10.0)),
}
GIVEN, LEARNED = 1, 2  # what an event of a batch is for: to be seen by the encoder, to be in the loss, or (3) both


def parts_of(data: Events, task: Task) -> Draw:
    """Batches (…, models, batch, 3, m) of sequences drawn from ``data`` (models, n, m): their times; for each entry 0
    for padding, or ``GIVEN``, ``LEARNED`` or their sum; and standard normals, for a draw of z0. Halves are drawn anew
    each time."""
    n = data.times.shape[1]

    def draw(buffer: Tensor, generator: torch.Generator) -> None:
        rows = torch.randint(n, buffer.shape[:-2], generator=generator)
        models = torch.arange(len(data.times))[:, None]
        times, mask = data.times[models, rows], data.mask[models, rows]
        if task.share < 1:
            marks = torch.where(torch.rand(times.shape, generator=generator) < task.share, GIVEN, LEARNED)
        else:
            marks = torch.where(times < task.given[1], GIVEN + LEARNED, LEARNED)
        buffer[..., 0, :].copy_(times)
        buffer[..., 1, :].copy_(marks * mask)
        buffer[..., 2, :].normal_(generator=generator)

    return draw


def evidence(task: Task, weight: float) -> Callable[[LatentPoisson, Tensor], Tensor]:
    """A loss of batches as ``parts_of`` makes them: -E_q[log p(events | z0)] + weight · KL(q‖N(0, I)), the mean over
    sequences, with q(z0 | the given events) and one draw of z0. With weight 0 z0 is the mean of q."""

    def loss(model: LatentPoisson, batch: Tensor) -> Tensor:
        times, marks, noise = batch.unbind(-2)
        every, marks = Events(times, marks > 0), marks.long()
        given, learned = (every.keep((marks & use) > 0) for use in (GIVEN, LEARNED))
        mean, log_std = model.posterior(*given, task.given)
        z0 = mean + (log_std.exp() * noise[..., : mean.shape[-1]] if weight else 0.0)
        path = model.process.path(z0)
        log_p = model.process.log_likelihood(path, *learned, task.trained, task.share)
        return (weight * kl_from_normal(mean, log_std) - log_p).mean(-1)

    return loss


@torch.no_grad()
def conditioned(model: LatentPoisson, given: Events, task: Task, times: Tensor, draws: int = 20) -> Tensor:
    """E_q[λ] at ``times`` (m,), the mean over draws of z0 given the events (*models, n, …): (*models, n, m). No draws:
    λ from the mean of q. ``given`` without the axis of models is given to all of them."""
    if given.times.ndim == 2 and model.models is not None:
        given = Events(*(x.expand(model.models, -1, -1) for x in given))
    given = Events(given.times.to(next(model.parameters())), given.mask)
    mean, log_std = model.posterior(*given, task.given)
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(())
    for _ in range(max(draws, 1)):
        z0 = mean + (log_std.exp() * torch.randn(mean.shape, generator=generator).to(mean) if draws else 0.0)
        total = total + model.process.log_rate(model.process.path(z0), times.to(mean)).exp()
    return total / max(draws, 1)


def own_histogram(given: Events, task: Task, times: Tensor, bins: int) -> Tensor:
    """A histogram of each sequence's given events alone, at times (m,): (n, m). In each bin the mean of λ after the
    count, with a Gamma prior of shape 1 and mean 4; after the last given event's window the mean of the bins."""
    a, b = task.given
    place = (given.times.double() / (b - a) * bins).long().clamp(max=bins - 1)
    counts = torch.zeros(len(place), bins, dtype=torch.float64).scatter_add_(1, place, given.mask.double())
    levels = (counts + 1) / (task.share * (b - a) / bins + 0.25)
    every = levels[:, (times / (b - a) * bins).long().clamp(max=bins - 1)]
    return torch.where(times <= b, every, levels.mean(1, keepdim=True))


def phase_known(family: Sinusoid, given: Events, task: Task, times: Tensor, phases: int = 360) -> Tensor:
    """E[λ(t) | the given events] at times (m,) for someone who knows the family and not the phase, which is uniform:
    (n, m). Nobody's intensity scores better, on average, who has seen the same events."""
    phase = 2 * math.pi * torch.arange(phases, dtype=torch.float64) / phases
    each = Sinusoid(family.mean, family.depth, family.period, phase[:, None, None], family.end)
    logs = torch.where(given.mask, each.rate(given.times.double()).log(), 0.0).sum(-1)
    ends = torch.tensor(task.given, dtype=torch.float64)
    weights = torch.softmax(logs - task.share * each.integral(ends).diff()[..., 0], 0)
    return weights.T @ each.rate(times.double())[:, 0]
