"""What is not compiled, and says so; and what goes wrong, which raises as without the option."""

import warnings
from typing import Any

import pytest
import torch

from nodelib import numpy_ode
from nodelib.common.solution import MaxStepsReached, NonFiniteState, StepSizeUnderflow
from nodelib.torch_ode import odeint, odeint_checkpoint, odeint_event, solve
from tests.torch_ode.compiling.fields import COMPILE, ENDS, F64, Field, Moody, quiet, start, van_der_pol

pytestmark = pytest.mark.filterwarnings("ignore:compiled")


def tuple_func(t, y):
    return tuple(-part for part in y)


def branches(t, y):
    return -y if y.sum() > 0 else y


class Called(Field):
    def callback_step(self, t, y, h):
        pass


LEFT = {
    "the state is a tuple": (tuple_func, (torch.ones(2), torch.ones(1)), {}),
    "the state is complex": (lambda t, y: 1j * y, torch.ones(2, dtype=torch.complex128), {}),
    "option 'step_t' is not compiled": (Moody(), start(), {"options": {"step_t": [1.0]}}),
    "option 'norm' is not compiled": (Moody(), start(), {"options": {"norm": lambda y: y.abs().max()}}),
    "the PI controller": (Moody(), start(), {"options": {"controller": "PI"}}),
    "tolerances for each entry": (Moody(), start(), {"rtol": torch.full((3, 2), 1e-5), "atol": 1e-6}),
    "scipy:RK45 is no Runge-Kutta method": (Moody(), start(), {"method": "scipy:RK45"}),
    "adams_bashforth is no Runge-Kutta": (Moody(), start(), {"method": "adams_bashforth"}),
    "func has callbacks": (Called(), start(), {}),
    "each sample has steps of its own": (Moody(), start(), {"options": {"per_sample": True}}),
    "torch.compile cannot take func: .*branching": (branches, start(), {}),
}


@torch.no_grad()
@pytest.mark.parametrize("reason", LEFT)
def test_what_is_left_aside_says_so_once_and_is_solved(reason):
    func, y0, settings = LEFT[reason]
    plain = solve(func, y0, ENDS, **settings)
    settings = {**settings, "options": {**settings.get("options", {}), **COMPILE}}
    with pytest.warns(UserWarning, match=f"option 'compile' is left aside.*: {reason}"):
        found = solve(func, y0, ENDS, **settings)
    parts = zip(plain.y, found.y, strict=True) if isinstance(y0, tuple) else [(plain.y, found.y)]
    assert all(torch.equal(a, b) for a, b in parts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solve(func, y0, ENDS, **settings)


def test_gradients_that_are_left_aside():
    t = torch.tensor(ENDS, dtype=F64, requires_grad=True)
    with pytest.warns(UserWarning, match="left aside.*gradient of the times t"):
        odeint(Moody(), start(), t, options=COMPILE).sum().backward()
    assert t.grad is not None
    w = torch.tensor(2.0, dtype=F64, requires_grad=True)
    with pytest.warns(UserWarning, match="left aside.*not among its parameters"):
        odeint(lambda t, y: -w * y, start(), ENDS, options=COMPILE).sum().backward()
    with pytest.warns(UserWarning, match="left aside.*no parameter of func"):
        odeint_checkpoint(lambda t, y: -w * y, start(), ENDS, adjoint_params=(w,), options=COMPILE).sum().backward()
    with pytest.warns(UserWarning, match="left aside.*no Module"):
        odeint(Field().forward, start(), ENDS, options=COMPILE)
    with pytest.warns(UserWarning, match="left aside.*torch.func"):
        torch.func.jacrev(lambda y: odeint(Moody(), y, ENDS, options=COMPILE)[-1])(start())


@torch.no_grad()
def test_events_and_autocast_are_left_aside():
    with pytest.warns(UserWarning, match="left aside.*events"):
        odeint_event(Moody(), torch.ones(2, dtype=F64), 0.0, event_fn=lambda t, y: y[0] - 0.5, options=COMPILE)
    with torch.autocast("cpu"), pytest.warns(UserWarning, match="left aside.*autocast"):
        odeint(Moody(), start(), ENDS, options=COMPILE)


@torch.no_grad()
def test_what_goes_wrong_raises_as_without_it():
    for func, y0, t, error, options in (
        (lambda t, y: y**2, torch.ones(1, dtype=F64), [0.0, 2.0], StepSizeUnderflow, {}),
        (lambda t, y: torch.log(1 - t) + 0 * y, torch.ones(1, dtype=F64), [0.0, 2.0], NonFiniteState, {}),
        (van_der_pol, torch.tensor([2.0, 0.0], dtype=F64), [0.0, 10.0], MaxStepsReached, {"max_num_steps": 70}),
    ):
        said = []
        for more in ({}, COMPILE):
            with pytest.raises(error) as found:
                quiet(solve, func, y0, t, method="heun_euler", rtol=1e-4, atol=1e-4, options={**options, **more})
            said.append(str(found.value)[:20])
        assert said[0] == said[1]


def test_bad_arguments_raise_as_without_it():
    func = Moody()
    quiet(odeint, func, start(), ENDS, options=COMPILE)
    bad: list[tuple[Any, Any, dict[str, Any], str]] = [
        (start(), [0.0, 0.0], {}, "strictly"),
        (start() * torch.nan, ENDS, {}, "y0 contains nan"),
        (start(), ENDS, {"rtol": -1.0}, "rtol must be zero or positive"),
        (start(), ENDS, {"options": {"first_stp": 1}}, "first_stp"),
        (start(), [[0.0, 1.0]], {}, "one-dimensional"),
    ]
    for y0, t, settings, match in bad:
        options = {**settings.get("options", {}), **COMPILE}
        with pytest.raises(ValueError, match=match):
            quiet(odeint, func, y0, t, **{**settings, "options": options})
    with pytest.raises(TypeError, match="'compile' must be True or False"):
        odeint(func, start(), ENDS, options={"compile": "yes"})
    with pytest.raises(ValueError, match="only nodelib"):
        numpy_ode.odeint(lambda t, y: -y, 1.0, ENDS, options=COMPILE)
