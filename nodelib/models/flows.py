"""Normalizing flows: invertible maps between a Gaussian and data that carry the density along.

``PlanarFlow`` is a stack of layers (Rezende & Mohamed 2015), ``CNF`` an ODE (Chen et al. 2018, Section 4). Both go two
ways: ``push`` takes draws of the base to data, ``pull`` takes data to the base, and either returns the log density of
the model at the data. Many models of one kind can be one module, with a leading axis of models everywhere.
"""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nodelib.models.odenet import GRADIENTS


def base_log_prob(z: Tensor) -> Tensor:
    """The log density of the standard normal distribution at z of (…, D): (…)."""
    return -0.5 * z.square().sum(-1) - z.shape[-1] / 2 * math.log(2 * math.pi)


class PlanarFlow(nn.Module):
    """z -> z + û tanh(w·z + b), layer after layer.

    layers:   how many.
    dim:      D, the dimension of z.
    models:   the number of models side by side, or None for one without that axis.
    towards:  where a layer's formula leads. "data": ``push`` is the formula and has gradients, ``pull`` inverts it
              numerically and has none; so for a loss over the model's own draws. "base": the other way round; so for
              maximum likelihood.
    scale:    of the random initial weights.

    û = u + (softplus(w·u) - 1 - w·u) w/|w|² makes w·û > -1, so that each layer is invertible; its log-determinant is
    log(1 + w·û (1 - tanh²)).
    """

    def __init__(self, layers: int, dim: int = 2, models: int | None = None, towards: str = "data", scale: float = 0.1):
        super().__init__()
        check_sizes(layers=layers, dim=dim, models=models)
        if towards not in ("data", "base"):
            raise ValueError(f'towards must be "data" or "base", not {towards!r}')
        self.towards, self.dim, self.models = towards, dim, models
        lead = () if models is None else (models,)
        self.w = nn.Parameter(scale * torch.randn(*lead, layers, dim))
        self.u = nn.Parameter(scale * torch.randn(*lead, layers, dim))
        self.b = nn.Parameter(scale * torch.randn(*lead, layers))

    def push(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(x, log p(x)) for draws z of the base, (*models, batch, D)."""
        check_points("z", z, self.dim, self.models)
        x, log_det = self.formula(z) if self.towards == "data" else self.inverse(z)
        return x, base_log_prob(z) - log_det

    def pull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(z, log p(x)) for data x, (*models, batch, D)."""
        check_points("x", x, self.dim, self.models)
        z, log_det = self.formula(x) if self.towards == "base" else self.inverse(x)
        return z, base_log_prob(z) + log_det

    def formula(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """All layers: the image of z and log |det| of the map's Jacobian."""
        *parts, log_det = self.components(*z.unbind(-1))
        return torch.stack(parts, -1), log_det

    def components(self, *z: Tensor) -> tuple[Tensor, ...]:
        """``formula`` in components (*models, batch), one for each dimension and the log-determinant: nothing but
        pointwise operations, which a compiler makes one loop of."""
        soft, u = self._invertible()
        log_det = torch.zeros_like(z[0])
        for wk, uk, bk, sk in zip(
            *(x.unbind(-2) for x in (self.w, u)), self.b.unbind(-1), soft.unbind(-1), strict=True
        ):
            w, u_, b, s = _columns(wk), _columns(uk), bk[..., None], sk[..., None]
            h = torch.tanh(sum(wi * zi for wi, zi in zip(w, z, strict=True)) + b)
            z = tuple(zi + ui * h for zi, ui in zip(z, u_, strict=True))
            log_det = log_det + _log_slope(h, s)
        return (*z, log_det)

    def nearest(self, layers: int) -> "PlanarFlow":
        """The flow of those ``layers`` layers that are nearest to the base: what data look like part of the way."""
        part = PlanarFlow(layers, self.dim, self.models, self.towards)
        kept = slice(layers) if self.towards == "data" else slice(-layers, None)
        for mine, theirs in zip((part.w, part.u, part.b), (self.w, self.u, self.b), strict=True):
            axis = theirs.ndim - (1 if theirs is self.b else 2)
            mine.data = theirs.detach()[(slice(None),) * axis + (kept,)].clone()
        return part

    @torch.no_grad()
    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The z with formula(z) = (y, …), and log |det| of the map from y to z; without gradients.

        Each layer asks for one number a = w·z + b, the root of the increasing a + w·û tanh a - (w·y + b), which lies
        within |w·û| of w·y + b: it is bisected, down to what the dtype resolves.
        """
        soft, u = self._invertible()
        halvings = 8 - round(math.log2(torch.finfo(y.dtype).eps))
        log_det = torch.zeros_like(y[..., 0])
        for k in reversed(range(self.w.shape[-2])):
            w, s = self.w[..., k, :, None], soft[..., k, None]
            right = (y @ w)[..., 0] + self.b[..., k, None]
            half = (s - 1).abs()
            low = right - half
            for _ in range(halvings):
                a = low + half
                low = torch.where(torch.addcmul(a, s - 1, a.tanh()) > right, low, a)
                half = half / 2
            h = (low + half).tanh()
            y = y - h[..., None] * u[..., k, None, :]
            log_det = log_det - _log_slope(h, s)
        return y, log_det

    def _invertible(self) -> tuple[Tensor, Tensor]:
        """(1 + w·û, û) of all layers."""
        product = (self.w * self.u).sum(-1)
        soft = F.softplus(product)
        along = (soft - 1 - product) / self.w.square().sum(-1).clamp_min(1e-12)
        return soft, self.u + along[..., None] * self.w


def _log_slope(h: Tensor, soft: Tensor) -> Tensor:
    """log(1 + (soft - 1)(1 - h²)), as a sum of positive numbers, which round-off cannot make negative."""
    square = h * h
    return torch.log(square + soft * (1 - square))


def _columns(x: Tensor) -> tuple[Tensor, ...]:
    """(*models, D) -> D tensors (*models, 1)."""
    return tuple(column[..., None] for column in x.unbind(-1))


class CNF(nn.Module):
    """z' = f(t, z) from the base at t = 0 to the data at t = 1, with d log p/dt = -tr ∂f/∂z along its paths.

    field:     a module (t, (z, log p)) -> (f, -tr ∂f/∂z), as those of ``nodelib.models.flow_fields``.
    gradient:  "backprop" (through the solver's steps), "checkpoint" or "adjoint".
    settings:  what the solver gets besides: method, rtol, atol, options …

    With an axis of models the step's error is the largest over the models, so that each is as accurate as alone.
    """

    field: Any
    dim: int
    models: int | None

    def __init__(self, field: Any, gradient: str = "backprop", **settings: Any):
        super().__init__()
        if gradient not in GRADIENTS:
            raise ValueError(f"gradient must be one of {', '.join(GRADIENTS)}, not {gradient!r}")
        self.field, self.gradient = field, gradient
        self.dim, self.models = field.dim, field.models
        adaptive = settings.get("method", "dopri5") in ("heun_euler", "bosh3", "dopri5", "tsit5", "dopri8")
        if adaptive and self.models is not None:
            settings["options"] = {"norm": largest_of_models} | settings.get("options", {})
        self.settings = settings

    def push(self, z: Tensor, end: float = 1.0) -> tuple[Tensor, Tensor]:
        """(x, log p(x)) at the time ``end``, for draws z of the base, (*models, batch, D)."""
        check_points("z", z, self.dim, self.models)
        return self.solve(z, base_log_prob(z), (0.0, end))

    def pull(self, x: Tensor, end: float = 1.0) -> tuple[Tensor, Tensor]:
        """(z, log p(x)) for points x at the time ``end``, (*models, batch, D)."""
        check_points("x", x, self.dim, self.models)
        z, change = self.solve(x, torch.zeros_like(x[..., 0]), (end, 0.0))
        return z, base_log_prob(z) - change

    def solve(self, z: Tensor, log_p: Tensor, t: tuple[float, float]) -> tuple[Tensor, Tensor]:
        """State and log density at t[1], from those at t[0]."""
        if hasattr(self.field, "draw"):
            self.field.draw(z)  # the noise of an estimated trace: once a solve
        times = torch.tensor(t, dtype=z.dtype)
        zs, log_ps = GRADIENTS[self.gradient](self.field, (z, log_p), times, **self.settings)
        return zs[-1], log_ps[-1]


def one_of(model: Any, i: int) -> Any:
    """Model number i of a ``PlanarFlow`` or ``CNF`` of many, as one without that axis; a copy."""
    if model.models is None or not 0 <= i < model.models:
        raise ValueError(f"i is {i}, and there are {model.models or 'no'} models side by side: count them from 0")
    one = copy.deepcopy(model)
    for p in one.parameters():
        p.data = p.data[i].clone()
    for module in one.modules():
        if hasattr(module, "models"):
            module.models = None
    if isinstance(one, CNF):
        one.settings.get("options", {}).pop("norm", None)
    return one


def largest_of_models(state: Any) -> Tensor:
    """The largest root mean square over the parts of a state (z, log p) and over its models, the first axis."""
    return torch.stack([part.flatten(1).square().mean(1).max() for part in state]).max().sqrt()


def check_sizes(**sizes: int | None) -> None:
    """Raise ValueError for a size that is no positive whole number (``models`` may be None)."""
    for name, size in sizes.items():
        if size is None and name == "models":
            continue
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name} must be a positive whole number, not {size!r}")


def check_points(name: str, x: Tensor, dim: int, models: int | None) -> None:
    """Raise ValueError unless x is (batch, dim), or (models, batch, dim)."""
    lead = () if models is None else (models,)
    if x.ndim != len(lead) + 2 or x.shape[-1] != dim or x.shape[:-2] != lead:
        wanted = "(" + "".join(f"{n}, " for n in lead) + f"batch, {dim})"
        raise ValueError(f"{name} must have shape {wanted}, got {tuple(x.shape)}: repeat or reshape it")
