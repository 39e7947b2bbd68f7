"""Chapter 2's exercises: right answers of several forms pass, plausible wrong ones fail and get their hint."""

from typing import Any

import autograd
import autograd.numpy
import numpy as np
import pytest

from nodelib.chapters.chapter2 import algorithms, calculus, programs, suspects
from nodelib.chapters.chapter2.exercises import EXERCISES
from nodelib.chapters.chapter2.free_steps import TOLERANCES, error, free_differences, paired
from nodelib.chapters.chapter2.questions import QUESTIONS
from nodelib.numpy_ode import odeint
from nodelib.numpy_ode.adjoint import join, split
from nodelib.workbook.predict import Choice
from tests.workbook.graded import every_exercise_is_graded, graded, line

anp: Any = autograd.numpy  # autograd has no stubs
grad: Any = autograd.grad
make_vjp: Any = autograd.make_vjp
TIGHT: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}
exp = np.exp


def solved(func, y0, t0, t1, **settings):
    return odeint(func, y0, [t0, t1], **(settings or TIGHT))[-1]


def slope(value, at, d=1e-4):
    return (8 * (value(at + d) - value(at - d)) - (value(at + 2 * d) - value(at - 2 * d))) / (12 * d)


def test_an_adjoint_by_hand():
    def by_solving(z0, lam, t0, t1, t):
        def on(z, s):
            return solved(lambda _, z: lam * z, z, s, t1)

        here = solved(lambda _, z: lam * z, z0, t0, t)
        return on(z0, t0), slope(lambda e: e**2 / 2, on(z0, t0)), slope(lambda z: on(z, t), here), slope(
            lambda z: on(z, t) ** 2 / 2, here)  # fmt: skip

    def listed(z0, lam, t0, t1, t):
        return [*calculus.by_hand(z0, lam, t0, t1, t)]

    def backwards(z0, lam, t0, t1, t):
        e, n = z0 * exp(lam * (t1 - t0)), exp(lam * (t - t1))
        return e, e, n, e * n

    def from_zero(z0, lam, t0, t1, t):
        e, n = z0 * exp(lam), exp(lam * (1 - t))
        return e, e, n, e * n

    def half(z0, lam, t0, t1, t):
        e = z0 * exp(lam * (t1 - t0))
        return e, z0**2 / 2, exp(lam * (t1 - t)), e

    graded(EXERCISES["2.1"], [by_solving, listed], [
        backwards, from_zero, half,
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

    graded(EXERCISES["2.2"], [as_rows, multiplied_out, by_autograd], [
        (columns, "transpose"), no_h, (sign, "sign is flipped"),
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

    graded(EXERCISES["2.3"], [by_solving, lambda *x: np.array(calculus.decayed(*x))], [
        (no_mention, "mentions θ"), at_start_only, missing_two,
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

    graded(EXERCISES["2.4"], [by_solving, lambda *x: [*calculus.times(*x)]], [
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

    def no_theta(*x):
        z, a, dp = algorithms.algorithm_1(*x, algorithms.ROUGH)  # type: ignore
        return z, a, [0 * p for p in dp]

    def theta_at_start(func, z_end, g, t0, t1, params):
        z, a, dp = algorithms.algorithm_1(func, z_end, g, t0, t1, params, algorithms.ROUGH)
        pulls = [make_vjp(func, 2 + k)(t0, z, *params)[0](a) for k in range(len(dp))]
        return z, a, [(t1 - t0) * pull for pull in pulls]

    graded(EXERCISES["2.5"], [algorithms.algorithm_1, by_readers_tolerance], [
        with_euler, no_theta, theta_at_start,
        (lambda *x: algorithms.algorithm_1(*x, algorithms.ROUGH)[:2], "2 results where 3 are asked"),  # type: ignore
        (lambda func, z_end, g, t0, t1, params: (z_end, ..., ...), "not written yet"),
        (lambda func, z_end, g, t0, t1: None, "called with 6 arguments"),
        (lambda *x: None, "not written yet"),
    ])  # fmt: skip


def test_the_inputs_leave_no_room():
    one = EXERCISES["2.5"].arguments()
    assert {case[0].__name__ for case in one} == {"turning", "chain"}
    assert all(case[3] > 0.1 for case in one)


def test_what_later_cells_run_on_is_the_readers_or_the_librarys():
    assert EXERCISES.usable("2.5", by_readers_tolerance) is by_readers_tolerance
    assert EXERCISES.usable("2.5", lambda *x: None) is algorithms.algorithm_1


def test_a_running_cost():
    def by_autograd(func, z_end, t0, t1):
        z0 = solved(func, z_end, t1, t0)

        def collected(z):
            def both(t, s):
                return anp.append(func(t, s[:-1]), anp.sum(s[:-1] ** 2) / 2)

            return odeint(both, anp.append(z, 0.0), [t0, t1], **TIGHT)[-1][-1]

        return grad(collected)(z0)

    def whole_square(func, z_end, t0, t1):
        return 2 * algorithms.running_cost(func, z_end, t0, t1)

    graded(EXERCISES["2.6"], [by_autograd, lambda *x: [*algorithms.running_cost(*x)]], [
        whole_square, lambda *x: -algorithms.running_cost(*x), (lambda *x: None, "not written yet"),
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

    wrong = [several_outputs, suspects.suspect_a, suspects.suspect_b, suspects.suspect_c, lambda *x: None]
    graded(EXERCISES["2.8"], [patched_a, algorithms.from_stored], [*wrong, (suspects.suspect_a, "as it was")])
    graded(EXERCISES["2.9"], [patched_a, algorithms.from_stored], [*wrong, (suspects.suspect_b, "as it was")])


def test_the_suspects_are_the_mistakes():
    for suspect, mistake in ((suspects.suspect_a, algorithms.frozen_theta), (suspects.suspect_b, algorithms.one_sign)):
        case = programs.REPAIR_A.arguments()[0]
        for x, y in zip(suspect(*case), mistake(*case), strict=True):
            np.testing.assert_allclose(programs._vector(x), programs._vector(y), rtol=1e-4)


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

    graded(EXERCISES["2.7"], [given(fast_and_slow, [1.0, 0.1], 1.0), given(oscillator, np.array([2.0, 0.0]), 8)], [
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
    coarse, fine = (free_differences(1e-3, h=h) for h in (1e-4, 1e-5))
    assert np.linalg.norm(coarse - fine) < 1e-5 * np.linalg.norm(fine)  # nothing of the error is the differences'


def test_pairs_are_the_adjoint_over_backpropagation():
    ratios, t_value = paired("flow", 1e-3, seeds=2)
    assert ratios[1] == pytest.approx(error("adjoint", "flow", 1e-3, 1) / error("backprop", "flow", 1e-3, 1))
    assert np.sign(t_value) == np.sign(np.log(ratios).mean())


def test_the_questions():
    for key, question in QUESTIONS.questions.items():
        if isinstance(question, Choice):
            assert question.options[question.right] not in question.question, key
    assert QUESTIONS.questions["2.1"].counts(40_011)
    assert not QUESTIONS.questions["2.1"].counts(411)
