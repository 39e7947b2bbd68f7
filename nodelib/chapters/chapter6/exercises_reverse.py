"""Exercise 6.4: undo a coupled step."""

from typing import Any

import numpy as np

from nodelib.workbook.check import Exercise

from .reverse import Increment, increment, uncoupled


class _Field:
    """A field that depends on time, and in which no two steps are alike."""

    def __init__(self, rng: np.random.Generator, dim: int) -> None:
        self.weights = rng.normal(size=(dim, dim))

    def __call__(self, t: float, y: Any) -> Any:
        return np.tanh(np.asarray(y) @ self.weights) + np.cos(3 * t)


def _pair(rng: np.random.Generator) -> tuple:
    dim = int(rng.integers(2, 5))
    y1, z1 = rng.normal(size=(2, dim))
    h = float(rng.choice([-1, 1]) * rng.uniform(0.2, 0.6))
    return increment(_Field(rng, dim)), float(rng.normal()), h, y1, z1, float(rng.uniform(0.3, 0.95))


def _z(psi: Increment, t: float, h: float, y1: Any, z1: Any) -> Any:
    return z1 + psi(t + h, -h, y1)


def _y(psi: Increment, t: float, h: float, y1: Any, z: Any, coupling: float) -> Any:
    return (y1 - (1 - coupling) * z - psi(t, h, z)) / coupling


UNDO = Exercise(
    "6.4 Undo a step",
    uncoupled,
    _pair,
    [
        ("That is the step with -h, which does not undo a step of h: solve the two equations for y and z.",
         lambda psi, t, h, y1, z1, c: (c * y1 + (1 - c) * z1 + psi(t + h, -h, z1),
                                       z1 - psi(t, h, c * y1 + (1 - c) * z1 + psi(t + h, -h, z1)))),
        ("y is found with z1. The first equation has z, which the second one gives: find that first.",
         lambda psi, t, h, y1, z1, c: (_y(psi, t, h, y1, z1, c), _z(psi, t, h, y1, z1))),
        ("The division by the coupling is missing.",
         lambda psi, t, h, y1, z1, c: (c * _y(psi, t, h, y1, _z(psi, t, h, y1, z1), c), _z(psi, t, h, y1, z1))),
        ("The second equation has a minus before Ψ: taken to the other side it is a plus.",
         lambda psi, t, h, y1, z1, c: (_y(psi, t, h, y1, z1 - psi(t + h, -h, y1), c), z1 - psi(t + h, -h, y1))),
        ("The step gave Ψ the time t + h with -h. Here it is asked at t.",
         lambda psi, t, h, y1, z1, c: (_y(psi, t, h, y1, z1 + psi(t, -h, y1), c), z1 + psi(t, -h, y1))),
        ("-Ψ of -h is not Ψ of h: y1 went through the step of -h, from t + h.",
         lambda psi, t, h, y1, z1, c: (_y(psi, t, h, y1, z1 - psi(t, h, y1), c), z1 - psi(t, h, y1))),
        ("The part of z in y1 is (1 - λ)z. Here all of z is taken away.",
         lambda psi, t, h, y1, z1, c: ((y1 - _z(psi, t, h, y1, z1) - psi(t, h, _z(psi, t, h, y1, z1))) / c,
                                       _z(psi, t, h, y1, z1))),
        ("The part of z in y1 is missing: y1 = λy + (1 - λ)z + Ψ.",
         lambda psi, t, h, y1, z1, c: ((y1 - psi(t, h, _z(psi, t, h, y1, z1))) / c, _z(psi, t, h, y1, z1))),
        ("The sign of Ψ in y: it was added, and is to be taken away.",
         lambda psi, t, h, y1, z1, c: ((y1 - (1 - c) * _z(psi, t, h, y1, z1) + psi(t, h, _z(psi, t, h, y1, z1))) / c,
                                       _z(psi, t, h, y1, z1))),
        ("These are z and y: y is asked first.",
         lambda psi, t, h, y1, z1, c: uncoupled(psi, t, h, y1, z1, c)[::-1]),
    ],
    ("Which of the two equations can be solved for one unknown, with what is given?",
     "z = z1 + psi(t + h, -h, y1). With it the first equation has y alone: y = (y1 - (1 - λ)z - psi(t, h, z)) / λ."),
)  # fmt: skip
