"""Chapter 0's exercise and predictions: right answers pass, wrong ones are named, and what is said to be right is."""

import math

from nodelib.chapters.chapter0.exercises import EXERCISES
from nodelib.chapters.chapter0.questions import QUESTIONS
from tests.workbook.graded import every_exercise_is_graded, graded


def network(n: int, sign: float) -> float:
    h = 1.0
    for _ in range(n):
        h = h + sign * h / n
    return h


def truncated(n: int) -> float:
    """The first terms of the binomial."""
    return 1 - 1 + (n - 1) / (2 * n)


def test_blocks_that_take_away():
    right = [lambda n: network(n, -1), lambda n: (1 - 1 / n) ** n, lambda n: math.exp(n * math.log1p(-1 / n))]
    wrong = [
        (lambda n: network(n, +1), "The blocks still add."),
        (lambda n: 1 - n * (1 / n), "not of the first one"),
        (lambda n: network(n - 1, -1), "Two blocks leave a half"),
        (lambda n: -network(n, -1), "The sign is flipped."),
        (lambda n: math.exp(-1), "the end of the curve"),
        truncated,
    ]
    graded(EXERCISES["0.1"], right, wrong)
    every_exercise_is_graded(EXERCISES, ["0.1 Blocks that take away"])


def test_what_the_predictions_say_is_so():
    thousand, percent = QUESTIONS.questions.values()
    assert thousand.counts(1)
    assert f"{network(1000, 1):.1f}" == "2.7"
    assert percent.right == next(n for n in range(1, 1000) if network(n, 1) > 0.99 * math.e)
    assert abs((1 - network(50, 1) / math.e) * 2 * 50 - 1) < 0.02
