"""The adjoint by compiled programs: the same gradients as without them, and what they leave aside."""

import warnings
from typing import Any

import pytest
import torch
import torch.utils.checkpoint
from torch import nn

from nodelib.common.solution import AnotherFunction, MaxStepsReached
from nodelib.torch_ode import odeint_adjoint
from nodelib.torch_ode.compiling import programs
from tests.torch_ode.compiling.fields import (
    COMPILE,
    ENDS,
    F64,
    NINE,
    Field,
    Small,
    gradients,
    programs_of,
    quiet,
    start,
    with_option,
)

pytestmark = pytest.mark.filterwarnings("ignore:compiled")
EULER: dict[str, Any] = {"method": "euler", "options": {"step_size": 0.5}}


def held(func, t, y0, settings, tol=1e-12):
    """Both gradients, of which the compiled one must be the other; with the evaluations that either took."""
    found, counted = [], []
    for each in (settings, with_option(settings)):
        before = func.nfe
        found.append(quiet(gradients, odeint_adjoint, func, t, y0, **each))
        counted.append(func.nfe - before)
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, rtol=tol, atol=tol)
    return counted


SETTINGS = {
    "embedded": (ENDS, {"method": "heun_euler", "rtol": 1e-4, "atol": 1e-4}),
    "seminorm, backward": (
        NINE.flip(0),
        {"method": "heun_euler", "adjoint_options": {"norm": "seminorm"}, "rtol": 1e-3},
    ),
    "first step given": (
        NINE[:3],
        {"method": "heun_euler", "options": {"first_step": 0.1, "max_step": 0.2}, "rtol": 1e-3},
    ),
    "fixed": (NINE, {"method": "midpoint", "options": {"step_size": 0.2}}),
    "another method": (
        NINE[:3],
        {"method": "heun", "adjoint_method": "heun_euler", "adjoint_rtol": 1e-4, "adjoint_options": {}},
    ),
}


@pytest.mark.parametrize("which", SETTINGS)
def test_gradients_and_evaluations_are_those_without_it(which, size):
    t, settings = SETTINGS[which]
    plain, fast = held(Small(), t, start(), settings)
    if settings["method"] == "midpoint":
        assert fast == plain + 1  # both evaluate it once more to see that func is what it was, and one on the way there
    else:
        assert fast >= plain  # a slope more for each attempt that was rejected, as forward


def test_the_adjoint_of_an_fsal_pair_enters_its_loop_again():
    """More than 64 attempts between two output times."""
    settings = {"method": "bosh3", "rtol": 1e-7, "atol": 1e-8}
    plain, fast = held(Small(), [0.0, 6.0], start(1), settings, tol=1e-11)
    assert plain == fast > 2 * 3 * 64


def test_single_precision_to_its_floor():
    func = Small(dtype=torch.float32)
    held(func, ENDS, start(dtype=torch.float32), {"method": "heun_euler", "rtol": 1e-3, "atol": 1e-4}, tol=1e-4)


class Decay(nn.Module):
    """A linear field without parameters."""

    nfe = 0

    def forward(self, t, y):
        return -y * torch.tensor([1.0, 2.0], dtype=y.dtype)


def test_func_without_parameters():
    held(Decay(), NINE, start(), EULER)
    y0 = start().requires_grad_()
    y = quiet(odeint_adjoint, lambda t, y: -y, y0, ENDS, adjoint_params=(), **with_option(EULER))
    assert torch.allclose(torch.autograd.grad(y[-1].sum(), y0)[0], torch.full_like(y0, 0.5**6), rtol=1e-12)


def test_batches_of_many_sizes_share_programs():
    func = Small()
    for batch in (4, 7, 5, 6):
        held(func, NINE, start(batch), EULER)
    assert [program.compiles for program in programs_of(func)] == [1] * (2 * 3)


def test_a_layer_that_comes_to_have_another_width():
    func = Field()
    held(func, NINE[:3], start(), EULER)
    func.net[0], func.net[2] = nn.Linear(2, 5, dtype=F64), nn.Linear(5, 2, dtype=F64)
    held(func, NINE[:3], start(), EULER)


def test_other_times_tolerances_and_numbers_of_outputs_share_a_program():
    func = Small()
    for t, tol in ((ENDS, 1e-3), ([0.0, -1.0], 1e-4), (NINE[:3], 1e-3)):
        held(func, t, start(), {"method": "heun_euler", "rtol": tol, "atol": tol})
    back = [program for program in programs_of(func) if program.what == "the adjoint solve"]
    assert [program.compiles for program in back] == [1]


def test_another_func_on_the_way_back_is_an_error(size):
    for settings in (EULER, {"method": "heun_euler", "rtol": 1e-3, "atol": 1e-3}):
        func = Small()
        y = quiet(odeint_adjoint, func, start(), ENDS, **with_option(settings))
        func.pull = 0.2
        with pytest.raises(AnotherFunction, match="at t = 3 and the same y it returns something else"):
            y.sum().backward()


class Fading(nn.Module):
    """A field that is zero at t = 3."""

    def __init__(self):
        super().__init__()
        self.scale = 1.0

    def forward(self, t, y):
        return self.scale * y * (3 - t)


def test_another_func_whose_last_slope_is_zero_is_an_error():
    func = Fading()
    y = quiet(odeint_adjoint, func, start().requires_grad_(), ENDS, **with_option(EULER))
    func.scale = 2.0
    with pytest.raises(AnotherFunction, match="at t = 0 and the same y"):
        y.sum().backward()


def test_what_goes_wrong_on_the_way_back_says_so():
    func, y0 = Small(), start().requires_grad_()
    settings = {"method": "heun_euler", "rtol": 1e-2, "atol": 1e-2, "adjoint_options": {"max_num_steps": 5}}
    said = []
    for each in (settings, with_option(settings)):
        y = quiet(odeint_adjoint, func, y0, ENDS, adjoint_rtol=1e-5, adjoint_atol=1e-5, **each)
        with pytest.raises(MaxStepsReached, match="on the way back") as found:
            y.sum().backward()
        said.append(str(found.value))
    assert said[0] == said[1]


def test_what_is_refused_and_warned_of_as_without_it():
    func, y0 = Small(), start().requires_grad_()
    y = quiet(odeint_adjoint, func, y0, ENDS, **with_option(EULER))
    with pytest.raises(RuntimeError, match="first derivatives"):
        torch.autograd.grad(y.sum(), y0, create_graph=True, retain_graph=True)
    with pytest.raises(TypeError, match="one dL/dy at a time"):
        torch.autograd.grad(y, y0, torch.ones(2, *y.shape, dtype=F64), is_grads_batched=True, retain_graph=True)
    with pytest.raises(ValueError, match="dL/dy contains nan"):
        (y * torch.nan).sum().backward(retain_graph=True)
    with pytest.warns(UserWarning, match="below adjoint_atol"):
        (1e-20 * y).sum().backward()


def test_frozen_parameters_and_strangers():
    func, w = Small(), torch.tensor(0.5, dtype=F64, requires_grad=True)
    func.w.requires_grad_(False)
    quiet(odeint_adjoint, func, start(), ENDS, **with_option(EULER)).sum().backward()
    assert func.b.grad is not None
    assert func.w.grad is None
    with pytest.warns(UserWarning, match="its gradient will be missing"):
        odeint_adjoint(lambda t, y: -w * y, start().requires_grad_(), ENDS, adjoint_params=(), **with_option(EULER))


class Told(Small):
    def callback_step_adjoint(self, t, y, h):
        pass


LEFT: dict[str, tuple[nn.Module, dict[str, Any]]] = {
    "a norm of your own": (Small(), {"method": "heun_euler", "adjoint_options": {"norm": lambda x: x[1].abs().max()}}),
    "scipy:RK45 is no Runge-Kutta": (
        Small(),
        {"method": "heun_euler", "adjoint_method": "scipy:RK45", "adjoint_options": {}},
    ),
    "option 'step_t' is not compiled": (Small(), {"method": "heun_euler", "adjoint_options": {"step_t": [1.0]}}),
    "adjoint_options refuses": (Small(), {"method": "heun_euler", "adjoint_options": {"compile": False}}),
    "func has callbacks": (Told(), {"method": "heun_euler"}),
    "another dtype": (Small(), {"method": "heun_euler"}),
}


@pytest.mark.parametrize("reason", LEFT)
def test_what_is_left_aside_says_so_once_and_is_solved(reason):
    func, settings = LEFT[reason]
    settings = {"rtol": 1e-2, "atol": 1e-2, **settings}
    if reason == "another dtype":
        func.extra = nn.Parameter(torch.ones(2))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "func uses none")
        plain = gradients(odeint_adjoint, func, ENDS, start(), **settings)
        with pytest.warns(UserWarning, match=f"option 'compile' is left aside.*: .*{reason}"):
            fast = gradients(odeint_adjoint, func, ENDS, start(), **with_option(settings))
        assert all(torch.equal(a, b) for a, b in zip(plain, fast, strict=True))
        warnings.simplefilter("error")
        gradients(odeint_adjoint, func, ENDS, start(), **with_option(settings))


def test_the_option_of_the_way_back_alone_is_left_aside():
    settings = {**EULER, "adjoint_options": {"step_size": 0.5, **COMPILE}}
    with pytest.warns(UserWarning, match="left aside.*adjoint_options asks for it, and options does not"):
        gradients(odeint_adjoint, Small(), ENDS, start(), **settings)


def test_the_way_back_that_cannot_be_compiled_is_solved_again(monkeypatch):
    func, whole = Small(), programs.Program.__call__
    plain = gradients(odeint_adjoint, func, ENDS, start(), **EULER)

    def broken(self, *args):
        if self.what == "the adjoint solve":
            raise programs.Stay("no way back")
        return whole(self, *args)

    monkeypatch.setattr(programs.Program, "__call__", broken)
    with pytest.warns(UserWarning, match="no way back"):
        fast = gradients(odeint_adjoint, func, ENDS, start(), **with_option(EULER))
    assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-13) for a, b in zip(plain, fast, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = odeint_adjoint(func, start(), ENDS, **with_option(EULER))
    func.pull = 0.2
    with pytest.raises(AnotherFunction, match="at t = 3 and the same y"):
        y.sum().backward()


def test_another_method_on_the_way_back_needs_no_options_for_compile():
    func, settings = Small(), {"method": "euler", "adjoint_method": "midpoint"}
    plain = gradients(odeint_adjoint, func, NINE, start(), **settings)
    fast = quiet(gradients, odeint_adjoint, func, NINE, start(), **with_option(settings))
    assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-13) for a, b in zip(plain, fast, strict=True))


class Checkpointed(Small):
    """What torch.compile takes on the way there, and not in the product on the way back."""

    def forward(self, t, y):
        return torch.utils.checkpoint.checkpoint(super().forward, t, y, use_reentrant=False)


@pytest.mark.parametrize("method", ["euler", "heun_euler"])
def test_func_with_torchs_own_checkpoints(method, size):
    func, settings = Checkpointed(), {"method": method, "rtol": 1e-2, "atol": 1e-2}
    plain = gradients(odeint_adjoint, func, ENDS, start(), **settings)
    with pytest.warns(UserWarning, match="left aside"):
        fast = gradients(odeint_adjoint, func, ENDS, start(), **with_option(settings))
    assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-13) for a, b in zip(plain, fast, strict=True))
