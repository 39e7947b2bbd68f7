"""Multiple shooting: one segment is the ELBO, and segments of one trajectory are that trajectory."""

import pytest
import torch

from nodelib.experiments.shooting import SEAM, shooting_loss
from nodelib.models.latent import LatentODE, kl_from_normal
from nodelib.models.series import Series


@pytest.fixture
def model() -> LatentODE:
    torch.manual_seed(0)
    return LatentODE(sigma=0.3).double()


@pytest.fixture
def series() -> Series:
    """Six series with 12 of 41 times each; of the last, only seven."""
    generator = torch.Generator().manual_seed(1)
    grid = torch.linspace(0, 1, 41, dtype=torch.float64)
    step = torch.rand(6, 41, generator=generator).argsort(-1)[:, :12].sort(-1).values
    x = torch.randn(6, 12, 2, generator=generator, dtype=torch.float64)
    mask = torch.ones(6, 12, dtype=torch.bool)
    mask[-1, 7:] = False
    return Series(x, grid[step], mask, grid, step)


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_one_segment_is_the_elbo(model, series, noise):
    torch.testing.assert_close(shooting_loss(model, series, noise, 1), model.loss(series, noise), rtol=1e-12, atol=0)


def test_three_segments_by_hand(model, series, noise):
    """Series by series: each observation under the segment that it lies in, seams, and the first segment's KL."""
    total = 0.0
    cuts = (0, 13, 27, 40)
    for n in range(6):
        k = int(series.mask[n].sum())
        x, t, step = series.x[n, :k], series.t[n, :k], series.step[n, :k]
        value, end = 0.0, None
        for i, j in ((0, 13), (13, 27), (27, 40)):
            seen = step >= i
            if seen.any():
                mean, log_std = model.encode(Series(x[seen][None], t[seen][None]), float(series.grid[i]))
            else:  # nothing was read
                mean, log_std = model.posterior(torch.zeros(1, 25, dtype=torch.float64)).chunk(2, -1)
            z0 = mean + log_std.exp() * noise[n]
            path = model.path(z0, series.grid[i : j + 1])[:, 0]
            value = value - (
                kl_from_normal(mean, log_std)[0] if end is None else ((z0[0] - end) ** 2).sum() / 2 / SEAM**2
            )
            for point, s in zip(x, step.tolist(), strict=True):
                if i <= s < j or s == j == cuts[-1]:
                    normal = torch.distributions.Normal(model.decode(path[s - i][None])[0], model.sigma)
                    value = value + normal.log_prob(point).sum()
            end = path[-1]
        total = total - value / k / 6
    torch.testing.assert_close(shooting_loss(model, series, noise, 3), total, rtol=1e-10, atol=0)


def test_padding_changes_nothing(model, series, noise):
    dirty = series._replace(
        x=torch.where(series.mask[..., None], series.x, torch.nan), step=torch.where(series.mask, series.step, 0)
    )
    torch.testing.assert_close(
        shooting_loss(model, dirty, noise, 3), shooting_loss(model, series, noise, 3), rtol=1e-12, atol=0
    )


def test_without_a_grid_it_says_so(model, series, noise):
    with pytest.raises(ValueError, match="segments are parts of a grid"):
        shooting_loss(model, series._replace(grid=None), noise, 3)
