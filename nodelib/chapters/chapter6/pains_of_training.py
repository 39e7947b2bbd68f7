"""Pains of the failure gallery that a training shows: gradients and their costs. Each is made to happen, and mended."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nodelib.experiments.memory import PeakMemory
from nodelib.torch_ode import odeint, odeint_adjoint, odeint_checkpoint, solve

from .pain import Array, Curve, Net, Pain, ones, times, tolerances


def _way_back(solver: Callable[..., Any], outputs: int) -> int:
    func, y0 = Net(), ones().requires_grad_()
    ys = solver(func, y0, times(2.0, outputs), rtol=1e-6, atol=1e-6)
    func.calls = 0
    ys.square().mean().backward()
    return func.calls


def slow_adjoint() -> Pain:
    """An adjoint that costs more than the way there."""
    counts = np.array([2, 5, 10, 20, 50, 100])
    adjoint = np.array([_way_back(odeint_adjoint, int(k)) for k in counts])
    checkpoint = np.array([_way_back(odeint_checkpoint, int(k)) for k in counts])
    return Pain(
        "the adjoint is slower than backpropagation",
        f"with {counts[-1]} outputs {adjoint[-1]:,} evaluations on the way back, each with its products",
        "`odeint_checkpoint`, which runs the steps of the way there once more",
        f"{checkpoint[-1]:,} evaluations",
        "2.8",
        float(adjoint[-1]), float(checkpoint[-1]),
        (Curve("adjoint", counts, adjoint, "adjoint"), Curve("checkpoint", counts, checkpoint, "checkpoint")),
        {"xlabel": "outputs", "ylabel": "evaluations back", "xticks": counts.tolist(), "yticks": [30, 100, 300]},
    )  # fmt: skip


def _held(solver: Callable[..., Any], outputs: int) -> float:
    with PeakMemory() as memory:
        func, y0 = Net(64), ones(64).requires_grad_()
        ys = solver(func, y0, times(2.0, outputs), rtol=1e-3, atol=1e-3)
        held = memory.now / 1024
    del ys
    return held


def memory_grows() -> Pain:
    """Memory that grows with the outputs, under the adjoint too."""
    counts = np.array([2, 10, 50, 200, 1000])
    adjoint, backprop = (
        np.array([_held(solver, int(k)) for k in counts]) for solver in (odeint_adjoint, odeint)
    )  # fmt: skip
    return Pain(
        "memory is not O(1)",
        f"with {counts[-1]:,} outputs the adjoint holds {adjoint[-1]:.0f} KiB: the states at t are its result",
        "ask for the times that the loss needs; an integral along the way can be one state more",
        f"{adjoint[0]:.1f} KiB for the end alone",
        "2.8",
        float(adjoint[-1]), float(adjoint[0]),
        (Curve("backpropagation", counts, backprop, "backprop"), Curve("adjoint", counts, adjoint, "adjoint")),
        {"xlabel": "outputs", "ylabel": "held, KiB", "xticks": counts.tolist(), "yticks": [100, 200, 400]},
    )  # fmt: skip


def diverging() -> Pain:
    """A gradient that is lost on the way back, silently."""
    func, end, tol = Net(gain=2.0, contracting=True), 5.0, tolerances(1e-6)
    grads = {}
    for name, solver, settings in (
        ("exact", odeint_checkpoint, tolerances(1e-10)),
        ("adjoint", odeint_adjoint, tol),
        ("checkpoint", odeint_checkpoint, tol),
    ):
        func.zero_grad()
        solver(func, ones(), times(end), **settings)[-1].square().sum().backward()
        grads[name] = func.W.grad.clone()  # type: ignore[union-attr]
    off = {name: float((g - grads["exact"]).norm() / grads["exact"].norm()) for name, g in grads.items()}
    there = solve(func, ones(), times(end), dense=True, **tol)
    ts = np.linspace(end, 0, 60)
    with torch.no_grad():
        back = odeint(func, there.y[-1], torch.tensor(ts), **tol)
        missed = (back - there(ts)).norm(dim=1).numpy()
    return Pain(
        "gradients of the adjoint diverge",
        "no message; its gradient is off by more than its own size",
        "solve backwards and look whether y comes back. If not: `odeint_checkpoint`",
        "off by less than a thousandth",
        "6.6",
        off["adjoint"], off["checkpoint"],
        (Curve("missed on the way back", ts[1:], missed[1:], "adjoint"),),
        {"xlabel": "t", "ylabel": "|y back − y|", "yscale": "log"},
    )  # fmt: skip


def sign_of_time() -> Pain:
    """dL/dt₀, whose sign is asked for again and again."""

    def end(t0: Tensor) -> Tensor:
        t = torch.stack([t0, torch.tensor(1.0, dtype=torch.float64)])
        return odeint_adjoint(lambda t, y: -2 * y, ones(1), t, rtol=1e-9, atol=1e-9, adjoint_params=())[-1, 0]

    t0 = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    level = end(t0)
    level.backward()
    slope, step = float(t0.grad), 1e-4  # type: ignore[arg-type]
    with torch.no_grad():
        ts = np.linspace(0, 0.6, 61)
        levels = np.array([float(end(torch.tensor(x, dtype=torch.float64))) for x in ts])
        differences = float(end(t0 + step) - end(t0 - step)) / (2 * step)
    tangent = np.array([0.1, 0.5])
    lines = [(name, look, float(level.detach()) + s * (tangent - 0.3))
             for name, look, s in (("−a·f", "adjoint", slope), ("a·f", "before", -slope))]  # fmt: skip
    return Pain(
        "the sign of ∂L/∂t₀",
        "taken as +a·f it has the wrong sign, and nothing else looks wrong",
        "∂L/∂t₁ = a·f, but ∂L/∂t₀ = −a·f; difference L, or call `nodelib.gradcheck`",
        f"{slope:.4f}, and differences give {differences:.4f}",
        "2.4",
        abs(-slope - differences), abs(slope - differences),
        (Curve("L", ts, levels, "truth"), *(Curve(name, tangent, y, look) for name, look, y in lines)),
        {"xlabel": "t₀", "ylabel": "L"},
    )  # fmt: skip


def _trained(passed: bool, iterations: int = 30) -> tuple[Array, str]:
    seeded = torch.Generator().manual_seed(1)
    weight = (0.1 * torch.randn(2, 2, generator=seeded, dtype=torch.float64)).requires_grad_()
    first, losses, said = nn.Parameter(ones(2)), [], ""
    optimizer = torch.optim.Adam([weight, first], lr=0.05)
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for _ in range(iterations):
            optimizer.zero_grad()
            params = (weight,) if passed else ()
            ys = odeint_adjoint(lambda t, y: y @ weight, first, times(2.0, 3), adjoint_params=params)
            loss = (ys - target).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    for one in heard[:1]:
        said = str(one.message)
    return np.array(losses), said


def lost_parameters() -> Pain:
    """A closure's tensor, which the adjoint does not know."""
    (without, said), (with_them, _) = _trained(False), _trained(True)
    its = np.arange(len(without))
    return Pain(
        "parameters get no gradient",
        f"a warning: “{said}”",
        "adjoint_params, or a Module whose Parameters they are",
        f"after {len(its)} iterations the loss is {with_them[-1]:.3f} in place of {without[-1]:.3f}",
        "2.7",
        without[-1], with_them[-1],
        (Curve("not passed", its, without, "before"), Curve("passed", its, with_them, "after")),
        {"xlabel": "iteration", "ylabel": "loss", "ylim": (0, None)},
    )  # fmt: skip


def _fitted(starts: Tensor, spans: list[float], rate: float = 0.1, iterations: int = 120) -> Tensor:
    """ω after training on the first part of the data, longer from stage to stage; all starts at once."""
    omega = starts.clone().requires_grad_()
    optimizer = torch.optim.Adam([omega], lr=rate)
    for span in spans:
        for _ in range(iterations):
            optimizer.zero_grad()
            _misfit(omega, span).sum().backward()
            optimizer.step()
    return omega.detach()


def _misfit(omega: Tensor, span: float, true: float = 3.0) -> Tensor:
    t = times(span, 80)
    return (torch.cos(omega[:, None] * t) - torch.cos(true * t)).square().mean(1)


def stuck() -> Pain:
    """Long series: the loss of a frequency has a valley beside each wave."""
    starts, long = torch.linspace(1.0, 5.0, 11, dtype=torch.float64), 10.0
    at_once, growing = _fitted(starts, [long]), _fitted(starts, [1.5, 4.0, long])
    hits = [int(((found - 3).abs() < 0.01).sum()) for found in (at_once, growing)]
    omega = torch.linspace(0.5, 5.5, 201, dtype=torch.float64)
    curves = [(f"span {span:g}", look, _misfit(omega, span)) for span, look in ((long, "before"), (1.5, "after"))]
    return Pain(
        "it fits the mean, or is stuck on a long series",
        f"fitted to ten seconds of cos 3t at once, {11 - hits[0]} of 11 starts end beside ω = 3",
        "let the span grow (or shoot from many starts, § 5.7)",
        f"{hits[1]} of 11 end at ω = 3",
        "5.7",
        float(11 - hits[0]), float(11 - hits[1]),
        tuple(Curve(name, omega.numpy(), y.numpy(), look) for name, look, y in curves),
        {"xlabel": "ω", "ylabel": "loss"},
    )  # fmt: skip
