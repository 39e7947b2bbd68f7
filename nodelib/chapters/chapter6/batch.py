"""One step for all: a batch whose samples need different steps, solved jointly, apart, or each with its own."""

import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nodelib.common.tableaus import TABLEAUS
from nodelib.torch_ode import odeint, solve

Array = NDArray[Any]
Control = Callable[..., tuple[Array, Array]]

TOLERANCE, END = 1e-3, 2.0
TIMES = torch.linspace(0, END, 41, dtype=torch.float64)
MU, SPAN = 5.0, 10.0


class Solved(NamedTuple):
    """What a solve of a batch of relaxing samples cost, and how good it was.

    nfe:    evaluations of f, each on the whole batch.
    alone:  for steps per sample, (batch,): what each would have cost alone.
    error:  |z - exact| at ``TIMES``, (41, batch).
    """

    nfe: int
    alone: Array
    error: Array

    @property
    def worst(self) -> Array:
        """The largest error of each sample, (batch,)."""
        return self.error.max(axis=0)


def relaxing(rates: Any, tol: float = TOLERANCE, **options: Any) -> Solved:
    """z' = λ (cos t - z) from z = 0, t from 0 to 2, a sample for each rate λ, by dopri5 with these
    options."""
    lam = torch.as_tensor(rates, dtype=torch.float64).reshape(-1, 1)
    found = solve(
        lambda t, z: lam * (torch.cos(t) - z), torch.zeros_like(lam), TIMES, rtol=tol, atol=tol, options=options
    )
    alone = np.broadcast_to(np.asarray(found.stats.nfe), len(lam))
    nfe = getattr(found, "calls", found.stats.nfe)
    return Solved(int(nfe), alone, (found.y[..., 0] - truth(lam[:, 0])).abs().numpy())


def truth(lam: Tensor) -> Tensor:
    """The exact z at ``TIMES``, (41, batch): a forced oscillation, and a transient e^(-λt)."""
    t = TIMES[:, None]
    return (lam * torch.cos(t) + torch.sin(t) - lam * torch.exp(-lam * t)) * lam / (1 + lam**2)


# The joint solve of any batch of two kinds ----------------------------------------------------------------------------
def two_kinds(rate: float, share: float, tol: float = TOLERANCE) -> Solved:
    """A batch of which a ``share`` has this rate and the others have λ = 1, solved with two samples: the joint solve's
    RMS norm is computed with the weights of the two kinds."""
    weights = torch.tensor([share, 1 - share], dtype=torch.float64)

    def norm(x: Tensor) -> float:
        return float((weights * x.reshape(-1).square()).sum().sqrt())

    return relaxing([rate, 1.0], tol, norm=norm)


class Coupled(NamedTuple):
    """One setting of the explorer: the joint solve, and both kinds alone; index 0 is the odd kind, 1 the ordinary."""

    rate: float
    odd: int
    batch: int
    joint: Solved
    alone: tuple[Solved, Solved]

    @property
    def work(self) -> float:
        """Evaluations of single samples, jointly, for each one that separate solves would take."""
        odd, ordinary = (one.nfe for one in self.alone)
        return self.batch * self.joint.nfe / (self.odd * odd + (self.batch - self.odd) * ordinary)


class Coupling:
    """All settings of the explorer, computed once: rates and shares, of which the joint solve alone depends."""

    rates = (1.0, 3.0, 10.0, 30.0, 50.0, 100.0, 200.0)
    odds = (1, 10, 100, 1000, 10000)

    def __init__(self) -> None:
        self.alone = {rate: relaxing([rate]) for rate in self.rates}
        shares = {odd / batch for odd in self.odds for batch in self.odds if odd <= batch}
        self.joint = {(rate, share): two_kinds(rate, share) for rate in self.rates for share in sorted(shares)}

    def at(self, rate: float, odd: int, batch: int) -> Coupled:
        """``odd`` samples of this rate, at most the whole batch, among others of λ = 1."""
        odd = min(odd, batch)
        return Coupled(rate, odd, batch, self.joint[rate, odd / batch], (self.alone[rate], self.alone[1.0]))


# Hard moments at different times --------------------------------------------------------------------------------------
def oscillator(t: Any, z: Tensor) -> Tensor:
    """Van der Pol's, x' = v, v' = 5 (1 - x²) v - x, for z (batch, 2)."""
    x, v = z[..., 0], z[..., 1]
    return torch.stack((v, MU * (1 - x**2) * v - x), -1)


@cache
def phases(count: int, seed: int = 0) -> Tensor:
    """Starts on the cycle, at random times, (count, 2)."""
    draw = torch.Generator().manual_seed(seed)
    times = torch.sort(20 * torch.rand(count, generator=draw, dtype=torch.float64)).values + 5
    start = torch.tensor([2.0, 0.0], dtype=torch.float64)
    return odeint(oscillator, start, torch.cat([torch.zeros(1).double(), times]), rtol=1e-6, atol=1e-6)[1:]


def oscillating(starts: Tensor, tol: float = TOLERANCE, **options: Any) -> Any:
    """The solution of these oscillators from t = 0 to 10 by dopri5, as ``solve`` gives it."""
    return solve(oscillator, starts, [0.0, SPAN], rtol=tol, atol=tol, options=options)


def seconds(starts: Tensor, times: int = 9, **options: Any) -> float:
    """The shortest of so many ``oscillating``."""
    spent = []
    for _ in range(times):
        begun = time.thread_time()
        oscillating(starts, **options)
        spent.append(time.thread_time() - begun)
    return min(spent)


# A solver that runs on the reader's control ---------------------------------------------------------------------------
def masked(control: Control, rates: Any, tol: float = TOLERANCE, most: int = 10_000) -> tuple[int, Array]:
    """Evaluations of f, and each sample's error at the end, of ``relaxing``'s by dopri5 with a step for each sample.

    control:  as ``exercises_batch.controlled``.
    Raises RuntimeError when samples are still under way after so many steps.
    """
    lam = np.asarray(rates, float)[:, None]
    a, b_err, c = ([np.array(row, float) for row in TABLEAUS["dopri5"].a], *_weights())
    t, h = np.zeros(len(lam)), np.full(len(lam), 1e-3)
    z, nfe = np.zeros_like(lam), 0
    for _ in range(most):
        under_way = t < END
        if not under_way.any():
            return nfe, abs(z[:, 0] - truth(torch.from_numpy(lam[:, 0]))[-1].numpy())
        step = np.where(under_way, np.minimum(h, END - t), 0.0)
        k: list[Array] = []
        y1 = z
        for row, node in zip(a, c, strict=True):
            y1 = z + step[:, None] * sum((w * x for w, x in zip(row, k, strict=True)), np.zeros_like(z))
            k.append(lam * (np.cos(t + node * step)[:, None] - y1))
        nfe += len(k)
        err = step[:, None] * sum(w * x for w, x in zip(b_err, k, strict=True))
        err = err + np.where(under_way, 0.0, tol)[:, None]  # no ratio of 0 for samples that have arrived
        accepted, h = control(err, z, y1, tol, tol, np.where(under_way, step, h))
        passed = np.asarray(accepted, bool) & under_way
        z, t = np.where(passed[:, None], y1, z), np.where(passed, t + step, t)
        t = np.where(END - t < 1e-12, END, t)
    raise RuntimeError(f"{int((t < END).sum())} samples are still under way after {most} steps")


def _weights() -> tuple[list[float], list[float]]:
    tableau = TABLEAUS["dopri5"]
    return [float(w) for w in tableau.b_err or ()], [float(x) for x in tableau.c]
