"""Exercise 6.8 of chapter 6: a step of leapfrog, judged by what it keeps."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nodelib.workbook.check import MISSING, Exercise, tried
from nodelib.workbook.values import numbers, unfinished

Array = Any
Field = Callable[[float, Array], Array]


STEPS, H, KEEPS, BACK = 4000, 0.1, 0.02, 1e-9


def leapfrog(force: Callable[[Array], Array], q: Array, p: Array, h: float) -> tuple[Array, Array]:
    p = p + h / 2 * force(q)
    q = q + h * p
    return q, p + h / 2 * force(q)


class Runs(Exercise):
    """The answer is a step (force, q, p, h) -> (q, p) for q' = p, p' = force(q), judged by taking it: it must be of
    second order, come back with -h, and keep the energy over ``STEPS`` steps."""

    def judge(self, answer: Any) -> str | None:
        """None for such a step, else what fails first, in words."""
        return tried(answer, self._run)

    def _run(self, step: Any) -> str | None:
        rng = np.random.default_rng(68)
        q0, p0 = rng.uniform(-1, 1, 2), rng.uniform(-0.5, 0.5, 2)
        evaluations = 0

        def force(q: Any) -> Any:
            nonlocal evaluations
            evaluations += 1
            return -np.sin(np.asarray(q)) - 0.2 * np.asarray(q) ** 3

        def taken(q: Any, p: Any, h: float, steps: int) -> tuple[Any, Any] | str:
            for _ in range(steps):
                pair = step(force, q, p, h)
                if unfinished(pair):
                    return f"{MISSING}."
                rows = np.ndim(pair) == 2 and not isinstance(pair, tuple | list)  # an array (2, n) is a pair, too
                if not (isinstance(pair, tuple | list) or rows) or len(pair) != 2:
                    return "a step gives a pair, (q, p)."
                q, p = (numbers(x) for x in pair)
                if any(x is None or np.shape(x) != np.shape(q0) for x in (q, p)):
                    return "q and p must stay arrays of numbers, with the shape that they begin with."
                if not (np.isfinite(q).all() and np.isfinite(p).all()):
                    return "q or p becomes nan or inf."
            return q, p

        exact = _exact(q0, p0, 1.0)
        errors = []
        for n in (20, 40):
            found = taken(q0.copy(), p0.copy(), 1.0 / n, n)
            if isinstance(found, str):
                return found
            errors.append(max(np.abs(a - b).max() for a, b in zip(found, exact, strict=True)))
        if errors[0] > 0.3:
            off = f"after a time of 1 it is {errors[0]:.2g} off"
            return f"{off}: that is no step for q' = p, p' = force(q).{self.advice()}"
        if errors[0] < 1.5 * errors[1]:
            return f"with shorter steps it does not converge: that is no step for q' = p, p' = force(q).{self.advice()}"
        if errors[0] < 3 * errors[1]:
            return (
                f"with steps of half the length the error falls {errors[0] / errors[1]:.1f} times: order 1. Two halves "
                "of the kick, with the drift between them, give order 2."
            )
        if evaluations > 2 * 60:  # 20 steps, and 40
            return f"it takes {evaluations / 60:.1f} evaluations of force a step. Leapfrog needs two at most."
        there = taken(q0.copy(), p0.copy(), H, 100)
        back = there if isinstance(there, str) else taken(*there, -H, 100)
        if isinstance(back, str):
            return back
        off = max(np.abs(back[0] - q0).max(), np.abs(back[1] - p0).max())
        if off > BACK:
            return (
                f"100 steps with h and 100 with -h end {off:.1g} from the start: it is not reversible.{self.advice()}"
            )
        q, p, start, worst = q0.copy(), p0.copy(), _energy(q0, p0), 0.0
        for _ in range(20):
            found = taken(q, p, H, STEPS // 20)
            if isinstance(found, str):
                return found
            q, p = found
            worst = max(worst, abs(_energy(q, p) - start))
        if worst > KEEPS:
            return f"over {STEPS} steps the energy is up to {worst:.1g} off: it is not conserved.{self.advice()}"
        return None


def _energy(q: Any, p: Any) -> float:
    return float((p**2 / 2 - np.cos(q) + 0.05 * q**4).sum())


def _exact(q: Any, p: Any, end: float) -> tuple[Any, Any]:
    for _ in range(4000):
        q, p = leapfrog(lambda q: -np.sin(q) - 0.2 * q**3, q, p, end / 4000)
    return q, p


LEAPFROG = Runs(
    "6.8 There and back",
    leapfrog,
    lambda rng: (np.sin, rng.normal(size=2), rng.normal(size=2), 0.1),  # not judged by; it says what is called
    [],
    ("What is done first must be done last as well: half a kick, a whole drift, half a kick.",
     "p = p + h/2 · force(q); q = q + h · p; p = p + h/2 · force(q), with the new q."),
)  # fmt: skip
