"""Both twins behind one face, so that a test states its problem once and asks it of numpy and of torch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from nodelib import numpy_ode, torch_ode
from nodelib.common.arguments import METHODS

OWN = [name for name, method in METHODS.items() if method.kind != "scipy"]
FIXED = [name for name in OWN if not METHODS[name].adaptive]
PAIRS = [name for name in OWN if METHODS[name].adaptive]
SCIPY = [name for name, method in METHODS.items() if method.kind == "scipy"]


class Twin(NamedTuple):
    """xp has the functions (stack, cos, exp …) that a right-hand side is written with."""

    name: str
    xp: Any
    odeint: Callable[..., Any]
    solve: Callable[..., Any]

    def array(self, values: Any, dtype: str = "float64") -> Any:
        """An array or tensor of the twin, always with memory of its own."""
        array = np.array(values, dtype)
        return array if self.xp is np else torch.tensor(array)

    def numpy(self, y: Any) -> np.ndarray:
        """A result of the twin as a numpy array."""
        return np.asarray(y.detach() if self.xp is torch else y)

    def __str__(self) -> str:
        return self.name


NUMPY = Twin("numpy", np, numpy_ode.odeint, numpy_ode.solve)
TORCH = Twin("torch", torch, torch_ode.odeint, torch_ode.solve)
TWINS = [NUMPY, TORCH]


def tol(method: str, tight: float) -> dict[str, float]:
    """That tolerance, but none tighter than 1e-5 for heun_euler, which would take thousands of steps."""
    value = max(tight, 1e-5) if method == "heun_euler" else tight
    return {"rtol": value, "atol": value}


def log(sol: Any) -> np.ndarray:
    """t, h and error ratio of the attempted steps, one row each."""
    return np.array([step[:3] for step in sol.steps])


def options(method: str, h: float) -> dict[str, float]:
    """Steps of size h where the method is told its steps; nothing where it chooses them."""
    return {} if METHODS[method].adaptive else {"step_size": h}


class Watched:
    """A right-hand side that writes down when it was evaluated."""

    def __init__(self, func: Callable[[Any, Any], Any]):
        self.func, self.times = func, []

    def __call__(self, t: Any, y: Any) -> Any:
        self.times.append(float(t))
        return self.func(t, y)


# --- problems, each a function of xp, with its solution in numpy ------------------------------------------------------


class Known(NamedTuple):
    """y' = func(xp)(t, y) with the solution exact(t), a vector for each time."""

    func: Callable[[Any], Callable[[Any, Any], Any]]
    exact: Callable[[Any], np.ndarray]


# Nonlinear, not autonomous, a system: every tree of the order conditions takes part.
SPIN = Known(
    lambda xp: lambda t, y: 2 * t * xp.stack([y[0] * xp.log(y[1]), -y[1] * xp.log(y[0])]),
    lambda t: np.exp(np.stack([np.sin(np.square(t)), np.cos(np.square(t))], axis=-1)),
)
OSCILLATOR = Known(
    lambda xp: lambda t, y: xp.stack([y[1], -y[0]]),
    lambda t: np.stack([np.cos(t), -np.sin(t)], axis=-1),
)
LOGISTIC = Known(  # y(0) = 1/4
    lambda xp: lambda t, y: y * (1 - y),
    lambda t: (1 / (1 + 3 * np.exp(-np.asarray(t))))[..., None],
)
SWING = Known(  # y(0) = 1
    lambda xp: lambda t, y: y * xp.cos(t),
    lambda t: np.exp(np.sin(t))[..., None],
)
KNOWN = {"spin": SPIN, "oscillator": OSCILLATOR, "logistic": LOGISTIC, "swing": SWING}


def lotka_volterra(xp: Any) -> Callable[[Any, Any], Any]:
    """Prey and predators; steps are rejected on the way. No closed solution."""
    return lambda t, y: xp.stack([1.5 * y[0] - y[0] * y[1], y[0] * y[1] - 3 * y[1]])
