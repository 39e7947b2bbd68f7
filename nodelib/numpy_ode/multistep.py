"""Adams methods: a step extrapolates (Bashforth) or interpolates (Moulton) the slopes of earlier steps.

The polynomial through the known slopes f(τ_j) at the nodes τ_j = (t_j - t) / h is integrated exactly,

    y(t + θh) = y + h Σ_j w_j(θ) f(τ_j),   w_j(θ) = ∫₀^θ ℓ_j(s) ds,   ℓ_j the Lagrange polynomials of the nodes,

so that a grid need not be uniform. HNW III.1 (uniform) and III.5 (variable steps). What a step knows of the past are
grid points (t_j, and the index in t that it moves with) and the slopes there, latest first.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from autograd.tracer import getval, isbox

from nodelib.common.solution import FixedPointFailed, Step
from nodelib.common.tableaus import TABLEAUS
from nodelib.numpy_ode.problem import Array, Problem
from nodelib.numpy_ode.steps import Segment, Stages, advance, grid, rk_segment


@lru_cache(1024)
def adams_weights(nodes: tuple[float, ...]) -> Array:
    """Column j holds the coefficients of θ, θ², … in w_j(θ), for distinct nodes τ_j in units of the step."""
    powers = np.arange(len(nodes))
    lagrange = np.linalg.inv(np.array(nodes)[:, None] ** powers).T  # row j: the coefficients of ℓ_j
    return (lagrange / (powers + 1)).T


def follow(k: Array, nodes: tuple[float, ...], moving: list | None) -> Array:
    """The slopes k_j - p'(τ_j) δτ_j, δτ_j being zero in value but carrying the gradient of the node τ_j, if it moves.

    p = Σ_j ℓ_j k_j interpolates the slopes; a node that moves by δτ_j changes it by -ℓ_j p'(τ_j) δτ_j, to first order.
    """
    if moving is None:
        return k
    m = np.arange(len(nodes))
    derivatives = np.array(nodes)[:, None] ** np.maximum(m - 1, 0) @ (adams_weights(nodes) * (m * (m + 1))[:, None])
    followed = np.empty_like(k)
    for j, (tau, row) in enumerate(zip(moving, derivatives, strict=True)):
        followed[j] = k[j] - row.dot(k) * (tau - getval(tau))
    return followed


def adams_steps(problem: Problem) -> Iterator[Segment]:
    """Adams–Bashforth or implicit Adams steps on the grid."""
    y, f, past = problem.y0, problem.f0, ()
    for (t, i), (t1, j) in pairwise(grid(problem)):
        f = problem.func(problem.time(t, i), y) if f is None else f
        past = (((t, i), 1.0 * f), *past)  # a copy of f: func may return the same array every time
        segment = adams_segment(problem, y, t, t1, (i, j), past)
        problem.log.append(Step(t, t1 - t, float("nan"), True))
        yield segment
        y, f, past = segment.y1, None, segment.past


def adams_segment(problem: Problem, y: Any, t: float, t1: float, ends: tuple, past: tuple) -> Segment:
    """The step from t to t1; ``past`` has the slopes at t and before. Runge–Kutta 4 until enough of them are known."""
    implicit, order = problem.method.name == "implicit_adams", problem.options.get("max_order", 4)
    known = order - 1 if implicit else order
    if len(past) < known:
        start_up = Stages(TABLEAUS["rk4"], problem)
        start_up.k[0] = past[0][1]
        return rk_segment(problem, start_up, y, t, t1, ends)._replace(past=past)
    start = problem.time(t, ends[0])
    h = problem.time(t1, ends[1]) - start
    used = past[:known]
    nodes = tuple(round((s - t) / (t1 - t), 12) for (s, _), _ in used)
    gaps = [(problem.time(*point) - start) / h for point, _ in used] if isbox(problem.t) else None
    k, dense = follow(stack([slope for _, slope in used], problem), nodes, gaps), adams_weights(nodes)
    y1 = advance(y, h, dense.sum(axis=0), k) if used else y
    if implicit:
        y1, k, dense = implicit_step(problem, start, y, h, y1, used, nodes, gaps)
    return Segment(t, t1 - t, y, y1, k, dense, (start, h), t1, ends, used)


def implicit_step(
    problem: Problem, t: Any, y: Any, h: Any, y1: Any, past: tuple, nodes: tuple, gaps: list | None
) -> tuple[Any, Array, Array]:
    """Solve y1 = y + h (w f(t + h, y1) + Σ_j w_j f_j), an equation for y1, by fixed-point iteration from a guess y1."""
    dense = adams_weights((1.0, *nodes))
    most = problem.options.get("max_iters", 20)
    for _ in range(most):
        k = stack([problem.func(t + h, y1), *(slope for _, slope in past)], problem)
        k = follow(k, (1.0, *nodes), gaps and [1.0, *gaps])
        y1, before = advance(y, h, dense.sum(axis=0), k), y1
        scale = problem.atol + problem.rtol * np.abs(getval(y1))
        if problem.norm(getval(y1 - before) / scale) <= 0.1:
            return y1, k, dense
    raise FixedPointFailed(
        f"implicit_adams did not solve the equation of its step at t = {getval(t):.6g} in {most} iterations. They "
        f"converge while h L < {1 / abs(dense[:, 0].sum()):.1f}, L the Lipschitz constant of func: shorten step_size, "
        'or for a stiff problem use method="scipy:Radau"'
    )


def stack(slopes: list[Any], problem: Problem) -> Array:
    """The slopes as the rows of an array, or as a vector of boxes."""
    if not problem.boxed:
        return np.array(slopes)
    k = np.empty(len(slopes), object)
    k[:] = slopes
    return k
