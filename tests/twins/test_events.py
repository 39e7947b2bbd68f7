"""Events in both twins: when they are, what the state is then, how both move, and what is no event."""

import re
from functools import cache, wraps
from math import asin, log, pi, sqrt
from typing import Any

import autograd
import numpy as np
import pytest
import torch
import torchdiffeq
from autograd.tracer import getval

from nodelib import numpy_ode, torch_ode
from nodelib.common import events
from nodelib.common.arguments import METHODS
from nodelib.common.events import TangentEvent, enclose
from nodelib.common.solution import MaxStepsReached, NonFiniteState
from tests.twins.both import OSCILLATOR, OWN, SCIPY, TORCH, TWINS, options, tol
from tests.twins.ways import TWINS as NAMES
from tests.twins.ways import WAYS, Way

each_twin = pytest.mark.parametrize("twin", TWINS, ids=str)
each_way = pytest.mark.parametrize("way", WAYS, ids=str)


def until(twin, func, y0, t0, event_fn, **settings):
    """odeint_event of the twin, its results as numbers."""
    module = torch_ode if twin is TORCH else numpy_ode
    t, ys = module.odeint_event(func, y0, t0, event_fn=event_fn, **settings)
    return float(t), twin.numpy(ys)


def grow(t, y):
    return 1 + 0 * y


# --- when the event is, and the state then ----------------------------------------------------------------------------


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("method", OWN)
@each_twin
def test_time_and_state_of_an_event_in_closed_form(twin, method, back):
    """cos t passes -1/2 at ±2π/3, where its slope is -sin t."""
    h, settings = 0.002 if METHODS[method].order == 1 else 0.02, {}
    if METHODS[method].adaptive:
        settings = tol(method, 1e-9)
    t, ys = until(
        twin, OSCILLATOR.func(twin.xp), twin.array([1.0, 0.0]), 0.0, lambda t, y: y[0] + 0.5,
        method=method, options=options(method, h), reverse_time=back, **settings,
    )  # fmt: skip
    sign = -1 if back else 1
    error = 3e-3 if METHODS[method].order == 1 else 3e-4 if METHODS[method].order == 2 else 1e-6
    assert t == pytest.approx(sign * 2 * pi / 3, abs=error)
    np.testing.assert_allclose(ys, [[1, 0], [-0.5, -sign * sqrt(0.75)]], atol=error)
    assert abs(ys[1, 0] + 0.5) < 1e-13  # on the event surface to round-off, however coarse the step


@each_twin
def test_a_start_that_is_not_at_zero_and_an_event_in_t_alone(twin):
    t, ys = until(twin, lambda t, y: 2 * t + 0 * y, twin.array([[9.0]]), 3.0, lambda t, y: t * t - 25)
    assert t == pytest.approx(5, abs=1e-12)
    np.testing.assert_allclose(ys, [[[9.0]], [[25.0]]], rtol=1e-9)


@each_twin
def test_single_precision(twin):
    module = torch_ode if twin is TORCH else numpy_ode
    y0 = twin.array([1.0, 0.0], "float32")
    t, ys = module.odeint_event(OSCILLATOR.func(twin.xp), y0, 0.0, event_fn=lambda t, y: y[0] + 0.5)
    assert ys.dtype == y0.dtype
    assert ys.shape == (2, 2)
    assert t.ndim == 0
    assert float(t) == pytest.approx(2 * pi / 3, abs=3e-5)
    assert abs(float(ys[1, 0]) + 0.5) < 3e-7


def test_single_precision_of_time_and_gradient_in_torch():
    y0 = torch.tensor([1.0, 0.0], requires_grad=True)
    t, ys = torch_ode.odeint_event(OSCILLATOR.func(torch), y0, torch.tensor(0.0), event_fn=lambda t, y: y[0] + 0.5)
    assert t.dtype == ys.dtype == torch.float32
    (gradient,) = torch.autograd.grad(t, y0)  # y0 cos t + v0 sin t = -1/2
    np.testing.assert_allclose(gradient, [np.cos(2 * pi / 3) / np.sin(2 * pi / 3), 1], rtol=1e-4)


@each_twin
def test_complex_state(twin):
    """The real part of e^(it) is zero at π/2."""
    t, ys = until(twin, lambda t, y: 1j * y, twin.array([1.0], "complex128"), 0.0, lambda t, y: y.real)
    assert t == pytest.approx(pi / 2, abs=1e-7)
    np.testing.assert_allclose(ys[1], [1j], atol=1e-7)


@each_way
def test_event_fn_as_a_keyword(way):
    """As in torchdiffeq t[1] gives no more than the direction."""
    func, event, y0 = OSCILLATOR.func(way.xp), lambda t, y: y[0] + 0.5, way.array([1.0, 0.0])
    more: Any = {} if way.kind == "odeint" else {"adjoint_params": ()}
    module = torch_ode if way.twin == "torch" else numpy_ode
    for times, back in (([0.0, 0.1], False), ([0.0, -9.0, -10.0], True)):
        t, ys = way.solver(func, y0, way.array(times), event_fn=event, **more)
        same_t, same = module.odeint_event(func, y0, 0.0, event_fn=event, reverse_time=back)
        assert float(t) == float(same_t)
        np.testing.assert_array_equal(ys, same)
    with pytest.raises(ValueError, match="t must increase or decrease strictly"):
        way.solver(func, y0, way.array([1.0, 1.0]), event_fn=event, **more)


# --- beside torchdiffeq -----------------------------------------------------------------------------------------------


def pendulum_event(interface, module, back, **settings):
    """A pendulum, its state a tuple, passes -0.4: the time, the state, and a gradient in y0 and the length."""
    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (1.0, 0.2, 1.3)]
    q, v, length = leaves
    t, (qs, vs) = module.odeint_event(
        lambda t, y: (y[1], -torch.sin(y[0]) / length),
        (q, v),
        torch.tensor(0.5, dtype=torch.float64),
        event_fn=lambda t, y: y[0] + 0.4,
        reverse_time=back,
        odeint_interface=getattr(module, interface),
        **({} if interface == "odeint" else {"adjoint_params": (length,)}),
        **settings,
    )
    assert t.dtype == torch.float64
    assert t.shape == ()
    assert qs.shape == vs.shape == (2,)
    gradient = torch.autograd.grad(t + 2 * vs[1] + qs[1] + qs[0], leaves)
    return np.array([x.item() for x in (t, qs[1], vs[1], *gradient)])


@cache
def torchdiffeqs(method, back, tolerance):
    return pendulum_event("odeint", torchdiffeq, back, method=method, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("interface", ["odeint", "odeint_adjoint", "odeint_checkpoint"])
@pytest.mark.parametrize("method", ["dopri5", "bosh3", "dopri8"])
def test_time_states_and_gradients_are_as_near_to_the_truth_as_those_of_torchdiffeq(method, interface, back):
    truth, theirs = torchdiffeqs("dopri5", back, 1e-11), torchdiffeqs(method, back, 1e-7)
    ours = pendulum_event(interface, torch_ode, back, method=method, rtol=1e-7, atol=1e-7)
    assert np.abs(ours - truth).max() <= np.abs(theirs - truth).max() + 2e-6
    assert ours[1] == pytest.approx(-0.4, abs=1e-13)  # on the event surface, whatever the tolerance


def test_several_entries_as_in_torchdiffeq():
    def event(t, y):
        return torch.stack([y[0] - 3, y[1] + 0.5, 4 - t])  # the second comes first

    y0, t0 = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)
    (t, ys), (t1, ys1) = (
        library.odeint_event(OSCILLATOR.func(torch), y0, t0, event_fn=event, rtol=1e-9, atol=1e-10)
        for library in (torchdiffeq, torch_ode)
    )
    assert float(t) == pytest.approx(float(t1), abs=1e-8)
    np.testing.assert_allclose(ys, ys1, atol=1e-8)
    assert float(t1) == pytest.approx(pi / 6, abs=1e-8)


# --- gradients --------------------------------------------------------------------------------------------------------


def ball(way, gravity, restitution, height, bounces=5, **settings):
    """The time of the last bounce of a ball that is let fall from this height."""
    module = torch_ode if way.twin == "torch" else numpy_ode

    def fall(t, y, *params):
        return way.xp.stack([y[1], -(params[0] if params else gravity)])

    named: Any = {} if way.kind == "odeint" else {"adjoint_params": (gravity,)}
    func = fall if way.twin == "numpy" and named else lambda t, y: fall(t, y, gravity)
    t, y = 0.0, way.xp.stack([height, 0.0 * height])
    for _ in range(bounces):
        t, ys = module.odeint_event(
            func, y, t, event_fn=lambda t, y: y[0], odeint_interface=way.solver, **named, **settings
        )
        y = way.xp.stack([ys[1][0], -restitution * ys[1][1]])
    return t


def closed_ball(gravity, restitution, height):
    return (2 * height / gravity) ** 0.5 * (1 + 2 * sum(restitution**k for k in range(1, 5)))


def gradients(way, f, args):
    """The value of f and its gradient in each of args."""
    if way.twin == "numpy":
        value, gradient = autograd.value_and_grad(f, tuple(range(len(args))))(*args)  # type: ignore[arg-type]
        return float(value), np.array(gradient)
    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in args]
    value = f(*leaves)
    return value.item(), np.array([float(g) for g in torch.autograd.grad(value, leaves)])


def differences(f, args, h=1e-6):
    """Central differences of f in each of args."""
    shifted = [[[a + s * h * (i == j) for j, a in enumerate(args)] for s in (1, -1)] for i in range(len(args))]
    return np.array([(float(f(*up)) - float(f(*down))) / (2 * h) for up, down in shifted])


@pytest.mark.parametrize(
    "settings", [{}, {"method": "rk4", "options": {"step_size": 0.3}}], ids=["dopri5", "rk4"]
)  # fmt: skip
@each_way
def test_the_fifth_bounce_and_its_gradient_in_gravity_restitution_and_height(way, settings):
    args = (9.81, 0.8, 10.0)
    value, gradient = gradients(way, lambda *args: ball(way, *args, **settings), args)
    assert value == pytest.approx(closed_ball(*args), rel=1e-12)
    np.testing.assert_allclose(gradient, autograd.grad(closed_ball, (0, 1, 2))(*args), rtol=1e-10)  # type: ignore[arg-type]
    numbers = ball(Way("numpy", "odeint"), *args, **settings)
    assert value == pytest.approx(float(numbers), rel=1e-13)  # with gradient or without, the same time
    slopes = differences(lambda *args: ball(Way("numpy", "odeint"), *args, **settings), args)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-7)


def driven(way, q, v, t0, k, level, **settings):
    """Something of the event's time and state: a driven pendulum against a level that rises with time."""
    module, xp = torch_ode if way.twin == "torch" else numpy_ode, way.xp

    def swing(t, y, *params):
        stiffness = params[0] if params else k
        return xp.stack([y[1], -stiffness * xp.sin(y[0]) + 0.3 * xp.cos(as_array(way, 2 * t))])

    named: Any = {} if way.kind == "odeint" else {"adjoint_params": (k,)}
    func = swing if way.twin == "numpy" and named else lambda t, y: swing(t, y, k)
    t, ys = module.odeint_event(
        func, xp.stack([q, v]), t0, event_fn=lambda t, y: y[0] + 0.1 * y[1] - level * t * t,
        odeint_interface=way.solver, **named, **settings,
    )  # fmt: skip
    return 2 * t + ys[1][0] * ys[1][1] + 3 * ys[1][1] + ys[0][0] ** 2


def as_array(way, t):
    return torch.as_tensor(t) if way.twin == "torch" else t


DRIVEN = (1.0, 0.2, 0.4, 1.7, 0.05)
TIGHT: Any = {"rtol": 1e-11, "atol": 1e-12}


@each_way
def test_gradient_in_start_time_parameter_and_what_event_fn_alone_uses(way):
    value, gradient = gradients(way, lambda *args: driven(way, *args, **TIGHT), DRIVEN)
    plain = Way("numpy", "odeint")
    assert value == pytest.approx(float(driven(plain, *DRIVEN, **TIGHT)), abs=1e-12)
    slopes = differences(lambda *args: driven(plain, *args, **TIGHT), DRIVEN, h=1e-4)
    np.testing.assert_allclose(gradient, slopes, rtol=3e-7)


@pytest.mark.parametrize("method", ["rk4", "adams_bashforth", "implicit_adams", "midpoint"])
@pytest.mark.parametrize("way", [way for way in WAYS if way.kind != "odeint_adjoint"], ids=str)
def test_gradient_of_coarse_steps_is_that_of_the_event_as_computed(way, method):
    """Not that of the exact flow: the event's slope is taken on the dense output that the event was found on."""
    settings: Any = {"method": method, "options": {"step_size": 0.3}, "rtol": 1e-13, "atol": 1e-13}
    args = DRIVEN[:2] + DRIVEN[3:]

    def value(way, q, v, k, level):
        return driven(way, q, v, 0.4, k, level, **settings)

    _, gradient = gradients(way, lambda *args: value(way, *args), args)
    np.testing.assert_allclose(
        gradient, differences(lambda *args: value(Way("numpy", "odeint"), *args), args), rtol=2e-8
    )


@each_way
def test_gradient_where_only_the_start_or_only_event_fn_asks_for_one(way):
    """y = 2 e^(t - t0) is at the level, the second of three entries, at t0 + log(level / 2), where y' is the level."""
    module, xp = torch_ode if way.twin == "torch" else numpy_ode, way.xp
    named: Any = {"odeint_interface": way.solver} | ({} if way.kind == "odeint" else {"adjoint_params": ()})

    def time_and_state(t0, level):
        t, ys = module.odeint_event(
            lambda t, y, *_: y, way.array(2.0), t0,
            event_fn=lambda t, y: xp.stack([y - 9, y - level, y + 1]), **named, **TIGHT,
        )  # fmt: skip
        return t + 0.5 * ys[1]

    value, gradient = gradients(way, lambda t0: time_and_state(t0, way.array(3.0)), (0.4,))
    assert value == pytest.approx(0.4 + log(1.5) + 1.5, abs=1e-9)
    np.testing.assert_allclose(gradient, [1], rtol=1e-9)
    value, gradient = gradients(way, lambda level: time_and_state(0.4, level), (3.0,))
    assert value == pytest.approx(0.4 + log(1.5) + 1.5, abs=1e-9)
    np.testing.assert_allclose(gradient, [1 / 3 + 0.5], rtol=1e-9)


@each_way
def test_the_solve_for_the_gradient_takes_the_steps_of_the_search_and_leaves_its_values(way):
    """Without being told, its first step would be another here, as it knows its end; so is that of the adjoint."""
    module, xp, raw = torch_ode if way.twin == "torch" else numpy_ode, way.xp, []

    @wraps(way.solver)
    def solver(*args, **settings):
        ys = way.solver(*args, **settings)
        raw.append(float(ys[1].detach() if way.twin == "torch" else getval(ys[1])))
        return ys

    def state(y0):
        return module.odeint_event(
            lambda t, y: 1e-3 + 100 * xp.sin(as_array(way, 10 * t)) * xp.cos(y), y0, 0.0,
            event_fn=lambda t, y: y - 100.01, odeint_interface=solver, rtol=1e-7, atol=1e-7, **named,
        )[1][1]  # fmt: skip

    named: Any = {} if way.kind == "odeint" else {"adjoint_params": ()}
    value, gradient = gradients(way, state, (100.0,))
    beside = abs(raw[-1] - 100.01)
    assert beside > 1e-6 if way.kind == "odeint_adjoint" else beside < 1e-12
    assert value == pytest.approx(100.01, abs=1e-12)
    np.testing.assert_allclose(gradient, [0], atol=1e-12)  # the surface stays where it is


@pytest.mark.parametrize("name", NAMES)
def test_gradient_back_in_time(name):
    """y = y0 e^(t - t0) is 1 at t0 - log y0."""
    way = Way(name, "odeint")
    module = torch_ode if name == "torch" else numpy_ode

    def time(y0, t0):
        t, _ = module.odeint_event(lambda t, y: y, y0, t0, event_fn=lambda t, y: y - 1, reverse_time=True, **TIGHT)
        return t

    value, gradient = gradients(way, time, (3.0, 0.7))
    assert value == pytest.approx(0.7 - log(3), abs=1e-10)
    np.testing.assert_allclose(gradient, [-1 / 3, 1], rtol=1e-8)


def test_gradient_of_a_complex_state_in_torch():
    """Re y0 e^(it) is zero at π/2 - arg y0."""
    y0 = torch.tensor([1.0 + 0.5j], dtype=torch.complex128, requires_grad=True)
    t, ys = torch_ode.odeint_event(lambda t, y: 1j * y, y0, 0.0, event_fn=lambda t, y: y.real, **TIGHT)
    (gradient,) = torch.autograd.grad(t + ys[1].imag.sum(), y0)
    r = sqrt(1.25)
    np.testing.assert_allclose(gradient.numpy(), [(0.5 - 1j) / 1.25 + (1 + 0.5j) / r], rtol=1e-8)


def test_module_and_its_parameters_in_torch():
    torch.manual_seed(0)
    net = torch.nn.Linear(2, 2).double()

    class Flow(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, t, y):
            return torch.tanh(self.net(y)) + torch.tensor([1.0, 0.5], dtype=torch.float64)

    found = []
    for kind in ("odeint", "odeint_adjoint", "odeint_checkpoint"):
        t, ys = torch_ode.odeint_event(
            Flow(), torch.zeros(2, dtype=torch.float64), 0.0, event_fn=lambda t, y: y.sum() - 1,
            odeint_interface=getattr(torch_ode, kind), **TIGHT,
        )  # fmt: skip
        grads = torch.autograd.grad(t + ys[1, 0], list(net.parameters()))
        found.append(torch.cat([g.reshape(-1) for g in grads]).numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-7)
    np.testing.assert_allclose(found[0], found[2], rtol=1e-12)
    with torch.no_grad():
        t, ys = torch_ode.odeint_event(
            Flow(), torch.zeros(2, dtype=torch.float64), 0.0, event_fn=lambda t, y: y.sum() - 1
        )
    assert not t.requires_grad
    assert not ys.requires_grad


@each_way
def test_second_derivatives_are_refused(way):
    """log(3 / y0) has 1 / y0² as its second derivative, and would get zero."""
    module = torch_ode if way.twin == "torch" else numpy_ode
    named: Any = {"odeint_interface": way.solver} | ({} if way.kind == "odeint" else {"adjoint_params": ()})

    def time(y0):
        return module.odeint_event(lambda t, y: y, y0, 0.0, event_fn=lambda t, y: y - 3, **named)[0]

    y0 = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    twice = {
        "numpy": lambda: autograd.grad(autograd.grad(time))(2.0),  # type: ignore[arg-type]
        "torch": lambda: torch.autograd.grad(time(y0), y0, create_graph=True),
    }
    with pytest.raises((TypeError, RuntimeError), match="first derivatives"):
        twice[way.twin]()


# --- a start on the event surface -------------------------------------------------------------------------------------


@pytest.mark.parametrize("height", [0.0, -1e-12, 1e-12])
@each_twin
def test_a_ball_that_leaves_the_ground_comes_down(twin, height):
    """Round-off on either side of the ground is the ground."""
    t, _ = until(
        twin, lambda t, y: twin.xp.stack([y[1], 0 * y[1] - 2]), twin.array([height, 3.0]), 1.0, lambda t, y: y[0]
    )
    assert t == pytest.approx(1 + 3, abs=1e-9)


@pytest.mark.parametrize("offset", [0.0, -1e-12, 1e-12])
@each_twin
def test_crossings_are_counted_from_one_to_the_next(twin, offset):
    """sin t: each solve begins where the last one ended, on the surface, and goes on through it."""
    func, t, y = OSCILLATOR.func(twin.xp), 0.0, np.array([offset, 1.0])
    for n in (1, 2, 3):
        t, ys = until(twin, func, twin.array(y), t, lambda t, y: y[0], rtol=1e-10, atol=1e-11)
        y = ys[1]
        assert t == pytest.approx(n * pi, abs=1e-8)


@each_twin
def test_an_event_in_t_alone_restarts(twin):
    t = 0.0
    for n in (1, 2, 3):
        t, _ = until(twin, grow, twin.array([0.0]), t, lambda t, y: np.sin(pi * float(t)) + 0 * y)
        assert t == pytest.approx(n, abs=1e-9)


@each_twin
def test_an_event_in_t_alone_restarts_while_the_state_stands_still(twin):
    """sin π is 1e-16 and falling: the sign is taken a little later than at the start."""
    settings = {"method": "rk4", "options": {"step_size": 0.1, "max_num_steps": 20}}
    for t0 in (1.0, 2.0, 7.0):
        t, _ = until(
            twin, lambda t, y: 0 * y, twin.array([1.0]), t0, lambda t, y: np.sin(pi * float(t)) * y, **settings
        )
        assert t == pytest.approx(t0 + 1, abs=1e-12)


@each_twin
def test_an_event_nearer_than_the_tolerance_is_not_seen_and_one_farther_is(twin):
    """y' = 1 from 1: the tolerance is atol + rtol |y| = 2e-5, and the state takes 2e-5 to move by it."""
    settings: Any = {"rtol": 1e-5, "atol": 1e-5, "options": {"max_num_steps": 30}}
    t, _ = until(twin, grow, twin.array([1.0]), 0.0, lambda t, y: y - (1 + 2.1e-5), **settings)
    assert t == pytest.approx(2.1e-5, rel=1e-9)
    with pytest.raises(MaxStepsReached):
        until(twin, grow, twin.array([1.0]), 0.0, lambda t, y: y - (1 + 1.9e-5), **settings)
    t, _ = until(twin, grow, twin.array([1.0]), 0.0, lambda t, y: (y - (1 + 1.9e-5)) * (y - (1 + 2.5e-5)), **settings)
    assert t == pytest.approx(2.5e-5, rel=1e-9)  # and not the zero before, which the same look encloses


@each_twin
def test_a_clock_is_seen_although_the_state_hardly_moves(twin):
    """In the time that the state takes to move by its tolerance, 1e5, much may happen."""
    t, _ = until(twin, lambda t, y: 1e-12 + 0 * y, twin.array([1.0]), 0.0, lambda t, y: 0.5 - t + 0 * y)
    assert t == pytest.approx(0.5, abs=1e-12)
    t, _ = until(twin, lambda t, y: 0 * y, twin.array([1.0]), 1e4, lambda t, y: 1e4 + 1e-3 - t + 0 * y)
    assert t == pytest.approx(1e4 + 1e-3, abs=1e-10)


@each_twin
def test_an_event_soon_after_a_start_from_which_the_state_takes_off(twin):
    """y' = 1e-3 + 1e3 t: at the speed of the start the state would need 1e-2 to move by its tolerance, 1e-5."""
    settings = {"rtol": 1e-7, "atol": 1e-7, "options": {"first_step": 1.0}}
    t, ys = until(
        twin, lambda t, y: 1e-3 + 1e3 * t + 0 * y, twin.array([100.0]), 0.0, lambda t, y: y - 100.001, **settings
    )
    assert ys[1, 0] == pytest.approx(100.001, abs=1e-12)
    assert 1e-3 * t + 500 * t * t == pytest.approx(1e-3, abs=1e-8)


@each_twin
def test_a_state_at_rest_on_the_surface_takes_its_sign_when_it_moves(twin):
    """y' = t is 0 at 0: t²/2, then back below 8 by a second entry."""
    t, _ = until(
        twin,
        lambda t, y: t + 0 * y,
        twin.array([0.0]),
        0.0,
        lambda t, y: twin.xp.stack([y[0] * (8 - y[0]), 100 - y[0]]),
    )
    assert t == pytest.approx(4, abs=1e-6)


# --- what can be missed, and what cannot ------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [0.3, 0.2])
@each_twin
def test_two_changes_within_a_step_are_seen_if_a_look_falls_between_them(twin, width):
    """Euler's step from 0 to 1 passes the window (0.5 - width, 0.5 + width / 10): the look at 0.5 sees it."""
    t, _ = until(
        twin, grow, twin.array([0.0]), 0.0, lambda t, y: (y[0] - 0.5 + width) * (y[0] - 0.5 - width / 10),
        method="euler", options={"step_size": 1.0},
    )  # fmt: skip
    assert t == pytest.approx(0.5 - width, abs=1e-12)


@each_twin
def test_two_changes_between_two_looks_are_missed_until_the_step_is_shorter(twin):
    def window(t, y):
        return (y[0] - 0.3) * (y[0] - 0.4)

    settings: Any = {"method": "euler", "options": {"step_size": 1.0, "max_num_steps": 5}}
    with pytest.raises(MaxStepsReached, match=re.escape("the event was not reached by t = 5")):
        until(twin, grow, twin.array([0.0]), 0.0, window, **settings)
    settings["options"]["step_size"] = 0.3
    assert until(twin, grow, twin.array([0.0]), 0.0, window, **settings)[0] == pytest.approx(0.3, abs=1e-12)


@each_twin
def test_of_several_entries_the_first_ends_the_solve_and_any_shape_will_do(twin):
    levels = twin.array([[0.9, 0.3], [0.7, 2.0]])
    t, _ = until(
        twin, grow, twin.array([0.0]), 0.0, lambda t, y: levels - y, method="euler", options={"step_size": 4.0}
    )
    assert t == pytest.approx(0.3, abs=1e-12)


@pytest.mark.parametrize("settings", [{}, {"method": "rk4", "options": {"step_size": 0.5}}], ids=["dopri5", "rk4"])
@each_twin
def test_an_event_that_is_never_reached(twin, settings):
    options = settings.get("options", {}) | {"max_num_steps": 40}
    with pytest.raises(
        MaxStepsReached, match=r"not reached by t = .*kept its sign over \d+ steps from t = 0\. .*reverse"
    ):
        until(
            twin, OSCILLATOR.func(twin.xp), twin.array([1.0, 0.0]), 0.0, lambda t, y: y[0] - 2,
            **{**settings, "options": options},
        )  # fmt: skip


@each_twin
def test_a_state_that_stands_still_never_gets_there(twin):
    """Its steps grow until the interval ends, far away."""
    with pytest.raises(MaxStepsReached, match=re.escape("the event was not reached by t = 1e+30")):
        until(twin, lambda t, y: 0 * y, twin.array([1.0]), 0.0, lambda t, y: y - 2)


# --- tangents ---------------------------------------------------------------------------------------------------------


@each_way
def test_a_path_tangent_to_the_surface_has_an_event_but_no_gradient(way):
    """y = t - 1 through y³ = 0: the sign changes, the slope is zero."""
    module = torch_ode if way.twin == "torch" else numpy_ode
    named: Any = {"odeint_interface": way.solver} | ({} if way.kind == "odeint" else {"adjoint_params": ()})

    def time(y0):
        return module.odeint_event(grow, y0, 0.0, event_fn=lambda t, y: y**3, **named)[0]

    assert float(time(way.array(-1.0))) == pytest.approx(1, abs=1e-4)
    with pytest.raises(TangentEvent, match=r"slope dg/dt = .* at the event, t = 1, .* no gradient"):
        gradients(way, time, (-1.0,))


@each_twin
def test_a_path_that_touches_the_surface_without_crossing_it_passes(twin):
    """1 - cos t touches 0 at 2π; the second entry ends the solve later."""
    t, _ = until(
        twin, OSCILLATOR.func(twin.xp), twin.array([1.0, 0.0]), 1.0,
        lambda t, y: twin.xp.stack([1.0001 - y[0], 10 - t + 0 * y[0]]), method="rk4", options={"step_size": 0.1},
    )  # fmt: skip
    assert t == pytest.approx(10, abs=1e-9)


# --- bad arguments ----------------------------------------------------------------------------------------------------

BAD_EVENTS = {
    "bool": (lambda t, y: y[0] > 1, TypeError, "event_fn must return real floating-point numbers, got"),
    "complex": (lambda t, y: 1j * y, TypeError, "event_fn must return real floating-point numbers, got"),
    "nothing": (lambda t, y: y[:0], ValueError, "event_fn returns nothing, shape (0,): there is no sign to watch"),
    "nan": (lambda t, y: y * float("nan"), NonFiniteState, "event_fn returns nan or inf at t = 0"),
    "nan later": (lambda t, y: (0.5 - y) ** 0.5, NonFiniteState, "event_fn returns nan or inf at t = "),
}


@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize(("event", "error", "message"), BAD_EVENTS.values(), ids=BAD_EVENTS)
@each_twin
def test_what_event_fn_must_return(twin, event, error, message):
    with pytest.raises(error, match=re.escape(message)):
        until(twin, grow, twin.array([0.0]), 0.0, event)


def test_event_fn_must_return_tensors_with_gradient_in_torch():
    y0 = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    with pytest.raises(TypeError, match="event_fn must return a tensor, got float: use torch operations"):
        torch_ode.odeint_event(grow, y0, 0.0, event_fn=lambda t, y: float(y) - 1)
    with pytest.raises(TypeError, match=re.escape("without gradient: no item(), detach() or no_grad() in it")):
        torch_ode.odeint_event(grow, y0, 0.0, event_fn=lambda t, y: torch.tensor(float(y.detach()) - 1))


@pytest.mark.parametrize("method", [name for name in OWN if not METHODS[name].adaptive])
@each_twin
def test_fixed_steps_need_their_size(twin, method):
    with pytest.raises(ValueError, match=re.escape(f'{method} needs options={{"step_size": …}} with event_fn')):
        until(twin, grow, twin.array([0.0]), 0.0, lambda t, y: y - 1, method=method)


@pytest.mark.parametrize("method", [*SCIPY, "scipy_solver"])
@each_twin
def test_scipys_methods_are_refused(twin, method):
    with pytest.raises(TypeError, match='takes no event_fn, as SciPy needs an end time: use method="dopri5"'):
        until(twin, grow, twin.array([0.0]), 0.0, lambda t, y: y - 1, method=method)


@each_twin
def test_other_bad_arguments(twin):
    y0 = twin.array([0.0])
    with pytest.raises(ValueError, match=re.escape("t0 must be one time, got shape (2,)")):
        until(twin, grow, y0, twin.array([0.0, 1.0]), lambda t, y: y - 1)
    with pytest.raises(TypeError, match="tolerance"):
        until(twin, grow, y0, 0.0, lambda t, y: y - 1, tolerance=1e-3)
    with pytest.raises(ValueError, match="method 'dopri' is unknown; did you mean"):
        until(twin, grow, y0, 0.0, lambda t, y: y - 1, method="dopri")
    with pytest.raises(ValueError, match="option 'max_num_steps' must be a positive number"):
        until(twin, grow, y0, 0.0, lambda t, y: y - 1, method="rk4", options={"step_size": 1.0, "max_num_steps": -1})


# --- the enclosure of a zero ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("g", "zero", "most"),
    [
        (lambda x: np.cos(2 * x), pi / 4, 12),
        (lambda x: 0.5 - np.sin(x), asin(0.5), 12),
        (lambda x: 1.0 - x, 1.0, 12),
        (lambda x: 1.0 if x < 0.123 else -1.0, 0.123, 51),
        (lambda x: (0.3 - x) ** 9, 0.3, 51),
        (lambda x: np.exp(-600 * x) - 1e-150, log(1e150) / 600, 51),
    ],
)
def test_enclosure_is_exact_and_never_much_slower_than_bisection(g, zero, most):
    calls = []
    found = enclose(lambda x: calls.append(x) or g(x), 0.0, 1.0, g(0.0), g(1.0))
    assert found == pytest.approx(zero, abs=1e-14)
    assert g(found) <= 0
    assert len(calls) <= most
    assert all(0 <= x <= 1 for x in calls)


def test_looks_end_with_the_step():
    assert events.LOOKS[-1] == 1
    assert sorted(events.LOOKS) == list(events.LOOKS)
