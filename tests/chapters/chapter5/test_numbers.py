"""The numbers of chapter 5's explorers of spirals against direct computations: forecasts, errors, latent planes."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nodelib.chapters.chapter5.numbers import HORIZON, POINTS, SENSES, Forecast, LatentPlanes, Observations, rms, turns
from nodelib.data.spirals import STEPS, SpiralSet, make_spirals
from nodelib.experiments import records
from nodelib.models.flows import one_of
from nodelib.models.latent import LatentODE
from nodelib.models.series import Series
from nodelib.models.trained_series import trained_series


@pytest.fixture(scope="module")
def spirals() -> SpiralSet:
    return make_spirals(30, sizes=(10, 1, 6))


@pytest.fixture(scope="module")
def model() -> LatentODE:
    torch.manual_seed(0)
    return LatentODE(units=6, hidden=5, gap=1 / 30).requires_grad_(False)


@pytest.fixture(scope="module")
def numbers(model, spirals) -> Observations:
    return Observations(model, spirals, series=4)


# --- observations -----------------------------------------------------------------------------------------------------


class Oracle:
    """Foretells the first spiral exactly, and keeps what it is shown."""

    def __init__(self, spirals: SpiralSet):
        self.spirals = spirals

    def forecast(self, series: Series, times: Tensor) -> Tensor:
        self.series = series
        return ((self.spirals.test.curves.at(times)[:1] - self.spirals.mean) / self.spirals.scale).float()


def test_what_is_found_is_the_models_forecast(numbers, model, spirals):
    f = numbers.at(3, 7, 0.2, 0.3, 2.0)
    x = torch.as_tensor((f.x - spirals.mean.numpy()) / spirals.scale, dtype=torch.float32)[None]
    t = torch.as_tensor(f.t, dtype=torch.float32)[None]
    expected = model.forecast(Series(x, t), torch.linspace(0, HORIZON, POINTS))[0].double()
    np.testing.assert_allclose(f.found, expected * spirals.scale + spirals.mean, atol=1e-5)
    assert len(f.found) == len(f.clean) == POINTS == 301
    assert (f.spiral, f.noise, f.until) == (3, 0.2, 201)


def test_a_model_that_knows_the_spiral_has_no_error(spirals):
    oracle: Any = Oracle(spirals)
    f = Observations(oracle, spirals).at(0, 30, 0.5, 0.0, HORIZON)
    assert f.distance.max() < 1e-5
    assert max(f.window, f.further) < 1e-5
    np.testing.assert_allclose(oracle.series.x[0] * spirals.scale + spirals.mean, f.x, atol=1e-5)
    assert (f.t * STEPS).round().tolist() == (oracle.series.t[0] * STEPS).round().tolist()


def test_observations_are_of_the_spiral_in_the_planes_units(numbers, spirals):
    f = numbers.at(2, 10, 0.0, 0.0, 2.0)
    radius, angle, sense = (float(x[2]) for x in vars(spirals.test.curves).values())
    turned = angle + 2 * math.pi * sense * f.t
    expected = radius * np.exp(-f.t / 2)[:, None] * np.stack([np.cos(turned), np.sin(turned)], 1)
    np.testing.assert_allclose(f.x, expected, atol=1e-12)
    assert (np.diff(f.t) > 0).all()


def test_more_observations_are_added_and_noise_is_only_scaled(numbers):
    few, many = (set(numbers.at(1, k, 0.1, 0.0, 2.0).t) for k in (5, 10))
    assert few < many
    bare, some, twice = (numbers.at(1, 10, noise, 0.0, 2.0) for noise in (0.0, 0.1, 0.2))
    np.testing.assert_allclose(twice.x - bare.x, 2 * (some.x - bare.x), atol=1e-12)
    assert 0.05 < (some.x - bare.x).std() < 0.2


@pytest.mark.parametrize(("k", "gap", "count"), [(1, 0.0, 1), (100, 0.0, 100), (100, 0.5, 50), (10, 0.8, 10)])
def test_a_gap_is_in_the_middle_and_leaves_what_it_leaves(numbers, k, gap, count):
    f = numbers.at(0, k, 0.1, gap, 2.0)
    assert len(f.t) == len(f.x) == count
    assert f.gap == pytest.approx(((1 - gap) / 2, (1 + gap) / 2))
    assert not ((f.t >= f.gap[0]) & (f.t < f.gap[1])).any()


def test_errors_are_those_of_the_window_and_of_what_is_shown_after_it():
    found, clean = np.zeros((POINTS, 2)), np.zeros((POINTS, 2))
    found[:STEPS, 0], found[STEPS : STEPS + 51, 1] = 3.0, 4.0
    found[STEPS + 51 :] = 1e9  # beyond the horizon
    f = Forecast(0, np.zeros(1), np.zeros((1, 2)), found, clean, STEPS + 51, 0.1, (0.5, 0.5))
    assert f.window == pytest.approx(3 / 2**0.5)
    assert f.further == pytest.approx(4 / 2**0.5)
    assert f.distance[[0, STEPS]].tolist() == [3.0, 4.0]
    assert rms(np.array([[3.0, 4.0], [0.0, 5.0]])) == pytest.approx(12.5**0.5)


def test_without_a_horizon_beyond_the_window_nothing_is_further(numbers):
    assert numbers.at(0, 30, 0.1, 0.0, 1.0).until == STEPS + 1
    f = numbers.at(0, 30, 0.1, 0.0, 1.0)._replace(until=STEPS)
    assert np.isnan(f.further)


# --- the latent planes ------------------------------------------------------------------------------------------------


class Planted:
    """Starts that are known: of counter-clockwise series in the plane of the first and second axis around (0, 0, 0, 2),
    of clockwise ones in that of the first and third around (0, 1, 0, 0); a little of the fourth axis in all of them.
    z stays where it is, and its first two coordinates are seen."""

    def __init__(self, sense: Tensor):
        generator = torch.Generator().manual_seed(0)
        a, b = torch.randn(2, len(sense), generator=generator) * torch.tensor([[2.0], [1.0]])
        small, no = 0.1 * torch.randn(len(sense), generator=generator), torch.zeros(len(sense))
        out, back = torch.stack([a, b, no, small + 2], 1), torch.stack([a, no + 1, b, small], 1)
        self.means = torch.where(sense[:, None] > 0, out, back)

    def encode(self, series: Series) -> tuple[Tensor, Tensor]:
        return self.means, torch.zeros_like(self.means)

    def path(self, z0: Tensor, times: Tensor) -> Tensor:
        return z0.expand(len(times), *z0.shape)

    def decode(self, z: Tensor) -> Tensor:
        return z[..., :2]


@pytest.fixture(scope="module")
def planted() -> LatentPlanes:
    spirals = make_spirals(5, sizes=(10, 1, 400))
    curves: Any = spirals.test.curves
    model: Any = Planted(curves.sense)
    return LatentPlanes(model, spirals)


def test_planes_are_those_in_which_the_starts_of_a_sense_vary(planted):
    for i, (sense, second) in enumerate(zip(SENSES, (1, 2), strict=True)):
        z = planted.means[planted.sense == sense]
        variances = np.sort(np.linalg.eigvalsh(np.cov(z.numpy().T, bias=True)))[::-1]
        assert planted.shares[i] == pytest.approx(variances[:2].sum() / variances.sum(), abs=1e-5)
        assert planted.sizes[i] == pytest.approx(variances[:2].sum() ** 0.5, rel=1e-5)
        assert planted.axes[i, 0, 0] > 0.99  # the larger variance first, and the sign that makes it positive
        assert planted.axes[i, 1, second] > 0.99
        np.testing.assert_allclose(planted.centres[i], z.mean(0), atol=1e-6)
        np.testing.assert_allclose(planted.axes[i] @ planted.axes[i].T, np.eye(2), atol=1e-6)
    assert planted.shares.min() > 0.99
    assert planted.cosines == pytest.approx([1, 0], abs=0.05)  # they share an axis


def test_starts_are_on_the_circle_of_either_plane_and_between_them(planted):
    for angle in (0.0, 0.2, 1.0):
        point = [math.cos(2 * math.pi * angle), math.sin(2 * math.pi * angle)]
        ends = [planted.start(angle, mix) for mix in (0.0, 1.0)]
        for i, z in enumerate(ends):
            expected = float(planted.sizes[i]) * np.array(point)
            np.testing.assert_allclose(planted.on_plane(z, i), expected, atol=1e-5)
            distance = float((z - planted.centres[i]).norm())
            assert distance == pytest.approx(float(planted.sizes[i]), rel=1e-5)  # nothing of it outside of the plane
        torch.testing.assert_close(planted.start(angle, 0.25), 0.75 * ends[0] + 0.25 * ends[1])


def test_a_start_is_followed_and_seen(model, spirals):
    planes = LatentPlanes(model, spirals)
    s = planes.at(0.3, 0.4)
    z = model.path(planes.start(0.3, 0.4)[None], spirals.grid)[:, 0]
    np.testing.assert_allclose(s.seen, model.decode(z).double() * spirals.scale + spirals.mean, atol=1e-6)
    for i in range(2):
        np.testing.assert_allclose(s.paths[i], (z - planes.centres[i]) @ planes.axes[i].T, atol=1e-6)
    assert s.turns == turns(s.seen[: STEPS + 1])
    assert planes.at(np.float64(0.3), np.float64(0.4)).turns == s.turns  # as a loop over an array would ask


@pytest.mark.parametrize("turned", [1.25, -0.75, 0.0])
def test_turns_are_those_of_the_direction(turned):
    t = np.linspace(0, 1, 401)
    angle = 2 * np.pi * turned * t + 2.0
    curve = np.stack([np.cos(angle), np.sin(angle)], 1) if turned else np.stack([t, 3 * t], 1)
    assert turns(curve) == pytest.approx(turned * 399 / 400, abs=1e-6)  # between the middles of the first and last step


def test_the_record_has_the_planes_of_the_trained_models():
    run = records.read("latent_space")["runs"][1]
    planes = LatentPlanes(one_of(trained_series("latent ODE", 30), 1), make_spirals(30, 0))
    assert planes.shares == pytest.approx(run["shares"], rel=1e-3)
    assert planes.cosines == pytest.approx(run["cosines"], rel=1e-2)
    for mix, row in ((0.0, 0), (0.5, 5), (1.0, 10)):
        assert planes.at(3 / 12, mix).turns == pytest.approx(run["turns"][row][3], abs=0.01)
