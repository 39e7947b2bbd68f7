"""Solve y' = f(t, y) with numpy: the twin to be read. ``nodelib.torch_ode.solve`` is the same in torch.

From top to bottom: the two public functions; the checks; a Runge-Kutta step; steps that choose their size; steps on a
grid; the values between. The letters are those of Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I*
(1993), "HNW". States are flattened on entry. Plain arrays and autograd's boxes pass through the same lines, so that
``autograd.grad`` differentiates a solve; step sizes are constants to the gradient.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, sqrt
from typing import Any, NamedTuple

import autograd.numpy as anp
import numpy as np
from autograd.tracer import getval, isbox
from numpy.typing import NDArray

from nodelib import scipy_solvers
from nodelib.arguments import (
    MAX_NUM_STEPS,
    Method,
    check_method,
    check_times,
    check_tolerances,
    default_tolerances,
)
from nodelib.controller import first_step, step_factor, trial_step
from nodelib.solution import NonFiniteState, Solution, Stats, Step, Symptoms, examine
from nodelib.tableaus import Tableau

Array = NDArray[Any]
Func = Callable[[Any, Any], Any]
EPS = float(np.finfo(np.float64).eps)


def odeint(func: Func, y0: Any, t: Any, *, method: str = "dopri5", rtol=None, atol=None, options=None) -> Any:
    """The states at the times t of the solution of y' = func(t, y), y(t[0]) = y0; shape (len(t), *y0.shape).

    The arguments and errors are those of ``solve``.
    """
    return solve(func, y0, t, method=method, rtol=rtol, atol=atol, options=options).y


def solve(
    func: Func, y0: Any, t: Any, *, method: str = "dopri5", rtol=None, atol=None, options=None, dense: bool = False
) -> Solution:
    """Solve y' = func(t, y), y(t[0]) = y0, and return the states at the times t with the record of every step.

    func:    (t: float, y: array like y0) -> array of the shape and dtype of y0.
    y0:      array of any shape; float32, float64 or complex, or a Python float.
    t:       two or more times, strictly increasing or decreasing.
    method:  a name in ``METHODS``.
    rtol, atol: tolerance atol + rtol |y| on the error of each step (not of the whole); floats, or arrays like y0.
             Defaults 1e-7, 1e-9 in double and 1e-5, 1e-6 in single precision. Fixed-step methods do not use them.
    options: fixed-step methods: step_size (without it, one step from each time in t to the next);
             adaptive: first_step, max_num_steps (100,000), controller ("I" or "PI");
             Adams: max_order (4), and implicit_adams max_iters (20) for the iterations on each step's equation.
    dense:   also keep what it takes to give the state at any time.

    Raises ValueError or TypeError, before any work, for bad arguments; StepSizeUnderflow, MaxStepsReached,
    NonFiniteState or FixedPointFailed while solving. NFE: an FSAL pair of s stages takes 2 + (s - 1) × attempts
    (dopri5: 2 + 6 × attempts), one less with ``first_step``.
    """
    problem = prepare(func, y0, t, method, rtol, atol, options)
    if problem.method.kind == "scipy":
        return scipy_solution(problem, t, dense)
    ys, segments = [problem.y0], []
    for segment in steps(problem):
        while len(ys) < len(problem.times) and segment.reaches(problem.times[len(ys)]):
            ys.append(
                segment.y1
                if segment.ends[1] == len(ys)
                else segment.at(problem.times[len(ys)], problem.time(problem.times[len(ys)], len(ys)))
            )
        if dense:
            segments.append(segment._replace(k=segment.k.copy()))
    if not np.isfinite(getval(ys[-1])).all():
        explain_overflow(problem)
    y = anp.stack(ys).reshape((len(ys), *problem.shape))
    accepted = sum(step.accepted for step in problem.log)
    stats = Stats(problem.func.nfe, accepted, len(problem.log) - accepted)
    interpolant = Interpolant(segments, problem.shape) if dense else None
    return Solution(t, y, stats, tuple(problem.log), interpolant)


# --- arguments -------------------------------------------------------------------------------------------------------


class Counted:
    """func on flat states, counting its evaluations."""

    def __init__(self, func: Func, shape: tuple[int, ...]):
        self.func = func if len(shape) == 1 else lambda t, y: func(t, y.reshape(shape)).reshape(-1)
        self.nfe = 0

    def __call__(self, t: Any, y: Any) -> Any:
        self.nfe += 1
        return self.func(t, y)


@dataclass
class Problem:
    """A checked initial value problem on the flat state y0, with the log of its attempted steps."""

    func: Counted
    y0: Any
    f0: Any
    shape: tuple[int, ...]
    t: Any
    times: list[float]
    method: Method
    rtol: Any
    atol: Any
    options: dict[str, Any]
    boxed: bool
    log: list[Step] = field(default_factory=list)

    def time(self, value: float, i: int | None) -> Any:
        """The time ``value``; where t has a gradient, as a box that moves along with t[i]."""
        return self.t[i] + (value - self.times[i]) if i is not None and isbox(self.t) else value


def prepare(func: Func, y0: Any, t: Any, method: str, rtol: Any, atol: Any, options: Any) -> Problem:
    """Check every argument, evaluate func once, and flatten the state."""
    chosen, options = check_method(method, options, {})
    y0 = y0 if isbox(y0) else np.asarray(y0)
    value = getval(y0)
    if value.dtype.kind not in "fc" or value.dtype == np.float16:
        raise TypeError(
            f"y0 must be float32, float64 or complex, got {value.dtype}: pass e.g. np.array(y0, dtype=float)"
        )
    if value.size == 0:
        raise ValueError(f"y0 is empty (shape {value.shape}): there is nothing to solve for")
    if not np.isfinite(value).all():
        raise ValueError("y0 contains nan or inf: the solution needs a finite start")
    numbers = np.asarray(getval(t), dtype=float)
    times = numbers.reshape(-1).tolist()
    check_times(times, numbers.ndim)
    rtol, atol = tolerances(rtol, atol, value)
    counted = Counted(func, value.shape)
    f0 = first_evaluation(counted, func, times[0], y0)
    boxed = any(map(isbox, (y0, t, f0)))
    flat = y0.reshape(-1)
    return Problem(counted, flat, f0, value.shape, t, times, chosen, rtol, atol, options, boxed)


def tolerances(rtol: Any, atol: Any, y0: Array) -> tuple[Any, Any]:
    """(rtol, atol), checked, as floats or flat arrays like y0; the defaults follow the dtype."""
    info = np.finfo(y0.dtype)
    default = default_tolerances(float(info.eps))
    both = [np.asarray(d if tol is None else tol, dtype=float) for tol, d in zip((rtol, atol), default, strict=True)]
    for name, tol in zip(("rtol", "atol"), both, strict=True):
        if tol.ndim and tol.shape != y0.shape:
            raise ValueError(f"{name} must be a number or an array of y0's shape {y0.shape}, got shape {tol.shape}")
    smallest = {name: float(tol.min()) for name, tol in zip(("rtol", "atol"), both, strict=True)}
    check_tolerances(smallest, float(info.eps), str(y0.dtype))
    rtol, atol = (tol.reshape(-1) if tol.ndim else float(tol) for tol in both)
    return rtol, atol


def first_evaluation(counted: Counted, func: Func, t0: float, y0: Any) -> Any:
    """f(t0, y0), flat, after checking that func returns what a derivative of y0 must be."""
    counted.nfe += 1
    f0, value = func(t0, y0), getval(y0)
    got = getval(f0)
    if not isinstance(got, np.ndarray | np.generic):
        raise TypeError(f"func must return an array, got {type(got).__name__}: wrap it in np.array(…)")
    if got.shape != value.shape:
        raise ValueError(f"func must return an array of y0's shape {value.shape}, got shape {got.shape}")
    if got.dtype != value.dtype:
        raise TypeError(f"func must return y0's dtype {value.dtype}, got {got.dtype}: cast y0 or what func returns")
    if not np.isfinite(got).all():
        raise NonFiniteState(f"func returns nan or inf at its first evaluation, t = {t0:.6g}: check func and y0")
    return f0.reshape(-1)


# --- one step --------------------------------------------------------------------------------------------------------


class Stages:
    """The slopes k of one step's stages: a buffer, and for each stage the row of the tableau and the slopes it sums."""

    def __init__(self, tableau: Tableau, problem: Problem):
        s, real = tableau.stages, np.finfo(getval(problem.y0).dtype).dtype
        self.k = np.empty(s, object) if problem.boxed else np.empty((s, problem.y0.size), problem.y0.dtype)
        rows = [np.array(row, real) for row in tableau.a]
        self.sums = [(i, float(tableau.c[i]), rows[i], self.k[:i]) for i in range(1, s)]
        self.b = np.array(tableau.b, real)
        self.b_err = np.array(tableau.b_err or tableau.b, real)
        self.dense = np.array(tableau.dense, float).T
        self.fsal = tableau.fsal


def rk_step(func: Func, t: Any, y: Any, h: Any, stages: Stages) -> Any:
    """One explicit Runge-Kutta step (HNW II.1). k[0] = f(t, y) is there; fills k[1:] and returns y at t + h."""
    k, y_i = stages.k, y
    for i, c, a, earlier in stages.sums:
        y_i = y + h * a.dot(earlier)
        k[i] = func(t + c * h, y_i)
    return y_i if stages.fsal else advance(y, h, stages.b, k)


def advance(y: Any, h: Any, weights: Array, slopes: Any) -> Any:
    """y + h Σ_i w_i k_i."""
    real = slopes.real.dtype if slopes.dtype != object else weights.dtype
    return y + h * weights.astype(real).dot(slopes)


class Segment(NamedTuple):
    """An accepted step: y(t + θh) = y + h Σ_i w_i(θ) k_i, w_i(θ) = Σ_m dense[m, i] θ^(m+1). The next step reuses k.

    ``ends`` are the indices in t of the times that its start and its end move with, None where they are fixed.
    """

    t: float
    h: float
    y: Any
    y1: Any
    k: Array
    dense: Array
    span: tuple[Any, Any]
    t1: float
    ends: tuple[int | None, int | None]

    def reaches(self, s: float) -> bool:
        """Does this step get as far as time s?"""
        return s <= self.t1 if self.h > 0 else s >= self.t1

    def at(self, s: float, s_in_t: Any) -> Any:
        """The state at time s, and through ``s_in_t``, its place in the caller's t, the gradient with respect to it."""
        powers = np.arange(1, len(self.dense) + 1)
        theta = (s - self.t) / self.h
        t, h = self.span
        y = advance(self.y, h, (theta**powers).dot(self.dense), self.k)
        if isbox(s_in_t) or isbox(t) or isbox(h):
            slope = advance(0.0, self.h, (powers * theta ** (powers - 1)).dot(self.dense), self.k)
            y = y + slope * ((s_in_t - t) / h - theta)  # zero in value; it carries dy/dθ
        return y


# --- many steps ------------------------------------------------------------------------------------------------------


def steps(problem: Problem) -> Iterator[Segment]:
    """The accepted steps from t[0] to t[-1], by the problem's method."""
    if problem.method.kind == "adams":
        from nodelib.numpy_ode.multistep import adams_steps

        return adams_steps(problem)
    return adaptive_steps(problem) if problem.method.adaptive else fixed_steps(problem)


def rms(x: Array) -> float:
    """Root mean square, of real or complex entries."""
    return sqrt(np.vdot(x, x).real / x.size)


def select_first_step(problem: Problem, order: int) -> float:
    """The first step's size, from one evaluation more. HNW II.4."""
    t, y, f, func = problem.times[0], getval(problem.y0), getval(problem.f0), problem.func
    scale = problem.atol + problem.rtol * np.abs(y)
    span = abs(problem.times[-1] - t)
    h0 = min(trial_step(rms(y / scale), rms(f / scale)), span)
    signed = h0 if problem.times[-1] > t else -h0
    f1 = getval(func(t + signed, (y + signed * f).astype(y.dtype)))
    return first_step(h0, rms(f / scale), rms((f1 - f) / scale) / h0, order)


def adaptive_steps(problem: Problem) -> Iterator[Segment]:
    """Steps of an embedded pair, each as long as the tolerance allows. HNW II.4."""
    func, rtol, atol, log, order = problem.func, problem.rtol, problem.atol, problem.log, problem.method.order
    stages = Stages(problem.method.tableau, problem)  # type: ignore[arg-type]
    limit = problem.options.get("max_num_steps", MAX_NUM_STEPS)
    keep_ratio = problem.options.get("controller") == "PI"
    t, t_end, y, previous = problem.times[0], problem.times[-1], problem.y0, None
    stages.k[0] = problem.f0
    h = problem.options.get("first_step") or select_first_step(problem, order)
    h = max(h, 10 * EPS * abs(t)) * (1 if t_end > t else -1)
    while t != t_end:
        last = abs(t_end - t) <= abs(h) * (1 + 1e-10)
        ends = (0 if t == problem.times[0] else None, len(problem.times) - 1 if last else None)
        t1 = t_end if last else t + h
        h = t1 - t
        start = problem.time(t, ends[0])
        size = problem.time(t1, ends[1]) - start
        y1 = rk_step(func, start, y, size, stages)
        error = h * getval(stages.b_err.dot(stages.k))
        ratio = rms(error / (atol + rtol * np.maximum(np.abs(getval(y)), np.abs(getval(y1)))))
        accepted = ratio <= 1
        log.append(Step(t, h, ratio, accepted))
        if len(log) >= limit and not (accepted and last):
            raise why(problem, y).too_many(limit)
        h *= step_factor(ratio, order, accepted, previous)
        if accepted:
            yield Segment(t, t1 - t, y, y1, stages.k, stages.dense, (start, size), t1, ends)
            stages.k[0] = stages.k[-1] if stages.fsal or last else func(t1, y1)
            t, y, previous = t1, y1, ratio if keep_ratio else None
        elif abs(h) <= 10 * EPS * abs(t):
            raise why(problem, y).underflow()


def why(problem: Problem, y: Any) -> Symptoms:
    """The symptoms of the step attempted last, from the state y."""
    with np.errstate(all="ignore"):
        return examine(lambda t, y: getval(problem.func(t, y)), rms, problem.log[-1], getval(y))


def fixed_steps(problem: Problem) -> Iterator[Segment]:
    """Steps from one time of the grid to the next, at whatever error."""
    stages = Stages(problem.method.tableau, problem)  # type: ignore[arg-type]
    y, f0 = problem.y0, problem.f0
    for (t, i), (t1, j) in pairwise(grid(problem)):
        start = problem.time(t, i)
        size = problem.time(t1, j) - start
        stages.k[0] = problem.func(start, y) if f0 is None else f0
        y1 = rk_step(problem.func, start, y, size, stages)
        problem.log.append(Step(t, t1 - t, float("nan"), True))
        yield Segment(t, t1 - t, y, y1, stages.k, stages.dense, (start, size), t1, (i, j))
        y, f0 = y1, None


def grid(problem: Problem) -> list[tuple[float, int]]:
    """The times a fixed-step method stops at, each with the index of the entry of t that it moves with.

    Without step_size they are t itself. With it they are t[0], t[0] + h, t[0] + 2h, … and t[-1].
    """
    times, h = problem.times, problem.options.get("step_size")
    if h is None:
        return [(s, i) for i, s in enumerate(times)]
    span = times[-1] - times[0]
    n = max(1, ceil(abs(span) / h * (1 - 1e-12)))
    signed = h if span > 0 else -h
    return [(times[0] + m * signed, 0) for m in range(n)] + [(times[-1], len(times) - 1)]


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

    def __call__(self, s: float) -> Any:
        segment = self.segments[int(np.searchsorted(self.ends, self.sign * s))]
        return segment.at(s, s).reshape(self.shape)


def scipy_solution(problem: Problem, t: Any, dense: bool) -> Solution:
    """The same problem handed to SciPy, which autograd cannot look into."""
    if problem.boxed:
        raise TypeError(f'{problem.method.name} cannot be differentiated: use odeint_adjoint, or method="dopri5"')
    y0, func = problem.y0, problem.func.func
    found = scipy_solvers.run(problem.method, func, y0, problem.times, problem.rtol, problem.atol, problem.options)
    ys, stats, log, sol = found
    if dense and sol is None:
        raise ValueError(f"{problem.method.name} gives no dense output: use scipy:LSODA, or add the times to t")
    interpolant = (lambda s: sol(s).reshape(problem.shape)) if dense and sol is not None else None
    nfe = Stats(stats.nfe + 1, stats.accepted, stats.rejected)  # one for the check of what func returns
    return Solution(t, ys.reshape((-1, *problem.shape)), nfe, log, interpolant)
