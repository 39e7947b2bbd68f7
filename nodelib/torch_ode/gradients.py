"""A loss of a solution and its gradient, by torch; for ``nodelib.gradcheck``."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib.torch_ode.solve import odeint


def to_numpy(x: Any) -> np.ndarray:
    """An array of x."""
    return x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)


@torch.no_grad()
def value(func: Callable, args: Any, loss: Callable, settings: dict[str, Any]) -> float:
    """The loss of the solution for args = (y0, t, *params)."""
    y0, t, *params = map(torch.as_tensor, args)
    return float(loss(odeint(lambda s, y: func(s, y, *params), y0, t, **settings)))


def gradient(solver: Callable, func: Callable, args: Any, loss: Callable, settings: dict[str, Any]) -> list[np.ndarray]:
    """The gradients of the loss with respect to each of args, by torch through the solver."""
    y0, t, *params = leaves = [torch.tensor(arg, requires_grad=True) for arg in args]
    plain = {key: setting for key, setting in settings.items() if not key.startswith("adjoint")}
    extra = plain if solver is odeint else {**settings, "adjoint_params": params}
    found = torch.autograd.grad(
        loss(solver(lambda s, y: func(s, y, *params), y0, t, **extra)), leaves, allow_unused=True
    )
    return [np.zeros_like(arg) if g is None else to_numpy(g) for arg, g in zip(args, found, strict=True)]


def cotangent(func: Callable, args: Any, loss: Callable, settings: dict[str, Any]) -> Tensor:
    """g, the gradient of the loss with respect to the states at t."""
    y0, t, *params = map(torch.as_tensor, args)
    with torch.no_grad():
        ys = odeint(lambda s, y: func(s, y, *params), y0, t, **settings)
    ys.requires_grad_()
    return torch.autograd.grad(loss(ys), ys)[0]
