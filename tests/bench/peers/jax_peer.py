"""diffrax, which compiles the whole solve, on the small problems and on ode_demo.

Each run is one compiled program, the tolerance among its arguments; the first call compiles it. NFE are its number of
steps times the new stages of one, six of dopri5, and one before them, as a callback in f counted; of a gradient, those
of the way there alone, since the way back is inside the program. It runs on the CPU.
"""

import time
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from tests.bench.peers.measure import Outcome, Run
from tests.bench.peers.workloads import PROBLEMS, DemoTask

STAGES, BEFORE, MOST = {"Dopri5": 6, "Tsit5": 6, "Dopri8": 13}, 1, 4096


def modules() -> tuple[Any, Any, Any]:
    """jax in double precision, where arrays say so, its numpy, and diffrax."""
    jax = import_module("jax")
    jax.config.update("jax_enable_x64", True)
    return jax, import_module("jax.numpy"), import_module("diffrax")


class Program:
    """A function compiled by jax, and the seconds that the first call took: nearly all of them, to compile it."""

    def __init__(self, function: Callable[..., Any]):
        self.jax = modules()[0]
        self.function, self.seconds = self.jax.jit(function), 0.0

    def __call__(self, *arguments: Any) -> Any:
        """The result, once it is computed."""
        if self.seconds:
            return self.jax.block_until_ready(self.function(*arguments))
        begun = time.perf_counter()
        found = self.jax.block_until_ready(self.function(*arguments))
        self.seconds = time.perf_counter() - begun
        return found


@cache
def program(name: str, method: str) -> Program:
    """(y0, tol) -> state at the end and number of steps, of a problem; once for all tolerances."""
    _, jnp, diffrax = modules()
    problem = PROBLEMS[name]
    func = problem.field(jnp.array)
    term, solver = diffrax.ODETerm(lambda t, y, args: func(t, y)), getattr(diffrax, method)()

    def solve(y0: Any, tol: Any) -> tuple[Any, Any]:
        found = diffrax.diffeqsolve(
            term, solver, *problem.span, None, y0, max_steps=None,
            stepsize_controller=diffrax.PIDController(rtol=tol, atol=1e-3 * tol),
        )  # fmt: skip
        return found.ys[-1], found.stats["num_steps"]

    return Program(solve)


def solve(name: str, method: str, tol: float) -> Run:
    """A problem from start to end in double precision; atol is tol / 1000."""
    solver = program(name, method)
    y0 = modules()[1].array(PROBLEMS[name].y0)

    def run() -> Outcome:
        y, steps = solver(y0, tol)
        return Outcome(evaluations(method, steps), y, solver.seconds)

    return run


def evaluations(method: str, steps: Any) -> int:
    """Of f, in so many steps, rejected ones among them."""
    return int(steps) * STAGES[method] + BEFORE


class Demo:
    """ode_demo in jax: its parameters and states as arrays, and the solve as a function of the parameters."""

    def __init__(self, task: DemoTask, adjoint: str):
        self.jax, jnp, self.diffrax = modules()
        self.task = task
        self.params = [jnp.array(p.detach().cpu().numpy()) for p in task.network().parameters()]
        self.y0, self.t = (jnp.array(x.cpu().numpy()) for x in (task.start(), task.times()))
        self.adjoint = getattr(self.diffrax, adjoint)()
        self.tanh = jnp.tanh

    def func(self, t: Any, y: Any, params: Any) -> Any:
        w1, b1, w2, b2 = params
        return self.tanh(y**3 @ w1.T + b1) @ w2.T + b2

    def solve(self, params: Any, tol: Any) -> tuple[Any, Any]:
        """Outputs (outputs, 20, 2) and the number of steps."""
        found = self.diffrax.diffeqsolve(
            self.diffrax.ODETerm(self.func), self.diffrax.Dopri5(), self.t[0], self.t[-1], None, self.y0, params,
            saveat=self.diffrax.SaveAt(ts=self.t), adjoint=self.adjoint, max_steps=MOST,
            stepsize_controller=self.diffrax.PIDController(rtol=tol, atol=0.1 * tol),
        )  # fmt: skip
        return found.ys, found.stats["num_steps"]


@cache
def forwards(task: DemoTask) -> tuple[Demo, Program]:
    """The solve; once for all tolerances."""
    demo = Demo(task, "RecursiveCheckpointAdjoint")
    return demo, Program(demo.solve)


def forward(task: DemoTask, tol: float) -> Run:
    """The task's outputs."""
    return _run(*forwards(task), tol, lambda y: y)


def iteration(task: DemoTask, tol: float, adjoint: str) -> Run:
    """The task's outputs, their loss and its gradient, by the adjoint of diffrax that has that name."""
    demo = Demo(task, adjoint)

    def loss(params: Any, tol: Any) -> tuple[Any, Any]:
        y, steps = demo.solve(params, tol)
        return task.loss(y), steps

    whole = Program(demo.jax.grad(loss, has_aux=True))
    return _run(demo, whole, tol, lambda found: np.concatenate([np.ravel(g) for g in found]))


def _run(demo: Demo, solver: Program, tol: float, kept: Callable[[Any], Any]) -> Run:
    tolerance = demo.y0.dtype.type(tol)

    def run() -> Outcome:
        y, steps = solver(demo.params, tolerance)
        return Outcome(evaluations("Dopri5", steps), kept(y), solver.seconds)

    return run
