"""Pains of the failure gallery that a solve shows: steps, tolerances, digits. Each is made to happen, and mended."""

import warnings

import numpy as np
import torch
from torch import Tensor

from nodelib.common.solution import SolverError
from nodelib.torch_ode import odeint_event, solve

from .pain import Curve, Pain, ones, times, tolerances


class _Squared:
    """y' = y², which reaches infinity at t = 1 from y = 1, with a record of the steps."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float]] = []

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        return y * y

    def callback_accept_step(self, t: Tensor, y: Tensor, h: Tensor) -> None:
        self.steps.append((float(t), float(h)))


def underflow() -> Pain:
    """A solve that does not end."""
    func, said = _Squared(), ""
    try:
        solve(func, ones(1), times(2.0))
    except SolverError as error:
        said = f"{error.what.partition(':')[0]}: … {error.advice}"  # the numbers between are of the size of rounding
    ts, hs = np.array(func.steps).T
    stopped, zero = _Squared(), torch.tensor(0.0, dtype=torch.float64)
    end, _ = odeint_event(stopped, ones(1), zero, event_fn=lambda t, y: y[0] - 100.0)
    shortest = min(h for _, h in stopped.steps)
    return Pain(
        "“underflow in dt”, or a solve that never ends",
        f"“{said}”",
        "plot h against t. Where the solution blows up, stop before: an event at y = 100",
        f"it stops at t = {float(end):.4f}",
        "1.4",
        1 / float(hs.min()), 1 / shortest,
        (Curve("step size", ts, hs, "after"),),
        {"xlabel": "t", "ylabel": "h", "yscale": "log"},
    )  # fmt: skip


def shared_steps() -> Pain:
    """One step size for samples that need different ones."""
    rates = torch.logspace(0, 3, 16, dtype=torch.float64)[:, None]

    def func(t: Tensor, y: Tensor) -> Tensor:
        return -rates * (y - torch.cos(t))

    y0, t, tol = torch.zeros_like(rates), times(1.0), tolerances(1e-4)
    joint = solve(func, y0, t, **tol).stats.nfe
    each = solve(func, y0, t, options={"per_sample": True}, **tol).stats.nfe
    alone, lam = np.asarray(each, dtype=float), rates[:, 0].numpy()
    return Pain(
        "one step size for a whole batch",
        f"{joint:,} evaluations for each of 16 samples, of which the median one needs {np.median(alone):.0f}",
        "`per_sample`; and for end times T of their own: s = t/T, dz/ds = T f(Ts, z)",
        f"{alone.mean():.0f} a sample in the mean",
        "6.3",
        float(joint), float(alone.mean()),
        (Curve("jointly", lam, np.full(len(lam), float(joint)), "before"), Curve("each", lam, alone, "after")),
        {"xlabel": "λ of the sample", "ylabel": "evaluations", "xticks": [1, 10, 100, 1000], "yticks": [100, 1000]},
    )  # fmt: skip


def too_tight() -> Pain:
    """A tolerance below what single precision resolves."""

    def pendulum(t: Tensor, y: Tensor) -> Tensor:
        return torch.stack([y[1], -torch.sin(y[0])])

    tols = 10.0 ** -np.arange(3, 10)
    # eight of them, since one may be lucky with its round-off
    y0 = torch.linspace(0.5, 1.5, 8, dtype=torch.float64).expand(2, 8)
    exact = solve(pendulum, y0, times(5.0), rtol=1e-12, atol=1e-12).y[-1]
    said, curves = "", []
    for dtype, name, look in ((torch.float64, "float64", "after"), (torch.float32, "float32", "before")):
        points = []
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            for tol in tols:
                found = solve(pendulum, y0.to(dtype), times(5.0).to(dtype), rtol=tol, atol=tol)
                points.append((found.stats.nfe, float((found.y[-1].double() - exact).norm()) / 8**0.5))
        said = str(heard[-1].message) if heard else said
        curves.append(Curve(name, *np.array(points).T, look))  # type: ignore[call-arg]
    double, single = curves
    return Pain(
        "tolerances below float32's floor",
        f"a warning: “{said}”",
        "rtol of 1e-5 or more in float32, or float64. Noise in f has a floor, too: draw it once a solve",
        f"in float64 the error goes on falling, to {double.y[-1]:.0e}",
        "6.5",
        float(single.y[-1]), float(double.y[-1]),
        (double, single),
        {"xlabel": "evaluations", "ylabel": "error", "xticks": [50, 100, 200, 400], "yscale": "log"},
    )  # fmt: skip


def last_digits() -> Pain:
    """Stored outputs that do not compare equal."""
    values = np.random.default_rng(0).normal(size=3000).astype(np.float32) + np.float32(1)
    orders = [np.random.default_rng(seed).permutation(len(values)) for seed in range(60)]
    sums = np.array([float(np.add.accumulate(values[order])[-1]) for order in orders])  # one after the other
    printed = {digits: len({f"{x:.{digits}g}" for x in sums}) for digits in (9, 5)}
    exact = float(np.sum(values, dtype=np.float64))
    return Pain(
        "stored outputs of notebooks do not compare equal",
        f"a sum in float32, added up in 60 orders, prints {printed[9]} different numbers",
        "seed, round what is printed, or assert it; keep times and progress bars out of compared outputs",
        f"to five digits it prints {printed[5]}",
        "0",
        float(printed[9]), float(printed[5]),
        (Curve("sum − exact", np.arange(len(sums)), sums - exact, "dots", False),),
        {"xlabel": "order", "ylabel": "sum − exact"},
    )  # fmt: skip
