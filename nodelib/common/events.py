"""Events: where along a solution a function g(t, y) changes its sign, on plain floats. Both twins stand on this.

The solver steps on without an end. Each step is looked at in a few places of its dense output; between two of them that
differ in sign, the zero is enclosed by ITP: bisection's guarantee at nearly the speed of the secant method (Oliveira &
Takahashi, ACM Trans. Math. Softw. 47 (2020) 5).
"""

from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from math import ceil, copysign, inf, log2
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodelib.common.arguments import MAX_NUM_STEPS, check_method
from nodelib.common.solution import MaxStepsReached, NonFiniteState, SolverError

EPS = float(np.finfo(np.float64).eps)
LOOKS = (0.25, 0.5, 0.75, 1.0)  # where in a step, as fractions of it, the signs are read
Values = Callable[[Any, list[float]], NDArray[np.float64]]  # (segment, times in it) -> g there, (len(times), entries)


class TangentEvent(SolverError):
    """The path touches the event surface instead of crossing it, so that the event's time has no derivative."""


class Crossing(NamedTuple):
    """Where an event is: its time, the step it falls into, and which entry of g changes sign there.

    ``steepness`` is the mean slope of that entry between the two looks around the event.
    """

    t: float
    segment: Any
    entry: int
    steepness: float

    @property
    def times(self) -> list[float]:
        """The event and the end of its step: a solver that stops at both takes the steps of the search again."""
        return [self.t] if self.t == self.segment.t1 else [self.t, self.segment.t1]

    def check_slope(self, rate: float, eps: float) -> None:
        """Raise TangentEvent if dg/dt along the path is zero as far as this precision can tell."""
        if not abs(rate) > eps**0.5 * abs(self.steepness):
            raise TangentEvent(
                f"event_fn has slope dg/dt = {rate:.2g} along the path at the event, t = {self.t:.6g}, against "
                f"{abs(self.steepness):.2g} around it: the path is tangent to the event surface, so that the event's "
                "time has no gradient. Take it without one, or another event_fn"
            )


def settings_of_second_solve(settings: dict[str, Any], solver: Callable[..., Any], first: float) -> dict[str, Any]:
    """The settings with which ``solver`` takes the steps of the search again: for an adaptive method the first one.

    Not for the adjoint, whose way back would take it over; its gradient is not that of these steps anyway.
    """
    options = settings.get("options") or {}
    if (
        not check_method(settings.get("method"), None, {})[0].adaptive
        or "adjoint_options" in signature(solver).parameters
    ):
        return settings
    return {**settings, "options": {"first_step": abs(first), **options}}


def event_settings(settings: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """The solver's settings, checked as far as events ask for more, and the largest number of fixed steps.

    ``max_num_steps`` is an option of adaptive methods; here fixed steps obey it as well, since nothing else ends them.
    """
    method, options = check_method(settings.get("method"), None, {})[0], settings.get("options")
    if method.kind == "scipy" or settings.get("method") == "scipy_solver":
        raise TypeError(f'{method.name} takes no event_fn, as SciPy needs an end time: use method="dopri5" or "tsit5"')
    if method.adaptive or not isinstance(options, Mapping | None):
        return settings, inf
    options = dict(options or {})
    if options.get("step_size") is None:
        raise ValueError(
            f'{method.name} needs options={{"step_size": …}} with event_fn: without an end t gives no grid'
        )
    limit = check_method("dopri5", {"max_num_steps": options.pop("max_num_steps", None)}, {})[1]
    return {**settings, "options": options}, limit.get("max_num_steps", MAX_NUM_STEPS)


def first_crossing(
    segments: Iterable[Any], values: Values, leaving: Callable[[Any], float], t0: float, limit: float
) -> Crossing:
    """The first place where an entry of g reaches zero or changes its sign.

    ``leaving`` gives how far into its first step, a fraction of it below the first look, the path has left its start:
    the sign there is the one that must change. An entry that is zero there gets its sign at the first look that finds
    it not zero.
    Raises MaxStepsReached after ``limit`` steps, or those that the solver allows; NonFiniteState when g is nan or inf.
    """
    t, taken, signs, before = t0, 0, np.zeros(0), np.zeros(0)
    try:
        for segment in segments:
            a = 0.0 if taken else leaving(segment)
            if taken == 0:
                before = values(segment, [at(segment, a)])[0]
                signs = np.sign(check_finite(before, t0))
            for b, g in zip(LOOKS, values(segment, [at(segment, b) for b in LOOKS]), strict=True):
                if margin(signs, check_finite(g, at(segment, b))) <= 0:
                    return crossing(segment, values, signs, (a, b), (before, g))
                signs, a, before = np.where(signs == 0, np.sign(g), signs), b, g
            t, taken = segment.t1, taken + 1
            if taken >= limit:
                break
    except MaxStepsReached as error:
        raise not_reached(t0, t, taken) from error
    raise not_reached(t0, t, taken)


def at(segment: Any, theta: float) -> float:
    """The time at this fraction of a step."""
    return segment.t1 if theta == 1 else segment.t + theta * segment.h


def rtol_in_time(rtol: float, t: float, h: float) -> float:
    """The part rtol of a step h from t, and at least what moves t by more than round-off, as a fraction of the step."""
    return max(rtol, 100 * EPS * max(1.0, abs(t / h)))


def margin(signs: NDArray[np.float64], g: NDArray[np.float64]) -> float:
    """How far the entry of g that is nearest to an event is from it; inf where none has a sign to lose."""
    return float(np.where(signs == 0, inf, signs * g).min())


def crossing(segment: Any, values: Values, signs: Any, between: tuple[float, float], around: tuple) -> Crossing:
    """The crossing between two looks (fractions of the step), where g is as in ``around``."""

    def g(theta: float) -> NDArray[np.float64]:
        return values(segment, [at(segment, theta)])[0]

    a, b = between
    m = [margin(signs, g) for g in around]
    found = enclose(lambda theta: margin(signs, g(theta)), a, b, m[0], m[1])
    entry = int(np.where(signs == 0, inf, signs * (around[1] if found == b else g(found))).argmin())
    steepness = (around[1][entry] - around[0][entry]) / ((b - a) * segment.h)
    return Crossing(at(segment, found), segment, entry, float(steepness))


def enclose(g: Callable[[float], float], a: float, b: float, ga: float, gb: float, tol: float = 4 * EPS) -> float:
    """A point at which g ≤ 0, within 2 tol after one at which g > 0; given g(a) = ga > 0 ≥ gb = g(b). ITP."""
    most = max(0, ceil(log2((b - a) / (2 * tol)))) + 1  # one more than bisection needs
    slack = 0.2 / (b - a)
    for j in range(most + 1):
        if b - a <= 2 * tol:
            break
        middle, radius = (a + b) / 2, tol * 2.0 ** (most - j) - (b - a) / 2
        secant = (gb * a - ga * b) / (gb - ga)  # interpolate,
        side = copysign(1.0, middle - secant)
        shift = max(slack * (b - a) ** 2, tol)  # never so short that x stays where it was
        x = secant + side * shift if shift <= abs(middle - secant) else middle  # truncate,
        x = x if abs(x - middle) <= radius else middle - side * max(radius, 0.0)  # and project
        gx = g(x)
        a, b, ga, gb = (x, b, gx, gb) if gx > 0 else (a, x, ga, gx)
    return b


def check_finite(g: NDArray[np.float64], t: float) -> NDArray[np.float64]:
    """g; raises NonFiniteState unless every entry is finite."""
    if not np.isfinite(g).all():
        raise NonFiniteState(
            f"event_fn returns nan or inf at t = {t:.6g}: check it for logarithms, roots and divisions, and whether "
            "the state is still finite there"
        )
    return g


def not_reached(t0: float, t: float, taken: int) -> MaxStepsReached:
    """The error to raise when the steps end before an event is found."""
    return MaxStepsReached(
        f"the event was not reached by t = {t:.6g}: event_fn kept its sign over {taken} steps from t = {t0:.6g}. Does "
        "the solution go there, and in this direction of time (reverse_time)? If it does, later, raise "
        'options={"max_num_steps": …}'
    )


def check_form(shape: tuple[int, ...], dtype: str, real: bool) -> None:
    """Raise unless what event_fn returned are real floating-point numbers, one or more."""
    if not real:
        raise TypeError(
            f"event_fn must return real floating-point numbers, got {dtype}: a quantity whose sign changes at the "
            "event, for instance y[0] - 1 and not y[0] > 1"
        )
    if 0 in shape:
        raise ValueError(f"event_fn returns nothing, shape {shape}: there is no sign to watch")
