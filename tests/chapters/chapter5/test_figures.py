"""Chapter 5's pictures of series show what models foretell, what their states do, and the numbers they are given."""

from typing import Any

import numpy as np
import pytest
import torch

from nodelib.chapters.chapter5 import figures
from nodelib.chapters.chapter5.figures import SERIES_LOOK, SERIES_NAME, between, foretold, seen_of, states_between
from nodelib.chapters.chapter5.numbers import LatentPlanes
from nodelib.data.spirals import STEPS, SpiralSet, make_spirals
from nodelib.experiments.latent import MODELS
from nodelib.models.latent import LatentODE
from nodelib.models.recurrent import KINDS, Forecaster, Recurrence
from nodelib.models.series import Series
from nodelib.workbook.style import INK


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def spirals() -> SpiralSet:
    return make_spirals(7, sizes=(4, 1, 6))


def latent(**settings: Any) -> LatentODE:
    return LatentODE(units=5, hidden=4, **settings).requires_grad_(False)


def data(line: Any) -> np.ndarray:
    return np.asarray(line.get_xydata())


def test_every_model_of_table_2_has_a_look_and_a_name():
    assert set(MODELS) <= set(SERIES_NAME)
    assert set(SERIES_LOOK) <= set(SERIES_NAME)
    assert len(set(SERIES_LOOK.values())) == len(SERIES_LOOK)  # all told apart
    assert set(KINDS) <= set(SERIES_NAME)


def test_what_is_seen_of_a_set_are_its_test_series(spirals):
    series = seen_of(spirals, [4, 1])
    assert torch.equal(series.x, spirals.test.x[[4, 1]])
    assert torch.equal(series.t, spirals.test.t[[4, 1]])
    assert series.grid is not None
    assert len(series.grid) == STEPS
    assert seen_of(spirals).x.shape == (6, 7, 2)


def test_foretold_are_forecasts_of_the_further_points(spirals):
    models = {"latent ODE": latent(), "gru-dt": Forecaster("gru-dt", units=4).requires_grad_(False)}
    fig = foretold(spirals, [5, 0], models)
    assert [ax.get_ylabel() for ax in fig.axes] == ["latent ODE", "", "GRU, Δt", ""]
    for i, row in enumerate((5, 0)):
        series = seen_of(spirals, [row])
        for ax, (name, model) in zip(fig.axes[i::2], models.items(), strict=True):
            window, after, dots, *model_lines = ax.lines
            np.testing.assert_allclose(data(window), spirals.test.clean[row, :STEPS])
            np.testing.assert_allclose(data(after), spirals.test.clean[row, STEPS - 1 :])
            np.testing.assert_allclose(data(dots), spirals.test.x[row])
            times = [spirals.grid[:STEPS], spirals.grid[STEPS:]] if name == "latent ODE" else [spirals.grid[STEPS:]]
            for line, t in zip(model_lines, times, strict=True):
                np.testing.assert_allclose(data(line), model.forecast(series, t)[0], atol=1e-5)


@torch.no_grad()
def test_foretold_in_strides(spirals):
    model, series, times = Forecaster("gru-dt", units=4), seen_of(spirals, [0]), spirals.grid[STEPS:]
    (ax,) = foretold(spirals, [0], {"gru-dt": model}, stride=3).axes
    found = data(ax.lines[-1])
    np.testing.assert_allclose(found[1::3], model.forecast(series, times[1::3])[0], atol=1e-5)
    assert np.abs(found - model.forecast(series, times)[0].numpy()).max() > 1e-4


# --- between observations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rnn", "rnn-dt", "rnn-decay", "gru-decay", "ode-rnn"])
@torch.no_grad()
def test_states_between_end_where_the_network_is(spirals, kind):
    """At a gap's end the state is that of a pass over the series; it begins where the observation has put it."""
    series, recurrence = seen_of(spirals, [2]), Recurrence(kind, units=5, gap=1 / 7)
    t, h = states_between(recurrence, series, 4)
    after = torch.cat([series.t[:, 1:], series.t[:, -1:]], -1)
    states = torch.stack(recurrence(series.x, series.t, after))[:, 0]
    assert h.shape == (6, 4, 5)
    torch.testing.assert_close(h[:, -1], states[:-1])
    torch.testing.assert_close(t[:, 0], series.t[0, :-1])
    torch.testing.assert_close(t[:, -1], series.t[0, 1:])
    torch.testing.assert_close(t.diff()[:, 0], t.diff()[:, -1])
    moves = (h[:, -1] - h[:, 0]).abs().max() > 1e-3
    assert moves == (kind in {"rnn-decay", "gru-decay", "ode-rnn"})


@torch.no_grad()
def test_a_decaying_state_decays_as_its_rate_says(spirals):
    series, recurrence = seen_of(spirals, [2]), Recurrence("rnn-decay", units=5, gap=0.1)
    t, h = states_between(recurrence, series, 3)
    half = (t[:, 1] - t[:, 0]) / 0.1
    rate = torch.nn.functional.softplus(recurrence.rate)
    torch.testing.assert_close(h[:, 1], h[:, 0] * torch.exp(-rate * half[:, None]))


def test_the_units_shown_are_those_that_move_most(spirals):
    kinds = {kind: Recurrence(kind, units=5, gap=1 / 7) for kind in ("rnn", "rnn-decay")}
    fig = between(kinds, seen_of(spirals, [2]), points=3)
    for ax, (kind, recurrence) in zip(fig.axes, kinds.items(), strict=True):
        assert ax.get_title("left") == SERIES_NAME[kind]
        t, h = states_between(recurrence, seen_of(spirals, [2]), 3)
        score = h[:, -1].var(0) if kind == "rnn" else (h[:, -1] - h[:, 0]).abs().mean(0)
        units = np.argsort(-score.numpy(), kind="stable")[:3]
        dots = [data(line) for line in ax.lines if line.get_marker() == "."]
        for unit, line in zip(units, dots, strict=True):
            np.testing.assert_allclose(line, torch.stack([t[:, 0], h[:, 0, unit]], 1))
        low, high = ax.get_ylim()
        assert all(low < data(line)[:, 1].min() and data(line)[:, 1].max() < high for line in ax.lines)


# --- the model at work, and its plane ---------------------------------------------------------------------------------


@torch.no_grad()
def test_a_model_at_work(spirals):
    model = latent()
    fig: Any = figures.model_at_work(model, spirals, 3, draws=2)
    reads, inner, path, curve, _ = fig.axes
    for axis, line in enumerate(reads.lines):
        np.testing.assert_allclose(data(line), torch.stack([spirals.test.t[3], spirals.test.x[3, :, axis]], 1))
    state = np.asarray(inner.images[0].get_array())
    assert state.shape == (5, 7)  # units, observations
    mean, log_std = model.encode(seen_of(spirals, [3]))
    torch.testing.assert_close(model.posterior(torch.as_tensor(state[:, -1])[None]).chunk(2, -1)[0], mean)
    noise = torch.randn(2, 1, 4, generator=torch.Generator().manual_seed(0))
    z = model.path(mean + log_std.exp() * noise[1], spirals.grid)[:, 0]
    drawn = [data(line)[:, 1] for line in path.lines if len(line.get_xdata()) == 2 * STEPS]
    np.testing.assert_allclose(drawn[1], z[:, 0], atol=1e-5)
    np.testing.assert_allclose(data(curve.lines[-2]), model.decode(z)[STEPS - 1 :], atol=1e-5)
    np.testing.assert_allclose(data(curve.lines[-1]), spirals.test.x[3])


def test_between_two_spirals_are_the_mixes(spirals):
    planes = LatentPlanes(latent(), spirals)
    fig = figures.interpolation(planes, angle=0.1, mixes=3)
    assert [ax.get_title("left") for ax in fig.axes] == ["0%", "50%", "100%"]
    for ax, mix in zip(fig.axes, (0.0, 0.5, 1.0), strict=True):
        np.testing.assert_allclose(data(ax.lines[0]), planes.at(0.1, mix).seen[:STEPS], atol=1e-6)
    assert fig.axes[1].lines[0].get_color() == INK


# --- the table --------------------------------------------------------------------------------------------------------


def test_table_2_shows_trainings_means_and_the_papers_numbers():
    runs = [
        {"model": name, "k": k, "clean": [x, 3 * x], "noisy": [5 * x] * 2}
        for k in (50, 30)
        for name, x in (("latent ODE", 0.01 * k), ("rnn", 0.02 * k))
    ]
    fig = figures.table2({"runs": runs}, {"rnn": (0.4, 0.3)})
    assert [ax.get_title("left") for ax in fig.axes] == ["30 observations", "50 observations"]
    assert [tick.get_text() for tick in fig.axes[0].get_yticklabels()] == ["latent ODE", "RNN"]
    for ax, k, theirs in zip(fig.axes, (30, 50), (0.4, 0.3), strict=True):
        first, mean, second, other, cross = ax.lines
        assert data(first).tolist() == [[0.01 * k, 0], [3 * 0.01 * k, 0]]
        assert data(second)[:, 1].tolist() == [1, 1]
        assert [data(line)[0, 0] for line in (mean, other)] == pytest.approx([0.02 * k, 0.04 * k])
        assert data(cross).tolist() == [[theirs, 1]]
    noisy = figures.table2({"runs": runs}, {}, "noisy").axes[0].lines[0]
    assert data(noisy)[:, 0].tolist() == pytest.approx([1.5, 1.5])


def test_a_series_reversed_has_the_time_of_what_comes_next():
    x = torch.arange(6.0).reshape(1, 3, 2)
    turned, t, following = figures._backwards(Series(x, torch.tensor([[0.1, 0.4, 0.9]])))
    assert turned[0].tolist() == [[4, 5], [2, 3], [0, 1]]
    assert t[0].tolist() == pytest.approx([0.9, 0.4, 0.1])
    assert following[0].tolist() == pytest.approx([0.4, 0.1, 0.0])
