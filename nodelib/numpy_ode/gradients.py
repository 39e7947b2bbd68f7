"""A loss of a solution and its gradient, by numpy and autograd; for ``nodelib.gradcheck``."""

from collections.abc import Callable
from typing import Any

import numpy as np
from autograd import grad

from nodelib.numpy_ode.problem import Array
from nodelib.numpy_ode.solve import odeint


def to_numpy(x: Any) -> Array:
    """An array of x."""
    return np.asarray(x)


def value(func: Callable, args: Any, loss: Callable, settings: dict[str, Any]) -> float:
    """The loss of the solution for args = (y0, t, *params)."""
    y0, t, *params = args
    return float(loss(odeint(lambda s, y: func(s, y, *params), y0, t, **settings)))


def gradient(solver: Callable, func: Callable, args: Any, loss: Callable, settings: dict[str, Any]) -> list[Array]:
    """The gradients of the loss with respect to each of args, by autograd through the solver."""

    def of(y0: Any, t: Any, *params: Any) -> Any:
        if solver is odeint:
            plain = {key: setting for key, setting in settings.items() if not key.startswith("adjoint")}
            return loss(odeint(lambda s, y: func(s, y, *params), y0, t, **plain))
        return loss(solver(func, y0, t, adjoint_params=params, **settings))

    return list(grad(of, tuple(range(len(args))))(*args))  # type: ignore[arg-type]


def cotangent(func: Callable, args: Any, loss: Callable, settings: dict[str, Any]) -> Array:
    """g, the gradient of the loss with respect to the states at t."""
    y0, t, *params = args
    ys = odeint(lambda s, y: func(s, y, *params), y0, t, **settings)
    return grad(loss)(ys)  # type: ignore[return-value]
