"""Three gradients of several outputs, each with a bug for exercise § 2.9 to find. Do not copy from here."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from autograd import make_vjp

from .algorithms import Array, Func, algorithm_1


def suspect_a(func: Func, ys: Array, t: Array, params: Sequence[Any], g: Array) -> tuple[Array, Array, list]:
    """By A: needs the state and its adjoint only, and is quick about θ."""
    a, dt, total = g[-1], np.zeros(len(t)), [np.zeros_like(p) for p in params]
    for i in range(len(t) - 1, 0, -1):
        dt[i] = np.sum(g[i] * func(t[i], ys[i], *params))
        _, a, _ = algorithm_1(func, ys[i], a, t[i - 1], t[i], params)
        for k in range(len(params)):
            product, _ = make_vjp(func, 2 + k)(t[i - 1], ys[i - 1], *params)  # type: ignore[misc]
            total[k] = total[k] + (t[i] - t[i - 1]) * product(a)
        a = a + g[i - 1]
    dt[0] = -np.sum((a - g[0]) * func(t[0], ys[0], *params))
    return a, dt, total


def suspect_b(func: Func, ys: Array, t: Array, params: Sequence[Any], g: Array) -> tuple[Array, Array, list]:
    """By B: treats every time alike."""
    a, before, total = g[-1], g[-1], [np.zeros_like(p) for p in params]
    for i in range(len(t) - 1, 0, -1):
        _, before, part = algorithm_1(func, ys[i], a, t[i - 1], t[i], params)
        total = [x + y for x, y in zip(total, part, strict=True)]
        a = before + g[i - 1]
    pulls = [before, *g[1:]]
    dt = np.array([np.sum(pull * func(s, y, *params)) for pull, s, y in zip(pulls, t, ys, strict=True)])
    return a, dt, total


def suspect_c(func: Func, ys: Array, t: Array, params: Sequence[Any], g: Array) -> tuple[Array, Array, list]:
    """By C: from output to output, setting the state back to what was stored."""
    dt = np.array([np.sum(g_i * func(s, y, *params)) for g_i, s, y in zip(g, t, ys, strict=True)])
    a, total = g[-1], [np.zeros_like(p) for p in params]
    for i in range(len(t) - 1, 0, -1):
        _, a, part = algorithm_1(func, ys[i], a, t[i - 1], t[i], params)
        total = [x + y for x, y in zip(total, part, strict=True)]
    dt[0] = -np.sum(a * func(t[0], ys[0], *params))
    return a + g[0], dt, total
