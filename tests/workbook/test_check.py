"""A check: right answers pass in any form, wrong ones get one line that helps and does not tell."""

import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import autograd
import numpy as np
import pytest
import torch

from nodelib.workbook.check import Exercise, Exercises
from tests.workbook.graded import every_exercise_is_graded, graded, line, tells


def heun(f, t, u, h):
    k = f(t, u)
    return u + h / 2 * (k + f(t + h, u + h * k))


def midpoint(f, t, u, h):
    return u + h * f(t + h / 2, u + h / 2 * f(t, u))


def step_inputs(rng):
    weights = rng.normal(size=(2, 2))

    def f(t, u):
        return weights @ u * np.cos(t)

    return f, rng.uniform(0.5, 2), rng.normal(size=2), rng.uniform(0.1, 0.4)


HINTS = ("Look at both ends.", "The second slope is that at t + h.")
HEUN = Exercise("Heun", heun, step_inputs, [("That is the midpoint method.", midpoint)], HINTS)
THIRD = Exercise("a third", lambda: 1 / 3, None, [("That is its square.", 1 / 9)], HINTS)


def matrix(x):
    return np.outer([1.0, 2.0, 3.0], [x, 1.0, x**2])


MATRIX = Exercise("matrix", matrix, lambda rng: (rng.uniform(1, 2),), hints=HINTS)
SPLIT = Exercise("split", lambda u, v: (u + v, u * v), lambda rng: (rng.uniform(1, 2), rng.normal(size=3)), hints=HINTS)
NAMED = Exercise("verdict", lambda x: "ODE" if x > 0 else "discrete", lambda rng: (rng.normal(),), hints=HINTS)


def changed(f, t, u, h):
    u *= 0  # its own copy
    return u


def mutates(f, t, u, h):
    out = heun(f, t, u, h)
    u[:] = 7
    return out


def prints(f, t, u, h):
    print("here", "there", sep="\n")
    return heun(f, t, u, h)


def warns(f, t, u, h):
    warnings.warn("careful", stacklevel=1)
    return heun(f, t, u, h)


def by_autograd(f, t, u, h):
    return autograd.grad(lambda v: (v * heun(f, t, u, h)).sum())(np.ones(2))  # pyright: ignore[reportCallIssue]


def boxed(f, t, u, h):
    """As a box of autograd, which is what the numbers are inside of grad."""
    kept: list = []

    def loss(v):
        kept.append(v + heun(f, t, u, h) - u)
        return v.sum()

    autograd.grad(loss)(u)  # pyright: ignore[reportCallIssue]
    return kept[0]


def raises(error: BaseException) -> Callable[..., Any]:
    def answer(*_):
        raise error

    return answer


ITSELF: list = []
ITSELF.append(ITSELF)


class Mute(Exception):
    def __str__(self):
        raise ValueError("not even this")


def test_right_answers_pass_in_any_form_and_wrong_ones_are_named():
    as_tensor = lambda *a: torch.tensor(heun(*a), requires_grad=True) * 1  # noqa: E731
    as_list = lambda *a: [torch.tensor(entry) for entry in heun(*a)]  # noqa: E731
    graded(
        HEUN,
        [heun, prints, mutates, warns, by_autograd, boxed, as_tensor, as_list, lambda *a: list(heun(*a))],
        [
            (lambda *a: -heun(*a), "The sign is flipped."),
            (lambda *a: heun(*a) / 2, "It is 0.5 times what is asked"),
            (lambda *a: heun(*a) * 1.001, "It is 1.001 times what is asked"),
            (lambda f, t, u, h: h * heun(f, t, u, h), "The factor h is there once too often."),
            (lambda f, t, u, h: -heun(f, t, u, h) / h, "The factor h is there not often enough, and the sign is"),
            (lambda f, t, u, h: heun(f, 0, u, h), "It does not depend on t."),
            (lambda f, t, u, h: u + h * f(t, u), HINTS[0]),
            (changed, "It does not depend on"),
            (lambda *a: heun(*a) * 1j, "It is a constant times what is asked"),
        ],
    )


def test_what_is_almost_right_is_not_called_once_what_is_asked():
    said = line(HEUN, lambda *a: heun(*a) * (1 + 1e-5))
    assert "off by" in said
    assert "times what is asked" not in said


def test_a_value_is_graded_and_cannot_be_copied_from_what_is_said():
    graded(
        THIRD,
        [1 / 3, Fraction(1, 3), np.float64(1 / 3), torch.tensor(1 / 3, dtype=torch.float64), np.array(1 / 3)],
        [
            (1 / 9, "That is its square."),
            0,
            1e300,
            -1e300,
            0.3,
            (0.333, HINTS[0]),
            1 / 3 + 1e-6,
            [1 / 3],
            lambda: 1 / 3,
        ],
    )
    assert tells(THIRD, "✗ a third: off by 0.333.")
    assert not tells(THIRD, "✗ a third: off by 3e-01.")


def test_a_matrix_and_its_transpose():
    wrong = [(lambda x: matrix(x).T, "It is the transpose"), lambda x: matrix(x)[0], lambda x: np.eye(3)]
    graded(MATRIX, [matrix, lambda x: matrix(x).tolist()], wrong)
    wide = Exercise("wide", lambda x: matrix(x)[:2], MATRIX.inputs, hints=HINTS)
    graded(wide, [wide.right], [(lambda x: matrix(x)[:2].T, "(3, 2) where an array of shape (2, 3) is asked"),
                                (lambda x: matrix(x)[:2].T, "It is the transpose"), lambda x: x])  # fmt: skip


def test_several_results_are_told_apart():
    graded(
        SPLIT,
        [SPLIT.right, lambda u, v: [u + v, torch.tensor(u * v)]],
        [
            (lambda u, v: (u + v, -u * v), "Result 2: The sign is flipped."),
            (lambda u, v: u + v, "3 results where 2 are asked"),
            (lambda u, v: (u + v,), "1 result where 2 are asked"),
            (lambda u, v: 3.0, "1 result where 2 are asked"),
            (lambda u, v: (u + v, "uv"), "a text"),
            (lambda u, v: {0: u + v, 1: u * v}, "a dict where 2 results are asked"),
        ],
    )


def test_words_and_truth_values_are_right_or_wrong():
    wrong = [(lambda x: "ODE", "wrong, on x = "), (lambda x: x > 0, "where a word is asked"), lambda x: "ode"]
    graded(NAMED, [NAMED.right, lambda x: np.str_(NAMED.right(x))], wrong)
    sign = Exercise("sign", lambda x: x > 0, NAMED.inputs, hints=HINTS)
    wrong = [lambda x: True, lambda x: x < 0, (lambda x: "yes", "where True or False is asked"), lambda x: x]
    graded(sign, [lambda x: x > 0, lambda x: int(x > 0), lambda x: torch.tensor(x > 0)], wrong)


@pytest.mark.parametrize("answer", [
    None, ..., (1, ...), [None], lambda *_: None, lambda *_: ..., lambda *_: (1, ...), raises(NotImplementedError()),
], ids=range(8))  # fmt: skip
def test_what_is_not_written_yet_is_said_to_be_so_and_nothing_more(answer):
    assert line(HEUN, answer) == "✗ Heun: not written yet."


@pytest.mark.parametrize(("answer", "sentence"), [
    (raises(ZeroDivisionError("by\nzero")), "it raises ZeroDivisionError: by, on some f, t = "),
    (raises(Mute()), "it raises Mute, on"),
    (raises(SystemExit()), "it raises SystemExit"),
    (raises(GeneratorExit()), "it raises GeneratorExit"),
    (raises(KeyboardInterrupt()), "it was interrupted"),
    (raises(RecursionError("deep")), "it raises RecursionError: deep"),
    (lambda f, t, u: u, "it is called with 4 arguments, which it does not take (4: f, t, u, h)"),
    (lambda *a: np.ones(3), "an array of shape (3,) where an array of shape (2,) is asked"),
    (lambda *a: 1.0, "a single number where an array of shape (2,) is asked"),
    (lambda *a: [np.nan, 1], "it gives nan"),
    (lambda *a: [1, np.inf], "it gives infinite"),
    (lambda *a: "0.1", "it gives a text"),
    (lambda *a: [1, [2]], "a list that makes no array of numbers"),
    (lambda *a: {}, "it gives a dict"),
    (lambda *a: ITSELF, "a list that makes no array of numbers"),
    (lambda *a: heun, "a function that was not called"),
    (lambda *a: (x for x in heun(*a)), "it gives a generator"),
    (lambda *a: torch.ones(2, device="meta"), "it gives a Tensor"),
    (lambda f, t, u, h: heun(f, t, u, h) if t < 1 else None, "it gives nothing"),
    (3.0, "a function is asked, and this is none"),
    ("heun", "a function is asked"),
    (heun(*step_inputs(np.random.default_rng(1))), "a function is asked"),
])  # fmt: skip
def test_whatever_an_answer_is_one_sentence_is_said(answer, sentence, capsys):
    assert sentence in line(HEUN, answer)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, ValueError])
def test_an_answer_that_fails_when_its_mistake_is_looked_for_stops_nothing(error):
    calls: list[int] = []

    def later(*_):
        calls.append(1)
        if len(calls) > HEUN.cases:
            raise error
        return np.ones(2)

    assert "off by" in line(HEUN, later)
    assert len(calls) > HEUN.cases


def test_an_interrupted_answer_is_not_started_again():
    calls: list[int] = []

    def endless(*_):
        calls.append(1)
        raise KeyboardInterrupt

    assert "it was interrupted before it gave anything, on some f, t = " in line(HEUN, endless)
    assert len(calls) == 1


def test_the_line_says_how_far_off_on_which_input_and_on_how_many_it_is_right():
    said = line(Exercise("half", abs, lambda rng: (rng.normal(),), hints=HINTS), lambda x: x)
    assert "off by 2.0e+00 (relative), on x = -" in said
    assert " (right on " in said
    assert " of 6 inputs). Look at both ends." in said


def test_inputs_are_random_the_same_each_time_and_begin_nowhere_special():
    first, second = HEUN.arguments(), HEUN.arguments()
    assert len(first) == 6
    assert len({t for _, t, _, _ in first}) == 6
    assert [t for _, t, _, _ in first] == [t for _, t, _, _ in second]
    other = Exercise("Heun again", heun, step_inputs)
    assert [t for _, t, _, _ in first] != [t for _, t, _, _ in other.arguments()]


def test_a_mistake_that_fails_or_fits_some_inputs_only_is_not_named():
    mistakes = [("fails", raises(ValueError())), ("half", lambda x: x), ("right one", lambda x: -abs(x))]
    exercise = Exercise("abs", abs, lambda rng: (rng.normal(),), mistakes)
    assert line(exercise, lambda x: -abs(x)).endswith("right one")
    assert not line(exercise, lambda x: 0 * x + 9).endswith("half")


def test_an_error_of_the_reference_is_raised():
    with pytest.raises(TypeError, match="the right answer must be made of numbers"):
        Exercise("broken", lambda x: [x, [x]], lambda rng: (1.0,)).check(abs)


def test_hints_are_given_on_request_and_survive_there_being_none(capsys):
    Exercises("1", [HEUN]).hint("Heun")
    Exercise("bare", abs, lambda rng: (1.0,)).hint()
    assert (
        capsys.readouterr().out
        == "Heun: The second slope is that at t + h.\nbare: no hint, but its text and the cells above it.\n"
    )


def test_a_chapters_exercises_are_found_by_name(capsys):
    chapter = Exercises("1", [HEUN, THIRD])
    assert chapter.check("Heun", heun)
    assert not chapter.check("a third", 0.3)
    assert chapter["a"].name == "a third"
    assert chapter.usable("Heun", prints) is prints
    assert chapter.usable("Heun", midpoint) is chapter.usable("Heun", ...) is heun
    assert chapter.usable("a third", 0.3) == 1 / 3
    with pytest.raises(KeyError, match="chapter 1 has no exercise 'Huen'; there is Heun"):
        chapter.check("Huen", heun)
    two = Exercises("1", [Exercise("1.1 a", abs), Exercise("1.1 b", abs)])
    with pytest.raises(KeyError, match=r"no exercise '1\.1'; there is 1\.1 b, 1\.1 a"):
        two.hint("1.1")
    for wrong in ([], [HEUN, HEUN]):
        with pytest.raises(ValueError, match="each with a name of its own"):
            Exercises("1", wrong)
    for name, cases in (("", 6), ("x", 0)):
        with pytest.raises(ValueError, match="needs a name and at least one case"):
            Exercise(name, abs, cases=cases)


def test_the_helper_of_the_chapters_sees_what_is_amiss():
    wrong = [midpoint, lambda *a: 0, lambda *a: None]
    for bad in ([midpoint], wrong[:2], [*wrong, heun], [*wrong, (lambda *a: 1, "a word that is not said")]):
        with pytest.raises(AssertionError):
            graded(HEUN, [heun] if bad is not wrong else [midpoint], bad)
    with pytest.raises(AssertionError, match="a right answer fails"):
        graded(HEUN, [midpoint], wrong)
    loose = Exercise("loose", heun, step_inputs, [("not a mistake", heun)], HINTS)
    with pytest.raises(AssertionError, match="a wrong answer passes"):
        graded(loose, [heun], wrong)
    every_exercise_is_graded(Exercises("1", [HEUN, THIRD]), ["Heun", "a third"])
    with pytest.raises(AssertionError):
        every_exercise_is_graded(Exercises("1", [HEUN, THIRD]), ["Heun"])
    with pytest.raises(AssertionError):
        every_exercise_is_graded(Exercises("1", [loose, Exercise("bare", abs)]), ["loose", "bare"])
