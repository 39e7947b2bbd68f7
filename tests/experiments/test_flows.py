# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportUnusedExpression=false, reportOptionalMemberAccess=false
# (torch types the children of a Module as Tensor | Module)
"""Training flows: the fused optimizer is torch's, interrupted runs end as whole ones, losses near their floors."""

import math

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from nodelib.data.toy2d import floor_of, moons, potential
from nodelib.experiments import flows
from nodelib.experiments.flows import Adam, Log, Matching, Settings, train
from nodelib.experiments.fused import FusedRMSprop
from nodelib.models.flow_fields import FreeField, GatedField
from nodelib.models.flows import CNF, PlanarFlow, base_log_prob

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = Settings(40, lr=1e-2, logs=4)
EULER = {"method": "euler", "options": {"step_size": 0.25}}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def planar(models: int = 3, **settings) -> tuple[PlanarFlow, FusedRMSprop]:
    model = PlanarFlow(2, models=models).double()
    return model, FusedRMSprop(model, Matching(), (2, models, 16), **{"chunk": 10, "backend": None} | settings)


def continuous(models: int = 3, **settings) -> tuple[CNF, Adam]:
    model = CNF(GatedField(2, models=models), **EULER).double()
    return model, Adam(model, Matching(), (2, models, 16), **{"chunk": 10, "clip": 0.5} | settings)


MAKERS = {"planar": planar, "continuous": continuous}


# --- the optimizers ---------------------------------------------------------------------------------------------------


def test_the_fused_optimizer_is_torchs():
    model, ours = planar()
    twin = PlanarFlow(2, models=3).double()
    twin.load_state_dict(model.state_dict())
    theirs = torch.optim.RMSprop(twin.parameters(), lr=1e-2, momentum=0.9)
    ours.prepare()
    ours.lr.fill_(1e-2)
    ours.batch.normal_()
    losses = ours.run()
    for batch, loss in zip(ours.batch, losses, strict=True):
        theirs.zero_grad()
        each = Matching()(twin, batch)
        assert (each - loss).abs().max() < 1e-9
        each.sum().backward()
        theirs.step()
    for name, p in twin.state_dict().items():
        assert (p - model.state_dict()[name]).abs().max() < 1e-9, name


def test_compiled_iterations_are_those_of_eager_ones():
    """Traced as one graph, but not made into machine code, which would take half a minute."""
    results = []
    for backend in (None, "eager"):
        torch.manual_seed(0)
        model, optimizer = planar(backend=backend)
        log = train(optimizer, flows.normal, SHORT)
        results.append((torch.cat([p.detach().flatten() for p in model.parameters()]), torch.tensor(log.loss)))
    for eager, fused in zip(*results, strict=True):
        assert (eager - fused).abs().max() < 1e-9


def test_each_models_gradient_is_clipped_alone():
    params = [torch.zeros(2, 3, requires_grad=True), torch.zeros(2, requires_grad=True)]
    params[0].grad, params[1].grad = torch.tensor([[3.0, 0.0, 0.0], [0.1, 0.0, 0.0]]), torch.tensor([4.0, 0.2])
    flows.clip_each(params, 1.0, models=True)
    assert torch.allclose(params[0].grad, torch.tensor([[0.6, 0.0, 0.0], [0.1, 0.0, 0.0]]))
    assert torch.allclose(params[1].grad, torch.tensor([0.8, 0.2]))
    params[0].grad, params[1].grad = torch.full((2, 3), 3.0), torch.full((2,), 3.0)
    flows.clip_each(params, 1.0, models=False)
    assert float(sum(p.grad.square().sum() for p in params)) ** 0.5 == pytest.approx(1)


def test_models_train_side_by_side_as_alone():
    """Three models of Adam with clipping and fixed steps, and the first of them alone."""
    many, optimizer = continuous(clip=0.05)
    one = CNF(GatedField(2, models=1), **EULER).double()
    one.load_state_dict({name: x[1:2] for name, x in many.state_dict().items()})
    alone = Adam(one, Matching(["U2"]), (2, 1, 16), chunk=10, clip=0.05)
    for each in (optimizer, alone):
        each.prepare()
        each.lr.fill_(1e-2)
    batches = torch.randn(10, 2, 3, 16, dtype=torch.float64)
    optimizer.batch.copy_(batches)
    alone.batch.copy_(batches[:, :, 1:2])
    assert (optimizer.run()[:, 1] - alone.run()[:, 0]).abs().max() < 1e-12
    for name, x in one.state_dict().items():
        assert (many.state_dict()[name][1:2] - x).abs().max() < 1e-12, name


# --- runs -------------------------------------------------------------------------------------------------------------


class Interrupted(Exception):
    """As if the machine had been switched off."""


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("call", [1, 3])
def test_an_interrupted_run_ends_bit_for_bit_as_an_uninterrupted_one(name, call, tmp_path):
    state = tmp_path / "states" / "run.safetensors"
    torch.manual_seed(0)
    whole, optimizer = MAKERS[name]()
    log = train(optimizer, flows.normal, SHORT)

    calls = [0]

    def stopping(buffer: Tensor, generator: torch.Generator) -> None:
        if calls[0] == call:
            raise Interrupted
        calls[0] += 1
        flows.normal(buffer, generator)

    torch.manual_seed(0)
    with pytest.raises(Interrupted):
        train(MAKERS[name]()[1], stopping, SHORT, state, every=0)
    torch.manual_seed(1)  # other parameters: those of the state count
    resumed, optimizer = MAKERS[name]()
    again = train(optimizer, flows.normal, SHORT, state)
    assert (again.loss, again.iteration) == (log.loss, log.iteration)
    assert again.seconds == sorted(again.seconds)
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key


def test_a_run_that_leaves_off_goes_on(tmp_path):
    state = tmp_path / "run.safetensors"
    log = train(continuous()[1], flows.normal, SHORT, state, stop=0)
    assert log.iteration == [10]
    assert not flows.finished(log, SHORT)
    log = train(continuous()[1], flows.normal, SHORT, state)
    assert log.iteration == [10, 20, 30, 40]
    assert flows.finished(log, SHORT)
    assert log.nfe == [4, 4, 4, 4]  # Euler's


def test_seconds_end_a_run_and_its_rate():
    _, optimizer = planar()
    log = train(optimizer, flows.normal, Settings(seconds=0.3, logs=5))
    assert 0.3 <= log.seconds[-1] < 3
    assert float(optimizer.lr) < 1e-2
    assert log.iteration[-1] > 10


def test_the_rate_falls_along_a_cosine():
    assert [flows.cosine(share, 0.5) for share in (0, 0.5, 0.75, 1)] == pytest.approx([1, 1, 0.5, 0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(), "settings have neither iterations nor seconds: give one"),
        (Settings(0), "iterations must be positive, not 0"),
        (Settings(5, lr=-1.0), "lr must be positive, not -1.0"),
        (Settings(5, decay=1.0), r"decay must be in \[0, 1\), not 1.0"),
    ],
)
def test_settings_without_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        train(planar()[1], flows.normal, settings)


def test_a_state_of_other_settings_is_refused(tmp_path):
    state = tmp_path / "run.safetensors"
    train(planar()[1], flows.normal, SHORT, state)
    with pytest.raises(ValueError, match=r"was written under Settings\(.*\), not .*: give those, or delete it"):
        train(planar()[1], flows.normal, SHORT._replace(lr=1.0), state)


def test_a_loss_that_is_nan_ends_the_run():
    model, optimizer = planar()
    with torch.no_grad():
        model.b.fill_(math.nan)
    with pytest.raises(ValueError, match=r"the loss is .*nan.* around iteration 10: take a smaller lr than 0\.01"):
        train(optimizer, flows.normal, SHORT)


# --- matching a potential ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
def test_the_matching_loss_is_log_q_plus_u(name):
    model, _ = MAKERS[name](6)
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
