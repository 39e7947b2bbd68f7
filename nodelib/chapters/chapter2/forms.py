"""Exercises whose answers may have several forms, and the times that all exercises of chapter 2 draw."""

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial, wraps
from typing import Any

import numpy as np
from autograd.tracer import isbox

from nodelib.workbook.check import Exercise
from nodelib.workbook.trial import Trial
from nodelib.workbook.values import numbers

Rng = np.random.Generator
Draw = Callable[[Rng], tuple]

SPANS = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 1), (-1, -1))  # signs of t0 and of t1 - t0, one pair a case
BY_LIBRARY = {"nodelib.numpy_ode.adjoint", "nodelib.numpy_ode.checkpoint", "nodelib.one_page"}


class Formed(Exercise):
    """An exercise that draws each of its cases in a way of its own, and whose answers may have several forms.

    ``draws`` has one function a case: ``draw(rng)`` gives the arguments. Answers, right and wrong, take the common
    ``form`` before they are compared. ``quick`` takes the reference's place in comparisons, where that is more exact
    than they need.
    """

    def __init__(
        self,
        name: str,
        form: Callable[[Any], Any],
        right: Callable[..., Any],
        draws: Sequence[Draw],
        *args: Any,
        quick: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, right, draws[0], *args, cases=len(draws), **kwargs)
        self.form, self.draws, self.quick = form, tuple(draws), quick or right

    def arguments(self) -> list[tuple]:
        """The arguments of every case, the same at each call."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        return [draw(rng) for draw in self.draws]

    def _trial(self, answer: Callable[..., Any]) -> Trial:
        mistakes = [(sentence, self._formed(wrong)) for sentence, wrong in self.mistakes]
        given = self._formed(answer), self._formed(self.quick), self.arguments(), mistakes
        return Trial(*given, self.advice(), self.rtol, self.inputs is None)

    def _formed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def formed(*args: Any) -> Any:
            return self.form(function(*args))

        return formed


def listed(results: Any) -> Any:
    """What a generator or another iterator gives, as a tuple; anything else as it is."""
    return tuple(results) if isinstance(results, Iterator) else results


def rows(results: Any) -> Any:
    """Rows of shape (1, n), as the text calls them, as vectors."""
    results = listed(results)
    return tuple(_row(x) for x in results) if _several(results) else results


def _several(results: Any) -> bool:
    return isinstance(results, list | tuple) or (isinstance(results, np.ndarray) and results.ndim > 0)


def _row(x: Any) -> Any:
    array = numbers(x)
    return array[0] if array is not None and array.ndim == 2 and len(array) == 1 else x


def last_as_vector(results: Any) -> Any:
    """Three results, the last of them, arrays of several shapes, as one vector."""
    results = listed(results)
    return (*results[:2], _vector(results[2])) if isinstance(results, list | tuple) and len(results) == 3 else results


def _vector(parts: Any) -> Any:
    """Arrays of several shapes as one vector; what is none stays as it is, for the check to say so."""
    parts = listed(parts)
    arrays = [numbers(part) for part in parts] if _several(parts) else []
    if not arrays or any(array is None for array in arrays):
        return parts
    return np.concatenate([np.ravel(array) for array in arrays])  # type: ignore[arg-type]


def span(rng: Rng, start: int = 1, way: int = 1) -> tuple[float, float, float]:
    """t0 of the sign ``start``, t1 after it or, for way -1, before it, and a time between."""
    t0 = start * rng.uniform(0.2, 1.0)
    t1 = t0 + way * rng.uniform(0.6, 1.4)
    return t0, t1, t0 + rng.uniform(0.2, 0.8) * (t1 - t0)


def on_spans(draw: Callable[..., tuple]) -> list[Draw]:
    """``draw(rng, start, way)`` with each of ``SPANS``."""
    return [partial(draw, start=start, way=way) for start, way in SPANS]


def no_adjoint(func: Callable[..., Any]) -> Callable[..., Any]:
    """``func``, which raises where the library's own adjoint calls it, or a solver that autograd traces.

    Both do what the exercise builds. Who calls is seen from the frames below: between a solver and a func that is
    traced there must be one of autograd's, that of the reader's ``make_vjp``.
    """

    @wraps(func)
    def guarded(*args: Any) -> Any:
        frame, traced = sys._getframe(1), any(map(isbox, args))
        while frame:
            module = frame.f_globals.get("__name__", "")
            if module in BY_LIBRARY:
                raise RuntimeError("the library's adjoint does all of it. Build it from odeint and make_vjp")
            traced = traced and not module.startswith("autograd.")
            if traced and module.startswith("nodelib.numpy_ode."):
                raise RuntimeError("that is backpropagation through a solve. The adjoint solves an equation of its own")
            frame = frame.f_back
        return func(*args)

    return guarded
