"""What dopri5 makes of a field: whether it was fooled, and if not, why it is no proof that it can be."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nodelib.common.solution import SolverError
from nodelib.numpy_ode import solve

Field = Callable[[Any, Any], Any]

END = 10.0
STEPS = (3989, 6007, 7993)  # primes, so that a spike at one round time is not on their grids alike
NEAR = 1e-4  # so far apart do solutions begin side by side
GROWTH = 10.0  # times which an error may grow
FOOLED = "fooled"


def outcome(field: Field) -> str | None:
    """What becomes of dopri5 at 1e-6 on u' = field(t, u) from u = 0 to t = 10, in a word; None for no value.

    "fooled": it ends more than 0.1 from the truth, although neighbouring solutions stay together, whenever and on
    whichever side they begin. The truth is Runge-Kutta 4 with equal steps, about 8000, give or take how far apart three
    such numbers of steps end. "changing": asked again, in another order, the field gives other values.
    """
    try:
        first = field(0.0, np.zeros(1))
        return None if first is None or first is ... else _outcome(field)
    except Exception:  # whatever a field may raise
        return "raising"


def _outcome(field: Field) -> str:
    steady, attentive = Asked(field, keep=37), Asked(field, keep=1)
    with np.errstate(all="ignore"):
        growth, coarse = follow(steady, STEPS[0], watch=True)
        if not steady.stands():  # before more time is spent on it
            return "changing"
        if not np.isfinite(coarse):
            return "unsettled"
        if growth > GROWTH:
            return "spreading"
        ends = [coarse, *(follow(steady, n)[1] for n in STEPS[1:])]
        word = _word(ends, lambda t, u: np.array([attentive(t, u.item())]))
        return word if steady.stands() and attentive.stands() else "changing"


def _word(ends: list[float], field: Field) -> str:
    spread = max(ends) - min(ends)
    if not np.isfinite(ends).all() or spread > 0.15:
        return "unsettled"
    try:
        seen = solve(field, np.zeros(1), [0.0, END], rtol=1e-6, atol=1e-6, options={"max_num_steps": 5000}).y[-1, 0]
    except SolverError:
        return "noticed"
    return FOOLED if abs(seen - ends[-1]) > 0.1 + spread else "solved"


class Asked:
    """A field as a function of two numbers, which keeps each ``keep``-th question and its answer, to ask it again."""

    def __init__(self, field: Field, keep: int) -> None:
        self.field, self.keep, self.count = field, keep, 0
        self.kept: list[tuple[float, float, float]] = []

    def __call__(self, t: float, u: float) -> float:
        value = self._value(t, u)
        if self.count % self.keep == 0:
            self.kept.append((t, u, value))
        self.count += 1
        return value

    def stands(self) -> bool:
        """Whether the field answers as before, asked in another order."""
        *places, told = np.random.default_rng(0).permutation(np.reshape(self.kept, (-1, 3))).T
        return np.array_equal([self._value(t, u) for t, u in zip(*places, strict=True)], told, equal_nan=True)

    def _value(self, t: float, u: float) -> float:
        value = self.field(t, np.array([u]))
        return float(value) if isinstance(value, float) else float(np.asarray(value, dtype=float).item())


def follow(f: Callable[[float, float], float], n: int, watch: bool = False) -> tuple[float, float]:
    """(by how much an error on the way grows at most, u(10)), by n steps of Runge-Kutta 4; 1 unless ``watch``.

    The growth is that of the distance to neighbours ``NEAR`` away, above or below, from any time to any later one.
    """
    u, h, size, largest = 0.0, END / n, 0.0, 0.0
    for k in range(n):
        t = k * h
        k1 = f(t, u)
        k2 = f(t + h / 2, u + h / 2 * k1)
        k3 = f(t + h / 2, u + h / 2 * k2)
        if watch:  # log of the growth since the time from which it is largest
            apart = max((f(t, u + d) - k1) / d for d in (NEAR, -NEAR))
            size = max(0.0, size + h * apart)
            largest = max(largest, size)
        u += h / 6 * (k1 + 2 * k2 + 2 * k3 + f(t + h, u + h * k3))
    return float(np.exp(largest)), u
