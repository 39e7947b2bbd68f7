"""The numbers of chapter 2's explorers: a nudge and what becomes of the loss, and three gradients of one solve."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import autograd.numpy as anp
import numpy as np
import torch
from autograd import make_vjp
from numpy.typing import NDArray
from torch import Tensor

from nodelib import numpy_ode, torch_ode
from nodelib.common.solution import Solution
from nodelib.experiments.memory import PeakMemory

Array = NDArray[Any]

T1 = 4.0
START, TARGET = np.array([1.6, 0.0]), np.array([0.6, 0.5])
SIZES = (0.05, 0.1, 0.2, 0.4, 0.8)


def pendulum(t: float, z: Any) -> Any:
    """A pendulum with friction: z = (angle in rad, angular velocity in rad/s), time in s."""
    return anp.stack([z[1], -anp.sin(z[0]) - 0.15 * z[1]])  # type: ignore[attr-defined]


def pendulum_loss(z: Array) -> Any:
    """L = ½ |z - target|² of a state, or of many, (2, …)."""
    return ((z[0] - TARGET[0]) ** 2 + (z[1] - TARGET[1]) ** 2) / 2


@cache
def backward() -> Solution:
    """z(t) and a(t) = dL/dz(t) on [0, T1] as a (2, 2) state: a' = -a ∂f/∂z solved back from a(T1) = z(T1) - target."""

    def augmented(t: float, state: Array) -> Array:
        product, f = make_vjp(lambda z: pendulum(t, z))(state[0])  # type: ignore[misc]
        return np.stack([f, -product(state[1])])

    end = numpy_ode.odeint(pendulum, START, [0.0, T1], rtol=1e-10, atol=1e-12)[-1]
    return numpy_ode.solve(augmented, np.stack([end, end - TARGET]), [T1, 0.0], rtol=1e-10, atol=1e-12, dense=True)


@dataclass(frozen=True)
class Nudge:
    """A nudge at time t from z to z + delta: the path (50, 2) from there to T1, how L changed, and a · delta.

    ``a`` is dL/dz(t); ``measured`` is L with the nudge minus L without it, ``predicted`` is a · delta.
    """

    t: float
    z: Array
    a: Array
    delta: Array
    path: Array
    measured: float
    predicted: float


def nudge(time: float, direction: float, size: float) -> Nudge:
    """Push the pendulum at ``time`` by ``size`` in ``direction`` (degrees), and let it go on to T1."""
    z, a = backward()(time)
    delta = size * np.array([np.cos(np.deg2rad(direction)), np.sin(np.deg2rad(direction))])
    left = T1 - time  # the rest of the way as s from 0 to 1, so that nothing is special when none is left
    s = np.linspace(0, 1, 50)
    path = numpy_ode.odeint(lambda s, z: left * pendulum(s, z), z + delta, s, method="dopri8", rtol=1e-10, atol=1e-12)
    measured = pendulum_loss(path[-1]) - pendulum_loss(backward()(T1)[0])
    return Nudge(time, z, a, delta, path, float(measured), float(a @ delta))


WAYS = {
    "backprop": torch_ode.odeint,
    "checkpoint": torch_ode.odeint_checkpoint,
    "adjoint": torch_ode.odeint_adjoint,
}
SOLVERS = ("euler", "midpoint", "rk4", "dopri5")
LEVELS = range(1, 7)
SHAPES = ((2, 1), (8, 2), (8, 1), (2, 8))  # z0, and the network's W, b, V
SPAN = torch.tensor([0.0, 1.0], dtype=torch.float64)
LABORATORY = 4  # the seed of the network in the laboratory


class Network:
    """f = V tanh(W z + b), counting its evaluations and the products with its Jacobian that a gradient takes."""

    def __init__(self, w: Tensor, b: Tensor, v: Tensor) -> None:
        self.w, self.b, self.v = w, b, v
        self.evaluations = self.products = 0

    def __call__(self, t: Any, z: Tensor) -> Tensor:
        self.evaluations += 1
        f = self.v @ torch.tanh(self.w @ z + self.b)
        if f.requires_grad:
            f.register_hook(self._product)
        return f

    def _product(self, _: Tensor) -> None:
        self.products += 1


@cache
def arguments(seed: int = LABORATORY) -> Tensor:
    """z0 and a network's weights in one vector, (42,): random, the same every time for one ``seed``."""
    g = torch.Generator().manual_seed(seed)
    w, b, v = (torch.randn(shape, generator=g, dtype=torch.float64) for shape in SHAPES[1:])
    parts = (torch.tensor([1.0, 0.0], dtype=torch.float64), 1.65 * w, b, 1.65 / 8**0.5 * v)
    return torch.cat([part.reshape(-1) for part in parts])


def split(x: Tensor) -> list[Tensor]:
    """(…, 42) -> z0, W, b, V, each with the leading dimensions."""
    parts = x.split([rows * columns for rows, columns in SHAPES], dim=-1)
    return [part.reshape(*x.shape[:-1], *shape) for part, shape in zip(parts, SHAPES, strict=True)]


def network_loss(z: Tensor) -> Tensor:
    """L = ½ |z|² of states (…, 2, 1)."""
    return (z**2).sum((-1, -2)) / 2


def settings(method: str, level: int) -> dict[str, Any]:
    """2^level steps for a fixed-step method, tolerances 10^-(level + 1) for an adaptive one."""
    if torch_ode.METHODS[method].adaptive:
        return {"method": method, "rtol": 10.0 ** -(level + 1), "atol": 10.0 ** -(level + 1)}
    return {"method": method, "options": {"step_size": 2.0**-level}}


@dataclass(frozen=True)
class Gradient:
    """One gradient and what it took: evaluations of f forward and back, products with its Jacobian, bytes at the peak.

    ``value`` is (42,), with respect to z0 and all weights.
    """

    value: Tensor
    forward: int
    back: int
    products: int
    peak: int


def gradient(way: str, seed: int = LABORATORY, **chosen: Any) -> Gradient:
    """dL/d(z0, W, b, V) in one of the three ``WAYS``; ``chosen`` are the solver's settings."""
    z0, *params = (part.clone().requires_grad_() for part in split(arguments(seed)))
    func = Network(*params)
    more = {} if way == "backprop" else {"adjoint_params": params}
    with PeakMemory() as memory:
        loss = network_loss(WAYS[way](func, z0, SPAN, **chosen, **more)[-1])
        forward = func.evaluations
        parts = torch.autograd.grad(loss, (z0, *params))
    value = torch.cat([part.reshape(-1) for part in parts])
    return Gradient(value, forward, func.evaluations - forward, func.products, memory.peak)


@cache
def exact(seed: int = LABORATORY) -> Tensor:
    """The gradient of the flow itself: the solve is so fine that it does not matter which way."""
    return gradient("backprop", seed, method="dopri8", rtol=1e-11, atol=1e-12).value


def differences(seed: int = LABORATORY, **chosen: Any) -> tuple[Tensor, Solution]:
    """The gradient of the loss as computed, its steps held, by central differences of fourth order; and the solution.

    All 168 changed arguments are solved at once, as one state, beside the unchanged ones in row 0. That row alone
    sets the step sizes, so that they are the same for all. ``free_steps`` lets each choose its own.
    """
    h, eye = 1e-3, torch.eye(len(arguments()), dtype=torch.float64)
    shifts = torch.cat([torch.zeros_like(eye[:1]), *(k * h * eye for k in (1, -1, 2, -2))])
    z0, *params = split(arguments(seed) + shifts)
    if "rtol" in chosen:
        chosen = {**chosen, "options": {"norm": lambda x: x[0].square().mean().sqrt()}}
    sol = torch_ode.solve(Network(*params), z0, SPAN, **chosen)
    p1, m1, p2, m2 = network_loss(sol.y[-1])[1:].split(len(eye))
    return (8 * (p1 - m1) - (p2 - m2)) / (12 * h), sol


def relative(x: Tensor, reference: Tensor) -> float:
    """|x - reference| / |reference|."""
    return float((x - reference).norm() / reference.norm())


@dataclass(frozen=True)
class Row:
    """One method at one level: its steps, and for each way the gradient and its relative errors.

    ``to_flow`` is the error against the exact gradient of the flow, ``to_loss`` against differences of the loss as
    computed, with the steps held: those that the unchanged solve took.
    """

    steps: int
    gradients: dict[str, Gradient]
    to_flow: dict[str, float]
    to_loss: dict[str, float]


@cache
def row(method: str, level: int) -> Row:
    """The three gradients for one setting, against both references."""
    chosen = settings(method, level)
    by_differences, sol = differences(**chosen)
    gradients = {way: gradient(way, **chosen) for way in WAYS}
    to_flow = {way: relative(g.value, exact()) for way, g in gradients.items()}
    to_loss = {way: relative(g.value, by_differences) for way, g in gradients.items()}
    return Row(sum(step.accepted for step in sol.steps), gradients, to_flow, to_loss)


@dataclass(frozen=True)
class Setting:
    """What the laboratory shows: a method's rows at all ``LEVELS``, and the level chosen."""

    method: str
    level: int
    rows: tuple[Row, ...]

    @property
    def row(self) -> Row:
        """The row at the level chosen."""
        return self.rows[self.level - LEVELS[0]]


def three_gradients(method: str, level: int) -> Setting:
    """The numbers of the laboratory."""
    return Setting(method, level, tuple(row(method, each) for each in LEVELS))
