"""Solve y' = f(t, y) with numpy: the twin to be read. ``nodelib.torch_ode.solve`` is the same in torch.

``problem.py`` checks the arguments, ``steps.py`` and ``multistep.py`` take the steps; here they become a solution.
"""

from collections.abc import Iterable, Iterator, Sized
from dataclasses import replace
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.tracer import getval

from nodelib.common import scipy_solvers
from nodelib.common.solution import GraphNeeded, NonFiniteState, Solution, Stats
from nodelib.numpy_ode.multistep import adams_steps
from nodelib.numpy_ode.problem import Counted, Func, Problem, prepare
from nodelib.numpy_ode.steps import Segment, adaptive_steps, fixed_steps


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

    The arguments and errors are those of ``solve``. With event_fn, ``odeint_event`` from t[0] in the direction of t[1].
    """
    settings: Any = {"method": method, "rtol": rtol, "atol": atol, "options": options}
    if event_fn is not None:
        from nodelib.numpy_ode.events import odeint_until  # imports this module

        return odeint_until(odeint, func, y0, t, event_fn, **settings)
    return solve(func, y0, t, **settings).y


def solve(
    func: Func, y0: Any, t: Any, *, method: str = "dopri5", rtol=None, atol=None, options=None, dense: bool = False
) -> Solution:
    """Solve y' = func(t, y), y(t[0]) = y0, and return the states at the times t with the record of every step.

    func:    (t: float, y: array like y0) -> array of the shape and dtype of y0.
    y0:      array of any shape; float32, float64 or complex, or a Python float.
    t:       the times, strictly increasing or decreasing; the state at a single one is y0.
    method:  a name in ``METHODS``.
    rtol, atol: tolerance atol + rtol |y| on the error of each step (not of the whole); floats, or arrays like y0.
             Defaults 1e-7, 1e-9 in double and 1e-5, 1e-6 in single precision. Fixed-step methods do not use them.
    options: fixed-step methods: step_size (without it, one step from each time in t to the next);
             adaptive: first_step, max_num_steps (100,000), controller ("I" or "PI"), norm(y) -> float;
             Adams: max_order (4), and implicit_adams max_iters (20) for the iterations on each step's equation.
    dense:   also keep what it takes to give the state at any time.

    Raises ValueError or TypeError, before any work, for bad arguments; StepSizeUnderflow, MaxStepsReached,
    NonFiniteState or FixedPointFailed while solving. NFE: an FSAL pair of s stages takes 2 + (s - 1) × attempts
    (dopri5: 2 + 6 × attempts), one less with ``first_step``.
    """
    problem = prepare(func, y0, t, method, rtol, atol, options)
    sol = run(problem, dense)
    return replace(
        sol, y=sol.y.reshape((len(problem.times), *problem.shape)), t=t if isinstance(t, Sized) else problem.t
    )


def run(problem: Problem, dense: bool = False) -> Solution:
    """Solve a checked problem; the solution's y is flat, (len(t), n)."""
    try:
        return solved(problem, dense)
    except GraphNeeded:
        problem.func.nfe, problem.func.boxed = 1, True
        return solved(replace(problem, boxed=True, log=[]), dense)


def solved(problem: Problem, dense: bool) -> Solution:
    """``run``, as the problem says: with boxes or without."""
    if len(problem.times) == 1:
        return Solution(problem.t, problem.y0[None], Stats(problem.func.nfe, 0, 0), ())
    if problem.method.kind == "scipy":
        return scipy_solution(problem, dense)
    segments = list(map(Segment.keep, steps(problem))) if dense else None
    ys = [y for _, y in outputs(problem, segments or steps(problem))]
    check_end(problem, ys)
    accepted = sum(step.accepted for step in problem.log)
    stats = Stats(problem.func.nfe, accepted, len(problem.log) - accepted)
    interpolant = Interpolant(segments, problem.shape) if segments else None
    return Solution(problem.t, anp.stack(ys), stats, tuple(problem.log), interpolant)


def outputs(problem: Problem, segments: Iterable[Segment]) -> Iterator[tuple[int, Any]]:
    """The states at the output times, with their indices in t, as the segments get there."""
    times, i = problem.times, 1
    yield 0, problem.y0
    for segment in segments:
        while i < len(times) and segment.reaches(times[i]):
            yield i, segment.at(times[i], problem.time(times[i], i), i)
            i += 1


def steps(problem: Problem) -> Iterator[Segment]:
    """The accepted steps from t[0] to t[-1], by the problem's method."""
    if problem.method.kind == "adams":
        return adams_steps(problem)
    return adaptive_steps(problem) if problem.method.adaptive else fixed_steps(problem)


def check_end(problem: Problem, ys: Any) -> None:
    """Raise NonFiniteState unless the last state is finite."""
    if not np.isfinite(getval(ys[-1])).all():
        explain_overflow(problem)


def explain_overflow(problem: Problem) -> None:
    """Solve again, stopping at the first evaluation that is not finite, and say which it was."""

    def checked(t: Any, y: Any) -> Any:
        f = problem.func.func(t, y)
        if not np.isfinite(getval(f)).all():
            largest = np.abs(getval(y)).max()
            raise NonFiniteState(
                f"func first returns nan or inf at t = {getval(t):.6g}, where the largest entry of y is {largest:.3g}. "
                "If that is large, the step is too long for stability or the solution blows up; else check func there"
            )
        return f

    counted = Counted(checked, (1,))
    with np.errstate(all="ignore"):
        for _ in steps(Problem(**{**vars(problem), "func": counted, "log": []})):
            pass
    raise NonFiniteState("the state overflows between evaluations of func: take smaller steps")


class Interpolant:
    """Dense output: the state at any time, from the segment it falls into."""

    def __init__(self, segments: list[Segment], shape: tuple[int, ...]):
        self.segments, self.shape = segments, shape
        self.sign = 1 if segments[0].h > 0 else -1
        self.ends = self.sign * np.array([segment.t1 for segment in segments])

    def __call__(self, times: Any) -> Any:
        ys = [self.segments[i].at(s, s) for i, s in zip(self.find(times), times.reshape(-1).tolist(), strict=True)]
        return anp.stack(ys).reshape((*times.shape, *self.shape))

    def find(self, times: Any) -> Any:
        """The number of the segment that each time falls into."""
        return np.searchsorted(self.ends, self.sign * times.reshape(-1))


def scipy_solution(problem: Problem, dense: bool) -> Solution:
    """The same problem handed to SciPy, which autograd cannot look into."""
    if problem.boxed:
        raise TypeError(f'{problem.method.name} cannot be differentiated: use odeint_adjoint, or method="dopri5"')
    y0 = problem.y0

    def func(t: float, y: Any) -> Any:
        return problem.func(t, y.view())  # SciPy's own array stays writeable

    found = scipy_solvers.run(problem.method, func, y0, problem.times, problem.rtol, problem.atol, problem.options)
    ys, stats, log, sol = found
    if dense and sol is None:
        raise ValueError(f"{problem.method.name} gives no dense output: use scipy:LSODA, or add the times to t")

    def interpolant(times: Any) -> Any:
        return np.moveaxis(sol(times), 0, -1).astype(y0.dtype).reshape((*times.shape, *problem.shape))  # type: ignore[misc]

    stats = Stats(problem.func.nfe, stats.accepted, stats.rejected)
    return Solution(problem.t, ys, stats, log, interpolant if dense else None)
