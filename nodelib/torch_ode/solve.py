"""Solve y' = f(t, y) with torch: the twin to be used, on CPU and GPU. ``nodelib.numpy_ode.solve`` is the same to read.

``problem.py`` checks the arguments, ``steps.py`` and ``multistep.py`` take the steps; here they become a solution.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sized
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib.common import scipy_solvers
from nodelib.common.arguments import warn
from nodelib.common.solution import GraphNeeded, NonFiniteState, Solution, Stats
from nodelib.torch_ode.compiling.compiled import compiled_solve
from nodelib.torch_ode.each import per_sample, solve_each
from nodelib.torch_ode.forms import Form
from nodelib.torch_ode.modes import entrance
from nodelib.torch_ode.modules import has_parameters
from nodelib.torch_ode.multistep import adams_steps
from nodelib.torch_ode.problem import Func, Problem, finite, instant, prepare
from nodelib.torch_ode.steps import Segment, adaptive_steps, fixed_steps


@entrance
def odeint(
    func: Func,
    y0: Any,
    t: Any,
    *,
    method: str = "dopri5",
    rtol=None,
    atol=None,
    options=None,
    event_fn: Func | None = None,
) -> Any:
    """The states at the times t of the solution of y' = func(t, y), y(t[0]) = y0; shape (len(t), *y0.shape).

    The arguments and errors are those of ``solve``; for a tuple y0 the result is a tuple. With event_fn,
    ``odeint_event`` from t[0] in the direction of t[1].
    """
    settings: Any = {"method": method, "rtol": rtol, "atol": atol, "options": options}
    if event_fn is not None:
        from nodelib.torch_ode.events import odeint_until  # imports this module

        return odeint_until(odeint, func, y0, t, event_fn, **settings)
    if per_sample(options):
        return solve_each(func, y0, t, **settings).check().y
    return solve(func, y0, t, **settings).y


@entrance
def solve(
    func: Func, y0: Any, t: Any, *, method: str = "dopri5", rtol=None, atol=None, options=None, dense: bool = False
) -> Solution:
    """Solve y' = func(t, y), y(t[0]) = y0, and return the states at the times t with the record of every step.

    func:    (t: 0-d tensor, y: like y0) -> like y0. t has y0's real dtype and device.
    y0:      tensor of any shape or a tuple of tensors; float32, float64 or complex; on any device.
    t:       the times, strictly increasing or decreasing: a tensor, or a sequence of numbers and tensors (their
             gradient is given). The state at a single time is y0.
    method:  a name in ``METHODS``.
    rtol, atol: tolerance atol + rtol |y| on the error of each step (not of the whole); floats, tensors like y0, or
             for a tuple y0 one for each part. Defaults 1e-7, 1e-9 in double and 1e-5, 1e-6 in single precision.
    options: fixed-step methods: step_size, or grid_constructor(func, y0, t) (without: one step from each time in t to
             the next); adaptive: first_step, min_step, max_step, max_num_steps (100,000), controller ("I" or "PI"),
             norm(y) -> float, step_t and jump_t (times to stop at; at a jump f is evaluated on either side),
             per_sample (True: each row of y0 has steps of its own, func gets t of shape (batch, 1, …), and the
             solution is an ``EachSolution``, which tells what became of each);
             Runge-Kutta methods: compile (True: torch.compile makes one program of func and the steps, at the first
             call for each func, shape, dtype, device and method, which takes seconds and is warned of; further calls
             use it. The numbers are the same but for rounding, and but for one evaluation more for each rejected step
             of a pair that is not FSAL, and for ``odeint_adjoint`` by fixed steps; the gradient through ``odeint`` is
             that of ``odeint_checkpoint``, a first derivative. What cannot be compiled is solved as without it, after a
             warning that says why. Small networks gain most: on one CPU thread a solve took 0.3, an iteration by
             checkpoints 0.2 and by the adjoint 0.15 of the time without it, an ODE-Net's with 128 images as long; on a
             GPU it has not been measured);
             Adams: max_order (4), and implicit_adams max_iters (20) for the iterations on each step's equation.
    dense:   also keep what it takes to give the state at any time.

    Raises ValueError or TypeError, before any work, for bad arguments; StepSizeUnderflow, MaxStepsReached,
    NonFiniteState or FixedPointFailed while solving. NFE: an FSAL pair of s stages takes 2 + (s - 1) × attempts
    (dopri5: 2 + 6 × attempts), one less with ``first_step``.
    """
    if per_sample(options):
        if dense:
            raise ValueError("option 'per_sample' gives no dense output: add the times to t")
        return solve_each(func, y0, t, method, rtol, atol, options)
    if sol := compiled_solve(func, y0, t, method, rtol, atol, options, dense=dense):
        return sol
    problem = prepare(func, y0, t, method, rtol, atol, options)
    sol = run(problem, dense)
    if torch.is_grad_enabled() and not (problem.func.traced or problem.followed) and has_parameters(func):
        warn("func has parameters, but its output no gradient: is there a no_grad() or detach() in it?")
    return replace(sol, y=problem.form.unflatten(sol.y), t=t if isinstance(t, Sized) else problem.t)


def run(problem: Problem, dense: bool = False) -> Solution:
    """Solve a checked problem; the solution's y is flat, (len(t), n)."""
    try:
        return solved(problem, dense)
    except GraphNeeded:
        problem.func.nfe = 1
        return solved(replace(problem, graph=True, log=[]), dense)


def solved(problem: Problem, dense: bool) -> Solution:
    """``run``, as the problem says: with a graph or without."""
    if len(problem.times) == 1:
        return Solution(problem.t, problem.y0[None], Stats(problem.func.nfe, 0, 0), ())
    if problem.method.kind == "scipy":
        return scipy_solution(problem, dense)
    segments = list(map(Segment.keep, steps(problem))) if dense else None
    y = torch.cat([part for _, part in outputs(problem, segments or steps(problem))])
    check_end(problem, y)
    accepted = sum(step.accepted for step in problem.log)
    stats = Stats(problem.func.nfe, accepted, len(problem.log) - accepted)
    interpolant = Interpolant(segments, problem.form) if segments else None
    return Solution(problem.t, y, stats, tuple(problem.log), interpolant)


def outputs(problem: Problem, segments: Iterable[Segment], first: int = 0) -> Iterator[tuple[range, Tensor]]:
    """The states at the output times from t[first] on, (len(indices), n), with their indices, as they are reached."""
    times, done, sign = np.array(problem.times), first, problem.direction
    ordered = [sign * s for s in problem.times]
    if first == 0:
        yield range(1), problem.y0[None]
        done = 1
    for segment in segments:
        reached = bisect_right(ordered, sign * segment.t1, done)
        at_end = reached > done and segment.ends[1] == reached - 1
        inside = range(done, reached - 1 if at_end else reached)
        if inside:
            yield inside, segment.at(times[inside.start : inside.stop], problem.times_of(inside))
        if at_end:
            yield range(reached - 1, reached), segment.y1[None]
        done = reached


def steps(problem: Problem) -> Iterator[Segment]:
    """The accepted steps from t[0] to t[-1], by the problem's method."""
    if problem.method.kind == "adams":
        return adams_steps(problem)
    return adaptive_steps(problem) if problem.method.adaptive else fixed_steps(problem)


def check_end(problem: Problem, y: Tensor) -> None:
    """Raise NonFiniteState unless the last state is finite."""
    if not finite(y[-1]):
        explain_overflow(problem)


@torch.no_grad()
def explain_overflow(problem: Problem) -> None:
    """Solve again, stopping at the first evaluation that is not finite, and say which it was."""

    def checked(t: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        f = problem.func(t, y, out)
        if not finite(f):
            largest = float(y.abs().max())
            raise NonFiniteState(
                f"func first returns nan or inf at t = {float(t):.6g}, where the largest entry of y is {largest:.3g}. "
                "If that is large, the step is too long for stability or the solution blows up; else check func there"
            )
        return f

    for _ in steps(Problem(**{**vars(problem), "func": checked, "log": [], "graph": False})):
        pass
    raise NonFiniteState("the state overflows between evaluations of func: take smaller steps")


class Interpolant:
    """Dense output: the state at any time, from the segment it falls into."""

    def __init__(self, segments: list[Segment], form: Form):
        self.segments, self.form = segments, form
        self.sign = 1 if segments[0].h > 0 else -1
        self.ends = self.sign * np.array([segment.t1 for segment in segments])

    def __call__(self, times: np.ndarray) -> Any:
        flat = times.reshape(-1)
        ys = torch.cat([self.segments[i].at(flat[j : j + 1]) for j, i in enumerate(self.find(flat))])
        return self.form.unflatten(ys.reshape(*times.shape, -1))

    def find(self, times: np.ndarray) -> np.ndarray:
        """The number of the segment that each time falls into."""
        return np.searchsorted(self.ends, self.sign * times)


def scipy_solution(problem: Problem, dense: bool) -> Solution:
    """The same problem handed to SciPy on the CPU, which autograd cannot look into."""
    if problem.graph:
        raise TypeError(
            f'{problem.method.name} cannot be differentiated: use odeint_adjoint, or method="dopri5"; where no '
            "gradient is wanted, solve under torch.no_grad()"
        )
    y0 = problem.y0

    @torch.no_grad()
    def func(t: float, y: Any) -> Any:
        state = torch.from_numpy(np.array(y)).to(y0.device, y0.dtype)  # a copy: SciPy goes on with its own
        return problem.func(instant(t, state), state).cpu().numpy()

    tols = [x.double().cpu().numpy() if isinstance(x, Tensor) else x for x in (problem.rtol, problem.atol)]
    start = y0.cpu().numpy()
    found = scipy_solvers.run(problem.method, func, start, problem.times, tols[0], tols[1], problem.options)
    ys, stats, log, sol = found
    if dense and sol is None:
        raise ValueError(f"{problem.method.name} gives no dense output: use scipy:LSODA, or add the times to t")

    def back(y: Any) -> Tensor:
        return torch.from_numpy(np.array(y)).to(y0.device, y0.dtype)

    def interpolant(times: np.ndarray) -> Any:
        return problem.form.unflatten(back(np.moveaxis(sol(times), 0, -1)))  # type: ignore[misc]

    stats = Stats(problem.func.nfe, stats.accepted, stats.rejected)
    return Solution(problem.t, back(ys), stats, log, interpolant if dense else None)
