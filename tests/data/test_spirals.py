"""Spirals: the curves are those of their equations, times are as promised, and a seed settles everything."""

import math
from typing import Any

import pytest
import torch

from nodelib.data.spirals import STEPS, Archimedean, Focus, SpiralSet, make_spirals
from nodelib.torch_ode import odeint

SMALL: Any = {"sizes": (40, 10, 20), "dtype": torch.float64}


def test_a_focus_solves_its_linear_ode_at_any_times():
    angle = torch.tensor([0.3, 2.0], dtype=torch.float64)
    curves = Focus(torch.tensor([1.0, 2.5], dtype=torch.float64), angle, torch.tensor([1.0, -1.0]).double())
    turn = 2 * math.pi * torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    a = torch.stack([sense * turn - 0.5 * torch.eye(2) for sense in curves.sense])
    t = torch.tensor([0.0, 0.123, 0.9, 1.99], dtype=torch.float64)
    start = curves.at(t[:1])[:, 0]
    solved = odeint(lambda s, y: (a @ y[..., None])[..., 0], start, t, rtol=1e-10, atol=1e-12)
    assert (curves.at(t) - solved.transpose(0, 1)).abs().max() < 1e-9
    own = torch.stack([t, t / 2])
    assert torch.equal(curves.at(own)[1], curves.at(t / 2)[1])


def test_the_authors_curves_are_theirs():
    """Index i of their 500 times; a window that begins at their index 110, of either curve."""
    curves = Archimedean(torch.tensor([1.1, 1.1], dtype=torch.float64), torch.tensor([1.0, -1.0]))
    found = curves.at(torch.arange(STEPS) / STEPS)
    theirs = torch.linspace(0, 6 * math.pi, 500, dtype=torch.float64)[110:210]
    z = 6 * math.pi + 1 - theirs
    out = torch.stack([0.3 * theirs * theirs.cos() + 5, 0.3 * theirs * theirs.sin()], -1)
    back = torch.stack([0.3 * 50 / z * z.cos() - 5, 0.3 * 50 / z * z.sin()], -1)
    assert (found - torch.stack([out, back])).abs().max() < 1e-6  # single precision in t


@pytest.mark.parametrize("k", [30, 50, 100])
def test_each_series_is_seen_at_k_different_steps_of_its_own(k):
    found = make_spirals(k, **SMALL)
    for split, n in zip((found.train, found.validation, found.test), SMALL["sizes"], strict=True):
        assert split.step is not None
        assert split.x.shape == (n, k, 2)
        assert (split.step.diff(dim=1) > 0).all()
        assert (split.mask.sum(1) == k).all()
        assert torch.equal(found.grid[split.step], split.t)
        assert float(split.t.max()) < 1
        assert torch.equal(split.noisy[:, :STEPS][split.mask].reshape(n, k, 2), split.x)
    if k < 100:
        assert len(found.train.t.unique(dim=0)) == len(found.train.t)


def test_the_fewer_steps_are_among_the_more_and_all_else_is_the_same():
    few, many = make_spirals(30, 3, **SMALL), make_spirals(50, 3, **SMALL)
    assert (few.test.mask & ~many.test.mask).sum() == 0
    assert torch.equal(few.test.noisy, many.test.noisy)
    assert few.scale == many.scale


def test_half_turn_clockwise_and_noise_is_as_said():
    found = make_spirals(100, **SMALL | {"sizes": (400, 10, 20)})
    for split in (found.train, found.validation, found.test):
        assert float(split.curves.sense.sum()) == 0
    error = (found.train.noisy - found.train.clean) * found.scale
    assert float(error.std()) == pytest.approx(0.1, rel=0.01)
    assert found.noise * found.scale == pytest.approx(0.1)
    assert (found.train.clean * found.scale + found.mean - found.train.curves.at(found.grid)).abs().max() < 1e-12


def test_normalisation_is_the_training_sets():
    found = make_spirals(30, **SMALL)
    window = found.train.noisy[:, :STEPS].reshape(-1, 2)
    assert window.mean(0).abs().max() < 1e-12
    assert float(window.square().mean()) == pytest.approx(1)
    assert float(found.test.noisy[:, :STEPS].mean().abs()) > 1e-4


def test_the_mean_foretells_as_badly_as_computed():
    """The root mean square of r e^(-t/2) / √2 for log-uniform r from 1 to 3 and t from 1 to 2."""
    found = make_spirals(30, sizes=(4000, 1, 1))
    rms = float(found.train.clean[:, STEPS:].square().mean().sqrt()) * found.scale
    expected = math.sqrt(8 / (2 * math.log(3)) * (math.exp(-1) - math.exp(-2)) / 2)
    assert rms == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("times", ["grid", "continuous"])
def test_nothing_is_seen_in_a_gap(times):
    found = make_spirals(30, times=times, gap=(0.4, 0.7), **SMALL)
    t = found.train.t
    assert not ((t >= 0.4) & (t < 0.7)).any()
    assert (t < 0.4).any()
    assert (t >= 0.7).any()
    assert (t.diff(dim=1) > 0).all()


def test_continuous_times_are_on_no_grid_and_their_values_on_the_curves():
    found = make_spirals(30, times="continuous", noise=0.0, **SMALL)
    split = found.train
    assert split.step is None
    assert (split.t * STEPS - (split.t * STEPS).round()).abs().max() > 0.4
    assert (split.x * found.scale + found.mean - split.curves.at(split.t)).abs().max() < 1e-12
    with pytest.raises(ValueError, match="on no grid"):
        _ = split.mask


def every(found: SpiralSet) -> torch.Tensor:
    return torch.cat([s.x.flatten() for s in (found.train, found.validation, found.test)])


def test_a_seed_settles_everything_and_splits_are_different():
    assert torch.equal(every(make_spirals(30, 1, **SMALL)), every(make_spirals(30, 1, **SMALL)))
    assert not torch.equal(every(make_spirals(30, 1, **SMALL)), every(make_spirals(30, 2, **SMALL)))
    found = make_spirals(30, sizes=(10, 10, 10))
    assert not torch.equal(found.validation.clean, found.test.clean)


def test_the_authors_further_points_leave_what_windows_cover():
    found = make_spirals(30, curves="archimedean", sizes=(400, 1, 1))
    clean = found.train.clean
    assert clean.isfinite().all()
    assert clean[:, STEPS:].abs().max() > 1.4 * clean[:, :STEPS].abs().max()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"k": 0}, "k is 0"),
        ({"k": 101}, "k is 101"),
        ({"k": 80, "gap": (0.4, 0.7)}, "k is 80"),
        ({"gap": (0.7, 0.4)}, "gap is"),
        ({"gap": (0.0, 1.0)}, "the whole window"),
        ({"times": "any"}, "times must be one of grid"),
        ({"curves": "snail"}, "curves must be one of focus"),
        ({"noise": -1.0}, "noise must be"),
        ({"sizes": (1, 0, 1)}, "sizes must be"),
    ],
)
def test_what_cannot_be_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        make_spirals(**arguments)
