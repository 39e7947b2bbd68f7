"""The steps of reversible solvers: taken, undone, and differentiated while they are undone.

With Ψ_h(t, y) the increment h Σ_i b_i k_i of the classical Runge–Kutta method, a step from t to t + h is

    reversible_heun:  ŷ' = 2y - ŷ + h f(t, ŷ),           y' = y + h/2 (f(t, ŷ) + f(t + h, ŷ')),
    reversible_rk4:   y' = λy + (1 - λ)z + Ψ_h(t, z),    z' = z - Ψ_{-h}(t + h, y'),

with ŷ = z = y at the start. The first, of order 2 and one evaluation a step, is Algorithm 1 of Kidger, Foster, Li &
Lyons, "Efficient and accurate gradients for neural SDEs" (NeurIPS 2021); the second, of order 4 and eight evaluations,
is the coupling of McCallum & Foster, "Efficient, accurate and stable gradients for neural ODEs" (2024), 0 < λ < 1.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib.common.tableaus import TABLEAUS
from nodelib.torch_ode.adjoint import vjp
from nodelib.torch_ode.look import Look
from nodelib.torch_ode.problem import Problem, instant
from nodelib.torch_ode.solve import outputs
from nodelib.torch_ode.steps import Segment, Stages, advance

Point = tuple[float, int | None]  # a time of the grid, with the index of the entry of t that it moves with
States = tuple[Tensor, ...]  # y, the second state, and for reversible_heun the slope there; or the gradients of these
POWERS = {name: np.array(TABLEAUS[name].dense, float).T for name in ("heun", "rk4")}  # as in ``Segment.dense``


class WayBack:
    """What the way back is given, and the sums of the gradients of t, if it is asked for, and of the parameters.

    ``problem`` has as its times a leaf; ``g`` is dL/dys, flat.
    """

    def __init__(
        self, problem: Problem, t: Tensor, params: Sequence[Tensor], g: Tensor, time_gradient: bool, look: Look
    ):
        clock = t.detach().requires_grad_(time_gradient)
        self.problem, self.g, self.look = replace(problem, t=clock, graph=True), g, look
        self.clock = [clock] if time_gradient else []
        self.given = [*self.clock, *params]
        self.sums = [torch.zeros_like(x) for x in self.given]

    def pull(self, results: Sequence[Tensor], inputs: States, v: Sequence[Tensor], func: bool = True) -> list[Tensor]:
        """v ∂results/∂inputs; to the sums is added what falls to them. ``func``: do the results depend on func?"""
        given, n = self.given if func else self.clock, len(inputs)
        products = vjp(results, (*inputs, *given), v, self.look if func else None)
        self.sums[: len(given)] = [x + dx for x, dx in zip(self.sums, products[n:], strict=False)]
        return products[:n]

    def seen(self, segment: Segment, a: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The end of the step and the outputs in it; and their gradients, that of the end from the steps after it."""
        sign = self.problem.direction
        first = bisect_right(self.problem.times, sign * segment.t, key=lambda s: sign * s)
        parts = list(outputs(self.problem, [segment], first))
        return [segment.y1, *(y for _, y in parts)], [a, *(self.g[i.start : i.stop] for i, _ in parts)]

    def meet(self, f: Tensor, y: Tensor) -> None:
        """Have the graph of f, made at the leaf y, looked at, if none was yet."""
        if self.look.strangers is None:
            self.look.meet(f, (y, *self.clock))


def leaf(x: Tensor) -> Tensor:
    """x as the beginning of a graph."""
    return x.detach().requires_grad_()


def slope(problem: Problem, point: Point, y: Tensor) -> Tensor:
    """f(t, y) at a point of the grid; a copy, as func may return the same tensor every time."""
    return problem.func(instant(problem.time(*point), y), y).clone()


def size(problem: Problem, start: Point, end: Point) -> Any:
    """The size of a step; a tensor where t has a gradient."""
    return problem.time(*end) - problem.time(*start)


class Heun:
    """The reversible Heun method. The states are (y, ŷ, f(t, ŷ))."""

    base, remedy = "heun", "take shorter steps, or odeint_checkpoint, which stores the states"

    def start(self, problem: Problem) -> States:
        """The states at t[0]."""
        return problem.y0, problem.y0, problem.f0

    def step(self, problem: Problem, start: Point, end: Point, states: States) -> tuple[Segment, States]:
        """The step, and the states at its end."""
        y, other, f = states
        other = self.reflected(y, other, f, size(problem, start, end))
        f1 = slope(problem, end, other)
        segment = self.segment(problem, start, end, y, f, f1)
        return segment, (segment.y1, other, f1)

    @staticmethod
    def reflected(y: Tensor, other: Tensor, f: Tensor, h: Any) -> Tensor:
        """2y - ŷ + h f."""
        return advance(2 * y - other, h, (1,), (f,))

    @staticmethod
    def segment(problem: Problem, start: Point, end: Point, y: Tensor, f: Tensor, f1: Tensor) -> Segment:
        """The step of y, its slopes given; inside it a parabola that has them at its ends."""
        (t, i), (t1, j), h = start, end, size(problem, start, end)
        y1 = advance(y, h, (0.5, 0.5), (f, f1))
        return Segment(t, t1 - t, y, y1, [f, f1], POWERS["heun"], (problem.time(*start), h), t1, (i, j))

    def turn(self, back: WayBack, end: Point, states: States) -> States:
        """The states at the end, the slope with its graph, from the two that were stored."""
        with torch.enable_grad():
            other = leaf(states[1])
            f = slope(back.problem, end, other)
            back.meet(f, other)
        return states[0], other, f

    def undo(self, back: WayBack, start: Point, end: Point, states: States, v: States) -> tuple[States, States]:
        """The states at the start of the step from those at its end, and the loss's gradients at both, v at its end.

        Each slope is evaluated once, with a graph that is used when all of the gradient in it is known.
        """
        (y1, other1, f1), (a, b, c) = states, v
        problem = back.problem
        with torch.no_grad():
            h = size(problem, start, end)
            other = leaf(self.reflected(y1, other1, f1, -h))
        with torch.enable_grad():
            f = slope(problem, start, other)
            y, k, k1 = leaf(advance(y1.detach(), -h, (0.5, 0.5), (f.detach(), f1.detach()))), leaf(f), leaf(f1)
            results, weights = back.seen(self.segment(problem, start, end, y, k, k1), a)
            reflected = self.reflected(y, other, k, size(problem, start, end))
        a, c0, c1 = back.pull(results, (y, k, k1), weights, func=False)
        b = b + back.pull((f1,), (other1,), (c + c1,))[0]
        da, b, dc = back.pull((reflected,), (y, other, k), (b,), func=False)
        return (y.detach(), other, f), (a + da, b, c0 + dc)

    def total(self, back: WayBack, states: States, v: States) -> Tensor:
        """The gradient in y0, where both states begin."""
        _, other, f = states
        return v[0] + v[1] + back.pull((f,), (other,), (v[2],))[0]


class CoupledRK4:
    """The classical Runge–Kutta method made reversible. The states are (y, z)."""

    base = "rk4"
    remedy = "take shorter steps, or another coupling (a smaller one where the two states part, a larger one where y0 "
    remedy += "does not come back), or odeint_checkpoint, which stores the states"

    def __init__(self, coupling: float):
        self.coupling = coupling
        self.dense = np.pad(POWERS["rk4"], ((0, 0), (0, 1)))  # the pull towards z as one more slope, of weight θ
        self.dense[0, -1] = 1

    def start(self, problem: Problem) -> States:
        """The states at t[0]."""
        self.stages = Stages(TABLEAUS["rk4"], problem)  # for its weights and times
        self.stages.k = []  # or y0 would be held for as long as the graph is
        return problem.y0, problem.y0

    def increment(self, problem: Problem, start: Point, end: Point, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Ψ and the slopes k of the step from one point to the other, in either direction."""
        h, rows, k = size(problem, start, end), self.stages.weights, [slope(problem, start, y)]
        for i, time in enumerate(self.stages.times(problem.time(*start), problem.time(*end)), 1):
            k.append(problem.func(time, advance(y, h, rows[i], k)).clone())
        return advance(torch.zeros_like(y), h, rows[-2], k), k

    def step(self, problem: Problem, start: Point, end: Point, states: States) -> tuple[Segment, States]:
        """The step, and the states at its end."""
        y, z = states
        segment = self.segment(problem, start, end, y, z, *self.increment(problem, start, end, z))
        return segment, (segment.y1, z - self.increment(problem, end, start, segment.y1)[0])

    def segment(self, problem: Problem, start: Point, end: Point, y: Tensor, z: Tensor, psi: Any, k: list) -> Segment:
        """The step of y; inside it the interpolant of the Runge–Kutta method."""
        (t, i), (t1, j), h = start, end, size(problem, start, end)
        y1 = z + self.coupling * (y - z) + psi
        k = [*k, (1 - self.coupling) / h * (z - y)]
        return Segment(t, t1 - t, y, y1, k, self.dense, (problem.time(*start), h), t1, (i, j))

    def turn(self, back: WayBack, end: Point, states: States) -> States:
        """The states at the end, as they were stored."""
        return states

    def undo(self, back: WayBack, start: Point, end: Point, states: States, v: States) -> tuple[States, States]:
        """The states at the start of the step from those at its end, and the loss's gradients at both, v at its end."""
        (y1, z1), (a, b), problem = states, v, back.problem
        with torch.enable_grad():
            y1 = leaf(y1)
            psi, _ = self.increment(problem, end, start, y1)
            back.meet(psi, y1)
        z = leaf(z1 + psi.detach())
        a = a + back.pull((psi,), (y1,), (-b,))[0]
        del psi, _  # so that no two graphs are held
        with torch.enable_grad():
            psi, k = self.increment(problem, start, end, z)
            y = leaf(z + (y1 - z - psi) / self.coupling)
            results, weights = back.seen(self.segment(problem, start, end, y, z, psi, k), a)
        a, db = back.pull(results, (y, z), weights)
        return (y.detach(), z.detach()), (a, b + db)

    def total(self, back: WayBack, states: States, v: States) -> Tensor:
        """The gradient in y0, where both states begin."""
        return v[0] + v[1]


def stability(method: str, hmu: Any, coupling: float = 0.99) -> np.ndarray:
    """The factor by which a step of size h multiplies a solution of y' = μy in the long run, for each hmu = hμ.

    It is the largest |eigenvalue| of the matrix M that takes both states to the next; for "rk4", to be seen beside it,
    |R(x)|, R(x) = 1 + x + x²/2 + x³/6 + x⁴/24. The step is stable where it is at most 1.

    reversible_heun: det M = -1 and tr M = 2x, so that on the negative axis one eigenvalue, x - √(1 + x²), is beyond -1:
    stable on the imaginary axis from -i to i, and nowhere else. reversible_rk4: det M = λ and
    tr M = 1 + λ - (R(-x) - 1) (R(x) - λ), so that on the negative axis, for λ near 1, both are within 1 while
    R(x) > λ: down to ln λ, but for RK4's error.
    """
    x = np.asarray(hmu, complex)
    forth, back = (s * (1 + s / 2 * (1 + s / 3 * (1 + s / 4))) for s in (x, -x))
    if method == "rk4":
        return np.abs(1 + forth)
    if method == "reversible_heun":  # (ŷ, y)
        rows = [[x - 1, 2 + 0 * x], [x * x / 2, 1 + x]]
    else:  # (z, y)
        ahead = [1 - coupling + forth, coupling + 0 * x]
        rows = [[1 - back * ahead[0], -back * ahead[1]], ahead]
    return np.abs(np.linalg.eigvals(np.moveaxis(np.array(rows), (0, 1), (-2, -1)))).max(axis=-1)
