"""How fast a latent ODE trains: `python -m tests.bench.latent`, or `python run.py bench`.

1,000 spirals with all 100 times of the window: latent dimension 4, one hidden layer of 20 in f, an encoder of 25 units.
Both sides solve the same f by dopri5 with an output at each time; the tolerance is 1e-4, absolute 1e-5, ours 1.5 times
that, since torchdiffeq's error estimate is 2/3 of ours. How far each gradient is from the exact one is printed first.
Denormal numbers are flushed to zero on both sides, which the encoder's vanishing gradients need.

Measured are the decoder's solve, from states at the start to the gradient of a mean square at all times, and the whole
iteration, encoder and Adam included; the network as it begins and after 200 iterations. It is left as it is, Adam's
rate being 0. ``Pieces`` is the same number of evaluations and products, and nothing else.
"""

import copy
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torchdiffeq
from torch import Tensor

from nodelib import torch_ode
from nodelib.data.spirals import make_spirals
from nodelib.experiments.forecasts import series_of
from nodelib.models.latent import LatentODE
from nodelib.models.series import Series
from tests.bench.race import Race, Run, report

Solver = Callable[..., Any]
SERIES, RTOL, ATOL = 1000, 1e-4, 1e-5
TRAINED = 200  # iterations


class Solve:
    """The decoder's solve and its gradient, of ``model`` from ``z0``; returns the evaluations of a call, both ways."""

    def __init__(self, model: LatentODE, z0: Tensor, grid: Tensor, solver: Solver, share: float):
        self.field, self.z0, self.grid, self.solver = copy.deepcopy(model.field), z0, grid, solver
        self.tol = {"rtol": share * RTOL, "atol": share * ATOL}
        self.goal = torch.randn(len(grid), *z0.shape, generator=torch.Generator().manual_seed(1)).to(z0)

    def __call__(self) -> int:
        self.field.nfe = 0
        self.gradient()
        return self.field.nfe

    def gradient(self) -> Tensor:
        """By the start and all parameters, as one vector."""
        params = list(self.field.parameters())
        z0 = self.z0.clone().requires_grad_()
        z = self.solver(self.field, z0, self.grid, **self.tol)
        loss = (z - self.goal).square().mean()
        return torch.cat([g.flatten().double() for g in torch.autograd.grad(loss, [z0, *params])])


class Pieces(Solve):
    """The bare evaluations of the solve ``whole``, half of them with a product and the loss, without a solver."""

    def __init__(self, whole: Solve, plain: int, products: int):
        self.field, self.z0, self.goal = copy.deepcopy(whole.field), whole.z0, whole.goal
        self.plain, self.products, self.t = plain, products, torch.zeros(())

    def gradient(self) -> Tensor:
        params = list(self.field.parameters())
        z = self.z0.clone().requires_grad_()
        with torch.no_grad():
            for _ in range(self.plain):
                self.field(self.t, z)
        found: Any = ()
        for _ in range(self.products):
            found = torch.autograd.grad(self.field(self.t, z), (z, *params), self.z0)
        states = self.goal.clone().requires_grad_()
        torch.autograd.grad((states - self.goal).square().mean(), states)
        return torch.cat([g.flatten() for g in found])


class Iteration:
    """A whole iteration of a copy of ``model`` on all ``series``; returns the evaluations of f."""

    def __init__(self, model: LatentODE, series: Series, solver: Solver, share: float, lr: float = 0.0):
        self.model, self.series, self.solver = copy.deepcopy(model), series, solver
        self.tol = {"rtol": share * RTOL, "atol": share * ATOL}
        self.model.path = self.path  # type: ignore[method-assign]
        self.adam = torch.optim.Adam(self.model.parameters(), lr)
        shape = (len(series.x), model.latent)
        self.noise = torch.randn(shape, generator=torch.Generator().manual_seed(2)).to(series.x)

    def path(self, z0: Tensor, times: Tensor) -> Tensor:
        return self.solver(self.model.field, z0, times, **self.tol)

    def __call__(self) -> int:
        self.model.field.nfe = 0
        self.adam.zero_grad()
        self.model.loss(self.series, self.noise).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.adam.step()
        return self.model.field.nfe


@cache
def spirals(n: int = SERIES) -> tuple[Series, float]:
    """All 100 times of n spirals, and the noise's standard deviation."""
    made = make_spirals(100, sizes=(n, 1, 1))
    series = series_of([made.train], made.grid)
    return Series(*(part[0] for part in series[:2]), None, series.grid, series.step[0]), made.noise  # type: ignore[index]


@cache
def network(iterations: int, n: int = SERIES) -> LatentODE:
    """The model after so many iterations at a rate of 1e-2."""
    series, noise = spirals(n)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        train = Iteration(LatentODE(gap=0.01, sigma=2 * noise), series, torch_ode.odeint, 1.5, lr=1e-2)
    for _ in range(iterations):
        train()
    return train.model


WAYS = {
    "adjoint": (torch_ode.odeint_adjoint, 1.5),
    "checkpoints": (torch_ode.odeint_checkpoint, 1.5),
    "backprop": (torch_ode.odeint, 1.5),
    "torchdiffeq's adjoint": (torchdiffeq.odeint_adjoint, 1.0),
    "torchdiffeq's backprop": (torchdiffeq.odeint, 1.0),
}


def solves(iterations: int, n: int = SERIES) -> dict[str, Solve]:
    """The decoder's solve by all ways to the gradient, ours and torchdiffeq's."""
    model, (series, _) = network(iterations, n), spirals(n)
    with torch.no_grad():
        z0, _ = model.encode(series)
    assert series.grid is not None
    return {name: Solve(model, z0, series.grid, *way) for name, way in WAYS.items()}


def errors(iterations: int, n: int = SERIES) -> dict[str, float]:
    """How far each gradient of the solve is from that of a tight solve in double precision, relative to its norm."""
    model, (series, _) = copy.deepcopy(network(iterations, n)).double(), spirals(n)
    with torch.no_grad():
        z0, _ = network(iterations, n).encode(series)
    assert series.grid is not None
    exact = Solve(model, z0.double(), series.grid.double(), torch_ode.odeint, 1e-5).gradient()
    found = {name: side.gradient() - exact for name, side in solves(iterations, n).items()}
    return {name: float(error.norm() / exact.norm()) for name, error in found.items()}


def races(iterations: int, n: int = SERIES) -> list[Race]:
    """All that is measured of the network after so many iterations."""
    by, when = solves(iterations, n), f"after {iterations}" if iterations else "untrained"
    series, _ = spirals(n)
    whole = {name: Iteration(network(iterations, n), series, *way) for name, way in WAYS.items()}
    adjoint, checkpoints = by["adjoint"](), by["checkpoints"]()
    steps = (checkpoints - 2) // 2  # forward, and again with a graph

    def race(name: str, one: Run, other: Run, target: float | None) -> Race:
        return Race(f"latent ODE, {when}, {name}", one, other, target)

    return [
        race("adjoint / torchdiffeq's", by["adjoint"], by["torchdiffeq's adjoint"], 0.35),
        race("checkpoints / torchdiffeq's adjoint", by["checkpoints"], by["torchdiffeq's adjoint"], 0.06),
        race("checkpoints / torchdiffeq's backprop", by["checkpoints"], by["torchdiffeq's backprop"], 0.6),
        race("backprop / torchdiffeq's", by["backprop"], by["torchdiffeq's backprop"], None),
        race("adjoint / its pieces", by["adjoint"], Pieces(by["adjoint"], steps, adjoint - steps), None),
        race("checkpoints / their pieces", by["checkpoints"], Pieces(by["checkpoints"], steps, steps), None),
        race("iteration, backprop / torchdiffeq's", whole["backprop"], whole["torchdiffeq's backprop"], 0.65),
        race("iteration, checkpoints / backprop", whole["checkpoints"], whole["backprop"], None),
    ]


def main(pairs: int = 41) -> int:
    """Print the errors and the table; 1 if a target is missed."""
    torch.set_flush_denormal(True)
    for iterations in (0, TRAINED):
        each = ", ".join(f"{name} {error:.1e}" for name, error in errors(iterations).items())
        print(f"latent ODE after {iterations} iterations, error of the gradient: {each}")
    missed = report([*races(0), *races(TRAINED)], pairs)
    torch.set_flush_denormal(False)
    return missed


if __name__ == "__main__":
    sys.exit(main())
