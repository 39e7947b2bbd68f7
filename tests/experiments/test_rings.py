"""Small neural ODEs, several at once: each is what it would be alone, and what is trained, counted and added is so."""

import pytest
import torch

from nodelib.experiments.rings import (
    COUNTED,
    DATA,
    EXACT,
    Points,
    accuracy,
    annuli,
    circles,
    evaluations,
    final,
    losses,
    reflection,
    solver,
    train,
    with_energy,
)
from nodelib.models.rings import NeuralODEs, alone
from nodelib.torch_ode import odeint

EULER = solver("euler", 2, end=2.0)
SPAN = torch.tensor([0.0, 2.0]).double()


def test_points_are_where_they_are_said_to_be():
    for data, low, high in ((annuli, 0.5, 1.0), (circles, 0.7, 0.8)):
        x, y = data(range(4), 400)
        radius = x.norm(dim=-1)
        assert x.shape == (4, 400, 2)
        assert (radius[y == 1] < low).all()
        assert (radius[y == -1] > high).all()
        assert radius.max() < 1.5
        assert ((y == 1).double().mean(1) - 0.5).abs().max() < 0.06
        assert torch.equal(data([2], 400).x[0], x[2])
        assert not torch.equal(x[0], x[1])
    area = annuli([0], 20_000).x[0].norm(dim=-1)
    assert float((area[::2] < 0.25).double().mean()) == pytest.approx(0.25, abs=0.02)  # uniform in area
    assert float((area[1::2] < 1.25).double().mean()) == pytest.approx(0.5625 / 1.25, abs=0.02)
    assert torch.equal(reflection([3]).y, -reflection([3]).x)


@pytest.mark.parametrize("more", [{}, {"augment": 1}, {"time": True, "control": True}])
@pytest.mark.parametrize("data", DATA)
def test_a_model_is_what_it_would_be_alone(data, more):
    points = DATA[data](range(3))
    more = more | {"dim": points.x.shape[-1], "classify": data != "x → −x"}
    together, by_itself = NeuralODEs(range(3), **more), NeuralODEs([2], **more)
    own = Points(points.x[2:], points.y[2:])
    logs = train(together, points, EULER, 2.0, 5), train(by_itself, own, EULER, 2.0, 5)
    assert torch.allclose(logs[0][:, 2:], logs[1], rtol=1e-12)
    assert torch.allclose(losses(alone(together, 2), own, EULER, 2.0), losses(by_itself, own, EULER, 2.0), rtol=1e-12)
    assert torch.allclose(losses(together, points, EXACT)[2:], losses(by_itself, own, EXACT), rtol=1e-6)
    assert evaluations(together, points)[2:] == evaluations(by_itself, own)
    with pytest.raises(ValueError, match="count them from 0"):
        alone(together, 3)


def test_the_solver_takes_the_steps_that_are_asked():
    models, x = NeuralODEs([0]), annuli([0]).x
    for method, steps, stages in (("euler", 3, 1), ("midpoint", 7, 2), ("rk4", 49, 4)):
        models.field.nfe = 0
        final(models, x, solver(method, steps, end=2.0), 2.0)
        assert models.field.nfe == stages * steps
    assert solver("dopri5", tol=1e-6) == COUNTED
    for wrong in ({}, {"steps": 2, "tol": 1e-3}):
        with pytest.raises(ValueError, match="one of them"):
            solver("euler", **wrong)


def test_inputs_are_seen():
    x = annuli([0]).x
    state = torch.nn.functional.pad(x, (0, 1))
    plain, timed, control = (NeuralODEs([0], augment=1, **kw) for kw in ({}, {"time": True}, {"control": True}))
    t0, t1 = SPAN
    for models in (plain, timed, control):
        assert torch.equal(models.start(x), state)
    assert torch.equal(plain.field(t0, state), plain.field(t1, state))
    assert not torch.equal(timed.field(t0, state), timed.field(t1, state))
    before = control.field(t0, state)
    control.start(x + 1)
    assert not torch.equal(before, control.field(t0, state))
    with pytest.raises(ValueError, match="before each solve"):
        control.field(t0, state[:, :3])


def test_loss_and_accuracy_are_those_of_the_logits():
    models, points = NeuralODEs(range(2)), annuli(range(2))
    z = final(models, points.x, EULER, 2.0)
    assert models.head is not None
    logit = torch.einsum("mbd,md->mb", z, models.head[..., 0])
    loss = -torch.nn.functional.logsigmoid(points.y * logit).mean(1)
    assert torch.allclose(losses(models, points, EULER, 2.0), loss)
    assert accuracy(models, points, EULER, 2.0).tolist() == ((logit > 0) == (points.y > 0)).double().mean(1).tolist()


def test_kinetic_energy_is_that_of_the_way_and_is_weighed():
    models, points = NeuralODEs(range(3)), annuli(range(3))
    z, energy = with_energy(models, points.x, solver("rk4", 64))
    times = torch.linspace(0, 1, 65).double()
    path = odeint(models.field, models.start(points.x), times, method="rk4")
    speed = torch.stack([models.field(t, y) for t, y in zip(times, path, strict=True)]).square().sum(-1).mean(-1)
    assert torch.allclose(energy, torch.trapezoid(speed, times, dim=0), rtol=1e-4)
    assert torch.allclose(z, path[-1])
    slow, fast = NeuralODEs(range(3), augment=1), NeuralODEs(range(3), augment=1)
    train(slow, points, solver("rk4", 4), iterations=40, kinetic=0.1)
    train(fast, points, solver("rk4", 4), iterations=40)
    energies = [with_energy(each, points.x, solver("rk4", 16))[1] for each in (slow, fast)]
    assert (energies[0] < energies[1] / 2).all()
