# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportOptionalSubscript=false, reportOptionalMemberAccess=false
"""Recurrent networks: cells are torch's, gaps are what they are said to be, padding is nothing, and the clock's zero
matters to none but those that read the clock."""

import pytest
import torch
from torch import Tensor, nn

from nodelib.models.recurrent import KINDS, Affine, Forecaster, Recurrence
from nodelib.models.series import Series, compact, up_to
from nodelib.torch_ode import odeint

pytestmark = pytest.mark.usefixtures("one_thread")

BATCH, TIMES = 4, 7


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def double(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def some_series(*lead: int) -> Series:
    t = torch.rand(*lead, BATCH, TIMES, dtype=torch.float64).sort(-1).values
    return Series(double(*lead, BATCH, TIMES, 2), t)


def some_model(kind: str, models: int | None = None) -> Forecaster:
    return Forecaster(kind, units=5, models=models, gap=0.1, hidden=6).double()


def gradients(model: nn.Module, loss: Tensor) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss.sum(), list(model.parameters()))])


# --- cells and gaps ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "theirs"), [("rnn", nn.RNNCell), ("gru", nn.GRUCell)])
def test_cells_are_torchs(kind, theirs):
    name = "rnn" if kind == "rnn" else "gru-decay"
    ours, cell = Recurrence(name, units=5).double(), theirs(2, 5).double()
    with torch.no_grad():
        cell.weight_ih.copy_(ours.input.weight.T)
        cell.weight_hh.copy_(ours.state.weight.T)
        cell.bias_ih.copy_(ours.input.bias)
        cell.bias_hh.copy_(ours.state.bias)
    x, h = double(BATCH, 2), double(BATCH, 5)
    assert (ours.jump(ours.input(x), h) - cell(x, h)).abs().max() < 1e-12


def test_decay_is_an_ode():
    """h' = -τ h over gaps of different lengths, solved."""
    r = Recurrence("rnn-decay", units=5, gap=0.1).double()
    h, t = double(BATCH, 5), torch.rand(BATCH, 1, dtype=torch.float64)
    tau = nn.functional.softplus(r.rate) / r.gap
    assert (tau > 0).all()
    (factor,) = r.factors(t / r.gap)
    solved = odeint(lambda s, y: -t * tau * y, h, (0.0, 1.0), rtol=1e-10, atol=1e-12)[-1]
    assert (r.flow(h, factor) - solved).abs().max() < 1e-8


def test_rates_of_decay_begin_between_a_gap_and_a_hundred():
    tau = nn.functional.softplus(Recurrence("gru-decay").rate.detach())
    assert float(tau.max()) == pytest.approx(1, rel=1e-4)
    assert float(tau.min()) == pytest.approx(0.01, rel=1e-4)


def test_an_ode_between_observations_is_solved_in_each_series_own_gap():
    r = Recurrence("ode-rnn", units=5).double()
    h, gap = double(BATCH, 5), torch.tensor([0.0, 0.01, 0.05, 0.1], dtype=torch.float64)[:, None]
    (factor,) = r.factors(gap)
    found = r.flow(h, factor)
    assert torch.equal(found[0], h[0])
    for i in range(1, BATCH):
        solved = odeint(r.field, h[i : i + 1], (0.0, float(gap[i])), rtol=1e-10, atol=1e-12)[-1, 0]
        assert (found[i] - solved).abs().max() < 1e-4
        assert (found[i] - h[i]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", [kind for kind, (_, sees, flows) in KINDS.items() if sees or flows])
def test_the_time_of_what_comes_next_is_known_when_it_is_foretold(kind):
    """Decay and ODE come before the readout, and the network sees the gap to come, not the one before."""
    model, series = some_model(kind), some_series()
    later = series.t.clone()
    later[:, 1:] += 0.3
    change = model.next(series)[0] - model.next(series._replace(t=later))[0]
    assert (change[:, 0].abs().max(-1).values > 1e-4).all()


# --- padding ----------------------------------------------------------------------------------------------------------


def padded(series: Series, kept: list[int], garbage: float = float("nan")) -> Series:
    """Only the first ``kept`` observations of each series count, and the rest are garbage."""
    mask = torch.arange(series.t.shape[-1]) < torch.tensor(kept)[:, None]
    x = torch.where(mask[..., None], series.x, garbage)
    return Series(x, torch.where(mask, series.t, garbage), mask)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_no_loss_and_no_gradient(kind):
    """Against the same series one at a time, without padding."""
    model, series, kept = some_model(kind), some_series(), [7, 3, 2, 5]
    loss = model.loss(padded(series, kept))
    sums, count = [], sum(n - 1 for n in kept)
    for i, n in enumerate(kept):
        one = Series(series.x[i : i + 1, :n], series.t[i : i + 1, :n])
        sums.append(model.loss(one) * (n - 1))
    alone = torch.stack(sums).sum() / count
    assert (loss - alone).abs() < 1e-12
    assert (gradients(model, loss) - gradients(model, alone)).abs().max() < 1e-12
    assert (loss - model.loss(series)).abs() > 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_no_forecast(kind):
    model, series, kept = some_model(kind), some_series(), [7, 3, 1, 5]
    times = torch.tensor([1.0, 1.05, 1.4], dtype=torch.float64)
    found = model.forecast(padded(series, kept), times)
    for i, n in enumerate(kept):
        one = Series(series.x[i : i + 1, :n], series.t[i : i + 1, :n])
        assert (found[i] - model.forecast(one, times)[0]).abs().max() < 1e-12


def test_compact_brings_the_observed_to_the_front_in_order():
    grid = torch.linspace(0, 1, 10, dtype=torch.float64)
    mask = torch.zeros(2, 10, dtype=torch.bool)
    mask[0, [1, 4, 8]] = True
    mask[1, [0, 9]] = True
    whole = Series(double(2, 10, 2), grid.expand(2, -1), mask, grid, torch.arange(10).expand(2, -1))
    found = compact(whole)
    assert found.mask.tolist() == [[True, True, True], [True, True, False]]
    assert found.step[found.mask].tolist() == [1, 4, 8, 0, 9]
    assert torch.equal(found.x[found.mask], whole.x[mask])
    assert torch.equal(found.t[found.mask], grid[found.step][found.mask])


def test_up_to_a_horizon_is_what_was_observed_until_then():
    series = some_series()
    found = up_to(series, 0.5)
    seen = series.t <= 0.5
    assert torch.equal(found.mask.sum(1), seen.sum(1))
    assert found.t.shape[1] == seen.sum(1).max() < TIMES
    assert torch.equal(found.x[found.mask], series.x[seen])
    assert up_to(padded(series, [7, 3, 1, 5], garbage=0.0), 1.0).mask.sum(1).tolist() == [7, 3, 1, 5]


def test_nothing_is_lost_at_the_last_horizon():
    series = some_series()
    model = some_model("rnn-dt")
    assert (model.loss(up_to(series, 1.0)) - model.loss(series)).abs() < 1e-12


# --- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_only_those_that_read_the_clock_notice_when_it_is_set(kind):
    model, series = some_model(kind), some_series()
    times = torch.tensor([1.0, 1.1], dtype=torch.float64)
    shifted = series._replace(t=series.t + 5)
    next_, forecast = (
        (here - there).abs().max()
        for here, there in (
            (model.next(series)[0], model.next(shifted)[0]),
            (model.forecast(series, times), model.forecast(shifted, times + 5)),
        )
    )
    if KINDS[kind][1] == "t":
        assert next_ > 1e-2
        assert forecast > 1e-2
    else:
        assert next_ < 1e-12
        assert forecast < 1e-12


# --- forecasts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_forecast_takes_its_own_predictions_for_values(kind):
    """As foretelling one observation after the other, each appended to the series."""
    model, series = some_model(kind), some_series()
    times = torch.tensor([1.0, 1.05, 1.4], dtype=torch.float64)
    found = model.forecast(series, times)
    x, t = series.x, series.t
    for i, now in enumerate(times):
        t = torch.cat([t, now.expand(BATCH, 1)], -1)
        x = torch.cat([x, torch.zeros(BATCH, 1, 2, dtype=torch.float64)], -2)
        x[:, -1] = model.next(Series(x, t))[0][:, -1].detach()
        assert (x[:, -1] - found[:, i]).abs().max() < 1e-12


def test_the_state_of_a_forecaster_sees_nothing_later():
    model, series = some_model("gru-dt"), some_series()
    other = series.x.clone()
    other[:, 4:] += 1.0
    here, there = (model.next(series._replace(x=x))[0] for x in (series.x, other))
    assert torch.equal(here[:, :3], there[:, :3])
    assert (here[:, 3:] - there[:, 3:] + 1.0).abs().max() < 5
    assert not torch.equal(here[:, 4], there[:, 4])


# --- many models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_models_side_by_side_are_as_alone(kind):
    many, series = some_model(kind, models=3), some_series(3)
    one = some_model(kind)
    one.load_state_dict({name: p[1] for name, p in many.state_dict().items()})
    alone = Series(series.x[1], series.t[1])
    assert many.loss(series).shape == (3,)
    assert (many.loss(series)[1] - one.loss(alone)).abs() < 1e-12
    times = torch.tensor([1.0, 1.1], dtype=torch.float64)
    assert (many.forecast(series, times)[1] - one.forecast(alone, times)).abs().max() < 1e-12


def test_affine_is_its_formula_with_any_axes_between():
    many = Affine(3, 2, 4).double()
    x = double(4, 5, 6, 3)
    direct = torch.einsum("mabi,mio->mabo", x, many.weight) + many.bias[:, None, None]
    assert (many(x) - direct).abs().max() < 1e-12


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="kind must be one of rnn, "):
        Recurrence("lstm")
    with pytest.raises(ValueError, match="units must be a positive whole number"):
        Recurrence("rnn", units=0)
