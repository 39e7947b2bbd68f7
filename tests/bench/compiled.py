"""How fast compiled solves are: `python -m tests.bench.compiled [--device cuda]`, or `python run.py bench`.

torchdiffeq's ode_demo network in single precision, beside torchdiffeq at tolerances that mean the same, beside this
library's own eager path, and beside the evaluations of func alone that a solve needs; and the ODE-Net's iteration by
checkpoints. Programs are compiled before anything is timed, which takes minutes. On a GPU what is timed is the clock's
time until the GPU is done, since a processor's own says nothing there; the targets are those of a CPU.
"""

import argparse
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torchdiffeq

from nodelib import torch_ode
from tests.bench.odenet import NFE, STEPS, TOL, Iteration, Pieces
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
        if device != "cpu":
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

    return waited(run, device)


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

    return waited(run, device)


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

    return waited(run, device)


def races(device: str = "cpu") -> list[Race]:
    """All that is measured with the small network."""
    odeint, checkpoint = torch_ode.odeint, torch_ode.odeint_checkpoint
    compiled = forward(odeint, 2, device, **OURS, **COMPILE)
    trained = iteration(checkpoint, 10, device, **OURS, **COMPILE)
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
    ]


def odenet_races(batch: int = BATCH) -> list[Race]:
    """The ODE-Net's iteration, with equal steps."""
    fast = {"options": {**STEPS["options"], **COMPILE["options"]}}
    compiled = Iteration(torch_ode.odeint_checkpoint, 1.5 * TOL, batch, **fast)
    eager = Iteration(torch_ode.odeint_checkpoint, 1.5 * TOL, batch, **STEPS)
    pieces = Pieces(NFE // 2, NFE // 2 - 1, batch)
    return [
        Race("compiled ODE-Net iteration, checkpoints / eager", compiled, eager, 0.95),
        Race("compiled ODE-Net iteration, checkpoints / its pieces", compiled, pieces, 1.0),
    ]


def main(pairs: int = 61, device: str = "cpu") -> int:
    """Print the tables; 1 if a target is missed."""
    setting = "" if device == "cpu" else f", on {device}"
    missed = report(races(device), pairs, setting)
    return missed if device != "cpu" else missed | report(odenet_races(), max(3, pairs // 6))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--pairs", type=int, default=61, help="pairs of runs of each race")
    chosen = parser.parse_args()
    sys.exit(main(chosen.pairs, chosen.device))
