"""Poisson processes whose intensity is a function of an ODE's state: λ(t, z(t)), with its integral as one more state.

The likelihood of events t_1 … t_n on [a, b] is exp(-∫ λ dt) Π λ(t_i) (Chen et al. 2018, Section 5.1). Both z and
Λ(t) = ∫ λ dt are solved for on a few *knots* that all sequences share; between knots they are cubic Hermite
polynomials, so that each sequence may have events at times of its own. ``LatentPoisson`` finds z's start from events.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nodelib.models.flow_fields import Linear
from nodelib.models.flows import check_sizes, largest_of_models
from nodelib.models.irregular import hermite
from nodelib.models.odenet import GRADIENTS
from nodelib.torch_ode import METHODS


class Network(nn.Module):
    """(t, x) -> layers of ``sizes`` with tanh between them, for x of (…, *models, n, sizes[0]); t is not used.

    squeeze:  leave out the last axis of the result, which is 1 long: for a rate.
    """

    def __init__(self, *sizes: int, models: int | None = None, squeeze: bool = False):
        super().__init__()
        check_sizes(models=models, **{f"sizes[{i}]": size for i, size in enumerate(sizes)})
        self.layers = nn.ModuleList([Linear(*pair, models) for pair in pairwise(sizes)])
        self.squeeze = squeeze

    def forward(self, t: Tensor | None, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = layer(torch.tanh(x) if i else x)
        return x[..., 0] if self.squeeze else x


class Growth(nn.Module):
    """(t, (z, Λ)) -> (f(t, z), λ(t, z)), for the solver. ``nfe`` counts the evaluations."""

    def __init__(self, field: nn.Module, log_rate: nn.Module):
        super().__init__()
        self.field, self.log_rate, self.nfe = field, log_rate, 0

    def forward(self, t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        self.nfe += 1
        return self.field(t, state[0]), self.log_rate(t, state[0]).exp()


class Path(NamedTuple):
    """A solution: at the knots (K,) the states y = (z, Λ) in one tensor (K, *batch, D + 1), and their slopes just
    after each knot and just before it, which differ where λ or f jumps."""

    knots: Tensor
    y: Tensor
    after: Tensor
    before: Tensor

    def at(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """z (*batch, m, D) and Λ (*batch, m) at times (*batch, m), by cubic Hermite interpolation.

        The times of all of the batch may be given as (m,). Raises ValueError for times outside of the knots.
        """
        if times.numel() and not bool((times >= self.knots[0]).all() & (times <= self.knots[-1]).all()):
            low, high = float(times.min()), float(times.max())
            ends = f"[{float(self.knots[0]):g}, {float(self.knots[-1]):g}]"
            raise ValueError(f"times are from {low:g} to {high:g}, and the path is on {ends}: solve for all of them")
        times = times.to(self.knots).expand(*self.y.shape[1:-1], times.shape[-1]).contiguous()
        y = hermite(self.knots, self.y, self.after, self.before, times)
        return y[..., :-1], y[..., -1]


class PoissonODE(nn.Module):
    """z' = field(t, z) from the first knot on, with intensity λ = exp(log_rate(t, z)).

    field, log_rate: modules of (t, z), z of (…, *models, n, D): the one gives (…, D), the other (…) without that axis.
                     t is a number, or broadcasts with what they give.
    knots:           increasing times, the first and the last being the ends of what can be asked for.
    jumps:           times at which f or λ jumps; they become knots, and steps end there.
    models:          how many are side by side, or None.
    gradient:        "backprop" (through the solver's steps), "checkpoint" or "adjoint".
    settings:        what the solver gets besides: method, rtol, atol, options … A method of fixed steps goes from knot
                     to knot, unless options say otherwise.
    """

    def __init__(
        self,
        field: nn.Module,
        log_rate: nn.Module,
        knots: Sequence[float] | Tensor,
        jumps: Sequence[float] = (),
        models: int | None = None,
        gradient: str = "backprop",
        **settings: Any,
    ):
        super().__init__()
        if gradient not in GRADIENTS:
            raise ValueError(f"gradient must be one of {', '.join(GRADIENTS)}, not {gradient!r}")
        self.growth, self.gradient, self.models = Growth(field, log_rate), gradient, models
        self.knots, self.jumps = torch.as_tensor(knots, dtype=torch.float64), tuple(jumps)
        adaptive = METHODS[settings.get("method", "dopri5")].adaptive
        options = dict(settings.get("options") or {})
        if self.jumps:
            options |= {"jump_t": self.jumps} if adaptive else {"perturb": True}
        if adaptive and models is not None:
            options.setdefault("norm", largest_of_models)
        self.settings = settings | {"options": options}

    def path(self, z0: Tensor, knots: Sequence[float] | Tensor | None = None) -> Path:
        """The solution from z0 (*models, n, D), with these knots (by default the module's) and the jumps.

        Where events are knots, Λ and z there are the solver's own: dense output instead of Hermite's polynomials.
        """
        knots = self.knots if knots is None else torch.as_tensor(knots, dtype=torch.float64)
        inner = [s for s in self.jumps if float(knots[0]) < s < float(knots[-1])]
        times = torch.cat([knots, knots.new_tensor(inner)]).unique()
        start = (z0, torch.zeros_like(z0[..., 0]))
        z, integral = GRADIENTS[self.gradient](self.growth, start, times, **self.settings)
        at = times.to(z0)
        after = before = self._slopes(at, z)
        if inner:
            jump = torch.isin(times, times.new_tensor(inner)).to(z0.device)
            before, after = (
                self._slopes(torch.where(jump, torch.nextafter(at, at.new_full((), towards)), at), z)
                for towards in (-torch.inf, torch.inf)
            )
        return Path(at, torch.cat([z, integral[..., None]], -1), after, before)

    def _slopes(self, times: Tensor, z: Tensor) -> Tensor:
        """(f, λ) at each of the times (K,) and states (K, *batch, D), in one tensor as they are in ``Path.y``."""
        t = times.reshape(-1, *[1] * (z.ndim - 1))
        log_rate = self.growth.log_rate(t[..., 0], z).expand(z.shape[:-1])
        return torch.cat([self.growth.field(t, z).expand(z.shape), log_rate.exp()[..., None]], -1)

    def log_rate(self, path: Path, times: Tensor) -> Tensor:
        """log λ (*batch, m) at times (*batch, m)."""
        z, _ = path.at(times)
        times = times.to(z).expand(z.shape[:-1])
        flat = self.growth.log_rate(times.flatten(-2), z.flatten(-3, -2))  # the axis of models stays in its place
        return flat.reshape(times.shape)

    def log_likelihood(
        self, path: Path, times: Tensor, mask: Tensor, window: tuple[float, float] | None = None, share: float = 1.0
    ) -> Tensor:
        """Σ log λ(t_i) - ∫ λ dt over the window (by default from the first knot to the last): (*models, n), in nats.

        times, mask: (*models, n, m) or (n, m), events where ``mask`` is True, all of them within the window.
        share:       of all events that ``times`` has, where the others were left out at random: it multiplies λ.
        """
        a, b = window or (float(path.knots[0]), float(path.knots[-1]))
        _, integral = path.at(path.knots.new_tensor([a, b]))
        logs = torch.where(mask, self.log_rate(path, times) + math.log(share), 0.0)
        return logs.sum(-1) - share * integral.diff()[..., 0]


class OneIntensity(nn.Module):
    """An intensity that all sequences share: a ``PoissonODE`` from a start that is learned, z0 (*models, 1, dim)."""

    def __init__(self, process: PoissonODE, dim: int):
        super().__init__()
        self.process, self.models = process, process.models
        lead = () if self.models is None else (self.models,)
        self.z0 = nn.Parameter(torch.randn(*lead, 1, dim))

    def rate(self, times: Tensor) -> Tensor:
        """λ at times (m,): (*models, m)."""
        return self.process.log_rate(self.process.path(self.z0), times)[..., 0, :].exp()

    def integral(self, times: Tensor) -> Tensor:
        """Λ at times (m,): (*models, m)."""
        return self.process.path(self.z0).at(times)[1][..., 0, :]


class BackwardGRU(nn.Module):
    """A GRU (Cho et al. 2014) over events from the last one back to the first, and a linear map of its last state.

    Of each event it sees the time since the event before it and the time until the one after it (from the window's
    beginning, to its end, where there is none). units: of its state. out: the size of the result.
    """

    def __init__(self, units: int, out: int, models: int | None = None):
        super().__init__()
        check_sizes(units=units, out=out, models=models)
        self.units, self.models = units, models
        self.input, self.state = Linear(2, 3 * units, models), Linear(units, 3 * units, models)
        self.out = Linear(units, out, models)

    def forward(self, times: Tensor, mask: Tensor, window: tuple[float, float]) -> Tensor:
        """(*models, n, out) for events (*models, n, m) where ``mask`` is True; the padding stands behind them."""
        seen = self.input(_gaps(times, mask, window).flatten(-3, -2)).unflatten(-2, times.shape[-2:])
        h = seen.new_zeros(*times.shape[:-1], self.units)
        steps = zip(seen.unbind(-2), mask[..., None].unbind(-2), strict=True)  # unbind: indexing is O(m²) backwards
        for x, there in reversed(list(steps)):
            reset, update, new = x.chunk(3, -1)
            reset_h, update_h, new_h = self.state(h).chunk(3, -1)
            update = torch.sigmoid(update + update_h)
            new = torch.tanh(new + torch.sigmoid(reset + reset_h) * new_h)
            h = torch.where(there, new + update * (h - new), h)
        return self.out(h)


def _gaps(times: Tensor, mask: Tensor, window: tuple[float, float]) -> Tensor:
    """The times since the event before each one and until the one after it, (…, m, 2)."""
    a, b = window
    filled = torch.where(mask, times, b)
    since = filled.diff(dim=-1, prepend=torch.full_like(filled[..., :1], a))
    until = filled.diff(dim=-1, append=torch.full_like(filled[..., :1], b))
    return torch.stack([since, until], -1)


class LatentPoisson(nn.Module):
    """A latent ODE for events: an encoder gives q(z0 | events), and a ``PoissonODE`` the intensity from z0 on.

    encoder:  (times, mask, window) -> (*models, n, 2 D): the mean of a Gaussian q, and the logarithm of its standard
              deviation.
    """

    def __init__(self, encoder: nn.Module, process: PoissonODE):
        super().__init__()
        self.encoder, self.process, self.models = encoder, process, process.models

    def posterior(self, times: Tensor, mask: Tensor, window: tuple[float, float]) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the standard deviation of z0 given the events of ``window``, both (*models, n, D)."""
        mean, log_std = self.encoder(times, mask, window).chunk(2, -1)
        return mean, log_std
