"""What a solve returns, and the errors it raises when it cannot go on. Both twins stand on this."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

import numpy as np


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

    Solved with ``dense=True``, ``sol(s)`` is the state at any time s within the interval; for a sequence of times, in
    any order, the states, shape (len(s), *y0.shape).
    """

    t: Any
    y: Any
    stats: Stats
    steps: tuple[Step, ...]
    interpolant: Callable[[Any], Any] | None = field(default=None, repr=False)

    def __call__(self, s: Any) -> Any:
        if self.interpolant is None:
            raise ValueError(
                "this solution has no dense output: solve again with dense=True over two or more times, or add the "
                "time to t"
            )
        given = np.asarray(s.detach().cpu() if hasattr(s, "detach") else s)
        if given.ndim > 1:
            raise ValueError(f"s must be one time or a flat sequence of times, got shape {given.shape}")
        first, last = sorted((float(self.t[0]), float(self.t[-1])))
        near = float(np.spacing(np.float32(max(-first, last)))) if given.dtype == np.float32 else 0.0  # rounded ends
        times = given.astype(float)
        times = np.where(np.abs(times - np.clip(times, first, last)) <= near, np.clip(times, first, last), times)
        if times.size == 0:
            raise ValueError("s is empty: give a time, or a sequence of times")
        outside = times[~((first <= times) & (times <= last))]
        if outside.size:
            raise ValueError(
                f"s = {outside.flat[0]} lies outside the solved interval [{first}, {last}]: solve over a longer t"
            )
        return self.interpolant(times)

    def __repr__(self) -> str:
        states = self.y if isinstance(self.y, tuple) else (self.y,)
        shapes = ", ".join(str(tuple(y.shape)) for y in states)
        dense = "" if self.interpolant is None else ", with dense output"
        span = f"{len(self.t)} times from {float(self.t[0]):.6g} to {float(self.t[-1]):.6g}"
        return f"Solution at {span}: y of shape {shapes}, {self.stats}, {len(self.steps)} steps{dense}"


class SolverError(RuntimeError):
    """A solve that cannot go on: ``what`` says where it stands, ``advice`` what it looks like and what to try."""

    joint = "; "

    def __init__(self, what: str, advice: str = ""):
        super().__init__(self.joint.join([what, advice]) if advice else what)
        self.what, self.advice = what, advice


class StepSizeUnderflow(SolverError):
    """The step has come down to the rounding of t. (torchdiffeq's "underflow in dt".)"""


class MaxStepsReached(SolverError):
    """More steps were attempted than ``max_num_steps`` allows."""

    joint = ": "


class NonFiniteState(SolverError):
    """func returned inf or nan, or the state became so."""


class FixedPointFailed(SolverError):
    """The nonlinear equation of an implicit step was not solved within ``max_iters`` iterations."""


class ReconstructionFailed(SolverError):
    """On the way back of a reversible solve y0 did not come back: rounding was magnified too much."""


class GraphNeeded(Exception):
    """func's first evaluation needed no gradient and a later one does: the solve begins again, with a graph."""


class AnotherFunction(RuntimeError):
    """On the way back func is not the function that it was on the way there."""


def on_the_way_back(error: SolverError, t: float, t1: float) -> SolverError:
    """The error of a backward solve, saying that it is one: there may be nothing to mend in the problem itself."""
    return type(error)(
        f"on the way back (the adjoint's own solve, from t = {t:.6g} to {t1:.6g}): {error.what}",
        "the way there was solved; z' = f run backwards may be unstable all the same. Use odeint_checkpoint or odeint, "
        "whose gradients need no such solve, or ask for more output times, at each of which z starts anew",
    )


def changed(what: str) -> AnotherFunction:
    """The error for a func of which ``what`` is not as it was on the way there."""
    return AnotherFunction(
        f"func is another function on the way back than it was on the way there: {what}. It is evaluated again on the "
        "way back: leave its weights and attributes as they are until then, and draw no random numbers in it; or use "
        "odeint, whose graph keeps what each evaluation used"
    )


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
        """The error to raise when the step has come down to the rounding of t."""
        t, h, ratio, _ = self.step
        if not isfinite(ratio):
            return NonFiniteState(
                f"func returns nan or inf near t = {t:.6g}, however small the step",
                "check it there (a logarithm or root of a negative number, a division by zero, an overflow)",
            )
        return StepSizeUnderflow(
            f"underflow in the step size at t = {t:.6g}: a step of {h:.3g} still has an error of {ratio:.3g} times the "
            "tolerance",
            self.cause(),
        )

    def too_many(self, limit: int) -> MaxStepsReached:
        """The error to raise when ``limit`` steps were attempted and the end was not reached."""
        return MaxStepsReached(
            f"{limit} steps attempted and only at t = {self.step.t:.6g} (h = {self.step.h:.3g})",
            f'{self.cause()}, or raise options={{"max_num_steps": …}}',
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
