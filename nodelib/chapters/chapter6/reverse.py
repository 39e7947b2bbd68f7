"""The way back: whether a state returns, whether a gradient survives, and what the remedies cost."""

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nodelib.common.solution import SolverError
from nodelib.experiments.memory import PeakMemory
from nodelib.numpy_ode import odeint
from nodelib.torch_ode import odeint as torch_odeint
from nodelib.torch_ode import odeint_reversible

from .fields import WAYS, Field, contractive, exact, forced, gradient, mild, rectified, relative, squares

Array = NDArray[Any]
Increment = Callable[[float, float, Any], Any]

RECORD, HELD_STEPS = "lost_gradients", (10, 100, 1000)
START, COUPLING = 2.0, 0.99


# There and back in a scalar -------------------------------------------------------------------------------------------
def increment(func: Callable[[float, Any], Any]) -> Increment:
    """Ψ(t, h, y), by which a step of the classical Runge–Kutta method changes y, for h of either sign."""

    def psi(t: float, h: float, y: Any) -> Any:
        k1 = func(t, y)
        k2 = func(t + h / 2, y + h / 2 * k1)
        k3 = func(t + h / 2, y + h / 2 * k2)
        k4 = func(t + h, y + h * k3)
        return h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    return psi


def coupled(psi: Increment, t: float, h: float, y: Any, z: Any, coupling: float) -> tuple[Any, Any]:
    """The pair (y, z) one step further, by McCallum & Foster's coupling: y₁ = cy + (1 - c)z + Ψ_h(z), z - Ψ_-h(y₁)."""
    y1 = coupling * y + (1 - coupling) * z + psi(t, h, z)
    return y1, z - psi(t + h, -h, y1)


def uncoupled(psi: Increment, t: float, h: float, y1: Any, z1: Any, coupling: float) -> tuple[Any, Any]:
    """The pair (y, z) that ``coupled`` took to (y1, z1), with the same arguments."""
    z = z1 + psi(t + h, -h, y1)
    return (y1 - (1 - coupling) * z - psi(t, h, z)) / coupling, z


def round_trip(
    func: Callable[[float, Any], Any], y0: Any, t1: float, steps: int, coupling: float = COUPLING, undo: Any = uncoupled
) -> tuple[Any, Any]:
    """y(t1) by so many coupled steps from 0, and y(0) after ``undo`` has undone all of them."""
    psi, h, y, z = increment(func), t1 / steps, np.asarray(y0, float), np.asarray(y0, float)
    for i in range(steps):
        y, z = coupled(psi, i * h, h, y, z, coupling)
    end = y
    for i in reversed(range(steps)):
        y, z = undo(psi, i * h, h, y, z, coupling)
    return end, y


class Trip(NamedTuple):
    """A solve of y' = λ (cos t - y), y(0) = 2, from 0 to 1 and back: times, states there, states back, evaluations one
    way. ``failed``: the way back was given up."""

    rate: float
    tol: float
    method: str
    t: Array
    there: Array
    back: Array
    nfe: int
    failed: bool = False

    @property
    def off(self) -> float:
        """|y(1) - exact|."""
        return abs(float(self.there[-1] - truth(self.rate, 1.0)))

    @property
    def missed(self) -> float:
        """|y(0) there and back - 2|; inf where it was given up."""
        return np.inf if self.failed else abs(float(self.back[0] - START))


def truth(rate: float, t: Any) -> Any:
    """The exact y(t)."""
    special = rate * (rate * np.cos(t) + np.sin(t)) / (1 + rate**2)
    return special + (START - rate**2 / (1 + rate**2)) * np.exp(-rate * np.asarray(t))


METHODS = ("dopri5", "rk4", "reversible_heun", "reversible_rk4")
RATES = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
TOLERANCES = (1e-3, 1e-6, 1e-9)


def trip(rate: float, tol: float, method: str) -> Trip:
    """dopri5 at this tolerance; the others take as many steps as its evaluations pay for."""

    def func(t: float, y: Any) -> Any:
        return rate * (np.cos(t) - y)

    calls = 0

    def counted(t: float, y: Any) -> Any:
        nonlocal calls
        calls += 1
        return func(t, y)

    t = np.linspace(0, 1, 101)
    same: dict[str, Any] = {"rtol": tol, "atol": tol}
    there = odeint(counted, np.array([START]), t, **same)[:, 0]
    nfe, failed = calls, False
    if method == "dopri5":
        try:
            back = odeint(func, there[-1:], t[::-1], **same, options={"max_num_steps": 20_000})[::-1, 0]
        except SolverError:
            back, failed = np.full_like(there, np.nan), True
        return Trip(rate, tol, method, t, there, back, nfe, failed)
    cost = {"rk4": 4, "reversible_heun": 1, "reversible_rk4": 8}[method]
    steps = max(nfe // cost, 1)
    with np.errstate(all="ignore"):
        there, back = _fixed(method, func, steps)
    return Trip(rate, tol, method, np.linspace(0, 1, steps + 1), there, back, steps * cost)


def _fixed(method: str, func: Callable[[float, Any], Any], steps: int) -> tuple[Array, Array]:
    """The states at the ends of so many steps there, and those that the way back gives, both in the order of time."""
    psi, h = increment(func), 1 / steps
    y, z = START, START
    there, pairs = [y], [(y, z)]
    for i in range(steps):
        if method == "rk4":
            y = y + psi(i * h, h, y)
        elif method == "reversible_rk4":
            y, z = coupled(psi, i * h, h, y, z, COUPLING)
        else:
            y, z = _heun(func, i * h, h, y, z)
        there.append(y)
        pairs.append((y, z))
    back = [y]
    for i in reversed(range(steps)):
        if method == "rk4":
            y = y + psi((i + 1) * h, -h, y)
        elif method == "reversible_rk4":
            y, z = uncoupled(psi, i * h, h, y, z, COUPLING)
        else:
            y, z = _heun(func, (i + 1) * h, -h, y, z)
        back.append(y)
    return np.array(there), np.array(back[::-1])


def _heun(func: Callable[[float, Any], Any], t: float, h: float, y: Any, z: Any) -> tuple[Any, Any]:
    """A step of the reversible Heun method, which a step of -h undoes. (Kidger et al. 2021, Algorithm 1.)"""
    f = func(t, z)
    z1 = 2 * y - z + h * f
    return y + h / 2 * (f + func(t + h, z1)), z1


class Trips:
    """All settings of the explorer, computed once."""

    rates, tolerances, methods = RATES, TOLERANCES, METHODS

    def __init__(self) -> None:
        self._all = {(r, tol, m): trip(r, tol, m) for r in self.rates for tol in self.tolerances for m in self.methods}

    def at(self, rate: float, tol: float, method: str) -> Trip:
        """One of them."""
        return self._all[rate, tol, method]


# Gradients ------------------------------------------------------------------------------------------------------------
KINDS: dict[str, tuple[Callable[[int], Field], float]] = {
    "mild network": (mild, 1e-6),
    "forced, λ = −20": (forced, 1e-6),
    "contractive network": (contractive, 1e-6),
    "ReLU, contractive": (rectified, 1e-3),
}
REMEDIES = ("adjoint", "adjoint, ten outputs", "checkpoint", "reversible Heun", "reversible RK4")
STEPS = {"reversible Heun": 200, "reversible RK4": 25}  # of 1 and 8 evaluations


class Tried(NamedTuple):
    """The relative error of a gradient, inf where it failed, and the evaluations there and back."""

    error: float
    forward: int = 0
    backward: int = 0


def tried(field: Field, tol: float, remedy: str, truth: torch.Tensor | None = None) -> Tried:
    """The gradient of the sum of squares of the end in the parameters, by one of ``REMEDIES``.

    The reversible solvers take 200 evaluations each way. What they and the adjoint warn of is left out: their error is
    what is asked.
    """
    truth = exact(field) if truth is None else truth
    settings: dict[str, Any] = {"rtol": tol, "atol": tol, "options": {"max_num_steps": 5000}}
    if remedy in STEPS:
        method = "reversible_heun" if remedy == "reversible Heun" else "reversible_rk4"
        settings = {"method": method, "options": {"step_size": field.t1 / STEPS[remedy]}}
    way = remedy.split(",")[0].split()[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = gradient(field, way, 11 if "ten" in remedy else 2, **settings)
    except SolverError:
        return Tried(np.inf)
    error = relative(found.value, truth)
    return Tried(error if np.isfinite(error) else np.inf, found.forward, found.backward)


def returned(field: Field, tol: float) -> float:
    """How far y0, solved there and back by dopri5, is from itself, as a part of its size; inf where that fails."""
    settings: dict[str, Any] = {"rtol": tol, "atol": tol, "options": {"max_num_steps": 5000}}
    with torch.no_grad():
        end = torch_odeint(field.func, field.y0, [0.0, field.t1], **settings)[-1]
        try:
            again = torch_odeint(field.func, end, [field.t1, 0.0], **settings)[-1]
        except SolverError:
            return np.inf
    return relative(again, field.y0)


def end_missed(field: Field, remedy: str) -> float:
    """How far the end is off by a reversible solver, one of ``STEPS``, as a part of its size."""
    method = "reversible_heun" if remedy == "reversible Heun" else "reversible_rk4"
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"step_size": field.t1 / STEPS[remedy]}
        end = odeint_reversible(
            field.func, field.y0, [0.0, field.t1], method=method, options=options, adjoint_params=field.params
        )[-1]
        right = torch_odeint(field.func, field.y0, [0.0, field.t1], rtol=1e-9, atol=1e-9)[-1]
    error = relative(end, right)
    return error if np.isfinite(error) else np.inf


def held(way: str, steps: int, seed: int = 0) -> int:
    """Bytes that wait for the way back after so many steps on the mild network: RK4's, coupled for "reversible"."""
    field = mild(seed)
    method = "reversible_rk4" if way == "reversible" else "rk4"
    more: dict[str, Any] = {} if way == "backprop" else {"adjoint_params": field.params}

    def solved(steps: int) -> torch.Tensor:
        options = {"step_size": field.t1 / steps}
        return squares(WAYS[way](field.func, field.y0, [0.0, field.t1], method=method, options=options, **more))

    solved(1)  # what the solver makes once and keeps is not counted
    with PeakMemory() as memory:
        loss = solved(steps)
        now = memory.now
        del loss
    return now


def seconds(way: str, steps: int, seed: int = 0, runs: int = 7) -> float:
    """The least CPU time of several runs there and back on the mild network, by RK4, coupled for "reversible"."""
    field = mild(seed)
    method = "reversible_rk4" if way == "reversible" else "rk4"
    took = []
    for _ in range(runs):
        begin = time.process_time()
        gradient(field, way, method=method, options={"step_size": field.t1 / steps})
        took.append(time.process_time() - begin)
    return min(took)


def coupled_against_backprop(steps: int, seed: int = 0) -> float:
    """How far the reversible gradient is from that of backpropagation through the same coupled steps, relative."""
    field = mild(seed)

    def psi(t: float, h: float, y: torch.Tensor) -> torch.Tensor:
        return increment(field.func)(t, h, y)

    y, z, h = field.y0, field.y0, field.t1 / steps
    for i in range(steps):
        y, z = coupled(psi, i * h, h, y, z, COUPLING)
    parts = torch.autograd.grad(y.square().sum(), field.params)
    straight = torch.cat([x.reshape(-1) for x in parts])
    options = {"step_size": h}
    return relative(gradient(field, "reversible", method="reversible_rk4", options=options).value, straight)
