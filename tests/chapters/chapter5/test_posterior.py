"""A Gaussian of each series' own beats the encoder's; where the posterior is known it is that."""

import pytest
import torch
from torch import Tensor, nn

from nodelib.chapters.chapter5.posterior import elbo_of, own_q
from nodelib.models.latent import LatentODE
from nodelib.models.series import Series

pytestmark = pytest.mark.usefixtures("one_thread")


class Gaussian(nn.Module):
    """x ~ N(z, σ²) at each of n times: the posterior is Gaussian, with precision 1 + n/σ² in each dimension."""

    sigma = 1.0

    def encode(self, series: Series) -> tuple[Tensor, Tensor]:
        zero = series.x.new_zeros(len(series.x), series.x.shape[-1])
        return zero, zero.clone()

    def log_likelihood(self, z0: Tensor, series: Series) -> Tensor:
        return torch.distributions.Normal(z0[:, None], self.sigma).log_prob(series.x).sum((-2, -1))


def test_where_the_posterior_is_gaussian_it_is_found():
    torch.manual_seed(0)
    x = torch.randn(5, 2, 2, dtype=torch.float64)
    mean, log_std = own_q(Gaussian(), Series(x, torch.zeros(5, 2)), 1500, rate=0.02)  # type: ignore[arg-type]
    precision = 1 + 2
    assert torch.allclose(mean, x.sum(1) / precision, atol=0.08)
    assert torch.allclose((-2 * log_std).exp(), torch.tensor(precision, dtype=torch.float64), rtol=0.2)


def test_for_one_draw_it_is_the_models_elbo_and_the_model_stays_as_it_is():
    torch.manual_seed(0)
    model, grid = LatentODE(gap=0.1).double(), torch.arange(10, dtype=torch.float64) / 10
    series = Series(
        torch.randn(3, 10, 2, dtype=torch.float64), grid.expand(3, -1), None, grid, torch.arange(10).expand(3, -1)
    )
    draw, before = torch.randn(3, 4, dtype=torch.float64), nn.utils.parameters_to_vector(model.parameters()).clone()
    found = elbo_of(model, series, *model.encode(series), draw[None])
    assert torch.allclose(found, model.elbo(series, draw), rtol=1e-12)
    mean, log_std = own_q(model, series, iterations=60)
    draws = torch.randn(200, 3, 4, dtype=torch.float64)
    with torch.no_grad():
        gain = elbo_of(model, series, mean, log_std, draws) - elbo_of(model, series, *model.encode(series), draws)
    assert (gain > 0).all()
    assert torch.equal(nn.utils.parameters_to_vector(model.parameters()), before)
    assert all(p.grad is None for p in model.parameters())
