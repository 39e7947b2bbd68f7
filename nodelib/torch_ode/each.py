"""A batch in which each sample has steps of its own: ``options={"per_sample": True}``.

``solve`` takes one step for the whole batch and judges it by the RMS of all entries, so that one stiff sample costs
all of them, or its error is lost in the mean. Here time, step and error ratio are vectors, one entry a sample. A sample
that is done takes steps of length zero until the last one is through: func is evaluated on the whole batch each time,
since it may depend on the row. The rules are those of ``adaptive_steps``: a sample takes the steps that it takes alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib.common.arguments import (
    MAX_NUM_STEPS,
    check_method,
    check_order,
    check_times,
    check_tolerances,
    default_tolerances,
)
from nodelib.common.controller import GROW, SAFETY, SHRINK, TINY
from nodelib.common.solution import (
    MaxStepsReached,
    NonFiniteState,
    Solution,
    Stats,
    Step,
    StepSizeUnderflow,
)
from nodelib.common.tableaus import Tableau
from nodelib.torch_ode.compiling.compiled import left_aside
from nodelib.torch_ode.inputs import as_times, check_state
from nodelib.torch_ode.modes import numbers_of
from nodelib.torch_ode.problem import finite
from nodelib.torch_ode.steps import EPS

DONE, TOO_MANY, UNDERFLOW, NOT_FINITE = 0, 1, 2, 3
WORDS = {
    TOO_MANY: (MaxStepsReached, "took more attempts than option 'max_num_steps' allows: is it stiff?"),
    UNDERFLOW: (StepSizeUnderflow, "came to steps of the rounding of t: stiffness, a jump or a singularity"),
    NOT_FINITE: (NonFiniteState, "became nan or inf: check func there"),
}


@dataclass(frozen=True, repr=False)
class EachSolution(Solution):
    """``Solution``, where each sample has its own steps.

    stats:   nfe, accepted and rejected are integer tensors (batch,): what each sample would have cost alone.
    status:  (batch,): 0 where a sample came to t[-1], 1 to 3 where it did not; its states are nan from there on.
    calls:   evaluations of func, each on the whole batch.
    steps:   empty; ``steps_of(i)`` gives those of sample i.
    """

    status: Tensor = field(default_factory=lambda: torch.zeros(0))
    calls: int = 0
    log: tuple[np.ndarray, ...] = ()

    def steps_of(self, sample: int) -> tuple[Step, ...]:
        """Every attempted step of one sample, in order."""
        t, h, ratio, accepted, active = (part[:, sample] for part in self.log)
        rows = zip(t[active], h[active], ratio[active], accepted[active], strict=True)
        return tuple(Step(float(a), float(b), float(c), bool(d)) for a, b, c, d in rows)

    def check(self) -> "EachSolution":
        """The solution itself; raises MaxStepsReached, StepSizeUnderflow or NonFiniteState where a sample failed."""
        failed = self.status.nonzero()[:, 0].tolist()
        if failed:
            kind, words = WORDS[int(self.status[failed[0]])]
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            raise kind(f"sample {failed[0]}{more} {words}. solve(…) gives the others, with .status")
        return self

    def __repr__(self) -> str:
        return f"EachSolution of {len(self.status)} samples, {int((self.status > 0).sum())} failed, {self.calls} calls"


def solve_each(
    func: Callable[[Tensor, Tensor], Tensor], y0: Tensor, t: Any, method: str, rtol: Any, atol: Any, options: Any
) -> EachSolution:
    """Solve y' = func(t, y) for each row of y0, (batch, …), from t[0] to t[-1], with steps of its own.

    func:        (t: (batch, 1, …), as many axes as y, y: (batch, …)) -> like y; row i of it may depend on row i alone.
    rtol, atol:  floats; the error ratio of a row is the RMS of its entries.
    options:     first_step, max_num_steps (of each sample).

    Differentiable by autograd through the steps, in y0 and parameters; not in t. Raises as ``solve``; a sample that
    fails while solving is told in the solution's ``status``, and the others go on.
    """
    options = left_aside(func, options, "each sample has steps of its own")
    options = {key: value for key, value in options.items() if key != "per_sample"}
    chosen, options = check_method(method, options, {})
    if chosen.kind != "rk" or not chosen.adaptive or options.get("controller", "I") != "I":
        raise ValueError('option "per_sample" needs an adaptive Runge-Kutta pair, as dopri5, with the I controller')
    check_order(func)
    check_state(y0)
    if not isinstance(y0, Tensor) or y0.ndim == 0 or y0.dtype.is_complex:
        raise ValueError('option "per_sample" needs a real tensor y0 whose first axis is that of the samples')
    if not finite(y0):
        raise ValueError("y0 contains nan or inf: the solution needs a finite start")
    if isinstance(t, Tensor) and t.requires_grad:
        raise ValueError('option "per_sample" gives no gradient in t: pass t.detach()')
    t = as_times(t)
    times = numbers_of(t)
    check_times(times, t.ndim)
    info = torch.finfo(y0.dtype)
    rtol, atol = (d if tol is None else tol for tol, d in zip((rtol, atol), default_tolerances(info.eps), strict=True))
    if not (isinstance(rtol, float | int) and isinstance(atol, float | int)):
        raise ValueError('with option "per_sample" rtol and atol are numbers, the same for all entries')
    check_tolerances({"rtol": rtol, "atol": atol}, info.eps, str(y0.dtype))
    return _Each(func, y0, np.array(times), chosen.tableau, chosen.order, rtol, atol, options).run(t)  # type: ignore[arg-type]


class _Each:
    """The state of such a solve: t, h and the like are (batch,) in double precision, y is (batch, n)."""

    def __init__(
        self,
        func: Any,
        y0: Tensor,
        times: np.ndarray,
        tableau: Tableau,
        order: int,
        rtol: float,
        atol: float,
        options: Any,
    ):
        self.func, self.shape, self.times, self.tableau, self.order = func, y0.shape, times, tableau, order
        self.rtol, self.atol, self.limit = rtol, atol, options.get("max_num_steps", MAX_NUM_STEPS)
        self.y, self.batch, self.calls = y0.reshape(len(y0), -1), len(y0), 0
        self.sign = 1.0 if times[-1] > times[0] else -1.0
        self.given = options.get("first_step")
        self.a = [[float(x) for x in row] for row in tableau.a]
        self.b, self.b_err, self.c = ([float(x) for x in w or ()] for w in (tableau.b, tableau.b_err, tableau.c))
        self.dense = torch.tensor(np.array(tableau.dense, float), dtype=torch.float64, device=y0.device)  # (s, m)

    def f(self, t: Tensor, y: Tensor) -> Tensor:
        """func on the whole batch, at a time for each sample."""
        self.calls += 1
        column = t.to(y.dtype).reshape(-1, *[1] * (len(self.shape) - 1))
        found = self.func(column, y.reshape(self.shape))
        if not isinstance(found, Tensor) or found.shape != self.shape or found.dtype != y.dtype:
            raise ValueError(
                f"func must return a tensor like y, {tuple(self.shape)} of {y.dtype}; t is {tuple(column.shape)} here, "
                "a time for each sample"
            )
        return found.reshape(self.batch, -1)

    def norm(self, x: Tensor) -> Tensor:
        """The RMS of each row, in double precision."""
        return torch.linalg.vector_norm(x.detach(), dim=1).double() / max(x.shape[1], 1) ** 0.5

    @torch.no_grad()
    def first(self, f0: Tensor) -> Tensor:
        """The first steps' sizes, as ``select_first_step`` chooses them."""
        if self.given:
            return torch.full((self.batch,), self.given, dtype=torch.float64, device=self.y.device)
        scale = self.atol + self.rtol * self.y.abs()
        d0, d1 = self.norm(self.y / scale), self.norm(f0 / scale)
        span = abs(self.times[-1] - self.times[0])
        small = (d0 < 1e-5) | (d1 < 1e-5)
        h0 = torch.where(small, 1e-6, (0.01 * d0 / d1.clamp_min(TINY)).clamp_min(TINY)).clamp_max(span)
        trial = torch.where(h0 < span, self.times[0] + self.sign * h0, self.times[-1])
        f1 = self.f(trial, self.y + (self.sign * h0)[:, None].to(self.y.dtype) * f0)
        d2 = self.norm((f1 - f0) / scale) / h0
        most = torch.maximum(d1, d2)
        usual = torch.minimum(100 * h0, (0.01 / most.clamp_min(TINY)) ** (1 / self.order))
        return torch.where(most <= 1e-15, (h0 * 1e-3).clamp_min(1e-6), usual)

    def run(self, t: Tensor) -> EachSolution:
        """All steps of all samples."""
        device, end = self.y.device, float(self.times[-1])
        now = torch.full((self.batch,), self.times[0], dtype=torch.float64, device=device)
        out: list[Any] = [self.y, *[None] * (len(self.times) - 1)]  # filled as samples pass the times
        status = torch.zeros(self.batch, dtype=torch.long, device=device)
        attempts, accepts = status.clone(), status.clone()
        log: list[list[Tensor]] = []
        if len(self.times) == 1:
            return self.solution(t, out, status, attempts, accepts, log)
        k0 = self.f(now, self.y)
        if not finite(k0):
            raise NonFiniteState(f"func returns nan or inf at its first evaluation, t = {self.times[0]:.6g}")
        h = torch.maximum(self.first(k0), 10 * EPS * now.abs()) * self.sign
        active = torch.ones(self.batch, dtype=torch.bool, device=device)
        while bool(active.any()):
            clipped = (end - now).abs() <= h.abs() * (1 + 1e-10)
            t1 = torch.where(active, torch.where(clipped, end, now + h), now)
            step = t1 - now
            y1, k = self.step(now, t1, step, k0)
            with torch.no_grad():
                error = sum(w * x for w, x in zip(self.b_err, k, strict=True) if w)
                scale = self.atol + self.rtol * torch.maximum(self.y.abs(), y1.abs())
                ratio = step.abs() * self.norm(error / scale)  # type: ignore[operator]
                accepted = active & (ratio <= 1)
                attempts += active
                accepts += accepted
                log.append([now, step, ratio, accepted, active])
                factor = (SAFETY * ratio.clamp_min(TINY) ** (-1 / self.order)).clamp(SHRINK, GROW)
                factor = torch.where(ratio < torch.inf, factor, SHRINK)
                new = step * factor
                low = active & ~accepted & (new.abs() <= 10 * EPS * now.abs())
                last = accepted & clipped
                many = active & ~last & (attempts >= self.limit)
            self.fill(out, now, t1, step, k, accepted)
            status = torch.where(many, TOO_MANY, torch.where(low, self.why(k), status))
            self.y = torch.where(accepted[:, None], y1, self.y)
            k0 = torch.where(accepted[:, None], k[-1] if self.tableau.fsal else self.f(t1, self.y), k0)
            now, h = torch.where(accepted, t1, now), torch.where(active, new, h)
            active = active & ~last & (status == 0)
        return self.solution(t, out, status, attempts, accepts, log)

    def step(self, now: Tensor, t1: Tensor, step: Tensor, k0: Tensor) -> tuple[Tensor, list[Tensor]]:
        """One Runge-Kutta step of each sample, and its slopes. HNW II.1."""
        k, h = [k0], step[:, None].to(self.y.dtype)
        y = self.y
        for row, c in zip(self.a[1:], self.c[1:], strict=True):
            y = self.y + h * sum(w * x for w, x in zip(row, k, strict=True) if w)
            k.append(self.f(t1 if c == 1 else now + c * step, y))
        return y if self.tableau.fsal else self.y + h * sum(w * x for w, x in zip(self.b, k, strict=True) if w), k

    def why(self, k: list[Tensor]) -> Tensor:
        """What an underflow of each sample is called."""
        bad = ~torch.stack([x.detach().isfinite().all(1) for x in k]).all(0)
        return torch.where(bad, NOT_FINITE, UNDERFLOW)

    def fill(self, out: list[Any], now: Tensor, t1: Tensor, step: Tensor, k: list[Tensor], accepted: Tensor) -> None:
        """Put the states of accepted steps at output times in (now, t1] in their places."""
        times, low, high = self.sign * self.times, self.sign * now, self.sign * t1
        first, final = (float(x) for x in (low[accepted].min(), high[accepted].max())) if accepted.any() else (1.0, 0.0)
        for j in np.flatnonzero((times > first) & (times <= final)):
            here = accepted & (low < times[j]) & (high >= times[j])
            if bool(here.any()):
                theta = ((self.times[j] - now) / torch.where(here, step, 1.0)).clamp(0, 1)
                powers = theta[:, None] ** torch.arange(1, self.dense.shape[1] + 1, device=theta.device)
                weights = (step[:, None] * (powers @ self.dense.T)).to(self.y.dtype)  # (batch, s)
                y = self.y + sum(weights[:, i, None] * x for i, x in enumerate(k))
                nothing = torch.full_like(self.y, torch.nan) if out[j] is None else out[j]
                out[j] = torch.where(here[:, None], y, nothing)

    def solution(
        self, t: Tensor, out: list[Any], status: Tensor, attempts: Tensor, accepts: Tensor, log: list[list[Tensor]]
    ) -> EachSolution:
        """What was found, with its accounts."""
        nothing = torch.full_like(self.y, torch.nan)
        y = torch.stack([nothing if part is None else part for part in out]).reshape(len(out), *self.shape)
        alone = attempts * (len(self.b) - 1)
        if log:
            alone = alone + (1 if self.given else 2)
        if log and not self.tableau.fsal:  # a slope more at the start of each further step
            alone = alone + accepts - (status == 0).long()
        parts = tuple(np.stack([row[i].cpu().numpy() for row in log]) for i in range(5)) if log else ()
        counts: Any = (alone, accepts, attempts - accepts)
        return EachSolution(t, y, Stats(*counts), (), None, status, self.calls, parts)


def per_sample(options: Any) -> bool:
    """Do the options ask for steps of each sample's own? Raises TypeError where that is no truth value."""
    asked = options.get("per_sample", False) if isinstance(options, Mapping) else False
    if not isinstance(asked, bool):
        raise TypeError(f"option 'per_sample' must be True or False, got {asked!r}")
    return asked


def refuse_each(options: Any, name: str) -> None:
    """Raise where a solve has one step for all samples."""
    if per_sample(options):
        raise ValueError(f"{name} takes one step for the whole batch: option 'per_sample' is for odeint and solve")
