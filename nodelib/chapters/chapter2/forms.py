"""Exercises whose answers may have several forms, and the times that all exercises of chapter 2 draw."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from nodelib.workbook.check import Exercise

Rng = np.random.Generator


class Formed(Exercise):
    """An exercise whose answers take a common form before they are compared."""

    def __init__(self, name: str, form: Callable[[Any], Any], right: Callable, *args: Any, **kwargs: Any) -> None:
        super().__init__(name, _formed(right, form), *args, **kwargs)
        self.mistakes = tuple((said, _formed(wrong, form)) for said, wrong in self.mistakes)
        self.form = form

    def judge(self, answer: Any) -> str | None:
        """As ``Exercise``."""
        return super().judge(_formed(answer, self.form) if callable(answer) else answer)


def _formed(function: Callable[..., Any], form: Callable[[Any], Any]) -> Callable[..., Any]:
    @wraps(function)
    def formed(*args: Any) -> Any:
        return form(function(*args))

    return formed


def span(rng: Rng) -> tuple[float, float, float]:
    """t0, t1 and a time between."""
    t0 = rng.uniform(0.2, 1.0)
    t1 = t0 + rng.uniform(0.6, 1.4)
    return t0, t1, t0 + rng.uniform(0.2, 0.8) * (t1 - t0)
