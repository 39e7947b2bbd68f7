"""What the tests of every chapter's exercises share: right answers of several forms pass, plausible wrong ones fail."""

import io
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import redirect_stdout
from copy import copy
from functools import wraps
from types import FunctionType
from typing import Any

import numpy as np
import torch

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

    So does each mistake that the exercise names. Of a value nothing is said from which it could be copied. What the
    exercise's own functions give is computed once; the line of the first right form must be the same without that.
    """
    right_forms, fresh, exercise = list(right_forms), exercise, remembering(exercise)
    for k, answer in enumerate(right_forms):
        said = line(exercise, answer)
        assert said.startswith("✓"), f"a right answer fails: {said}"
        assert k or line(fresh, answer) == said
    assert len(wrong_answers) >= FEWEST, f"{exercise.name}: {len(wrong_answers)} wrong answers, {FEWEST} are needed"
    known = [(wrong, sentence) for sentence, wrong in fresh.mistakes]
    for given in (*wrong_answers, *known):
        answer, sentence = given if isinstance(given, tuple) and isinstance(given[-1], str) else (given, "")
        said = line(exercise, answer)
        assert said.startswith("✗"), f"{exercise.name}: a wrong answer passes: {answer!r}, {sentence!r}"
        assert sentence in said, f"{exercise.name}: expected {sentence!r} in {said!r}"
        assert not tells(exercise, said), f"{exercise.name}: the value is told in {said!r}"


def remembering(exercise: Exercise) -> Exercise:
    """A copy whose arguments are made once, and whose reference and mistakes keep what they gave on these."""
    if exercise.inputs is None:
        return exercise
    other, cases = copy(exercise), exercise.arguments()
    other.arguments = lambda: cases  # type: ignore[method-assign]
    other.right = remembered(exercise.right)
    if isinstance(quick := getattr(exercise, "quick", None), FunctionType):  # takes the reference's place
        other.quick = other.right if quick is exercise.right else remembered(quick)  # type: ignore[attr-defined]
    if type(exercise).judge is Exercise.judge:  # else a mistake may be one that gives something else each time
        other.mistakes = tuple((said, remembered(f) if callable(f) else f) for said, f in exercise.mistakes)
    return other


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, computed once for arguments of the same values, where these are plain numbers and functions."""
    known: dict[Hashable, tuple[Any, Any]] = {}

    @wraps(function)
    def once(*args: Any) -> Any:
        try:
            key = values(args)
        except TypeError:
            return function(*args)
        if key not in known:
            known[key] = args, function(*args)  # with args, so that no other function gets the id of one in there
        return known[key][1]

    return once


def values(x: Any) -> Hashable:
    """What two arguments share where they are the same. Raises TypeError for kinds that are none of the usual ones."""
    if isinstance(x, list | tuple):
        return type(x), *map(values, x)
    if isinstance(x, np.ndarray | np.generic) or (isinstance(x, torch.Tensor) and not x.requires_grad):
        array = np.asarray(x)
        return type(x), array.shape, array.dtype.str, array.tobytes()
    if isinstance(x, FunctionType):
        return id(x)
    if x is None or isinstance(x, bool | int | float | complex | str):
        return type(x), x
    raise TypeError(f"no values of {type(x).__name__}")


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
