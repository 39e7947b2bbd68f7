"""What a tolerance promises: errors against spans, against two tolerances, and in single precision."""

import warnings
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nodelib.experiments import records
from nodelib.experiments.nfe import ratio
from nodelib.torch_ode import odeint, solve

from .fields import exact, gradient, network, relative

Array = NDArray[Any]

SPANS = tuple(range(1, 13))
LEVELS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
SINGLE = tuple(float(f"1e-{k}") for k in range(2, 10))
GAIN = 2.0


def of_span(rate: float, tol: float, end: float = SPANS[-1], per_unit: int = 10) -> tuple[Array, Array]:
    """Times, and the largest error up to each, over tol, of y' = rate (y - cos t) - sin t from y(0) = 1 by dopri5.

    The solution is cos t, whatever the rate: only what becomes of an error depends on it.
    """
    t = torch.linspace(0, end, int(per_unit * end) + 1, dtype=torch.float64)
    y = odeint(lambda t, y: rate * (y - torch.cos(t)) - torch.sin(t), torch.ones(1).double(), t, rtol=tol, atol=tol)
    return t.numpy(), np.maximum.accumulate((y[:, 0] - torch.cos(t)).abs().numpy()) / tol


class Grid(NamedTuple):
    """Relative errors of the adjoint's gradient, (forward tolerances, backward tolerances), and its evaluations."""

    levels: tuple[float, ...]
    error: Array
    backward: Array


@cache
def two_tolerances(seed: int = 0, levels: tuple[float, ...] = LEVELS) -> Grid:
    """``network``'s gradient by the adjoint, the way there at each tolerance and the way back at each."""
    field = network(seed, GAIN)
    truth = exact(field, tol=1e-9)
    found = [
        [gradient(field, "adjoint", rtol=there, atol=there, adjoint_rtol=back, adjoint_atol=back) for back in levels]
        for there in levels
    ]
    error = np.array([[relative(one.value, truth) for one in row] for row in found])
    return Grid(levels, error, np.array([[one.backward for one in row] for row in found]))


def back_over_forward(there: float, back: float, seed: int = 0) -> float:
    """Evaluations of the adjoint's way back for each one of the way there, at these tolerances, on ``network``."""
    found = gradient(network(seed, GAIN), "adjoint", rtol=there, atol=there, adjoint_rtol=back, adjoint_atol=back)
    return found.backward / found.forward


def recorded_ratios() -> Array:
    """Chapter 3's, on MNIST's trained ODE-Net: dopri5 and VODE, three tolerances, five batches, the training's loss."""
    rows = [row for part in records.read("fig3_nfe")["parts"] for row in part["backward"]]
    return np.array([ratio(row) for row in rows if row["loss"] == "mean" and row["solver"] in ("dopri5", "VODE")])


class Precision(NamedTuple):
    """For each tolerance of ``SINGLE``: evaluations, and the largest error of the end as a part of its size."""

    nfe: Array
    error: Array


@cache
def in_precision(dtype: torch.dtype, seed: int = 0) -> Precision:
    """``network``'s end by dopri5 in single or double precision."""
    field = network(seed, GAIN)
    W, b, V = (x.detach() for x in field.params)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that single precision cannot resolve the tolerance: it is what is shown
        truth = odeint(field.func, field.y0, [0.0, field.t1], method="dopri8", rtol=1e-11, atol=1e-12)[-1]
        rows = []
        for tol in SINGLE:
            w, c, v, y0 = (x.to(dtype) for x in (W, b, V, field.y0))
            found = solve(
                lambda t, y, w=w, c=c, v=v: torch.tanh(y @ w + c) @ v, y0, [0.0, field.t1], rtol=tol, atol=tol
            )
            gap = (found.y[-1].double() - truth).abs().max() / truth.abs().max()
            rows.append((found.stats.nfe, float(gap)))
    nfe, error = np.array(rows).T
    return Precision(nfe, error)
