"""What people pass, made into what the solvers work on: the state, the times and the parameters, in one place."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.builtins import DictBox, SequenceBox
from autograd.misc import flatten
from autograd.tracer import getval, isbox


def as_array(x: Any) -> Any:
    """x as an array or a box of one; numbers and boxes of numbers in a sequence are put together, gradients and all."""
    if isinstance(x, SequenceBox) or (isinstance(x, list | tuple) and any(map(isbox, x))):
        return anp.array(list(x))  # type: ignore[call-overload]
    if isbox(x):
        return anp.reshape(x, np.shape(getval(x)))  # type: ignore[attr-defined]  # a boxed Python float, too
    array = np.asarray(x)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def as_times(t: Any) -> Any:
    """The times as a float64 array, or a box of them. Raises TypeError where they are no real numbers."""
    try:
        times = as_array(list(t) if isinstance(t, Iterator) else t)
        return times if isbox(times) else np.array(times.astype(float, casting="same_kind"))
    except (TypeError, ValueError) as error:
        raise TypeError(f"t must be a flat sequence of real times, got {t!r:.80}: {error}") from None


def as_params(given: Any, func: Callable[..., Any]) -> tuple[tuple[Any, ...], Callable[..., Any]]:
    """The parameters as arrays, and func as a function (t, y, *arrays).

    A list or tuple holds a parameter each, anything else is one. A parameter that is itself a list, tuple or
    dictionary, nested at will, is handed to func as it was given. Raises TypeError where there is something in it that
    is no number.
    """
    params = list(given) if isinstance(given, list | tuple | SequenceBox) else [given]  # type: ignore[arg-type]
    packed = [_packed(i, p) for i, p in enumerate(params)]
    if all(unpack is None for _, unpack in packed):
        return tuple(vector for vector, _ in packed), func
    unpacks = [unpack or (lambda x: x) for _, unpack in packed]

    def with_structure(t: Any, y: Any, *vectors: Any) -> Any:
        return func(t, y, *(unpack(v) for unpack, v in zip(unpacks, vectors, strict=True)))

    return tuple(vector for vector, _ in packed), with_structure


def _packed(i: int, p: Any) -> tuple[Any, Callable[[Any], Any] | None]:
    """The parameter as one array, and what gives its structure back, None where it has none."""
    nested = isinstance(p, Mapping | DictBox | SequenceBox | list | tuple)  # type: ignore[arg-type]
    try:
        vector, unpack = flatten(p) if nested else (p, None)
        if np.asarray(getval(vector)).dtype.kind not in "iufc":
            raise TypeError("it holds something that is no number")
    except (TypeError, KeyError, ValueError) as error:
        raise TypeError(
            f"adjoint_params[{i}] must be an array, or a list, tuple or dictionary of arrays, got {type(p).__name__}: "
            f"{error}"
        ) from None
    return vector, unpack
