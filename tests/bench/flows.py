"""How fast a training iteration of a continuous flow is: `python -m tests.bench.flows`, or `python run.py bench`.

The iteration of torchdiffeq's examples/cnf.py: its network, 64 units whose weights come from a network of t, a batch of
512 points of two circles, t from 10 to 0, tolerance 1e-5, Adam. Both sides have the trace in closed form, which makes
an evaluation much cheaper than the example's. Our tolerance is 1.5 times torchdiffeq's, whose error estimate is 2/3 of
ours; how far each gradient is from the exact one is printed first.

The network is measured as it begins and after 300 iterations. It is left as it is, Adam's rate being 0: so every
iteration has the same evaluations, and as many are in the ``Pieces`` that no solver can save. An evaluation whose
gradient is not needed, as those of a rejected step, is among them without a graph.
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
from nodelib.data.toy2d import circles
from nodelib.models.flow_fields import TimedField
from nodelib.models.flows import base_log_prob
from tests.bench.race import Race, Run, report

Solver = Callable[..., Any]
BATCH, TOL, UNITS = 512, 1e-5, 64
TRAINED = 300  # iterations


class Counted(TimedField):
    """The field, counting the products with its Jacobian, too, where ``counts`` says so: a hook takes time."""

    counts, products = False, 0

    def forward(self, t: Tensor, state: Any) -> Any:
        f, minus_trace = super().forward(t, state)
        if self.counts and f.requires_grad:
            f.register_hook(self.product)
        return f, minus_trace

    def product(self, _: Tensor) -> None:
        self.products += 1


class Iteration:
    """One iteration of ``field`` at a call; returns the evaluations in it, forwards and backwards."""

    def __init__(self, field: Counted, solver: Solver, tol: float = TOL, batch: int = BATCH, lr: float = 0.0):
        self.field, self.solver, self.tol = copy.deepcopy(field), solver, tol
        self.params = list(self.field.parameters())
        self.adam = torch.optim.Adam(self.params, lr)
        self.x = circles().sample(batch, torch.Generator().manual_seed(0), self.params[0].dtype)
        self.t = torch.tensor([10.0, 0.0], dtype=self.x.dtype)

    def __call__(self) -> int:
        self.field.nfe = 0
        self.adam.zero_grad()
        self.backward()
        self.adam.step()
        return self.field.nfe

    def backward(self) -> None:
        """To the gradients of the mean of -log p."""
        start = self.x, torch.zeros_like(self.x[:, 0])
        z, change = self.solver(self.field, start, self.t, rtol=self.tol, atol=self.tol)
        (change[-1] - base_log_prob(z[-1])).mean().backward()

    def gradient(self) -> Tensor:
        """All gradients of an iteration as one vector, in double precision."""
        self()
        return torch.cat([p.grad.flatten().double() for p in self.params if p.grad is not None])

    def work(self) -> tuple[int, int]:
        """Evaluations without and with a product, of an iteration."""
        self.field.counts, self.field.products = True, 0
        nfe = self()
        self.field.counts = False
        return nfe - self.field.products, self.field.products


class Pieces(Iteration):
    """The same work as in the iteration ``whole`` with no solver: its evaluations and products, the loss, and Adam."""

    def __init__(self, whole: Iteration):
        super().__init__(whole.field, whole.solver, batch=len(whole.x))
        self.counts = whole.work()

    def backward(self) -> None:
        x, t = self.x.clone().requires_grad_(), self.t[0]
        log_p, slopes = torch.zeros_like(x[:, 0]), (torch.randn_like(x), torch.randn_like(x[:, 0]))
        with torch.no_grad():
            for _ in range(self.counts[0]):
                self.field(t, (x, log_p))
        products: Any = ()
        for _ in range(self.counts[1]):
            products = torch.autograd.grad(self.field(t, (x, log_p)), (x, *self.params), slopes)
        (log_p - base_log_prob(x)).mean().backward()
        for p, product in zip(self.params, products[1:], strict=True):
            p.grad = product


@cache
def network(iterations: int, batch: int = BATCH, dtype: torch.dtype = torch.float32) -> Counted:
    """The network after so many iterations at a rate of 1e-3."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        train = Iteration(Counted(UNITS).to(dtype), torch_ode.odeint, 1.5 * TOL, batch, lr=1e-3)
    for _ in range(iterations):
        train()
    return train.field


def sides(iterations: int, batch: int = BATCH, dtype: torch.dtype = torch.float32) -> dict[str, Iteration]:
    """All ways to the gradient, ours and torchdiffeq's."""
    field = network(iterations, batch, dtype)
    ours, theirs = torch_ode, torchdiffeq
    solvers = {
        "adjoint": (ours.odeint_adjoint, 1.5 * TOL),
        "checkpoints": (ours.odeint_checkpoint, 1.5 * TOL),
        "backprop": (ours.odeint, 1.5 * TOL),
        "torchdiffeq's adjoint": (theirs.odeint_adjoint, TOL),
        "torchdiffeq's backprop": (theirs.odeint, TOL),
    }
    return {name: Iteration(field, solver, tol, batch) for name, (solver, tol) in solvers.items()}


def errors(iterations: int, batch: int = BATCH, dtype: torch.dtype = torch.float32) -> dict[str, float]:
    """How far each gradient is from that of a tight solve in double precision, relative to its norm."""
    field = copy.deepcopy(network(iterations, batch, dtype)).double()
    exact = Iteration(field, torch_ode.odeint, 1e-10, batch).gradient()
    found = {name: side.gradient() - exact for name, side in sides(iterations, batch, dtype).items()}
    return {name: float(error.norm() / exact.norm()) for name, error in found.items()}


def races(iterations: int, batch: int = BATCH) -> list[Race]:
    """All that is measured of the network after so many iterations."""
    by, when = sides(iterations, batch), f"after {iterations}" if iterations else "untrained"

    def race(name: str, one: Run, other: Run, target: float | None) -> Race:
        return Race(f"CNF iteration, {when}, {name}", one, other, target)

    return [
        race("adjoint / torchdiffeq's", by["adjoint"], by["torchdiffeq's adjoint"], 0.55),
        race("backprop / torchdiffeq's", by["backprop"], by["torchdiffeq's backprop"], 0.55),
        race("backprop / its pieces", by["backprop"], Pieces(by["backprop"]), 1.1),
        race("adjoint / its pieces", by["adjoint"], Pieces(by["adjoint"]), None),
        race("checkpoints / backprop", by["checkpoints"], by["backprop"], None),
    ]


def main(pairs: int = 41) -> int:
    """Print the errors and the table; 1 if a target is missed."""
    for iterations in (0, TRAINED):
        each = ", ".join(f"{name} {error:.1e}" for name, error in errors(iterations).items())
        print(f"CNF after {iterations} iterations, error of the gradient: {each}")
    return report([*races(0), *races(TRAINED)], pairs)


if __name__ == "__main__":
    sys.exit(main())
