"""Exercises of chapter 6 on what makes a network slow, and on what keeps its energy."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nodelib.workbook.check import MISSING, Exercise, tried
from nodelib.workbook.values import numbers, unfinished

Array = Any
Field = Callable[[float, Array], Array]


# 6.6 ------------------------------------------------------------------------------------------------------------------
ITERATIONS, SMALL = 20, 1e-10


def implicit_step(f: Field, jacobian: Field, t: float, z: Array, h: float) -> tuple[Array, bool]:
    x, inverse = z, np.linalg.inv(np.eye(z.shape[-1]) - h * jacobian(t, z))
    for _ in range(ITERATIONS):
        with np.errstate(all="ignore"):
            change = np.einsum("bij,bj->bi", inverse, z + h * f(t + h, x) - x)
            x = x + change
        if np.abs(change).max() <= SMALL:
            return x, True
    return z, False


class Stiff:
    """f(t, z) = (cos t - z) A + tanh(z W) / 4 on (b, D), or z² + cos t / 9, and its Jacobians (b, D, D).

    A is triangular and stiff, so that a transposed Jacobian does not do."""

    def __init__(self, rng: np.random.Generator, dim: int, kind: str):
        self.A = np.triu(rng.choice([-1, 1], (dim, dim)) * rng.uniform(500, 1500, (dim, dim)), 1)
        self.A += np.diag(rng.uniform(5, 500, dim))
        self.W, self.kind = rng.normal(size=(dim, dim)) / 4, kind

    def __call__(self, t: float, z: Any) -> Any:
        z = np.asarray(z)
        if self.kind == "square":
            return z**2 + np.cos(t) / 9
        return (np.cos(t) - z) @ self.A + np.tanh(z @ self.W) / 4

    def jacobian(self, t: float, z: Any) -> Any:
        z = np.asarray(z)
        if self.kind == "square":
            return 2 * z[..., None] * np.eye(z.shape[-1])
        bend = (1 - np.tanh(z @ self.W) ** 2) / 4
        return bend[..., None] * self.W.T - self.A.T


def _inputs(rng: np.random.Generator) -> tuple:
    """Stiff batches, of which the step exists; and in a third of cases a batch of which one row's step does not."""
    b, dim = (int(k) for k in rng.permutation([2, 3, 4])[:2])
    if rng.integers(3) == 0:
        f, z = Stiff(rng, dim, "square"), rng.uniform(-0.3, 0.2, size=(b, dim))
        z[int(rng.integers(b)), int(rng.integers(dim))] = rng.uniform(3, 4)  # x = z + h x² + … has no real root
        return f, f.jacobian, float(rng.uniform(0, 1)), z, float(rng.uniform(0.3, 0.5))
    f, z = Stiff(rng, dim, "stiff"), rng.normal(size=(b, dim))
    return f, f.jacobian, float(rng.uniform(0.5, 2)), z, float(rng.choice([0.1, 0.4, -0.0005]))


def _newton(
    late: float = 1.0,
    rounds: int = ITERATIONS,
    rejected: str = "batch",
) -> Callable[..., Any]:
    """A step with a mistake in it."""

    def wrong(f: Field, jacobian: Field, t: float, z: Array, h: float) -> Any:
        x, m = z, np.eye(z.shape[-1]) - h * jacobian(t, z)
        good = np.zeros(len(z), bool)
        with np.errstate(all="ignore"):
            for _ in range(rounds):
                change = np.linalg.solve(m, (z + h * f(t + late * h, x) - x)[..., None])[..., 0]
                x = x + change
                good = np.abs(change).max(-1) <= SMALL
                if good.all():
                    break
        if rejected == "no":
            return x, bool(good.all())
        if rejected == "always true":
            return x, True
        if rejected == "rows":
            return np.where(good[:, None], x, z), bool(good.all())
        return (x, True) if good.all() or rounds < 3 else (z, False)

    return wrong


NEWTON = Exercise(
    "6.6 A step that may fail",
    implicit_step,
    _inputs,
    [
        ("f is taken at t. Backward Euler asks it at the end of the step, at t + h.", _newton(late=0.0)),
        ("That is one correction: right for linear fields. Go on until a correction is small.", _newton(rounds=1)),
        ("That is explicit Euler's step.", lambda f, J, t, z, h: (z + h * f(t, z), True)),
        ("Where Newton's method fails, the last iterate is no state. Give z back, for a shorter step to begin there.",
         _newton(rejected="no")),
        ("A step is taken to be solved when the corrections run out. In one case it is not: say False there.",
         _newton(rejected="always true")),
        ("One row failed, and the others have moved on. The batch shares its step: all rows go back to z.",
         _newton(rejected="rows")),
        ("That is a fixed-point iteration, without the Jacobian. On a stiff field it fails.",
         lambda f, J, t, z, h: implicit_step(f, lambda s, x: 0 * J(s, x), t, z, h)),
        ("It gives up where a step exists: the corrections do not converge. The matrix is 1 - h J, with h, the minus, "
         "and J's rows and columns in their places.", lambda f, J, t, z, h: (z, False)),
        ("That is a step of the trapezoid rule. Backward Euler takes f at the end alone.",
         lambda f, J, t, z, h: implicit_step(lambda s, x: (f(s, x) + f(t, z)) / 2, lambda s, x: J(s, x) / 2, t, z, h)),
    ],
    ("Look for the root x of x - z - h f(t + h, x). A correction is its value, divided by its derivative: a linear "
     "system for each row, with the matrix 1 - h J.",
     "Form 1 - h J once. In the loop: change = solve(1 - h J, z + h f(t + h, x) - x), x = x + change; return x, True "
     "once the largest entry of the change is small; after the loop return z, False."),
    cases=12,
)  # fmt: skip


# 6.8 ------------------------------------------------------------------------------------------------------------------
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
                if not isinstance(pair, tuple | list) or len(pair) != 2:
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
        if errors[0] < 3 * errors[1]:
            return (
                f"with steps of half the length the error falls {errors[0] / errors[1]:.1f} times: order 1. Two halves "
                "of the kick, with the drift between them, give order 2."
            )
        if evaluations > 3 * 60:
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
