"""Exercises of chapter 3 on numbers that are counted: parameters, errors, bytes."""

import math
from typing import Any

import numpy as np

from nodelib.workbook.check import Exercise


# 3.1 ------------------------------------------------------------------------------------------------------------------
def field_parameters(c: int, k: int) -> int:
    return 2 * ((c + 1) * c * k * k + c) + 3 * 2 * c


WIDTHS = (
    3,
    7,
    12,
    20,
    27,
    32,
    64,
    96,
    160,
)  # those that norm(c) can split into its groups, so that Field(c) can be made


COUNT = Exercise(
    "3.1 Count",
    field_parameters,
    lambda rng: (int(rng.choice(WIDTHS)), int(rng.choice([1, 3, 5, 7]))),
    [
        ("The clock is a channel, too: a convolution reads c + 1 of them.",
         lambda c, k: 2 * (c * c * k * k + c) + 6 * c),
        ("The clock is read, but not written: a convolution has c + 1 channels in and c out.",
         lambda c, k: 2 * ((c + 1) ** 2 * k * k + c) + 6 * c),
        ("There are 2 c too few: the biases of the two convolutions, or one of the three norms.",
         lambda c, k: 2 * (c + 1) * c * k * k + 6 * c),
        ("There are 2 too many. Biases, and a norm's scales and shifts, go with what is written: c channels.",
         lambda c, k: 2 * ((c + 1) * c * k * k + c + 1) + 6 * c),
        ("There are three norms.", lambda c, k: 2 * ((c + 1) * c * k * k + c) + 2 * c),
        ("The norms are missing.", lambda c, k: 2 * ((c + 1) * c * k * k + c)),
        ("A norm has a scale and a shift for each channel.", lambda c, k: 2 * ((c + 1) * c * k * k + c) + 3 * c),
        ("There are two convolutions.", lambda c, k: (c + 1) * c * k * k + c + 6 * c),
        ("A kernel of k × k has k^2 weights.", lambda c, k: 2 * ((c + 1) * c * k + c) + 6 * c),
    ],
    ("Count one convolution first: weights and biases.",
     "A convolution has (channels in) × (channels out) × k × k weights and (channels out) biases; there are two. "
     "A norm has 2 c parameters; there are three."),
)  # fmt: skip


# 3.4 ------------------------------------------------------------------------------------------------------------------
def apart(p: float, q: float, n: int) -> float:
    return abs(p - q) / math.sqrt((p * (1 - p) + q * (1 - q)) / n)


def _rates(rng: np.random.Generator) -> tuple:
    return float(rng.uniform(0.01, 0.3)), float(rng.uniform(0.01, 0.3)), int(rng.integers(300, 30_000))


def _var(p: float) -> float:
    return p * (1 - p)


APART = Exercise(
    "3.4 Is it a difference?",
    apart,
    _rates,
    [
        ("A distance has no sign: take the absolute value.",
         lambda p, q, n: (p - q) / math.sqrt((_var(p) + _var(q)) / n)),
        ("A distance has no sign: take the absolute value.",
         lambda p, q, n: (q - p) / math.sqrt((_var(p) + _var(q)) / n)),
        ("The variance of a binomial count has a factor 1 - p as well.",
         lambda p, q, n: abs(p - q) / math.sqrt((p + q) / n)),
        ("n is an argument: not every test set has 10,000 images.",
         lambda p, q, n: abs(p - q) / math.sqrt((_var(p) + _var(q)) / 10_000)),
        ("Independent errors add as squares: add the variances, not the standard deviations.",
         lambda p, q, n: abs(p - q) / (math.sqrt(_var(p) / n) + math.sqrt(_var(q) / n))),
        ("Both rates are uncertain, not the first alone.", lambda p, q, n: abs(p - q) / math.sqrt(_var(p) / n)),
        ("Both rates are uncertain, not the second alone.", lambda p, q, n: abs(p - q) / math.sqrt(_var(q) / n)),
        ("That is a variance below the line. Take its root.", lambda p, q, n: abs(p - q) / ((_var(p) + _var(q)) / n)),
        ("The variances of independent things add, also where it is their difference that one asks for.",
         lambda p, q, n: abs(p - q) / math.sqrt(abs(_var(p) - _var(q)) / n)),
        ("That is the square of the number of standard deviations.",
         lambda p, q, n: (p - q) ** 2 / ((_var(p) + _var(q)) / n)),
        ("That takes one rate for both. Give each its own variance.",
         lambda p, q, n: abs(p - q) / math.sqrt(2 * _var((p + q) / 2) / n)),
    ],
    ("Begin with one rate: a count of n, each wrong with probability p, has the variance n p (1 - p). And the rate?",
     "The rate p has the variance p (1 - p) / n. The variance of a difference of independent things is the sum."),
)  # fmt: skip


# 3.5 ------------------------------------------------------------------------------------------------------------------
def deepest(depth: list[int], held: list[float], limit: float) -> float:
    b = (held[-1] - held[0]) / (depth[-1] - depth[0])
    return (limit - (held[0] - b * depth[0])) / b


def _measured(rng: np.random.Generator) -> tuple:
    """Pairs that lie near a line and not on it, as measured ones do, so that it counts which two are taken."""
    limit = float(10 ** rng.uniform(8, 10))
    a, b = rng.uniform(0.2, 0.6) * limit, limit / rng.uniform(50, 500)
    depth = np.cumsum(rng.integers(2, 9, size=5)).tolist()
    return depth, [float(a + b * (d + rng.uniform(-0.6, 0.6))) for d in depth], limit


def _b(depth: list[int], held: list[float]) -> float:
    return (held[-1] - held[0]) / (depth[-1] - depth[0])


def _by(depth: Any, held: Any, limit: float) -> float:
    """Where the line through two pairs, or the one nearest to many, reaches the limit."""
    b, a = np.polyfit(depth, held, 1)
    return float((limit - a) / b)


DEEPEST = Exercise(
    "3.5 How deep does it fit?",
    deepest,
    _measured,
    [
        ("What is held before the first evaluation, a, is missing.", lambda d, h, limit: limit / _b(d, h)),
        ("The first pair was not measured at depth 0: it has its share of b.",
         lambda d, h, limit: (limit - h[0]) / _b(d, h)),
        ("The sign of b times the first depth: go back to depth 0, not on.",
         lambda d, h, limit: (limit - (h[0] + _b(d, h) * d[0])) / _b(d, h)),
        ("Bytes for each evaluation: divide the bytes by the depths, not the depths by the bytes.",
         lambda d, h, limit: (limit - (h[0] - d[0] / _b(d, h))) * _b(d, h)),
        ("Do not round: the line is asked where it reaches the limit.",
         lambda d, h, limit: math.floor(deepest(d, h, limit))),
        ("That fits a line to all pairs. Asked is the line through the first and the last.", _by),
        ("That is the line through the first two pairs. Near pairs tilt it: take the first and the last.",
         lambda d, h, limit: _by(d[:2], h[:2], limit)),
        ("That is the line through the last two pairs. Near pairs tilt it: take the first and the last.",
         lambda d, h, limit: _by(d[-2:], h[-2:], limit)),
        ("The last pair has its depth, too: add it, or go back to depth 0.",
         lambda d, h, limit: (limit - h[-1]) / _b(d, h)),
        ("Memory for one evaluation, measured at one pair, holds a as well. Take the difference of two.",
         lambda d, h, limit: limit * d[-1] / h[-1]),
    ],
    ("Two points fix a line. First its slope b, then a, then where it reaches the limit.",
     "b is (last held - first held) / (last depth - first depth), and a is first held - b × first depth."),
    rtol=1e-6,
)  # fmt: skip
