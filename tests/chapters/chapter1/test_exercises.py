"""Right answers of several forms pass, plausible wrong ones fail, and those that are known get their sentence."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq, newton, root_scalar

from nodelib.chapters.chapter1 import exercises as book
from nodelib.numpy_ode import odeint
from tests.workbook.graded import every_exercise_is_graded, graded, line

# --- 1.1 -------------------------------------------------------------------------------------------------------------


def euler_by_index(f, z, times):
    states = np.zeros((len(times), len(z)))
    states[0] = z
    for k in range(1, len(times)):
        h = times[k] - times[k - 1]
        states[k] = states[k - 1] + h * f(times[k - 1], states[k - 1])
    return states


def euler_as_list(f, z, times):
    states = [z]
    for h, t in zip(np.diff(times), times, strict=False):
        states += [states[-1] + f(t, states[-1]) * h]
    return states


def euler_in_place(f, z, times):
    states = [z]
    for t, later in pairwise(times):
        z += (later - t) * f(t, z)
        states.append(z)
    return np.array(states)


def euler_backwards_in_time(f, z, times):
    states = [z]
    for t, later in pairwise(times):
        states.append(states[-1] + (t - later) * f(t, states[-1]))
    return np.array(states)


def euler_swapped(f, z, times):
    states = [z]
    for t, later in pairwise(times):
        states.append(states[-1] + (later - t) * f(states[-1], t))
    return np.array(states)


def euler_in_columns(f, z, times):
    return book.euler(f, z, times).T


def euler_without_skip(f, z, times):
    states = [z]
    for t, later in pairwise(times):
        states.append((later - t) * f(t, states[-1]))
    return np.array(states)


def euler_from_the_library(f, z, times):
    return odeint(f, z, times, method="euler")


def euler_by_library_steps(f, z, times):
    states = [z]
    for step in pairwise(times):
        states.append(odeint(f, states[-1], np.array(step), method="euler")[-1])
    return np.array(states)


def euler_as_generator(f, z, times):
    for t, later in pairwise(times):
        yield z
        z = z + (later - t) * f(t, z)
    yield z


def euler_once(calls=[]):  # noqa: B006
    """Right when it is first tried, and never again."""

    def answer(f, z, times):
        calls.append(times)
        if len(calls) > 6:
            raise RuntimeError("used up")
        return book.euler(f, z, times)

    return answer


# --- 1.2 -------------------------------------------------------------------------------------------------------------


def back_by_powers(c, h, n):
    return (1 - c * h) ** n * (1 + c * h) ** n


def back_by_logarithm(c, h, n):
    return np.exp(n * np.log1p(-((c * h) ** 2)))


def back_by_complex_logarithm(c, h, n):
    return np.exp(n * np.log(1 - (c * h) ** 2 + 0j)).real


def back_as_list(c, h, n):
    return [(1 - a * a * b * b) ** k for a, b, k in zip(c, h, n, strict=True)]


def back_by_walking(c, h, n):
    u = 1.0
    for _ in range(n):
        u -= c * h * u
    for _ in range(n):
        u += c * h * u
    return u


# --- 1.3 -------------------------------------------------------------------------------------------------------------


def slopes_with_b(f, t, u, h, c):
    b = 1 / (2 * c)
    k1 = f(t, u)
    return u + h * (1 - b) * k1 + h * b * f(t + c * h, u + c * h * k1)


def slopes_by_correction(f, t, u, h, c):
    k1 = f(t, u)
    return u + h * k1 + h / (2 * c) * (f(t + c * h, u + c * h * k1) - k1)


def slopes_at_time_zero(f, t, u, h, c):
    return book.two_slopes(lambda s, v: f(0, v), t, u, h, c)


def slopes_second_reads_start(f, t, u, h, c):
    k1 = f(0, u)
    return u + h * ((1 - 1 / (2 * c)) * k1 + f(t + c * h, u + c * h * k1) / (2 * c))


def slopes_without_h(f, t, u, h, c):
    k1 = f(t, u)
    return u + h * ((1 - 1 / (2 * c)) * k1 + f(t + c * h, u + c * k1) / (2 * c))


def slopes_for_large_c(f, t, u, h, c):
    return book.two_slopes(f, t, u, h, max(c, 0.3))


def slopes_for_c_below(limit):
    return lambda f, t, u, h, c: book.two_slopes(f, t, u, h, min(c, limit))


def slopes_for_arrays(f, t, u, h, c):
    return u.copy() + h * ((1 - 1 / (2 * c)) * f(t, u) + f(t + c * h, u + c * h * f(t, u)) / (2 * c))


def slopes_of_vectors(f, t, u, h, c):
    k = np.array([f(t, u), f(t + c * h, u + c * h * f(t, u))])
    return u + h * (np.linalg.solve([[1, 1], [0, c]], [1, 1 / 2]) @ k)


def slopes_clipped(f, t, u, h, c):
    b = np.clip(1 / (2 * c), 0, 1)
    k1 = f(t, u)
    return u + h * ((1 - b) * k1 + b * f(t + c * h, u + c * h * k1))


def classical_runge_kutta(f, t, u, h, c):
    k1 = f(t, u)
    k2 = f(t + h / 2, u + h / 2 * k1)
    k3 = f(t + h / 2, u + h / 2 * k2)
    return u + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(t + h, u + h * k3))


# --- 1.4 -------------------------------------------------------------------------------------------------------------


def weights_by_lagrange(c):
    b = []
    for i in range(3):
        j, k = (m for m in range(3) if m != i)
        b.append((1 / 3 - (c[j] + c[k]) / 2 + c[j] * c[k]) / ((c[i] - c[j]) * (c[i] - c[k])))
    return b


def weights_by_vander(c):
    return np.linalg.inv(np.vander(c, 3, increasing=True).T) @ np.array([1, 1 / 2, 1 / 3])


# --- 1.5 -------------------------------------------------------------------------------------------------------------


def trapezoid_until_it_stays(f, dfdu, t, u, h):
    x, old = u, np.inf
    while abs(x - old) > 1e-13:
        old = x
        x = x - (x - u - h / 2 * (f(t, u) + f(t + h, x))) / (1 - h / 2 * dfdu(t + h, x))
    return x


def trapezoid_by_bisection(f, dfdu, t, u, h):
    low, high, x = -10.0, 10.0, 0.0
    for _ in range(200):
        x = (low + high) / 2
        low, high = (x, high) if x - u - h / 2 * (f(t, u) + f(t + h, x)) < 0 else (low, x)
    return x


def trapezoid_by_brent(f, dfdu, t, u, h):
    return brentq(lambda x: x - u - h / 2 * (f(t, u) + f(t + h, x)), -10, 10, xtol=1e-14)


def trapezoid_by_secant(f, dfdu, t, u, h):
    """As fast as Newton's method, nearly; dfdu is asked for show."""
    return root_scalar(lambda x: x - u - h / 2 * (f(t, u) + f(t + h, x)), x0=u, x1=0, xtol=1e-14).root + 0 * dfdu(
        t + h, u
    )


def trapezoid_from(start):
    """Newton's method from another place."""

    def step(f, dfdu, t, u, h):
        x = start(f, t, u, h)
        for _ in range(60):
            x = x - (x - u - h / 2 * (f(t, u) + f(t + h, x))) / (1 - h / 2 * dfdu(t + h, x))
        return x

    return step


def trapezoid_to_ten_digits(f, dfdu, t, u, h):
    x, old = u, np.inf
    while not np.isclose(x, old, rtol=1e-10, atol=0):
        old, x = x, x - (x - u - h / 2 * (f(t, u) + f(t + h, x))) / (1 - h / 2 * dfdu(t + h, x))
    return x


def trapezoid_by_scipy_s_newton(f, dfdu, t, u, h):
    return newton(lambda x: x - u - h / 2 * (f(t, u) + f(t + h, x)), u, fprime=lambda x: 1 - h / 2 * dfdu(t + h, x))


def trapezoid_with_one_slope(f, dfdu, t, u, h):
    """The chord method: g' is held at its first value."""
    x, held = u, 1 - h / 2 * dfdu(t + h, u)
    for _ in range(2000):
        x = x - (x - u - h / 2 * (f(t, u) + f(t + h, x))) / held
    return x


def trapezoid_with(derivative, rounds):
    """Newton's method with another g'."""

    def step(f, dfdu, t, u, h):
        x = u
        for _ in range(rounds):
            x = x - (x - u - h / 2 * (f(t, u) + f(t + h, x))) / derivative(dfdu, t, x, h)
        return x

    return step


def trapezoid_twice_asked(f, dfdu, t, u, h):
    """Newton's method in 0-d arrays, f asked twice in each round."""
    x = np.array(u)
    while abs(f(t + h, x) * h / 2 + f(t, u) * h / 2 + u - x) > 1e-10:
        x = x - (x - u - h / 2 * (f(t, u) + f(t + h, x))) / (1 - h / 2 * dfdu(t + h, x))
    return x


def trapezoid_by_fixed_point(f, dfdu, t, u, h, rounds=50):
    x = u
    for _ in range(rounds):
        x = u + h / 2 * (f(t, u) + f(t + h, x))
    return x


def trapezoid_damped_wrongly(f, dfdu, t, u, h):
    x = u
    for _ in range(5):
        x = x - (x - u - h / 2 * (f(t, u) + f(t + h, x))) / (1 - h * dfdu(t + h, x))
    return x


# --- 1.8 -------------------------------------------------------------------------------------------------------------


def clock_by_cosine(omega, h, T):
    a = 2 * np.exp(0.5j * omega * h) * 1j * np.sin(omega * h / 2) / h
    return a, np.exp(-T * (1 - np.cos(omega * h)) / h)


def clock_by_absolute_value(omega, h, T):
    a = (complex(np.cos(omega * h), np.sin(omega * h)) - 1) / h
    return [a, abs(np.exp(a * T))]


def clock_by_root(omega, h, T):
    sine = np.sin(omega * h)
    a = (np.sqrt(1 - sine**2) - 1 + 1j * sine) / h
    return a, np.exp(T * a.real)


TRIED = {
    book.EULER: (
        [euler_by_index, euler_as_list, lambda *a: tuple(euler_as_list(*a)), book.euler],
        [
            (euler_from_the_library, "a library took the steps"), (euler_by_library_steps, "Build it"),
            (euler_as_generator, "a generator"), (euler_once(), "called again, it raises RuntimeError"),
            euler_backwards_in_time, euler_swapped, euler_in_columns, euler_without_skip,
            (euler_in_place, "overwrites"),
            (lambda f, z, times: book.euler(f, z, times)[-1], "Only the last state"),
            (lambda f, z, times: book.euler(lambda t, u: f(0, u), z, times), ""),
            (lambda f, z, times: None, "not written"), (3.0, "a function is asked"), (lambda f, z: z, "arguments"),
        ],
    ),
    book.THERE_AND_BACK: (
        [back_by_powers, back_by_complex_logarithm, back_as_list, book.there_and_back],
        [
            (back_by_logarithm, "no logarithm"), (lambda c, h, n: np.maximum(1 - (c * h) ** 2, 0) ** n, "jumps over 0"),
            (lambda c, h, n: np.abs(1 - (c * h) ** 2) ** n, "keep the sign"),
            (lambda c, h, n: (1 - np.minimum(c * h, 0.9) ** 2) ** n, ""),
            (back_by_walking, "it raises"),
            (lambda c, h, n: 1.0, ""), (lambda c, h, n: np.ones(3), "does not undo"),
            (lambda c, h, n: (1 - h**2) ** n, "The rate c"), lambda c, h, n: (1 + (c * h) ** 2) ** n,
            (lambda c, h, n: -((1 - (c * h) ** 2) ** n), "sign"),
        ],
    ),
    book.TWO_SLOPES: (
        [slopes_with_b, slopes_by_correction, slopes_of_vectors,
         lambda *a: book.two_slopes(*a) if np.ndim(a[2]) == 0 else [*book.two_slopes(*a)], book.two_slopes],
        [
            (slopes_for_c_below(0.9), "inputs"), (slopes_for_c_below(0.99), "inputs"),
            (slopes_for_arrays, "no attribute 'copy'"),
            (lambda *a: np.atleast_1d(book.two_slopes(*a)), "a single number"),
            (slopes_for_large_c, "inputs"), (slopes_clipped, "larger than 1"),
            slopes_at_time_zero, slopes_second_reads_start, slopes_without_h, classical_runge_kutta,
            (lambda f, t, u, h, c: u + h / 2 * (f(t, u) + f(t + h, u + h * f(t, u))), ""),
            (lambda f, t, u, h, c: u + h * f(t + h / 2, u + h / 2 * f(t, u)), ""),
        ],
    ),
    book.WEIGHTS: (
        [weights_by_lagrange, weights_by_vander,
         lambda c: weights_by_vander(np.sort(c))[np.argsort(np.argsort(c))],
         lambda c: (*weights_by_lagrange(c),), book.weights],
        [
            (lambda c: weights_by_vander(np.sort(c))[np.argsort(c)], "Sorted back the wrong way"),
            (lambda c: weights_by_vander(np.sort(c)), "do not sort"), (lambda c: abs(weights_by_vander(c)), "negative"),
            (lambda c: np.clip(weights_by_vander(c), 0, 1), "negative, or larger"),
            (lambda c: np.array([1, 4, 1]) / 6, "Simpson's"), (lambda c: weights_by_vander(c)[::-1], ""),
            (lambda c: np.linalg.solve(np.vander(c, 3), [1, 1 / 2, 1 / 3]), ""), lambda c: weights_by_vander(c)[:2],
        ],
    ),
    book.TRAPEZOID: (
        [trapezoid_until_it_stays, trapezoid_twice_asked, trapezoid_to_ten_digits, trapezoid_by_scipy_s_newton,
         lambda *a: book._implicit(*a, rounds=100), lambda *a: np.array(book.trapezoid_step(*a)), book.trapezoid_step],
        [
            (trapezoid_by_secant, "f is asked at more places"), (trapezoid_with_one_slope, "f is asked at more places"),
            (lambda f, d, *a: trapezoid_by_brent(f, d, *a) + 0 * d(a[0] + a[2], a[1]), "f is asked at more places"),
            (trapezoid_from(lambda f, t, u, h: 0.0), "elsewhere than at u"),
            (trapezoid_from(lambda f, t, u, h: u + h * f(t, u)), "elsewhere than at u"),
            (lambda *a: book._implicit(*a, rounds=10), "after 10 iterations"),
            (trapezoid_by_bisection, "dfdu was never asked"), (trapezoid_by_brent, "dfdu was never asked"),
            *((trapezoid_with(lambda d, t, x, h: 1 - h * d(t + h, x), n), said) for n, said in (
                (10, "weight h/2"), (30, "weight h/2"), (60, "the factor h/2"), (200, "the factor h/2"))),
            *((trapezoid_with(lambda d, t, x, h: 1 - h / 2 * d(t, x), n), said) for n, said in (
                (10, "old time"), (60, "both at (t + h, x)"))),
            (lambda f, d, t, u, h: d(t, u) * 0 + book.trapezoid_step(f, d, t, u, h), "another time than t + h"),
            (lambda *a: book._implicit(*a, rounds=6), "after 6 iterations"),
            (trapezoid_by_fixed_point, "runs away"), (lambda *a: trapezoid_by_fixed_point(*a, rounds=3), "runs away"),
            trapezoid_damped_wrongly,
            (lambda *a: book._implicit(*a, rounds=3), "after 3 iterations"),
            (lambda *a: book._implicit(*a, late=0.0), "old time"),
        ],
    ),
    book.LONGEST: (
        [lambda lam: -2 * lam.real / (lam * lam.conj()).real, lambda lam: -2 * np.real(1 / lam),
         lambda lam: [-2 * x.real / abs(x) ** 2 for x in lam], book.longest_euler_step],
        [(lambda lam: 2 / abs(lam), "circle"), (lambda lam: -2 / lam, ""), (lambda lam: 0.02, ""),
         (lambda lam: 2 * lam.real / abs(lam) ** 2, "sign")],
    ),
    book.CLOCK: (
        [clock_by_cosine, clock_by_absolute_value, lambda *a: np.array(book.clock(*a)), book.clock],
        [(clock_by_root, "loses its sign"),
         (lambda w, h, T: (book.clock(w, h, T)[0], np.exp(T * book.clock(w, h, T)[0])), "z(T) itself"),
         (lambda w, h, T: (book.clock(w, h, T)[0], np.cos(w * T)), ""),
         (lambda w, h, T: book.clock(abs(w), h, T), "backwards"), (lambda w, h, T: book.clock(-w, h, T), "other way"),
         (lambda w, h, T: (1j * w, 1.0), "iω"), (lambda w, h, T: book.clock(w, h, T)[0], "1 result"),
         (lambda w, h, T: book.clock(w, h, T)[::-1], ""), (lambda w, h, T: (np.exp(1j * w * h) - 1, 1.0), "")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("exercise", TRIED, ids=lambda exercise: exercise.name)
def test_right_answers_pass_and_wrong_ones_fail(exercise):
    graded(exercise, *TRIED[exercise])


def test_all_are_tried_and_hint_twice():
    every_exercise_is_graded(book.EXERCISES, [exercise.name for exercise in (*TRIED, book.FOOL)])


# --- 1.6: a field is judged by what dopri5 makes of it ---------------------------------------------------------------


def pulse(t):
    return 20 * np.exp(-(((t - 5) / 0.05) ** 2))


def counting(enough):
    """A field that begins to push once it was asked so often."""
    calls = []

    def field(t, u):
        calls.append(t)
        return float(len(calls) > enough) * u**0

    return field


def remembering(t, u, last=[0.0]):  # noqa: B006
    """A pulse for those who come in short steps."""
    step, last[0] = abs(t - last[0]), t
    return pulse(t) * (step < 0.01)


FIELDS = {
    "fooled": [lambda t, u: pulse(t), lambda t, u: 100.0 * (abs(t - 6) < 0.01),
               lambda t, u: -5 * np.exp(-(((t - 7) / 0.1) ** 2)) - 0.1 * u,
               lambda t, u: [pulse(t)], lambda t, u: np.array(pulse(t)), lambda t, u: int(pulse(t) + 0.5),
               lambda t, u: -pulse(t) - 0.3 * u],
    "solved": [lambda t, u: np.sin(t), lambda t, u: -u + np.cos(t), lambda t, u: 1.0 * (t > 5),
               lambda t, u: 0.0, lambda t, u: 100.0 * (t == 5), lambda t, u: -50 * (u - np.cos(t))],
    "spreading": [lambda t, u: u, lambda t, u: u + pulse(t),
                  lambda t, u: pulse(t) + 2 * np.minimum(u, 0), lambda t, u: -pulse(t) + 2 * np.maximum(u, 0),
                  lambda t, u: pulse(t) + u * (0.5 * max(t - 6, 0) - max(4 - t, 0))],
    "noticed": [lambda t, u: np.sign(np.sin(300 * t)), lambda t, u: pulse(t) + np.sign(np.sin(300 * t))],
    "unsettled": [lambda t, u: u**2 + 1, lambda t, u: 1e3 * (t == 5)],
    "changing": [lambda t, u: np.random.default_rng().normal(), counting(5), counting(50_000), remembering],
    "raising": [lambda t, u: u.missing, lambda t, u: np.ones(2), lambda t: t],
}  # fmt: skip


@pytest.mark.parametrize(("word", "field"), [(word, field) for word, fields in FIELDS.items() for field in fields])
def test_a_field_gets_its_word_and_the_word_its_sentence(word, field):
    said = line(book.FOOL, field)
    assert said.startswith("✓" if word == book.FOOLED else "✗")
    assert word == book.FOOLED or {w: s for s, w in book.FOOL.mistakes}[word] in said
    assert book.FOOLED not in said


@pytest.mark.parametrize("nothing", [lambda t, u: None, lambda t, u: ..., None, ...])
def test_no_field_is_no_answer_yet(nothing):
    assert "not written yet" in line(book.FOOL, nothing)


@pytest.mark.parametrize("word", [book.FOOLED, 1.0, [1.0]])
def test_a_word_is_no_field(word):
    assert "a field is asked" in line(book.FOOL, word)


def test_later_cells_run_on_the_reader_s_answer_once_it_is_right(capsys):
    assert book.yours_or_ours(book.TWO_SLOPES.name, slopes_with_b) is slopes_with_b
    assert "your answer" in capsys.readouterr().out
    for wrong in (None, lambda f, t, u, h, c: None, classical_runge_kutta):
        assert book.yours_or_ours(book.TWO_SLOPES.name, wrong) is book.two_slopes
        assert "the book’s answer" in capsys.readouterr().out
