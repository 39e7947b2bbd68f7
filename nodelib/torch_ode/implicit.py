"""An implicit solve by Newton's method, whose steps stability does not limit; and an account of what they cost.

TR-BDF2: the trapezoid rule to t + (2 - √2) h, then BDF2 to t + h, written as a Runge-Kutta method of three stages, of
which the first is explicit and the one of the step before. Order 2, L-stable, with an error estimate of order 3. Bank
et al. 1985; Hosea & Shampine, "Analysis and implementation of TR-BDF2" (Applied Numerical Mathematics 20, 1996), from
which the letters γ, d, w are.

It is no entry of ``METHODS``: those are differentiated, take tuples and complex states and events, and know no
Jacobian; and the numpy twin has them all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nodelib.common.arguments import MAX_NUM_STEPS
from nodelib.common.controller import step_factor
from nodelib.common.solution import FixedPointFailed, MaxStepsReached, Solution, Step, StepSizeUnderflow
from nodelib.torch_ode.modes import entrance, refuse_transforms
from nodelib.torch_ode.problem import Problem, instant, prepare, rms
from nodelib.torch_ode.steps import EPS, select_first_step

GAMMA = 2 - sqrt(2)
D, W = GAMMA / 2, sqrt(2) / 4
ERROR = ((1 - W) / 3 - W, (3 * W + 1) / 3 - W, D / 3 - D)  # weights of order 3, less those of the step
CLOSE = 0.02  # Newton's last correction, in units of the tolerance
SLOW = 0.2  # a Jacobian is kept while each correction is shorter than the one before by this factor
OPTIONS = ("first_step", "max_num_steps", "max_iters")


class ImplicitStats(NamedTuple):
    """nfe: evaluations of func, one for each Jacobian among them; accepted, rejected: attempted steps; jacobians: how
    many were formed, of D vector-Jacobian products each; factorizations: LU, one for each attempt; unsolved: attempts
    rejected since Newton's method did not converge."""

    nfe: int
    accepted: int
    rejected: int
    jacobians: int
    factorizations: int
    unsolved: int


@dataclass(frozen=True, repr=False)
class ImplicitSolution(Solution):
    """``Solution``, whose stats say what Newton's method took as well."""

    stats: ImplicitStats  # type: ignore[assignment]


@entrance
@torch.no_grad()
def solve_implicit(
    func: Callable[[Tensor, Tensor], Tensor],
    y0: Tensor,
    t: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    options: Any = None,
) -> ImplicitSolution:
    """Solve y' = func(t, y), y(t[0]) = y0, by steps of TR-BDF2: an ``ImplicitSolution``.

    y0:          a real tensor (…, D). The last axis is the state's; the others are samples, which share their steps,
                 and row i of func(t, y) may depend on row i of y alone: each has a Jacobian (D, D).
    rtol, atol:  numbers, with the defaults of ``solve``; a step's error is the RMS of all entries.
    options:     first_step, max_num_steps, and max_iters (6), of Newton's method in a stage.

    A step ends at each output time. Newton's method takes the Jacobian from autograd, and keeps it while it converges
    fast. Where it fails, the step is rejected: tried again with a new Jacobian or, where that was new, a quarter as
    long. No gradient: the solution depends on no graph. Raises as ``solve``, and FixedPointFailed where no step is
    short enough for Newton's method.
    """
    refuse_transforms("solve_implicit")
    max_iters, options = _checked(y0, rtol, atol, options)
    return _Implicit(prepare(func, y0, t, "dopri5", rtol, atol, options), y0.shape[-1], max_iters).run()


def _checked(y0: Any, rtol: Any, atol: Any, options: Any) -> tuple[int, dict[str, Any]]:
    """max_iters, and the other options, which ``prepare`` checks."""
    if isinstance(y0, tuple | list) or not isinstance(y0, Tensor) or y0.ndim == 0 or y0.dtype.is_complex:
        raise TypeError("y0 must be a real tensor (…, D), whose last axis is the state's")
    for name, tol in (("rtol", rtol), ("atol", atol)):
        if not isinstance(tol, float | int | None):
            raise TypeError(f"{name} must be a number, got {type(tol).__name__}")
    options = {} if options is None else options
    if not isinstance(options, Mapping):
        raise TypeError(f"options must be a dict of option names and values, got {type(options).__name__}")
    for key in options:
        if key not in OPTIONS:
            raise ValueError(f"option {key!r} does not apply to solve_implicit. It takes: {', '.join(OPTIONS)}")
    most = options.get("max_iters", 6)
    if not isinstance(most, int) or most < 1:
        raise ValueError(f"option 'max_iters' must be a positive integer, got {most!r}")
    return most, {key: value for key, value in options.items() if key != "max_iters"}


class _Implicit:
    """One such solve; states are (samples, D)."""

    def __init__(self, problem: Problem, dim: int, max_iters: int):
        self.problem, self.times, self.dim, self.iters = problem, problem.times, dim, max_iters
        self.limit = problem.options.get("max_num_steps", MAX_NUM_STEPS)
        self.t, self.y, self.k = self.times[0], problem.y0.reshape(-1, dim), problem.f0.reshape(-1, dim)
        self.h = problem.options.get("first_step") or (select_first_step(problem, 3) if self.times[1:] else 0.0)
        self.jacobian: Any = None  # or ∂f/∂y, (samples, D, D)
        self.fresh, self.jacobians = False, 0

    def f(self, t: float, y: Tensor) -> Tensor:
        """func(t, y)."""
        return self.problem.func(instant(t, y), y.reshape(-1)).view_as(y)

    def form(self, t: float, y: Tensor) -> None:
        """∂f/∂y at (t, y), (samples, D, D): row i from one product for all samples."""
        with torch.enable_grad():
            pull = torch.func.vjp(lambda y: self.f(t, y), y)[1]
        units = torch.eye(self.dim, dtype=y.dtype, device=y.device)[:, None].expand(-1, len(y), -1)
        rows = torch.func.vmap(lambda v: pull(v)[0])(units)
        self.jacobian, self.fresh, self.jacobians = rows.transpose(0, 1).detach(), True, self.jacobians + 1

    def stage(self, t: float, known: Tensor, hd: float, y: Tensor, scale: Tensor) -> tuple[Tensor, float]:
        """y with y = known + hd f(t, y), by Newton's method from ``y``, and the worst ratio of two corrections, one
        after the other: inf where it did not converge."""
        before, worst = 0.0, 0.0
        for _ in range(self.iters):
            correction = self.solved(known + hd * self.f(t, y) - y)
            y, size = y + correction, rms(correction / scale)
            ratio = size / before if before else 0.0
            worst = max(worst, ratio)
            if not isfinite(size) or ratio > 1:
                return y, inf
            if size * max(1.0, ratio / (1 - ratio) if ratio < 1 else inf) <= CLOSE:
                return y, worst
            before = size
        return y, inf

    def solved(self, right: Tensor) -> Tensor:
        """x with (1 - hd J) x = right."""
        return torch.linalg.lu_solve(*self.lu, right[..., None])[..., 0]

    def attempt(self, t: float, t1: float) -> tuple[Tensor, Tensor, float, float]:
        """A step: the state and the slope at its end, its error ratio, and Newton's rate (both inf: not converged)."""
        h, y, k = t1 - t, self.y, self.k
        scale = self.problem.atol + self.problem.rtol * y.abs()
        matrix = torch.eye(self.dim, dtype=y.dtype, device=y.device) - h * D * self.jacobian
        self.lu = torch.linalg.lu_factor_ex(matrix)[:2]  # a singular one gives inf, which rejects the step
        known = y + h * D * k
        middle, first = self.stage(t + GAMMA * h, known, h * D, y + GAMMA * h * k, scale)
        if first == inf:
            return y, k, inf, inf
        k2 = (middle - known) / (h * D)  # not f(middle), which magnifies what is left of Newton's error
        known = y + h * W * (k + k2)
        y1, rate = self.stage(t1, known, h * D, known + h * D * k2, scale)
        if rate == inf:
            return y, k, inf, inf
        k3 = (y1 - known) / (h * D)
        error = self.solved(h * (ERROR[0] * k + ERROR[1] * k2 + ERROR[2] * k3))  # damped where stiff
        scale = self.problem.atol + self.problem.rtol * torch.maximum(y.abs(), y1.abs())
        return y1, k3, rms(error / scale), max(first, rate)

    def run(self) -> ImplicitSolution:
        """The states at all output times, each the end of a step."""
        problem, log, out = self.problem, self.problem.log, [self.y]
        for end in self.times[1:]:
            while self.t != end:
                if len(log) == self.limit:
                    raise MaxStepsReached(f"{len(log)} steps attempted and only at t = {self.t:.6g} (h = {self.h:.3g})")
                self.advance(end)
            out.append(self.y)
        accepted, unsolved = sum(step.accepted for step in log), sum(step.error_ratio == inf for step in log)
        stats = ImplicitStats(problem.func.nfe, accepted, len(log) - accepted, self.jacobians, len(log), unsolved)
        states = torch.stack(out).reshape(len(out), *problem.form.shapes[0])
        return ImplicitSolution(problem.t, states, stats, tuple(log))

    def advance(self, end: float) -> None:
        """Attempt a step, not beyond ``end``; and choose the next one, and whether it has a new Jacobian."""
        t, last = self.t, self.h * (1 + 1e-10) >= abs(end - self.t)
        t1 = end if last else t + self.problem.direction * self.h
        if self.jacobian is None:
            self.form(t, self.y)
        y1, k1, ratio, rate = self.attempt(t, t1)
        accepted, size = ratio <= 1, abs(t1 - t)
        self.problem.log.append(Step(t, t1 - t, ratio, accepted))
        if accepted:
            self.h = max(self.h, size) if last else size * step_factor(ratio, 3, True)
            self.t, self.y, self.k, self.fresh = t1, y1, k1, False
            self.jacobian = self.jacobian if rate < SLOW else None
            return
        if rate < inf:
            self.h = size * step_factor(ratio, 3, False)
        elif self.fresh:
            self.h = size / 4
        else:
            self.h, self.jacobian = size, None
        if self.h <= 10 * EPS * abs(t):
            kind = FixedPointFailed if rate == inf else StepSizeUnderflow
            raise kind(f"at t = {t:.6g} a step of {size:.3g} still fails", "check func there: nan, inf, a jump")
