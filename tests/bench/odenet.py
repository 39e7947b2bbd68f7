# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportIncompatibleMethodOverride=false
# (torch types the children of a Module as Tensor | Module)
"""How fast a training iteration of the ODE-Net is: `python -m tests.bench.odenet`, or `python run.py bench`.

The network of chapter 3 on a batch of 128 images of MNIST's size, tolerance 1e-3, adjoint, SGD with momentum. It races
torchdiffeq's adjoint with the same network; the sum of what no solver can save, each piece timed alone; and the
checkpointed gradient. Our tolerance is 1.5 times torchdiffeq's, whose error estimate is 2/3 of ours.

For equal NFE, which is asserted, steps are at most 1/8 and begin with 1/8: the tolerance is still tested in each, but
would allow longer ones. "As they come" leaves the steps to the solvers. Each is measured with the C library as it is
and, last, keeping freed memory, which cannot be undone (``nodelib.experiments.memory.keep_freed_memory``).
"""

import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torchdiffeq
from torch.nn import functional as F

from nodelib import torch_ode
from nodelib.experiments.memory import keep_freed_memory
from nodelib.models.odenet import ODENet
from tests.bench.race import Race, Run, report

Solver = Callable[..., Any]
BATCH, TOL = 128, 1e-3
STEPS: dict[str, Any] = {"options": {"first_step": 0.125, "max_step": 0.125}}
NFE = 2 * (1 + 6 * 8)  # eight steps of dopri5 forward, eight backward


class Iteration:
    """Trains an ODE-Net of its own by one iteration at a call, and returns the evaluations of f in it."""

    def __init__(
        self, solver: Solver | None = None, tol: float = TOL, batch: int = BATCH, device: str = "cpu", **settings: Any
    ):
        torch.manual_seed(0)
        self.net = ODENet().to(device)
        self.solver, self.settings = solver, {"rtol": tol, "atol": tol, **settings}
        self.optimizer = torch.optim.SGD(self.net.parameters(), 0.01, 0.9, nesterov=True)
        self.x, self.y = torch.rand(batch, 1, 28, 28).to(device), torch.arange(batch, device=device) % 10
        self.t = torch.tensor([0.0, 1.0], device=device)

    def __call__(self) -> int:
        field = self.net.body.field
        field.nfe = 0
        self.optimizer.zero_grad()
        with warnings.catch_warnings():  # ours warns that the adjoint is far below the tolerance
            warnings.simplefilter("ignore", UserWarning)
            self.backward(self.net.stem(self.x))
        self.optimizer.step()
        return field.nfe

    def backward(self, z: torch.Tensor) -> None:
        """From the image of the stem to all gradients."""
        assert self.solver is not None
        z1 = self.solver(self.net.body.field, z, self.t, **self.settings)[-1]
        F.cross_entropy(self.net.head(z1), self.y).backward()


class Forward(Iteration):
    """Its solve alone, without a gradient, from the same image of the stem."""

    @torch.no_grad()
    def __call__(self) -> int:
        assert self.solver is not None
        field = self.net.body.field
        field.nfe = 0
        self.solver(field, self.net.stem(self.x), self.t, **self.settings)
        return field.nfe


class Pieces(Iteration):
    """The same work with no solver: stem, head, optimiser, and evaluations of f and products with its Jacobian."""

    def __init__(self, forward: int, backward: int, batch: int = BATCH):
        super().__init__(batch=batch)
        self.counts = forward, backward

    def backward(self, z: torch.Tensor) -> None:
        field, inner, a = self.net.body.field, z.detach().requires_grad_(), torch.randn_like(z)
        products: Any = ()
        with torch.no_grad():
            for _ in range(self.counts[0]):
                field(self.t[0], inner)
        for _ in range(self.counts[1]):
            products = torch.autograd.grad(field(self.t[0], inner), (inner, *field.parameters()), a)
        for p, product in zip(field.parameters(), products[1:], strict=True):
            p.grad = product
        F.cross_entropy(self.net.head(z), self.y).backward()


def races(batch: int = BATCH) -> list[Race]:
    """All that is measured."""
    adjoint, theirs = torch_ode.odeint_adjoint, torchdiffeq.odeint_adjoint

    def ours(solver: Solver = adjoint, **settings: Any) -> Run:
        return Iteration(solver, 1.5 * TOL, batch, **settings)

    def race(name: str, one: Run, other: Run, target: float) -> Race:
        return Race(f"ODE-Net iteration, {name}", one, other, target)

    return [
        race("adjoint / torchdiffeq's, equal NFE", ours(**STEPS), Iteration(theirs, TOL, batch, **STEPS), 0.75),
        race("adjoint / torchdiffeq's, as they come", ours(), Iteration(theirs, TOL, batch), 0.75),
        race("adjoint / its pieces", ours(**STEPS), Pieces(NFE // 2, NFE // 2, batch), 1.15),
        race("checkpoints / adjoint, equal steps", ours(torch_ode.odeint_checkpoint, **STEPS), ours(**STEPS), 1.0),
    ]


def main(pairs: int = 11) -> int:
    """Print the tables; 1 if a target is missed."""
    missed = report(races(), pairs)
    if keep_freed_memory():
        missed |= report(races(), pairs, ", keeping freed memory")
    return missed


if __name__ == "__main__":
    sys.exit(main())
