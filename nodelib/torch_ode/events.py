"""Events: solve until a function g(t, y) changes its sign, and the derivative of the time at which it does.

The event's time t* is where g(t*, y(t*)) = 0. By the implicit function theorem it moves with anything that moves g,

    dt* = -dg / (∂g/∂t + ∂g/∂y y'),     dy* = dy + y' dt*,

dg and dy being the changes at a fixed time: those of y0, t0 and the parameters, through an ordinary solve to t*.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from inspect import signature
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib.common.arguments import FAR, check_times
from nodelib.common.events import (
    LOOKS,
    Crossing,
    at,
    check_finite,
    check_form,
    event_settings,
    first_crossing,
    rtol_in_time,
    settings_of_second_solve,
)
from nodelib.torch_ode.compiling.compiled import asked_for, left_aside
from nodelib.torch_ode.each import refuse_each
from nodelib.torch_ode.forms import Form
from nodelib.torch_ode.inputs import as_times
from nodelib.torch_ode.modes import entrance
from nodelib.torch_ode.problem import Func, Problem, instant, prepare, real
from nodelib.torch_ode.solve import odeint, steps
from nodelib.torch_ode.steps import Segment, like


@entrance
def odeint_event(
    func: Func,
    y0: Any,
    t0: Any,
    *,
    event_fn: Func,
    reverse_time: bool = False,
    odeint_interface: Callable[..., Any] = odeint,
    **settings: Any,
) -> tuple[Tensor, Any]:
    """Solve y' = func(t, y), y(t0) = y0, until event_fn(t, y) changes its sign: (event_t, states).

    t0:        one time, a tensor (its gradient is given) or a number. reverse_time: go backward from it.
    event_fn:  (t: 0-d tensor, y: like y0) -> real tensor of any shape; the first entry that changes its sign ends the
               solve.
    odeint_interface: odeint, odeint_adjoint or odeint_checkpoint: how gradients are made.
    settings:  those of that solver: method, rtol, atol, options …; fixed steps need the option step_size.

    Returns event_t, 0-d, of t0's dtype (float64 for a number) and device; and the states at t0 and at the event, shape
    (2, *y0.shape), for a tuple y0 a tuple. Both are differentiable, once, in y0, t0 and all parameters, those that
    event_fn alone uses too, so that a solve may begin at event_t from what the state there has been made into. Without
    a gradient there is one solve; for one, a second.

    The sign is read at every quarter of a step, on the dense output, and the zero there is enclosed to round-off. A
    sign that changes twice between two looks is missed: set max_step, or shorten step_size. func is also
    evaluated beyond the event, in the step that it falls into. A start on the event surface is no event: the sign that
    must change is the one a little after the start, where the state has moved by its tolerance, atol + rtol |y| (or the
    part rtol of the first step has passed, if time alone would change the sign sooner). So a ball that has just bounced
    flies until it comes down, and an event nearer to the start than that is not seen.

    After torchdiffeq 0.2.5, which reads the sign at the end of each step only, starts from the sign at t0 itself, and
    gives no gradient to what event_fn uses beside t and y.

    Raises what ``solve`` raises; MaxStepsReached when the event is not reached within the option max_num_steps
    (100,000; here for fixed steps too); NonFiniteState when event_fn is nan or inf, TypeError or ValueError when it
    returns no real numbers; TypeError for SciPy's methods. A gradient where the path is tangent to the event surface,
    dg/dt = 0, raises TangentEvent.
    """
    refuse_each(settings.get("options"), "odeint_event")
    if asked_for(settings.get("options")):
        settings["options"] = left_aside(func, settings["options"], "events are looked for within each step")
    signature(odeint_interface).bind(func, y0, t0, **settings)  # an unknown setting is an error at once
    settings, limit = event_settings(settings)
    t0 = one_time(t0)
    start = float(t0.detach())
    asked = [settings.get(name) for name in ("method", "rtol", "atol", "options")]
    span = [start, start + (-FAR if reverse_time else FAR)]
    problem = prepare(func, y0, span, *asked)  # type: ignore[arg-type]
    found, y = find_event(problem, event_fn, limit)
    graph = problem.graph or event_fn(instant(found.t, y), problem.form.unflatten(y)).requires_grad
    if not (graph or (t0.requires_grad and torch.is_grad_enabled())):
        event_t, ys = torch.full((), found.t, dtype=torch.float64, device=t0.device), torch.stack([problem.y0, y])
    else:
        t = torch.cat([t0.double()[None], torch.tensor(found.times, dtype=torch.float64, device=t0.device)])
        again = settings_of_second_solve(settings, odeint_interface, problem.log[0].h)
        states = odeint_interface(func, y0, t, **again)
        y0, y1 = (problem.form.flatten(states_at(states, i)) for i in (0, 1))
        y = y + (y1 - y1.detach())  # the search's value, the solver's gradient
        event_t, ys = moved(found, event_fn, problem.form, y0, y)
    return event_t.to(t0), problem.form.unflatten(ys)


def states_at(states: Any, i: int) -> Any:
    """The state at the i-th time, of one tensor of states or a tuple of such."""
    return states[i] if isinstance(states, Tensor) else tuple(part[i] for part in states)


def odeint_until(odeint_interface: Callable[..., Any], func: Func, y0: Any, t: Any, event_fn: Func, **settings: Any):
    """What odeint(…, t, event_fn=event_fn) means: ``odeint_event`` from t[0] in the direction of t[1]."""
    t = as_times(t)
    numbers = t.detach().double()
    check_times(numbers.reshape(-1).tolist(), numbers.ndim, fewest=2)
    back = bool(numbers[1] < numbers[0])
    settings |= {"odeint_interface": odeint_interface}
    return odeint_event(func, y0, t[0], event_fn=event_fn, reverse_time=back, **settings)


def one_time(t0: Any) -> Tensor:
    """t0 as a 0-d tensor."""
    t0 = as_times(t0)
    if t0.numel() != 1:
        raise ValueError(f"t0 must be one time, got shape {tuple(t0.shape)}")
    return t0.reshape(())


@torch.no_grad()
def find_event(problem: Problem, event_fn: Func, limit: float) -> tuple[Crossing, Tensor]:
    """The first event after problem.times[0], and the flat state there, without gradient."""
    y0, f0, form = problem.y0.detach(), problem.f0.detach(), problem.form
    problem = replace(problem, y0=y0, f0=f0, graph=False)

    def values(segment: Segment, times: list[float]) -> np.ndarray:
        states = zip(times, segment.at(np.array(times)), strict=True)
        return read([event_fn(instant(s, y), form.unflatten(y)) for s, y in states])

    t0 = problem.times[0]
    check_finite(read([event_fn(instant(t0, y0), form.unflatten(y0))])[0], t0)  # before any work
    found = first_crossing(steps(problem), values, partial(leaving, problem, event_fn), t0, limit)
    return found, found.segment.at(np.array([found.t]))[0]


def leaving(problem: Problem, event_fn: Func, segment: Segment) -> float:
    """How far into its first step, a fraction of it, the path has left its start: y has moved by its tolerance.

    Where time alone changes a sign sooner, as a clock does beside a slow state, it is the part rtol of the step.
    """
    y0, norm, t0 = problem.y0, problem.norm, segment.t
    speed, scale = norm(problem.f0), norm(problem.atol + problem.rtol * y0.abs())
    a = min(LOOKS[0] / 2, scale / (speed * abs(segment.h)) if speed else inf)
    while norm(segment.at(np.array([at(segment, a)]))[0] - y0) > 2 * scale:  # where func grows fast from the start
        a /= 2
    before, after = np.sign(read([event_fn(instant(s, y0), problem.form.unflatten(y0)) for s in (t0, at(segment, a))]))
    rtol = float(problem.rtol.max()) if isinstance(problem.rtol, Tensor) else problem.rtol
    return a if np.array_equal(before, after) else min(a, rtol_in_time(rtol, t0, segment.h))


def read(found: list[Tensor]) -> np.ndarray:
    """The entries of what event_fn returned, a row each time, checked, as float64 without gradient."""
    for g in found:
        if not isinstance(g, Tensor):
            raise TypeError(f"event_fn must return a tensor, got {type(g).__name__}: use torch operations in event_fn")
        check_form(tuple(g.shape), str(g.dtype), g.is_floating_point())
    return torch.stack([g.reshape(-1) for g in found]).double().cpu().numpy()


def moved(found: Crossing, event_fn: Func, form: Form, y0: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The event's time and the states at the start and there, whose y is that at a fixed time, with dt* and dy*."""
    slope = slope_at(found.segment, found.t)
    g = entry_of(event_fn(instant(found.t, y), form.unflatten(y)), found)
    dt = Shift.apply(g, slope_of_event(found, event_fn, form, y.detach(), slope))
    return found.t + dt.double(), torch.stack([y0, y + slope * dt.to(real(y.dtype))])


def entry_of(g: Tensor, found: Crossing) -> Tensor:
    """The entry of g whose sign changes at the event."""
    return g.reshape(-1)[found.entry]


def slope_at(segment: Segment, s: float) -> Tensor:
    """y'(s) on the dense output: Σ_i w_i'(θ) k_i."""
    powers = np.arange(1, len(segment.dense) + 1)
    theta = (s - segment.t) / segment.h
    k = torch.stack(segment.k) if isinstance(segment.k, list) else segment.k
    return like(segment.y, powers * theta ** (powers - 1) @ segment.dense) @ k


@torch.enable_grad()
def slope_of_event(found: Crossing, event_fn: Func, form: Form, y: Tensor, slope: Tensor) -> float:
    """dg/dt = ∂g/∂t + ∂g/∂y y' along the path at the event."""
    s = instant(found.t, y).requires_grad_()
    g = entry_of(event_fn(s, form.unflatten(y + (s - s.detach()) * slope)), found)
    if not g.requires_grad:
        raise TypeError("event_fn returns a tensor without gradient: no item(), detach() or no_grad() in it")
    (rate,) = torch.autograd.grad(g, s, allow_unused=True)
    rate = 0.0 if rate is None else float(rate)
    found.check_slope(rate, torch.finfo(y.dtype).eps)
    return rate


class Shift(torch.autograd.Function):
    """-dg / rate: zero in value, as g is; it carries the gradient."""

    @staticmethod
    def forward(ctx, g, rate):
        ctx.rate = rate
        return torch.zeros_like(g)

    @staticmethod
    def backward(ctx, v):  # type: ignore[override]
        if torch.is_grad_enabled():
            raise RuntimeError("odeint_event gives first derivatives: the second ones of an event are not implemented")
        return -v / ctx.rate, None
