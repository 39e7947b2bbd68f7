# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportUnusedExpression=false, reportOptionalMemberAccess=false
# (torch types the children of a Module as Tensor | Module)
"""What flows are trained on: losses are what they are said to be, batches too, and training nears the floors."""

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from nodelib.data.toy2d import floor_of, moons, potential
from nodelib.experiments import flows
from nodelib.experiments.flows import Matching
from nodelib.experiments.fused import FusedRMSprop
from nodelib.experiments.optimize import Adam, Log, Settings, train
from nodelib.models.flow_fields import FreeField, GatedField
from nodelib.models.flows import CNF, PlanarFlow, base_log_prob

pytestmark = pytest.mark.usefixtures("one_thread")

EULER = {"method": "euler", "options": {"step_size": 0.25}}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


# --- matching a potential ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["planar", "continuous"])
def test_the_matching_loss_is_log_q_plus_u(name):
    model = PlanarFlow(2, models=6) if name == "planar" else CNF(GatedField(2, models=6), **EULER)
    model.double()
    z = torch.randn(2, 6, 16, dtype=torch.float64)
    x, log_q = model.push(z.movedim(0, -1))
    u = torch.stack([potential(f"U{1 + i // 2}", x[i]) for i in range(6)])
    assert (Matching()(model, z) - (log_q + u).mean(-1)).abs().max() < 1e-12


def test_training_brings_the_loss_towards_the_floor_and_not_below():
    """One band, U2, with 4 layers, in float32 as in the figure."""
    model = PlanarFlow(4, models=1)
    optimizer = FusedRMSprop(model, Matching(["U2"]), (2, 1, 64), backend=None)
    before = flows.matching_losses(model, Matching(["U2"]), 10_000)[0][0] - floor_of("U2", 0.02)
    train(optimizer, flows.normal, Settings(200, lr=1e-2))
    (loss,), (error,) = flows.matching_losses(model, Matching(["U2"]), 10_000)
    assert before > 1
    assert -4 * error < loss - floor_of("U2", 0.02) < 0.6


# --- likelihood -------------------------------------------------------------------------------------------------------


def test_batches_are_rows_of_the_data():
    data, buffer = torch.arange(10.0).reshape(5, 2), torch.zeros(3, 4, 2)
    flows.chosen_from(data)(buffer, torch.Generator().manual_seed(0))
    assert (buffer.reshape(-1, 1, 2) == data).all(-1).any(1).all()
    assert len(buffer.reshape(-1, 2).unique(dim=0)) > 2


def test_held_out_nats_are_the_mean_of_minus_log_p():
    x = moons().sample(70, torch.Generator().manual_seed(0), torch.float64)
    for models in (None, 3):
        model = PlanarFlow(2, models=models, towards="base", scale=0.5).double()
        expected = flows.unlikelihood(model, x if models is None else x.expand(3, -1, -1)).reshape(-1)
        assert torch.allclose(torch.tensor(flows.held_out(model, x, batch=30), dtype=torch.float64), expected.detach())


def test_likelihood_training_brings_nats_towards_the_entropy():
    shape = moons()
    train_x, test_x = (shape.sample(2000, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    model = CNF(GatedField(16), rtol=1e-3, atol=1e-3)
    before = flows.held_out(model, test_x)[0]
    log = train(Adam(model, flows.unlikelihood, (128, 2)), flows.chosen_from(train_x), Settings(100, lr=3e-2))
    after = flows.held_out(model, test_x)[0]
    assert before > shape.entropy + 1
    assert shape.entropy < after < shape.entropy + 0.6
    assert isinstance(log, Log)
    assert min(log.nfe) >= 14


# --- flow matching ----------------------------------------------------------------------------------------------------


def rows(optimal: int, n: int = 64) -> Tensor:
    buffer = torch.zeros(2, n, 5)
    flows.pairs_of(moons().sample(500, torch.Generator().manual_seed(0)), optimal)(
        buffer, torch.Generator().manual_seed(1)
    )
    return buffer


def test_optimal_pairs_are_the_same_ends_nearer_together():
    plain, paired = rows(0), rows(16)
    assert torch.equal(plain[..., :2], paired[..., :2])
    assert torch.equal(plain[..., 4], paired[..., 4])
    for before, after in zip(plain.reshape(-1, 16, 5), paired.reshape(-1, 16, 5), strict=True):
        cost = torch.cdist(before[:, :2], before[:, 2:4]).square()
        best = cost[linear_sum_assignment(cost.numpy())].sum()
        assert (after[:, :2] - after[:, 2:4]).square().sum() == pytest.approx(float(best), rel=1e-5)
        assert float(best) < float(cost.diagonal().sum())
        assert torch.equal(before[:, 2:4].sort(0)[0], after[:, 2:4].sort(0)[0])


def test_optimal_pairs_come_in_chunks_that_divide_the_batch():
    with pytest.raises(ValueError, match="optimal is 7: give a divisor of the batch, 64"):
        rows(7)


def test_the_matching_loss_is_least_at_the_mean_velocity():
    """For pairs of a Gaussian with a shifted copy of itself, x1 = z0 + c, the field c has no loss, and 0 has |c|²."""
    model, c = CNF(FreeField(4)), torch.tensor([1.0, 2.0])
    z = torch.randn(50, 2)
    batch = torch.cat([z, z + c, torch.rand(50, 1)], 1)
    with torch.no_grad():
        last = model.field.net[-1]
        last.weight.zero_(), last.bias.copy_(c)
        assert flows.flow_matching(model, batch) < 1e-10
        last.bias.zero_()
        assert flows.flow_matching(model, batch) == pytest.approx(5, rel=1e-5)


def test_flow_matching_learns_a_likelihood_without_a_solver():
    shape = moons()
    train_x, test_x = (shape.sample(2000, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    model = CNF(FreeField(32), rtol=1e-3, atol=1e-3)
    before = flows.held_out(model, test_x)[0]
    optimizer = Adam(model, flows.flow_matching, (128, 5))
    log = train(optimizer, flows.pairs_of(train_x), Settings(400, lr=1e-2))
    assert log.nfe == [0.0] * len(log.nfe)
    assert flows.held_out(model, test_x)[0] < before - 0.5


def test_the_base_is_a_standard_normal():
    z = torch.tensor([[0.3, -1.2], [0.0, 0.0]], dtype=torch.float64)
    normal = torch.distributions.Normal(torch.zeros(2, dtype=torch.float64), 1.0)
    assert torch.allclose(base_log_prob(z), normal.log_prob(z).sum(1))
