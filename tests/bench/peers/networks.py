"""The networks of chapters 3 to 5, ours beside torchdiffeq: as ``tests.bench`` has them, with outcomes."""

import copy
import warnings
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib import torch_ode
from tests.bench import flows, latent, odenet
from tests.bench.peers.measure import Outcome, Run

Solver = Callable[..., Any]
SAME = {"nodelib": 1.5, "compiled": 1.5, "torchdiffeq": 1.0}  # shares of a tolerance that mean the same


def solver_of(side: str, way: str) -> Solver:
    """``side`` is "nodelib", "compiled" or "torchdiffeq"; ``way`` "backprop", "checkpoint" or "adjoint"."""
    name = {"backprop": "odeint", "checkpoint": "odeint_checkpoint", "adjoint": "odeint_adjoint"}[way]
    if side == "compiled":
        return partial(getattr(torch_ode, name), options={"compile": True})
    return getattr(torch_ode if side == "nodelib" else import_module(side), name)


def quiet(run: Callable[[], int], y: Callable[[], Any] = lambda: None) -> Run:
    """``run``, which counts evaluations, as a ``Run``; what ours warns of, as the adjoint's precision, is known."""

    def whole() -> Outcome:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return Outcome(run(), y())

    return whole


def forward(field: Any, start: Any, t: Tensor, solver: Solver, **settings: Any) -> Run:
    """A solve of a field that counts its evaluations, without a gradient; the outcome has the last state."""

    def run() -> Outcome:
        field.nfe = 0
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            y = solver(field, start, t, **settings)
        last = y[0][-1] if isinstance(y, tuple) else y[-1]
        return Outcome(field.nfe, last)

    return run


def odenet_iteration(side: str, way: str, batch: int) -> Run:
    """An iteration of chapter 3's ODE-Net; its training goes on, so that there is no fixed gradient to compare."""
    return quiet(odenet.Iteration(solver_of(side, way), SAME[side] * odenet.TOL, batch))


def odenet_forward(side: str, batch: int, tol: float, dtype: torch.dtype = torch.float32) -> Run:
    """The solve of its ODE block, from the images of the stem."""
    whole = odenet.Iteration(None, batch=batch)
    net: Any = whole.net
    with torch.no_grad():
        z = net.stem(whole.x).to(dtype)
    field = copy.deepcopy(net.body.field).to(dtype)
    return forward(field, z, whole.t.to(dtype), solver_of(side, "backprop"), rtol=tol, atol=tol)


def cnf_forward(side: str, batch: int, tol: float, dtype: torch.dtype = torch.float32) -> Run:
    """Chapter 4's continuous flow, from data to the base density; the outcome has the points."""
    field = copy.deepcopy(flows.network(0, batch)).to(dtype)
    whole = flows.Iteration(field, torch_ode.odeint, batch=batch)
    start = whole.x, torch.zeros_like(whole.x[:, 0])
    return forward(whole.field, start, whole.t, solver_of(side, "backprop"), rtol=tol, atol=tol)


def cnf_iteration(side: str, way: str, batch: int) -> Run:
    """An iteration of it; the outcome has the gradient."""
    whole = flows.Iteration(flows.network(0, batch), solver_of(side, way), SAME[side] * flows.TOL, batch)
    return quiet(whole, lambda: _gradient(whole.params))


def latent_forward(side: str, n: int, share: float, dtype: torch.dtype = torch.float32) -> Run:
    """The decoder of chapter 5's latent ODE, at all 100 times."""
    model, z0, grid = _decoder(n)
    tol = {"rtol": share * latent.RTOL, "atol": share * latent.ATOL}
    field = copy.deepcopy(model.field).to(dtype)
    return forward(field, z0.to(dtype), grid.to(dtype), solver_of(side, "backprop"), **tol)


def latent_iteration(side: str, way: str, n: int) -> Run:
    """The decoder's solve and its gradient, by states and parameters, which is the outcome."""
    whole = latent.Solve(*_decoder(n), solver_of(side, way), SAME[side])
    found: list[Tensor] = []

    def run() -> int:
        whole.field.nfe = 0
        found[:] = [whole.gradient()]
        return whole.field.nfe

    return quiet(run, lambda: found[0])


def _gradient(params: list[Any]) -> Tensor:
    return torch.cat([p.grad.flatten() for p in params])


@cache
def _decoder(n: int) -> tuple[Any, Tensor, Tensor]:
    model, (series, _) = latent.network(0, n), latent.spirals(n)
    with torch.no_grad():
        z0, _ = model.encode(series)
    assert series.grid is not None
    return model, z0, series.grid


def exact(run: Callable[..., Run], *arguments: Any) -> np.ndarray:
    """What ``run``, a forward solve of ours with these last arguments, finds in double precision."""
    return np.asarray(run("nodelib", *arguments, torch.float64)().y, dtype=float)


def cnf_gradient(batch: int) -> np.ndarray:
    """The gradient of the iteration, from a tight solve in double precision."""
    field = copy.deepcopy(flows.network(0, batch)).double()
    return flows.Iteration(field, torch_ode.odeint, 1e-10, batch).gradient().numpy()


def latent_gradient(n: int) -> np.ndarray:
    """The gradient of the decoder's solve, from a tight solve in double precision."""
    model, z0, grid = _decoder(n)
    model = copy.deepcopy(model).double()
    return latent.Solve(model, z0.double(), grid.double(), torch_ode.odeint, 1e-5).gradient().numpy()
