"""Chapter 2's exercises: right answers of several forms pass, plausible wrong ones fail and get their hint."""

import math
from typing import Any

import autograd
import autograd.numpy
import numpy as np
import pytest
import torch

from nodelib import one_page
from nodelib.chapters.chapter2 import algorithms, calculus, forms, programs, suspects
from nodelib.chapters.chapter2.exercises import EXERCISES
from nodelib.chapters.chapter2.free_steps import (
    TOLERANCES,
    error,
    fixed_pair,
    free_differences,
    paired,
    recorded,
    student,
)
from nodelib.chapters.chapter2.questions import QUESTIONS
from nodelib.common.solution import NonFiniteState
from nodelib.numpy_ode import odeint, odeint_adjoint
from nodelib.numpy_ode.adjoint import join, split
from nodelib.workbook.predict import Choice
from tests.workbook.graded import every_exercise_is_graded, graded, line, remembered

anp: Any = autograd.numpy  # autograd has no stubs
grad: Any = autograd.grad
make_vjp: Any = autograd.make_vjp
TIGHT: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}
exp = np.exp


def solved(func, y0, t0, t1, **settings):
    return odeint(func, y0, [t0, t1], **(settings or TIGHT))[-1]


def slope(value, at, d=1e-4):
    return (8 * (value(at + d) - value(at - d)) - (value(at + 2 * d) - value(at - 2 * d))) / (12 * d)


def in_forms(right):
    """A right answer's results as a list, an array, a tensor, a generator, and one by one as 0-d arrays."""
    return [
        lambda *x: [*right(*x)],
        lambda *x: np.array(right(*x)),
        lambda *x: torch.tensor(right(*x)),
        lambda *x: (result for result in right(*x)),
        lambda *x: [np.array(result) for result in right(*x)],
    ]


def test_times_have_both_signs_and_both_orders():
    for name in ("2.1", "2.3", "2.4"):
        at = 1 if name == "2.4" else -3
        times = [case[at : at + 2] for case in EXERCISES[name].arguments()]
        assert {(t0 > 0, t1 > t0) for t0, t1 in times} == {(a, b) for a in (True, False) for b in (True, False)}


def test_an_adjoint_by_hand():
    def by_solving(z0, lam, t0, t1, t):
        def on(z, s):
            return solved(lambda _, z: lam * z, z, s, t1)

        here = solved(lambda _, z: lam * z, z0, t0, t)
        return on(z0, t0), slope(lambda e: e**2 / 2, on(z0, t0)), slope(lambda z: on(z, t), here), slope(
            lambda z: on(z, t) ** 2 / 2, here)  # fmt: skip

    def backwards(z0, lam, t0, t1, t):
        e, n = z0 * exp(lam * (t1 - t0)), exp(lam * (t - t1))
        return e, e, n, e * n

    def from_zero(z0, lam, t0, t1, t):
        e, n = z0 * exp(lam), exp(lam * (1 - t))
        return e, e, n, e * n

    def half(z0, lam, t0, t1, t):
        e = z0 * exp(lam * (t1 - t0))
        return e, z0**2 / 2, exp(lam * (t1 - t)), e

    def by_taylor(z0, lam, t0, t1, t):
        e, n = (sum(x**k / math.factorial(k) for k in range(5)) for x in (lam * (t1 - t0), lam * (t1 - t)))
        return z0 * e, z0 * e, n, z0 * e * n

    right = calculus.by_hand
    graded(EXERCISES["2.1"], [by_solving, *in_forms(right)], [
        backwards, from_zero, half, by_taylor,
        (lambda z0, lam, t0, t1, t: right(z0, lam, 0, abs(t1 - t0), abs(t1 - t0) - abs(t1 - t)), "have signs"),
        (lambda z0, lam, t0, t1, t: right(z0, lam, min(t0, t1), max(t0, t1), t), "do not exchange"),
        (lambda z0, lam, t0, t1, t: right(z0, lam, abs(t0), t1, t), "no absolute value"),
        (lambda z0, lam, t0, t1, t: right(abs(z0), lam, t0, t1, t)),
        (lambda z0, lam, t0, t1, t: right(z0, abs(lam), t0, t1, t)),
        lambda z0, lam, t0, t1, t: right(z0, lam, t0, t1, np.clip(t, t0, t1)),
        (lambda *x: tuple(map(str, right(*x))), "a text"),
        (lambda *x: dict(enumerate(right(*x))), "a dict"),
        (lambda z0, lam, t0, t1, t: (..., 1.0, 2.0, 3.0), "not written yet"),
        (lambda z0, lam, t0, t1, t: (1.0, 2.0), "2 results where 4 are asked"),
        lambda *x: tuple(-v for v in calculus.by_hand(*x)),
    ])  # fmt: skip


def test_one_step_backwards():
    def as_rows(g, h, J1, J2):
        return tuple(x[None] for x in calculus.midpoint_back(g, h, J1, J2))

    def multiplied_out(g, h, J1, J2):
        dz = g @ (np.eye(len(g)) + h * J2 + h**2 / 2 * J2 @ J1)
        return h * g, h * (g @ J2), h**2 / 2 * np.dot(g, J2), dz

    def by_autograd(g, h, J1, J2):
        m = k = np.zeros(len(g))
        return (grad(lambda k2: anp.dot(g, h * k2))(k), grad(lambda m: anp.dot(g, h * anp.dot(J2, m)))(m),
                grad(lambda k1: anp.dot(g, h * anp.dot(J2, h / 2 * k1)))(k),
                grad(lambda z: anp.dot(g, z + h * anp.dot(J2, z + h / 2 * anp.dot(J1, z))))(k))  # fmt: skip

    def columns(g, h, J1, J2):
        dm = J2 @ (h * g)
        return h * g, dm, h / 2 * dm, g + dm + J1 @ (h / 2 * dm)

    def no_h(g, h, J1, J2):
        dm = g @ J2
        return g, dm, dm / 2, g + dm + dm / 2 @ J1

    def sign(g, h, J1, J2):
        return calculus.midpoint_back(-g, h, J1, J2)

    def other_order(g, h, J1, J2):
        return *calculus.midpoint_back(g, h, J1, J2)[:3], g + h * g @ J2 + h**2 / 2 * g @ J1 @ J2

    def symmetric(g, h, J1, J2):
        return calculus.midpoint_back(g, h, (J1 + J1.T) / 2, (J2 + J2.T) / 2)

    def diagonal(g, h, J1, J2):
        return calculus.midpoint_back(g, h, np.diag(np.diag(J1)), np.diag(np.diag(J2)))

    rows = [
        lambda *x: np.array(as_rows(*x)),
        lambda *x: [torch.tensor(row) for row in as_rows(*x)],
        lambda *x: [row.tolist() for row in as_rows(*x)],
        lambda *x: [np.asmatrix(row) for row in as_rows(*x)],
    ]
    vectors = in_forms(lambda *x: np.array(calculus.midpoint_back(*x)))
    graded(EXERCISES["2.2"], [as_rows, multiplied_out, by_autograd, *rows, *vectors], [
        (columns, "transpose"), no_h, (sign, "sign is flipped"), (other_order, "the first to multiply"),
        (lambda g, h, J1, J2: calculus.midpoint_back(g, h, J1, J1), "not J1"), symmetric, diagonal,
        (lambda *x: tuple(v[:, None] for v in calculus.midpoint_back(*x)), "shape (2, 1)"),
        (lambda g, h, J1, J2: (h * g, ..., ..., ...), "not written yet"),
        (lambda g, h, J1, J2: (h * g, h * g @ J2), "2 results where 4 are asked"),
    ])  # fmt: skip


def test_a_loss_that_mentions_theta():
    def by_solving(z0, theta, mu, t0, t1, t):
        def cost(z, p, s, before=theta):
            return solved(lambda _, z: -z + p, z, s, t1) ** 2

        here = solved(lambda _, z: -z + theta, z0, t0, t)
        end = 2 * mu * theta
        return (slope(lambda z: cost(z, theta, t), here), end, end + slope(lambda p: cost(here, p, t), theta),
                end + slope(lambda p: cost(z0, p, t0), theta))  # fmt: skip

    def no_mention(*x):
        a, m, p, q = calculus.decayed(*x)
        return a, 0, p - m, q - m

    def at_start_only(z0, theta, mu, t0, t1, t):
        a, m, p, _ = calculus.decayed(z0, theta, mu, t0, t1, t)
        return a, m, p, m + (t1 - t0) * a * exp(t0 - t)

    def missing_two(z0, theta, mu, t0, t1, t):
        a, m, p, q = calculus.decayed(z0, theta, mu, t0, t1, t)
        return a, m / 2, p - m / 2, q - m / 2

    def to_zero(z0, theta, mu, t0, t1, t):
        end, m = z0 * exp(t0 - t1), 2 * mu * theta
        return 2 * end * exp(t - t1), m, m + 2 * end * (1 - exp(t - t1)), m + 2 * end * (1 - exp(t0 - t1))

    def half(*x):
        a, m, p, q = calculus.decayed(*x)
        return a / 2, m, m + (p - m) / 2, m + (q - m) / 2

    right = calculus.decayed
    graded(EXERCISES["2.3"], [by_solving, *in_forms(right)], [
        (no_mention, "mentions θ"), at_start_only, missing_two, (to_zero, "runs to θ"), (half, "without a half"),
        (lambda *x: (*right(*x)[:3], right(*x)[2]), "not a_θ(t)"),
        (lambda z0, p, mu, t0, t1, t: right(z0, p, mu, 0, abs(t1 - t0), abs(t1 - t0) - abs(t1 - t)), "have signs"),
        (lambda z0, p, mu, t0, t1, t: right(z0, p, mu, min(t0, t1), max(t0, t1), t), "do not exchange"),
        lambda z0, p, mu, t0, t1, t: right(z0, p, mu, abs(t0), t1, t),
        lambda z0, theta, mu, t0, t1, t: calculus.decayed(z0, theta, mu, 0.0, 1.0, t),
    ])  # fmt: skip


def test_three_time_gradients():
    def by_solving(z0, t0, t1):
        def on(z, s, e):
            return solved(lambda t, z: t * z, z, s, e)

        ends = slope(lambda e: on(z0, t0, e), t1), slope(lambda s: on(z0, s, t1), t0)
        return slope(lambda z: on(z, t0, t1), z0), *ends, slope(lambda d: on(z0, t0 + d, t1 + d), 0.0)

    def exponential(z0, t0, t1):
        a = exp(t1 - t0)
        return a, t1 * a * z0, -t0 * a * z0, (t1 - t0) * a * z0

    def one(result, value):
        def wrong(z0, t0, t1):
            answers = list(calculus.times(z0, t0, t1))
            answers[result] = value(z0, t0, t1, answers[0])
            return tuple(answers)

        return wrong

    graded(EXERCISES["2.4"], [by_solving, *in_forms(calculus.times)], [
        (lambda z0, t0, t1: calculus.times(z0, abs(t0), abs(t1)), "may be negative"),
        (lambda z0, t0, t1: calculus.times(z0, abs(t0), t1), "result 3 has its sign"),
        (lambda z0, t0, t1: calculus.times(z0, *sorted((t0, t1))), "do not exchange"),
        (one(3, lambda z0, t0, t1, a: abs(t1 - t0) * a * z0), "sign of t1 - t0"),
        (one(3, lambda z0, t0, t1, a: (t0 - t1) * a * z0), "not from t1 to t0"),
        lambda z0, t0, t1: calculus.times(z0, 0, t1 - t0),
        lambda z0, t0, t1: calculus.times(abs(z0), t0, t1),
        (exponential, "f_z = t is not constant"),
        (one(0, lambda z0, t0, t1, a: exp(t1 - t0)), "f_z = t is not constant"),
        one(0, lambda z0, t0, t1, a: exp(t1**2 - t0**2)),
        (one(3, lambda z0, t0, t1, a: a * z0), "integrate it"),
        one(3, lambda z0, t0, t1, a: (t1**2 - t0**2) / 2 * a * z0),
        (one(2, lambda z0, t0, t1, a: t0 * a * z0), "pushed back"),
        one(1, lambda z0, t0, t1, a: t1 * z0),
        one(2, lambda z0, t0, t1, a: -t0 * z0),
    ])  # fmt: skip


def by_readers_tolerance(func, z_end, g, t0, t1, params):
    """Algorithm 1 with the library's default tolerances, and results in a list with a tuple."""
    like = [z_end, g, *params]

    def augmented(s, state):
        z, a, *_ = split(state, like)
        pull, f = make_vjp(lambda z, *p: func(s, z, *p), tuple(range(1 + len(params))))(z, *params)
        return -join([-f, *pull(a)])

    z, a, *dp = split(odeint(augmented, join([z_end, g, *[0 * p for p in params]]), [t1, t0])[-1], like)
    return [z, a, tuple(dp)]


def test_algorithm_1():
    def with_euler(func, z_end, g, t0, t1, params):
        a = g
        for s in np.linspace(t1, t0, 11)[:-1]:
            pull, _ = make_vjp(lambda z, s=s: func(s, z, *params))(z_end)
            a = a + (t1 - t0) / 10 * pull(a)
        return z_end, a, [0 * p for p in params]

    @remembered
    def rough(*x):
        return algorithms.algorithm_1(*x, algorithms.ROUGH)  # type: ignore

    def no_theta(*x):
        z, a, dp = rough(*x)
        return z, a, [0 * p for p in dp]

    def theta_at_start(func, z_end, g, t0, t1, params):
        z, a, dp = rough(func, z_end, g, t0, t1, params)
        pulls = [make_vjp(func, 2 + k)(t0, z, *params)[0](a) for k in range(len(dp))]
        return z, a, [(t1 - t0) * pull for pull in pulls]

    def two_parameters(func, z_end, g, t0, t1, params):
        W, b = params
        return rough(func, z_end, g, t0, t1, [W, b])

    def vectors_only(func, z_end, g, t0, t1, params):
        return rough(func, z_end, g, t0, t1, params) if z_end.ndim == 1 else (z_end, g, params)

    def by_library(func, z_end, g, t0, t1, params):
        z0 = solved(lambda s, z: func(s, z, *params), z_end, t1, t0)

        def value(z, p):
            return anp.sum(g * odeint_adjoint(func, z, [t0, t1], adjoint_params=p)[-1])

        return z0, *grad(value, (0, 1))(z0, tuple(params))

    def by_page(func, z_end, g, t0, t1, params):
        z0 = solved(lambda s, z: func(s, z, *params), z_end, t1, t0)
        dz0, _, dparams = one_page.gradients(func, np.stack([z0, z_end]), [t0, t1], params, [0 * g, g], 1e-8, 1e-9)
        return z0, dz0, dparams

    def by_backpropagation(func, z_end, g, t0, t1, params):
        z0 = solved(lambda s, z: func(s, z, *params), z_end, t1, t0)

        def value(z, p):
            return anp.sum(g * solved(lambda s, z: func(s, z, *p), z, t0, t1))

        return z0, *grad(value, (0, 1))(z0, tuple(params))

    forms = [
        lambda *x: (part for part in rough(*x)),
        lambda *x: (*rough(*x)[:2], iter(rough(*x)[2])),
        lambda *x: [torch.tensor(rough(*x)[0]), rough(*x)[1].tolist(), [torch.tensor(p) for p in rough(*x)[2]]],
        lambda *x: (*rough(*x)[:2], np.concatenate([np.ravel(p) for p in rough(*x)[2]])),
    ]
    graded(EXERCISES["2.5"], [algorithms.algorithm_1, by_readers_tolerance, *forms], [
        with_euler, no_theta, theta_at_start, two_parameters, vectors_only,
        (by_library, "the library's adjoint does all of it"), (by_page, "the library's adjoint does all of it"),
        (lambda f, z, g, t0, t1, p: rough(f, z, g, *sorted((t0, t1)), p), "do not put the times in order"),
        (by_backpropagation, "backpropagation through a solve"),
        lambda f, z, g, t0, t1, p: rough(f, z, g, abs(t0), t1, p),
        (lambda *x: rough(*x)[:2], "2 results where 3 are asked"),
        (lambda func, z_end, g, t0, t1, params: (z_end, ..., ...), "not written yet"),
        (lambda func, z_end, g, t0, t1: None, "called with 6 arguments"),
        (lambda *x: None, "not written yet"),
    ])  # fmt: skip


def test_the_inputs_leave_no_room():
    one = EXERCISES["2.5"].arguments()
    assert {case[0].__name__ for case in one} == {"turning", "chain", "crowd", "lone"}
    assert {(case[3] > 0, case[4] > case[3]) for case in one} == {(a, b) for a in (True, False) for b in (True, False)}
    assert {len(case[5]) for case in one} == {1, 2, 3}
    assert {case[1].ndim for case in one} == {0, 1, 2}
    for name in ("2.8", "2.9"):
        several = EXERCISES[name].arguments()
        assert {len(case[2]) for case in several} == {3, 4}
        assert {case[2][1] > case[2][0] for case in several} == {True, False}
        assert {bool(algorithms.from_stored(*case)[1][0] > 0) for case in several} == {True, False}


def test_what_later_cells_run_on_is_the_readers_or_the_librarys():
    assert EXERCISES.usable("2.5", by_readers_tolerance) is by_readers_tolerance
    assert EXERCISES.usable("2.5", lambda *x: None) is algorithms.algorithm_1


def test_a_running_cost():
    def by_autograd(func, z_end, t0, t1):
        z0, shape = solved(func, z_end, t1, t0), np.shape(z_end)

        def collected(z):
            def both(t, s):
                return anp.append(anp.ravel(func(t, anp.reshape(s[:-1], shape))), anp.sum(s[:-1] ** 2) / 2)

            return odeint(both, anp.append(anp.ravel(z), 0.0), [t0, t1], **TIGHT)[-1][-1]

        return grad(collected)(z0)

    def whole_square(func, z_end, t0, t1):
        return 2 * right(func, z_end, t0, t1)

    right = remembered(algorithms.running_cost)
    forms = [lambda *x: right(*x).tolist(), lambda *x: torch.tensor(right(*x)), lambda *x: (right(*x),)]

    def from_zero_to_one(func, z_end, t0, t1):
        """The same in the time s from 0 to 1 on the way back."""
        like, h = [z_end, z_end], t1 - t0

        def both(s, state):
            z, a = split(state, like)
            pull, f = make_vjp(lambda z: func(t1 - s * h, z))(z)
            return h * join([-f, pull(a) + z])

        return split(solved(both, join([z_end, 0 * z_end]), 0.0, 1.0), like)[1]

    graded(EXERCISES["2.6"], [from_zero_to_one, *forms], [
        (by_autograd, "backpropagation through a solve"),
        (lambda func, z_end, t0, t1: right(func, z_end, *sorted((t0, t1))), "do not put the times in order"),
        lambda func, z_end, t0, t1: right(func, z_end, abs(t0), t1),
        lambda func, z_end, t0, t1: right(lambda t, z: func(t1, z), z_end, t0, t1),
        lambda func, z_end, t0, t1: right(func, z_end, t0, t1) if z_end.ndim == 1 else z_end,
        whole_square, lambda *x: -right(*x), (lambda *x: None, "not written yet"),
        lambda func, z_end, t0, t1: z_end,
    ])  # fmt: skip


def several_outputs(func, y0, t, params, g):
    """§ 2.5's function, which has another second argument."""
    ys = odeint(lambda s, y: func(s, y, *params), y0, t, **TIGHT)
    return algorithms.from_stored(func, ys, t, params, g)


def test_repairs():
    def patched_a(func, ys, t, params, g):
        a, dt, total = g[-1], np.zeros(len(t)), [np.zeros_like(p) for p in params]
        for i in range(len(t) - 1, 0, -1):
            dt[i] = np.sum(g[i] * func(t[i], ys[i], *params))
            _, a, part = by_readers_tolerance(func, ys[i], a, t[i - 1], t[i], params)
            total = [x + y for x, y in zip(total, part, strict=True)]
            a = a + g[i - 1]
        dt[0] = -np.sum((a - g[0]) * func(t[0], ys[0], *params))
        return a, list(dt), tuple(total)

    right = remembered(algorithms.from_stored)

    def two_parameters(func, ys, t, params, g):
        W, b = params
        return right(func, ys, t, [W, b], g)

    def three_outputs(func, ys, t, params, g):
        return right(func, ys[:3], t[:3], params, g[:3])

    def start(change):
        def wrong(*x):
            dy0, dt, dparams = right(*x)
            return dy0, np.array([change(dt), *dt[1:]]), dparams

        return wrong

    def simpson(func, ys, t, params, g):
        (dy0, dt, _), total, a = right(func, ys, t, params, g), [0 * p for p in params], 0 * g[-1]
        for i in range(len(t) - 1, 0, -1):
            h, z, a = t[i] - t[i - 1], ys[i], a + g[i]
            for part, weight in ((0.0, 1), (0.5, 4), (1.0, 1)):
                s = t[i] - part * h
                if part:
                    z, a, _ = algorithms.algorithm_1(func, z, a, s, s + h / 2, params, algorithms.ROUGH)
                pulls = [make_vjp(func, 2 + k)(s, z, *params)[0](a) for k in range(len(params))]
                total = [x + weight * h / 6 * pull for x, pull in zip(total, pulls, strict=True)]
        return dy0, dt, total

    forms = [
        lambda *x: (part for part in right(*x)),
        lambda *x: [torch.tensor(right(*x)[0]), right(*x)[1].tolist(), iter(right(*x)[2])],
    ]
    graded(EXERCISES["2.8"], [patched_a, right, *forms], [
        (suspects.suspect_a, "as it was"), suspects.suspect_c, several_outputs, simpson, two_parameters, three_outputs,
        lambda func, ys, t, params, g: right(func, ys, np.sort(t), params, g),
        lambda func, ys, t, params, g: right(func, ys, np.abs(t), params, g),
        lambda *x: None,
    ])  # fmt: skip
    graded(EXERCISES["2.9"], [patched_a, right, *forms], [
        (suspects.suspect_b, "as it was"), suspects.suspect_a, three_outputs,
        *map(start, (lambda dt: abs(dt[0]), lambda dt: -abs(dt[0]), lambda dt: 0.0, lambda dt: -sum(dt[1:]))),
    ])  # fmt: skip


def test_the_suspects_are_the_mistakes():
    for suspect, mistake in ((suspects.suspect_a, algorithms.frozen_theta), (suspects.suspect_b, algorithms.one_sign)):
        case = programs.REPAIR_A.arguments()[0]
        for x, y in zip(suspect(*case), mistake(*case), strict=True):
            np.testing.assert_allclose(forms._vector(x), forms._vector(y), rtol=1e-4)


def fast_and_slow(t: Any, z: Any) -> Any:
    return anp.array([-40 * (z[0] - z[1]), anp.tanh(3 * z[0])])


def oscillator(t: Any, z: Any) -> Any:
    return anp.array([z[1], 5 * (1 - z[0] ** 2) * z[1] - z[0]])


def test_break_it():
    def circle(t, z):
        return anp.array([z[1], -z[0]])

    def fast_and_straight(t, z):
        return anp.array([-30 * (z[0] - z[1]), -z[0]])

    def given(*answer):
        return lambda: answer

    def swapped(t, z):
        return oscillator(t, z[::-1])[::-1]

    def unseen(t, z):  # x as a plain number, whose part in the gradient autograd cannot know
        return anp.array([-40 * (float(getattr(z, "_value", z)[0]) - z[1]), anp.tanh(3 * z[0])])

    def straight(rate):
        return lambda t, z: anp.array([-rate * (z[0] - z[1]), -z[0]])

    start = torch.tensor([1.0, 0.1], dtype=torch.float64)
    forms = [
        given(fast_and_slow, [1.0, 0.1], 1.0),
        lambda: (part for part in (fast_and_slow, start, np.array(1))),
        given(lambda t, z: anp.array([-40 * (z[0] - z[1]), z[0] ** 2 / 2]), (1.0, 0.5), 1),
    ]
    graded(EXERCISES["2.7"], forms, [
        (given(oscillator, np.array([2.0, 0.0]), 8), "Van der Pol's field"),
        (given(swapped, [0.0, 2.0], 8), "Van der Pol's field"),
        (given(unseen, [1.0, 0.1], 1.0), "that autograd does not see"),
        (given(straight(400), [1.0, 1.0], 1.0), "f_z is the same"),
        (given(straight(800), [1.0, 1.0], 1.0), "f_z is the same"),
        (given(lambda t, z: -20 * z, [1.0], 1.0), "the solve forwards is off"),
        (given(fast_and_straight, [1.0, 1.0], 1.0), "f_z is the same"),
        (given(circle, [1.0, 0.0], 3.0), "f_z is the same"),
        (given(lambda t, z: -(z**3), [1.0], 1.0), "z comes back"),
        (given(lambda t, z: z**2, [1.0], 1.5), "fails already"),
        (given(..., [1.0], 1.0), "not written yet"),
        (given(circle, [1.0]), "three results"),
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: None, "not written yet"),
    ])  # fmt: skip


def test_every_exercise_is_tried():
    every_exercise_is_graded(EXERCISES, EXERCISES.exercises)
    tried = {name.split()[0] for name in EXERCISES.exercises}
    assert tried == {f"2.{k}" for k in range(1, 10)}


@pytest.mark.parametrize("name", EXERCISES.exercises)
@pytest.mark.parametrize("answer", [None, 3.0, "a", lambda *x: "a", lambda *x: [1, ...]])
def test_whatever_comes_one_sentence_is_said(name, answer):
    assert line(EXERCISES[name], answer).startswith("✗")


# --- what the chapter says of adaptive steps, and its questions -------------------------------------------------------


def test_with_free_steps_neither_gradient_is_that_of_the_loss():
    for tolerance in TOLERANCES[1:4]:
        assert error("backprop", "held", tolerance) < 1e-9
        assert min(error(way, "free", tolerance) for way in ("backprop", "adjoint")) > tolerance
    near = [error("backprop", "free", 1e-2, seed) < 1e-2 / 2 for seed in range(10)]
    assert sum(near) == 6  # so the chapter says of its one network only that neither is within half the tolerance
    coarse, fine = (free_differences(1e-3, h=h) for h in (1e-4, 1e-5))
    assert np.linalg.norm(coarse - fine) < 1e-5 * np.linalg.norm(fine)  # nothing of the error is the differences'


def test_pairs_are_the_adjoint_over_backpropagation():
    ratios = paired("flow", 1e-3, seeds=2)
    assert ratios[1] == pytest.approx(error("adjoint", "flow", 1e-3, 1) / error("backprop", "flow", 1e-3, 1))
    assert np.sign(student(ratios)) == np.sign(np.log(ratios).mean())
    assert recorded("flow", 1e-3)[:2] == pytest.approx(ratios, rel=1e-4)  # the record is of these very networks
    assert recorded("fixed", "euler")[:2] == pytest.approx([fixed_pair("euler", seed) for seed in (0, 1)], rel=1e-4)
    assert recorded("free", 1e-3)[:1] == pytest.approx(paired("free", 1e-3, seeds=1), rel=1e-3)


def test_a_lost_state_hurts_no_gradient_where_the_jacobian_is_constant_until_it_overflows():
    def gradient(rate):
        return grad(lambda z: odeint_adjoint(lambda t, z: -rate * z, z, [0.0, 1.0], rtol=1e-6, atol=1e-6)[-1])(1.0)

    assert gradient(20.0) == pytest.approx(exp(-20), rel=0.01)
    with pytest.raises(NonFiniteState), np.errstate(all="ignore"):
        gradient(800.0)


def test_the_questions():
    for key, question in QUESTIONS.questions.items():
        if isinstance(question, Choice):
            assert question.options[question.right] not in question.question, key
    assert "W₁₂, or b₁" in QUESTIONS.questions["2.4 half"].question  # of W₁₁ it would be less than half
    assert QUESTIONS.questions["2.1"].counts(40_011)
    assert not QUESTIONS.questions["2.1"].counts(411)
