"""How fast the solvers are beside SciPy's and torchdiffeq's: `python -m tests.bench.solvers`."""

import sys
from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np
import torch
import torchdiffeq
from scipy.integrate import solve_ivp
from torch import Tensor, nn

from nodelib import numpy_ode, torch_ode
from tests.bench.race import Race, Run, report

NETWORKS = range(5)


def lotka_volterra() -> Race:
    """numpy dopri5 and SciPy's RK45 at the same tolerance."""

    def func(t: float, y: Any) -> Any:
        prey, predators = y
        return np.array([1.5 * prey - prey * predators, prey * predators - 3 * predators])

    y0, span = np.array([10.0, 5.0]), (0.0, 15.0)

    def ours() -> int:
        return numpy_ode.solve(func, y0, span, rtol=1e-6, atol=1e-9).stats.nfe

    def theirs() -> int:
        return solve_ivp(func, span, y0, rtol=1e-6, atol=1e-9).nfev

    return Race("numpy dopri5 / SciPy RK45, Lotka-Volterra", ours, theirs, 0.85)


class Demo(nn.Module):
    """The network of torchdiffeq's examples/ode_demo.py as it is before training, counting its evaluations."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        layers = nn.Linear(2, 50), nn.Linear(50, 2)
        for layer in layers:
            nn.init.normal_(layer.weight, std=0.1)
            nn.init.zeros_(layer.bias)
        self.net = nn.Sequential(layers[0], nn.Tanh(), layers[1])
        self.nfe = 0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.nfe += 1
        return self.net(y**3)


def in_turn(runs: list[Run]) -> Run:
    """A callable that does the first of them, at the next call the second, and so on all round."""
    rounds = cycle(runs)
    return lambda: next(rounds)()


def ode_demo(outputs: int, looser: float, target: float | None) -> Race:
    """torch dopri5 without gradients on a batch of 20, ours at ``looser`` times torchdiffeq's tolerance.

    Each pair takes another network, since they differ: they need from 50 to 300 evaluations. torchdiffeq's error
    estimate is 2/3 of Dormand and Prince's, so that 1.5 times its tolerance means the same.
    """
    t = torch.linspace(0, 25, outputs)

    def case(odeint: Callable[..., Any], scale: float, seed: int) -> Run:
        func = Demo(seed)
        y0 = torch.tensor([2.0, 0.0]) + 0.1 * torch.randn(20, 2)

        def run() -> int:
            func.nfe = 0
            with torch.no_grad():
                odeint(func, y0, t, rtol=scale * 1e-5, atol=scale * 1e-6)
            return func.nfe

        return run

    ends = "end points" if outputs == 2 else f"{outputs} outputs"
    ours = in_turn([case(torch_ode.odeint, looser, seed) for seed in NETWORKS])
    theirs = in_turn([case(torchdiffeq.odeint, 1.0, seed) for seed in NETWORKS])
    return Race(f"torch dopri5 / torchdiffeq, ode_demo, {ends}, {looser:g} × tol", ours, theirs, target)


def races() -> list[Race]:
    """All that is measured."""
    return [
        lotka_volterra(),
        ode_demo(2, 1.5, 0.40),
        ode_demo(200, 1.5, 0.25),
        ode_demo(2, 1.0, None),
        ode_demo(200, 1.0, None),
    ]


def main(pairs: int = 100) -> int:
    """Print the table; 1 if a target is missed."""
    return report(races(), pairs)


if __name__ == "__main__":
    sys.exit(main())
