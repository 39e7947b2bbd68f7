"""The exercises of chapter 3: what is right, on which inputs, and what is said of the mistakes that are often made."""

from typing import Any

from nodelib.workbook.check import Exercises

from .exercises_blocks import BLOCK, MIDDLE
from .exercises_counts import APART, COUNT, DEEPEST
from .exercises_solvers import CHANGED, FOOL, LEAK, SCALED

EXERCISES = Exercises("3", [COUNT, BLOCK, MIDDLE, APART, DEEPEST, SCALED, CHANGED, FOOL, LEAK])
check, hint = EXERCISES.check, EXERCISES.hint


def usable(name: str, answer: Any) -> Any:
    """``answer`` where it passes the check of this exercise, else the library's own: for the cells that run on it."""
    exercise = EXERCISES[name]
    return answer if exercise.judge(answer) is None else exercise.right
