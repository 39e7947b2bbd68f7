"""A checked initial value problem, which the solvers of this folder work on; ``prepare`` makes one.

States are flattened on entry. Plain arrays and autograd's boxes pass through the same lines, so that ``autograd.grad``
differentiates a solve.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
from autograd.tracer import getval, isbox
from numpy import ndarray
from numpy.typing import NDArray

from nodelib.common.arguments import (
    Method,
    check_method,
    check_order,
    check_times,
    check_tolerances,
    default_tolerances,
)
from nodelib.common.solution import GraphNeeded, NonFiniteState, Step
from nodelib.numpy_ode.inputs import as_array, as_times

Array = NDArray[Any]
Func = Callable[[Any, Any], Any]
MORE_OPTIONS = {"rk fixed": {"norm"}, "adams fixed": {"norm"}, "rk adaptive": {"norm"}, "scipy adaptive": {"norm"}}


class Counted:
    """func on flat states, counting its evaluations. The y that it is given is read-only.

    ``boxed``: it may return a box of autograd's.
    """

    def __init__(self, func: Func, shape: tuple[int, ...]):
        self.func = func if len(shape) == 1 else lambda t, y: func(t, y.reshape(shape)).reshape(-1)
        self.nfe, self.boxed = 0, True

    def __call__(self, t: Any, y: Any) -> Any:
        self.nfe += 1
        if type(y) is ndarray:
            y.setflags(False)  # type: ignore[call-arg]  # by name it takes three times as long
        try:
            f = self.func(t, y)
        except ValueError as error:
            raise explained(error) from error
        if type(f) is not ndarray and isbox(f) and not self.boxed:
            raise GraphNeeded
        return f


def explained(error: ValueError) -> ValueError:
    """The error of a func that writes into the y that it is given, in words; another error as it is."""
    if "read-only" not in str(error):
        return error
    return ValueError(
        f"func changes y in place: return a new array, for instance -y and not y *= -1; where a library insists on an "
        f"array that it may change, hand it y.copy() ({error})"
    )


@dataclass
class Problem:
    """A checked initial value problem on the flat state y0, with the log of its attempted steps."""

    func: Counted
    y0: Any
    f0: Any
    shape: tuple[int, ...]
    t: Any
    times: list[float]
    method: Method
    rtol: Any
    atol: Any
    norm: Callable[[Array], float]
    options: dict[str, Any]
    boxed: bool
    log: list[Step] = field(default_factory=list)

    @property
    def direction(self) -> int:
        """1 forward in time, -1 backward."""
        return 1 if self.times[-1] > self.times[0] else -1

    def time(self, value: float, i: int | None) -> Any:
        """The time ``value``; where t has a gradient, as a box that moves along with t[i]."""
        return self.t[i] + (value - self.times[i]) if i is not None and isbox(self.t) else value


def prepare(func: Func, y0: Any, t: Any, method: str, rtol: Any, atol: Any, options: Any) -> Problem:
    """Check every argument, evaluate func once, and flatten the state."""
    chosen, options = check_method(method, options, MORE_OPTIONS)
    check_order(func)
    y0, t = as_array(y0), as_times(t)
    value = getval(y0)
    if value.dtype.kind not in "fc" or value.dtype == np.float16:
        raise TypeError(
            f"y0 must be float32, float64 or complex, got {value.dtype}: pass e.g. np.array(y0, dtype=float)"
        )
    if value.size == 0:
        raise ValueError(f"y0 is empty (shape {value.shape}): there is nothing to solve for")
    if not np.isfinite(value).all():
        raise ValueError("y0 contains nan or inf: the solution needs a finite start")
    times = getval(t).reshape(-1).tolist()
    check_times(times, getval(t).ndim)
    rtol, atol = tolerances(rtol, atol, value)
    counted = Counted(func, value.shape)
    f0 = first_evaluation(counted, func, t[0] if isbox(t) else times[0], y0)
    boxed = counted.boxed = any(map(isbox, (y0, t, f0)))
    given = options.pop("norm", None)
    norm = rms if given is None else lambda x: float(given(x.reshape(value.shape)))
    return Problem(counted, y0.reshape(-1), f0, value.shape, t, times, chosen, rtol, atol, norm, options, boxed)


def tolerances(rtol: Any, atol: Any, y0: Array) -> tuple[Any, Any]:
    """(rtol, atol), checked, as floats or flat arrays like y0; the defaults follow the dtype."""
    info = np.finfo(y0.dtype)
    default = default_tolerances(float(info.eps))
    both = [np.asarray(d if tol is None else tol, dtype=float) for tol, d in zip((rtol, atol), default, strict=True)]
    for name, tol in zip(("rtol", "atol"), both, strict=True):
        if tol.ndim and tol.shape != y0.shape:
            raise ValueError(f"{name} must be a number or an array of y0's shape {y0.shape}, got shape {tol.shape}")
    smallest = {name: float(tol.min()) for name, tol in zip(("rtol", "atol"), both, strict=True)}
    check_tolerances(smallest, float(info.eps), str(y0.dtype))
    if not (both[0] * np.abs(y0) + both[1]).all():
        raise ValueError("atol = 0 leaves no tolerance to the entries of y0 that are zero: give a positive atol")
    rtol, atol = (tol.reshape(-1) if tol.ndim else float(tol) for tol in both)
    return rtol, atol


def first_evaluation(counted: Counted, func: Func, t0: Any, y0: Any) -> Any:
    """f(t0, y0), flat, after checking that func returns what a derivative of y0 must be."""
    counted.nfe += 1
    value = getval(y0)
    if not isbox(y0):
        y0 = value.view()
        y0.flags.writeable = False
    try:
        f0 = func(t0, y0)
    except ValueError as error:
        raise explained(error) from error
    got = getval(f0)
    if not isinstance(got, np.ndarray | np.generic):
        raise TypeError(f"func must return an array, got {type(got).__name__}: wrap it in np.array(…)")
    if got.shape != value.shape:
        raise ValueError(f"func must return an array of y0's shape {value.shape}, got shape {got.shape}")
    if got.dtype != value.dtype:
        raise TypeError(f"func must return y0's dtype {value.dtype}, got {got.dtype}: cast y0 or what func returns")
    if not np.isfinite(got).all():
        raise NonFiniteState(
            f"func returns nan or inf at its first evaluation, t = {getval(t0):.6g}: check func and y0"
        )
    return 1.0 * f0.reshape(-1)  # a copy: func may return the same array every time


def rms(x: Array) -> float:
    """Root mean square, of real or complex entries."""
    squares = np.vdot(x, x).real
    if squares == float("inf") and np.isfinite(largest := float(np.abs(x).max())):  # the squares overflow, x does not
        return largest * rms(x / largest)
    return sqrt(squares / max(x.size, 1))
