# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# (torch types the children of a Module as Tensor | Module)
"""Poisson processes over an ODE: closed forms, jumps, padding, and every gradient the likelihood's own."""

import math

import pytest
import torch
from torch import Tensor, nn

from nodelib.models.latent import kl_from_normal
from nodelib.models.poisson import BackwardGRU, LatentPoisson, Network, PoissonODE

pytestmark = pytest.mark.usefixtures("one_thread")

END = 10.0
TIGHT = {"rtol": 1e-9, "atol": 1e-10}
GRADIENTS = ("backprop", "checkpoint", "adjoint")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def some_events(*shape: int) -> tuple[Tensor, Tensor]:
    """Increasing times in [0, END] and a mask with all counts from 0 to m, the padding behind."""
    times = END * torch.rand(*shape, dtype=torch.float64).sort(-1).values
    counts = torch.arange(shape[-2]) % (shape[-1] + 1)
    return times, (torch.arange(shape[-1]) < counts[:, None]).expand(*shape).clone()


# --- closed forms -----------------------------------------------------------------------------------------------------


class Formula(nn.Module):
    def __init__(self, formula):
        super().__init__()
        self.formula = formula

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return self.formula(t, z)


TURN = 2 * math.pi / 5 * double(0, 1, -1, 0).reshape(2, 2)
JUMPS = (math.pi, 2 * math.pi)


def stairs(t: Tensor) -> Tensor:
    return 1.0 + 5.0 * (t >= JUMPS[0]) - 4.0 * (t >= JUMPS[1])


def stairs_integral(t: Tensor) -> Tensor:
    return t + 5 * (t - JUMPS[0]).clamp(min=0) - 4 * (t - JUMPS[1]).clamp(min=0)


# name: (field, log rate, z0, λ(t), Λ(t), jumps)
CASES = {
    "constant": (
        lambda t, z: torch.zeros_like(z),
        lambda t, z: z[..., 0],
        double(math.log(3)),
        lambda t: torch.full_like(t, 3.0),
        lambda t: 3 * t,
        (),
    ),
    "decay": (
        lambda t, z: -0.4 * z,
        lambda t, z: z[..., 0].log(),
        double(5),
        lambda t: 5 * torch.exp(-0.4 * t),
        lambda t: 12.5 * -torch.expm1(-0.4 * t),
        (),
    ),
    "sinusoid": (
        lambda t, z: z @ TURN,
        lambda t, z: (4 + 3.6 * z[..., 1]).log(),
        double(1, 0),
        lambda t: 4 + 3.6 * torch.sin(2 * math.pi * t / 5),
        lambda t: 4 * t + 18 / (2 * math.pi) * (1 - torch.cos(2 * math.pi * t / 5)),
        (),
    ),
    "jumping rate": (
        lambda t, z: torch.zeros_like(z),
        lambda t, z: stairs(t).log() + 0 * z[..., 0],
        double(0),
        stairs,
        stairs_integral,
        JUMPS,
    ),
    "jumping field": (
        lambda t, z: (1.0 * (t >= JUMPS[0]) - 1.5 * (t >= JUMPS[1])) * torch.ones_like(z),
        lambda t, z: (1 + z[..., 0]).log(),
        double(0),
        lambda t: 1 + (t - JUMPS[0]).clamp(min=0) - 1.5 * (t - JUMPS[1]).clamp(min=0),
        lambda t: t + (t - JUMPS[0]).clamp(min=0).square() / 2 - 0.75 * (t - JUMPS[1]).clamp(min=0).square(),
        JUMPS,
    ),
}


def case(name: str, knots: int = 101, **settings) -> tuple[PoissonODE, Tensor]:
    """The process, and starts (3, D) that are all the same."""
    field, log_rate, z0, _, _, jumps = CASES[name]
    model = PoissonODE(Formula(field), Formula(log_rate), torch.linspace(0, END, knots), jumps, **{**TIGHT, **settings})
    return model, z0.expand(3, -1)


@pytest.mark.parametrize("settings", [{}, {"method": "rk4"}], ids=["dopri5", "rk4"])
@pytest.mark.parametrize("name", CASES)
def test_the_integral_is_the_closed_form_to_1e6_everywhere(name, settings):
    """At knots and between them, also where λ jumps, or its slope."""
    model, z0 = case(name, knots=401, **settings)
    _, _, _, rate, integral, _ = CASES[name]
    times = torch.linspace(0, END, 777, dtype=torch.float64)
    path = model.path(z0)
    assert (path.at(times)[1] - integral(times)).abs().max() < 1e-6
    assert (model.log_rate(path, times).exp() - rate(times)).abs().max() < 1e-5


@pytest.mark.parametrize("name", CASES)
def test_with_events_as_knots_the_likelihood_is_the_solvers_own(name):
    model, z0 = case(name, knots=2)
    times, mask = some_events(3, 2)
    _, _, _, rate, integral, _ = CASES[name]
    path = model.path(z0, torch.cat([model.knots, times.flatten()]).unique())
    exact = torch.where(mask, rate(times).log(), 0).sum(-1) - integral(double(END))
    assert (model.log_likelihood(path, times, mask) - exact).abs().max() < 1e-6
    window = (1.0, 4.5)  # whose ends are no knots
    inside = mask & (times >= 1) & (times < 4.5)
    exact = torch.where(inside, rate(times).log(), 0).sum(-1) - integral(double(window[1])) + integral(double(1.0))
    fine = case(name)[0]
    assert (fine.log_likelihood(fine.path(z0), times, inside, window) - exact).abs().max() < 2e-5


def test_a_jump_that_nobody_tells_of_costs_accuracy():
    """What ``jumps`` are for: without them a step of rk4 goes across the jump, and Λ is off by a share of it."""
    field, log_rate, z0, _, integral, _ = CASES["jumping rate"]
    model = PoissonODE(Formula(field), Formula(log_rate), torch.linspace(0, END, 101), method="rk4")
    off = (model.path(z0.expand(3, -1)).at(double(END))[1] - integral(double(END))).abs().max()
    assert off > 1e-2


@pytest.mark.parametrize("name", ["decay", "sinusoid"])
def test_interpolation_between_knots_is_of_fourth_order(name):
    times = torch.linspace(0, END, 777, dtype=torch.float64)
    errors = []
    for knots in (26, 51):
        model, z0 = case(name, knots)
        errors.append(float((model.path(z0).at(times)[1] - CASES[name][4](times)).abs().max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.4)


# --- padding, models, windows -----------------------------------------------------------------------------------------


def latent(models: int | None = None, knots: int = 21, **settings) -> LatentPoisson:
    """A small model in double precision, lively enough that its intensities differ."""
    process = PoissonODE(
        Network(3, 8, 3, models=models),
        Network(3, 8, 1, models=models, squeeze=True),
        torch.linspace(0, END, knots),
        models=models,
        **{"method": "rk4", **settings},
    )
    model = LatentPoisson(BackwardGRU(5, 6, models), process).double()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.5)
    return model


def loss(model: LatentPoisson, times: Tensor, mask: Tensor) -> Tensor:
    """-log likelihood of the events that the model is conditioned on, with one draw of z0, and the KL term."""
    mean, log_std = model.posterior(times, mask, (0.0, END))
    z0 = mean + 0.3 * log_std.exp()
    return kl_from_normal(mean, log_std) - model.process.log_likelihood(model.process.path(z0), times, mask)


def test_padding_never_changes_a_loss_or_its_gradient():
    model = latent()
    times, mask = some_events(9, 8)
    wider = torch.cat([times, END * torch.rand(9, 5, dtype=torch.float64)], -1)
    padding = torch.cat([mask, torch.zeros(9, 5, dtype=torch.bool)], -1)
    others = torch.where(padding, wider, END * torch.rand(9, 13, dtype=torch.float64))
    found = []
    for at, there in ((times, mask), (wider, padding), (others, padding)):
        each = loss(model, at, there)
        found.append([each.detach(), *torch.autograd.grad(each.sum(), list(model.parameters()))])
    for i in (1, 2):
        assert all((a - b).abs().max() < 1e-12 * max(1, b.abs().max()) for a, b in zip(found[i], found[0], strict=True))
    assert (found[0][0][1:] - found[0][0][0]).abs().min() > 1e-3  # the events count


def test_a_sequence_alone_has_the_loss_it_has_among_others():
    model = latent()
    times, mask = some_events(9, 8)
    together = loss(model, times, mask)
    for i in range(9):
        k = max(1, int(mask[i].sum()))
        assert (loss(model, times[i : i + 1, :k], mask[i : i + 1, :k]) - together[i]).abs().max() < 1e-12


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_models_side_by_side_are_those_alone(method):
    settings = {"method": method} if method == "rk4" else {"method": method, **TIGHT}
    model = latent(models=3, **settings)
    times, mask = some_events(3, 9, 8)
    together = loss(model, times, mask)
    assert together.shape == (3, 9)
    for i in range(3):
        alone = latent(**settings)
        alone.load_state_dict({name: p[i] for name, p in model.state_dict().items()})
        assert (loss(alone, times[i], mask[i]) - together[i]).abs().max() < (1e-12 if method == "rk4" else 1e-7)
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_calm_models_do_not_hide_the_error_of_a_lively_one():
    """A step's error is the largest of the models, so that one among eight takes the steps that it takes alone."""
    evaluations = []
    for models in (1, 8):
        speed = torch.zeros(models, 1, 1, dtype=torch.float64)
        speed[0] = 3.0
        process = PoissonODE(
            Formula(lambda t, z, speed=speed: speed * torch.cos(3 * t) * z),
            Formula(lambda t, z: z[..., 0]),
            (0, END),
            models=models,
            rtol=1e-5,
            atol=1e-5,
        )
        process.path(torch.ones(models, 2, 1, dtype=torch.float64))
        evaluations.append(process.growth.nfe)
    assert evaluations[1] == evaluations[0] > 100


def test_the_encoder_sees_gaps_and_the_window_and_no_clock():
    model = latent()
    times, mask = some_events(9, 8)
    mean, _ = model.posterior(times, mask, (0.0, END))
    moved, _ = model.posterior(times + 7, mask, (7.0, END + 7))
    other, _ = model.posterior(times, mask, (0.0, END + 1))
    assert (moved - mean).abs().max() < 1e-12
    assert ((other - mean).abs().amax(-1) > 1e-4)[mask.any(-1)].all()


def test_the_encoder_is_torchs_gru_read_backwards():
    encoder = BackwardGRU(5, 5).double()
    theirs = nn.GRU(2, 5, batch_first=True).double()
    with torch.no_grad():
        encoder.out.weight.copy_(torch.eye(5))
        encoder.out.bias.zero_()
        theirs.weight_ih_l0.copy_(encoder.input.weight.mT)
        theirs.weight_hh_l0.copy_(encoder.state.weight.mT)
        theirs.bias_ih_l0.copy_(encoder.input.bias)
        theirs.bias_hh_l0.copy_(encoder.state.bias)
    times = double(1, 3, 4, 8)[None]
    gaps = double(1, 2, 2, 1, 1, 4, 4, 2).reshape(1, 4, 2)  # since, until
    expected = theirs(gaps.flip(1))[1][0]
    assert (encoder(times, torch.ones(1, 4, dtype=torch.bool), (0.0, END)) - expected).abs().max() < 1e-12


def test_kl_is_torchs():
    mean, log_std = torch.randn(2, 4, 3, dtype=torch.float64)
    q = torch.distributions.Normal(mean, log_std.exp())
    p = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    assert (kl_from_normal(mean, log_std) - torch.distributions.kl_divergence(q, p).sum(-1)).abs().max() < 1e-12


# --- gradients --------------------------------------------------------------------------------------------------------


class Jumping(nn.Module):
    """A log rate that jumps by a parameter of its own at t = 4."""

    def __init__(self):
        super().__init__()
        self.inner = Network(3, 8, 1, squeeze=True)
        self.size = nn.Parameter(torch.tensor(0.7))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return self.inner(t, z) + self.size * (t >= 4.0)


def gradients(model: LatentPoisson, times: Tensor, mask: Tensor) -> list[Tensor]:
    params = list(model.parameters())
    return list(torch.autograd.grad(loss(model, times, mask).sum(), params))


def with_jump(gradient: str, **settings) -> LatentPoisson:
    model = latent(gradient=gradient, **settings)
    knots = torch.linspace(0, END, 21)
    process = PoissonODE(
        model.process.growth.field, Jumping(), knots, (4.0,), gradient=gradient, **{"method": "rk4", **settings}
    )
    return LatentPoisson(model.encoder, process).double()


MAKERS = {"smooth": latent, "with a jump": with_jump}


@pytest.mark.parametrize("method", ["dopri5", "rk4"])
@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("name", MAKERS)
def test_three_ways_give_the_gradient_of_the_loss(name, gradient, method):
    """Along a random direction, against central differences of fourth order. The adjoint's error is the solver's, so
    that it is tight only at a tight tolerance; at rk4 with steps of 0.5 it is that of another discretization."""
    settings = {"method": method} if method == "rk4" else {"method": method, **TIGHT}
    model = MAKERS[name](gradient=gradient, **settings)
    times, mask = some_events(5, 6)
    found = gradients(model, times, mask)
    params = list(model.parameters())
    direction = [torch.randn_like(p) for p in params]
    start = [p.detach().clone() for p in params]

    def value(step: float) -> float:
        with torch.no_grad():
            for p, p0, d in zip(params, start, direction, strict=True):
                p.copy_(p0 + step * d)
            return float(loss(model, times, mask).sum())

    h = 1e-3
    difference = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)
    along = float(sum((g * d).sum() for g, d in zip(found, direction, strict=True)))
    loose = gradient == "adjoint" and method == "rk4"
    assert along == pytest.approx(difference, rel=2e-2 if loose else 1e-6)


@pytest.mark.parametrize("name", MAKERS)
def test_backprop_and_checkpoint_agree_in_every_parameter(name):
    times, mask = some_events(5, 6)
    found = {}
    for gradient in GRADIENTS:
        torch.manual_seed(1)
        found[gradient] = gradients(MAKERS[name](gradient=gradient, method="dopri5", **TIGHT), times, mask)
    for a, b, c in zip(*found.values(), strict=True):
        scale = float(a.abs().max())
        assert scale > 1e-6
        assert (a - b).abs().max() < 1e-10 * max(1, scale)
        assert (a - c).abs().max() < 1e-6 * max(1, scale)


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: latent(gradient="magic"), "gradient must be one of"),
        (lambda: Network(3, 0, 1), r"sizes\[1\] must be a positive"),
        (lambda: BackwardGRU(0, 1), "units must be a positive"),
        (lambda: case("decay")[0].path(case("decay")[1]).at(double(11)), "solve for all of them"),
    ],
)
def test_bad_input_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
