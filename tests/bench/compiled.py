"""How fast compiled solves are: `python -m tests.bench.compiled [--device cuda]`, or `python run.py bench`.

torchdiffeq's ode_demo network in single precision, beside torchdiffeq at tolerances that mean the same, beside this
library's own eager path, and beside the evaluations of func alone that a solve needs; and the ODE-Net's iteration by
checkpoints and by the adjoint. Programs are compiled before anything is timed, which takes minutes. On a GPU, where the
clock's time until it is done is what counts, races have targets of their own and the ODE-Net has batches of 128; the
whole was written to take four minutes there, and has not been run on one.
"""

import argparse
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torchdiffeq

from nodelib import torch_ode
from tests.bench.odenet import NFE, STEPS, TOL, Forward, Iteration, Pieces
from tests.bench.race import Race, Run, report
from tests.bench.solvers import Demo

Solver = Callable[..., Any]
COMPILE = {"options": {"compile": True}}
THEIRS, OURS = {"rtol": 1e-5, "atol": 1e-6}, {"rtol": 1.5e-5, "atol": 1.5e-6}
END, BATCH = 25.0, 16


def case(device: str) -> tuple[Demo, torch.Tensor]:
    """The network and a batch of 20 states, as in ``solvers.py``."""
    func = Demo()
    return func.to(device), (torch.tensor([2.0, 0.0]) + 0.1 * torch.randn(20, 2)).to(device)


def waited(run: Run, device: str) -> Run:
    """The run until the device is done."""

    def whole() -> int:
        found = run()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return found

    return whole


def forward(odeint: Solver, outputs: int, device: str, **settings: Any) -> Run:
    """A solve without gradients; returns its evaluations."""
    func, y0 = case(device)
    t = torch.linspace(0, END, outputs).to(device)

    def run() -> int:
        func.nfe = 0
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            odeint(func, y0, t, **settings)
        return func.nfe

    return run


def evaluations(device: str) -> Run:
    """As many evaluations of func as our solve needs, and nothing else."""
    count = forward(torch_ode.odeint, 2, device, **OURS)()
    func, y0 = case(device)
    t = torch.zeros((), device=device)

    def run() -> int:
        with torch.no_grad():
            for _ in range(count):
                func(t, y0)
        return count

    return run


def iteration(solver: Solver, outputs: int, device: str, **settings: Any) -> Run:
    """A solve, a loss and its gradient; returns the evaluations both ways."""
    func, y0 = case(device)
    t = torch.linspace(0, END, outputs).to(device)

    def run() -> int:
        func.nfe = 0
        func.zero_grad()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solver(func, y0, t, **settings).square().mean().backward()
        return func.nfe

    return run


def races() -> list[Race]:
    """All that is measured with the small network on a CPU."""
    device = "cpu"
    odeint, checkpoint = torch_ode.odeint, torch_ode.odeint_checkpoint
    compiled = forward(odeint, 2, device, **OURS, **COMPILE)
    trained, adjoint = (iteration(way, 10, device, **OURS, **COMPILE) for way in (checkpoint, torch_ode.odeint_adjoint))
    return [
        Race("compiled ode_demo / torchdiffeq", compiled, forward(torchdiffeq.odeint, 2, device, **THEIRS), 0.10),
        Race("compiled ode_demo / eager", compiled, forward(odeint, 2, device, **OURS), None),
        Race("compiled ode_demo / its evaluations alone, eager", compiled, evaluations(device), 0.60),
        Race(
            "compiled ode_demo, 200 outputs / torchdiffeq",
            forward(odeint, 200, device, **OURS, **COMPILE),
            forward(torchdiffeq.odeint, 200, device, **THEIRS),
            0.06,
        ),
        Race(
            "compiled iteration, checkpoints, 10 outputs / eager",
            trained,
            iteration(checkpoint, 10, device, **OURS),
            0.25,
        ),
        Race(
            "compiled iteration, checkpoints, 10 outputs / torchdiffeq's adjoint",
            trained,
            iteration(torchdiffeq.odeint_adjoint, 10, device, **THEIRS),
            0.08,
        ),
        Race(
            "compiled iteration, adjoint, 10 outputs / eager",
            adjoint,
            iteration(torch_ode.odeint_adjoint, 10, device, **OURS),
            None,
        ),
        Race(
            "compiled iteration, adjoint, 10 outputs / torchdiffeq's",
            adjoint,
            iteration(torchdiffeq.odeint_adjoint, 10, device, **THEIRS),
            None,
        ),
    ]


def gpu_races(device: str = "cuda") -> list[Race]:
    """What is measured on a GPU: both networks against torchdiffeq."""
    odeint, checkpoint = torch_ode.odeint, torch_ode.odeint_checkpoint
    theirs, adjoint = torchdiffeq.odeint, torchdiffeq.odeint_adjoint
    equal: dict[str, Any] = {"options": {**STEPS["options"], **COMPILE["options"]}}

    def race(name: str, ours: Run, others: Run, target: float | None) -> Race:
        return Race(f"compiled {name}", waited(ours, device), waited(others, device), target)

    return [
        race(
            "ode_demo / torchdiffeq",
            forward(odeint, 2, device, **OURS, **COMPILE),
            forward(theirs, 2, device, **THEIRS),
            0.12,
        ),
        race(
            "ode_demo, 200 outputs / torchdiffeq",
            forward(odeint, 200, device, **OURS, **COMPILE),
            forward(theirs, 200, device, **THEIRS),
            None,
        ),
        race(
            "iteration, checkpoints / torchdiffeq's adjoint",
            iteration(checkpoint, 2, device, **OURS, **COMPILE),
            iteration(adjoint, 2, device, **THEIRS),
            0.08,
        ),
        race(
            "ODE-Net forward / torchdiffeq, equal steps",
            Forward(odeint, 1.5 * TOL, device=device, **equal),
            Forward(theirs, TOL, device=device, **STEPS),
            0.15,
        ),
        race(
            "ODE-Net iteration, checkpoints / torchdiffeq's adjoint, equal steps",
            Iteration(checkpoint, 1.5 * TOL, device=device, **equal),
            Iteration(adjoint, TOL, device=device, **STEPS),
            0.2,
        ),
        race(
            "ODE-Net iteration, adjoint / torchdiffeq's, equal steps",
            Iteration(torch_ode.odeint_adjoint, 1.5 * TOL, device=device, **equal),
            Iteration(adjoint, TOL, device=device, **STEPS),
            None,
        ),
    ]


def odenet_races(batch: int = BATCH) -> list[Race]:
    """The ODE-Net's iteration, with equal steps."""
    fast: dict[str, Any] = {"options": {**STEPS["options"], **COMPILE["options"]}}
    compiled = Iteration(torch_ode.odeint_checkpoint, 1.5 * TOL, batch, **fast)
    eager = Iteration(torch_ode.odeint_checkpoint, 1.5 * TOL, batch, **STEPS)
    adjoint, eager_adjoint = (Iteration(torch_ode.odeint_adjoint, 1.5 * TOL, batch, **how) for how in (fast, STEPS))
    pieces = Pieces(NFE // 2, NFE // 2 - 1, batch)
    return [
        Race("compiled ODE-Net iteration, checkpoints / eager", compiled, eager, 0.95),
        Race("compiled ODE-Net iteration, checkpoints / its pieces", compiled, pieces, 1.0),
        Race("compiled ODE-Net iteration, adjoint / eager", adjoint, eager_adjoint, None),
    ]


def main(pairs: int = 61, device: str = "cpu") -> int:
    """Print the tables; 1 if a target is missed. On a GPU a sixth of the pairs is run."""
    if device != "cpu":
        return report(gpu_races(device), max(3, pairs // 6), f", on {device}", gpu=True)
    return report(races(), pairs) | report(odenet_races(), max(3, pairs // 6))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--pairs", type=int, default=61, help="pairs of runs of each race")
    chosen = parser.parse_args()
    sys.exit(main(chosen.pairs, chosen.device))
