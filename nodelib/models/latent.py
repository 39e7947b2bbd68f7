"""Latent ODEs: a series is a trajectory z' = f(z) that starts anywhere, seen through a decoder at any times.

Chen et al. (2018), Section 5. A recurrent network reads the observations backwards in time and says where the
trajectory may have started, q(z₀ | x); a solver goes on from there. Many models can be one module, with a leading axis
of models everywhere: values are (*models, batch, times, D).
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from nodelib.models.flows import base_log_prob, check_sizes
from nodelib.models.irregular import gathered
from nodelib.models.odenet import GRADIENTS
from nodelib.models.recurrent import Affine, Field, Recurrence
from nodelib.models.series import Series, reverse, tidy

RK4 = {"method": "rk4", "options": {"step_size": 1 / 12}}  # twelve steps in a window of length 1; times inside of them


def kl_from_normal(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, std²) ‖ N(0, 1)), summed over the last axis."""
    return 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1)


class LatentODE(nn.Module):
    """p(x, z₀) = N(z₀; 0, 1) Π N(x_i; decoder(z(t_i)), σ²) with z' = f(z), and q(z₀ | x), a Gaussian.

    dim, latent:    D, the dimension of x; and that of z.
    units, hidden:  the size of the encoder's state; the width of f's and the decoder's hidden layer.
    models:         the number of models side by side, or None for one without that axis.
    encoder, gap:   the kind of ``Recurrence``, and the typical gap that it measures Δt in.
    sigma:          σ, in the units of x.
    gradient:       "backprop" (through the solver's steps), "checkpoint" or "adjoint".
    settings:       what the solver gets: method, rtol, atol, options …; by default ``RK4``.
    """

    def __init__(
        self,
        dim: int = 2,
        latent: int = 4,
        units: int = 25,
        hidden: int = 20,
        models: int | None = None,
        encoder: str = "rnn-dt",
        gap: float = 1.0,
        sigma: float = 0.1,
        gradient: str = "backprop",
        **settings: Any,
    ):
        super().__init__()
        check_sizes(dim=dim, latent=latent, units=units, hidden=hidden, models=models)
        if gradient not in GRADIENTS:
            raise ValueError(f"gradient must be one of {', '.join(GRADIENTS)}, not {gradient!r}")
        if not 0 < sigma < math.inf:
            raise ValueError(f"sigma must be positive and finite, not {sigma}")
        self.encoder = Recurrence(encoder, dim, units, models, gap, hidden)
        self.posterior = Affine(units, 2 * latent, models)
        self.field = Field(latent, hidden, models)
        self.decoder = nn.Sequential(Affine(latent, hidden, models), nn.Tanh(), Affine(hidden, dim, models))
        self.dim, self.latent, self.models, self.sigma = dim, latent, models, sigma
        self.gradient, self.settings = gradient, settings or RK4

    def encode(self, series: Series, start: float = 0.0) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of q(z₀ | x), (*models, batch, latent), for z₀ at the time ``start``."""
        x, t, mask, *_ = tidy(series)
        h = self.encoder(*reverse(x, t, start), None if mask is None else mask.flip(-1))[-1]
        mean, log_std = self.posterior(h).chunk(2, -1)
        return mean, log_std

    def path(self, z0: Tensor, times: Tensor) -> Tensor:
        """z at the increasing times (K,), from z0 at times[0]: (K, *models, batch, latent)."""
        return GRADIENTS[self.gradient](self.field, z0, times, **self.settings)

    def decode(self, z: Tensor) -> Tensor:
        """What is seen of states z, (*models, …, latent): (*models, …, D)."""
        return self.decoder(z)

    def at(self, z0: Tensor, series: Series) -> Tensor:
        """What is to be seen at the series' own times, from z0 at grid[0]: (*models, batch, times, D)."""
        if series.grid is None or series.step is None:
            raise ValueError("the series has no grid and step: give the times of the whole batch, and where in it t is")
        return self.decode(gathered(self.path(z0, series.grid), series.step))

    def log_likelihood(self, z0: Tensor, series: Series) -> Tensor:
        """log p(x | z0), summed over what is observed: (*models, batch)."""
        series = tidy(series)
        terms = base_log_prob((series.x - self.at(z0, series)) / self.sigma) - self.dim * math.log(self.sigma)
        return (terms if series.mask is None else torch.where(series.mask, terms, 0)).sum(-1)

    def elbo(self, series: Series, noise: Tensor | None = None, kl_weight: float = 1.0) -> Tensor:
        """E_q[log p(x | z₀)] - KL(q ‖ p), in nats: (*models, batch).

        noise:      standard normal draws ε, (*models, batch, latent), for z₀ = mean + std ε; drawn here where None.
        kl_weight:  above 1 it is a looser bound, below 1 none.
        """
        mean, log_std = self.encode(series)
        z0 = mean + log_std.exp() * (torch.randn_like(mean) if noise is None else noise)
        return self.log_likelihood(z0, series) - kl_weight * kl_from_normal(mean, log_std)

    def importance_bound(self, series: Series, noise: Tensor) -> Tensor:
        """log (1/S) Σ p(x, z) / q(z | x) over S draws, in nats, (*models, batch): in the mean it is at least the ELBO,
        and at most log p(x) (Burda et al. 2016).

        noise:  standard normal draws, (S, *models, batch, latent).
        """
        mean, log_std = self.encode(series)
        weights = []
        for draw in noise:
            z0 = mean + log_std.exp() * draw
            log_q = base_log_prob(draw) - log_std.sum(-1)
            weights.append(self.log_likelihood(z0, series) + base_log_prob(z0) - log_q)
        return torch.logsumexp(torch.stack(weights), 0) - math.log(len(noise))

    def loss(self, series: Series, noise: Tensor | None = None, kl_weight: float = 1.0) -> Tensor:
        """-ELBO for each observation, averaged over the batch: (*models,)."""
        count = series.t.shape[-1] if series.mask is None else series.mask.sum(-1).clamp_min(1)
        return -(self.elbo(series, noise, kl_weight) / count).mean(-1)

    @torch.no_grad()
    def forecast(self, series: Series, times: Tensor, start: float = 0.0) -> Tensor:
        """What is to be seen at the times (K,), none before ``start``, from the mean of q: (*models, batch, K, D)."""
        mean, _ = self.encode(series, start)
        begins = bool(times[0] <= start)
        z = self.path(mean, times if begins else torch.cat([times.new_tensor([start]), times]))
        return self.decode((z if begins else z[1:]).movedim(0, -2))
