"""Exercises that check themselves: on random inputs, in one line that says how far off and where, never what is right.

A chapter's exercises stand in ``nodelib/chapters/chapterN/exercises.py``::

    EXERCISES = Exercises("1", [Exercise("1.2 Heun", heun, step_inputs, mistakes=[...], hints=("...", "..."))])
    check, hint = EXERCISES.check, EXERCISES.hint

and a check cell of the notebook says ``_ = check("1.2 Heun", heun_step)``.
"""

from __future__ import annotations

import inspect
import io
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from difflib import get_close_matches
from typing import Any

import numpy as np

from .values import Odd, distance, numbers, results, shown, unfinished

MISSING = "not written yet"


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
            return "a function is asked, and this is none. Give its name, without calling it."
        return Trial(self, answer).verdict()

    def arguments(self) -> list[tuple]:
        """The arguments of every case, the same at each call."""
        if self.inputs is None:
            return [()]
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        return [tuple(self.inputs(rng)) for _ in range(self.cases)]

    def _value(self, answer: Any) -> str | None:
        if callable(answer) and not isinstance(answer, np.generic):
            return "a value is asked, and this is a function. Call it."
        return Trial(self, lambda: answer).verdict()

    def advice(self) -> str:
        """The first hint, where there is one."""
        return f" {self.hints[0]}" if self.hints else ""


class Trial:
    """One answer, tried on all inputs of its exercise."""

    def __init__(self, exercise: Exercise, answer: Callable[..., Any]) -> None:
        self.exercise, self.answer = exercise, answer
        self.cases = exercise.arguments()
        self.names = names_of(exercise.right, len(self.cases[0]))
        self.right = [exercise.right(*deepcopy(case)) for case in self.cases]
        self.yours: list[Any] = []
        for right in self.right:  # what cannot be compared with itself is the author's mistake, not the reader's
            self._near(right, right)

    def verdict(self) -> str | None:
        """None when every case is right, else what is wrong, where, and the mistake's sentence or the first hint."""
        if trouble := self._signature():
            return trouble
        wrong: list[tuple[int, float | str]] = []
        for i, case in enumerate(self.cases):
            off = self._try(i, case)
            if off == MISSING:
                return f"it gives nothing{self._where(i)}." if i else f"{MISSING}."
            if isinstance(off, str) or not off <= self.exercise.rtol:
                wrong.append((i, off))
        return self._words(wrong) if wrong else None

    def _signature(self) -> str | None:
        case = self.cases[0]
        try:
            inspect.signature(self.answer).bind(*case)
        except TypeError:
            asked = f"{len(case)}: {', '.join(self.names)}" if case else "none"
            return f"it is called with {len(case)} argument{'s' * (len(case) != 1)}, which it does not take ({asked})."
        except Exception:  # some built-in functions have no signature
            pass
        return None

    def _try(self, i: int, case: tuple) -> float | str:
        """How far off the answer is on this case, or what is the matter with it."""
        try:
            with quiet():
                yours = self.answer(*deepcopy(case))
                self.yours.append(yours)
                if unfinished(yours):
                    return MISSING
                pairs = results(self.right[i], yours)
                return max(distance(right, mine) for right, mine in pairs)
        except NotImplementedError:
            return MISSING
        except Odd as odd:
            return f"it gives {odd}"
        except KeyboardInterrupt:
            return "it was interrupted before it gave anything"
        except (Exception, SystemExit) as error:
            return f"it raises {words(error)}"

    def _words(self, wrong: list[tuple[int, float | str]]) -> str:
        i, off = wrong[0]
        what = off if isinstance(off, str) else self._off(off)
        good = len(self.cases) - len(wrong)
        some = f" (right on {good} of {len(self.cases)} inputs)" if good else ""
        known = self._mistake(also_unused=not isinstance(off, str))
        return f"{what}{self._where(i)}{some}.{known or self.exercise.advice()}"

    def _off(self, off: float) -> str:
        if self.exercise.inputs is None:  # one digit, so that nobody works out the value
            return "not it" if off == np.inf else "off by more than all of it" if off >= 1 else f"off by {off:.0e}"
        return "wrong" if off == np.inf else f"off by {off:.1e} (relative)"

    def _where(self, i: int) -> str:
        case = [(name, shown(value)) for name, value in zip(self.names, self.cases[i], strict=True)]
        told = ", ".join(f"{name} = {text}" if text not in ("", name) else f"some {name}" for name, text in case)
        return f", on {told}" if told else ""

    def _mistake(self, also_unused: bool) -> str:
        """The sentence of the first mistake that agrees with the answer on all inputs, with a space before it."""
        if len(self.yours) < len(self.cases):
            return ""
        for sentence, wrong in self.exercise.mistakes:
            if self._agrees(wrong if callable(wrong) else lambda *_, wrong=wrong: wrong):
                return f" {sentence}"
        sentence = self._usual(also_unused) if self.exercise.inputs else ""
        return sentence and f" {sentence}"

    def _agrees(self, wrong: Callable[..., Any]) -> bool:
        try:
            with quiet():
                told = [wrong(*deepcopy(case)) for case in self.cases]
            return all(self._near(mine, yours) for mine, yours in zip(told, self.yours, strict=True))
        except Exception:  # a mistake that does not work on some input is not this one
            return False

    def _near(self, right: Any, yours: Any) -> bool:
        return all(distance(a, b) <= self.exercise.rtol for a, b in results(right, yours))

    def _usual(self, also_unused: bool) -> str:
        """What is said of mistakes that any exercise may meet."""
        try:
            with quiet():
                for result, right, yours in self._columns():
                    if sentence := self._usual_of(right, yours):
                        return f"{result}{sentence}"
                return self._unused() if also_unused else ""
        except Exception:
            return ""

    def _columns(self) -> Iterator[tuple[str, list, list]]:
        """(which, right, yours) over all cases for each result that is made of numbers and is wrong somewhere."""
        pairs = [results(right, yours) for right, yours in zip(self.right, self.yours, strict=True)]
        for j, column in enumerate(zip(*pairs, strict=True)):
            right, yours = ([numbers(pair[side]) for pair in column] for side in (0, 1))
            if all(a is not None for a in (*right, *yours)) and not self._same(right, yours):
                yield f"Result {j + 1}: " if len(pairs[0]) > 1 else "", right, yours

    def _same(self, right: Sequence, yours: Sequence) -> bool:
        scales = [np.max(np.abs(a), initial=0.0) or 1.0 for a in right]
        fits = (a.shape == b.shape and np.max(np.abs(a - b), initial=0.0) <= self.exercise.rtol * scale
                for a, b, scale in zip(right, yours, scales, strict=True))  # fmt: skip
        return all(fits)

    def _usual_of(self, right: list[np.ndarray], yours: list[np.ndarray]) -> str:
        if self._same([-a for a in right], yours):
            return "The sign is flipped."
        if right[0].ndim == 2 and self._same([a.T for a in right], yours):
            return "It is the transpose of what is asked."
        if any(a.shape != b.shape for a, b in zip(right, yours, strict=True)):
            return ""
        factors = [np.vdot(a, b) / np.vdot(a, a) for a, b in zip(right, yours, strict=True)]
        if not self._same([a * c for a, c in zip(right, factors, strict=True)], yours):
            return ""
        if len(factors) > 1 and abs(factors[0]) > 1e-9 and np.allclose(factors, factors[0], rtol=1e-4, atol=0):
            times = f"{factors[0].real:.3g}" if np.isreal(factors[0]) else "a constant"
            return f"It is {times} times what is asked, on every input."
        return self._argument_as_factor(np.array(factors))

    def _argument_as_factor(self, factors: np.ndarray) -> str:
        for name, column in zip(self.names, zip(*self.cases, strict=True), strict=True):
            values = [numbers(value) for value in column]
            if any(value is None or value.shape != () or value == 0 for value in values):
                continue
            for words_, power in (("once too often", 1), ("not often enough", -1)):
                for sign, more in ((1, ""), (-1, ", and the sign is flipped")):
                    if np.allclose(factors, sign * np.array(values, dtype=complex) ** power, rtol=1e-4, atol=0):
                        return f"The factor {name} is there {words_}{more}."
        return ""

    def _unused(self) -> str:
        """Which argument changes what is right and leaves the answer as it is, if there is one."""
        for k, name in enumerate(self.names):
            mixed = [(*case[:k], other[k], *case[k + 1 :]) for case, other in self._neighbours()]
            right = [self._safely(self.exercise.right, case) for case in mixed]
            moved = [a is not None and not self._near(a, b) for a, b in zip(right, self.right, strict=False)]
            same = [self._near(b, self._safely(self.answer, case)) for case, b in zip(mixed, self.yours, strict=False)]
            if any(moved) and all(same):
                return f"It does not depend on {name}."
        return ""

    def _neighbours(self) -> Iterator[tuple[tuple, tuple]]:
        return zip(self.cases[:3], self.cases[1:4], strict=False)

    @staticmethod
    def _safely(function: Callable[..., Any], case: tuple) -> Any:
        try:
            return function(*deepcopy(case))
        except Exception:
            return None


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

    def hint(self, name: str) -> None:
        """Print the exercise's second hint."""
        self[name].hint()


@contextmanager
def quiet() -> Iterator[None]:
    """What an answer prints, and what it warns of, is left out: a check says one line."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings(), np.errstate():
        warnings.simplefilter("ignore")
        np.seterr(all="ignore")
        yield


def names_of(function: Callable[..., Any], count: int) -> list[str]:
    """What the function calls its first arguments."""
    try:
        names = list(inspect.signature(function).parameters)[:count]
    except (TypeError, ValueError):
        names = []
    return names + [f"argument {k + 1}" for k in range(len(names), count)]


def words(error: BaseException) -> str:
    """The error's kind and the first line of what it says."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:
        lines = []
    says = f": {lines[0][:90]}" if lines else ""
    return f"{type(error).__name__}{says}"
