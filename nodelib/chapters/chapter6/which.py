"""Training with a coarse solver by either gradient: that of the steps as taken (DtO), or the adjoint's (OtD)."""

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nodelib.torch_ode import odeint, odeint_adjoint

from .fields import exact, gradient, network, relative

Array = NDArray[Any]

RECORD = "which_gradient"
SEEDS, ITERATIONS, RATE = 10, 300, 0.02
SOLVERS = (("euler", 4), ("euler", 16), ("rk4", 2), ("rk4", 4))


class Trained(NamedTuple):
    """Ten networks after training, a seed each.

    own:     the loss by the training's solver, (seeds,).
    solved:  the loss of the same networks solved by dopri5 at 1e-6, (seeds,).
    losses:  own loss before each iteration, (iterations, seeds).
    """

    own: Array
    solved: Array
    losses: Array


def turned(x: Tensor) -> Tensor:
    """Points of the plane, (…, 2), turned about the origin by 2|x|: what the flow from 0 to 1 is to do with them."""
    angle = 2 * x.norm(dim=-1)
    c, s = angle.cos(), angle.sin()
    return torch.stack((c * x[..., 0] - s * x[..., 1], s * x[..., 0] + c * x[..., 1]), -1)


def drawn(seeds: int, hidden: int = 16, points: int = 32) -> tuple[Tensor, list[Tensor]]:
    """Points (seeds, points, 2), and W, b, V of f = tanh(z W + b) V, each with an axis of seeds before its own."""
    x, params = [], []
    for seed in range(seeds):
        draw = torch.Generator().manual_seed(seed)
        x.append(torch.randn(points, 2, generator=draw, dtype=torch.float64))
        W, b, V = (
            torch.randn(*s, generator=draw, dtype=torch.float64) for s in ((2, hidden), (1, hidden), (hidden, 2))
        )
        params.append((W / 2**0.5, b, V / hidden**0.5))
    return torch.stack(x), [torch.stack(part).requires_grad_() for part in zip(*params, strict=True)]


def train(way: str, method: str, steps: int, seeds: int = SEEDS, iterations: int = ITERATIONS) -> Trained:
    """Adam on the mean square of z(1) - ``turned``(z(0)), its rate falling along a cosine, all seeds at once.

    way:  "DtO", backpropagation through the steps, or "OtD", the adjoint by the same steps.
    """
    x, params = drawn(seeds)
    y = turned(x)
    fixed: dict[str, Any] = {"method": method, "options": {"step_size": 1 / steps}}
    solver: Any = odeint if way == "DtO" else odeint_adjoint
    more = {} if way == "DtO" else {"adjoint_params": tuple(params)}

    def f(t: Any, z: Tensor) -> Tensor:
        return torch.tanh(z @ params[0] + params[1]) @ params[2]

    def each(**settings: Any) -> Tensor:
        return (odeint(f, x, [0.0, 1.0], **settings)[-1] - y).square().mean((1, 2))

    optimizer = torch.optim.Adam(params, lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    losses = []
    for _ in range(iterations):
        loss = (solver(f, x, [0.0, 1.0], **fixed, **more)[-1] - y).square().mean((1, 2))
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    with torch.no_grad():
        own, solved = each(**fixed), each(rtol=1e-6, atol=1e-6)
    return Trained(own.numpy(), solved.numpy(), torch.stack(losses).numpy())


class Saved(NamedTuple):
    """The seminorm against the full norm on ten networks: evaluations on the way back, and errors, (seeds,)."""

    full: Array
    semi: Array
    error_full: Array
    error_semi: Array

    @property
    def share(self) -> Array:
        """The part of the evaluations that the seminorm saves."""
        return 1 - self.semi / self.full


def squares_of_all(ys: Tensor) -> Tensor:
    """The squares of the states at all outputs but the first, summed."""
    return ys[1:].square().sum()


LOSSES = {
    "sum": (2, squares_of_all),
    "mean": (2, lambda ys: ys[-1].square().mean()),
    "ten outputs": (11, squares_of_all),
}


def seminorm(loss: str, gain: float, seeds: int = SEEDS, tol: float = 1e-3, samples: int = 64, dim: int = 2) -> Saved:
    """The adjoint's gradient with and without its parameters' part in the norm, on ``network`` in the plane."""
    outputs, value = LOSSES[loss]
    rows = []
    for seed in range(seeds):
        field = network(seed, gain, samples, dim)
        truth = exact(field, outputs, value, tol=1e-8)
        full, semi = (
            gradient(field, "adjoint", outputs, value, rtol=tol, atol=tol, adjoint_options=options)
            for options in ({}, {"norm": "seminorm"})
        )
        rows.append((full.backward, semi.backward, relative(full.value, truth), relative(semi.value, truth)))
    return Saved(*np.array(rows).T)


def scaled(scale: float, tol: float = 1e-3, gain: float = 2.0, **settings: Any) -> tuple[int, int, float]:
    """Evaluations there and back, and the gradient's relative error, by the adjoint with the loss times ``scale``."""
    field = network(0, gain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that dL/dy lies below adjoint_atol: it is what is shown
        found = gradient(field, "adjoint", scale=scale, rtol=tol, atol=tol, **settings)
    return found.forward, found.backward, relative(found.value, exact(field, tol=1e-8))
