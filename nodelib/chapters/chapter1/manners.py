"""How an answer finds what is right: what an exercise asks to be built is not called, and Newton's is Newton's."""

import traceback
from collections.abc import Callable, Sequence
from typing import Any

from nodelib.workbook.check import Exercise, quiet, words

Manner = Callable[[Callable[..., Any], tuple], str | None]

SOLVERS = ("nodelib.numpy_ode", "nodelib.torch_ode", "nodelib.one_page", "scipy", "torchdiffeq")
ROUNDS = 15  # in which Newton's method has arrived, on the inputs of Exercise 1.5
ARRIVED = 1e-6


class Watched(Exercise):
    """An exercise whose right answers are watched at work: ``manner(answer, case)`` says what is wrong with how."""

    def __init__(self, *about: Any, manner: Manner, **more: Any) -> None:
        super().__init__(*about, **more)
        self.manner = manner

    def judge(self, answer: Any) -> str | None:
        """None for an answer that is right and found as asked, else what is wrong with it, in words."""
        return super().judge(answer) or self._manner(answer, self.arguments())

    def _manner(self, answer: Callable[..., Any], cases: Sequence[tuple]) -> str | None:
        try:
            with quiet():
                found = [self.manner(answer, case) for case in cases]
        except Exception as error:  # an answer that is right once and fails the next time
            return f"called again, it raises {words(error)}."
        return next((sentence for sentence in found if sentence), None)


def built(answer: Callable[..., Any], case: tuple) -> str | None:
    """Whether f, the first argument, is called by what the reader wrote, and not by a library's solver."""
    f, *others = case
    callers: set[str] = set()

    def watched(t: Any, z: Any) -> Any:
        callers.update(frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_stack(None))
        return f(t, z)

    answer(watched, *others)
    if any(caller.startswith(SOLVERS) for caller in callers):
        return "the states are right, but a library took the steps. Build it: call f yourself, once in each step."
    return None


def by_newton(answer: Callable[..., Any], case: tuple) -> str | None:
    """Whether the equation of an implicit step was solved by Newton's method: with dfdu, at t + h, and as fast."""
    f, dfdu, t, u, h = case
    places: list[float] = []
    slopes: list[float] = []
    times: list[float] = []

    def watched(s: Any, x: Any) -> Any:
        if abs(s - t) > abs(h) / 2:
            places.append(float(x))
        return f(s, x)

    def watched_derivative(s: Any, x: Any) -> Any:
        times.append(float(s))
        slopes.append(float(x))
        return dfdu(s, x)

    found = float(answer(watched, watched_derivative, t, u, h))
    if not times:
        return "the value is right, but dfdu was never asked. Newton's method divides g by g', which is made of it."
    if any(abs(s - t - h) > 1e-9 for s in times):
        return "the value is right, but dfdu is asked at another time than t + h, which is where x belongs."
    if abs(slopes[0] - u) > ARRIVED * abs(u):
        return "the value is right, but dfdu is first asked elsewhere than at u, where Newton's method begins here."

    def away_from_the_end(asked: list[float]) -> set[float]:
        return {x for x in asked if abs(x - found) > ARRIVED * max(1.0, abs(found))}

    away = away_from_the_end(places)
    if len(away) > len(away_from_the_end(slopes)) + 1:
        return (
            "the value is right, but f is asked at more places than dfdu. Newton's method asks both at each guess; "
            "other ways to find the root are not asked."
        )
    if len(away) > ROUNDS:
        return (
            f"it arrives, but looks at {len(away)} places on the way. Newton's method doubles its digits and needs no "
            f"more than {ROUNDS} here: is g' the derivative of g, with the factor h/2?"
        )
    return None
