# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportUnusedExpression=false
# (torch types the children of a Module as Tensor | Module)
"""Flows: densities are densities, both ways are one map, traces are traces, and every gradient is the loss's own."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from nodelib.models import flow_fields, flows
from nodelib.models.flow_fields import FreeField, GatedField, TimedField, exact_trace, noise_like
from nodelib.models.flows import CNF, PlanarFlow, base_log_prob
from nodelib.torch_ode import odeint, solve

pytestmark = pytest.mark.usefixtures("one_thread")

FIELDS = {
    "gated": lambda models=None: GatedField(6, models=models, scale=1.0),
    "timed": lambda models=None: TimedField(6, models=models, hidden=8),
}
TIGHT = {"rtol": 1e-6, "atol": 1e-8}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def double(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def lively(module: nn.Module, factor: float = 2.0) -> nn.Module:
    """In double precision and with larger weights, so that the map is far from the identity."""
    with torch.no_grad():
        for p in module.double().parameters():
            p.mul_(factor)
    return module


def field(name: str, models: int | None = None) -> nn.Module:
    if name == "free":
        return lively(FreeField(16))
    return lively(FIELDS[name](models), 1.0 if name == "gated" else 3.0)


def cnf(name: str, **settings) -> CNF:
    return CNF(field(name), **{**TIGHT, **settings})


def planar(towards: str = "data", layers: int = 6) -> PlanarFlow:
    return PlanarFlow(layers, towards=towards, scale=0.6).double()


MODELS = {
    "planar to data": lambda: planar("data"),
    "planar to base": lambda: planar("base"),
    **{name: lambda name=name: cnf(name) for name in ("gated", "timed", "free")},
}


# --- densities --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_the_density_integrates_to_one_on_a_grid(name):
    side = torch.linspace(-9, 9, 181, dtype=torch.float64)
    x = torch.cartesian_prod(side, side)
    with torch.no_grad():
        log_p = MODELS[name]().pull(x)[1]
    assert float(log_p.exp().sum()) * 0.1**2 == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_the_density_integrates_to_one_by_importance_sampling(name):
    """∫ p = E_r[p / r] for draws of r, a wide Gaussian."""
    z, wide = double(20_000, 2), 3.0
    log_r = base_log_prob(z) - 2 * math.log(wide)
    with torch.no_grad():
        ratio = (MODELS[name]().pull(wide * z)[1] - log_r).exp()
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * float(ratio.std()) / len(z) ** 0.5)


@pytest.mark.parametrize("name", MODELS)
def test_there_and_back_is_the_same_point_and_the_same_density(name):
    model, z = MODELS[name](), double(200, 2)
    with torch.no_grad():
        x, log_p = model.push(z)
        back, again = model.pull(x)
    assert (x - z).abs().max() > 0.2  # it goes somewhere
    assert (log_p - base_log_prob(z)).abs().max() > 0.1
    assert (back - z).abs().max() < 1e-5  # at a tolerance of 1e-6
    if isinstance(model, CNF):
        model.settings |= {"rtol": 1e-7, "atol": 1e-9}
        with torch.no_grad():
            x, log_p = model.push(z)
            again = model.pull(x)[1]
    assert (again - log_p).abs().max() < 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_the_density_at_the_image_is_that_of_the_map(name):
    """log p(x) = log N(z) - log |det ∂x/∂z|, the Jacobian by autograd from the differentiable direction."""
    model, z = MODELS[name](), double(20, 2)
    way, sign = (model.pull, 1) if name == "planar to base" else (model.push, -1)
    x, log_p = way(z)
    start = z.requires_grad_()
    image = way(start)[0]
    rows = [torch.autograd.grad(image[:, i].sum(), start, retain_graph=True)[0] for i in range(2)]
    log_det = torch.linalg.slogdet(torch.stack(rows, 1))[1]
    base = x if sign > 0 else z
    assert (log_p - base_log_prob(base) - sign * log_det).abs().max() < 1e-4


@pytest.mark.parametrize("name", ["gated", "timed", "free"])
def test_along_a_path_log_p_falls_at_the_rate_of_the_trace(name):
    """The total derivative of log p along z(t), by central differences of a solve, against -tr ∂f/∂z by autograd."""
    f, z, h = field(name), double(5, 2), 1e-3
    with torch.no_grad():
        times = torch.tensor([0.0, 0.5 - h, 0.5, 0.5 + h], dtype=torch.float64)
        zs, log_ps = odeint(f, (z, base_log_prob(z)), times, rtol=1e-11, atol=1e-12)
    total = (log_ps[3] - log_ps[1]) / (2 * h)
    at = zs[2].requires_grad_()
    slope = f(times[2], (at, log_ps[2]))[0]
    assert (total + exact_trace(slope, at)).abs().max() < 1e-4
    assert total.abs().max() > 0.1


@pytest.mark.parametrize("name", ["gated", "timed", "free"])
def test_the_trace_is_the_limit_of_the_log_determinant_of_a_small_step(name):
    """log det(1 + h ∂f/∂z) / h -> tr ∂f/∂z with an error of order h."""
    f, t, z = field(name), torch.tensor(0.3, dtype=torch.float64), double(2)

    def step(h: float) -> Tensor:
        jacobian = torch.autograd.functional.jacobian(lambda x: x + h * f(t, (x[None], x.new_zeros(1)))[0][0], z)
        return torch.logdet(jacobian) / h  # type: ignore[arg-type]

    trace = -f(t, (z[None], z.new_zeros(1)))[1].detach()
    errors = [float((step(h) - trace).abs()) for h in (0.02, 0.01, 0.005)]
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2, abs=0.2)


# --- traces -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("models", [None, 3])
@pytest.mark.parametrize("name", FIELDS)
def test_closed_traces_are_autograds(name, models):
    f, z = field(name, models), double(*([] if models is None else [models]), 20, 2).requires_grad_()
    t = torch.tensor(0.7, dtype=torch.float64)
    slope, minus_trace = f(t, (z, z[..., 0]))
    assert (exact_trace(slope, z) + minus_trace).abs().max() < 1e-12
    assert minus_trace.abs().max() > 0.01


def diagonals(f: nn.Module, t: Tensor, z: Tensor) -> Tensor:
    """∂f_i/∂z_i of each row of z, from whole Jacobians."""
    rows = [torch.autograd.functional.jacobian(lambda x: f(t, (x[None], x[:1]))[0][0], row) for row in z]
    return torch.stack([row.diagonal() for row in rows])  # type: ignore[union-attr]


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_traces_in_other_dimensions(dim):
    t, z = torch.tensor(0.7, dtype=torch.float64), double(20, dim).requires_grad_()
    for f in (GatedField(6, dim), TimedField(6, dim, hidden=8), FreeField(8, dim)):
        slope, minus_trace = f.double()(t, (z, z[:, 0]))
        assert (diagonals(f, t, z).sum(1) + minus_trace).abs().max() < 1e-12
        assert slope.shape == z.shape


@pytest.mark.parametrize("kind", ["gauss", "rademacher"])
def test_hutchinsons_estimate_is_unbiased_with_the_variance_of_theory(kind):
    """tr A within the standard error; the variance is 2 |S|², S = (A + Aᵀ)/2, for Rademacher without the diagonal."""
    n, t, z = 20_000, torch.tensor(0.2, dtype=torch.float64), double(1, 5)
    f = lively(FreeField(16, 5, trace=kind))
    many = z.expand(n, 5)
    f.draw(many)
    estimates = -f(t, (many, many[:, 0]))[1].detach()
    jacobian = torch.autograd.functional.jacobian(lambda x: f.velocity(t, x[None])[0], z[0])
    symmetric = (jacobian + jacobian.T) / 2  # type: ignore[operator, union-attr]
    variance = 2 * symmetric.square().sum() - (2 * symmetric.diagonal().square().sum() if kind == "rademacher" else 0)
    assert float(estimates.mean()) == pytest.approx(float(jacobian.trace()), abs=4 * float(variance / n) ** 0.5)  # type: ignore[union-attr]
    assert float(estimates.var()) == pytest.approx(float(variance), rel=0.06)


@pytest.mark.parametrize("kind", ["gauss", "rademacher"])
def test_noise_drawn_anew_inside_a_solve_costs_ten_times_the_evaluations(kind):
    f, z = lively(FreeField(16, trace=kind)), double(5, 2)
    redrawn = FreeField(16, trace=kind, redraw=True).double()
    redrawn.load_state_dict(f.state_dict())
    counts = []
    for each in (f, redrawn):
        each.draw(z)
        with torch.no_grad():
            counts.append(solve(each, (z, base_log_prob(z)), [0.0, 1.0], rtol=1e-4, atol=1e-4).stats.nfe)
    assert counts[1] > 10 * counts[0]


def test_noise_is_drawn_once_a_solve_and_from_its_generator():
    model = CNF(FreeField(8, trace="gauss"), rtol=1e-3, atol=1e-3)
    noises = []
    for seed in (0, 0, 1):
        model.field.generator = torch.Generator().manual_seed(seed)
        model.pull(torch.zeros(4, 2))
        noises.append(model.field.noise)
    assert torch.equal(noises[0], noises[1])
    assert not torch.equal(noises[0], noises[2])
    assert set(noise_like(torch.zeros(50), "rademacher").tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("towards", ["data", "base"])
def test_part_of_a_planar_flow_is_its_layers_nearest_to_the_base(towards):
    """All layers are the flow; of two, the one that is left and the one that was cut make it up again."""
    flow, z = planar(towards, 2), double(20, 2)
    assert torch.equal(flow.nearest(2).double().push(z)[0], flow.push(z)[0])
    near = flow.nearest(1)
    first = near.double().push(z)[0]
    rest = PlanarFlow(1, towards=towards).double()
    index = 1 if towards == "data" else 0
    rest.load_state_dict({name: x[index : index + 1] for name, x in flow.state_dict().items()})
    assert (rest.push(first)[0] - flow.push(z)[0]).abs().max() < 1e-9


def test_part_of_a_continuous_flow_ends_before_1():
    model, z = cnf("gated"), double(20, 2)
    x, log_p = model.push(z, 0.3)
    assert (model.pull(x, 0.3)[0] - z).abs().max() < 1e-5
    assert (model.push(z, 1e-6)[1] - base_log_prob(z)).abs().max() < 1e-5
    later = model.solve(x, log_p, (0.3, 1.0))
    for ours, whole in zip(later, model.push(z), strict=True):
        assert (ours - whole).abs().max() < 1e-5


# --- planar layers ----------------------------------------------------------------------------------------------------


def test_planar_layers_are_invertible_whatever_their_weights():
    """w·u far below -1, where z + u tanh(w·z + b) would fold the plane."""
    flow = PlanarFlow(3, scale=2.0).double()
    with torch.no_grad():
        flow.u -= flow.w
    assert (flow.w * flow.u).sum(-1).min() < -3
    y = 3 * double(500, 2)
    z, log_det = flow.inverse(y)
    again, forward = flow.formula(z)
    assert (again - y).abs().max() < 1e-6
    assert torch.isfinite(log_det).all()
    assert (forward + log_det).abs().max() < 1e-5


def test_the_inverse_is_as_good_as_the_dtype():
    """On a layer that moves its points far, so that the interval to be halved is long."""
    flow, y = PlanarFlow(1), 3 * double(500, 2)
    with torch.no_grad():
        flow.w.fill_(5.0), flow.u.fill_(20.0), flow.b.zero_()
    single = flow.inverse(y.float())[0]
    exact = flow.double().inverse(y)[0]
    assert (flow.formula(exact)[0] - y).abs().max() < 2e-12
    assert (single - exact).abs().max() < 5e-6


def test_in_float32_a_layer_at_its_limit_has_a_finite_density():
    flow = PlanarFlow(1)
    with torch.no_grad():
        flow.w.fill_(6.0), flow.u.fill_(-6.0), flow.b.zero_()
    assert torch.isfinite(flow.push(torch.zeros(3, 2))[1]).all()


# --- many models ------------------------------------------------------------------------------------------------------


def alone(model: nn.Module, single: nn.Module, i: int) -> nn.Module:
    """``single`` with the weights of model number i."""
    single.load_state_dict({name: x[i] for name, x in model.state_dict().items()})
    return single


@pytest.mark.parametrize("name", ["planar", "gated", "timed"])
def test_models_side_by_side_are_the_models_alone(name):
    z = double(3, 50, 2)
    if name == "planar":
        many, one = (PlanarFlow(4, models=models, scale=0.8).double() for models in (3, None))
    else:
        settings = {"method": "rk4", "options": {"step_size": 0.25}}
        many, one = (CNF(field(name, models), **settings) for models in (3, None))
    for way in ("push", "pull"):
        xs, log_ps = getattr(many, way)(z)
        for i in range(3):
            x, log_p = getattr(alone(many, one, i), way)(z[i])
            assert (xs[i] - x).abs().max() < 1e-12
            assert (log_ps[i] - log_p).abs().max() < 1e-12


@pytest.mark.parametrize("way", ["push", "pull"])
def test_one_of_many_models_is_taken_out(way):
    z = double(3, 20, 2)
    for many in (PlanarFlow(4, models=3, scale=0.8).double(), CNF(field("gated", 3), **TIGHT)):
        one = flows.one_of(many, 1)
        for all_of_them, alone in zip(getattr(many, way)(z), getattr(one, way)(z[1]), strict=True):
            assert (all_of_them[1] - alone).abs().max() < 1e-5
        with pytest.raises(ValueError, match="i is 3, and there are 3 models side by side: count them from 0"):
            flows.one_of(many, 3)


def test_a_step_is_as_good_for_each_of_many_models_as_for_one_alone():
    """One model is ten times as lively as the others: the error is its own, and not the mean over all."""
    many, one = (CNF(field("gated", models), rtol=1e-8, atol=1e-8) for models in (64, None))
    with torch.no_grad():
        many.field.u[1:] *= 0.01
        z = double(64, 20, 2)
        many.push(z)
        alone(many, one, 0).push(z[0])
    assert many.field.nfe == pytest.approx(one.field.nfe, abs=6)


# --- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gradient", flows.GRADIENTS)
@pytest.mark.parametrize("name", ["gated", "timed", "free"])
def test_gradients_of_the_likelihood_are_central_differences(name, gradient):
    model, x = cnf(name, gradient=gradient, rtol=1e-8, atol=1e-9), double(8, 2)
    params = list(model.parameters())

    def loss() -> Tensor:
        return -model.pull(x)[1].sum()

    gradients = torch.autograd.grad(loss(), params)
    directions, h = [torch.randn_like(p) for p in params], 1e-5

    def moved(by: float) -> float:
        with torch.no_grad():
            for p, d in zip(params, directions, strict=True):
                p.add_(by * d)
            value = float(loss())
            for p, d in zip(params, directions, strict=True):
                p.sub_(by * d)
        return value

    difference = (moved(h) - moved(-h)) / (2 * h)
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    assert slope == pytest.approx(difference, rel=1e-5)


@pytest.mark.parametrize("towards", ["data", "base"])
def test_gradients_of_planar_flows_are_central_differences(towards):
    flow, z, h = planar(towards), double(8, 2), 1e-6
    way = flow.push if towards == "data" else flow.pull

    def loss(w: Tensor) -> Tensor:
        return torch.func.functional_call(Wrapped(flow, way.__name__), {"flow.w": w}, z)

    (g,) = torch.autograd.grad(loss(flow.w), flow.w)
    direction = torch.randn_like(flow.w)
    with torch.no_grad():
        difference = (loss(flow.w + h * direction) - loss(flow.w - h * direction)) / (2 * h)
    assert float((g * direction).sum()) == pytest.approx(float(difference), rel=1e-6)


class Wrapped(nn.Module):
    def __init__(self, flow: PlanarFlow, way: str):
        super().__init__()
        self.flow, self.way = flow, way

    def forward(self, z: Tensor) -> Tensor:
        x, log_p = getattr(self.flow, self.way)(z)
        return log_p.sum() + x.sin().sum()


# --- sizes and bad input ----------------------------------------------------------------------------------------------


def test_the_authors_network_has_their_number_of_parameters():
    """cnf.py: 64 units whose weights come from a network of width 32."""
    assert sum(p.numel() for p in TimedField(64).parameters()) == 15_904


def test_the_authors_network_is_theirs():
    """cnf.py in plain loops: w, u, gate and b of each unit from one vector of the network, and the mean over units."""
    f, t, z = TimedField(3, hidden=4).double(), torch.tensor(0.4, dtype=torch.float64), double(5, 2)
    h = t.reshape(1, 1)
    for layer in (f.first, f.second):
        h = torch.tanh(h @ layer.weight + layer.bias)
    flat = (h @ f.third.weight + f.third.bias)[0]
    w, u, gate = flat[:18].reshape(3, 3, 2)
    expected = sum(torch.tanh(z @ w[i] + flat[18 + i])[:, None] * u[i] * torch.sigmoid(gate[i]) for i in range(3)) / 3
    assert (f(t, (z, z[:, 0]))[0] - expected).abs().max() < 1e-12


def test_gates_are_between_0_and_1_and_move():
    f = lively(GatedField(6, models=3), 5.0)
    gates = torch.stack([f.gate(torch.tensor(t, dtype=torch.float64)) for t in (0.0, 1.0)])
    assert gates.shape == (2, 3, 6)
    assert ((gates > 0) & (gates < 1)).all()
    assert (gates[0] - gates[1]).abs().max() > 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PlanarFlow(0), "layers must be a positive whole number, not 0"),
        (lambda: PlanarFlow(2, models=0), "models must be a positive whole number, not 0"),
        (lambda: PlanarFlow(2, towards="left"), 'towards must be "data" or "base", not \'left\''),
        (lambda: GatedField(2.5), "units must be a positive whole number, not 2.5"),
        (lambda: TimedField(2, hidden=0), "hidden must be a positive whole number, not 0"),
        (lambda: FreeField(trace="exakt"), 'trace must be "exact", "gauss" or "rademacher", not \'exakt\''),
        (lambda: noise_like(torch.zeros(2), "normal"), "kind must be one of gauss, rademacher, not 'normal'"),
        (lambda: CNF(GatedField(2), "magic"), "gradient must be one of adjoint, backprop, checkpoint, not 'magic'"),
        (
            lambda: CNF(GatedField(2)).push(torch.zeros(2)),
            r"z must have shape \(batch, 2\), got \(2,\): repeat or reshape",
        ),
        (lambda: PlanarFlow(2, models=3).pull(torch.zeros(5, 2)), r"x must have shape \(3, batch, 2\), got \(5, 2\)"),
        (
            lambda: FreeField(trace="gauss")(torch.tensor(0.0), (torch.zeros(5, 2), torch.zeros(5))),
            r"the noise is not for states of shape \(5, 2\): call field.draw\(z\) before each solve",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_plain_sum_of_units_says_what_it_lacks():
    with pytest.raises(NotImplementedError):
        flow_fields.PlanarField(2, 2, None).weights(torch.tensor(0.0))
