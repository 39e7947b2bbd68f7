"""Exercises that check themselves: on random inputs, in one line that says how far off and where, never what is right.

A chapter's exercises stand in ``nodelib/chapters/chapterN/exercises.py``::

    EXERCISES = Exercises("1", [Exercise("1.2 Heun", heun, step_inputs, mistakes=[...], hints=("...", "..."))])
    check, hint = EXERCISES.check, EXERCISES.hint

and a check cell of the notebook says ``_ = check("1.2 Heun", heun_step)``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from .trial import MISSING, Trial, quiet, words
from .values import unfinished

__all__ = ["MISSING", "Exercise", "Exercises", "quiet", "tried", "words"]

NO_FUNCTION = "a function is asked, and this is none. Give its name, without calling it."


class Exercise:
    """One thing to write, and what is right.

    name      what the line of a check begins with
    right     the reference: ``right(*args)`` gives a number, an array, a word, a truth value, or a tuple of these
    inputs    ``inputs(rng)`` gives a tuple of random arguments; None where a value is asked, which ``right()`` gives
    mistakes  pairs (sentence, wrong function, or a wrong value): a wrong answer that agrees with one on all inputs is
              told the sentence. Flipped signs, constant factors, transposes and unused arguments need none.
    hints     the first is said with a wrong answer that no mistake explains, the second on request
    cases     how many inputs are tried
    rtol      the largest distance that passes, relative to the largest entry of what is right

    Raises ValueError for a name that is empty and for no cases.
    """

    def __init__(
        self,
        name: str,
        right: Callable[..., Any],
        inputs: Callable[[np.random.Generator], tuple] | None = None,
        mistakes: Sequence[tuple[str, Any]] = (),
        hints: Sequence[str] = (),
        cases: int = 6,
        rtol: float = 1e-6,
    ) -> None:
        if not name or cases < 1:
            raise ValueError(f"Exercise: it needs a name and at least one case, got {name!r}, {cases}")
        self.name, self.right, self.inputs, self.rtol = name, right, inputs, rtol
        self.mistakes, self.hints = tuple(mistakes), (hints,) if isinstance(hints, str) else tuple(hints)
        self.cases = cases if inputs else 1

    def check(self, answer: Any) -> bool:
        """Print one line that says whether ``answer`` is right, and return that; whatever it is, nothing is raised."""
        verdict = self.judge(answer)
        print(f"✓ {self.name}" if verdict is None else f"✗ {self.name}: {verdict}")
        return verdict is None

    def hint(self) -> None:
        """Print the second hint."""
        print(f"{self.name}: {self.hints[-1] if self.hints else 'no hint, but its text and the cells above it.'}")

    def judge(self, answer: Any) -> str | None:
        """None for a right answer, else what is wrong with it, in words."""
        if unfinished(answer):
            return f"{MISSING}."
        if self.inputs is None:
            return self._value(answer)
        if not callable(answer):
            return NO_FUNCTION
        return self._trial(answer).verdict()

    def _trial(self, answer: Callable[..., Any]) -> Trial:
        return Trial(answer, self.right, self.arguments(), self.mistakes, self.advice(), self.rtol, self.inputs is None)

    def arguments(self) -> list[tuple]:
        """The arguments of every case, the same at each call."""
        if self.inputs is None:
            return [()]
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        return [tuple(self.inputs(rng)) for _ in range(self.cases)]

    def _value(self, answer: Any) -> str | None:
        if callable(answer) and not isinstance(answer, np.generic):
            return "a value is asked, and this is a function. Call it."
        return self._trial(lambda: answer).verdict()

    def advice(self) -> str:
        """The first hint, where there is one."""
        return f" {self.hints[0]}" if self.hints else ""


def tried(answer: Any, trial: Callable[[Any], Any]) -> Any:
    """``trial(answer)``, quietly, for an exercise that judges a function by what it does; a sentence where the answer
    is none, raises, or is interrupted."""
    if unfinished(answer):
        return f"{MISSING}."
    if not callable(answer):
        return NO_FUNCTION
    try:
        with quiet():
            return trial(answer)
    except KeyboardInterrupt:
        return "it was interrupted before it gave anything."
    except BaseException as error:
        return f"it raises {words(error)}."


class Exercises:
    """The exercises of one chapter. Raises ValueError when there are none, or two of one name."""

    def __init__(self, chapter: str, exercises: Sequence[Exercise]) -> None:
        self.chapter = chapter
        self.exercises = {exercise.name: exercise for exercise in exercises}
        if not exercises or len(self.exercises) < len(exercises):
            raise ValueError(f"Exercises: chapter {chapter} needs exercises, each with a name of its own")

    def __getitem__(self, name: str) -> Exercise:
        """The exercise of that name, or the one whose name has that first word, as "1.2" is of "1.2 Heun's step".

        Raises KeyError, with the names that there are, for another.
        """
        short = [full for full in self.exercises if full.split()[0] == name]
        name = short[0] if len(short) == 1 else name
        if name not in self.exercises:
            near = get_close_matches(str(name), self.exercises, n=3, cutoff=0.4) or list(self.exercises)
            raise KeyError(f"check: chapter {self.chapter} has no exercise {name!r}; there is {', '.join(near)}")
        return self.exercises[name]

    def check(self, name: str, answer: Any) -> bool:
        """Print one line on this answer to the exercise of that name; return whether it is right."""
        return self[name].check(answer)

    def usable(self, name: str, answer: Any) -> Any:
        """``answer`` where it is right, else the reference: for later cells, which run on what the reader wrote."""
        exercise = self[name]
        if exercise.judge(answer) is None:
            return answer
        return exercise.right() if exercise.inputs is None else exercise.right

    def hint(self, name: str) -> None:
        """Print the exercise's second hint."""
        self[name].hint()
