"""Exercises whose answers may have several forms, and the times that all exercises of chapter 2 draw."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from nodelib.workbook.check import Exercise
from nodelib.workbook.trial import Trial

Rng = np.random.Generator


class Formed(Exercise):
    """An exercise whose answers, right and wrong, take a common form before they are compared.

    ``quick`` takes the reference's place in comparisons, where that is more exact than they need.
    """

    def __init__(
        self, name: str, form: Callable[[Any], Any], *args: Any, quick: Callable[..., Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name, *args, **kwargs)
        self.form, self.quick = form, quick or self.right

    def _trial(self, answer: Callable[..., Any]) -> Trial:
        mistakes = [(sentence, self._formed(wrong)) for sentence, wrong in self.mistakes]
        given = self._formed(answer), self._formed(self.quick), self.arguments(), mistakes
        return Trial(*given, self.advice(), self.rtol, self.inputs is None)

    def _formed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def formed(*args: Any) -> Any:
            return self.form(function(*args))

        return formed


def span(rng: Rng) -> tuple[float, float, float]:
    """t0, t1 and a time between."""
    t0 = rng.uniform(0.2, 1.0)
    t1 = t0 + rng.uniform(0.6, 1.4)
    return t0, t1, t0 + rng.uniform(0.2, 0.8) * (t1 - t0)
