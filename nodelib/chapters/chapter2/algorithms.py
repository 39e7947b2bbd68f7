"""The adjoint as chapter 2 writes it, tightly solved: Algorithm 1, several outputs, a running cost, and two mistakes.

The chapter falls back on these where a reader has not written hers yet, and its exercises are checked against them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from autograd import make_vjp
from numpy.typing import NDArray

from nodelib.numpy_ode import odeint
from nodelib.numpy_ode.adjoint import join, split

Array = NDArray[Any]
Func = Callable[..., Any]
TIGHT: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}
ROUGH: dict[str, Any] = {"rtol": 1e-7, "atol": 1e-8}  # for what is drawn, or compared to four digits


def algorithm_1(
    func: Func, z_end: Any, g: Any, t0: float, t1: float, params: Sequence[Any], settings: dict[str, Any] = TIGHT
) -> tuple[Array, Array, list]:
    """z(t0), dL/dz(t0) and [dL/dθ …] from the final state z_end and g = dL/dz_end ([P] Algorithm 1)."""
    like = [z_end, g, *params]
    which = tuple(range(1 + len(params)))

    def augmented(s: float, state: Array) -> Array:
        z, a, *_ = split(state, like)
        product, f = make_vjp(lambda z, *params: func(s, z, *params), which)(z, *params)  # type: ignore[misc]
        return join([f, *product(-a)])

    start = join([z_end, g, *[np.zeros_like(p) for p in params]])
    z, a, *dparams = split(odeint(augmented, start, [t1, t0], **settings)[-1], like)
    return z, a, dparams


def states(func: Func, y0: Any, t: Any, params: Sequence[Any]) -> Array:
    """The states at the times t."""
    return odeint(lambda s, y: func(s, y, *params), y0, t, **TIGHT)


def from_stored(func: Func, ys: Array, t: Any, params: Sequence[Any], g: Array) -> tuple[Array, Array, list]:
    """dL/dz0, dL/dt and [dL/dθ …] from the states ys at the times t and g, the loss's gradients by them."""
    dt = np.array([np.sum(pull * func(s, y, *params)) for pull, s, y in zip(g, t, ys, strict=True)])
    a, total = np.zeros_like(g[-1]), [np.zeros_like(p) for p in params]
    for i in range(len(t) - 1, 0, -1):
        _, a, part = algorithm_1(func, ys[i], a + g[i], t[i - 1], t[i], params, ROUGH)
        total = [x + y for x, y in zip(total, part, strict=True)]
    dt[0] = -np.sum(a * func(t[0], ys[0], *params))
    return a + g[0], dt, total


def frozen_theta(func: Func, ys: Array, t: Any, params: Sequence[Any], g: Array) -> tuple[Array, Array, list]:
    """``from_stored`` with ∂f/∂θ taken once an interval, at its start, instead of integrated: wrong."""
    dy0, dt, _ = from_stored(func, ys, t, params, g)
    a, total = np.zeros_like(g[-1]), [np.zeros_like(p) for p in params]
    for i in range(len(t) - 1, 0, -1):
        _, a, _ = algorithm_1(func, ys[i], a + g[i], t[i - 1], t[i], params, ROUGH)
        for k in range(len(params)):
            product, _ = make_vjp(func, 2 + k)(t[i - 1], ys[i - 1], *params)  # type: ignore[misc]
            total[k] = total[k] + (t[i] - t[i - 1]) * product(a)
    return dy0, dt, total


def one_sign(func: Func, ys: Array, t: Any, params: Sequence[Any], g: Array) -> tuple[Array, Array, list]:
    """``from_stored`` with the sign of the end times at the start, too: wrong."""
    dy0, dt, total = from_stored(func, ys, t, params, g)
    return dy0, np.array([-dt[0], *dt[1:]]), total


def running_cost(func: Func, z_end: Any, t0: float, t1: float) -> Array:
    """dL/dz(t0) for L = ∫ |z|²/2 dt from t0 to t1, from the final state."""

    def both(s: float, state: Array) -> Array:
        z, a = split(state, [z_end, z_end])
        product, f = make_vjp(lambda z: func(s, z))(z)  # type: ignore[misc]
        return join([f, -product(a) - z])

    back = odeint(both, join([z_end, np.zeros_like(z_end)]), [t1, t0], **ROUGH)[-1]
    return split(back, [z_end, z_end])[1]


def pieces_and_jumps(func: Func, ys: Array, t: Any, params: Sequence[Any], g: Array) -> tuple[list, list]:
    """The adjoint between the outputs as (times, values), and its jumps as (time, from, to), from the last one on."""
    a, pieces, jumps = np.zeros_like(g[-1]), [], []
    for i in range(len(t) - 1, -1, -1):
        jumps.append((t[i], a, a + g[i]))
        a = a + g[i]
        if i > 0:
            times = np.linspace(t[i], t[i - 1], 15)
            ends = [algorithm_1(func, ys[i], a, s, t[i], params, ROUGH)[1] for s in times[1:]]
            pieces.append((times, np.array([a, *ends])))
            a = ends[-1]
    return pieces, jumps
