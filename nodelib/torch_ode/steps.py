"""Steps: one Runge-Kutta step, steps that choose their size, steps on a grid, and the values inside a step.

The letters are those of Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I* (1993), "HNW". Where a
gradient is needed each operation makes a new tensor that autograd can follow; where none is, a step writes its slopes
into one buffer and a stage is one ``addmv``.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nodelib.common.arguments import MAX_NUM_STEPS, check_times, grid_of
from nodelib.common.controller import first_step, step_factor, trial_step
from nodelib.common.solution import Step, Symptoms, examine
from nodelib.common.tableaus import Tableau
from nodelib.torch_ode.inputs import as_times
from nodelib.torch_ode.problem import Func, Problem, instant, real

EPS = torch.finfo(torch.float64).eps


@cache
@torch.inference_mode(False)  # what is cached here outlives the mode that it was made in
def coefficients(tableau: Tableau, dtype: torch.dtype, device: torch.device) -> tuple[list, np.ndarray, Tensor, list]:
    """The tableau's rows a_1 … a_s, b, b - b̂ as floats; its dense output; its nodes and the rows again as tensors."""
    rows = [[float(x) for x in row] for row in (*tableau.a, tableau.b, tableau.b_err or tableau.b)]
    nodes = torch.tensor([float(c) for c in tableau.c[1:]], dtype=torch.float64, device=device)
    vectors = [torch.tensor(row, dtype=dtype, device=device) for row in rows]
    return rows, np.array(tableau.dense, float).T, nodes, vectors


class Stages:
    """The slopes k of one step's stages, and for each stage the weights and the slopes it sums.

    Without a graph k is one buffer (s, n), written into; with one it is a list, renewed each step. ``to_y1``: the step
    is taken for its end alone, so that the slope there, last stage of an FSAL pair, is left out.
    """

    def __init__(self, tableau: Tableau, problem: Problem, to_y1: bool = False):
        self.to_y1 = to_y1
        s, y = tableau.stages, problem.y0
        self.graph, self.fsal, self.dtype = problem.graph, tableau.fsal, real(y.dtype)
        self.weights, self.dense, self.c, vectors = coefficients(tableau, y.dtype, y.device)
        self.nodes, self.on_cpu = np.array(tableau.c[1:], float), y.device.type == "cpu"
        self.numpy_dtype = np.float32 if self.dtype is torch.float32 else np.float64
        self.at_end = [i for i, c in enumerate(tableau.c[1:]) if c == 1]
        self.k: Any = [y] * s if self.graph else torch.empty(s, y.numel(), dtype=y.dtype, device=y.device)
        if not self.graph:
            # func reads only the first ``reads`` entries; the last stage of an FSAL pair makes all of y at t + h.
            self.reads = [problem.reads] * (s - 2) + [None if self.fsal else problem.reads]
            self.plan = [(n, self.k[:i, :n].t(), vectors[i], self.k[i]) for i, n in enumerate(self.reads[: s - 1], 1)]
            self.all, self.b, self.b_err = self.k.t(), vectors[s], vectors[s + 1]
            self.first, self.last = self.k[0], self.k[-1]

    def start(self, slope: Tensor) -> None:
        """Set k[0]."""
        if self.graph:
            self.k = [slope, *self.k[1:]]
        else:
            self.first.copy_(slope)

    def times(self, t: Any, t1: Any) -> tuple[Tensor, ...]:
        """t + c_i (t1 - t) for every stage but the first; where c_i = 1 it is t1, which a rounding would step over."""
        if isinstance(t, Tensor) or isinstance(t1, Tensor) or not self.on_cpu:  # numbers to a GPU as scalars: no wait
            times = list(self.c.mul(t1 - t).add(t).to(self.dtype).unbind())
            for i in self.at_end:
                times[i] = t1.to(self.dtype) if isinstance(t1, Tensor) else torch.full_like(times[i], t1)
            return tuple(times)
        numbers = (self.nodes * (t1 - t) + t).astype(self.numpy_dtype)  # cheaper than in torch
        numbers[self.at_end] = t1
        return torch.from_numpy(numbers).unbind()

    def error(self) -> Tensor:
        """Σ_i (b_i - b̂_i) k_i, without a graph."""
        if not self.graph:
            return torch.mv(self.all, self.b_err)
        with torch.no_grad():
            return advance(torch.zeros_like(self.k[0]), 1.0, self.weights[-1], self.k)


def rk_step(func: Func, times: Sequence[Tensor], y: Tensor, h: Any, stages: Stages) -> Tensor:
    """One explicit Runge-Kutta step (HNW II.1). k[0] = f(t, y) is there; fills k[1:] and returns y at t + h.

    ``times`` are those of the other stages, ``stages.times(t, t + h)``.
    """
    if stages.graph:
        return rk_step_with_graph(func, times, y, h, stages)
    y_i = y
    for time, (n, earlier, a, slot) in zip(times, stages.plan, strict=True):
        y_i = torch.addmv(y if n is None else y[:n], earlier, a, alpha=h)
        func(time, y_i, slot)
    if stages.fsal:  # y_i made anew, since func may have written into it behind torch's back, by way of numpy
        _, earlier, a, _ = stages.plan[-1]
        return torch.addmv(y, earlier, a, alpha=h)
    return torch.addmv(y, stages.all, stages.b, alpha=h)


def rk_step_with_graph(func: Func, times: Sequence[Tensor], y: Tensor, h: Any, stages: Stages) -> Tensor:
    """The same step in operations that autograd can follow and that save no copies of the slopes."""
    y_i = y
    for i, time in enumerate(times, 1):
        y_i = advance(y, h, stages.weights[i], stages.k)
        if stages.to_y1 and stages.fsal and i == len(times):
            break
        stages.k[i] = stages.last = func(time, y_i)
    return y_i if stages.fsal else advance(y, h, stages.weights[-2], stages.k)


def advance(y: Tensor, h: Any, weights: Any, slopes: Any) -> Tensor:
    """y + h Σ_i w_i k_i. h may be a tensor that carries the gradient of t."""
    if isinstance(h, Tensor):
        return y + h.to(real(y.dtype)) * weighted(weights, slopes)
    y1 = y
    for w, k in zip(weights, slopes, strict=False):
        if w:
            y1 = torch.add(y, k, alpha=h * float(w)) if y1 is y else y1.add_(k, alpha=h * float(w))
    return y1


def weighted(weights: Any, slopes: Any) -> Tensor:
    """Σ_i w_i k_i over the weights that are not zero."""
    return sum(float(w) * k for w, k in zip(weights, slopes, strict=False) if w)  # type: ignore[return-value]


class Segment(NamedTuple):
    """An accepted step: y(t + θh) = y + h Σ_i w_i(θ) k_i, w_i(θ) = Σ_m dense[m, i] θ^(m+1). The next step reuses k.

    ``ends`` are the indices in t of the times that its start and its end move with, None where they are fixed;
    ``past`` are the times and slopes that an Adams method carries into the next step.
    """

    t: float
    h: float
    y: Tensor
    y1: Tensor
    k: Any
    dense: np.ndarray
    span: tuple[Any, Any]
    t1: float
    ends: tuple[int | None, int | None]
    past: tuple[tuple[float, Any], ...] = ()

    def keep(self) -> "Segment":
        """The segment with slopes that the next step does not overwrite."""
        return self._replace(k=list(self.k) if isinstance(self.k, list) else self.k.clone())

    def at(self, times: np.ndarray, times_in_t: Tensor | None = None) -> Tensor:
        """The states at these times, (len(times), n); ``times_in_t`` carries the gradient with respect to the times."""
        theta = ((times - self.t) / self.h)[:, None]
        powers = np.arange(1, len(self.dense) + 1)
        k = torch.stack(self.k) if isinstance(self.k, list) else self.k
        weights = like(self.y, theta**powers @ self.dense)
        t, h = self.span
        if not isinstance(h, Tensor):
            y = torch.addmm(self.y, weights, k, alpha=h)
        else:
            y = self.y + h.to(weights.dtype) * (weights @ k)
        if times_in_t is not None:
            slope = like(self.y, self.h * powers * theta ** (powers - 1) @ self.dense) @ k
            gap = (times_in_t - t) / h - torch.as_tensor(theta[:, 0], device=y.device)
            y = y + slope * gap[:, None].to(real(y.dtype))  # zero in value; it carries dy/dθ
        return y


def like(y: Tensor, weights: np.ndarray) -> Tensor:
    """The weights as a tensor of y's dtype on its device."""
    return torch.from_numpy(weights).to(y.device, y.dtype)


def rk_segment(problem: Problem, stages: Stages, y: Tensor, t: float, t1: float, ends: tuple) -> Segment:
    """The Runge-Kutta step from t to t1, its first slope being in stages.k[0]."""
    start, end = problem.time(t, ends[0]), problem.time(t1, ends[1])
    size = end - start
    times = stages.times(start, end)
    if t1 in problem.jumps:  # not at the jump, but just before it
        times = [beyond(t1, t - t1, y) if time == instant(t1, y) else time for time in times]
    y1 = rk_step(problem.func, times, y, size, stages)
    return Segment(t, t1 - t, y, y1, stages.k, stages.dense, (start, size), t1, ends)


def first_slope(problem: Problem, t: float, i: int | None, y: Tensor) -> Tensor:
    """f(t, y) for the start of a step; just after t where f jumps."""
    y = y if problem.graph else y.clone()  # the step goes on from y, which func may write into by way of numpy
    if t in problem.jumps:
        return problem.func(beyond(t, problem.times[-1] - problem.times[0], y), y)
    return problem.func(instant(problem.time(t, i), y), y)


@torch.no_grad()
def select_first_step(problem: Problem, order: int) -> float:
    """The first step's size, from one evaluation more. HNW II.4."""
    t, y, f, func, norm = problem.times[0], problem.y0.detach(), problem.f0.detach(), problem.func, problem.norm
    scale = problem.atol + problem.rtol * y.abs()
    d0, d1 = norm(y / scale), norm(f / scale)
    h0 = min(trial_step(d0, d1), abs(problem.times[-1] - t))
    signed = h0 * problem.direction
    trial = t + signed if h0 < abs(problem.times[-1] - t) else problem.times[-1]
    f1 = func(instant(trial, y), torch.add(y, f, alpha=signed))
    return first_step(h0, d1, norm((f1 - f).div_(scale)) / h0, order)


def adaptive_steps(problem: Problem) -> Iterator[Segment]:
    """Steps of an embedded pair, each as long as the tolerance allows. HNW II.4."""
    rtol, log, order = problem.rtol, problem.log, problem.method.order
    stages = Stages(problem.method.tableau, problem)  # type: ignore[arg-type]
    limit = problem.options.get("max_num_steps", MAX_NUM_STEPS)
    keep_ratio = problem.options.get("controller") == "PI"
    shortest, longest = problem.options.get("min_step", 0.0), problem.options.get("max_step") or float("inf")
    stops, problem.jumps = stops_of(problem)
    t, t_end, y, previous = problem.times[0], problem.times[-1], problem.y0, None
    size_of_y = y.detach().abs()
    atol = problem.atol if isinstance(problem.atol, Tensor) else torch.full_like(size_of_y[:1], problem.atol)
    stages.start(problem.f0)
    h = problem.options.get("first_step") or select_first_step(problem, order)
    h = max(h, 10 * EPS * abs(t)) * problem.direction
    while t != t_end:
        h = max(shortest, min(abs(h), longest)) * problem.direction
        whole, stop = h, stops[0]
        clipped = abs(stop - t) <= abs(h) * (1 + 1e-10)
        last = clipped and stop == t_end
        ends = (0 if t == problem.times[0] else None, len(problem.times) - 1 if last else None)
        t1 = stop if clipped else t + h
        h = t1 - t
        problem.tell("callback_step", t, y, h)
        segment = rk_segment(problem, stages, y, t, t1, ends)
        y1 = segment.y1
        size_of_y1 = y1.detach().abs() if problem.graph else y1.abs()
        size = torch.maximum(size_of_y, size_of_y1)
        scale = torch.add(atol, size, alpha=rtol) if isinstance(rtol, float) else torch.addcmul(atol, size, rtol)
        ratio = abs(h) * problem.norm(stages.error().div_(scale))
        accepted = ratio <= 1 or abs(whole) <= shortest  # h may be longer by a rounding of t1
        log.append(Step(t, h, ratio, accepted))
        if len(log) >= limit and not (accepted and last):
            raise why(problem, y).too_many(limit)
        problem.tell("callback_accept_step" if accepted else "callback_reject_step", t, y, h)
        h *= step_factor(ratio, order, accepted, previous)
        if accepted:
            yield segment
            if last and stages.fsal:
                problem.f1 = stages.last
            if not last:
                reuse = stages.fsal and t1 not in problem.jumps
                stages.start(stages.last if reuse else first_slope(problem, t1, None, y1))
            t, y, size_of_y, previous = t1, y1, size_of_y1, ratio if keep_ratio else None
            if clipped:
                stops.pop(0)
                h = whole if abs(whole) > abs(h) else h
        elif abs(h) <= 10 * EPS * abs(t):
            raise why(problem, y).underflow()


def stops_of(problem: Problem) -> tuple[list[float], frozenset[float]]:
    """The times that steps must end at, in order, the last being t[-1]; and those among them where f jumps."""
    sign = problem.direction
    inner = {}
    for name in ("step_t", "jump_t"):
        given = problem.options.get(name)
        values = [] if given is None else torch.as_tensor(given, dtype=torch.float64, device="cpu").reshape(-1).tolist()
        inner[name] = {s for s in values if sign * problem.times[0] < sign * s < sign * problem.times[-1]}
    stops = sorted(inner["step_t"] | inner["jump_t"], key=lambda s: sign * s)
    return [*stops, problem.times[-1]], frozenset(inner["jump_t"])


def beyond(t: float, direction: float, y: Tensor) -> Tensor:
    """The time next to t that y's dtype can represent, on the side of ``direction``."""
    at = instant(t, y)
    return torch.nextafter(at, at + direction)


@torch.no_grad()
def why(problem: Problem, y: Tensor) -> Symptoms:
    """The symptoms of the step attempted last, from the state y."""
    return examine(lambda t, y: problem.func(instant(t, y), y), problem.norm, problem.log[-1], y.detach())


def fixed_steps(problem: Problem) -> Iterator[Segment]:
    """Steps from one time of the grid to the next, at whatever error."""
    stages = Stages(problem.method.tableau, problem)  # type: ignore[arg-type]
    y, f0 = problem.y0, problem.f0
    for (t, i), (t1, j) in pairwise(grid(problem)):
        problem.tell("callback_step", t, y, t1 - t)
        stages.start(first_slope(problem, t, i, y) if f0 is None or t in problem.jumps else f0)
        segment = rk_segment(problem, stages, y, t, t1, (i, j))
        problem.log.append(Step(t, t1 - t, float("nan"), True))
        yield segment
        y, f0 = segment.y1, None


def grid(problem: Problem) -> Iterable[tuple[float, int | None]]:
    """The times a fixed-step method stops at, each with the index of the entry of t that it moves with.

    Without an option they are t itself; with step_size t[0], t[0] + h, t[0] + 2h, … and t[-1]; or what
    grid_constructor says, which must begin and end as t does. With perturb f is evaluated just beside them, as if it
    jumped at each.
    """
    points = grid_points(problem)
    if problem.options.get("perturb"):
        problem.jumps = Everywhere()
    return points


class Everywhere(frozenset[float]):
    """A set that holds every time, also of a grid without an end."""

    def __contains__(self, s: object) -> bool:
        return True


def grid_points(problem: Problem) -> Iterable[tuple[float, int | None]]:
    """``grid``, without regard to perturb."""
    times, h, make = problem.times, problem.options.get("step_size"), problem.options.get("grid_constructor")
    if make is not None:
        made = as_times(make(problem.func.func, problem.form.unflatten(problem.y0), problem.t)).detach().double()
        points = made.reshape(-1).tolist()
        check_times(points, made.ndim, "grid", fewest=2)
        if points[0] != times[0] or points[-1] != times[-1]:
            raise ValueError(f"grid_constructor must return a grid from t[0] to t[-1], got {points[0]} to {points[-1]}")
        owner = {s: i for i, s in enumerate(times)}
        return [(s, owner.get(s)) for s in points]
    if h is None:
        return [(s, i) for i, s in enumerate(times)]
    inner = ((s, 0) for s in grid_of(times, h))
    return chain(inner, [(times[-1], len(times) - 1)])
