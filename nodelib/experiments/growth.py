"""Evaluations grow in training: how much of that is needed, and what keeps them few.

A penalty ∫ |d^K z / dt^K|² dt is added to the loss, solved along with z: K = 1 is the kinetic energy (Finlay et al.
2020, RNODE), K = 2 and 3 ask for paths that a solver of high order finds easy (Kelly et al. 2020, TayNODE).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nodelib.experiments.rings import COUNTED, EXACT, Points, accuracy, annuli, evaluations, losses, solver
from nodelib.models.rings import NeuralODEs
from nodelib.torch_ode import odeint

Field = Callable[[Tensor, Tensor], Tensor]
TRAINED = solver("rk4", 8)  # what trains: its cost is the same for all


class Penalty(NamedTuple):
    """``weight`` times ∫ |d^order z / dt^order|² dt; weight 0 for none, a tuple for one a model."""

    order: int = 1
    weight: float | tuple[float, ...] = 0.0


class Growth(NamedTuple):
    """What ``growth`` measured of the flows themselves: at ``iterations``, each seed's evaluations at 1e-6 and its loss
    without penalty; and its accuracy in the end."""

    iterations: list[int]
    nfe: list[list[int]]
    losses: list[list[float]]
    accuracy: list[float]

    @property
    def loss(self) -> list[float]:
        """The losses in the end."""
        return self.losses[-1]


def along(f: Field, order: int) -> Field:
    """(t, z) -> d^order z / dt^order on a solution of z' = f(t, z): each one more by a derivative along (1, f)."""
    if order < 1:
        raise ValueError(f"order must be 1 or more, not {order}")
    if order == 1:
        return f
    below = along(f, order - 1)

    def derivative(t: Tensor, z: Tensor) -> Tensor:
        return torch.func.jvp(below, (t, z), (torch.ones_like(t), f(t, z)))[1]  # type: ignore[return-value]

    return derivative


def with_penalty(models: NeuralODEs, x: Tensor, order: int, settings: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The states at t = 1, and ∫ |d^order z / dt^order|² dt of each model, the mean over its points: (models,)."""
    rough = along(models.field, order)

    def both(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return models.field(t, state[0]), rough(t, state[0]).square().sum(-1)

    z0 = models.start(x)
    z, cost = odeint(both, (z0, z0.new_zeros(z0.shape[:-1])), torch.tensor([0.0, 1.0]).double(), **settings)
    return z[-1], cost[-1].mean(-1)


def ring_models(seeds: Sequence[int]) -> tuple[NeuralODEs, Points]:
    """Two rings, a dimension more than the plane's, time as an input: where evaluations are seen to grow."""
    return NeuralODEs(seeds, augment=1, time=True), annuli(seeds)


def growth(
    models: NeuralODEs,
    points: Points,
    penalty: Penalty = Penalty(),  # noqa: B008  # a NamedTuple does not change
    iterations: int = 200,
    every: int = 10,
    lr: float = 1e-2,
    settings: Mapping[str, Any] = TRAINED,
) -> Growth:
    """Train all models in place by Adam on loss + penalty, by the solver of these settings, and count evaluations every
    so many iterations."""
    adam, weight = torch.optim.Adam(models.parameters(), lr), torch.tensor(penalty.weight).double()
    counts, fits, at = [], [], []
    for i in range(iterations + 1):
        if i % every == 0:
            at.append(i)
            counts.append(evaluations(models, points, COUNTED))
            fits.append(losses(models, points, EXACT).tolist())
        if i == iterations:
            break
        adam.zero_grad()
        z, cost = with_penalty(models, points.x, penalty.order if weight.any() else 1, dict(settings))
        (models.losses(z, points.y).sum() + (weight * cost).sum()).backward()
        adam.step()
    right = accuracy(models, points, EXACT).tolist() if models.classify else []
    return Growth(at, counts, fits, right)


def cubic(seeds: Sequence[int], scale: float = 4.0, n: int = 50) -> tuple[NeuralODEs, Points]:
    """x -> x + x³ on the interval, for models whose initial weights are ``scale`` times the usual ones: Kelly et al.'s
    example, where evaluations were said to grow."""
    models = NeuralODEs(seeds, dim=1, time=True, classify=False)
    with torch.no_grad():
        for p in models.parameters():
            p.mul_(scale)
    x = torch.stack([2 * torch.rand(n, 1, generator=torch.Generator().manual_seed(int(s))).double() - 1 for s in seeds])
    return models, Points(x, x + x**3)
