"""Chapter 4's checks: right answers of several forms pass, and plausible wrong ones fail with a sentence that helps."""

import numpy as np
import pytest
import torch

from nodelib.chapters.chapter4.exercises import EXERCISES
from tests.workbook.graded import every_exercise_is_graded, graded

TRIED = ["4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7"]
LOG = np.log


def test_a_density_by_hand():
    def right(y, a, b):
        z = (LOG(y) - b) / a
        return -0.5 * z * z - 0.5 * LOG(2 * np.pi) - LOG(abs(a) * y)

    def by_torch(y, a, b):
        base, y = torch.distributions.Normal(0.0, 1.0), torch.as_tensor(y)
        change = [torch.distributions.AffineTransform(b, a), torch.distributions.ExpTransform()]
        return torch.distributions.TransformedDistribution(base, change).log_prob(y)

    def at_zero(y, a, b):
        return right(y, a, 0.0)

    wrong = [
        (lambda y, a, b: right(y, a, b) + LOG(abs(a)) + LOG(y), "not yet stretched"),
        (lambda y, a, b: right(y, a, b) + LOG(y), "depends on the place"),
        (lambda y, a, b: right(y, a, b) + LOG(abs(a)) - LOG(a), "whatever its sign"),
        (lambda y, a, b: right(y, a, b) + 2 * LOG(abs(a) * y), "falls"),
        (at_zero, "does not depend on b"),
        lambda y, a, b: right(y, abs(a), b) if a > 0 else -right(y, a, b),
        lambda y, a, b: right(np.sort(y), a, b),
        lambda y, a, b: right(np.maximum(y, 1), a, b),
        lambda y, a, b: float(np.mean(right(y, a, b))),
    ]
    forms = [right, by_torch, lambda y, a, b: right(y, a, b).tolist(), lambda *args: tuple(right(*args))]
    graded(EXERCISES["4.1"], forms, wrong)


def test_the_trace_of_planar_units():
    def by_loop(z, w, u, b):
        return [sum((1 - np.tanh(wk @ x + bk) ** 2) * (wk @ uk) for wk, uk, bk in zip(w, u, b, strict=True)) for x in z]

    def by_einsum(z, w, u, b):
        h = np.tanh(np.einsum("nd,md->nm", z, w) + b)
        return np.einsum("nm,md,md->n", 1 - h * h, w, u)

    def by_autograd(z, w, u, b):
        z, w, u, b = (torch.as_tensor(x) for x in (z, w, u, b))
        jacobian = torch.func.vmap(torch.func.jacrev(lambda x: torch.tanh(w @ x + b) @ u))(z)
        return jacobian.diagonal(dim1=1, dim2=2).sum(1)

    wrong = [
        (lambda z, w, u, b: np.tanh(z @ w.T + b) @ (w * u).sum(1), "derivative of tanh is missing"),
        (lambda z, w, u, b: -np.array(by_loop(z, w, u, b)), "sign"),
        lambda z, w, u, b: by_einsum(z, w, u, 0 * b),
        (lambda z, w, u, b: by_einsum(z, w, u, b).sum(), "one number"),
        lambda z, w, u, b: by_einsum(z, w[:1], u[:1], b[:1]),
        lambda z, w, u, b: by_einsum(z, w, u, b).mean() + 0 * z[:, 0],
        lambda z, w, u, b: by_einsum(z, w, u, b) / len(w),
        lambda z, w, u, b: by_einsum(z, u, w, b),
        lambda z, w, u, b: by_einsum(np.abs(z), w, u, b),
    ]
    graded(EXERCISES["4.3"], [by_loop, by_einsum, by_autograd], wrong)


def test_which_layers_fold():
    def by_slope(w, u):
        return [bool(1 + x @ y < 0) for x, y in zip(w, u, strict=True)]

    def by_trying(w, u):
        a = np.linspace(-30, 30, 600_001)
        return np.array([np.any(np.diff(a + x @ y * np.tanh(a)) < 0) for x, y in zip(w, u, strict=True)])

    wrong = [
        (lambda w, u: np.abs((w * u).sum(1)) > 1, "never turns back"),
        (lambda w, u: (w * u).sum(1) < 0, "squeezes"),
        (lambda w, u: (w * u).sum(1) >= -1, "do not fold"),
        (lambda w, u: (w * u).sum(1) <= -1, "a single place"),
        lambda w, u: (w * u).sum(1) < -1.01,
        lambda w, u: (w.reshape(-1, 3) * u.reshape(-1, 3)).sum(1) < -1,
        lambda w, u: np.ones(len(w), bool),
        lambda w, u: np.zeros(len(w), bool),
        lambda w, u: (w * u).sum() < -1,
        lambda w, u: (w * u).sum(1) < -1.05,
        lambda w, u: np.sort((w * u).sum(1) < -1),
        lambda w, u: "those below -1",
    ]
    graded(EXERCISES["4.2"], [by_slope, by_trying, lambda w, u: np.einsum("md,md->m", w, u) < -1], wrong)


def test_how_noisy_one_product_is():
    def by_sums(J):
        n = len(J)
        pairs = sum((J[i, j] + J[j, i]) ** 2 for i in range(n) for j in range(i))
        return 2 * sum(J[i, i] ** 2 for i in range(n)) + pairs, pairs

    def as_list(J):
        return list(by_sums(J))

    def by_traces(J):
        gauss = np.trace(J @ J) + np.trace(J @ J.T)
        return np.array([gauss, gauss - 2 * np.sum(np.diag(J) ** 2)])

    wrong = [
        (lambda J: (2 * np.sum(J**2), 2 * np.sum(J**2) - 2 * np.sum(np.diag(J) ** 2)), "symmetric part"),
        (lambda J: by_sums(J)[::-1], "other way round"),
        (lambda J: tuple(np.sqrt(by_sums(J))), "standard deviations"),
        lambda J: (2 * np.trace(J) ** 2, 0),
        lambda J: (2 * np.sum(np.diag(J) ** 2), by_sums(J)[1]),
        lambda J: by_sums(J)[0],
        lambda J: (by_sums(J)[0] / len(J), by_sums(J)[1] / len(J)),
    ]
    graded(EXERCISES["4.4"], [by_sums, as_list, by_traces], wrong)


def test_break_it():
    def pull(t, z):
        return -10 * z

    def soon(t, z):
        return -10 * np.exp(-1e3 * t**4) * z

    def to_a_place(t, z):
        return -10 * (z - np.array([1.0, 2.0]))

    def each_axis(t, z):
        return [[-10 * x, -10 * y] for x, y in np.asarray(z)]

    def fades(t, z):
        return -10 * z * max(0.0, 1 - 20 * t)

    def stops(t, z):
        return np.where(t < 0.1, -10, 0) * z

    seen = []

    def counts(t, z):
        seen.append(t)
        return -10 * z if len(seen) % 7 < 4 else -z

    wrong = [
        (lambda t, z: 0 * z, "What pulls them together"),
        (lambda t, z: -z, "is left"),
        (lambda t, z: 10 * z, "as far apart"),
        (lambda t, z: -20 * z, "a weaker pull"),
        (lambda t, z: -13 * z, "is left"),
        (lambda t, z: -9.5 * z, "is left"),  # each of its Euler steps can be undone
        (lambda t, z: -10 * np.tanh(z), "is left"),  # as can these
        (lambda t, z: -10 * z * (1 + 5 * np.sin(400 * np.pi * t) ** 2), "by more than a million"),
        (lambda t, z: -1e4 * z, ""),
        (lambda t, z: -1e200 * z, "overflow"),
        (lambda t, z: -10 * z**3, "overflow"),
        (lambda t, z: np.stack([-(10 + 20 * t) * z[:, 0], -10 * (1 - t) * z[:, 1]], 1), "by more than a million"),
        (lambda t, z: -10 * (z - z.mean(0)), "one point at a time"),
        (lambda t, z: -10 * z[:, :1], "as many as z has"),
        (lambda t, z: np.random.default_rng().normal(size=np.shape(z)), "something else"),
        (counts, ""),
        (lambda t, z: "pull", "as many as z has"),
        (lambda t, z: z / 0 * np.nan, "finite"),
        (lambda z: -10 * z, "raises TypeError"),
        lambda t, z: -10 * z * np.array([1, 0]),
        lambda t, z: -10 * z * (t < 0.05) - 1e3 * z * (t >= 0.05),
    ]
    graded(
        EXERCISES["4.5"], [pull, soon, fades, stops, to_a_place, each_axis, lambda t, z: torch.tensor(-10 * z)], wrong
    )


def test_what_flow_matching_learns():
    def right(z0, x1, t):
        return z0 + t * (x1 - z0), x1 - z0

    def as_numpy(z0, x1, t):
        return [x.numpy() for x in right(z0, x1, t)]

    def lerped(z0, x1, t):
        return torch.lerp(z0, x1, t), torch.sub(x1, z0)

    wrong = [
        (lambda z, x, t: (t * z + (1 - t) * x, z - x), "turned round"),
        (lambda z, x, t: (z + t * (x - z), z - x), "less where from"),
        (lambda z, x, t: (z + t * (x - z), t * (x - z)), "every time"),
        lambda z, x, t: (z + 0.5 * (x - z), x - z),
        lambda z, x, t: (z + t * (x - z), (x - z).mean(0)),
        lambda z, x, t: z + t * (x - z),
        lambda z, x, t: (x - z, z + t * (x - z)),
        lambda z, x, t: (z + t.mean() * (x - z), x - z),
    ]
    graded(EXERCISES["4.6"], [right, as_numpy, lerped], wrong)


def test_the_score_in_the_velocity():
    def right(z, v, t):
        return -(z - t * v) / (1 - t)

    wrong = [
        (lambda z, v, t: z - t * v, "itself"),
        (lambda z, v, t: z + (1 - t) * v, "datum expected"),
        (lambda z, v, t: (z - t * v) / (1 - t), "points back"),
        lambda z, v, t: (t * v - z) / (1 - t) ** 2,
        lambda z, v, t: -z,
        lambda z, v, t: ((1 - t) * v - z) / t,
        lambda z, v, t: (v - z) / (1 - t),
    ]
    graded(
        EXERCISES["4.7"], [right, lambda z, v, t: right(z, v, t).tolist(), lambda *a: torch.tensor(right(*a))], wrong
    )


def test_the_score_is_right_where_it_is_known():
    """Data from a Gaussian of deviation s around m: p_t is a Gaussian, and so are the conditional means."""
    m, s, t = 1.5, 0.4, 0.7
    z = np.linspace(-2, 3, 7)
    variance = (1 - t) ** 2 + t**2 * s**2
    z0, x1 = ((z - t * m) * share / variance + mean for share, mean in (((1 - t), 0.0), (t * s**2, m)))
    assert np.allclose((1 - t) * z0 + t * x1, z)
    assert EXERCISES["4.7"].right(z, x1 - z0, t) == pytest.approx(-(z - t * m) / variance, rel=1e-12)


def test_all_of_them():
    every_exercise_is_graded(EXERCISES, [EXERCISES[name].name for name in TRIED])
