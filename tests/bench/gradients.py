"""How fast a training iteration is beside torchdiffeq's: `python -m tests.bench.gradients`, or `python run.py bench`.

The iteration of torchdiffeq's examples/ode_demo.py: 20 windows of 10 points, its network, default tolerances, mean of
absolute differences, RMSprop. Each solver trains a network of its own, so that both go the same way. torchdiffeq's
error estimate is 2/3 of ours, so that at equal tolerances it takes steps a tenth longer.
"""

import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torchdiffeq

from nodelib import torch_ode
from tests.bench.race import Race, Run, report
from tests.bench.solvers import Demo

Solver = Callable[..., Any]
TOLERANCES = {"rtol": 1e-7, "atol": 1e-9}  # torchdiffeq's defaults; the demo is in single precision


def iteration(solver: Solver, **settings: Any) -> Run:
    """A function that trains one network by one iteration and returns the evaluations, forwards and backwards."""
    func = Demo()
    optimiser = torch.optim.RMSprop(func.parameters(), lr=1e-3)
    y0 = torch.tensor([2.0, 0.0]) + 0.3 * torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
    t = torch.linspace(0, 25, 1000)[:10]
    rotation = torch.stack([torch.stack([torch.cos(2 * s), -torch.sin(2 * s)]) for s in t])
    target = y0[:, :1] * rotation[:, None, :]

    def run() -> int:
        func.nfe = 0
        optimiser.zero_grad()
        with warnings.catch_warnings():  # ours warns that single precision cannot hold these tolerances
            warnings.simplefilter("ignore", UserWarning)
            (solver(func, y0, t, **settings) - target).abs().mean().backward()
        optimiser.step()
        return func.nfe

    return run


def races() -> list[Race]:
    """All that is measured."""
    adjoint, theirs = torch_ode.odeint_adjoint, torchdiffeq.odeint_adjoint
    semi = {"adjoint_options": {"norm": "seminorm"}}
    means_the_same = {"rtol": 1.5e-7, "atol": 1.5e-9}

    def race(name: str, ours: Run, other: Run, target: float | None) -> Race:
        return Race(f"ode_demo iteration, {name}", ours, other, target)

    return [
        race("adjoint / torchdiffeq's", iteration(adjoint, **TOLERANCES), iteration(theirs, **TOLERANCES), 0.5),
        race(
            "adjoint / torchdiffeq's, tolerance that means the same",
            iteration(adjoint, **means_the_same),
            iteration(theirs, **TOLERANCES),
            0.5,
        ),
        race(
            "adjoint / torchdiffeq's, both with the seminorm",
            iteration(adjoint, **TOLERANCES, **semi),
            iteration(theirs, **TOLERANCES, **semi),
            0.5,
        ),
        race(
            "backpropagation / torchdiffeq's",
            iteration(torch_ode.odeint, **TOLERANCES),
            iteration(torchdiffeq.odeint, **TOLERANCES),
            None,
        ),
        race(
            "checkpoints / adjoint",
            iteration(torch_ode.odeint_checkpoint, **TOLERANCES),
            iteration(adjoint, **TOLERANCES),
            None,
        ),
        race(
            "checkpoints / backpropagation",
            iteration(torch_ode.odeint_checkpoint, **TOLERANCES),
            iteration(torch_ode.odeint, **TOLERANCES),
            None,
        ),
    ]


def main(pairs: int = 61) -> int:
    """Print the table; 1 if a target is missed."""
    return report(races(), pairs)


if __name__ == "__main__":
    sys.exit(main())
