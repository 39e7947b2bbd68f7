"""Steps: one Runge-Kutta step, steps that choose their size, steps on a grid, and the values inside a step.

The letters are those of Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I* (1993), "HNW". The step
sizes are constants to the gradient; only the ends of the interval and the output times move with t.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from autograd.tracer import getval, isbox

from nodelib.common.arguments import MAX_NUM_STEPS, grid_of
from nodelib.common.controller import first_step, step_factor, trial_step
from nodelib.common.solution import Step, Symptoms, examine
from nodelib.common.tableaus import Tableau
from nodelib.numpy_ode.problem import Array, Func, Problem

EPS = float(np.finfo(np.float64).eps)


class Stages:
    """The slopes k of one step's stages: a buffer, and for each stage the row of the tableau and the slopes it sums."""

    def __init__(self, tableau: Tableau, problem: Problem):
        s, real = tableau.stages, np.finfo(getval(problem.y0).dtype).dtype
        self.k = np.empty(s, object) if problem.boxed else np.empty((s, problem.y0.size), problem.y0.dtype)
        rows = [np.array(row, real) for row in tableau.a]
        self.sums = [(i, float(tableau.c[i]), rows[i].dot, self.k[:i]) for i in range(1, s)]
        self.b = np.array(tableau.b, real)
        self.b_err = np.array(tableau.b_err or tableau.b, real)
        self.dense = np.array(tableau.dense, float).T
        self.fsal = tableau.fsal


def rk_step(func: Func, t: Any, t1: Any, y: Any, stages: Stages) -> Any:
    """One explicit Runge-Kutta step from t to t1 (HNW II.1). k[0] = f(t, y) is there; fills k[1:], returns y at t1."""
    h = t1 - t
    k, y_i = stages.k, y
    for i, c, sum_of, earlier in stages.sums:
        y_i = y + h * sum_of(earlier)
        k[i] = func(t + c * h if c != 1 else t1, y_i)
    return y_i if stages.fsal else advance(y, h, stages.b, k)


def advance(y: Any, h: Any, weights: Array, slopes: Any) -> Any:
    """y + h Σ_i w_i k_i."""
    real = slopes.real.dtype if slopes.dtype != object else weights.dtype
    return y + h * weights.astype(real).dot(slopes)


class Segment(NamedTuple):
    """An accepted step: y(t + θh) = y + h Σ_i w_i(θ) k_i, w_i(θ) = Σ_m dense[m, i] θ^(m+1). The next step reuses k.

    ``ends`` are the indices in t of the times that its start and its end move with, None where they are fixed;
    ``past`` are the times and slopes that an Adams method carries into the next step.
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
    past: tuple[tuple[float, Any], ...] = ()

    def reaches(self, s: float) -> bool:
        """Does this step get as far as time s?"""
        return s <= self.t1 if self.h > 0 else s >= self.t1

    def keep(self) -> "Segment":
        """The segment with slopes that the next step does not overwrite."""
        return self._replace(k=self.k.copy())

    def at(self, s: float, s_in_t: Any, i: int | None = None) -> Any:
        """The state at time s = t[i]; ``s_in_t``, the same in the caller's t, carries the gradient of it."""
        if i is not None and i == self.ends[1]:
            return self.y1
        powers = np.arange(1, len(self.dense) + 1)
        theta = (s - self.t) / self.h
        t, h = self.span
        y = advance(self.y, h, (theta**powers).dot(self.dense), self.k)
        if isbox(s_in_t) or isbox(t) or isbox(h):
            slope = advance(0.0, self.h, (powers * theta ** (powers - 1)).dot(self.dense), self.k)
            y = y + slope * ((s_in_t - t) / h - theta)  # zero in value; it carries dy/dθ
        return y


def rk_segment(problem: Problem, stages: Stages, y: Any, t: float, t1: float, ends: tuple) -> Segment:
    """The Runge-Kutta step from t to t1, its first slope being in stages.k[0]."""
    start, end = problem.time(t, ends[0]), problem.time(t1, ends[1])
    y1 = rk_step(problem.func, start, end, y, stages)
    return Segment(t, t1 - t, y, y1, stages.k, stages.dense, (start, end - start), t1, ends)


def select_first_step(problem: Problem, order: int) -> float:
    """The first step's size, from one evaluation more. HNW II.4."""
    t, y, f, func, norm = problem.times[0], getval(problem.y0), getval(problem.f0), problem.func, problem.norm
    scale = problem.atol + problem.rtol * np.abs(y)
    d0, d1 = norm(y / scale), norm(f / scale)
    h0 = min(trial_step(d0, d1), abs(problem.times[-1] - t))
    signed = h0 * problem.direction
    trial = t + signed if h0 < abs(problem.times[-1] - t) else problem.times[-1]
    f1 = getval(func(trial, y + signed * f))
    return first_step(h0, d1, norm((f1 - f) / scale) / h0, order)


def adaptive_steps(problem: Problem) -> Iterator[Segment]:
    """Steps of an embedded pair, each as long as the tolerance allows. HNW II.4."""
    func, norm, rtol, atol, log = problem.func, problem.norm, problem.rtol, problem.atol, problem.log
    order = problem.method.order
    stages = Stages(problem.method.tableau, problem)  # type: ignore[arg-type]
    limit = problem.options.get("max_num_steps", MAX_NUM_STEPS)
    keep_ratio = problem.options.get("controller") == "PI"
    t, t_end, y, previous = problem.times[0], problem.times[-1], problem.y0, None
    stages.k[0] = problem.f0
    h = problem.options.get("first_step") or select_first_step(problem, order)
    h = max(h, 10 * EPS * abs(t)) * problem.direction
    while t != t_end:
        last = abs(t_end - t) <= abs(h) * (1 + 1e-10)
        ends = (0 if t == problem.times[0] else None, len(problem.times) - 1 if last else None)
        t1 = t_end if last else t + h
        h = t1 - t
        segment = rk_segment(problem, stages, y, t, t1, ends)
        y1 = segment.y1
        error = h * getval(stages.b_err.dot(stages.k))
        ratio = norm(error / (atol + rtol * np.maximum(abs(getval(y)), abs(getval(y1)))))
        accepted = ratio <= 1
        log.append(Step(t, h, ratio, accepted))
        if len(log) >= limit and not (accepted and last):
            raise why(problem, y).too_many(limit)
        h *= step_factor(ratio, order, accepted, previous)
        if accepted:
            yield segment
            stages.k[0] = stages.k[-1] if stages.fsal or last else func(t1, y1)
            t, y, previous = t1, y1, ratio if keep_ratio else None
        elif abs(h) <= 10 * EPS * abs(t):
            raise why(problem, y).underflow()


def why(problem: Problem, y: Any) -> Symptoms:
    """The symptoms of the step attempted last, from the state y."""
    with np.errstate(all="ignore"):
        return examine(lambda t, y: getval(problem.func(t, y)), problem.norm, problem.log[-1], getval(y))


def fixed_steps(problem: Problem) -> Iterator[Segment]:
    """Steps from one time of the grid to the next, at whatever error."""
    stages = Stages(problem.method.tableau, problem)  # type: ignore[arg-type]
    y, f0 = problem.y0, problem.f0
    for (t, i), (t1, j) in pairwise(grid(problem)):
        stages.k[0] = problem.func(problem.time(t, i), y) if f0 is None else f0
        segment = rk_segment(problem, stages, y, t, t1, (i, j))
        problem.log.append(Step(t, t1 - t, float("nan"), True))
        yield segment
        y, f0 = segment.y1, None


def grid(problem: Problem) -> Iterable[tuple[float, int]]:
    """The times a fixed-step method stops at, each with the index of the entry of t that it moves with.

    Without step_size they are t itself. With it they are t[0], t[0] + h, t[0] + 2h, … and t[-1].
    """
    times, h = problem.times, problem.options.get("step_size")
    if h is None:
        return [(s, i) for i, s in enumerate(times)]
    inner = ((s, 0) for s in grid_of(times, h))
    return chain(inner, [(times[-1], len(times) - 1)])
