"""What § 6.7 and box 6.10 measure: penalties are the integrals they are said to be, rounding is the formats' own."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from nodelib.experiments.growth import Penalty, along, cubic, growth, ring_models, with_penalty
from nodelib.experiments.precision import PRECISIONS, Field, in_precision, to_bits, to_int8
from nodelib.experiments.rings import solver
from nodelib.experiments.stiffness import StiffField, both

F64 = torch.float64
FIGURES = Path(__file__).parents[2] / "figures"
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),  # by torch.func.jvp itself
]


def script(name: str) -> Any:
    spec: Any = importlib.util.spec_from_file_location(f"{name}_script", FIGURES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_derivatives_along_a_solution():
    """z' = -t z: z'' = (t² - 1) z, z''' = (3 t - t³) z."""
    f = lambda t, z: -t * z  # noqa: E731
    t, z = torch.tensor(0.7, dtype=F64), torch.tensor([1.3, -0.2], dtype=F64)
    for order, factor in ((1, -t), (2, t**2 - 1), (3, 3 * t - t**3)):
        assert torch.allclose(along(f, order)(t, z), factor * z, rtol=1e-12)
    with pytest.raises(ValueError, match="order must be 1 or more"):
        along(f, 0)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_penalty_is_the_integral_along_the_path(order):
    models, points = ring_models([0, 1])
    with torch.no_grad():
        z, cost = with_penalty(models, points.x, order, solver("rk4", 20))
    dense = torch.linspace(0, 1, 401, dtype=F64)
    from nodelib.torch_ode import odeint

    with torch.no_grad():
        path = odeint(models.field, models.start(points.x), dense, method="rk4")
    assert torch.allclose(z, path[-1], atol=1e-8)
    for _ in range(order):
        path = torch.gradient(path, spacing=float(dense[1]), dim=0, edge_order=2)[0]
    found = torch.trapezoid(path.square().sum(-1).mean(-1), dense, dim=0)
    assert torch.allclose(cost, found, rtol=2e-2)


def test_models_of_one_run_have_each_its_own_weight():
    """The first is as it is alone without a penalty; a penalty keeps the kinetic energy down."""
    settings = solver("rk4", 2)
    found = growth(*ring_models([3, 3]), Penalty(1, (0.0, 0.3)), 10, 5, settings=settings)
    alone = growth(*ring_models([3]), Penalty(), 10, 5, settings=settings)
    assert found.iterations == [0, 5, 10]
    assert [each[0] for each in found.nfe] == [each[0] for each in alone.nfe]
    assert found.loss[0] == pytest.approx(alone.loss[0], rel=1e-9)
    assert found.loss[1] > found.loss[0]
    models, points = cubic([0])
    assert torch.allclose(points.y, points.x + points.x**3)
    assert growth(models, points, Penalty(1, 0.01), 1, 1, settings=settings).accuracy == []


def test_bits_are_those_of_the_formats():
    x = torch.randn(2000, generator=torch.Generator().manual_seed(0), dtype=torch.float32) * 10
    assert torch.equal(to_bits(x, 7), x.to(torch.bfloat16).float())
    assert torch.equal(to_bits(x.double(), 23), x.double().float().double())
    assert torch.equal(to_bits(x.double(), 10).half().double(), to_bits(x.double(), 10))  # float16 has 10 bits, too
    assert torch.equal(to_bits(torch.zeros(1), 7), torch.zeros(1))
    whole = to_int8(x) / (x.abs().max() / 127)
    assert torch.allclose(whole, whole.round(), atol=1e-4)
    assert float((to_int8(x) - x).abs().max()) <= float(x.abs().max()) / 254 * 1.001


@pytest.mark.parametrize("kind", ["mlp", "convolution"])
def test_bfloat16_is_as_torch_has_it(kind):
    """Emulated, a whole evaluation agrees with torch's own to the sums' rounding, which torch does in float32."""
    field, exact = Field(kind, 1, PRECISIONS["all bfloat16"]), Field(kind, 1)
    t = torch.tensor(0.0)
    emulated, there = field(t, field.start), exact(t, field.start)
    real = field.bfloat16()(t.bfloat16(), field.start.bfloat16()).double()
    assert torch.equal(emulated, emulated.bfloat16().double())
    assert float((emulated - there).abs().max()) > 1e-3
    # torch rounds before it adds b and before it takes tanh, too
    assert float((emulated - real).abs().max()) < 3 * float((emulated - there).abs().max())
    with pytest.raises(ValueError, match="kind must be"):
        Field("rnn")


def test_noise_costs_evaluations_and_rounded_weights_cost_accuracy():
    exact, noisy, other = (in_precision(name, 1e-6) for name in ("double", "TF32 products", "weights in int8"))
    assert noisy.nfe > 2.5 * exact.nfe
    assert abs(other.nfe - exact.nfe) <= 12
    assert exact.error < 1e-5 < noisy.error < other.error
    stuck = in_precision("all bfloat16", 1e-7, limit=50)
    assert stuck.nfe == float("inf")
    assert stuck.error != stuck.error


def test_the_stiff_network_is_stiff_in_one_direction():
    field = StiffField(4, 100.0, seed=2)
    J = torch.autograd.functional.jacobian(lambda z: field(torch.tensor(0.3).double(), z), field.start[0])
    rates = torch.linalg.eigvals(J).real.sort().values  # type: ignore[arg-type]
    assert -110 < float(rates[0]) < -90
    assert float(rates[1:].abs().max()) < 5
    found = both(4, 300.0, seed=2)
    assert found["dopri5"].nfe > 4 * found["implicit"].nfe
    assert max(found["dopri5"].error, found["implicit"].error) < 1e-2
    assert found["dopri5"].jacobians == 0 < found["implicit"].jacobians < found["implicit"].factorizations
    with pytest.raises(ValueError, match="dim must be 1 or more"):
        StiffField(0, 1.0)


def test_smoke_runs_leave_nothing(capsys):
    before = sorted((FIGURES / "records").iterdir())
    numbers = script("precision").main(["--smoke"])
    assert {row["kind"] for row in numbers["rows"]} == {"mlp", "convolution"}
    numbers = script("implicit_cost").main(["--smoke"])
    assert [row["rate"] for row in numbers["rows"]] == [1.0, 30.0]
    assert len(numbers["rows"][0]["implicit"]["nfe"]) == 1
    growing = script("nfe_growth")
    growing.PENALTIES, growing.CUBIC = [], [(4.0, 0.01)]
    numbers = growing.main(["--smoke"])
    assert [(run["order"], run["weight"]) for run in numbers["runs"]] == [(1, 0.0), (1, 0.01), (3, 0.001)]
    assert len(numbers["cubic"]) == 1
    assert sorted((FIGURES / "records").iterdir()) == before
