"""Exercise 4.5: a flow that keeps its points apart, and a solver that does not. The check runs the answer."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodelib.workbook.check import MISSING, Exercise, tried
from nodelib.workbook.values import numbers, unfinished

Array = NDArray[Any]
Field = Callable[[float, Array], Any]

STEPS, FINE = 10, 137  # FINE is prime: little can hide between its steps
COLLAPSED, KEPT = 1e-14, 1e-6
REMEMBERS = "called again, f gives something else. A field depends on t and z, and on nothing that it remembers."


class Collapse(Exercise):
    """The answer is a field f(t, z) for points (n, 2): ten Euler steps from 0 to 1 are to take all into one place, and
    the flow none into another's."""

    def judge(self, answer: Any) -> str | None:
        """None for such a field, else what it does."""
        return tried(answer, self._tried)

    def _tried(self, f: Field) -> str | None:
        z = np.random.default_rng(4).normal(size=(40, 2))
        z[:8] *= 12  # far from the middle, where a pull may end
        z[-4:] = z[-6:-4].repeat(2, 0) + np.tile(np.eye(2), (2, 1))  # neighbours along one axis alone
        if unfinished(f(0.0, z.copy())):
            return f"{MISSING}."
        if trouble := no_field(f, z):
            return trouble
        coarse = euler(f, z, STEPS)
        fine, finer = rk4(f, z, FINE), rk4(f, z, 2 * FINE)
        if not (np.isfinite(coarse).all() and np.isfinite(finer).all()):
            return "the states overflow. A field that pulls points together is enough."
        if not np.array_equal(coarse, euler(f, z, STEPS)):
            return REMEMBERS
        kept, left = (distances(finer) / distances(z)).min(), spread(coarse) / spread(z)
        if not kept > KEPT:
            return (
                "the flow itself brings points together by more than a million, so that Euler's method is not to "
                "blame: a weaker pull, or a shorter one, is enough."
            )
        if np.abs(fine - finer).max() > 0.05 * spread(finer):
            return f"{FINE} and {2 * FINE} fine steps do not agree, so that nobody knows the flow. Make f smoother."
        if left < COLLAPSED:
            return None
        if kept > 0.999:
            return f"the flow leaves the points as far apart as before. What pulls them together?{self.advice()}"
        return f"after ten Euler steps {left:.1e} of the distances is left.{self.advice()}"


def no_field(f: Field, z: Array) -> str | None:
    """What keeps f from being a field on the plane, in words."""
    for t in (0.0, 0.37, 1.0):
        values = numbers(f(t, z.copy()))
        if values is None or values.shape != z.shape or np.iscomplexobj(values) or not np.isfinite(values).all():
            return "f(t, z) must give real, finite numbers, as many as z has."
        again, alone = numbers(f(t, z.copy())), numbers(f(t, z[3:4].copy()))
        if again is None or not np.array_equal(again, values):
            return REMEMBERS
        if alone is None or alone.shape != (1, 2) or not np.allclose(alone[0], values[3], rtol=1e-9, atol=1e-12):
            return "alone, a point gets another velocity than among others. A field knows one point at a time."
    return None


def euler(f: Field, z: Array, n: int) -> Array:
    """n steps of Euler's method from 0 to 1."""
    for k in range(n):
        z = z + numbers(f(k / n, z.copy())) / n  # type: ignore[operator]
    return z


def rk4(f: Field, z: Array, n: int) -> Array:
    """n steps of Runge–Kutta 4 from 0 to 1."""

    def slope(t: float, z: Array) -> Array:
        return numbers(f(t, z.copy()))  # type: ignore[return-value]

    h = 1 / n
    for t in np.arange(n) * h:
        k1 = slope(t, z)
        k2 = slope(t + h / 2, z + h / 2 * k1)
        k3 = slope(t + h / 2, z + h / 2 * k2)
        z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(t + h, z + h * k3))
    return z


def spread(z: Array) -> float:
    """The largest distance from the first point."""
    return float(np.linalg.norm(z - z[0], axis=1).max())


def distances(z: Array) -> Array:
    """The distance between any two of the points, each pair once."""
    i, j = np.triu_indices(len(z), 1)
    return np.linalg.norm(z[i] - z[j], axis=-1)


BREAK_IT = Collapse(
    "4.5 Break it", lambda: np.nan,
    hints=(
        "Take one number first, z' = -c z. What does one Euler step of length 1/10 make of z, and for which c of all "
        "z the same?",
        "With c = 10 one step is z - z = 0: every point lands in the origin. The flow multiplies by e^-10, which is "
        "more than a millionth.",
    ),
)  # fmt: skip
