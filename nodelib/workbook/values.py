"""What an exercise's answer may be made of, and how far it is from what is right."""

from __future__ import annotations

from typing import Any

import numpy as np

SHOWN = 3  # entries of an array that a line has room for


class Odd(Exception):
    """An answer that cannot be compared: the sentence says what it is and what is asked."""


def unfinished(value: Any) -> bool:
    """Is this no answer yet: None, ``...``, or a list or tuple that holds one?"""
    try:
        return value is None or value is ... or (isinstance(value, list | tuple) and any(map(unfinished, value)))
    except RecursionError:  # a list that holds itself
        return False


def numbers(value: Any) -> np.ndarray | None:
    """``value`` as an array of float64 or complex128, tensors of torch and boxes of autograd included; None if it is
    not made of numbers."""
    try:
        array = np.asarray(_plain(value))
        if array.dtype.kind == "O":  # Fractions, say, or tensors in a list
            array = np.array([complex(_plain(entry)) for entry in array.ravel()]).reshape(array.shape)
            array = array if np.imag(array).any() else np.real(array)
        return array.astype(complex if array.dtype.kind == "c" else float) if array.dtype.kind in "biufc" else None
    except Exception:  # whatever an answer's own __array__ or __complex__ may raise
        return None


def _plain(value: Any) -> Any:
    while hasattr(value, "_value") and hasattr(value, "_node"):  # a box of autograd
        value = value._value
    if hasattr(value, "detach"):
        value = value.detach().cpu().resolve_conj().resolve_neg()
        value = value.double() if value.is_floating_point() else value
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def results(right: Any, yours: Any) -> list[tuple[Any, Any]]:
    """The results that ``right`` is made of, each with its counterpart; several only where ``right`` is a tuple.

    Raises Odd when ``yours`` has another number of them.
    """
    if not isinstance(right, tuple):
        return [(right, yours)]
    try:
        count = len(yours)
    except Exception:
        count = 1
    if isinstance(yours, str | dict | set):
        raise Odd(f"{kind(yours)} where {len(right)} results are asked")
    if count != len(right):
        raise Odd(f"{count} result{'s' * (count != 1)} where {len(right)} are asked")
    return list(zip(right, yours, strict=True))


def distance(right: Any, yours: Any) -> float:
    """How far ``yours`` is from ``right``: largest |yours - right| over largest |right|, or itself where right is 0.

    0 or infinity for words and truth values. Raises Odd when the two cannot be compared.
    """
    if isinstance(right, str | bool | np.bool_):
        return _word(right, yours)
    mine, exact = numbers(yours), numbers(right)
    if exact is None:
        raise TypeError(f"check: the right answer must be made of numbers, a word or a truth value, got {right!r}")
    if mine is None:
        raise Odd(kind(yours))
    if mine.shape != exact.shape:
        raise Odd(f"{_shape(mine)} where {_shape(exact)} is asked")
    if not np.isfinite(mine).all() and np.isfinite(exact).all():
        raise Odd("nan" if np.isnan(mine).any() else "infinite")
    if not np.isfinite(exact).all():
        return 0.0 if np.array_equal(mine, exact, equal_nan=True) else np.inf
    with np.errstate(all="ignore"):
        gap = float(np.max(np.abs(mine - exact), initial=0.0))
    return gap / (float(np.max(np.abs(exact), initial=0.0)) or 1.0)


def near(right: Any, yours: Any, rtol: float) -> bool:
    """Are all results this near? Two that cannot be compared are not; raises TypeError where ``right`` is at fault."""
    try:
        return all(distance(exact, mine) <= rtol for exact, mine in results(right, yours))
    except Odd:
        return False


def _word(right: str | bool | np.bool_, yours: Any) -> float:
    if isinstance(right, str) and not isinstance(yours, str):
        raise Odd(f"{kind(yours)} where a word is asked")
    if not isinstance(right, str):
        mine = numbers(yours)
        if mine is None or mine.shape != () or mine not in (0, 1):
            raise Odd(f"{kind(yours)} where True or False is asked")
        yours = bool(mine)
    return 0.0 if yours == right else np.inf


def kind(value: Any) -> str:
    """What an answer is that should have been numbers, in a few words."""
    array = numbers(value)
    if array is not None:
        return _shape(array)
    if callable(value):
        return "a function that was not called"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} that makes no array of numbers"
    return f"a {type(value).__name__}"


def shown(value: Any) -> str:
    """An input in a few characters, three significant digits a number; empty for what has no short form."""
    if callable(value):
        name = getattr(value, "__name__", "<>")
        return "" if name.startswith("<") else name
    if isinstance(value, str | bool | int):
        return repr(value)
    array = numbers(value)
    if array is None or array.ndim > 1:
        return "" if array is None else f"shape {array.shape}"
    entries = [f"{entry:.3g}" for entry in array.ravel()[:SHOWN].tolist()]
    return entries[0] if array.ndim == 0 else "[" + ", ".join(entries) + (", …]" if array.size > SHOWN else "]")


def _shape(array: np.ndarray) -> str:
    return "a single number" if array.ndim == 0 else f"an array of shape {array.shape}"
