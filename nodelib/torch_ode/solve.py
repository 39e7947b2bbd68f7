"""Solve y' = f(t, y) with torch: the twin to be used, on CPU and GPU. ``nodelib.numpy_ode.solve`` is the same to read.

From top to bottom: the two public functions; the checks; a Runge-Kutta step; steps that choose their size; steps on a
grid; the values between. The letters are those of Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I*
(1993), "HNW". States are flattened on entry, tuples into one vector. Where a gradient is needed each operation makes a
new tensor that autograd can follow; where none is, a step writes its slopes into one buffer and a stage is one
``addmv``. Times and step sizes are Python floats, constants to the gradient.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from math import ceil, prod, sqrt
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

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

Func = Callable[[Any, Any], Any]
EPS = torch.finfo(torch.float64).eps
MORE_OPTIONS = {
    "rk fixed": {"grid_constructor", "norm"},
    "adams fixed": {"grid_constructor", "norm"},
    "rk adaptive": {"min_step", "max_step", "norm", "step_t", "jump_t"},
    "scipy adaptive": {"norm"},
}


def odeint(func: Func, y0: Any, t: Any, *, method: str = "dopri5", rtol=None, atol=None, options=None) -> Any:
    """The states at the times t of the solution of y' = func(t, y), y(t[0]) = y0; shape (len(t), *y0.shape).

    The arguments and errors are those of ``solve``; for a tuple y0 the result is a tuple.
    """
    return solve(func, y0, t, method=method, rtol=rtol, atol=atol, options=options).y


def solve(
    func: Func, y0: Any, t: Any, *, method: str = "dopri5", rtol=None, atol=None, options=None, dense: bool = False
) -> Solution:
    """Solve y' = func(t, y), y(t[0]) = y0, and return the states at the times t with the record of every step.

    func:    (t: 0-d tensor, y: like y0) -> like y0. t has y0's real dtype and device.
    y0:      tensor of any shape or a tuple of tensors; float32, float64 or complex; on any device.
    t:       two or more times, strictly increasing or decreasing: a sequence, or a tensor, which may require a gradient.
    method:  a name in ``METHODS``.
    rtol, atol: tolerance atol + rtol |y| on the error of each step (not of the whole); floats, tensors like y0, or
             for a tuple y0 one for each part. Defaults 1e-7, 1e-9 in double and 1e-5, 1e-6 in single precision.
    options: fixed-step methods: step_size, or grid_constructor(func, y0, t) (without: one step from each time in t to
             the next); adaptive: first_step, min_step, max_step, max_num_steps (100,000), controller ("I" or "PI"),
             norm(y) -> float, step_t and jump_t (times to stop at; at a jump f is evaluated on either side);
             Adams: max_order (4), and implicit_adams max_iters (20) for the iterations on each step's equation.
    dense:   also keep what it takes to give the state at any time.

    Raises ValueError or TypeError, before any work, for bad arguments; StepSizeUnderflow, MaxStepsReached,
    NonFiniteState or FixedPointFailed while solving. NFE: an FSAL pair of s stages takes 2 + (s - 1) × attempts
    (dopri5: 2 + 6 × attempts), one less with ``first_step``.
    """
    problem = prepare(func, y0, t, method, rtol, atol, options)
    if problem.method.kind == "scipy":
        return scipy_solution(problem, t, dense)
    ys, segments, done = [problem.y0[None]], [], 1
    for segment in steps(problem):
        inside = done
        while done < len(problem.times) and segment.reaches(problem.times[done]) and segment.ends[1] != done:
            done += 1
        if done > inside:
            ys.append(segment.at(problem.times[inside:done], problem.times_of(range(inside, done))))
        if segment.ends[1] == done:
            ys.append(segment.y1[None])
            done += 1
        if dense:
            segments.append(segment.keep())
    y = torch.cat(ys)
    if not torch.isfinite(y[-1]).all():
        explain_overflow(problem)
    accepted = sum(step.accepted for step in problem.log)
    stats = Stats(problem.func.nfe, accepted, len(problem.log) - accepted)
    interpolant = Interpolant(segments, problem.form) if dense else None
    return Solution(t, problem.form.unflatten(y), stats, tuple(problem.log), interpolant)


# --- arguments -------------------------------------------------------------------------------------------------------


class Form:
    """The shape of a state, tensor or tuple of tensors, and the way between it and one flat vector."""

    def __init__(self, y0: Any):
        self.is_tuple = not isinstance(y0, Tensor)
        parts = y0 if self.is_tuple else (y0,)
        self.shapes = [tuple(part.shape) for part in parts]
        self.sizes = [prod(shape) for shape in self.shapes]

    def flatten(self, y: Any) -> Tensor:
        """The state as one vector."""
        return torch.cat([part.reshape(-1) for part in y]) if self.is_tuple else y.reshape(-1)

    def unflatten(self, y: Tensor) -> Any:
        """The state from a vector (n,), or states from vectors (…, n)."""
        if not self.is_tuple:
            return y.view(y.shape[:-1] + self.shapes[0])
        parts = y.split(self.sizes, dim=-1)
        return tuple(part.reshape(y.shape[:-1] + shape) for part, shape in zip(parts, self.shapes, strict=True))


class Counted:
    """func on flat states, counting its evaluations."""

    def __init__(self, func: Func, form: Form):
        self.func = func
        self.form, self.nfe = form, 0
        shape = form.shapes[0]
        if form.is_tuple:
            self.flat = lambda t, y: form.flatten(func(t, form.unflatten(y)))
        else:
            self.flat = lambda t, y: func(t, y.view(shape)).reshape(-1)

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        self.nfe += 1
        return self.flat(t, y)


@dataclass
class Problem:
    """A checked initial value problem on the flat state y0, with the log of its attempted steps.

    ``reads``: func needs only that many leading entries of y; the others are quadratures. None: all of them.
    """

    func: Any
    y0: Tensor
    f0: Tensor
    form: Form
    t: Any
    times: list[float]
    method: Method
    rtol: Any
    atol: Any
    norm: Callable[[Tensor], float]
    options: dict[str, Any]
    graph: bool
    reads: int | None = None
    log: list[Step] = field(default_factory=list)

    @property
    def moving(self) -> bool:
        """Does t carry a gradient?"""
        return self.graph and isinstance(self.t, Tensor) and self.t.requires_grad

    def time(self, value: float, i: int | None) -> Any:
        """The time ``value``; where t has a gradient, as a tensor that moves along with t[i]."""
        return (
            self.t[i].to(self.y0.device).double() + (value - self.times[i]) if i is not None and self.moving else value
        )

    def times_of(self, indices: range) -> Tensor | None:
        """The times t[i] where t has a gradient, else None."""
        return self.t[indices.start : indices.stop].to(self.y0.device).double() if self.moving else None


def real(dtype: torch.dtype) -> torch.dtype:
    """The dtype of |y|: complex64 -> float32, complex128 -> float64."""
    return torch.empty(0, dtype=dtype).real.dtype if dtype.is_complex else dtype


def prepare(func: Func, y0: Any, t: Any, method: str, rtol: Any, atol: Any, options: Any) -> Problem:
    """Check every argument, evaluate func once, and flatten the state."""
    chosen, options = check_method(method, options, MORE_OPTIONS)
    check_state(y0)
    form = Form(y0)
    flat = form.flatten(y0)
    numbers = t.detach() if isinstance(t, Tensor) else torch.as_tensor(t, dtype=torch.float64)
    times = numbers.double().reshape(-1).tolist()
    check_times(times, numbers.ndim)
    rtol, atol = tolerances(rtol, atol, flat, form)
    counted = Counted(func, form)
    f0 = first_evaluation(counted, func, times[0], t, y0, flat)
    graph = torch.is_grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in (flat, t, f0))
    norm = norm_of(options.pop("norm", None), form)
    return Problem(counted, flat, f0, form, t, times, chosen, rtol, atol, norm, options, graph)


def check_state(y0: Any) -> None:
    """Raise unless y0 is a finite floating-point tensor or a tuple of such, of one dtype on one device."""
    parts = y0 if isinstance(y0, tuple | list) else (y0,)
    for part in parts:
        if not isinstance(part, Tensor):
            raise TypeError(
                f"y0 must be a tensor or a tuple of tensors, got {type(part).__name__}: use torch.as_tensor"
            )
        if part.dtype not in (torch.float32, torch.float64, torch.complex64, torch.complex128):
            raise TypeError(f"y0 must be float32, float64 or complex, got {part.dtype}: pass e.g. y0.float()")
        if part.numel() == 0:
            raise ValueError(f"y0 is empty (shape {tuple(part.shape)}): there is nothing to solve for")
        if (part.dtype, part.device) != (parts[0].dtype, parts[0].device):
            raise TypeError(
                f"the parts of y0 must share dtype and device, got {parts[0].dtype} on {parts[0].device} "
                f"and {part.dtype} on {part.device}"
            )
        if not torch.isfinite(part).all():
            raise ValueError("y0 contains nan or inf: the solution needs a finite start")
    if not parts:
        raise ValueError("y0 is an empty tuple: there is nothing to solve for")


def tolerances(rtol: Any, atol: Any, y0: Tensor, form: Form) -> tuple[Any, Any]:
    """(rtol, atol), checked, as floats or flat tensors like y0; the defaults follow the dtype."""
    info = torch.finfo(y0.dtype)
    default = default_tolerances(info.eps)
    rtol, atol = (default[i] if tol is None else tol for i, tol in enumerate((rtol, atol)))
    if not (isinstance(rtol, float) and isinstance(atol, float)):
        rtol, atol = (each_entry(name, tol, y0, form) for name, tol in (("rtol", rtol), ("atol", atol)))
    smallest = {"rtol": float(rtol if isinstance(rtol, float) else rtol.min())}
    smallest["atol"] = float(atol if isinstance(atol, float) else atol.min())
    check_tolerances(smallest, info.eps, str(y0.dtype))
    return rtol, atol


def each_entry(name: str, tol: Any, y0: Tensor, form: Form) -> Any:
    """A tolerance given as number, tensor, or one number for each part of a tuple: as a float or flat like y0."""
    if isinstance(tol, tuple | list):
        if not form.is_tuple or len(tol) != len(form.sizes):
            raise ValueError(f"{name} has {len(tol)} entries: give a number, or for a tuple y0 one for each part")
        tol = torch.cat([torch.full((n,), float(x), dtype=torch.float64) for n, x in zip(form.sizes, tol, strict=True)])
    tol = torch.as_tensor(tol, dtype=torch.float64).detach()
    if tol.ndim and tol.numel() != y0.numel():
        raise ValueError(f"{name} must be a number or a tensor like y0 ({form.shapes}), got shape {tuple(tol.shape)}")
    return tol.reshape(-1).to(y0.device, real(y0.dtype)) if tol.ndim else float(tol)


def first_evaluation(counted: Counted, func: Func, t0: float, t: Any, y0: Any, flat: Tensor) -> Tensor:
    """f(t0, y0), flat, after checking that func returns what a derivative of y0 must be."""
    counted.nfe += 1
    if isinstance(t, Tensor) and t.requires_grad:
        start = t[0].to(flat.device, real(flat.dtype))
    else:
        start = torch.tensor(t0, dtype=real(flat.dtype), device=flat.device)
    f0 = func(start, y0)
    wanted, got = (x if isinstance(x, tuple | list) else (x,) for x in (y0, f0))
    if isinstance(y0, Tensor) != isinstance(f0, Tensor) or len(got) != len(wanted):
        raise TypeError(f"func must return the structure of y0, {_structure(y0)}, got {_structure(f0)}")
    for want, have in zip(wanted, got, strict=True):
        if not isinstance(have, Tensor):
            raise TypeError(f"func must return tensors, got {type(have).__name__}: use torch operations in func")
        if have.shape != want.shape:
            raise ValueError(f"func must return y0's shape {tuple(want.shape)}, got {tuple(have.shape)}")
        if have.dtype != want.dtype:
            raise TypeError(f"func must return y0's dtype {want.dtype}, got {have.dtype}: cast y0 or what func returns")
        if have.device != want.device:
            raise TypeError(
                f"func must return tensors on y0's device {want.device}, got {have.device}: move func or y0"
            )
    f0 = counted.form.flatten(f0)
    if not torch.isfinite(f0).all():
        raise NonFiniteState(f"func returns nan or inf at its first evaluation, t = {t0:.6g}: check func and y0")
    return f0


def _structure(x: Any) -> str:
    return f"a tuple of {len(x)}" if isinstance(x, tuple | list) else type(x).__name__


def norm_of(norm: Callable[[Any], Any] | None, form: Form) -> Callable[[Tensor], float]:
    """The norm of error ratios on flat vectors: RMS, for tuples the largest of the parts, or the caller's own."""
    if callable(norm):
        return lambda x: float(norm(form.unflatten(x)))
    if not form.is_tuple:
        return rms
    roots = [sqrt(size) for size in form.sizes]
    return lambda x: max(
        n / root for n, root in zip(torch.stack(torch._foreach_norm(x.split(form.sizes))).tolist(), roots, strict=True)
    )


# --- one step --------------------------------------------------------------------------------------------------------


@cache
def coefficients(tableau: Tableau, dtype: torch.dtype, device: torch.device) -> tuple[list, np.ndarray, Tensor, list]:
    """The tableau's rows a_1 … a_s, b, b - b̂ as floats; its dense output; its nodes and the rows again as tensors."""
    rows = [[float(x) for x in row] for row in (*tableau.a, tableau.b, tableau.b_err or tableau.b)]
    nodes = torch.tensor([float(c) for c in tableau.c[1:]], dtype=torch.float64, device=device)
    vectors = [torch.tensor(row, dtype=dtype, device=device) for row in rows]
    return rows, np.array(tableau.dense, float).T, nodes, vectors


class Stages:
    """The slopes k of one step's stages, and for each stage the weights and the slopes it sums.

    Without a graph k is one buffer (s, n), written into; with one it is a list, renewed each step.
    """

    def __init__(self, tableau: Tableau, problem: Problem):
        s, y = tableau.stages, problem.y0
        self.graph, self.fsal, self.dtype = problem.graph, tableau.fsal, real(y.dtype)
        self.weights, self.dense, self.c, vectors = coefficients(tableau, y.dtype, y.device)
        self.k: Any = [y] * s if self.graph else torch.empty(s, y.numel(), dtype=y.dtype, device=y.device)
        if not self.graph:
            # func reads only the first ``reads`` entries; the last stage of an FSAL pair makes all of y at t + h.
            self.reads = [problem.reads] * (s - 2) + [None if self.fsal else problem.reads]
            self.plan = [(n, self.k[:i, :n].t(), vectors[i], self.k[i]) for i, n in enumerate(self.reads[: s - 1], 1)]
            self.all, self.b, self.b_err = self.k.t(), vectors[s], vectors[s + 1]

    def start(self, slope: Tensor) -> None:
        """Set k[0]."""
        if self.graph:
            self.k = [slope, *self.k[1:]]
        else:
            self.k[0].copy_(slope)

    def times(self, t: Any, h: Any) -> tuple[Tensor, ...]:
        """t + c_i h for every stage but the first."""
        return (self.c * h + t).to(self.dtype).unbind()

    def error(self) -> Tensor:
        """Σ_i (b_i - b̂_i) k_i, without a graph."""
        if not self.graph:
            return torch.mv(self.all, self.b_err)
        with torch.no_grad():
            return weighted(self.weights[-1], self.k)


def rk_step(func: Func, t: Any, y: Tensor, h: Any, stages: Stages) -> Tensor:
    """One explicit Runge-Kutta step (HNW II.1). k[0] = f(t, y) is there; fills k[1:] and returns y at t + h."""
    if stages.graph:
        return rk_step_with_graph(func, t, y, h, stages)
    y_i = y
    for time, (n, earlier, a, slot) in zip(stages.times(t, h), stages.plan, strict=True):
        y_i = torch.addmv(y if n is None else y[:n], earlier, a, alpha=h)
        slot.copy_(func(time, y_i))
    return y_i if stages.fsal else torch.addmv(y, stages.all, stages.b, alpha=h)


def rk_step_with_graph(func: Func, t: Any, y: Tensor, h: Any, stages: Stages) -> Tensor:
    """The same step in operations that autograd can follow and that save no copies of the slopes."""
    y_i = y
    for i, time in enumerate(stages.times(t, h), 1):
        y_i = advance(y, h, stages.weights[i], stages.k)
        stages.k[i] = func(time, y_i)
    return y_i if stages.fsal else advance(y, h, stages.weights[-2], stages.k)


def advance(y: Tensor, h: Any, weights: Any, slopes: Any) -> Tensor:
    """y + h Σ_i w_i k_i. h may be a tensor that carries the gradient of t."""
    if isinstance(h, Tensor):
        return y + h.to(real(y.dtype)) * weighted(weights, slopes)
    for w, k in zip(weights, slopes, strict=False):
        y = torch.add(y, k, alpha=h * float(w)) if w else y
    return y


def weighted(weights: Any, slopes: Any) -> Tensor:
    """Σ_i w_i k_i over the weights that are not zero."""
    return sum(float(w) * k for w, k in zip(weights, slopes, strict=False) if w)  # type: ignore[return-value]


class Segment(NamedTuple):
    """An accepted step: y(t + θh) = y + h Σ_i w_i(θ) k_i, w_i(θ) = Σ_m dense[m, i] θ^(m+1). The next step reuses k.

    ``ends`` are the indices in t of the times that its start and its end move with, None where they are fixed.
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

    def reaches(self, s: float) -> bool:
        """Does this step get as far as time s?"""
        return s <= self.t1 if self.h > 0 else s >= self.t1

    def keep(self) -> "Segment":
        """The segment with slopes that the next step does not overwrite."""
        return self._replace(k=list(self.k) if isinstance(self.k, list) else self.k.clone())

    def at(self, times: list[float], times_in_t: Tensor | None = None) -> Tensor:
        """The states at these times, (len(times), n); ``times_in_t`` carries the gradient with respect to the times."""
        theta = (np.array(times)[:, None] - self.t) / self.h
        powers = np.arange(1, len(self.dense) + 1)
        k = torch.stack(self.k) if isinstance(self.k, list) else self.k
        t, h = self.span
        weights = self._like(theta**powers @ self.dense)
        if not isinstance(h, Tensor):
            y = torch.addmm(self.y, weights, k, alpha=h)
        else:
            y = self.y + h.to(weights.dtype) * (weights @ k)
        if times_in_t is not None:
            slope = self._like(self.h * powers * theta ** (powers - 1) @ self.dense) @ k
            gap = (times_in_t - t) / h - torch.as_tensor(theta[:, 0], device=y.device)
            y = y + slope * gap[:, None].to(real(y.dtype))  # zero in value; it carries dy/dθ
        return y

    def _like(self, weights: np.ndarray) -> Tensor:
        return torch.as_tensor(weights).to(self.y.device, self.y.dtype)


# --- many steps ------------------------------------------------------------------------------------------------------


def steps(problem: Problem) -> Iterator[Segment]:
    """The accepted steps from t[0] to t[-1], by the problem's method."""
    if problem.method.kind == "adams":
        from nodelib.torch_ode.multistep import adams_steps

        return adams_steps(problem)
    return adaptive_steps(problem) if problem.method.adaptive else fixed_steps(problem)


def rms(x: Tensor) -> float:
    """Root mean square, of real or complex entries."""
    return float(torch.linalg.vector_norm(x)) / sqrt(x.numel())


@torch.no_grad()
def select_first_step(problem: Problem, order: int) -> float:
    """The first step's size, from one evaluation more. HNW II.4."""
    t, y, f, func, norm = problem.times[0], problem.y0.detach(), problem.f0.detach(), problem.func, problem.norm
    scale = problem.atol + problem.rtol * y.abs()
    span = abs(problem.times[-1] - t)
    h0 = min(trial_step(norm(y / scale), norm(f / scale)), span)
    signed = h0 if problem.times[-1] > t else -h0
    f1 = func(instant(t + signed, y), y + signed * f)
    return first_step(h0, norm(f / scale), norm((f1 - f) / scale) / h0, order)


def instant(t: Any, y: Tensor) -> Tensor:
    """The time t as func gets it: a 0-d tensor of y's real dtype on its device."""
    return torch.as_tensor(t, dtype=real(y.dtype), device=y.device)


def adaptive_steps(problem: Problem) -> Iterator[Segment]:
    """Steps of an embedded pair, each as long as the tolerance allows. HNW II.4."""
    func, rtol, atol, log, order = problem.func, problem.rtol, problem.atol, problem.log, problem.method.order
    stages = Stages(problem.method.tableau, problem)  # type: ignore[arg-type]
    limit = problem.options.get("max_num_steps", MAX_NUM_STEPS)
    keep_ratio = problem.options.get("controller") == "PI"
    shortest, longest = problem.options.get("min_step", 0.0), problem.options.get("max_step") or float("inf")
    stops, jumps = stops_of(problem)
    t, t_end, y, previous = problem.times[0], problem.times[-1], problem.y0, None
    size_of_y = y.detach().abs()
    stages.start(problem.f0)
    h = problem.options.get("first_step") or select_first_step(problem, order)
    h = max(h, 10 * EPS * abs(t)) * (1 if t_end > t else -1)
    while t != t_end:
        h = max(shortest, min(abs(h), longest)) * (1 if t_end > t else -1)
        whole, stop = h, stops[0]
        clipped = abs(stop - t) <= abs(h) * (1 + 1e-10)
        last = clipped and stop == t_end
        ends = (0 if t == problem.times[0] else None, len(problem.times) - 1 if last else None)
        t1 = stop if clipped else t + h
        h = t1 - t
        start = problem.time(t, ends[0])
        size = problem.time(t1, ends[1]) - start
        y1 = rk_step(before(func, t1, y) if t1 in jumps else func, start, y, size, stages)
        size_of_y1 = y1.detach().abs()
        scale = torch.maximum(size_of_y, size_of_y1).mul_(rtol).add_(atol)
        ratio = abs(h) * problem.norm(stages.error().div_(scale))
        accepted = ratio <= 1 or abs(h) <= shortest
        log.append(Step(t, h, ratio, accepted))
        if len(log) >= limit and not (accepted and last):
            raise why(problem, y).too_many(limit)
        h *= step_factor(ratio, order, accepted, previous)
        if accepted:
            yield Segment(t, t1 - t, y, y1, stages.k, stages.dense, (start, size), t1, ends)
            if t1 in jumps:
                stages.start(func(beyond(t1, t1 - t, y), y1))
            elif not last:
                stages.start(stages.k[-1] if stages.fsal else func(instant(t1, y), y1))
            t, y, size_of_y, previous = t1, y1, size_of_y1, ratio if keep_ratio else None
            if clipped:
                stops.pop(0)
                h = whole if abs(whole) > abs(h) else h
        elif abs(h) <= 10 * EPS * abs(t):
            raise why(problem, y).underflow()


def stops_of(problem: Problem) -> tuple[list[float], set[float]]:
    """The times that steps must end at, in order, the last being t[-1]; and those among them where f jumps."""
    sign = 1 if problem.times[-1] > problem.times[0] else -1
    inner = {}
    for name in ("step_t", "jump_t"):
        given = problem.options.get(name)
        values = [] if given is None else torch.as_tensor(given, dtype=torch.float64).reshape(-1).tolist()
        inner[name] = {s for s in values if sign * problem.times[0] < sign * s < sign * problem.times[-1]}
    stops = sorted(inner["step_t"] | inner["jump_t"], key=lambda s: sign * s)
    return [*stops, problem.times[-1]], inner["jump_t"]


def beyond(t: float, direction: float, y: Tensor) -> Tensor:
    """The time next to t that y's dtype can represent, on the side of ``direction``."""
    at = instant(t, y)
    return torch.nextafter(at, at + direction)


def before(func: Func, t1: float, y: Tensor) -> Func:
    """func, evaluated just before t1 where it would be evaluated at t1."""

    def one_sided(t: Tensor, y_i: Tensor) -> Tensor:
        return func(beyond(t1, -1.0 if t1 > 0 else 1.0, y) if t == instant(t1, y) else t, y_i)

    return one_sided


@torch.no_grad()
def why(problem: Problem, y: Tensor) -> Symptoms:
    """The symptoms of the step attempted last, from the state y."""
    return examine(lambda t, y: problem.func(instant(t, y), y), rms, problem.log[-1], y.detach())


def fixed_steps(problem: Problem) -> Iterator[Segment]:
    """Steps from one time of the grid to the next, at whatever error."""
    stages = Stages(problem.method.tableau, problem)  # type: ignore[arg-type]
    y, f0 = problem.y0, problem.f0
    for (t, i), (t1, j) in pairwise(grid(problem)):
        start = problem.time(t, i)
        size = problem.time(t1, j) - start
        stages.start(problem.func(instant(start, y), y) if f0 is None else f0)
        y1 = rk_step(problem.func, start, y, size, stages)
        problem.log.append(Step(t, t1 - t, float("nan"), True))
        yield Segment(t, t1 - t, y, y1, stages.k, stages.dense, (start, size), t1, (i, j))
        y, f0 = y1, None


def grid(problem: Problem) -> list[tuple[float, int | None]]:
    """The times a fixed-step method stops at, each with the index of the entry of t that it moves with.

    Without an option they are t itself; with step_size t[0], t[0] + h, t[0] + 2h, … and t[-1]; or what
    grid_constructor says, which must begin and end as t does.
    """
    times, h, make = problem.times, problem.options.get("step_size"), problem.options.get("grid_constructor")
    if make is not None:
        made = make(problem.func.func, problem.form.unflatten(problem.y0), torch.as_tensor(problem.t))
        points = torch.as_tensor(made).detach().double().tolist()
        if points[0] != times[0] or points[-1] != times[-1]:
            raise ValueError(f"grid_constructor must return a grid from t[0] to t[-1], got {points[0]} to {points[-1]}")
        owner = {s: i for i, s in enumerate(times)}
        return [(s, owner.get(s)) for s in points]
    if h is None:
        return [(s, i) for i, s in enumerate(times)]
    span = times[-1] - times[0]
    n = max(1, ceil(abs(span) / h * (1 - 1e-12)))
    signed = h if span > 0 else -h
    return [*((times[0] + m * signed, 0) for m in range(n)), (times[-1], len(times) - 1)]


@torch.no_grad()
def explain_overflow(problem: Problem) -> None:
    """Solve again, stopping at the first evaluation that is not finite, and say which it was."""

    def checked(t: Tensor, y: Tensor) -> Tensor:
        f = problem.func(t, y)
        if not torch.isfinite(f).all():
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

    def __call__(self, s: float) -> Any:
        segment = self.segments[int(np.searchsorted(self.ends, self.sign * s))]
        return self.form.unflatten(segment.at([s])[0])


def scipy_solution(problem: Problem, t: Any, dense: bool) -> Solution:
    """The same problem handed to SciPy on the CPU, which autograd cannot look into."""
    if problem.graph:
        raise TypeError(f'{problem.method.name} cannot be differentiated: use odeint_adjoint, or method="dopri5"')
    y0 = problem.y0

    @torch.no_grad()
    def func(t: float, y: Any) -> Any:
        state = torch.as_tensor(y).to(y0.device, y0.dtype)
        return problem.func(instant(t, state), state).cpu().numpy()

    tols = [x.double().cpu().numpy() if isinstance(x, Tensor) else x for x in (problem.rtol, problem.atol)]
    start = y0.cpu().numpy()
    found = scipy_solvers.run(problem.method, func, start, problem.times, tols[0], tols[1], problem.options)
    ys, stats, log, sol = found
    if dense and sol is None:
        raise ValueError(f"{problem.method.name} gives no dense output: use scipy:LSODA, or add the times to t")

    def back(y: Any) -> Any:
        return problem.form.unflatten(torch.as_tensor(np.ascontiguousarray(y)).to(y0.device, y0.dtype))

    interpolant = (lambda s: back(sol(s))) if dense and sol is not None else None
    return Solution(t, back(ys), Stats(problem.func.nfe, stats.accepted, stats.rejected), log, interpolant)
