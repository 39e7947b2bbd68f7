"""What the check cells call: one printed line that says whether an answer is right and, if not, how far off it is."""

from __future__ import annotations

from typing import Any

import numpy as np

SHOWN = 4  # entries of an array that one line has room for


def compare(name: str, yours: Any, exact: Any, rtol: float = 1e-6) -> bool:
    """Print one line that grades ``yours`` against ``exact``; returns True when they agree.

    Both are numbers or arrays of one shape, real or complex (numpy, torch, or lists of numbers). They agree when the
    largest ``|yours - exact|`` is at most ``rtol`` times the largest ``|exact|`` (``rtol`` where ``exact`` is zero).
    An unfinished answer (``None``, ``...``, or a list or tuple that holds one) is "missing", never an error; the exact
    value is not said before there is an answer. Raises TypeError when ``exact`` is not made of numbers.

    >>> compare("two and two", 4.0, 4)
    ✓ two and two: exact 4, yours 4
    True
    """
    right = _array(exact)
    if right is None:
        raise TypeError(f"compare: exact must be a number or an array of numbers, got {exact!r}")
    if _unfinished(yours):
        print(f"✗ {name}: yours missing")
        return False
    ok, verdict = _judge(yours, right, rtol)
    print(f"{'✓' if ok else '✗'} {name}: exact {_text(right)}, yours {verdict}")
    return ok


def _judge(yours: Any, right: np.ndarray, rtol: float) -> tuple[bool, str]:
    """Whether ``yours`` agrees with ``right``, and the words for it."""
    mine = _array(yours)
    if mine is None:
        return False, f"{type(yours).__name__}, not a number"
    if mine.shape != right.shape:
        return False, f"of shape {mine.shape} instead of {right.shape}"
    scale = float(np.max(np.abs(right), initial=0.0)) or 1.0
    difference = float(np.max(np.abs(mine - right), initial=0.0))
    ok = difference <= rtol * scale
    return ok, _text(mine) + ("" if ok else f", difference {difference:.2e}")


def _unfinished(value: Any) -> bool:
    return value is None or value is ... or (isinstance(value, (list, tuple)) and any(map(_unfinished, value)))


def _array(value: Any) -> np.ndarray | None:
    """``value`` as an array of numbers, torch tensors included; None when it is not made of numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # a ragged list
        return None
    if array.dtype == object:  # Fractions, say
        try:
            array = array.astype(float)
        except (TypeError, ValueError):
            return None
    return array if array.dtype.kind in "biufc" else None


def _text(array: np.ndarray) -> str:
    """Four significant digits an entry, so that a stored notebook reads the same on every machine."""
    entries = [f"{entry:.4g}" for entry in array.ravel()[:SHOWN].tolist()]
    if array.ndim == 0:
        return entries[0]
    return "[" + ", ".join(entries) + (", …]" if array.size > SHOWN else "]")
