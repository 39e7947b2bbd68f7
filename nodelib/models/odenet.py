"""ODE-Net and RK-Net: the residual blocks replaced by one ODE, and the ODE given to a solver.

Chen et al. (2018), Section 3; sizes as in odenet_mnist.py of torchdiffeq (MIT licence), the authors' own example.
"""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nodelib.models.resnet import CHANNELS, head, norm, stem
from nodelib.torch_ode import odeint, odeint_adjoint, odeint_checkpoint

GRADIENTS = {"adjoint": odeint_adjoint, "backprop": odeint, "checkpoint": odeint_checkpoint}


class TimeConv(nn.Conv2d):
    """A convolution of 3 × 3 that sees the time t as one more channel, which holds t in every pixel.

    The convolution is linear, so the time's share is t times that of a channel of ones: the same map for every image.
    """

    def __init__(self, channels: int):
        super().__init__(1 + channels, channels, 3, 1, 1)

    def forward(self, t: Tensor | float, z: Tensor) -> Tensor:  # type: ignore[override]
        t = torch.as_tensor(t, dtype=z.dtype, device=z.device)
        clock = F.conv2d(t.expand(1, 1, *z.shape[2:]), self.weight[:, :1], self.bias, 1, 1)
        return F.conv2d(z, self.weight[:, 1:], None, 1, 1) + clock


class ConvField(nn.Module):
    """f(t, z) of z' = f(t, z), for z of (batch, channels, height, width): the residual branch of a block, with time.

    ``activation`` is a ReLU, as in the authors' example, unless another is given. ``nfe`` counts the evaluations; set
    it to 0 where the count is to begin.
    """

    def __init__(self, channels: int, activation: nn.Module | None = None):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = norm(channels), norm(channels), norm(channels)
        self.activation = activation or nn.ReLU()
        self.conv1, self.conv2 = TimeConv(channels), TimeConv(channels)
        self.nfe = 0

    def forward(self, t: Tensor | float, z: Tensor) -> Tensor:
        self.nfe += 1
        h = self.conv1(t, self.activation(self.norm1(z)))
        h = self.conv2(t, self.activation(self.norm2(h)))
        return self.norm3(h)


class ODEBlock(nn.Module):
    """z(0) -> z(1) of z' = field(t, z), by a solver; the same shape.

    gradient:  "adjoint" (``odeint_adjoint``), "backprop" (through the solver's steps) or "checkpoint".
    settings:  what the solver gets besides: method, rtol, atol, options, adjoint_options …
    """

    def __init__(self, field: nn.Module, gradient: str = "adjoint", **settings: Any):
        super().__init__()
        if gradient not in GRADIENTS:
            raise ValueError(f"gradient must be one of {', '.join(GRADIENTS)}, not {gradient!r}")
        self.field, self.gradient, self.settings = field, gradient, settings

    def forward(self, z: Tensor) -> Tensor:
        return GRADIENTS[self.gradient](self.field, z, torch.tensor([0.0, 1.0]), **self.settings)[-1]


class ODENet(nn.Sequential):
    """Stem, one ODE block, head: (batch, 1, side, side) -> (batch, 10) logits.

    208,266 parameters with the stem "conv", 232,970 with "residual". ``tol`` is the relative and the absolute tolerance
    of the solver, 1e-3 as in the paper; further settings are those of ``ODEBlock``.
    """

    def __init__(
        self,
        channels: int = CHANNELS,
        stem_kind: str = "conv",
        gradient: str = "adjoint",
        tol: float = 1e-3,
        **settings: Any,
    ):
        block = ODEBlock(ConvField(channels), gradient, **{"rtol": tol, "atol": tol} | settings)
        super().__init__(OrderedDict(stem=stem(channels, stem_kind), body=block, head=head(channels)))


class RKNet(ODENet):
    """An ``ODENet`` whose gradient is backpropagated through the Runge–Kutta steps: the paper's RK-Net."""

    def __init__(self, channels: int = CHANNELS, stem_kind: str = "conv", tol: float = 1e-3, **settings: Any):
        super().__init__(channels, stem_kind, "backprop", tol, **settings)
