"""Evaluations and errors against the tolerance, of a small ODE-Net in double precision."""

import pytest
import torch
from torch.nn import functional as F

from nodelib.experiments import nfe
from nodelib.experiments.nfe import backward_rows, batch_rows, exact, forward_rows, gradient, ratio, relative
from nodelib.models.odenet import ODENet
from nodelib.torch_ode import odeint, odeint_adjoint, odeint_checkpoint, solve

TOLERANCES = (1e-2, 1e-5)


@pytest.fixture(scope="module")
def case():
    """A small net without kinks, three images and labels, and the exact gradient."""
    torch.manual_seed(3)
    net = ODENet(channels=4, stem_kind="small").double()
    net.body.field.activation = torch.nn.Softplus()  # type: ignore[union-attr]
    x, y = torch.rand(3, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 4, 7])
    return net, x, y, exact(net, x, y, 1e-8)


def test_the_gradient_is_that_of_the_mean_loss(case):
    net, x, y, truth = case
    z = odeint(net.body.field, net.stem(x).detach(), nfe.SPAN, rtol=1e-8, atol=1e-8)[-1]
    found = torch.autograd.grad(F.cross_entropy(net.head(z), y), tuple(net.body.field.parameters()))
    assert relative(torch.cat([part.reshape(-1) for part in found]), truth.value) < 1e-9
    assert relative(z.detach(), truth.z) < 1e-9
    (g,) = torch.autograd.grad(F.cross_entropy(net.head(end := z.detach().requires_grad_()), y), end)
    assert truth.rms == pytest.approx(float(g.square().mean().sqrt()))


def test_the_scale_of_the_loss_is_taken_out_again(case):
    net, x, y, truth = case
    for settings in nfe.BACKWARD.values():
        got = gradient(net, x, y, odeint_adjoint, "unit", rtol=1e-6, atol=1e-6, **settings)
        assert relative(got.value, truth.value) < 1e-4
    with pytest.raises(ValueError, match="loss must be one of mean, unit, not 'sum'"):
        gradient(net, x, y, odeint_adjoint, "sum")


@pytest.fixture(scope="module")
def rows(case):
    """Of panel c, at both tolerances."""
    net, x, y, truth = case
    return backward_rows(net, x, y, truth, TOLERANCES)


def test_evaluations_are_those_of_the_solver(case, rows):
    net, x, _, truth = case
    start = net.stem(x).detach()
    counts = {}
    for row in forward_rows(net, x, truth, TOLERANCES, repeats=2):
        with torch.no_grad():
            sol = solve(net.body.field, start, nfe.SPAN, rtol=row["tol"], atol=row["tol"], **nfe.FORWARD[row["solver"]])
        assert row["nfe"] == sol.stats.nfe
        assert row["error"] == relative(sol.y[-1], truth.z)
        assert row["seconds"] > 0
        counts[row["solver"], row["tol"]] = row["nfe"]
    for row in rows:
        runge_kutta = row["solver"] != "VODE"
        assert row["nfe_forward"] == counts["dopri5" if runge_kutta else "VODE", row["tol"]]
        if row["solver"] in ("dopri5", "seminorm"):
            assert row["nfe_backward"] % 6 == 2


def test_errors_fall_with_the_tolerance(case, rows):
    net, x, _, truth = case
    for solver in nfe.FORWARD:
        errors = [row["error"] for row in forward_rows(net, x, truth, TOLERANCES, 1) if row["solver"] == solver]
        assert errors[0] > 10 * errors[1]
    for solver, loss in {(row["solver"], row["loss"]) for row in rows}:
        errors = [row["error"] for row in rows if (row["solver"], row["loss"]) == (solver, loss)]
        assert errors[0] > 10 * errors[1], (solver, loss)


@pytest.mark.parametrize("solver", nfe.BACKWARD)
def test_a_small_loss_saves_evaluations_and_costs_accuracy(rows, solver):
    mean, unit = ([row for row in rows if (row["solver"], row["loss"]) == (solver, loss)] for loss in nfe.LOSSES)
    assert len(mean) == len(unit) == len(TOLERANCES)
    for small, large in zip(mean, unit, strict=True):
        assert small["nfe_backward"] < 0.9 * large["nfe_backward"]
        assert small["error"] > large["error"]


def test_checkpoints_do_not_see_the_scale_of_the_loss(case):
    net, x, y, _ = case
    mean, unit = (gradient(net, x, y, odeint_checkpoint, loss, rtol=1e-3, atol=1e-3) for loss in nfe.LOSSES)
    assert relative(mean.value, unit.value) < 1e-12
    assert mean.nfe_backward == unit.nfe_backward


def test_batches_are_averaged(case):
    net, x, y, _ = case
    found = batch_rows(net, x, y, (1, 2), tol=1e-2, reference=1e-3, groups=2)
    (row,) = [r for r in found if (r["solver"], r["loss"], r["batch"]) == ("VODE", "mean", 1)]
    settings = {"method": "scipy:VODE", "rtol": 1e-2, "atol": 1e-2}
    alone = [gradient(net, x[i : i + 1], y[i : i + 1], odeint_adjoint, **settings) for i in range(2)]
    assert row["nfe_backward"] == sum(g.nfe_backward for g in alone) / 2
    assert ratio(row) == sum(g.nfe_backward for g in alone) / sum(g.nfe_forward for g in alone)
    assert [r["batch"] for r in found] == [1] * 4 + [2] * 4


def test_the_numbers_of_figure_3(case):
    net, x, y, _ = case
    numbers = nfe.figure3(net, x[:1], y[:1], (1e-1, 1e-2), (1e-2,), (1,), reference=1e-4, repeats=1)
    assert (numbers["batch"], numbers["state"], numbers["parameters"]) == (1, 4 * 4 * 4, 2 * (5 * 4 * 9 + 4) + 3 * 8)
    assert [len(numbers[key]) for key in ("forward", "backward", "batches")] == [4, 7, 4]
    assert 0 < numbers["reference"]["z_change"] < 1e-2
    assert numbers["reference"]["nfe"] % 6 == 2


def test_the_adjoint_is_compared_with_the_gradient_of_the_computed_loss(case, rows):
    net, x, y, _ = case
    computed = gradient(net, x, y, odeint_checkpoint, rtol=1e-2, atol=1e-2).value
    found = gradient(net, x, y, odeint_adjoint, rtol=1e-2, atol=1e-2, **nfe.BACKWARD["dopri5"]).value
    (row,) = [r for r in rows if (r["solver"], r["loss"], r["tol"]) == ("dopri5", "mean", 1e-2)]
    assert row["from_computed"] == relative(found, computed)
    assert row["cosine"] == pytest.approx(float(found @ computed / found.norm() / computed.norm()))
    assert {r["solver"] for r in rows if "from_computed" in r} == {"dopri5", "seminorm"}


def test_several_results_are_averaged_and_kept():
    def part(nfe_, error, seconds):
        row = {"solver": "dopri5", "tol": 0.1, "nfe": nfe_, "error": error, "seconds": seconds}
        same = {"batch": 4, "state": 8, "parameters": 3, "reference": {"tol": 1e-6, "nfe": 2 * nfe_, "rms": error}}
        return {**same, "forward": [row], "backward": [], "batches": [{"batch": 1, **row}]}

    both = nfe.together([part(14, 0.1, 1.0), part(20, 0.3, 2.0)])
    (row,) = both["forward"]
    assert (row["solver"], row["tol"], row["nfe"], row["error"]) == ("dopri5", 0.1, 17, pytest.approx(0.2))
    assert row["all"] == {"nfe": [14, 20], "error": [0.1, 0.3], "seconds": [1.0, 2.0]}
    assert both["batches"][0]["batch"] == 1
    assert both["reference"]["all"]["nfe"] == [28, 40]
    assert both["parameters"] == 3
