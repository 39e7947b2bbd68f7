"""Small neural ODEs trained on points in the plane or on a line, ten seeds at once, by any solver, and solved by any.

The two rings of Dupont et al. (2019), two circles, and x -> -x: data that a flow of the plane or line finds hard or
impossible. Everything is in double precision and settled by seeds: the same numbers whenever it runs.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nodelib.data import toy2d
from nodelib.models.rings import NeuralODEs, alone
from nodelib.torch_ode import odeint, solve


class Points(NamedTuple):
    """For each seed, points x (seeds, n, dim), and labels ±1 (seeds, n) or answers (seeds, n, dim) y."""

    x: Tensor
    y: Tensor


def annuli(seeds: Sequence[int], n: int = 100) -> Points:
    """Half of the points uniform within radius 0.5 (y = 1), half in the ring from 1 to 1.5 (y = -1)."""

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        u, turn = torch.rand(2, n, generator=generator, dtype=torch.float64)
        inner = torch.arange(n) % 2 == 0
        radius = torch.where(inner, u.sqrt() / 2, (1 + 1.25 * u).sqrt())
        angle = 2 * math.pi * turn
        return radius[:, None] * torch.stack([angle.cos(), angle.sin()], -1), torch.where(inner, 1.0, -1.0).double()

    return _drawn(seeds, draw)


def circles(seeds: Sequence[int], n: int = 100, noise: float = 0.05, factor: float = 0.5) -> Points:
    """Points around two circles, of radius ``factor`` (y = 1) and 1 (y = -1): those of ``toy2d.circles``."""
    shape = toy2d.circles(noise, factor)

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = shape.sample(n, generator, torch.float64)
        return x, torch.where(x.norm(dim=-1) < (1 + factor) / 2, 1.0, -1.0).double()

    return _drawn(seeds, draw)


def reflection(seeds: Sequence[int], n: int = 50) -> Points:
    """n points uniform in [-1, 1], whose answers are -x."""

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = 2 * torch.rand(n, 1, generator=generator, dtype=torch.float64) - 1
        return x, -x

    return _drawn(seeds, draw)


DATA: dict[str, Callable[[Sequence[int]], Points]] = {"annuli": annuli, "circles": circles, "x → −x": reflection}


def _drawn(seeds: Sequence[int], draw: Callable[[torch.Generator], tuple[Tensor, Tensor]]) -> Points:
    each = [draw(torch.Generator().manual_seed(int(seed))) for seed in seeds]
    return Points(*(torch.stack(part) for part in zip(*each, strict=True)))


# --- solvers ----------------------------------------------------------------------------------------------------------


def solver(method: str, steps: int | None = None, tol: float | None = None, end: float = 1.0) -> dict[str, Any]:
    """The keywords of a solve from 0 to ``end``: ``steps`` equal ones of a fixed-step method, or a tolerance, relative
    and absolute, of an adaptive one. Raises ValueError unless one of the two is given."""
    if (steps is None) == (tol is None):
        raise ValueError(f"give steps or tol, one of them, not steps={steps}, tol={tol}")
    if steps is not None:
        return {"method": method, "options": {"step_size": end / steps}}
    return {"method": method, "rtol": tol, "atol": tol}


EXACT = solver("dopri5", tol=1e-9)  # stands for the flow itself
COUNTED = solver("dopri5", tol=1e-6)  # by which evaluations are counted


def final(models: NeuralODEs, x: Tensor, settings: dict[str, Any], end: float = 1.0) -> Tensor:
    """The states (models, batch, dim + augment) at ``end`` of solutions from points x."""
    return odeint(models.field, models.start(x), _span(end), **settings)[-1]


def _span(end: float) -> Tensor:
    return torch.tensor([0.0, end], dtype=torch.float64)


# --- training and measuring -------------------------------------------------------------------------------------------


def train(
    models: NeuralODEs,
    points: Points,
    settings: dict[str, Any],
    end: float = 1.0,
    iterations: int = 500,
    lr: float = 1e-2,
    kinetic: float = 0.0,
) -> Tensor:
    """Train all models in place by Adam on all of their points, and return the losses (iterations, models).

    settings: of the solver, as ``solver`` gives them; the gradient is backpropagation through its steps. An adaptive
              solver takes steps that are the same for all models.
    kinetic:  weight of ∫ |f|² dt, the mean over the points, which is added to the loss (Finlay et al. 2020); the
              integral is a component of the state, so that the solver controls its error too. What is returned has it
              not.
    """
    adam, log = torch.optim.Adam(models.parameters(), lr), []
    for _ in range(iterations):
        adam.zero_grad()
        if kinetic:
            z, energy = with_energy(models, points.x, settings, end)
            losses = models.losses(z, points.y)
            (losses.sum() + kinetic * energy.sum()).backward()
        else:
            losses = models.losses(final(models, points.x, settings, end), points.y)
            losses.sum().backward()
        adam.step()
        log.append(losses.detach())
    return torch.stack(log)


def with_energy(models: NeuralODEs, x: Tensor, settings: dict[str, Any], end: float = 1.0) -> tuple[Tensor, Tensor]:
    """The final states, and ∫ |f|² dt of each model, the mean over its points: (models,)."""

    def both(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        f = models.field(t, state[0])
        return f, f.square().sum(-1)

    z0 = models.start(x)
    z, energy = odeint(both, (z0, z0.new_zeros(z0.shape[:-1])), _span(end), **settings)
    return z[-1], energy[-1].mean(-1)


@torch.no_grad()
def losses(models: NeuralODEs, points: Points, settings: dict[str, Any], end: float = 1.0) -> Tensor:
    """The loss of each model, (models,), when it is solved by these settings."""
    return models.losses(final(models, points.x, settings, end), points.y)


@torch.no_grad()
def accuracy(models: NeuralODEs, points: Points, settings: dict[str, Any], end: float = 1.0) -> Tensor:
    """The share of points on whose side the logit is, (models,), when solved by these settings."""
    return (models.read(final(models, points.x, settings, end)) * points.y > 0).double().mean(-1)


@torch.no_grad()
def evaluations(
    models: NeuralODEs, points: Points, settings: dict[str, Any] | None = None, end: float = 1.0
) -> list[int]:
    """Evaluations of f in solving each model by itself (by ``COUNTED``), with all of its points as one batch."""
    counts = []
    for i in range(models.models):
        one = alone(models, i)
        sol = solve(one.field, one.start(points.x[i : i + 1]), _span(end), **(settings or COUNTED))
        counts.append(sol.stats.nfe)
    return counts
