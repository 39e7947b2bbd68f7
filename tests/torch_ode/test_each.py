# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportIndexIssue=false, reportOptionalSubscript=false
"""A batch with steps of each sample's own is as its samples are alone; one of them may fail."""

import pytest
import torch
from torch import Tensor, nn

from nodelib.common.solution import MaxStepsReached, NonFiniteState, StepSizeUnderflow
from nodelib.torch_ode import odeint, odeint_adjoint, odeint_checkpoint, odeint_event, solve
from nodelib.torch_ode.each import DONE, NOT_FINITE, TOO_MANY, UNDERFLOW

pytestmark = pytest.mark.usefixtures("one_thread")

EACH = {"per_sample": True}
TOL = {"rtol": 1e-5, "atol": 1e-5}
RATE = torch.logspace(0, 1.5, 9, dtype=torch.float64)
TIMES = torch.tensor([0.0, 0.3, 0.31, 1.7, 2.0], dtype=torch.float64)


def field(rate: Tensor):
    """y' = -rate (y - cos(3t + k)), for entries k of a row."""

    def f(t: Tensor, y: Tensor) -> Tensor:
        return -rate * (y - torch.cos(3 * t + torch.arange(y.shape[-1], dtype=y.dtype)))

    return f


def starts() -> Tensor:
    return torch.randn(len(RATE), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", ["heun_euler", "bosh3", "dopri5", "tsit5", "dopri8"])
@pytest.mark.parametrize("way", [1, -1])
def test_each_sample_is_as_it_is_alone(method, way):
    """The same steps, one by one, to a thousandth of the tolerance, and the same count of evaluations."""
    y0, t = starts(), way * TIMES
    sol = solve(field(way * RATE[:, None]), y0, t, method=method, **TOL, options=EACH)
    assert sol.y.shape == (5, 9, 3)
    for i in range(len(RATE)):
        alone = solve(field(way * RATE[i]), y0[i], t, method=method, **TOL)
        assert (sol.y[:, i] - alone.y).abs().max() < 1e-8
        assert [int(part[i]) for part in sol.stats] == list(alone.stats)
        for mine, its in zip(sol.steps_of(i), alone.steps, strict=True):
            assert mine[:2] == pytest.approx(its[:2], rel=1e-5)
            assert mine.accepted == its.accepted
    assert sol.status.tolist() == [DONE] * 9
    assert sol.calls < sum(sol.stats.nfe)


def test_a_stiff_sample_neither_costs_the_others_nor_hides_among_them():
    rate = torch.ones(400, 1, dtype=torch.float64)
    rate[7] = 300
    y0 = torch.full((400, 1), 2.0, dtype=torch.float64)
    t = torch.tensor([0.0, 0.05], dtype=torch.float64)
    joint, each = (solve(field(rate), y0, t, rtol=1e-4, atol=1e-4, options=options) for options in ({}, EACH))
    exact = odeint(field(rate), y0, t, rtol=1e-10, atol=1e-10)
    off = [float((sol.y - exact).abs()[-1, 7]) for sol in (joint, each)]
    assert off[0] > 3 * off[1]
    assert each.stats.nfe[7] > 3 * each.stats.nfe[8]
    assert each.stats.nfe[8] < joint.stats.nfe


def test_first_step_and_float32_and_more_axes():
    y0 = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(1))
    seen = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        seen.append((t.shape, t.dtype, y.shape))
        return torch.sin(t) - y

    sol = solve(f, y0, [0.0, 1.0], options={**EACH, "first_step": 0.1})
    assert set(seen) == {((4, 1, 1), torch.float32, (4, 2, 3))}
    alone = solve(f, y0[:1], [0.0, 1.0], options={"first_step": 0.1})
    assert int(sol.stats.nfe[0]) == alone.stats.nfe
    assert torch.allclose(sol.y[:, :1], alone.y, atol=1e-6)
    assert (sol.y.dtype, sol.calls) == (torch.float32, len(seen) - alone.stats.nfe)


def test_the_gradient_is_the_sum_of_those_of_the_samples():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    y0 = torch.randn(5, 2, dtype=torch.float64).requires_grad_()
    weights = torch.randn(3, 5, 2, dtype=torch.float64)
    t = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
    inputs = [y0, *net.parameters()]
    found = torch.autograd.grad((weights * odeint(lambda t, y: net(3 * y), y0, t, options=EACH)).sum(), inputs)
    alone = sum((weights[:, i] * odeint(lambda t, y: net(3 * y), y0[i], t)).sum() for i in range(5))
    for mine, its in zip(found, torch.autograd.grad(alone, inputs), strict=True):
        assert torch.allclose(mine, its, rtol=1e-10, atol=1e-12)


def test_one_time_is_the_start():
    sol = solve(field(RATE[:, None]), starts(), [1.0], options=EACH)
    assert torch.equal(sol.y[0], starts())
    assert sol.stats.nfe.tolist() == [0] * 9


# --- samples that fail ------------------------------------------------------------------------------------------------


def blows(t: Tensor, y: Tensor) -> Tensor:
    return y**2


def bad_at_a_half(t: Tensor, y: Tensor) -> Tensor:
    return torch.where((t > 0.5) & (y > 1.5), torch.nan, y - y)


@pytest.mark.parametrize(
    ("f", "options", "status", "error"),
    [
        (blows, {}, UNDERFLOW, StepSizeUnderflow),
        (blows, {"max_num_steps": 30}, TOO_MANY, MaxStepsReached),
        (bad_at_a_half, {}, NOT_FINITE, NonFiniteState),
    ],
)
def test_a_sample_that_fails_is_told_and_the_others_go_on(f, options, status, error):
    y0 = torch.tensor([[0.2], [2.0], [0.1]], dtype=torch.float64)
    t = torch.tensor([0.0, 0.2, 1.0], dtype=torch.float64)
    sol = solve(f, y0, t, options={**EACH, **options})
    assert sol.status.tolist() == [DONE, status, DONE]
    assert torch.equal(sol.y.isnan()[..., 0], torch.tensor([[0, 0, 0], [0, 0, 0], [0, 1, 0]]).bool())
    alone = odeint(f, y0[[0, 2]], t, rtol=1e-9, atol=1e-9)
    assert torch.allclose(sol.y[:, [0, 2]], alone, atol=1e-6)
    with pytest.raises(error, match="sample 1 "):
        odeint(f, y0, t, options={**EACH, **options})
    assert "3 samples, 1 failed" in repr(sol)


def test_what_it_cannot_do_is_said_before_work_starts():
    y0, f = starts(), field(RATE[:, None])

    def raises(error: type, words: str, *args, **settings) -> None:
        with pytest.raises(error, match=words):
            solve(*(args or (f, y0, TIMES)), **{"options": EACH, **settings})

    raises(ValueError, "adaptive Runge-Kutta pair", method="rk4")
    raises(ValueError, "the I controller", options={**EACH, "controller": "PI"})
    raises(ValueError, "no dense output", dense=True)
    raises(ValueError, "no gradient in t", f, y0, TIMES.clone().requires_grad_())
    raises(ValueError, "are numbers", atol=torch.ones(9, 3))
    raises(ValueError, "a real tensor y0", f, (y0, y0), TIMES)
    raises(ValueError, "does not apply", options={**EACH, "jump_t": [0.5]})
    raises(TypeError, "True or False", options={"per_sample": 1})
    raises(ValueError, "a time for each sample", lambda t, y: y[0], y0, TIMES)
    raises(NonFiniteState, "first evaluation", lambda t, y: y / 0, y0, TIMES)
    for other in (odeint_adjoint, odeint_checkpoint):
        with pytest.raises(ValueError, match="one step for the whole batch"):
            other(f, y0, TIMES, options=EACH)
    with pytest.raises(ValueError, match="one step for the whole batch"):
        odeint_event(f, y0[0], 0.0, event_fn=lambda t, y: y[0], options=EACH)
