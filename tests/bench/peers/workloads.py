"""What all solvers are given: four initial value problems, each written once for numpy, jax and torch.

Three are small and known, in double precision: Lotka–Volterra and the pendulum as in chapter 1, and three bodies, the
orbit of Arenstorf (Hairer, Nørsett and Wanner, *Solving Ordinary Differential Equations I*, 1993, Section II.0). The
fourth is the network of torchdiffeq's examples/ode_demo.py, before training, on a batch of 20.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from tests.bench.solvers import Demo

REFERENCE = 1e-12  # tolerance of the reference solutions


class Problem(NamedTuple):
    """y' = field(t, y) from ``y0``; ``field(array)`` makes it, for ``array`` either numpy's or jax.numpy's."""

    name: str
    field: Callable[[Any], Callable[[Any, Any], Any]]
    y0: tuple[float, ...]
    span: tuple[float, float]


def lotka_volterra(array: Any) -> Callable[[Any, Any], Any]:
    def func(t: Any, y: Any) -> Any:
        prey, predators = y
        return array([1.5 * prey - prey * predators, prey * predators - 3 * predators])

    return func


def pendulum(array: Any) -> Callable[[Any, Any], Any]:
    sin = np.sin if array is np.array else __import__("jax").numpy.sin

    def func(t: Any, y: Any) -> Any:
        angle, velocity = y
        return array([velocity, -sin(angle)])

    return func


def three_bodies(array: Any) -> Callable[[Any, Any], Any]:
    """A small body in the field of two, seen from a frame that turns with them: (x, y, x', y')."""
    moon = 0.012277471
    earth = 1 - moon

    def func(t: Any, state: Any) -> Any:
        x, y, vx, vy = state
        far, near = ((x + moon) ** 2 + y * y) ** 1.5, ((x - earth) ** 2 + y * y) ** 1.5
        ax = x + 2 * vy - earth * (x + moon) / far - moon * (x - earth) / near
        ay = y - 2 * vx - earth * y / far - moon * y / near
        return array([vx, vy, ax, ay])

    return func


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("Lotka–Volterra", lotka_volterra, (10.0, 5.0), (0.0, 15.0)),
        Problem("pendulum", pendulum, (1.0, 0.0), (0.0, 20.0)),
        Problem("three bodies", three_bodies, (0.994, 0.0, 0.0, -2.00158510637908252), (0.0, 17.06521656015796)),
    )
}


@cache
def end_of(name: str) -> np.ndarray:
    """The state of the problem at the end of its span, by SciPy's DOP853 at a tolerance of 1e-13."""
    problem = PROBLEMS[name]
    found = solve_ivp(problem.field(np.array), problem.span, problem.y0, "DOP853", rtol=REFERENCE / 10, atol=1e-15)
    return found.y[:, -1]


class DemoTask(NamedTuple):
    """The network ode_demo, a batch of states (20, 2), and output times from 0 to 25."""

    outputs: int = 2
    dtype: torch.dtype = torch.float32
    device: str = "cpu"

    def network(self) -> Demo:
        """A network of its own for each solver, with the same parameters; counts its evaluations."""
        return Demo().to(self.device, self.dtype)

    def start(self) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        y0 = torch.tensor([2.0, 0.0]) + 0.1 * torch.randn(20, 2, generator=generator)
        return y0.to(self.device, self.dtype)

    def times(self) -> Tensor:
        return torch.linspace(0, 25, self.outputs, dtype=torch.float64).to(self.device, self.dtype)

    def loss(self, y: Any) -> Any:
        """A mean square of all outputs, for torch and jax."""
        return (y**2).mean()

    def solution(self) -> np.ndarray:
        """The outputs (outputs, 20, 2), by SciPy's DOP853 in double precision at a tolerance of 1e-12."""
        return _solution(self.outputs)

    def gradient(self) -> np.ndarray:
        """The gradient of ``loss`` by all parameters as one vector, by backpropagation in double precision at 1e-12."""
        return _gradient(self.outputs)


@cache
def _solution(outputs: int) -> np.ndarray:
    task = DemoTask(outputs, torch.float64)
    w1, b1, w2, b2 = (p.detach().numpy() for p in task.network().parameters())
    y0 = DemoTask().start().double().numpy()

    def func(t: float, y: np.ndarray) -> np.ndarray:
        return (np.tanh(y.reshape(-1, 2) ** 3 @ w1.T + b1) @ w2.T + b2).ravel()

    times = np.linspace(0, 25, outputs)
    found = solve_ivp(func, (0, 25), y0.ravel(), "DOP853", times, rtol=REFERENCE, atol=REFERENCE)
    return found.y.T.reshape(outputs, *y0.shape)


@cache
def _gradient(outputs: int) -> np.ndarray:
    from nodelib.torch_ode import odeint

    task = DemoTask(outputs, torch.float64)
    func, y0 = task.network(), DemoTask().start().double()
    loss = task.loss(odeint(func, y0, task.times(), rtol=REFERENCE, atol=REFERENCE))
    return np.concatenate([g.flatten().numpy() for g in torch.autograd.grad(loss, list(func.parameters()))])
