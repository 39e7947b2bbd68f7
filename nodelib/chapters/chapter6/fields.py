"""The small fields on which chapter 6 differentiates, each with its start, and one gradient of each in every way."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nodelib.torch_ode import odeint, odeint_adjoint, odeint_checkpoint, odeint_reversible

WAYS: dict[str, Callable[..., Any]] = {
    "backprop": odeint,
    "checkpoint": odeint_checkpoint,
    "adjoint": odeint_adjoint,
    "reversible": odeint_reversible,
}
SAMPLES = 4


class Field(NamedTuple):
    """y' = func(t, y) from y0 at 0 to t1, with the parameters that func depends on."""

    func: Callable[[Any, Tensor], Tensor]
    params: tuple[Tensor, ...]
    y0: Tensor
    t1: float = 1.0


class Found(NamedTuple):
    """A gradient in the parameters, as one vector; the evaluations of func there and back; and the end, y(t1)."""

    value: Tensor
    forward: int
    backward: int
    end: Tensor


def mild(seed: int, dim: int = 8, hidden: int = 32) -> Field:
    """f = tanh(y W + b) V, weights of variance 1 over the units they sum: states grow a little, in all directions."""
    W, b, V, y0 = _drawn(seed, dim, hidden)
    return Field(lambda t, y: torch.tanh(y @ W + b) @ V, (W, b, V), y0, 1.5)


def contractive(seed: int, dim: int = 8, hidden: int = 32) -> Field:
    """f = -tanh(y W + b) Wᵀ, W twice as large: any two states approach each other."""
    W, b, _, y0 = _drawn(seed, dim, hidden, gain=2.0)
    return Field(lambda t, y: -torch.tanh(y @ W + b) @ W.T, (W, b), y0, 2.0)


def rectified(seed: int, dim: int = 8, hidden: int = 32) -> Field:
    """f = -relu(y W + b) Wᵀ: the same with a kink."""
    W, b, _, y0 = _drawn(seed, dim, hidden, gain=2.0)
    return Field(lambda t, y: -torch.relu(y @ W + b) @ W.T, (W, b), y0, 1.0)


def reading(seed: int, rate: float = 20.0) -> Field:
    """y' = -rate (y - cos t), x' = θ y, as (y, x): ∂f/∂(y, x) is constant, and ∂f/∂θ is y."""
    draw = torch.Generator().manual_seed(seed)
    theta = (torch.randn(1, generator=draw, dtype=torch.float64).abs() + 0.5).requires_grad_()
    y0 = torch.randn(SAMPLES, 2, generator=draw, dtype=torch.float64)

    def func(t: Any, y: Tensor) -> Tensor:
        return torch.stack([-rate * (y[:, 0] - torch.cos(torch.as_tensor(t))), theta * y[:, 0]], 1)

    return Field(func, (theta,), y0, 1.0)


def forced(seed: int, rate: float = 20.0) -> Field:
    """y' = -rate (y - θ cos t): contracting, and ∂f/∂y does not depend on y."""
    draw = torch.Generator().manual_seed(seed)
    theta, y0 = (torch.randn(1, n, generator=draw, dtype=torch.float64) for n in (1, SAMPLES))
    theta = (theta.abs() + 0.5).requires_grad_()
    return Field(lambda t, y: -rate * (y - theta * torch.cos(t)), (theta,), y0.T, 1.0)


def network(seed: int, gain: float, samples: int = 16, dim: int = 8, hidden: int = 32) -> Field:
    """f = tanh(y W + b) V with all weights ``gain`` times those of ``mild``."""
    W, b, V, y0 = _drawn(seed, dim, hidden, gain=gain, samples=samples)
    V = (gain * V.detach()).requires_grad_()
    return Field(lambda t, y: torch.tanh(y @ W + b) @ V, (W, b, V), y0)


def _drawn(seed: int, dim: int, hidden: int, gain: float = 1.0, samples: int = SAMPLES) -> tuple[Tensor, ...]:
    """W (dim, hidden), b (hidden,), V (hidden, dim), which require gradients, and y0 (samples, dim)."""
    draw = torch.Generator().manual_seed(seed)
    W, b, V, y0 = (
        torch.randn(*shape, generator=draw, dtype=torch.float64)
        for shape in ((dim, hidden), (hidden,), (hidden, dim), (samples, dim))
    )
    W, V = gain * W / dim**0.5, V / hidden**0.5
    return W.requires_grad_(), b.requires_grad_(), V.requires_grad_(), y0


def squares(ys: Tensor) -> Tensor:
    """The loss of this chapter's gradients: the sum of the squares of the last states."""
    return ys[-1].square().sum()


def gradient(
    field: Field, way: str, outputs: int = 2, loss: Callable[[Tensor], Tensor] = squares, scale: float = 1.0, **settings
) -> Found:
    """The gradient of loss(ys) in the parameters, by one of ``WAYS``; ``settings`` are the solver's.

    outputs:  how many equal times ys has, 0 and t1 among them.
    scale:    the loss is multiplied by it, and the gradient divided again: another unit.
    """
    calls = 0

    def counted(t: Any, y: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return field.func(t, y)

    more: dict[str, Any] = {} if way == "backprop" else {"adjoint_params": field.params}
    times = torch.linspace(0, field.t1, outputs).to(field.y0)
    ys = WAYS[way](counted, field.y0, times, **settings, **more)
    forward = calls
    parts = torch.autograd.grad(scale * loss(ys), field.params)
    return Found(torch.cat([x.reshape(-1) for x in parts]) / scale, forward, calls - forward, ys[-1].detach())


def exact(field: Field, outputs: int = 2, loss: Callable[[Tensor], Tensor] = squares, tol: float = 1e-10) -> Tensor:
    """The same by dopri8 at ``tol``, checkpointed: to be compared with errors that are far larger."""
    return gradient(field, "checkpoint", outputs, loss, method="dopri8", rtol=tol, atol=tol / 100).value


def relative(x: Tensor, y: Tensor) -> float:
    """|x - y| / |y|, Euclidean."""
    return float((x - y).norm() / y.norm())
