"""Forecasts of spirals: errors are as said, and in strides each point is the forecast that begins where it should."""

import pytest
import torch
from torch import Tensor

from nodelib.data.spirals import STEPS, make_spirals
from nodelib.experiments.forecasts import further_errors, in_strides, series_of
from nodelib.experiments.latent import Recipe, make
from nodelib.models.series import Series

pytestmark = pytest.mark.usefixtures("one_thread")

SETS = [make_spirals(8, seed, sizes=(12, 4, 6), dtype=torch.float64) for seed in (0, 1)]
SHORT = Recipe(40, batch=5, growth=0.5)


class Oracle(torch.nn.Module):
    """Foretells the first model's set exactly, and the others' 0.1 too high in one coordinate."""

    def forecast(self, series: Series, times: Tensor) -> Tensor:
        assert torch.equal(times, SETS[0].grid[STEPS:])
        assert torch.equal(series.x[0], SETS[1].test.x)
        found = torch.stack([SETS[i].test.clean[:, STEPS:] for i in (1, 0)])
        found[1, ..., 0] += 0.1
        return found


def test_errors_are_root_mean_squares_in_the_planes_units():
    clean, noisy = further_errors(Oracle(), SETS, [1, 0])
    assert clean[0] == 0
    assert clean[1] == pytest.approx(0.1 / 2**0.5 * SETS[0].scale)
    assert noisy[0] == pytest.approx(0.1, rel=0.1)
    errors = (SETS[1].test.noisy - SETS[1].test.clean)[:, STEPS:] * SETS[1].scale
    assert noisy[0] == pytest.approx(float(errors.square().mean().sqrt()))


@pytest.mark.parametrize("stride", [1, 3, 7])
def test_in_strides_each_forecast_has_its_own_times(stride):
    """Point number j is the one that a forecast of every ``stride``-th time from j mod stride on has there."""
    torch.manual_seed(0)
    model = make("gru-dt", SETS, 2, SHORT).double()
    series, times = series_of([each.train for each in SETS], SETS[0].grid), SETS[0].grid[STEPS : STEPS + 10]
    found = in_strides(model, series, times, stride)
    assert found.shape == (2, 12, 10, 2)
    for j in range(10):
        own = model.forecast(series, times[j % stride :: stride])[..., j // stride, :]
        assert torch.equal(found[..., j, :], own)
    if stride == 1:
        assert torch.equal(found, model.forecast(series, times))
    else:
        assert (found - model.forecast(series, times)).abs().max() > 1e-4


def test_a_latent_ode_is_the_same_in_strides():
    torch.manual_seed(0)
    model = make("latent ODE", SETS, 2, SHORT).double()
    series, times = series_of([each.train for each in SETS], SETS[0].grid), SETS[0].grid[STEPS : STEPS + 10]
    gap = in_strides(model, series, times, 3) - model.forecast(series, times)
    assert gap.abs().max() < 1e-3  # twelve rk4 steps, from other starts
