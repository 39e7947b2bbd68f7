# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportUnusedExpression=false, reportOptionalMemberAccess=false
# (torch types the children of a Module as Tensor | Module)
"""Minimising a loss: the fused optimizer is torch's, interrupted runs end as whole ones, each model clipped alone."""

import math

import pytest
import torch
from torch import Tensor

from nodelib.experiments import optimize
from nodelib.experiments.flows import Matching, normal
from nodelib.experiments.fused import FusedRMSprop
from nodelib.experiments.optimize import Adam, Settings, train
from nodelib.models.flow_fields import GatedField
from nodelib.models.flows import CNF, PlanarFlow

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
        log = train(optimizer, normal, SHORT)
        results.append((torch.cat([p.detach().flatten() for p in model.parameters()]), torch.tensor(log.loss)))
    for eager, fused in zip(*results, strict=True):
        assert (eager - fused).abs().max() < 1e-9


def test_each_models_gradient_is_clipped_alone():
    params = [torch.zeros(2, 3, requires_grad=True), torch.zeros(2, requires_grad=True)]
    params[0].grad, params[1].grad = torch.tensor([[3.0, 0.0, 0.0], [0.1, 0.0, 0.0]]), torch.tensor([4.0, 0.2])
    optimize.clip_each(params, 1.0, models=True)
    assert torch.allclose(params[0].grad, torch.tensor([[0.6, 0.0, 0.0], [0.1, 0.0, 0.0]]))
    assert torch.allclose(params[1].grad, torch.tensor([0.8, 0.2]))
    params[0].grad, params[1].grad = torch.full((2, 3), 3.0), torch.full((2,), 3.0)
    optimize.clip_each(params, 1.0, models=False)
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
    log = train(optimizer, normal, SHORT)

    calls = [0]

    def stopping(buffer: Tensor, generator: torch.Generator) -> None:
        if calls[0] == call:
            raise Interrupted
        calls[0] += 1
        normal(buffer, generator)

    torch.manual_seed(0)
    with pytest.raises(Interrupted):
        train(MAKERS[name]()[1], stopping, SHORT, state, every=0)
    torch.manual_seed(1)  # other parameters: those of the state count
    resumed, optimizer = MAKERS[name]()
    again = train(optimizer, normal, SHORT, state)
    assert (again.loss, again.iteration) == (log.loss, log.iteration)
    assert again.seconds == sorted(again.seconds)
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key


def test_a_run_that_leaves_off_goes_on(tmp_path):
    state = tmp_path / "run.safetensors"
    log = train(continuous()[1], normal, SHORT, state, stop=0)
    assert log.iteration == [10]
    assert not optimize.finished(log, SHORT)
    log = train(continuous()[1], normal, SHORT, state)
    assert log.iteration == [10, 20, 30, 40]
    assert optimize.finished(log, SHORT)
    assert log.nfe == [4, 4, 4, 4]  # Euler's


def test_seconds_end_a_run_and_its_rate():
    _, optimizer = planar()
    log = train(optimizer, normal, Settings(seconds=0.3, logs=5))
    assert 0.3 <= log.seconds[-1] < 3
    assert float(optimizer.lr) < 1e-2
    assert log.iteration[-1] > 10


def test_the_rate_falls_along_a_cosine():
    assert [optimize.cosine(share, 0.5) for share in (0, 0.5, 0.75, 1)] == pytest.approx([1, 1, 0.5, 0])


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
        train(planar()[1], normal, settings)


def test_a_state_of_other_settings_is_refused(tmp_path):
    state = tmp_path / "run.safetensors"
    train(planar()[1], normal, SHORT, state)
    with pytest.raises(ValueError, match=r"was written under Settings\(.*\), not .*: give those, or delete it"):
        train(planar()[1], normal, SHORT._replace(lr=1.0), state)


def test_a_loss_that_is_nan_ends_the_run():
    model, optimizer = planar()
    with torch.no_grad():
        model.b.fill_(math.nan)
    with pytest.raises(ValueError, match=r"the loss is .*nan.* around iteration 10: take a smaller lr than 0\.01"):
        train(optimizer, normal, SHORT)
