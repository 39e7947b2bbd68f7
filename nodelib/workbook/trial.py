"""One answer to an exercise, tried on all its inputs: what is wrong with it, where, and by which mistake."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from typing import Any

import numpy as np

from .usual import unused, usual
from .values import Odd, distance, near, results, shown, unfinished

MISSING = "not written yet"
INTERRUPTED = "it was interrupted before it gave anything"


class Trial:
    """One answer, tried on all cases of its exercise.

    ``answer`` and ``right`` are functions of the arguments in each of ``cases``; ``mistakes`` are pairs of a sentence
    and a wrong function or value; ``advice`` is said where none of them fits. ``value``: a value is asked, in the one
    case without arguments, and so much must not be said that it could be worked out. What ``right`` raises is raised.
    """

    def __init__(
        self,
        answer: Callable[..., Any],
        right: Callable[..., Any],
        cases: Sequence[tuple],
        mistakes: Sequence[tuple[str, Any]],
        advice: str,
        rtol: float,
        value: bool,
    ) -> None:
        self.answer, self.cases, self.mistakes = answer, cases, mistakes
        self.advice, self.rtol, self.value = advice, rtol, value
        self.reference, self.names = right, names_of(right, len(cases[0]))
        self.right = [right(*deepcopy(case)) for case in cases]
        self.yours: list[Any] = []
        for exact in self.right:  # what cannot be compared with itself is the author's mistake, not the reader's
            near(exact, exact, rtol)

    def verdict(self) -> str | None:
        """None when every case is right, else what is wrong, where, and the mistake's sentence or the first hint."""
        if trouble := self._signature():
            return trouble
        wrong: list[tuple[int, float | str]] = []
        for i, case in enumerate(self.cases):
            off = self._try(i, case)
            if off == MISSING:
                return f"it gives nothing{self._where(i)}." if i else f"{MISSING}."
            if off == INTERRUPTED:  # the next case would take as long
                return f"{off}{self._where(i)}."
            if isinstance(off, str) or not off <= self.rtol:
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
            return INTERRUPTED
        except BaseException as error:  # SystemExit among them: nothing that an answer does may end a check
            return f"it raises {words(error)}"

    def _words(self, wrong: list[tuple[int, float | str]]) -> str:
        i, off = wrong[0]
        what = off if isinstance(off, str) else self._off(off)
        good = len(self.cases) - len(wrong)
        some = f" (right on {good} of {len(self.cases)} inputs)" if good else ""
        known = self._mistake(also_unused=not isinstance(off, str))
        return f"{what}{self._where(i)}{some}.{known or self.advice}"

    def _off(self, off: float) -> str:
        if self.value:  # one digit, so that nobody works out the value
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
        for sentence, wrong in self.mistakes:
            if self._agrees(wrong if callable(wrong) else lambda *_, wrong=wrong: wrong):
                return f" {sentence}"
        sentence = "" if self.value else self._usual(also_unused)
        return sentence and f" {sentence}"

    def _usual(self, also_unused: bool) -> str:
        try:
            with quiet():
                sentence = usual(self.names, self.cases, self.right, self.yours, self.rtol)
                if sentence or not also_unused:
                    return sentence
                right, yours = (self.reference, self.right), (self.answer, self.yours)
                return unused(self.names, self.cases, right, yours, self.rtol)
        except Exception:  # an answer that fails on other inputs than it was asked for
            return ""

    def _agrees(self, wrong: Callable[..., Any]) -> bool:
        """Is it the answer on every case? They are solved one by one, no further than the two agree."""
        try:
            with quiet():
                told = (wrong(*deepcopy(case)) for case in self.cases)
                return all(near(mine, yours, self.rtol) for mine, yours in zip(told, self.yours, strict=True))
        except Exception:  # a mistake that does not work on some input is not this one
            return False


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
