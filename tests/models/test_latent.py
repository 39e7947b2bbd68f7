# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportOptionalSubscript=false, reportOptionalMemberAccess=false
"""Latent ODEs: each part of the bound against a direct computation, bounds in their order, and gradients three ways."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from nodelib.models.latent import RK4, LatentODE, kl_from_normal
from nodelib.models.series import Series, up_to
from nodelib.torch_ode import odeint, solve

pytestmark = pytest.mark.usefixtures("one_thread")

BATCH, TIMES, STEPS = 3, 6, 20
TIGHT = {"method": "dopri5", "rtol": 1e-9, "atol": 1e-11}
ENCODERS = ("rnn-dt", "gru-decay", "ode-rnn")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def double(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def some_series(*lead: int) -> Series:
    grid = torch.arange(STEPS, dtype=torch.float64) / STEPS
    step = torch.rand(*lead, BATCH, STEPS).argsort(-1)[..., :TIMES].sort(-1).values
    return Series(double(*lead, BATCH, TIMES, 2), grid[step], None, grid, step)


def some_model(models: int | None = None, **settings) -> LatentODE:
    arguments = {"latent": 3, "units": 5, "hidden": 6, "gap": 0.15, "sigma": 0.4}
    return LatentODE(models=models, **arguments | settings).double()


def padded(series: Series, kept: list[int]) -> Series:
    mask = torch.arange(TIMES) < torch.tensor(kept)[:, None]
    x, t = torch.where(mask[..., None], series.x, math.nan), torch.where(mask, series.t, math.nan)
    return Series(x, t, mask, series.grid, torch.where(mask, series.step, -7))


def row(series: Series, i: int, n: int = TIMES) -> Series:
    """Series number i alone, with its first n observations."""
    x, t, _, grid, step = series
    return Series(x[i : i + 1, :n], t[i : i + 1, :n], None, grid, step[i : i + 1, :n])


def gradients(model: nn.Module, loss: Tensor) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])


# --- the parts of the bound -------------------------------------------------------------------------------------------


def test_kl_is_the_closed_form_and_what_draws_say():
    mean, log_std = double(5, 4), 0.5 * double(5, 4)
    q, p = Normal(mean, log_std.exp()), Normal(torch.zeros(4).double(), 1.0)
    found = kl_from_normal(mean, log_std)
    assert (found - kl_divergence(q, p).sum(-1)).abs().max() < 1e-12
    z = q.sample(torch.Size([100_000]))
    terms = (q.log_prob(z) - p.log_prob(z)).sum(-1)
    assert ((found - terms.mean(0)).abs() < 5 * terms.std(0) / 100_000**0.5).all()
    assert kl_from_normal(torch.zeros(4), torch.zeros(4)) == 0


def test_the_likelihood_is_that_of_each_observation_alone():
    """Each series solved on its own, to its own times only."""
    model, series, z0 = some_model(**TIGHT), some_series(), double(BATCH, 3)
    found = model.log_likelihood(z0, series)
    for i in range(BATCH):
        total = 0.0
        for x, t in zip(series.x[i], series.t[i], strict=True):
            z = z0[i] if t == 0 else odeint(model.field, z0[i : i + 1], [0.0, float(t)], **TIGHT)[-1, 0]
            total += float(Normal(model.decode(z[None])[0], 0.4).log_prob(x).detach().sum())
        assert float(found[i].detach()) == pytest.approx(total, abs=1e-6)


def test_the_bound_is_the_sum_of_its_parts():
    model, series, noise = some_model(), some_series(), double(BATCH, 3)
    mean, log_std = model.encode(series)
    z0 = mean + log_std.exp() * noise
    parts = model.log_likelihood(z0, series) - kl_divergence(Normal(mean, log_std.exp()), Normal(0.0, 1.0)).sum(-1)
    assert (model.elbo(series, noise) - parts).abs().max() < 1e-12
    assert (model.elbo(series, noise, kl_weight=0.0) - model.log_likelihood(z0, series)).abs().max() < 1e-12
    assert (model.loss(series, noise) + (parts / TIMES).mean()).abs() < 1e-12


def test_the_bounds_are_in_their_order():
    """ELBO ≤ importance-weighted bound with 3, with 30 draws ≤ log p(x), which a latent space of one dimension lets us
    integrate."""
    model, series = some_model(latent=1, sigma=0.8), row(some_series(), 0)
    z = torch.linspace(-8, 8, 1601, dtype=torch.float64)[:, None]
    copies = Series(
        *(x.expand(1601, *x.shape[1:]) for x in series[:2]), None, series.grid, series.step.expand(1601, -1)
    )
    many_rows = Series(
        *(x.expand(4000, *x.shape[1:]) for x in series[:2]), None, series.grid, series.step.expand(4000, -1)
    )
    with torch.no_grad():
        log_joint = model.log_likelihood(z, copies) + Normal(0.0, 1.0).log_prob(z)[:, 0]
        evidence = float(torch.logsumexp(log_joint, 0)) + math.log(0.01)
        elbo, few, many = (model.importance_bound(many_rows, double(draws, 4000, 1)) for draws in (1, 3, 30))
        closed = model.elbo(many_rows, double(4000, 1))
    error = float(elbo.std()) / 4000**0.5
    assert float(closed.mean()) == pytest.approx(float(elbo.mean()), abs=5 * error)
    means = [float(x.mean()) for x in (closed, few, many)]
    assert means[0] + 10 * error < means[1]
    assert means[1] < means[2] < evidence + 3 * float(many.std()) / 4000**0.5
    assert evidence - means[2] < 0.1 * (evidence - means[0])


def test_draws_one_by_one_are_never_above_the_bound_of_all():
    model, series, noise = some_model(), some_series(), double(8, BATCH, 3)
    each = torch.stack([model.importance_bound(series, draw[None]) for draw in noise])
    assert (each.mean(0) <= model.importance_bound(series, noise)).all()
    assert (each.max(0).values >= model.importance_bound(series, noise)).all()


# --- times ------------------------------------------------------------------------------------------------------------


def test_the_decoder_at_arbitrary_times_is_that_of_a_dense_solve():
    model, z0 = some_model(**TIGHT), double(BATCH, 3)
    times = torch.tensor([0.0, 0.013, 0.5, 0.77123, 1.9], dtype=torch.float64)
    with torch.no_grad():
        dense = solve(model.field, z0, (0.0, 2.0), method="dopri8", rtol=1e-11, atol=1e-12, dense=True)
        found = model.decode(model.path(z0, times))
        wanted = model.decode(torch.stack([dense(float(t)) for t in times]))
        assert (found - wanted).abs().max() < 1e-7
        coarse = some_model()
        coarse.load_state_dict(model.state_dict())
        assert coarse.settings == RK4
        assert (coarse.decode(coarse.path(z0, times)) - wanted).abs().max() < 1e-3


def test_a_forecast_begins_where_the_encoder_ends():
    model, series = some_model(), some_series()
    mean, _ = model.encode(series)
    times = torch.tensor([0.0, 0.3, 1.2], dtype=torch.float64)
    with torch.no_grad():
        wanted = model.decode(model.path(mean, times).movedim(0, -2))
    assert model.forecast(series, times).shape == (BATCH, 3, 2)
    assert (model.forecast(series, times) - wanted).abs().max() < 1e-12
    assert (model.forecast(series, times[1:]) - wanted[:, 1:]).abs().max() < 1e-5  # other steps inside


@pytest.mark.parametrize("encoder", ["rnn-dt", "rnn-decay", "gru-dt", "gru-decay", "ode-rnn"])
def test_the_encoder_knows_where_the_window_begins_but_not_the_clock(encoder):
    model, series = some_model(encoder=encoder), some_series()
    later = series._replace(t=series.t + 5)
    here, there, early = model.encode(series)[0], model.encode(later, 5.0)[0], model.encode(later, 4.9)[0]
    assert (here - there).abs().max() < 1e-12
    assert ((here - early).abs().max(-1).values > 1e-4).all()


def test_an_encoder_that_reads_the_clock_notices_when_it_is_set():
    model, series = some_model(encoder="rnn-t"), some_series()
    assert (model.encode(series)[0] - model.encode(series._replace(t=series.t + 5), 5.0)[0]).abs().max() > 1e-2


def test_the_encoder_reads_backwards():
    """The last it reads is the first observation, which it forgets least."""
    model, series = some_model(encoder="rnn-decay", gap=0.01), some_series()
    with torch.no_grad():
        model.encoder.rate.fill_(3.0)
    x = series.x.clone().requires_grad_()
    (g,) = torch.autograd.grad(model.encode(series._replace(x=x))[0].sum(), x)
    size = g.abs().sum(-1).mean(0)
    assert size[0] > 10 * size[-1] > 0


# --- padding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ENCODERS)
def test_padding_changes_no_loss_and_no_gradient(encoder):
    model, series, noise, kept = some_model(encoder=encoder), some_series(), double(BATCH, 3), [6, 2, 4]
    loss = model.loss(padded(series, kept), noise)
    alone = torch.stack([model.loss(row(series, i, n), noise[i : i + 1]) for i, n in enumerate(kept)]).mean()
    assert (loss - alone).abs() < 1e-12
    assert (gradients(model, loss) - gradients(model, alone)).abs().max() < 1e-12
    assert (loss - model.loss(series, noise)).abs() > 1e-3


def test_up_to_a_horizon_the_bound_is_that_of_the_shorter_series():
    model, series, noise = some_model(), some_series(), double(BATCH, 3)
    part = up_to(series, 0.5)
    assert float(part.grid[-1]) <= 0.5
    counts = (series.t <= 0.5).sum(1).tolist()
    assert min(counts) > 0
    found = model.elbo(part, noise)
    for i, n in enumerate(counts):
        one = row(series, i, n)._replace(grid=part.grid)
        assert (found[i] - model.elbo(one, noise[i : i + 1])[0]).abs() < 1e-12


def test_a_series_without_observations_costs_its_kl_alone():
    model, series, noise = some_model(), some_series(), double(BATCH, 3)
    nothing = up_to(series, -1.0)
    kl = kl_from_normal(*model.encode(nothing))
    assert (model.elbo(nothing, noise) + kl).abs().max() < 1e-12
    assert (kl > 0).all()


# --- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ENCODERS)
def test_gradients_three_ways_are_those_of_finite_differences(encoder):
    series, noise = some_series(), double(BATCH, 3)
    backprop = some_model(encoder=encoder, **TIGHT)
    found = {}
    for way in ("backprop", "checkpoint", "adjoint"):
        model = some_model(encoder=encoder, gradient=way, **TIGHT)
        model.load_state_dict(backprop.state_dict())
        found[way] = gradients(model, model.loss(series, noise))
    size = found["backprop"].abs().max()
    assert (found["checkpoint"] - found["backprop"]).abs().max() < 1e-12 * size
    assert (found["adjoint"] - found["backprop"]).abs().max() < 1e-6 * size
    direction = torch.randn_like(found["backprop"])
    start = nn.utils.parameters_to_vector(backprop.parameters()).detach()
    values = []
    for h in (1e-4, -1e-4):
        nn.utils.vector_to_parameters(start + h * direction, backprop.parameters())
        values.append(float(backprop.loss(series, noise).detach()))
    difference = (values[0] - values[1]) / 2e-4
    assert float(found["backprop"] @ direction) == pytest.approx(difference, rel=1e-5)


# --- many models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ENCODERS)
def test_models_side_by_side_are_as_alone(encoder):
    many, one, series, noise = (
        some_model(2, encoder=encoder),
        some_model(encoder=encoder),
        some_series(2),
        double(2, 3, 3),
    )
    one.load_state_dict({name: p[1] for name, p in many.state_dict().items()})
    alone = Series(series.x[1], series.t[1], None, series.grid, series.step[1])
    assert many.loss(series, noise).shape == (2,)
    assert (many.loss(series, noise)[1] - one.loss(alone, noise[1])).abs() < 1e-12
    assert (
        many.importance_bound(series, noise[None])[1] - one.importance_bound(alone, noise[None, 1])
    ).abs().max() < 1e-12
    times = torch.tensor([1.0, 1.1], dtype=torch.float64)
    assert (many.forecast(series, times)[1] - one.forecast(alone, times)).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"gradient": "magic"}, "gradient must be one of adjoint"),
        ({"sigma": 0.0}, "sigma must be positive"),
        ({"latent": 0}, "latent must be a positive whole number"),
        ({"encoder": "lstm"}, "kind must be one of rnn"),
    ],
)
def test_what_cannot_be_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        LatentODE(**arguments)


def test_a_series_without_a_grid_cannot_be_solved_for_at_once():
    with pytest.raises(ValueError, match="no grid and step"):
        some_model().elbo(some_series()._replace(grid=None))
