"""Exercise 6.1: the control of a step that each sample of a batch has for itself."""

from typing import Any

import numpy as np

from nodelib.workbook.check import Exercise


def controlled(err: Any, y0: Any, y1: Any, rtol: float, atol: float, h: Any) -> Any:
    scale = atol + rtol * np.maximum(abs(y0), abs(y1))
    return decided(np.sqrt(np.mean((err / scale) ** 2, axis=1)), h)


def decided(ratio: Any, h: Any, power: float = -1 / 5, safety: float = 0.9, low: float = 0.2, high: float = 10) -> Any:
    """What follows from the error ratios: which steps stand, and the next ones."""
    with np.errstate(divide="ignore"):
        factor = np.clip(safety * np.asarray(ratio) ** power, low, high)
    return ratio <= 1, h * factor


def _ratio(err: Any, y0: Any, y1: Any, rtol: float, atol: float, norm: Any = None) -> Any:
    x = err / (atol + rtol * np.maximum(abs(y0), abs(y1)))
    return np.sqrt(np.mean(x**2, axis=1)) if norm is None else norm(x)


def _step(rng: np.random.Generator) -> tuple:
    batch, dim = int(rng.integers(5, 8)), int(rng.integers(2, 5))  # two numbers, so that no wrong axis fits
    y0 = rng.normal(size=(batch, dim)) * 10 ** rng.uniform(-1, 2, size=(batch, 1))
    y1 = y0 + rng.normal(size=(batch, dim)) * abs(y0)
    rtol, atol = 10.0 ** rng.uniform(-5, -2), 10.0 ** rng.uniform(-5, -2)
    scale = atol + rtol * np.maximum(abs(y0), abs(y1))
    ratio = 10 ** rng.uniform(-1.2, 1.2, size=(batch, 1))
    # The factor's two bounds; a step that stands and yet is shortened; and both sides of 1, near it.
    ratio[:5, 0] = 1e-7, 1e5, 0.7, 0.97, 1.03
    x = rng.normal(size=(batch, dim))
    err = ratio * scale * x / np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    sign = rng.choice([-1.0, 1.0])  # a solve may go back in time
    order = rng.permutation(batch)
    return err[order], y0[order], y1[order], rtol, atol, sign * rng.uniform(0.01, 2, size=batch)


CONTROL = Exercise(
    "6.1 A step for each sample",
    controlled,
    _step,
    [
        ("One ratio for the whole batch: that is the joint solve. The mean is to run over a sample's entries alone.",
         lambda e, a, b, r, t, h: decided(np.full(len(h), np.sqrt(np.mean(_ratio(e, a, b, r, t) ** 2))), h)),
        ("The batch is accepted or rejected as one. Each sample is to be judged by its own ratio.",
         lambda e, a, b, r, t, h: (np.full(len(h), (_ratio(e, a, b, r, t) <= 1).all()),
                                   decided(_ratio(e, a, b, r, t), h)[1])),
        ("All samples get the shortest of the new steps. Each is to have its own.",
         lambda e, a, b, r, t, h: (_ratio(e, a, b, r, t) <= 1,
                                   np.full(len(h), np.sign(h[0]) * abs(decided(_ratio(e, a, b, r, t), h)[1]).min()))),
        ("That is the largest entry of a sample. The root of the mean square is asked.",
         lambda e, a, b, r, t, h: decided(_ratio(e, a, b, r, t, lambda x: abs(x).max(1)), h)),
        ("That is the mean of the sizes. The root of the mean square is asked.",
         lambda e, a, b, r, t, h: decided(_ratio(e, a, b, r, t, lambda x: abs(x).mean(1)), h)),
        ("That is the Euclidean norm: it grows with the number of entries. Take the mean of the squares.",
         lambda e, a, b, r, t, h: decided(_ratio(e, a, b, r, t, lambda x: np.linalg.norm(x, axis=1)), h)),
        ("The mean of the squares has no root yet.",
         lambda e, a, b, r, t, h: decided(_ratio(e, a, b, r, t) ** 2, h)),
        ("Only the rejected steps change. An accepted one changes the next step, too, or no step would ever grow.",
         lambda e, a, b, r, t, h: (_ratio(e, a, b, r, t) <= 1, np.where(
             _ratio(e, a, b, r, t) <= 1, h, decided(_ratio(e, a, b, r, t), h)[1]))),
        ("Only the accepted steps change. A rejected step has to be tried again, shorter.",
         lambda e, a, b, r, t, h: (_ratio(e, a, b, r, t) <= 1, np.where(
             _ratio(e, a, b, r, t) <= 1, decided(_ratio(e, a, b, r, t), h)[1], h))),
        ("The power: the estimated error behaves as h⁵, so that the step goes with ratio^(-1/5).",
         lambda e, a, b, r, t, h: decided(_ratio(e, a, b, r, t), h, power=-1 / 4)),
        ("The power: -1/6 would be that of the solution's own error. The estimate's is asked, which behaves as h⁵.",
         lambda e, a, b, r, t, h: decided(_ratio(e, a, b, r, t), h, power=-1 / 6)),
        ("The wrong way: a large error is to make the step shorter.",
         lambda e, a, b, r, t, h: decided(_ratio(e, a, b, r, t), h, power=1 / 5)),
        ("The safety factor .9 is missing.",
         lambda e, a, b, r, t, h: decided(_ratio(e, a, b, r, t), h, safety=1.0)),
        ("The factor has no bounds: at least .2, at most 10.",
         lambda e, a, b, r, t, h: decided(_ratio(e, a, b, r, t), h, low=0.0, high=np.inf)),
        ("The bounds are those of the factor h_new / h. Here the new step itself is kept between .2 and 10.",
         lambda e, a, b, r, t, h: (_ratio(e, a, b, r, t) <= 1, np.clip(
             h * 0.9 * _ratio(e, a, b, r, t) ** -0.2, 0.2, 10))),
        ("The scale takes the larger of |y| before and after the step, not one of them.",
         lambda e, a, b, r, t, h: decided(_ratio(e, a, a, r, t), h)),
        ("The scale takes the larger of |y| before and after the step, not one of them.",
         lambda e, a, b, r, t, h: decided(_ratio(e, b, b, r, t), h)),
        ("rtol and atol are exchanged: rtol is the part that goes with |y|.",
         lambda e, a, b, r, t, h: decided(_ratio(e, a, b, t, r), h)),
    ],
    ("Divide err by atol + rtol max(|y0|, |y1|), entry by entry. Which axis is the mean to run over?",
     "ratio = np.sqrt(np.mean((err / scale) ** 2, axis=1)); accepted is ratio <= 1; and h is multiplied by "
     "np.clip(0.9 * ratio ** (-1 / 5), 0.2, 10), whether accepted or not."),
)  # fmt: skip
