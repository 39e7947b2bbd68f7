"""Gradients of compiled solves: the same as without it, and never missing."""

from typing import Any

import pytest
import torch
from torch import nn

from nodelib.common.solution import AnotherFunction
from nodelib.torch_ode import odeint, odeint_adjoint, odeint_checkpoint
from nodelib.torch_ode.compiling import programs
from tests.torch_ode.compiling.fields import (
    COMPILE,
    ENDS,
    NINE,
    Field,
    Line,
    Small,
    gradients,
    programs_of,
    quiet,
    start,
    with_option,
)

pytestmark = pytest.mark.filterwarnings("ignore:compiled")


@pytest.mark.parametrize(
    ("solver", "method", "t", "options"),
    [
        (odeint_checkpoint, "bosh3", ENDS, {}),
        (odeint, "heun_euler", NINE.flip(0), {"first_step": 0.1, "max_step": 0.2}),
        (odeint, "midpoint", NINE, {"step_size": 0.3}),
    ],
    ids=["checkpoint-ends", "odeint-backward", "odeint-fixed"],
)
def test_gradients_are_those_without_it(solver, method, t, options, size):
    func = Small()
    settings = {"method": method, "options": options, "rtol": 1e-3, "atol": 1e-3}
    plain = gradients(solver, func, t, start(), **settings)
    fast = quiet(gradients, solver, func, t, start(), **with_option(settings))
    for a, b in zip(plain, fast, strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-13)


def test_parameters_are_not_forgotten_where_y0_needs_no_gradient():
    """Where autograd looks through a loop itself, they are given wrong, in silence."""
    func, settings = Field(), {"method": "euler", "options": {"step_size": 0.1}}
    (odeint_checkpoint(func, start(), ENDS, **settings) ** 2).sum().backward()
    plain: list[Any] = [p.grad for p in func.parameters()]
    func.zero_grad()
    (quiet(odeint_checkpoint, func, start(), ENDS, **with_option(settings)) ** 2).sum().backward()
    for a, b in zip(plain, [p.grad for p in func.parameters()], strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-13)  # type: ignore[arg-type]


def test_frozen_parameters_and_chosen_ones():
    func = Field()
    func.net[0].weight.requires_grad_(False)
    chosen = {"adjoint_params": (func.net[2].bias,), "options": {"step_size": 0.5, **COMPILE}}
    with pytest.warns(UserWarning, match="its gradient will be missing"):
        y = odeint_checkpoint(func, start(), ENDS, method="euler", **chosen)
    y.sum().backward()
    assert func.net[2].bias.grad is not None
    assert func.net[0].bias.grad is None


def test_second_derivatives_are_refused():
    y0 = start().requires_grad_()
    y = quiet(odeint, Line(), y0, ENDS, method="euler", options={"step_size": 0.5, **COMPILE})
    with pytest.raises(RuntimeError, match=r"the option compile give first derivatives.*without the option"):
        torch.autograd.grad(y.sum(), y0, create_graph=True)


def test_counters_count_the_way_back(size):
    func, counted = Small(), []
    for options in ({}, COMPILE):
        func.nfe, y0 = 0, start().requires_grad_()
        quiet(odeint_checkpoint, func, y0, ENDS, method="heun", rtol=1e-3, atol=1e-3, options=options).sum().backward()
        counted.append(func.nfe)
    assert counted[1] - counted[0] in (0, 1)  # eager takes the last step's slope, too, where it is compared


def test_gradients_of_batches_of_many_sizes():
    func, settings = Small(), {"method": "euler", "options": {"step_size": 0.4}}
    for batch in (4, 7, 5, 6):
        plain = gradients(odeint_checkpoint, func, NINE, start(batch), **settings)
        fast = quiet(gradients, odeint_checkpoint, func, NINE, start(batch), **with_option(settings))
        assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-13) for a, b in zip(plain, fast, strict=True))
    assert [program.compiles for program in programs_of(func)] == [1] * (2 * 3)


def test_another_func_on_the_way_back_is_an_error(size):
    func = Small()
    y = quiet(odeint_checkpoint, func, start(), ENDS, method="euler", options={"step_size": 0.1, **COMPILE})
    func.pull = 0.2
    with pytest.raises(AnotherFunction, match="a step ends somewhere else"):
        y.sum().backward()


def test_the_way_back_that_cannot_be_compiled_is_solved_again(monkeypatch):
    func, settings = Line(), {"method": "euler", "options": {"step_size": 0.5}}
    plain = gradients(odeint_checkpoint, func, ENDS, start(), **settings)
    whole = programs.Program.__call__

    def broken(self, *args):
        if self.what == "the way back":
            raise programs.Stay("no way back")
        return whole(self, *args)

    monkeypatch.setattr(programs.Program, "__call__", broken)
    with pytest.warns(UserWarning, match="no way back"):
        fast = gradients(odeint_checkpoint, func, ENDS, start(), **with_option(settings))
    assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-13) for a, b in zip(plain, fast, strict=True))


def test_a_weight_that_is_exchanged_is_an_error_but_for_odeint():
    for solver in (odeint_checkpoint, odeint_adjoint, odeint):
        func = Small()
        was = func.w
        y = quiet(solver, func, start(), ENDS, method="heun_euler", rtol=1e-2, atol=1e-2, options=COMPILE)
        (want,) = torch.autograd.grad(y.sum(), was, retain_graph=True)
        func.w = nn.Parameter(2 * was.detach())
        if solver is odeint:
            assert torch.equal(torch.autograd.grad(y.sum(), was)[0], want)
        else:
            with pytest.raises(AnotherFunction, match="its parameter w is another one"):
                y.sum().backward()


@pytest.mark.parametrize("method", ["euler", "heun_euler"])
def test_another_func_is_an_error_also_where_the_way_back_cannot_be_compiled(method, monkeypatch):
    func = Small()
    y = quiet(odeint_checkpoint, func, start(), ENDS, method=method, rtol=1e-2, atol=1e-2, options=COMPILE)

    def broken(self, *args):
        raise programs.Stay("no way back")

    monkeypatch.setattr(programs.Program, "__call__", broken)
    func.pull = 0.2
    with pytest.raises(AnotherFunction), pytest.warns(UserWarning, match="no way back"):
        y.sum().backward()
