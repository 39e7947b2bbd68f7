"""The exercises of chapter 4: what is right, on which inputs, and what is said of the mistakes that are often made."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from nodelib.workbook.check import Exercise, Exercises

from .break_it import BREAK_IT

LOG_2PI = np.log(2 * np.pi)


# 4.1 ------------------------------------------------------------------------------------------------------------------
def log_density(y: Any, a: float, b: float) -> Any:
    z = (np.log(y) - b) / a
    return -(z**2) / 2 - LOG_2PI / 2 - np.log(np.abs(a)) - np.log(y)


def _lognormal(rng: np.random.Generator) -> tuple:
    a = rng.choice([-1, 1]) * rng.uniform(0.3, 2)
    b = rng.normal()
    return np.exp(a * rng.normal(size=4) + b), float(a), float(b)


BY_HAND = Exercise(
    "4.1 A density by hand",
    log_density,
    _lognormal,
    [
        ("That is the density of z at the right place, not yet stretched.",
         lambda y, a, b: log_density(y, a, b) + np.log(np.abs(a)) + np.log(y)),
        ("The stretch depends on the place: the exponential stretches by more where y is large.",
         lambda y, a, b: log_density(y, a, b) + np.log(y)),
        ("The exponential's own slope is there; that of a z + b is missing.",
         lambda y, a, b: log_density(y, a, b) + np.log(np.abs(a))),
        ("Where the map stretches the density falls: the logarithm of the slope is subtracted.",
         lambda y, a, b: log_density(y, a, b) + 2 * (np.log(np.abs(a)) + np.log(y))),
        ("For a < 0 the map decreases. A density is stretched by the size of the slope, whatever its sign.",
         lambda y, a, b: log_density(y, a, b) + np.log(np.abs(a)) - np.log(a)),
        ("Without the normal density's own constant the integral is not 1.",
         lambda y, a, b: log_density(y, a, b) + LOG_2PI / 2),
        ("That is the density; its logarithm is asked.", lambda y, a, b: np.exp(log_density(y, a, b))),
    ],
    ("Which z is mapped to y, and by how much does the map stretch there?",
     "z = (log y - b)/a, and dy/dz = a y. Subtract log |dy/dz| from the log density of the normal distribution at z."),
)  # fmt: skip


# 4.2 ------------------------------------------------------------------------------------------------------------------
def planar_trace(z: Any, w: Any, u: Any, b: Any) -> Any:
    h = np.tanh(np.asarray(z) @ np.asarray(w).T + b)
    return (1 - h**2) @ np.sum(np.asarray(w) * u, axis=-1)


def _units(rng: np.random.Generator) -> tuple:
    n, units, dim = rng.integers(2, 5), rng.integers(2, 6), rng.integers(2, 5)
    return (
        rng.normal(size=(n, dim)),
        rng.normal(size=(units, dim)),
        rng.normal(size=(units, dim)),
        rng.normal(size=units),
    )


def _slopes(z: Any, w: Any, b: Any) -> Any:
    return 1 - np.tanh(z @ w.T + b) ** 2


TRACE = Exercise(
    "4.3 The trace of planar units",
    planar_trace,
    _units,
    [
        ("The derivative of tanh is missing.",
         lambda z, w, u, b: np.tanh(z @ w.T + b) @ np.sum(w * u, axis=-1)),
        ("The derivative of tanh x is 1 - tanh² x.",
         lambda z, w, u, b: np.tanh(z @ w.T + b) ** 2 @ np.sum(w * u, axis=-1)),
        ("That is one number for all points. Each point has a trace of its own.",
         lambda z, w, u, b: np.sum(planar_trace(z, w, u, b))),
        ("The diagonal has w_i u_i. You have all pairs w_i u_j: the sum of the whole matrix.",
         lambda z, w, u, b: _slopes(z, w, b) @ (np.sum(w, axis=-1) * np.sum(u, axis=-1))),
        ("That is the product of the lengths of w and u, not w · u.",
         lambda z, w, u, b: _slopes(z, w, b) @ (np.linalg.norm(w, axis=-1) * np.linalg.norm(u, axis=-1))),
        ("That is the field f itself, summed over its components.",
         lambda z, w, u, b: np.sum(np.tanh(z @ w.T + b) @ u, axis=-1)),
        ("That is the determinant's product over the units. Traces add up.",
         lambda z, w, u, b: np.prod(1 + _slopes(z, w, b) * np.sum(w * u, axis=-1), axis=-1)),
    ],
    ("Write ∂f/∂z of one unit as a matrix, a column times a row, and add up its diagonal.",
     "∂f/∂z = (1 - tanh²) u wᵀ, whose diagonal adds up to (1 - tanh²) (w · u). Units add up."),
)  # fmt: skip


# 4.3 ------------------------------------------------------------------------------------------------------------------
def which_fold(w: Any, u: Any) -> Any:
    return np.sum(np.asarray(w) * u, axis=-1) < -1


def _layers(rng: np.random.Generator) -> tuple:
    layers, dim = int(rng.integers(10, 14)), int(rng.integers(2, 5))
    w, u = rng.normal(size=(layers, dim)), rng.normal(size=(layers, dim))
    wanted = np.concatenate([[-1.001, -0.98, 1.02, 3.0, -3.0, -0.5], rng.uniform(-4, 4, size=layers - 6)])
    u = u + ((wanted - np.sum(w * u, axis=1)) / np.sum(w * w, axis=1))[:, None] * w
    edge = np.eye(dim)[:1]  # w·u = -1, exactly
    order = rng.permutation(layers + 1)
    return np.concatenate([w, edge])[order], np.concatenate([u, -edge])[order]


FOLD = Exercise(
    "4.2 Which layers fold?",
    which_fold,
    _layers,
    [
        ("A layer with w · u > 1 stretches, and never turns back.",
         lambda w, u: np.abs(np.sum(w * u, axis=-1)) > 1),
        ("With w · u between -1 and 0 the layer squeezes, and does not fold.",
         lambda w, u: np.sum(w * u, axis=-1) < 0),
        ("At w · u = -1 the slope is 0 at a single place, and no two points are taken to one.",
         lambda w, u: np.sum(w * u, axis=-1) <= -1),
        ("Those are the layers that do not fold.", lambda w, u: np.sum(w * u, axis=-1) >= -1),
        ("That is the other sign: these stretch.", lambda w, u: np.sum(w * u, axis=-1) > 1),
        ("The lengths alone do not say it: u may stand across w.",
         lambda w, u: np.linalg.norm(w, axis=-1) * np.linalg.norm(u, axis=-1) > 1),
    ],
    ("Follow a point along w: how does w · z change from before the layer to after it?",
     "a = w · z + b becomes a + (w · u) tanh a. Its slope is 1 + (w · u)(1 - tanh² a), least at a = 0."),
)  # fmt: skip


# 4.4 ------------------------------------------------------------------------------------------------------------------
def variances(J: Any) -> tuple:
    S = (np.asarray(J) + np.transpose(J)) / 2
    return 2 * np.sum(S**2), 2 * (np.sum(S**2) - np.sum(np.diag(S) ** 2))


def _both(change: Callable[[np.ndarray, np.ndarray], tuple]) -> Callable[[Any], tuple]:
    def wrong(J: Any) -> tuple:
        J = np.asarray(J)
        return change(J, (J + J.T) / 2)

    return wrong


NOISE = Exercise(
    "4.4 How noisy is one product?",
    variances,
    lambda rng: (rng.normal(size=(d := int(rng.integers(2, 6)), d)),),
    [
        ("ε · Jε sees only the symmetric part of J: what is antisymmetric cancels.",
         _both(lambda J, S: (2 * np.sum(J**2), 2 * (np.sum(J**2) - np.sum(np.diag(J) ** 2))))),
        ("Each pair i ≠ j comes twice in the sum, and its variance four times.",
         _both(lambda J, S: (np.sum(S**2), np.sum(S**2) - np.sum(np.diag(S) ** 2)))),
        ("The first is Rademacher's, the second Gauss's. The other way round.", _both(lambda J, S: variances(J)[::-1])),
        ("They are not the same: of ±1 the square is always 1, so that the diagonal brings no noise.",
         _both(lambda J, S: (2 * np.sum(S**2), 2 * np.sum(S**2)))),
        ("Those are standard deviations. Variances are asked.",
         _both(lambda J, S: tuple(np.sqrt(variances(J))))),
        ("That would be for the squares of the trace. The entries count, each by itself.",
         _both(lambda J, S: (2 * np.trace(S) ** 2, 2 * (np.sum(S**2) - np.sum(np.diag(S) ** 2))))),
    ],
    ("Write ε · Jε as a sum over i and j with S = (J + Jᵀ)/2. Which terms are uncorrelated, and what is each one's "
     "variance?",
     "Σ_i S_ii ε_i² + 2 Σ_{i<j} S_ij ε_i ε_j. The variance of ε_i² is 2 for Gauss and 0 for ±1; that of ε_i ε_j is 1."),
)  # fmt: skip


# 4.6 ------------------------------------------------------------------------------------------------------------------
def matching_pair(z0: Any, x1: Any, t: Any) -> tuple:
    return (1 - t) * z0 + t * x1, x1 - z0 + 0 * t


def _pairs(rng: np.random.Generator) -> tuple:
    n, dim = rng.integers(2, 6), rng.integers(2, 4)
    z0, x1 = torch.tensor(rng.normal(size=(2, n, dim)))
    return z0, x1, torch.tensor(rng.uniform(size=(n, 1)))


PAIR = Exercise(
    "4.6 What flow matching learns",
    matching_pair,
    _pairs,
    [
        ("At t = 0 the point must be z0, a draw of the base, and at t = 1 the datum.",
         lambda z, x, t: (t * z + (1 - t) * x, x - z)),
        ("The path leads from z0 to x1: where to, less where from.",
         lambda z, x, t: ((1 - t) * z + t * x, z - x)),
        ("Both are turned round: that flow leads from the data to the base.",
         lambda z, x, t: (t * z + (1 - t) * x, z - x)),
        ("The velocity on a straight path is the same at every time.",
         lambda z, x, t: ((1 - t) * z + t * x, t * (x - z))),
        ("That is how far it still is. On the whole way it is one unit of time, on the rest 1 - t.",
         lambda z, x, t: ((1 - t) * z + t * x, (1 - t) * (x - z))),
        ("The velocity is asked, not where it leads.", lambda z, x, t: ((1 - t) * z + t * x, x)),
        ("The point is where the path begins, whatever t is.", lambda z, x, t: (z, x - z)),
    ],
    ("A point that goes straight from z0 to x1 in one unit of time: where is it at t, and how fast?",
     "It is at z0 + t (x1 - z0). Differentiate by t."),
)  # fmt: skip


# 4.7 ------------------------------------------------------------------------------------------------------------------
def score(z: Any, v: Any, t: Any) -> Any:
    return (t * v - z) / (1 - t)


SCORE = Exercise(
    "4.7 The score in the velocity",
    score,
    lambda rng: (rng.normal(size=(3, 2)), rng.normal(size=(3, 2)), float(rng.uniform(0.05, 0.9))),
    [
        ("That is E[z0 | z] itself.", lambda z, v, t: z - t * v),
        ("The density falls away from z0: the score points back, to where it is higher.",
         lambda z, v, t: (z - t * v) / (1 - t)),
        ("That is E[x1 | z], the datum expected.", lambda z, v, t: z + (1 - t) * v),
        ("The noise in z has the deviation 1 - t, and it is divided by that once: z0 is measured in deviations "
         "already.",
         lambda z, v, t: (t * v - z) / (1 - t) ** 2),
        ("The noise is the part (1 - t) z0 of z: at t = 0 the whole, at t = 1 none.", lambda z, v, t: (t * v - z) / t),
        ("The score of z0 is -z0. At time t it is that of z which is asked.", lambda z, v, t: t * v - z),
    ],
    ("Two equations for two unknown means: v = E[x1 - z0 | z], and z itself is a mean.",
     "z = (1 - t) E[z0 | z] + t E[x1 | z], so that E[z0 | z] = z - t v. And the score of a Gaussian's sum is "
     "-E[z0 | z]/(1 - t) (Tweedie)."),
)  # fmt: skip


EXERCISES = Exercises("4", [BY_HAND, FOLD, TRACE, NOISE, BREAK_IT, PAIR, SCORE])
check, hint, usable = EXERCISES.check, EXERCISES.hint, EXERCISES.usable
