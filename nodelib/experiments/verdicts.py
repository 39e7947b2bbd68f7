"""The convergence test on the book's own trained models: which of them are ODEs?

``figures/verdicts.py`` records it. Each model is judged with the solver and the loss of its training, on few data.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nodelib.data.digits import digits
from nodelib.data.sample import mnist_sample
from nodelib.data.spirals import STEPS, make_spirals
from nodelib.data.toy2d import SHAPES, potential
from nodelib.experiments import swap
from nodelib.experiments.convergence import Convergence, convergence
from nodelib.experiments.forecasts import series_of
from nodelib.experiments.rings import Points
from nodelib.models.flows import base_log_prob, one_of
from nodelib.models.odenet import ODENet
from nodelib.models.rings import NeuralODEs, alone
from nodelib.models.series import Series
from nodelib.models.table1 import trained
from nodelib.models.trained_flows import trained_flow
from nodelib.models.trained_series import trained_series

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


def of_flow(model: Any, i: int, shape: str, n: int = 300) -> Convergence:
    """Continuous flow number i of those that were trained at tolerance 1e-3 to make points of ``shape`` likely."""
    one = one_of(model, i)
    x = SHAPES[shape]().sample(n, torch.Generator().manual_seed(2))

    def loss(state: tuple[Tensor, Tensor]) -> Tensor:
        return (state[1][-1] - base_log_prob(state[0][-1])).mean()

    start = (x, torch.zeros(n))
    return convergence(one.field, start, torch.tensor([1.0, 0.0]), loss, rtol=1e-3, atol=1e-3, refinements=0)


def of_matching(model: Any, i: int, target: str, n: int = 300) -> Convergence:
    """Continuous flow number i of those that were trained at tolerance 1e-3 to match a potential."""
    one = one_of(model, i)
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(2))

    def loss(state: tuple[Tensor, Tensor]) -> Tensor:
        return (state[1][-1] + potential(target, state[0][-1])).mean()

    start = (z, base_log_prob(z))
    return convergence(one.field, start, torch.tensor([0.0, 1.0]), loss, rtol=1e-3, atol=1e-3, refinements=0)


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


def recorded_models() -> Iterator[tuple[str, str, Convergence]]:
    """(model, the training's solver, what the test finds), one for each seed of each model that comes with the book."""
    points = {data: swap.points_of(data) for data in swap.ENDS}
    for name, models in swap.recorded().items():
        data, by = name.split(", ")
        settings = swap.settings_of(by, swap.ENDS[data])
        for i in range(models.models):
            yield data, by, of_rings(models, i, points[data], settings, swap.ENDS[data])
    sample = mnist_sample()
    for seed in range(3):
        net = trained(f"mnist_odenet_12epochs_seed{seed}")
        yield "chapter 3: MNIST, ODE-Net", "dopri5, 1e-3", of_image_net(net, sample.x, sample.y)
    for shape in ("circles", "moons"):
        model = trained_flow(f"fig5_cnf_{shape}")
        for i in range(3):
            yield f"chapter 4: flow to {shape}", "dopri5, 1e-3", of_flow(model, i, shape)
    for target, first in (("U1", 0), ("U2", 3), ("U3", 6)):
        model = trained_flow("fig4_equal_gated_32")
        for i in range(first, first + 3):
            yield f"chapter 4: flow to {target}", "dopri5, 1e-3", of_matching(model, i, target)
    for k in (30, 50, 100):
        model = trained_series("latent ODE", k)
        for i in range(9):
            yield f"chapter 5: latent ODE, {k} observations", "rk4, 12 steps", of_latent(model, i, k)


def of_digits(net: ODENet, n: int = 360) -> Convergence:
    """One of chapter 3's small networks, on the first digits of its training."""
    seen, _ = digits()
    return of_image_net(net, seen.x[:n], seen.y[:n])


def row_of(model: str, by: str, found: Convergence) -> dict[str, Any]:
    """What the record keeps of one."""
    return {
        "model": model,
        "by": by,
        "verdict": found.verdict,
        "fit": found.fit,
        "solved": found.solved,
        "apart": found.apart,
    }
