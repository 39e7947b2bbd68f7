"""Predictions: the reader commits to an answer, and only then sees what is right.

A chapter's questions stand in ``nodelib/chapters/chapterN/questions.py``, so that no cell holds an answer::

    QUESTIONS = Predictions("1", {"1.2": Choice("Does it grow?", ("yes", "no"), 0, "A tangent leaves its circle.")})
    predict, tally = QUESTIONS.ask, QUESTIONS.tally

and the notebook calls ``predict("1.2")``. What is stored of it is the question and its options, nothing more.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ipywidgets import Button, FloatLogSlider, FloatSlider, HBox, HTMLMath, Label, Layout, VBox

from .table import inline

STEPS = 100  # of a slider, from its left end to its right one
WAITING = "Choose; the answer comes then."


@dataclass(frozen=True)
class Choice:
    """A question with two options or more; ``right`` is the index of the right one, ``why`` is said after the choice.

    In ``question`` and ``why``, `` `name` `` is code and ``$x$`` a formula; options are plain text. Raises ValueError
    for fewer than two options, for two that are equal, and for a ``right`` that is no index of them.
    """

    question: str
    options: Sequence[str]
    right: int
    why: str

    def __post_init__(self) -> None:
        _texts("Choice", question=self.question, why=self.why)
        if isinstance(self.options, str) or len(self.options) < 2 or len(set(self.options)) < len(self.options):
            raise ValueError(f"Choice: options must be two texts or more, each another one, got {self.options!r}")
        if isinstance(self.right, bool) or self.right not in range(len(self.options)):
            last = len(self.options) - 1
            raise ValueError(f"Choice: right must be an index of options, 0 to {last}, got {self.right!r}")

    def counts(self, answer: float) -> bool:
        """Whether the option with this index is right."""
        return answer == self.right

    def verdict(self, answer: float) -> str:
        """What is said after the choice, as text."""
        return "✓ As you said." if self.counts(answer) else f"✗ It is: {self.options[self.right]}."

    def still(self) -> list[str]:
        """The options, a line each."""
        return list(self.options)


@dataclass(frozen=True)
class Number:
    """A question whose answer is a number, guessed on a slider from ``low`` to ``high``, even in decades with ``log``.

    A guess counts as right up to ``close`` times ``|right|`` away from ``right`` (times the slider's length where
    ``right`` is 0). The slider begins at ``low``. Raises ValueError for bounds that are none, a ``right`` outside
    them, a ``close`` that is not positive, and a slider that begins at a right guess or has none on its way.
    """

    question: str
    low: float
    high: float
    right: float
    why: str
    unit: str = ""
    log: bool = False
    close: float = 0.1

    def __post_init__(self) -> None:
        _texts("Number", question=self.question, why=self.why)
        bounds = f"low {self.low!r}, high {self.high!r}"
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"Number: low must be below high and both finite, got {bounds}")
        if self.log and self.low <= 0:
            raise ValueError(f"Number: with log, low must be above 0, got {bounds}")
        if not self.low <= self.right <= self.high:
            raise ValueError(f"Number: right must lie from low to high, got {self.right!r}, {bounds}")
        if not self.close > 0:
            raise ValueError(f"Number: close must be above 0, got {self.close!r}")
        if self.counts(self.low):
            raise ValueError(f"Number: the slider begins at low, {self.low!r}, which would count as right")
        if not any(map(self.counts, self.places())):
            raise ValueError(f"Number: no place of the slider counts as right; close is too small, {self.close!r}")

    def counts(self, answer: float) -> bool:
        """Whether this guess is close enough."""
        return abs(answer - self.right) <= self.close * (abs(self.right) or self.high - self.low)

    def verdict(self, answer: float) -> str:
        """What is said after the guess, as text."""
        mark, word = ("✓", "close") if self.counts(answer) else ("✗", "not close")
        return f"{mark} You said {self.text(answer)}; it is {self.text(self.right)}: {word}."

    def still(self) -> list[str]:
        """What may be guessed, in one line."""
        return [f"a number from {_short(self.low)} to {self.text(self.high)}"]

    def text(self, value: float) -> str:
        """The number and its unit."""
        return f"{_short(value)} {self.unit}".rstrip()

    def places(self) -> list[float]:
        """Where the slider can stand."""
        parts = [k / STEPS for k in range(STEPS + 1)]
        if self.log:
            return [self.low * (self.high / self.low) ** part for part in parts]
        return [self.low + (self.high - self.low) * part for part in parts]

    def slider(self) -> FloatSlider | FloatLogSlider:
        """The slider, at its left end."""
        look = {"readout_format": ".3g", "layout": Layout(width="26em")}
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            return FloatLogSlider(value=self.low, base=10, min=low, max=high, step=(high - low) / STEPS, **look)
        return FloatSlider(value=self.low, min=self.low, max=self.high, step=(self.high - self.low) / STEPS, **look)


class Asked:
    """One question on the page. ``answer`` is None, or what the reader chose first; ``commit`` makes the choice.

    Before the choice no widget holds what is right. After it the buttons stay as they are, since a button that is
    switched off loses the keyboard's focus.
    """

    def __init__(
        self,
        question: Choice | Number,
        answer: float | None = None,
        keep: Callable[[float | None, float], None] | None = None,
    ) -> None:
        self.question, self.answer, self._keep = question, answer, keep
        self._verdict = HTMLMath()
        self._verdict.add_class("nodelib-verdict")
        self.controls: tuple[Any, ...] = (
            self._buttons(question) if isinstance(question, Choice) else self._guess(question)
        )
        row = HBox(list(self.controls), layout=Layout(flex_flow="row wrap", align_items="center"))
        self.widget = VBox([HTMLMath(f"<b>Predict.</b> {inline(question.question)}"), row, self._verdict])
        self.widget.add_class("nodelib-predict")
        self._show()

    def commit(self, answer: float) -> None:
        """Take this answer, an option's index or a number, unless there is one: the first choice counts."""
        if self.answer is None:
            self._take(answer)

    def _take(self, answer: float) -> None:
        was, self.answer = self.answer, answer
        if self._keep:
            self._keep(was, answer)
        self._show()

    def _buttons(self, question: Choice) -> tuple[Button, ...]:
        buttons = tuple(Button(description=option, layout=Layout(width="auto")) for option in question.options)
        for i, button in enumerate(buttons):
            button.on_click(lambda _, i=i: self.commit(i))
        return buttons

    def _guess(self, question: Number) -> tuple[Any, ...]:
        slider, button = question.slider(), Button(description="This is my guess", layout=Layout(width="auto"))

        def settle(_: Button) -> None:
            if not slider.disabled:
                slider.disabled = True
                self.commit(slider.value)
                # A page sends a slider's moves one at a time, and a click at once: its last move may come after it.
                slider.observe(lambda move: self._take(move["new"]), "value")

        if self.answer is not None:
            slider.value, slider.disabled = self.answer, True
        button.on_click(settle)
        return slider, Label(question.unit), button

    def _show(self) -> None:
        if self.answer is None:
            self._verdict.value = f'<span role="status">{WAITING}</span>'
            return
        if isinstance(self.question, Choice):
            for i, button in enumerate(self.controls):
                mark = "✓ " if self.question.counts(i) else "✗ " if i == self.answer else ""
                button.description = mark + self.question.options[i]
                button.style.font_weight = "bold" if i == self.answer else "normal"
        words = f"{html.escape(self.question.verdict(self.answer), quote=False)} {inline(self.question.why)}"
        self._verdict.value = f'<span role="status" aria-live="polite">{words}</span>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        asked, options = self.question.question, self.question.still()
        items = "".join(f"<li>{html.escape(option, quote=False)}</li>" for option in options)
        still = f"<p><b>Predict.</b> {inline(asked)}</p><ul>{items}</ul>"
        text = "\n".join([f"Predict. {asked}", *(f"  ( ) {option}" for option in options)])
        return {**(self.widget._repr_mimebundle_() or {}), "text/html": still, "text/plain": text}


class Predictions:
    """The questions of one chapter by key, such as "1.2", and what the reader answered in this kernel.

    Raises ValueError when there are none, or one is neither a ``Choice`` nor a ``Number``.
    """

    def __init__(self, chapter: str, questions: Mapping[str, Choice | Number]) -> None:
        if not questions:
            raise ValueError(f"Predictions: chapter {chapter} has no questions")
        for key, question in questions.items():
            if not isinstance(question, Choice | Number):
                raise ValueError(f"Predictions: {key!r} must be a Choice or a Number, got {question!r}")
        self.chapter, self.questions = chapter, dict(questions)
        self.answers: dict[str, float] = {}

    def ask(self, key: str) -> Asked:
        """The question with its buttons or its slider, to be displayed; asked again, it keeps the first answer.

        Raises KeyError, with the keys that there are, for another one.
        """
        if key not in self.questions:
            near = get_close_matches(str(key), self.questions, n=3, cutoff=0.4) or list(self.questions)
            raise KeyError(f"predict: chapter {self.chapter} has no question {key!r}; there is {', '.join(near)}")
        return Asked(self.questions[key], self.answers.get(key), lambda was, answer: self._keep(key, was, answer))

    def _keep(self, key: str, was: float | None, answer: float) -> None:
        if self.answers.get(key) == was:  # else the same question, asked twice, was answered in the other place
            self.answers[key] = answer

    def tally(self) -> None:
        """Print one line for the chapter's end: how many predictions were made, and how many were right."""
        made, total = len(self.answers), len(self.questions)
        right = sum(self.questions[key].counts(answer) for key, answer in self.answers.items())
        line = f"Predictions: {made} of {total} made"
        if made:
            line += f", {right} right"
        if made < total:
            line += f"; open: {', '.join(key for key in self.questions if key not in self.answers)}" if made else ""
            line += ". Go back and choose, then run this cell again"
        print(f"{line}.")


def _texts(kind: str, **texts: str) -> None:
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{kind}: {name} must be a sentence, got {text!r}")


def _short(value: float) -> str:
    """Three significant digits, without a power of ten where the number is neither huge nor tiny."""
    return f"{float(f'{value:.3g}'):,g}"
