"""Gradients of a solve with adaptive steps against three references: steps held, steps free, and the exact flow.

The step sizes depend on what is differentiated by. Backpropagation takes them as given numbers, and so do differences
with the steps *held*. Differences with *free* steps solve anew for every change: that is
the loss that a program prints.
"""

from functools import cache
from typing import Any

import autograd.numpy as anp
import numpy as np
import torch
from autograd import grad
from numpy.typing import NDArray

from nodelib import numpy_ode
from nodelib.experiments import records

from .numbers import LABORATORY, SHAPES, arguments, differences, exact, gradient, relative

Array = NDArray[Any]

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
REFERENCES = ("held", "free", "flow")
RECORD, NETWORKS, COMPARED, METHODS = "gradients_compared", 60, (1e-3, 1e-5), ("euler", "rk4")


def computed_loss(x: Array, tolerance: float) -> float:
    """L = ½ |z(1)|² as dopri5 computes it, for z0 and weights in one vector (42,)."""
    ends = np.cumsum([rows * columns for rows, columns in SHAPES])
    z0, w, b, v = (part.reshape(shape) for part, shape in zip(np.split(x, ends[:-1]), SHAPES, strict=True))
    z = numpy_ode.odeint(lambda t, z: v @ np.tanh(w @ z + b), z0, [0.0, 1.0], rtol=tolerance, atol=tolerance)[-1]
    return float(np.sum(z**2) / 2)


@cache
def free_differences(tolerance: float, seed: int = LABORATORY, h: float = 1e-5) -> Array:
    """The gradient (42,) of the loss as computed, each changed solve choosing its own steps; central differences."""
    x = arguments(seed).numpy()

    def along(e: Array) -> float:
        return (computed_loss(x + e, tolerance) - computed_loss(x - e, tolerance)) / (2 * h)

    return np.array([along(e) for e in h * np.eye(len(x))])


@cache
def error(way: str, reference: str, tolerance: float, seed: int = LABORATORY) -> float:
    """Relative error of one way's gradient by dopri5, against one of ``REFERENCES``."""
    against = {
        "held": _held,
        "free": lambda *x: torch.tensor(free_differences(*x)),
        "flow": lambda _, seed: exact(seed),
    }
    return relative(_found(way, tolerance, seed), against[reference](tolerance, seed))


@cache
def _found(way: str, tolerance: float, seed: int) -> torch.Tensor:
    return gradient(way, seed, method="dopri5", rtol=tolerance, atol=tolerance).value


@cache
def _held(tolerance: float, seed: int) -> torch.Tensor:
    return differences(seed, method="dopri5", rtol=tolerance, atol=tolerance)[0]


def paired(reference: str, tolerance: float, seeds: int = NETWORKS) -> Array:
    """The adjoint's error over backpropagation's, on ``seeds`` networks."""
    errors = [[error(way, reference, tolerance, seed) for seed in range(seeds)] for way in ("adjoint", "backprop")]
    return np.divide(*np.array(errors))


def recorded(reference: str, setting: float | str) -> Array:
    """``paired`` on ``NETWORKS`` networks at a tolerance of ``COMPARED``, or, for "fixed" and one of ``METHODS``,
    ``fixed_pair`` on as many problems: as figures/gradients_compared.py measured them."""
    key = setting if isinstance(setting, str) else f"{setting:.0e}"
    return np.array(records.read(RECORD)["ratios"][reference][key])


def fixed_pair(method: str, seed: int, steps: int = 4) -> float:
    """OtD's error against the flow's gradient over DtO's, with ``steps`` steps from 0 to 2 on a random problem: the
    chapter's field z' = W tanh z + b sin t and its loss, z0, W and b drawn around the chapter's."""
    rng, t = np.random.default_rng(seed), [0.0, 2.0]
    z = 1.2 * rng.normal(size=2)
    W = np.array([[-0.2, 1.0], [-1.0, -0.2]]) + rng.normal(size=(2, 2)) / 2
    b = rng.normal(size=2) / 2

    def field(t: Any, z: Any, W: Any, b: Any) -> Any:
        return anp.dot(W, anp.tanh(z)) + anp.sin(t) * b  # type: ignore[attr-defined]

    def found(adjoint: bool, **settings: Any) -> Array:
        def loss(z: Any, W: Any, b: Any) -> Any:
            if adjoint:
                ys = numpy_ode.odeint_adjoint(field, z, t, adjoint_params=(W, b), **settings)
            else:
                ys = numpy_ode.odeint(lambda t, z: field(t, z, W, b), z, t, **settings)
            return anp.sum((ys[-1] - np.array([0.5, -0.3])) ** 2) / 2  # type: ignore[attr-defined]

        return np.concatenate([np.ravel(part) for part in grad(loss, (0, 1, 2))(z, W, b)])

    flow = found(False, rtol=1e-8, atol=1e-9, method="dopri8")
    fixed = {"method": method, "options": {"step_size": 2 / steps}}
    otd, dto = (float(np.linalg.norm(found(way, **fixed) - flow)) for way in (True, False))
    return otd / dto


def student(ratios: Array) -> float:
    """Student's t of the logarithms of paired ratios: beyond 2.26 for ten and 2.00 for sixty they differ at 5 %."""
    logs = np.log(ratios)
    return float(logs.mean() / (logs.std(ddof=1) / len(ratios) ** 0.5))
