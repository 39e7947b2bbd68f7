"""How good the encoder's guess is, beside the best Gaussian of each series' own."""

import torch
from torch import Tensor

from nodelib.models.latent import LatentODE, kl_from_normal
from nodelib.models.series import Series


def elbo_of(model: LatentODE, series: Series, mean: Tensor, log_std: Tensor, draws: Tensor) -> Tensor:
    """The ELBO of each series, in nats, (batch,), for a Gaussian q with ``mean`` and ``log_std``, (batch, latent): the
    mean over standard normal ``draws``, (S, batch, latent)."""
    found = [model.log_likelihood(mean + log_std.exp() * draw, series) for draw in draws]
    return torch.stack(found).mean(0) - kl_from_normal(mean, log_std)


def own_q(
    model: LatentODE, series: Series, iterations: int = 200, rate: float = 0.05, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Mean and log standard deviation of a Gaussian for each series, (batch, latent): from the encoder's, by Adam on
    the ELBO of one draw an iteration, at a rate that falls to 0. The model stays as it is."""
    with torch.no_grad():
        mean, log_std = (part.clone().requires_grad_() for part in model.encode(series))
    adam, generator = torch.optim.Adam([mean, log_std], rate), torch.Generator().manual_seed(seed)
    schedule = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, iterations)
    for _ in range(iterations):
        draw = torch.randn(1, *mean.shape, generator=generator, dtype=mean.dtype)
        loss = -elbo_of(model, series, mean, log_std, draw).sum()
        mean.grad, log_std.grad = torch.autograd.grad(loss, (mean, log_std))
        adam.step()
        schedule.step()
    return mean.detach(), log_std.detach()
