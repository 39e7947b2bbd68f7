"""The convergence test on one model of the book: is it an ODE?

Each is judged with the solver and the loss of its training, on few data. ``shipped.py`` lists the models, and
``figures/verdicts.py`` records what is found.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nodelib.data.digits import digits
from nodelib.data.events import Bumps, Events, Sinusoid, draw
from nodelib.data.sample import mnist_sample
from nodelib.data.spirals import STEPS, make_spirals
from nodelib.data.toy2d import POTENTIALS, Mixture, potential
from nodelib.experiments.convergence import Convergence, convergence
from nodelib.experiments.forecasts import series_of
from nodelib.experiments.poisson import Task, between, on_grid, pooled
from nodelib.experiments.rings import Points
from nodelib.models.flows import base_log_prob, one_of
from nodelib.models.odenet import ODENet
from nodelib.models.poisson import PoissonODE
from nodelib.models.rings import NeuralODEs, alone
from nodelib.models.series import Series
from nodelib.models.trained_poisson import END
from nodelib.models.trained_poisson import STEPS as EVENT_STEPS

NAME = "verdicts"
TOL = 1e-7  # of the reference for image networks, whose ReLUs make finer ones long


def of_rings(models: NeuralODEs, i: int, points: Points, settings: dict[str, Any], end: float) -> Convergence:
    """Model number i of a batch of small neural ODEs, on its own points."""
    one, x, y = alone(models, i), points.x[i : i + 1], points.y[i : i + 1]
    return convergence(
        one.field, one.start(x), torch.tensor([0.0, end]).double(), lambda z: one.losses(z[-1], y), **settings
    )


def of_image_net(net: Any, x: Tensor, y: Tensor) -> Convergence:
    """An ODE-Net or RK-Net, whose loss is the cross-entropy."""
    stem, body, head = net
    with torch.no_grad():
        start = stem(x)
    return convergence(
        body.field,
        start,
        torch.tensor([0.0, 1.0]),
        lambda z: F.cross_entropy(head(z[-1]), y),
        refinements=0,
        tol=TOL,
        **body.settings,
    )


def of_mnist(net: Any, i: int = 0) -> Convergence:
    """An ODE-Net or RK-Net for MNIST, the only one of its file, on the fifty images of nodelib/data."""
    sample = mnist_sample()
    return of_image_net(net, sample.x, sample.y)


def of_flow(model: Any, i: int, shape: Mixture, tol: float = 1e-3, n: int = 1000) -> Convergence:
    """Continuous flow number i of those that were trained at this tolerance to make points of ``shape`` likely.

    The loss is -log p, without the energy that some were trained with.
    """
    one = model if model.models is None else one_of(model, i)
    x = shape.sample(n, torch.Generator().manual_seed(2))

    def loss(state: tuple[Tensor, Tensor]) -> Tensor:
        return (state[1][-1] - base_log_prob(state[0][-1])).mean()

    start = (x, torch.zeros(n))
    return convergence(one.field, start, torch.tensor([1.0, 0.0]), loss, rtol=tol, atol=tol, refinements=0)


def of_matching(model: Any, i: int, tol: float = 1e-3, n: int = 2000) -> Convergence:
    """Continuous flow number i of nine that were trained at tolerance 1e-3 to match potentials, three seeds of each.

    With few draws n the verdict hangs on them: log q + U is large where a draw ends between the modes.
    """
    one, target = one_of(model, i), list(POTENTIALS)[i // 3]
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(2))

    def loss(state: tuple[Tensor, Tensor]) -> Tensor:
        return (state[1][-1] + potential(target, state[0][-1])).mean()

    start = (z, base_log_prob(z))
    return convergence(one.field, start, torch.tensor([0.0, 1.0]), loss, rtol=tol, atol=tol, refinements=0)


def of_latent(model: Any, i: int, k: int) -> Convergence:
    """Latent ODE number i of a row of Table 2: -log p(x | z₀) of each observation, at the mean of q(z₀ | x)."""
    one, spirals = one_of(model, i), make_spirals(k, i // 3)
    series = series_of([spirals.test], spirals.grid)
    series = Series(series.x[0], series.t[0], None, series.grid, series.step[0])  # type: ignore[index]
    with torch.no_grad():
        start, _ = one.encode(series)
    rows = torch.arange(len(start))[:, None]
    sigma = 2 * spirals.noise  # as in training

    def loss(z: Tensor) -> Tensor:
        seen = one.decode(z)[series.step.T, rows.T]  # type: ignore[union-attr]
        return -base_log_prob((series.x.transpose(0, 1) - seen) / sigma).mean() + 2 * torch.tensor(sigma).log()

    return convergence(one.field, start, spirals.grid[:STEPS], loss, refinements=0, **one.settings)


def of_intensity(model: Any, i: int, n: int) -> Convergence:
    """Intensity number i of ten, on the n sequences that it learned from."""
    one = one_of(model, i)
    events = draw(Bumps(end=END), n, torch.Generator().manual_seed(2 * i))
    return of_process(one.process, one.z0.detach(), pooled(events), n, (0.0, END))


def of_events(model: Any, i: int, task: Task, n: int = 100) -> Convergence:
    """Latent ODE for events number i of five, on new sequences, at the mean of q(z₀ | the given events)."""
    one, generator = one_of(model, i), torch.Generator().manual_seed(2)
    phase = 2 * math.pi * torch.rand(n, 1, generator=generator, dtype=torch.float64)
    events = draw(Sinusoid(phase=phase, end=END), n, generator)
    given, others = task.split(events, generator)
    with torch.no_grad():
        start, _ = one.posterior(given.times.float(), given.mask, task.given)
    learned = others if task.share < 1 else events
    return of_process(one.process, start, learned, 1, task.trained, task.share)


def of_process(
    process: PoissonODE, z0: Tensor, events: Events, sequences: int, window: tuple[float, float], share: float = 1.0
) -> Convergence:
    """A process that 25 steps of RK4 trained, from z0 (n, D): the nats per event of the events (n, m) in its window.

    ``sequences`` is how many are pooled in each row of events, ``share`` as in ``PoissonODE.log_likelihood``. The
    integral is the solver's own; log λ is linear between 401 times.
    """
    times = on_grid(END)
    place = events.times.double() / END * (len(times) - 1)
    first, last = (round(edge / END * (len(times) - 1)) for edge in window)

    def loss(state: tuple[Tensor, Tensor]) -> Tensor:
        z, integral = state
        logs = between(process.growth.log_rate(None, z).T, place) + math.log(share)
        whole = share * sequences * (integral[last] - integral[first]).sum()
        return (whole - torch.where(events.mask, logs, 0.0).sum()) / events.mask.sum()

    start = (z0, torch.zeros(len(z0)))
    settings: dict[str, Any] = {"method": "rk4", "options": {"step_size": END / EVENT_STEPS}}
    return convergence(process.growth, start, times, loss, refinements=0, **settings)


def of_digits(net: ODENet, n: int = 360) -> Convergence:
    """One of chapter 3's small networks, on the first digits of its training."""
    seen, _ = digits()
    return of_image_net(net, seen.x[:n], seen.y[:n])
