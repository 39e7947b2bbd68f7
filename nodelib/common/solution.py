"""What a solve returns, and the errors it raises when it cannot go on. Both twins stand on this."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple


class Step(NamedTuple):
    """One attempted step: from time t, of signed size h; its error ratio (nan for fixed steps); was it accepted."""

    t: float
    h: float
    error_ratio: float
    accepted: bool


class Stats(NamedTuple):
    """nfe: evaluations of func, exactly; accepted, rejected: attempted steps (None where SciPy does not tell)."""

    nfe: int
    accepted: int | None
    rejected: int | None


@dataclass(frozen=True)
class Solution:
    """The solution of an initial value problem.

    t:     the output times, as they were passed in.
    y:     the states at these times, shape (len(t), *y0.shape); a tuple of such for a tuple state.
    stats: ``Stats``: nfe, accepted, rejected.
    steps: every attempted step in order, as ``Step(t, h, error_ratio, accepted)``.

    Solved with ``dense=True``, ``sol(s)`` is the state at any time s (float) within the interval.
    """

    t: Any
    y: Any
    stats: Stats
    steps: tuple[Step, ...]
    interpolant: Callable[[float], Any] | None = field(default=None, repr=False)

    def __call__(self, s: float) -> Any:
        if self.interpolant is None:
            raise ValueError("this solution has no dense output: solve again with dense=True, or add the time to t")
        first, last = sorted((float(self.t[0]), float(self.t[-1])))
        if not first <= s <= last:
            raise ValueError(f"s = {s} lies outside the solved interval [{first}, {last}]: solve over a longer t")
        return self.interpolant(float(s))


class SolverError(RuntimeError):
    """A solve that cannot go on; the message says where it stands, what it looks like, and what to try."""


class StepSizeUnderflow(SolverError):
    """The step has become too small to move t. (torchdiffeq's "underflow in dt".)"""


class MaxStepsReached(SolverError):
    """More steps were attempted than ``max_num_steps`` allows."""


class NonFiniteState(SolverError):
    """func returned inf or nan, or the state became so."""


class FixedPointFailed(SolverError):
    """The nonlinear equation of an implicit step was not solved within ``max_iters`` iterations."""


@dataclass(frozen=True)
class Symptoms:
    """What a few evaluations of func say about why a solve cannot go on. Made by ``examine``.

    stiffness: |h λ|, λ the largest eigenvalue of ∂f/∂y;  growth: |h| ‖f‖ / ‖y‖;  noise, jump: relative change of f when
    it is evaluated again at the same place, or at t + h. The thresholds below are rules of thumb.
    """

    step: Step
    stiffness: float
    growth: float
    noise: float
    jump: float

    def cause(self) -> str:
        """Name the likeliest cause, and what to do."""
        if not isfinite(self.growth + self.jump):
            return "func returns nan or inf here: check it for logarithms, roots, divisions and overflow"
        if self.noise > 0:
            return "func returns something else each time (Dropout, fresh random numbers): make it deterministic"
        if self.growth > 0.05 * self.stiffness and self.growth > 1e-3:
            return "the solution blows up, or changes very fast, here: end t before it, or check sign and scale of func"
        if self.stiffness > 0.3:
            return (
                f"the problem looks stiff, |hλ| is about {self.stiffness:.2g}: stability, not accuracy, limits the "
                'step. Try method="scipy:Radau" or "scipy:LSODA"'
            )
        if self.jump > 0.1:
            return "func jumps in t here: split t at the jump"
        return "nothing looks wrong with func here: the tolerance is tight or the interval long; loosen rtol and atol"

    def underflow(self) -> SolverError:
        """The error to raise when the step cannot move t any more."""
        t, h, ratio, _ = self.step
        if not isfinite(ratio):
            return NonFiniteState(
                f"func returns nan or inf near t = {t:.6g}, however small the step: "
                "check it there (a logarithm or root of a negative number, a division by zero, an overflow)"
            )
        return StepSizeUnderflow(
            f"underflow in the step size at t = {t:.6g}: a step of {h:.3g} still has an error of {ratio:.3g} times the "
            f"tolerance; {self.cause()}"
        )

    def too_many(self, limit: int) -> MaxStepsReached:
        """The error to raise when ``limit`` steps were attempted and the end was not reached."""
        return MaxStepsReached(
            f"{limit} steps attempted and only at t = {self.step.t:.6g} (h = {self.step.h:.3g}): {self.cause()}, "
            'or raise options={"max_num_steps": …}'
        )


def examine(func: Callable[[float, Any], Any], norm: Callable[[Any], float], step: Step, y: Any) -> Symptoms:
    """Evaluate func a dozen times around (t, y) to see why the step fails; for arrays and tensors alike.

    λ is estimated by power iteration on differences of f.
    """
    t, h = step.t, step.h
    f, size = 1.0 * func(t, y), norm(y) or 1.0  # a copy: func may return the same array every time
    slope = norm(f)
    v, eigenvalue = f, 0.0
    for _ in range(10):
        length = norm(v)
        if not isfinite(length) or length == 0:
            break
        nudge = 1e-4 * size / length
        w = func(t, y + nudge * v) - f
        eigenvalue, v = norm(w) / (nudge * length), w
    noise, jump = norm(func(t, y) - f), norm(func(t + h, y) - f)
    relative = slope or 1.0
    return Symptoms(step, abs(h) * eigenvalue, abs(h) * slope / size, noise / relative, jump / relative)
