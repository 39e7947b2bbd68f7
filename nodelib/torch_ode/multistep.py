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
from torch import Tensor

from nodelib.common.solution import FixedPointFailed, Step
from nodelib.common.tableaus import TABLEAUS
from nodelib.torch_ode.problem import Problem, instant, real
from nodelib.torch_ode.steps import Segment, Stages, advance, first_slope, grid, rk_segment, weighted


@lru_cache(1024)
def adams_weights(nodes: tuple[float, ...]) -> np.ndarray:
    """Column j holds the coefficients of θ, θ², … in w_j(θ), for distinct nodes τ_j in units of the step."""
    powers = np.arange(len(nodes))
    lagrange = np.linalg.inv(np.array(nodes)[:, None] ** powers).T  # row j: the coefficients of ℓ_j
    return (lagrange / (powers + 1)).T


def follow(k: list, nodes: tuple[float, ...], moving: list | None) -> list:
    """The slopes k_j - p'(τ_j) δτ_j, δτ_j being zero in value but carrying the gradient of the node τ_j, if it moves.

    p = Σ_j ℓ_j k_j interpolates the slopes; a node that moves by δτ_j changes it by -ℓ_j p'(τ_j) δτ_j, to first order.
    """
    if moving is None:
        return k
    m = np.arange(len(nodes))
    derivatives = np.array(nodes)[:, None] ** np.maximum(m - 1, 0) @ (adams_weights(nodes) * (m * (m + 1))[:, None])
    followed = list(k)
    for j, (tau, row) in enumerate(zip(moving, derivatives, strict=True)):
        if isinstance(tau, Tensor):
            followed[j] = k[j] - weighted(row, k) * (tau - tau.detach()).to(real(k[j].dtype))
    return followed


def adams_steps(problem: Problem) -> Iterator[Segment]:
    """Adams–Bashforth or implicit Adams steps on the grid."""
    y, f, past = problem.y0, problem.f0, ()
    for (t, i), (t1, j) in pairwise(grid(problem)):
        problem.tell("callback_step", t, y, t1 - t)
        f = first_slope(problem, t, i, y) if f is None or t in problem.jumps else f
        past = (((t, i), f.clone()), *past)  # func may return the same tensor every time
        segment = adams_segment(problem, y, t, t1, (i, j), past)
        problem.log.append(Step(t, t1 - t, float("nan"), True))
        yield segment
        y, f, past = segment.y1, None, segment.past


def adams_segment(problem: Problem, y: Tensor, t: float, t1: float, ends: tuple, past: tuple) -> Segment:
    """The step from t to t1; ``past`` has the slopes at t and before. Runge–Kutta 4 until enough of them are known."""
    implicit, order = problem.method.name == "implicit_adams", problem.options.get("max_order", 4)
    known = order - 1 if implicit else order
    if len(past) < known:
        start_up = Stages(TABLEAUS["rk4"], problem)
        start_up.start(past[0][1])
        return rk_segment(problem, start_up, y, t, t1, ends)._replace(past=past)
    start = problem.time(t, ends[0])
    h = problem.time(t1, ends[1]) - start
    used = past[:known]
    nodes = tuple(round((s - t) / (t1 - t), 12) for (s, _), _ in used)
    gaps = [(problem.time(*point) - start) / h for point, _ in used] if problem.moving else None
    k, dense = follow([slope for _, slope in used], nodes, gaps), adams_weights(nodes)
    y1 = advance(y, h, dense.sum(axis=0), k) if used else y
    if implicit:
        y1, k, dense = implicit_step(problem, start, y, h, y1, used, nodes, gaps)
    return Segment(t, t1 - t, y, y1, k, dense, (start, h), t1, ends, used)


def implicit_step(
    problem: Problem, t: Any, y: Any, h: Any, y1: Any, past: tuple, nodes: tuple, gaps: list | None
) -> tuple[Any, list, np.ndarray]:
    """Solve y1 = y + h (w f(t + h, y1) + Σ_j w_j f_j), an equation for y1, by fixed-point iteration from a guess y1."""
    dense = adams_weights((1.0, *nodes))
    most = problem.options.get("max_iters", 20)
    for _ in range(most):
        guess = y1 if problem.graph else y1.clone()  # as in ``first_slope``
        k = [problem.func(instant(t + h, y), guess).clone(), *(slope for _, slope in past)]
        k = follow(k, (1.0, *nodes), gaps and [1.0, *gaps])
        y1, before = advance(y, h, dense.sum(axis=0), k), y1
        scale = problem.atol + problem.rtol * y1.detach().abs()
        if problem.norm((y1 - before).detach() / scale) <= 0.1:
            return y1, k, dense
    raise FixedPointFailed(
        f"implicit_adams did not solve the equation of its step at t = {float(t):.6g} in {most} iterations. They "
        f"converge while h L < {1 / abs(dense[:, 0].sum()):.1f}, L the Lipschitz constant of func: shorten step_size, "
        'or for a stiff problem use method="scipy:Radau"'
    )
