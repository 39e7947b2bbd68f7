"""Is a gradient right? Every entry of it against central differences of the loss, in one table, for both twins.

    print(check_gradient(odeint_adjoint, func, y0, t, (theta,)))

``func(t, y, *params)``, with arrays for ``nodelib.numpy_ode``, tensors for ``nodelib.torch_ode``. To check a gradient
of your own, pass it as ``gradient``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Row:
    """One argument: its name, central differences, the gradient, and their largest gap over the largest entry."""

    name: str
    differences: Array
    gradient: Array
    error: float


@dataclass(frozen=True)
class GradientTable:
    """The rows of a check; ``worst`` is the largest relative error among them. Prints as a table."""

    rows: tuple[Row, ...]

    @property
    def worst(self) -> float:
        """The largest relative error of any argument; nan counts as the largest."""
        errors = [row.error for row in self.rows]
        return float("nan") if any(e != e for e in errors) else max(errors)

    def __str__(self) -> str:
        lines = [f"{'':6}{'central differences':>24}{'gradient':>24}{'relative error':>18}"]
        for row in self.rows:
            values = (_brief(row.differences), _brief(row.gradient))
            lines.append(f"{row.name:6}{values[0]:>24}{values[1]:>24}{_power(row.error):>18}")
        return "\n".join(lines)


def _brief(x: Array) -> str:
    shown = ", ".join(f"{v:.4g}" for v in x.reshape(-1)[:2])
    return shown + (", …" if x.size > 2 else "")


def _power(error: float) -> str:
    """A relative error as a bound by a power of ten, since its digits differ from machine to machine."""
    return f"{error:.1%}" if not error < 1e-3 else f"< 1e{max(-9, int(np.ceil(np.log10(max(error, 1e-300)))))}"


def check_gradient(
    solver: Callable[..., Any],
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    params: Sequence[Any] = (),
    *,
    loss: Callable[[Any], Any] | None = None,
    gradient: Callable[..., Sequence[Any]] | None = None,
    step: float = 1e-3,
    **settings: Any,
) -> GradientTable:
    """Compare dL/dy0, dL/dθ and dL/dt, as the solver gives them, with central differences of fourth order.

    solver:   odeint, odeint_adjoint or odeint_checkpoint of either twin.
    func:     (t, y, *params) -> array or tensor like y0.
    y0, t, params: float64 arrays, or tensors for the torch twin.
    loss:     the states at t, (len(t), *y0.shape) -> a number; by default a sum of all of them with unequal weights.
    gradient: to check instead of the solver's: (func, y0, t, params, g) -> (dL/dy0, dL/dt, [dL/dθ …]), where g is dL/dy
              at the times t.
    step:     of the differences, relative to each argument's size; their truncation error is of order step⁴.
    settings: method, tolerances and options for the solver; tolerances are 1e-11 and 1e-12 unless given.
    """
    settings = {"rtol": 1e-11, "atol": 1e-12, **settings}
    if "torch_ode" in solver.__module__:
        from nodelib.torch_ode import gradients as twin
    else:
        from nodelib.numpy_ode import gradients as twin
    plain = {key: value for key, value in settings.items() if not key.startswith("adjoint")}
    args = [np.array(twin.to_numpy(x), dtype=float) for x in (y0, t, *params)]

    def value(*arguments: Array) -> float:
        return twin.value(func, arguments, loss or weigh, plain)

    if gradient is None:
        found = twin.gradient(solver, func, args, loss or weigh, settings)
    else:
        g = twin.cotangent(func, args, loss or weigh, plain)
        dy0, dt, dparams = gradient(func, y0, t, params, g)
        found = [twin.to_numpy(x) for x in (dy0, dt, *dparams)]
    names = ["z0", "t", *(f"θ{i}" if len(params) > 1 else "θ" for i in range(1, len(params) + 1))]
    order = [0, *range(2, len(args)), 1]  # times last, one row each
    rows = []
    for i in order:
        differences = central_differences(value, args, i, step)
        rows += rows_of(names[i], differences, np.asarray(found[i], dtype=float).reshape(differences.shape), i == 1)
    return GradientTable(tuple(rows))


def weigh(ys: Any) -> Any:
    """A loss to which every entry counts, and differently: Σ y_k (1 + k mod 7) / 4 over all entries in order."""
    flat = ys.reshape(-1)
    return sum(flat[k] * ((1 + k % 7) / 4) for k in range(len(flat)))


def rows_of(name: str, differences: Array, found: Array, each: bool) -> list[Row]:
    """One row for an argument, or one for each of its entries; errors relative to the argument's largest entry."""
    scale = float(np.max(np.abs(differences))) or 1.0
    if not each:
        return [Row(name, differences, found, float(np.max(np.abs(differences - found))) / scale)]
    pairs = enumerate(zip(differences, found, strict=True))
    return [Row(f"{name}{k}", np.array([d]), np.array([f]), abs(float(d - f)) / scale) for k, (d, f) in pairs]


def central_differences(value: Callable[..., float], args: Sequence[Array], i: int, step: float) -> Array:
    """∂value/∂args[i], entry by entry: (8 (v(x+h) - v(x-h)) - (v(x+2h) - v(x-2h))) / 12h."""
    out = np.zeros_like(args[i])
    h = step * max(1.0, float(np.max(np.abs(args[i]))))
    for index in np.ndindex(out.shape):

        def at(k: int, index: tuple[int, ...] = index) -> float:
            moved = [arg.copy() for arg in args]
            moved[i][index] += k * h
            return value(*moved)

        out[index] = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)
    return out
