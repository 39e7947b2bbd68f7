"""Chapter 5's explorers of spirals show their numbers, follow their controls, and say what is to be seen."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from nodelib.chapters.chapter5.explorers import describe_forecast, describe_start, latent_planes, observations
from nodelib.chapters.chapter5.numbers import HORIZON, SENSES, Forecast, LatentPlanes, Observations, Start
from nodelib.data.spirals import STEPS, SpiralSet, make_spirals
from nodelib.models.flows import one_of
from nodelib.models.latent import LatentODE
from nodelib.models.trained_series import trained_series


@pytest.fixture(scope="module")
def spirals() -> SpiralSet:
    return make_spirals(30)


@pytest.fixture(scope="module")
def trained() -> LatentODE:
    return one_of(trained_series("latent ODE", 30), 1)


@pytest.fixture(scope="module")
def numbers(trained, spirals) -> Observations:
    return Observations(trained, spirals, series=19)


@pytest.fixture(scope="module")
def planes(trained, spirals) -> LatentPlanes:
    return LatentPlanes(trained, spirals)


def at_every_end(live: Any) -> Iterator[Any]:
    """The numbers at the first values, and at both ends of every control alone; nothing still is to be drawn again."""
    assert not live.fig.stale
    yield live.numbers
    for name, control in live.controls.items():
        first = control.value
        ends = [value for _, value in control.options] if hasattr(control, "options") else [control.min, control.max]
        for end in (ends[0], ends[-1]):
            before, changed = live.png, end != control.value
            control.value = end
            assert live.error is None, (name, end)
            assert (live.png != before) == changed, (name, end)
            assert not live.fig.stale, (name, end)
            yield live.numbers
        control.value = first


def data(line: Any) -> np.ndarray:
    return np.asarray(line.get_xydata())


def moving(ax: Any) -> list[Any]:
    return [line for line in ax.lines if line.get_animated()]


def within(values: np.ndarray, ends: tuple[float, float]) -> bool:
    return bool((values >= ends[0]).all() and (values <= ends[1]).all())


# --- observations -----------------------------------------------------------------------------------------------------


def test_observations_show_curves_and_errors_at_every_end(numbers):
    live: Any = observations("5.5", numbers)
    left, right = live.fig.axes
    seen = []
    for f in at_every_end(live):
        true, inside, after, dots = moving(left)
        np.testing.assert_array_equal(data(true), f.clean[: f.until])
        np.testing.assert_array_equal(data(inside), f.found[: STEPS + 1])
        np.testing.assert_array_equal(data(after), f.found[STEPS : f.until])
        np.testing.assert_array_equal(data(dots), f.x)
        assert within(f.found[: f.until], left.get_xlim())
        line, when = moving(right)
        np.testing.assert_array_equal(data(line).T, [numbers.t[: f.until], f.distance[: f.until]])
        np.testing.assert_array_equal(data(when)[:, 0], f.t)
        assert f.distance[: f.until].max() < right.get_ylim()[1]
        assert within(data(when)[:, 1], right.get_ylim())
        assert live.description == f"Figure 5.5. {describe_forecast(f)}"
        seen.append((f.spiral, len(f.t), f.noise, f.gap, f.until))
    assert {1, 30, 100} <= {k for _, k, *_ in seen}


def test_one_observation_of_any_spiral_stays_inside_the_axes(numbers):
    """The error is then as large as the spiral, and more."""
    live: Any = observations("5.5", numbers)
    right = live.fig.axes[1]
    largest = max(numbers.at(i, 1, 1.0, 0.0, HORIZON).distance.max() for i in range(numbers.series))
    assert 3 < largest < right.get_ylim()[1]


def test_observations_beyond_the_axes_are_counted(numbers):
    live: Any = observations("5.5", numbers)
    left = live.fig.axes[0]
    assert left.texts[0].get_text() == ""
    for name, value in {"spiral": 17, "k": 100, "noise": 1.0}.items():
        live.controls[name].value = value
    outside = int((np.abs(live.numbers.x).max(1) > left.get_xlim()[1]).sum())
    assert outside > 0
    assert left.texts[0].get_text() == f"{outside} of 100 lie outside"


def test_the_sentence_of_observations():
    found, clean = np.zeros((301, 2)), np.zeros((301, 2))
    found[:STEPS], found[STEPS:201] = 0.25, 0.5
    f = Forecast(3, np.zeros(30), np.zeros((30, 2)), found, clean, 201, 0.1, (0.5, 0.5))
    assert describe_forecast(f) == (
        "Spiral 3, 30 observations, with noise of 0.10: an RMS error of 0.25 in the window, and of 0.50 after it."
    )
    assert describe_forecast(f._replace(t=np.zeros(1), until=STEPS, gap=(0.1, 0.9))) == (
        "Spiral 3, 1 observation, none from t = 0.10 to 0.90, with noise of 0.10: an RMS error of 0.25 in the window."
    )


# --- the latent planes ------------------------------------------------------------------------------------------------


def test_planes_show_starts_and_what_is_seen_at_every_end(planes):
    live: Any = latent_planes("5.8", planes)
    *both, right = live.fig.axes
    for i, ax in enumerate(both):
        still = [line for line in ax.lines if not line.get_animated()]
        for line, sense in zip(still, SENSES, strict=True):
            np.testing.assert_array_equal(data(line), planes.starts[i][planes.sense == sense])
            assert within(data(line), ax.get_xlim())
    for s in at_every_end(live):
        for i, ax in enumerate(both):
            path, dot = moving(ax)
            np.testing.assert_array_equal(data(path), s.paths[i])
            np.testing.assert_array_equal(data(dot), s.paths[i][:1])
            assert within(s.paths[i], ax.get_xlim())
        inside, after, begin = moving(right)
        np.testing.assert_array_equal(data(inside), s.seen[: STEPS + 1])
        np.testing.assert_array_equal(data(after), s.seen[STEPS:])
        np.testing.assert_array_equal(data(begin), s.seen[:1])
        assert within(s.seen, right.get_xlim())
        assert live.description == f"Figure 5.8. {describe_start(s)}"
        assert ("counter-clockwise in the window" in live.description) == (s.mix == 0)


def test_the_legend_of_the_planes_covers_no_start(planes):
    live: Any = latent_planes("5.8", planes)
    ax = live.fig.axes[0]
    box = ax.get_legend().get_window_extent()
    for line in ax.lines[:2]:
        assert not any(box.contains(x, y) for x, y in ax.transData.transform(data(line)))


def test_the_sentence_of_the_planes():
    s = Start(0.2, 0.25, (np.zeros((1, 2)), np.zeros((1, 2))), np.zeros((1, 2)), 0.991)
    where = "A start at an angle of 0.20 turns, 75% counter-clockwise, 25% clockwise"
    assert describe_start(s) == f"{where}: the curve turns 0.99 times counter-clockwise in the window."
    assert describe_start(s._replace(turns=-1.2)) == f"{where}: the curve turns 1.20 times clockwise in the window."
    assert describe_start(s._replace(turns=-0.3)) == (
        f"{where}: the curve turns -0.30 times on balance in the window, counter-clockwise counted positive."
    )


def test_an_untrained_model_draws_as_well():
    torch.manual_seed(0)
    model, few = LatentODE(units=4, hidden=3).requires_grad_(False), make_spirals(5, sizes=(4, 1, 6))
    assert observations("5.5", Observations(model, few, series=6)).error is None
    assert latent_planes("5.8", LatentPlanes(model, few)).error is None
