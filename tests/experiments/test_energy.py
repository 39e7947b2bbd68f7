# pyright: reportArgumentType=false
"""Energy along with the density: the density is the same, the energy a quadrature's, and the least is the pairing's."""

from itertools import permutations

import pytest
import torch
from torch import Tensor

from nodelib.experiments.energy import costly_unlikelihood, least_energy, pull_with_energy
from nodelib.experiments.flows import unlikelihood
from nodelib.models.flow_fields import FreeField, GatedField
from nodelib.models.flows import CNF
from nodelib.torch_ode import solve

pytestmark = pytest.mark.usefixtures("one_thread")
FIELDS = {
    "one": lambda: GatedField(8, scale=1.0),
    "many": lambda: GatedField(8, models=3, scale=1.0),
    "free": FreeField,
}


def cnf(name: str, tol: float = 1e-3) -> CNF:
    torch.manual_seed(0)
    return CNF(FIELDS[name](), rtol=tol, atol=tol).double()


def points(model: CNF, n: int = 20) -> Tensor:
    lead = () if model.models is None else (model.models,)
    return torch.randn(*lead, n, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("name", FIELDS)
def test_points_and_densities_are_those_without_energy(name):
    """To round-off, at a loose tolerance: the steps are the same."""
    model = cnf(name)
    x = points(model)
    z, log_p = model.pull(x)
    evaluations, model.field.nfe = model.field.nfe, 0
    also_z, also_log_p, energy = pull_with_energy(model, x)
    assert (also_z - z).abs().max() < 1e-12
    assert (also_log_p - log_p).abs().max() < 1e-12
    assert model.field.nfe == evaluations
    assert energy.shape == log_p.shape


@pytest.mark.parametrize("name", FIELDS)
def test_the_energy_is_a_quadratures(name):
    """Simpson's rule on |f|² along the path, solved without the energy."""
    model = cnf(name, 1e-7)
    x, times = points(model), torch.linspace(1, 0, 41, dtype=torch.float64)
    with torch.no_grad():
        energy = pull_with_energy(model, x)[2]
        path = solve(model.field, (x, torch.zeros_like(x[..., 0])), times, **model.settings).y[0]
        square = torch.stack(
            [model.field(t, (z, z[..., 0]))[0].square().sum(-1) for t, z in zip(times, path, strict=True)]
        )
    simpson = torch.tensor([1.0, *[4.0, 2.0] * 19, 4.0, 1.0], dtype=torch.float64) / 120
    assert (energy - torch.tensordot(simpson, square, 1)).abs().max() < 1e-5
    assert energy.mean() > 0.02


def test_the_weight_prices_the_energy():
    model = cnf("many")
    x = points(model)
    energy = pull_with_energy(model, x)[2].mean(-1)
    assert torch.allclose(costly_unlikelihood(0.0)(model, x), unlikelihood(model, x))
    assert torch.allclose(costly_unlikelihood(0.5)(model, x) - unlikelihood(model, x), 0.5 * energy)


def test_the_gradient_of_the_energy_is_its_own():
    """By a central difference in one weight of each of two models."""
    model = cnf("many", 1e-8)
    x, loss = points(model), costly_unlikelihood(0.7)
    loss(model, x).sum().backward()
    u = model.field.u
    for i in (0, 2):
        values = []
        for shift in (1e-5, -1e-5):
            with torch.no_grad():
                u[i, 3, 1] += shift
                values.append(float(loss(model, x).sum()))
                u[i, 3, 1] -= shift
        assert (values[0] - values[1]) / 2e-5 == pytest.approx(float(u.grad[i, 3, 1]), rel=1e-4)  # type: ignore[index]


def test_the_least_energy_is_that_of_the_best_pairing():
    generator = torch.Generator().manual_seed(0)
    z, x = (torch.randn(5, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    each = [float((x[list(order)] - z).square().sum(1).mean()) for order in permutations(range(5))]
    assert least_energy(z, x) == pytest.approx(min(each))
    assert least_energy(z, z.flip(0) + 3) == pytest.approx(18)  # a shift is the best map to what it leads to


def test_no_flow_takes_less_than_the_least_energy():
    """From its own draws back to the base, whatever its weights are."""
    model = cnf("one", 1e-6)
    z = points(model, 300)
    with torch.no_grad():
        x = model.push(z)[0]
        energy = float(pull_with_energy(model, x)[2].mean())
    assert energy > least_energy(z, x) > 0.1
