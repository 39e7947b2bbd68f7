"""The peers that are written in torch, on ode_demo: torchdiffeq, torchode, torchdyn.

All three estimate dopri5's error as Shampine does, 2/3 of Dormand and Prince's. torchode gives each row of a batch
steps of its own, so it evaluates f for all rows until the slowest has arrived: another thing than one step for all.
Each takes the arguments of torchdiffeq's ``odeint``. A peer is imported where it is used, since it may be missing.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch

Solve = Callable[..., Any]


def torchdiffeq(way: str) -> Solve:
    """Its solver with that gradient."""
    return getattr(import_module("torchdiffeq"), {"backprop": "odeint", "adjoint": "odeint_adjoint"}[way])


def torchode(func: Any, y0: torch.Tensor, t: torch.Tensor, rtol: float, atol: float) -> torch.Tensor:
    """Its dopri5, with the integral controller that torchdiffeq has; outputs (outputs, batch, features).

    Eager, since TorchScript, which its documentation proposes, fails on it with torch 2.13 (an internal assertion).
    """
    to = import_module("torchode")
    term = to.ODETerm(func)
    solver = to.AutoDiffAdjoint(to.Dopri5(term=term), to.IntegralController(atol=atol, rtol=rtol, term=term))
    return solver.solve(to.InitialValueProblem(y0=y0, t_eval=t.expand(len(y0), -1))).ys.transpose(0, 1)


def torchdyn(func: Any, y0: torch.Tensor, t: torch.Tensor, rtol: float, atol: float) -> torch.Tensor:
    """Its dopri5, whose steps end at each output; outputs (outputs, batch, features)."""
    solver = import_module("torchdyn.numerics.solvers.ode").DormandPrince45(y0.dtype)
    return import_module("torchdyn.numerics").odeint(func, y0, t, solver, atol=atol, rtol=rtol)[1]
