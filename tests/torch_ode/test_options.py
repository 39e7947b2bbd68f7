"""What only the torch twin has: tuple states, and the options that bound, place and judge the steps."""

from math import sqrt

import numpy as np
import pytest
import torch

from nodelib.torch_ode import odeint, solve
from tests.twins.both import FIXED, OSCILLATOR, OWN, PAIRS, SCIPY, SPIN, Watched, lotka_volterra, options, tol

F64 = torch.float64
SPIRAL = OSCILLATOR.func(torch)


def tensor(*values):
    return torch.tensor(values, dtype=F64)


# --- tuple states ----------------------------------------------------------------------------------------------------


def pair(t, state):
    """The oscillator in two parts of unlike shapes: three copies of position, one of speed."""
    x, v = state
    return v.expand(3, 1), -x[:1, 0]


@pytest.mark.parametrize("method", OWN + SCIPY)
def test_tuple_states(method):
    t = torch.linspace(0, 2, 5, dtype=F64)
    y0 = (torch.ones(3, 1, dtype=F64), torch.zeros(1, dtype=F64))
    dense = method != "scipy:VODE"
    sol = solve(pair, y0, t, method=method, options=options(method, 0.01), dense=dense, **tol(method, 1e-6))
    assert isinstance(sol.y, tuple)
    assert [tuple(part.shape) for part in sol.y] == [(5, 3, 1), (5, 1)]
    exact = OSCILLATOR.exact(t.numpy())
    error = {"euler": 0.05, "midpoint": 1e-3, "heun": 1e-3, "heun_euler": 1e-3}.get(method, 1e-4)
    assert sol.y[0].numpy() == pytest.approx(np.broadcast_to(exact[:, :1, None], (5, 3, 1)), abs=error)
    assert sol.y[1].numpy() == pytest.approx(exact[:, 1:], abs=error)
    if dense:
        assert [tuple(part.shape) for part in sol(0.7)] == [(3, 1), (1,)]


@pytest.mark.parametrize("method", OWN)
def test_a_tuple_of_one_is_the_tensor_itself(method):
    t, settings = [0.2, 0.8, 1.2], {"method": method, "options": options(method, 0.05), **tol(method, 1e-6)}
    y0 = torch.as_tensor(SPIN.exact(0.2))
    plain = solve(SPIN.func(torch), y0, t, **settings)
    for single in ((y0,), [y0]):
        wrapped = solve(lambda t, y: (SPIN.func(torch)(t, y[0]),), single, t, **settings)
        assert torch.equal(wrapped.y[0], plain.y)
        assert wrapped.stats == plain.stats


def test_func_may_return_a_list_for_a_tuple():
    y = odeint(lambda t, y: [-y[0], y[1]], (torch.ones(2), torch.ones(1)), [0.0, 1.0])
    assert [float(part[-1, 0]) for part in y] == pytest.approx([np.exp(-1), np.e], rel=1e-4)


def test_parts_may_be_scalars_and_share_a_complex_dtype():
    one = torch.tensor(1.0, dtype=torch.complex64)
    y = odeint(lambda t, y: (1j * y[0], -1j * y[1]), (one, one.expand(2, 2)), [0.0, 1.0])
    assert (y[0].shape, y[1].shape) == ((2,), (2, 2, 2))
    assert y[1][-1].numpy() == pytest.approx(np.full((2, 2), np.exp(-1j)), abs=1e-4)


def one_step_ratio(y0, **settings):
    """Error ratio of one Heun-Euler step of y' = y², of size 0.1, atol = 1."""
    squares = (lambda t, y: tuple(part**2 for part in y)) if isinstance(y0, tuple) else lambda t, y: y**2
    chosen = {"first_step": 0.1, **settings.pop("options", {})}
    return (
        solve(squares, y0, [0.0, 0.1], method="heun_euler", **{"rtol": 0.0, "atol": 1.0, **settings}, options=chosen)
        .steps[0]
        .error_ratio
    )


def heun_error(y):
    return 0.05 * ((y + 0.1 * y**2) ** 2 - y**2)


def test_error_ratio_of_a_tuple_is_that_of_its_worst_part():
    """The RMS of each part, and the largest of them: a part of many entries does not drown a small one."""
    large, small = torch.full((100,), 0.5, dtype=F64), tensor(2.0, 1.0)
    rms = sqrt((heun_error(2.0) ** 2 + heun_error(1.0) ** 2) / 2)
    assert one_step_ratio((large, small)) == pytest.approx(rms, rel=1e-12)
    assert one_step_ratio((small, large)) == pytest.approx(rms, rel=1e-12)
    assert one_step_ratio(large) == pytest.approx(heun_error(0.5), rel=1e-12)


def test_tolerance_for_each_part_of_a_tuple():
    parts = (tensor(2.0, 2.0, 2.0), tensor(1.0))
    assert one_step_ratio(parts, atol=(10.0, 0.1)) == pytest.approx(heun_error(1.0) / 0.1, rel=1e-12)
    assert one_step_ratio(parts, atol=[0.1, 10.0]) == pytest.approx(heun_error(2.0) / 0.1, rel=1e-12)
    y1 = 2 + 0.05 * (2**2 + 2.4**2)
    assert one_step_ratio(parts, rtol=(1.0, 1e9), atol=0.0) == pytest.approx(heun_error(2.0) / y1, rel=1e-12)


def test_tolerances_as_tensors():
    y0 = tensor(2.0, 1.0)
    ratios = tensor(heun_error(2.0) / 0.5, heun_error(1.0) / 0.25)
    assert one_step_ratio(y0, atol=tensor(0.5, 0.25)) == pytest.approx(float(ratios.square().mean().sqrt()), rel=1e-12)
    assert one_step_ratio(y0, atol=torch.tensor(0.5)) == pytest.approx(2 * one_step_ratio(y0, atol=1.0), rel=1e-12)
    assert one_step_ratio(y0, atol=2, rtol=0) == pytest.approx(one_step_ratio(y0) / 2, rel=1e-12)


def test_norm_option():
    y0, seen = tensor(2.0, 1.0), []

    def largest(error):
        seen.append(error)
        return error.abs().max()

    assert one_step_ratio(y0, options={"norm": largest}) == pytest.approx(heun_error(2.0), rel=1e-12)
    assert {tuple(error.shape) for error in seen} == {(2,)}
    matrix = y0.view(2, 1)
    seen.clear()
    one_step_ratio(matrix, options={"norm": largest})
    assert {tuple(error.shape) for error in seen} == {(2, 1)}


def test_norm_option_gets_a_tuple_for_a_tuple_state():
    def of_second(error):
        first, second = error
        assert (first.shape, second.shape) == ((3,), (1,))
        return second.abs().max()

    ratio = one_step_ratio((tensor(9.0, 9.0, 9.0), tensor(1.0)), options={"norm": of_second})
    assert ratio == pytest.approx(heun_error(1.0), rel=1e-12)


@pytest.mark.parametrize("method", [*FIXED, *SCIPY])
def test_norm_option_is_accepted_where_steps_are_not_judged_by_it(method):
    y = odeint(lambda t, y: -y, tensor(1.0), [0.0, 0.1], method=method, options={"norm": lambda x: x.abs().max()})
    assert float(y[-1, 0]) == pytest.approx(np.exp(-0.1), abs=1e-2)


# --- steps between bounds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("span", [(0.0, 2.0), (2.0, 0.0)], ids=["forward", "backward"])
@pytest.mark.parametrize("method", PAIRS)
def test_max_step(method, span):
    sol = solve(SPIRAL, tensor(1.0, 0.0), span, method=method, rtol=1e-2, atol=1e-2, options={"max_step": 0.05})
    assert max(abs(step.h) for step in sol.steps) <= 0.05 * (1 + 1e-9)
    assert (
        max(abs(step.h) for step in solve(SPIRAL, tensor(1.0, 0.0), span, method=method, rtol=1e-2, atol=1e-2).steps)
        > 0.05
    )


@pytest.mark.parametrize("method", PAIRS)
def test_min_step(method):
    """No step but one that is cut short is shorter; at the least size a step is taken whatever its error."""
    problem = (lotka_volterra(torch), tensor(10.0, 5.0), [0.0, 2.0])
    sol = solve(*problem, method=method, rtol=1e-9, atol=1e-9, options={"min_step": 0.1})
    assert all(step.h >= 0.1 * (1 - 1e-12) for step in sol.steps[:-1])
    assert any(step.accepted and step.error_ratio > 1 for step in sol.steps)
    assert all(step.h > 0.1 * (1 - 1e-12) for step in sol.steps if not step.accepted)


def test_min_step_saves_a_solve_from_underflow():
    """√|y| of either sign has no Lipschitz constant at 0; steps of 1e-3 pass where the tolerance would stop them."""
    y = odeint(
        lambda t, y: -torch.sign(y), tensor(0.5005), [0.0, 1.0], rtol=1e-12, atol=1e-12, options={"min_step": 1e-3}
    )
    assert abs(float(y[-1, 0])) < 2e-3


def test_min_and_max_step_may_be_equal():
    sol = solve(SPIRAL, tensor(1.0, 0.0), [0.0, 1.0], options={"min_step": 0.125, "max_step": 0.125})
    assert [step.h for step in sol.steps] == [0.125] * 8
    assert sol.stats.rejected == 0


# --- steps in places -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [[0.3, 1.1], torch.tensor([1.1, 0.3]), (0.3, 1.1, 7.0, -1.0, 0.0, 2.0)], ids=str)
@pytest.mark.parametrize("span", [(0.0, 2.0), (2.0, 0.0)], ids=["forward", "backward"])
@pytest.mark.parametrize("method", PAIRS)
def test_step_t(method, span, places):
    """Steps end there, in whatever order they were given; places outside are ignored."""
    y0 = torch.as_tensor(OSCILLATOR.exact(span[0]))
    sol = solve(SPIRAL, y0, span, method=method, rtol=1e-5, atol=1e-5, options={"step_t": places})
    starts = [step.t for step in sol.steps]
    for s in torch.as_tensor(places, dtype=F64).tolist():
        assert (s in starts) == (0.0 < s < 2.0 or s == span[0])
    assert sol.y[-1].numpy() == pytest.approx(OSCILLATOR.exact(span[1]), abs=1e-3)


@pytest.mark.parametrize("method", PAIRS)
def test_a_step_cut_short_does_not_make_the_next_ones_short(method):
    """Two places 1e-12 apart: growing tenfold at a time from there would take a dozen steps."""
    settings = {"method": method, "rtol": 1e-5, "atol": 1e-5}
    free = solve(SPIRAL, tensor(1.0, 0.0), (0.0, 3.0), **settings)
    cut = solve(SPIRAL, tensor(1.0, 0.0), (0.0, 3.0), options={"step_t": [1.0, 1.0 + 1e-12]}, **settings)
    assert len(cut.steps) <= len(free.steps) + 4


def switch(at):
    """y' = 1 before ``at`` and -2 after it; at the time itself nobody should ask."""

    def func(t, y):
        assert float(t) != at
        return torch.ones_like(y) * (1.0 if t < at else -2.0)

    return Watched(func)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("span", [(0.0, 1.0), (1.0, 0.0), (-1.0, 2.0)], ids=str)
@pytest.mark.parametrize("method", PAIRS)
def test_jump_t_evaluates_on_either_side(method, span, dtype):
    at = 0.375
    func = switch(at)
    sol = solve(func, torch.zeros(1, dtype=dtype), span, method=method, options={"jump_t": [at], "first_step": 0.2})
    assert sol.stats.nfe == len(func.times)
    bit = float(torch.finfo(dtype).eps)
    sides = [s for s in func.times if abs(s - at) < bit]
    assert {s < at for s in sides} == {True, False}
    grown = [(min(at, s) if s < at else at) - 2 * max(0.0, s - at) for s in span]
    assert float(sol.y[-1, 0]) == pytest.approx(grown[1] - grown[0], abs=10 * bit)
    assert sol.stats.rejected == 0


def test_jump_t_spares_the_steps_that_find_the_jump():
    def func(t, y):
        return -y + (1.0 if t < 1 / 3 else 5.0)

    found = solve(func, tensor(0.0), [0.0, 1.0], rtol=1e-9, atol=1e-9)
    jump = {"jump_t": torch.tensor([1 / 3], dtype=F64)}
    told = solve(func, tensor(0.0), [0.0, 1.0], rtol=1e-9, atol=1e-9, options=jump)
    middle = 1 - np.exp(-1 / 3)
    assert float(told.y[-1, 0]) == pytest.approx(5 + (middle - 5) * np.exp(-2 / 3), abs=1e-9)
    assert told.stats.nfe < found.stats.nfe / 2
    assert len(told.steps) < len(found.steps)


def test_nfe_with_a_jump():
    """The first slope beyond a jump is one evaluation more."""
    times = [0.25, 0.5, 0.75]
    sol = solve(lambda t, y: -y, tensor(1.0), [0.0, 1.0], options={"jump_t": times})
    assert sol.stats.nfe == 2 + 6 * len(sol.steps) + len(times)


@pytest.mark.parametrize("method", FIXED)
def test_grid_constructor(method):
    """The grid is what it says; outputs between are interpolated; func, y0 and t are those of the caller."""
    func, y0, t = SPIN.func(torch), torch.as_tensor(SPIN.exact(0.2)), torch.linspace(0.2, 1.2, 4, dtype=F64)

    def constructor(f, start, times):
        assert f is func
        assert torch.equal(start, y0)
        assert torch.equal(times, t)
        return 0.2 + torch.linspace(0, 1, 201, dtype=F64) ** 2

    sol = solve(func, y0, t, method=method, rtol=1e-9, atol=1e-9, options={"grid_constructor": constructor})
    assert [step.t for step in sol.steps] == constructor(func, y0, t)[:-1].tolist()
    assert sol.y.numpy() == pytest.approx(SPIN.exact(t.numpy()), abs={"euler": 0.05}.get(method, 1e-3))


@pytest.mark.parametrize(
    "t", [[0.1, 0.7], (0.7, 0.1), np.array([0.1, 0.7]), torch.tensor([0.1, 0.7])], ids=lambda t: type(t).__name__
)
def test_grid_constructor_for_every_kind_of_t(t):
    def constructor(f, start, times):
        return torch.cat([times[:1], times.mean()[None], times[1:]])

    sol = solve(lambda t, y: -y, torch.ones(1), t, method="rk4", options={"grid_constructor": constructor})
    assert len(sol.steps) == 2


# --- precision and place ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_dtype_of_t_does_not_matter_to_the_state(dtype):
    t = torch.tensor([0, 1, 3], dtype=dtype)
    for state in (torch.float32, torch.float64):
        y = odeint(lambda t, y: -y, torch.ones(2, dtype=state), t)
        assert y.dtype == state
        assert y[:, 0].numpy() == pytest.approx(np.exp([0, -1, -3]), abs=1e-5)


@pytest.mark.parametrize("method", OWN)
def test_no_graph_is_kept_where_none_is_wanted(method):
    weight = torch.tensor(-1.0, requires_grad=True, dtype=torch.float64)
    y0 = torch.ones(2, requires_grad=True, dtype=torch.float64)
    settings = {"method": method, "options": options(method, 0.1), **tol(method, 1e-4)}
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            y = odeint(lambda t, y: weight * y, y0, [0.0, 1.0], **settings)
            assert not y.requires_grad
    with_graph = odeint(lambda t, y: weight * y, y0, [0.0, 1.0], **settings)
    assert with_graph.requires_grad
    assert with_graph.detach().numpy() == pytest.approx(y.numpy(), abs=1e-12)
    assert y0.grad is weight.grad is None
