"""States at irregular times, three ways: against a closed form, with their orders, gradients and jumps."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from nodelib.models.irregular import by_hermite, by_rescaling, by_union, hermite
from nodelib.torch_ode import odeint, odeint_adjoint, odeint_checkpoint

WAYS = {"union": by_union, "hermite": by_hermite, "rescaling": by_rescaling}
A = torch.tensor([[-0.5, 2 * math.pi], [-2 * math.pi, -0.5]], dtype=torch.float64)  # a focus: one turn in a window


def focus(t: Tensor, z: Tensor) -> Tensor:
    return z @ A


def exact(z0: Tensor, t: Tensor) -> Tensor:
    """The focus at times (…, times): z0 turned and shrunk."""
    turn, shrink = 2 * math.pi * t[..., None], torch.exp(-0.5 * t[..., None])
    x, y = z0[..., None, :1], z0[..., None, 1:]
    return shrink * torch.cat([x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos()], -1)


@pytest.fixture
def problem() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    z0 = torch.randn(7, 2, generator=generator, dtype=torch.float64)
    return z0, torch.rand(7, 11, generator=generator, dtype=torch.float64).sort(-1).values


@pytest.mark.parametrize(("name", "settings", "tol"), [
    ("union", {"rtol": 1e-9, "atol": 1e-9}, 1e-7),
    ("hermite", {"knots": 101}, 1e-6),
    ("rescaling", {"method": "dopri5", "rtol": 1e-9, "atol": 1e-9}, 1e-7),
])  # fmt: skip
def test_all_ways_are_the_closed_form(problem, name, settings, tol):
    z0, t = problem
    assert (WAYS[name](focus, z0, t, **settings) - exact(z0, t)).abs().max() < tol


def test_hermite_is_of_fourth_order(problem):
    z0, t = problem
    t = torch.cat([t[:, :-1], torch.ones(len(t), 1)], -1)  # the knots end at the last time of all
    off = [float((by_hermite(focus, z0, t, knots=n + 1) - exact(z0, t)).abs().max()) for n in (20, 40, 80)]
    assert [math.log2(a / b) for a, b in pairwise(off)] == pytest.approx([4, 4], abs=0.35)


def test_one_rk4_step_an_interval_is_of_fourth_order_in_the_gap():
    z0 = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    off = []
    for n in (20, 40, 80):
        t = torch.arange(1, n + 1, dtype=torch.float64)[None] / n
        off.append(float((by_rescaling(focus, z0, t) - exact(z0, t)).abs().max()))
    assert [math.log2(a / b) for a, b in pairwise(off)] == pytest.approx([4, 4], abs=0.35)


def test_many_models_side_by_side_and_times_that_repeat(problem):
    z0, t = problem
    both = torch.stack([z0, 2 * z0]), torch.stack([t, t])
    both[1][..., 1] = both[1][..., 0]
    for way in WAYS.values():
        found = way(focus, *both)
        assert found.shape == (2, 7, 11, 2)
        torch.testing.assert_close(found[1], 2 * found[0], rtol=2e-3, atol=2e-3)
        torch.testing.assert_close(found[..., 0, :], found[..., 1, :])


def test_times_at_the_start_are_the_start(problem):
    z0, t = problem
    for way in WAYS.values():
        torch.testing.assert_close(way(focus, z0, torch.full_like(t, 0.25), 0.25), z0[:, None].expand(-1, 11, -1))


@pytest.mark.parametrize("solver", [odeint, odeint_checkpoint, odeint_adjoint])
@pytest.mark.parametrize("name", WAYS)
def test_gradients_are_those_of_central_differences(problem, name, solver):
    z0, t = problem
    field = torch.nn.Linear(2, 2, bias=False).double()
    field.weight.data.copy_(A.T)
    settings = {"rtol": 1e-9, "atol": 1e-9} | ({"method": "dopri5"} if name != "hermite" else {})
    t = t[:, :4] if name == "rescaling" else t

    def f(t: Tensor, z: Tensor) -> Tensor:
        return torch.tanh(field(z))

    extra = {} if solver is odeint else {"adjoint_params": tuple(field.parameters())}

    def loss() -> Tensor:
        return WAYS[name](f, z0, t, solver=solver, **settings, **extra).square().sum()

    (found,) = torch.autograd.grad(loss(), field.weight)
    step = 1e-5
    with torch.no_grad():
        field.weight[0, 1] += step
        up = loss()
        field.weight[0, 1] -= 2 * step
        down = loss()
    assert float(found[0, 1]) == pytest.approx(float(up - down) / (2 * step), rel=1e-5)


def test_jumps_come_between_intervals():
    z0, t = torch.ones(2, 1, dtype=torch.float64), torch.tensor([[0.5, 1.0], [1.0, 3.0]], dtype=torch.float64)
    found = by_rescaling(lambda t, z: -z, z0, t, jump=lambda i, z: z + 1, method="dopri5", rtol=1e-9, atol=1e-9)
    first = torch.exp(-t[:, :1])
    second = (first + 1) * torch.exp(-(t[:, 1:] - t[:, :1]))
    torch.testing.assert_close(found[..., 0], torch.cat([first, second], -1), rtol=1e-7, atol=1e-8)


def test_rescaled_time_is_the_fields_own():
    """z′ = t from 1 on: (t² - 1)/2."""
    t = torch.tensor([[2.0, 3.0]], dtype=torch.float64)
    found = by_rescaling(lambda t, z: t.expand_as(z), torch.zeros(1, 1, dtype=torch.float64), t, 1.0)
    torch.testing.assert_close(found[..., 0], (t * t - 1) / 2)


def test_slopes_may_jump_at_a_knot():
    """z = |t - 1|: exact with two slopes at the middle knot."""
    knots, y = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 0.0, 1.0])[:, None, None]
    after, before = (torch.tensor(x)[:, None, None] for x in ([-1.0, 1.0, 1.0], [-1.0, -1.0, 1.0]))
    t = torch.tensor([[0.3, 0.9, 1.0, 1.7]])
    torch.testing.assert_close(hermite(knots, y, after, before, t)[..., 0], (t - 1).abs())


@pytest.mark.parametrize(("change", "words"), [
    (lambda z, t: (z, t.flip(-1)), "sort it"),
    (lambda z, t: (z, t - 1), "begin earlier"),
    (lambda z, t: (z, t[:3]), "a row for each row of z0"),
    (lambda z, t: (z, t[:, :0]), "no times"),
])  # fmt: skip
def test_what_does_not_belong_together_is_said(problem, change, words):
    for way in WAYS.values():
        with pytest.raises(ValueError, match=words):
            way(focus, *change(*problem))


def test_one_knot_is_too_few(problem):
    with pytest.raises(ValueError, match="two at least"):
        by_hermite(focus, *problem, knots=1)
