"""Exercise 6.6 of chapter 6: an implicit step by Newton's method, which may fail."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nodelib.workbook.check import Exercise

Array = Any
Field = Callable[[float, Array], Array]


ITERATIONS, SMALL = 20, 1e-10
GIVES_UP = (
    "It gives up where a step exists: too few corrections, or they do not converge. The matrix is 1 - h J, with h, the "
    "minus, and J's rows and columns in their places."
)


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
    """f and its Jacobians (b, D, D) for z (b, D), of one of three kinds.

    stiff:   ((cos t - z) A + tanh(z W) / 4) times a rate for each row. A is triangular and stiff, so that a transposed
             Jacobian does not do, nor one for all rows.
    square:  z² + cos t / 9, of which a step may have no root.
    flat:    -5 tanh(20 z), on which corrections from afar neither converge nor overflow."""

    def __init__(self, rng: np.random.Generator, b: int, dim: int, kind: str):
        self.rates = rng.permutation(10 ** np.append(rng.uniform(-2, -0.5, b - 1), 0))[:, None]
        self.A = np.triu(rng.choice([-1, 1], (dim, dim)) * rng.uniform(300, 900, (dim, dim)), 1)
        self.A += np.diag(rng.uniform(100, 500, dim))
        self.W, self.kind = rng.normal(size=(dim, dim)) / 4, kind

    def __call__(self, t: float, z: Any) -> Any:
        z = np.asarray(z)
        if self.kind == "square":
            return z**2 + np.cos(t) / 9
        if self.kind == "flat":
            return -5 * np.tanh(20 * z)
        return self.rates * ((np.cos(t) - z) @ self.A + np.tanh(z @ self.W) / 4)

    def jacobian(self, t: float, z: Any) -> Any:
        z = np.asarray(z)
        if self.kind == "square":
            return 2 * z[..., None] * np.eye(z.shape[-1])
        if self.kind == "flat":
            return -100 / np.cosh(20 * z[..., None]) ** 2 * np.eye(z.shape[-1])
        bend = (1 - np.tanh(z @ self.W) ** 2) / 4
        return self.rates[..., None] * (bend[..., None] * self.W.T - self.A.T)


def _inputs(rng: np.random.Generator) -> tuple:
    """Stiff batches, of which the step exists; and others, on which Newton's method overflows or wanders."""
    b, dim = (int(k) for k in rng.permutation([2, 3, 4])[:2])
    kind = rng.choice(["stiff", "stiff", "square", "flat"])
    if kind == "square":
        f, z = Stiff(rng, b, dim, "square"), rng.uniform(-0.3, 0.2, size=(b, dim))
        z[int(rng.integers(b)), int(rng.integers(dim))] = rng.uniform(3, 4)  # x = z + h x² + … has no real root
        return f, f.jacobian, float(rng.uniform(0, 1)), z, float(rng.uniform(0.3, 0.5))
    if kind == "flat":
        f, z = Stiff(rng, b, dim, "flat"), rng.uniform(0.2, 0.3, size=(b, dim))
        return f, f.jacobian, float(rng.uniform(0, 1)), z, 0.4
    f, z = Stiff(rng, b, dim, "stiff"), rng.normal(size=(b, dim))
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


def _in_place(f: Field, jacobian: Field, t: float, z: Array, h: float) -> Any:
    """``implicit_step``, with z corrected in place."""
    x, m = z, np.eye(z.shape[-1]) - h * jacobian(t, z)
    for _ in range(ITERATIONS):
        with np.errstate(all="ignore"):
            change = np.linalg.solve(m, (z + h * f(t + h, x) - x)[..., None])[..., 0]
            x += change
        if np.abs(change).max() <= SMALL:
            return x, True
    return z, False


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
        ("That is a fixed-point iteration, without the Jacobian, or with one for all rows. On a stiff field it fails.",
         lambda f, J, t, z, h: implicit_step(f, lambda s, x: 0 * J(s, x), t, z, h)),
        (GIVES_UP, lambda f, J, t, z, h: (z, False)),
        (GIVES_UP, lambda f, J, t, z, h: implicit_step(f, lambda s, x: -J(s, x), t, z, h)),
        ("z itself has changed: x += changes z where x is z.", _in_place),
        ("That is a step of the trapezoid rule. Backward Euler takes f at the end alone.",
         lambda f, J, t, z, h: implicit_step(lambda s, x: (f(s, x) + f(t, z)) / 2, lambda s, x: J(s, x) / 2, t, z, h)),
    ],
    ("Look for the root x of x - z - h f(t + h, x). A correction is its value, divided by its derivative: a linear "
     "system for each row, with the matrix 1 - h J.",
     "Form 1 - h J once. In the loop: change = solve(1 - h J, z + h f(t + h, x) - x), x = x + change; return x, True "
     "once the largest entry of the change is small; after the loop return z, False."),
    cases=16,
)  # fmt: skip
