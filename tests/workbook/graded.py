"""What the tests of every chapter's exercises share: right answers of several forms pass, plausible wrong ones fail."""

import io
import re
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from typing import Any

from nodelib.workbook.check import Exercise, Exercises
from nodelib.workbook.values import numbers

FEWEST = 3  # wrong answers an exercise is tried with


def line(exercise: Exercise, answer: Any) -> str:
    """The one line that a check of ``answer`` prints; it begins with the mark of what the check returned."""
    out = io.StringIO()
    with redirect_stdout(out):
        passed = exercise.check(answer)
    (only,) = out.getvalue().splitlines()
    assert only.startswith(f"{'✓' if passed else '✗'} {exercise.name}"), only
    return only


def graded(exercise: Exercise, right_forms: Iterable[Any], wrong_answers: Sequence[Any]) -> None:
    """Every right form passes, every wrong answer fails, and one given as ``(answer, sentence)`` gets its sentence.

    So does each mistake that the exercise names. Of a value nothing is said from which it could be copied.
    """
    for answer in right_forms:
        assert line(exercise, answer).startswith("✓"), f"a right answer fails: {line(exercise, answer)}"
    assert len(wrong_answers) >= FEWEST, f"{exercise.name}: {len(wrong_answers)} wrong answers, {FEWEST} are needed"
    known = [(wrong, sentence) for sentence, wrong in exercise.mistakes]
    for given in (*wrong_answers, *known):
        answer, sentence = given if isinstance(given, tuple) and isinstance(given[-1], str) else (given, "")
        said = line(exercise, answer)
        assert said.startswith("✗"), f"{exercise.name}: a wrong answer passes: {answer!r}, {sentence!r}"
        assert sentence in said, f"{exercise.name}: expected {sentence!r} in {said!r}"
        assert not tells(exercise, said), f"{exercise.name}: the value is told in {said!r}"


def tells(exercise: Exercise, said: str) -> bool:
    """Does the line hold the value that is asked, to three digits? Only of values, not of functions."""
    if exercise.inputs is not None or (right := numbers(exercise.right())) is None:
        return False
    told = re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?", said.replace(exercise.name, "", 1))
    return any(f"{value:.3g}" in told for value in right.ravel().tolist())


def every_exercise_is_graded(exercises: Exercises, tried: Iterable[str]) -> None:
    """The names that a test tried are those of the chapter, all of them, and each exercise hints twice."""
    assert sorted(tried) == sorted(exercises.exercises)
    assert [e.name for e in exercises.exercises.values() if len(e.hints) != 2] == []
