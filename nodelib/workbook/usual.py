"""The mistakes that any exercise may meet: a flipped sign, a factor, a transpose, an argument that is not used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from itertools import islice, pairwise
from typing import Any

import numpy as np

from .values import near, numbers, results

FEW = 3  # cases in which arguments are exchanged, one at a time


def usual(names: Sequence[str], cases: Sequence[tuple], right: Sequence, yours: Sequence, rtol: float) -> str:
    """What is said of the first result that such a mistake explains in all cases; empty for none."""
    for result, exact, mine in columns(right, yours, rtol):
        sentence = (
            turned(exact, mine, rtol)
            or constant_factor(exact, mine, rtol)
            or argument_as_factor(names, cases, factors(exact, mine, rtol))
        )
        if sentence:
            return f"{result}{sentence}"
    return ""


def columns(right: Sequence, yours: Sequence, rtol: float) -> Iterator[tuple[str, list, list]]:
    """(which, right, yours) over all cases for each result that is made of numbers and is wrong somewhere."""
    pairs = [results(exact, mine) for exact, mine in zip(right, yours, strict=True)]
    for j, column in enumerate(zip(*pairs, strict=True)):
        exact, mine = ([numbers(pair[side]) for pair in column] for side in (0, 1))
        if all(array is not None for array in (*exact, *mine)) and not same(exact, mine, rtol):
            yield f"Result {j + 1}: " if len(pairs[0]) > 1 else "", exact, mine


def same(right: Sequence, yours: Sequence, rtol: float) -> bool:
    """Do they agree in all cases?"""
    return all(
        a.shape == b.shape and np.max(np.abs(a - b), initial=0.0) <= rtol * (np.max(np.abs(a), initial=0.0) or 1.0)
        for a, b in zip(right, yours, strict=True)
    )


def turned(right: list[np.ndarray], yours: list[np.ndarray], rtol: float) -> str:
    """What is said of a flipped sign and of a transpose."""
    if same([-a for a in right], yours, rtol):
        return "The sign is flipped."
    if right[0].ndim == 2 and same([a.T for a in right], yours, rtol):
        return "It is the transpose of what is asked."
    return ""


def factors(right: list[np.ndarray], yours: list[np.ndarray], rtol: float) -> np.ndarray | None:
    """By which number what is right was multiplied in each case; None where it is not that."""
    if any(a.shape != b.shape for a, b in zip(right, yours, strict=True)):
        return None
    found = [np.vdot(a, b) / np.vdot(a, a) for a, b in zip(right, yours, strict=True)]
    return np.array(found) if same([a * c for a, c in zip(right, found, strict=True)], yours, rtol) else None


def constant_factor(right: list[np.ndarray], yours: list[np.ndarray], rtol: float) -> str:
    """What is said of one factor in all cases; nothing of one that reads as 1."""
    found = factors(right, yours, rtol)
    if found is None or len(found) < 2 or abs(found[0]) < 1e-9 or not np.allclose(found, found[0], rtol=1e-4, atol=0):
        return ""
    if not np.isreal(found[0]):
        return "It is a constant times what is asked, on every input."
    times = next((text for text in (f"{found[0].real:.{digits}g}" for digits in (3, 5)) if text != "1"), "")
    return times and f"It is {times} times what is asked, on every input."


def argument_as_factor(names: Sequence[str], cases: Sequence[tuple], found: np.ndarray | None) -> str:
    """What is said of an argument by which was multiplied once too often, or not often enough."""
    if found is None:
        return ""
    for name, column in zip(names, zip(*cases, strict=True), strict=True):
        values = [numbers(value) for value in column]
        if any(value is None or value.shape != () or value == 0 for value in values):
            continue
        for often, power in (("once too often", 1), ("not often enough", -1)):
            for sign, more in ((1, ""), (-1, ", and the sign is flipped")):
                if np.allclose(found, sign * np.array(values, dtype=complex) ** power, rtol=1e-4, atol=0):
                    return f"The factor {name} is there {often}{more}."
    return ""


def unused(
    names: Sequence[str],
    cases: Sequence[tuple],
    right: tuple[Callable, Sequence],
    yours: tuple[Callable, Sequence],
    rtol: float,
) -> str:
    """What is said of an argument that changes what is right and leaves the answer as it is.

    ``right`` and ``yours`` are a function and what it gave in each of ``cases``.
    """
    for k, name in enumerate(names):
        mixed = [(*case[:k], other[k], *case[k + 1 :]) for case, other in islice(pairwise(cases), FEW)]
        moved = [not near(exact, tried(right[0], case), rtol) for case, exact in zip(mixed, right[1], strict=False)]
        stays = [near(mine, tried(yours[0], case), rtol) for case, mine in zip(mixed, yours[1], strict=False)]
        if any(moved) and all(stays):
            return f"It does not depend on {name}."
    return ""


def tried(function: Callable[..., Any], case: tuple) -> Any:
    """What the function gives in this case; None where it fails."""
    try:
        return function(*deepcopy(case))
    except BaseException:  # SystemExit among them: nothing that an answer does may end a check
        return None
