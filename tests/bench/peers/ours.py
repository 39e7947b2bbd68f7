"""This library's solvers on the workloads: the numpy twin, and the torch twin eager and, where it can be, compiled."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from nodelib import numpy_ode, torch_ode
from tests.bench.peers.measure import Outcome, Run
from tests.bench.peers.workloads import PROBLEMS, DemoTask
from tests.bench.solvers import Demo

COMPILED = True  # whether there are rows of compiled solves, which take minutes to build
LOOSER = 1.5  # the peers' estimate of dopri5's error is 2/3 of Dormand and Prince's, which is ours


def numpy_solve(name: str, method: str, tol: float) -> Run:
    """A problem from start to end by the numpy twin; atol is tol / 1000."""
    problem = PROBLEMS[name]
    func, y0 = problem.field(np.array), np.array(problem.y0)

    def run() -> Outcome:
        found = numpy_ode.solve(func, y0, problem.span, method=method, rtol=tol, atol=1e-3 * tol)
        return Outcome(found.stats.nfe, found.y[-1])

    return run


def forward(task: DemoTask, solver: Callable[..., Any], tol: float, func: Demo | None = None, **settings: Any) -> Run:
    """The task's outputs without a gradient; for the peers in torch as well, which take the same arguments.

    ``func`` is the task's network where several runs share one: so it is compiled once.
    """
    func = func or task.network()
    y0, t = task.start(), task.times()

    def run() -> Outcome:
        func.nfe = 0
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = solver(func, y0, t, rtol=tol, atol=0.1 * tol, **settings)
        return Outcome(func.nfe, waited(y))

    return run


def iteration(task: DemoTask, solver: Callable[..., Any], tol: float, **settings: Any) -> Run:
    """The task's outputs, their loss and its gradient by all parameters; for the peers as well."""
    func, y0, t = task.network(), task.start(), task.times()
    params = list(func.parameters())

    def run() -> Outcome:
        func.nfe = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loss = task.loss(solver(func, y0, t, rtol=tol, atol=0.1 * tol, **settings))
            found = torch.autograd.grad(loss, params)
        return Outcome(func.nfe, waited(torch.cat([g.flatten() for g in found])))

    return run


def waited(y: torch.Tensor) -> torch.Tensor:
    """y, once the device has computed it."""
    if y.is_cuda:
        torch.cuda.synchronize()
    return y


WAYS = {
    "backprop": torch_ode.odeint,
    "checkpoint": torch_ode.odeint_checkpoint,
    "adjoint": torch_ode.odeint_adjoint,
}
COMPILE: dict[str, Any] = {"options": {"compile": True}}
