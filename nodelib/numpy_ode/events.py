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

import autograd.numpy as anp
import numpy as np
from autograd import make_vjp
from autograd.extend import defvjp, primitive
from autograd.tracer import getval, isbox

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
from nodelib.numpy_ode.inputs import as_params, as_times
from nodelib.numpy_ode.problem import Array, Counted, Func, Problem, prepare
from nodelib.numpy_ode.solve import odeint, steps
from nodelib.numpy_ode.steps import Segment, advance


def odeint_event(
    func: Callable[..., Any],
    y0: Any,
    t0: Any,
    *,
    event_fn: Func,
    reverse_time: bool = False,
    odeint_interface: Callable[..., Any] = odeint,
    **settings: Any,
) -> tuple[Any, Any]:
    """Solve y' = func(t, y), y(t0) = y0, until event_fn(t, y) changes its sign: (event_t, states).

    t0:        one time. reverse_time: go backward from it.
    event_fn:  (t: float, y: array like y0) -> real number or array of any shape; the first entry that changes its sign
               ends the solve. For gradients written, as func, in operations that autograd knows.
    odeint_interface: odeint, odeint_adjoint or odeint_checkpoint: how gradients are made.
    settings:  those of that solver: method, rtol, atol, options …; fixed steps need the option step_size.

    Returns event_t, 0-d, and the states at t0 and at the event, shape (2, *y0.shape). Both are differentiable by
    autograd, once, in y0, t0 and all parameters, those that event_fn alone uses too, so that a solve may begin at
    event_t from what the state there has been made into. Without a gradient there is one solve; for one, a second.

    The sign is read at every quarter of a step, on the dense output, and the zero there is enclosed to round-off. A
    sign that changes twice between two looks is missed: tighten the tolerances, or shorten step_size. func is also
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
    signature(odeint_interface).bind(func, y0, t0, **settings)  # an unknown setting is an error at once
    settings, limit = event_settings(settings)
    params, with_params = as_params(settings.get("adjoint_params", ()), func)
    t0 = one_time(t0)
    start = float(getval(t0))
    asked = [settings.get(name) for name in ("method", "rtol", "atol", "options")]
    span = [start, start + (-FAR if reverse_time else FAR)]
    problem = prepare(lambda t, y: with_params(t, y, *params), y0, span, *asked)  # type: ignore[arg-type]
    found, y = find_event(problem, event_fn, limit)
    boxed = problem.boxed or isbox(t0) or isbox(event_fn(found.t, y))
    if not boxed:
        return np.float64(found.t), np.stack([np.asarray(y0), y])
    again = settings_of_second_solve(settings, odeint_interface, problem.log[0].h)
    ys = odeint_interface(func, y0, anp.array([t0, *found.times]), **again)
    return moved(found, event_fn, ys[0], y + (ys[1] - getval(ys[1])))  # the search's value, the solver's gradient


def odeint_until(odeint_interface: Callable[..., Any], func: Func, y0: Any, t: Any, event_fn: Func, **settings: Any):
    """What odeint(…, t, event_fn=event_fn) means: ``odeint_event`` from t[0] in the direction of t[1]."""
    t = as_times(t)
    numbers = getval(t)
    check_times(numbers.reshape(-1).tolist(), numbers.ndim, fewest=2)
    back = bool(numbers[1] < numbers[0])
    settings |= {"odeint_interface": odeint_interface}
    return odeint_event(func, y0, t[0], event_fn=event_fn, reverse_time=back, **settings)


def one_time(t0: Any) -> Any:
    """t0 as a 0-d array, boxed or not."""
    if np.size(getval(t0)) != 1:
        raise ValueError(f"t0 must be one time, got shape {np.shape(getval(t0))}")
    return anp.reshape(t0, ())  # type: ignore[attr-defined]


def find_event(problem: Problem, event_fn: Func, limit: float) -> tuple[Crossing, Array]:
    """The first event after problem.times[0], and the state there, as numbers without gradient."""
    func, y0, f0 = problem.func, getval(problem.y0), getval(problem.f0)
    plain = Counted(lambda t, y: getval(func(t, y)), y0.shape)
    problem = replace(problem, func=plain, y0=y0, f0=f0, boxed=False)

    def values(segment: Segment, times: list[float]) -> Array:
        return np.stack([read(event_fn, s, segment.at(s, s).reshape(problem.shape)) for s in times])

    t0 = problem.times[0]
    check_finite(read(event_fn, t0, y0.reshape(problem.shape)), t0)  # before any work
    found = first_crossing(steps(problem), values, partial(leaving, problem, event_fn), t0, limit)
    return found, found.segment.at(found.t, found.t).reshape(problem.shape)


def leaving(problem: Problem, event_fn: Func, segment: Segment) -> float:
    """How far into its first step, a fraction of it, the path has left its start: y has moved by its tolerance.

    Where time alone changes a sign sooner, as a clock does beside a slow state, it is the part rtol of the step.
    """
    y0, norm, t0 = problem.y0, problem.norm, segment.t
    speed, scale = norm(problem.f0), norm(problem.atol + problem.rtol * np.abs(y0))
    a = min(LOOKS[0] / 2, scale / (speed * abs(segment.h)) if speed else inf)
    while norm(segment.at(s := at(segment, a), s) - y0) > 2 * scale:  # where func grows fast from the start
        a /= 2
    before, after = (np.sign(read(event_fn, s, y0.reshape(problem.shape))) for s in (t0, at(segment, a)))
    rtol = float(np.max(problem.rtol))
    return a if np.array_equal(before, after) else min(a, rtol_in_time(rtol, t0, segment.h))


def read(event_fn: Func, t: float, y: Array) -> Array:
    """The entries of event_fn in a row, checked, as float64 without gradient."""
    g = np.asarray(getval(event_fn(t, y)))
    check_form(g.shape, str(g.dtype), g.dtype.kind == "f")
    return g.reshape(-1).astype(float)


def moved(found: Crossing, event_fn: Func, y0: Any, y: Any) -> tuple[Any, Any]:
    """The event's time and the states at the start and there, whose y is that at a fixed time, with dt* and dy*."""
    slope: Any = slope_at(found.segment, found.t).reshape(np.shape(getval(y)))
    dt = shift(entry_of(event_fn(found.t, y), found), slope_of_event(found, event_fn, getval(y), slope))
    return np.float64(found.t) + dt, anp.stack([y0, y + slope * dt.astype(slope.real.dtype)])


def entry_of(g: Any, found: Crossing) -> Any:
    """The entry of g whose sign changes at the event."""
    return anp.reshape(g, -1)[found.entry]  # type: ignore[attr-defined]


def slope_at(segment: Segment, s: float) -> Array:
    """y'(s) on the dense output: Σ_i w_i'(θ) k_i."""
    powers = np.arange(1, len(segment.dense) + 1)
    theta = (s - segment.t) / segment.h
    return advance(0.0, 1.0, (powers * theta ** (powers - 1)).dot(segment.dense), segment.k)


def slope_of_event(found: Crossing, event_fn: Func, y: Array, slope: Array) -> float:
    """dg/dt = ∂g/∂t + ∂g/∂y y' along the path at the event."""

    def along(s: Any) -> Any:
        return entry_of(event_fn(s, y + (s - found.t) * slope), found)

    product, g = make_vjp(along)(found.t)  # type: ignore[call-arg]
    rate = float(getval(product(np.ones_like(getval(g)))))
    found.check_slope(rate, float(np.finfo(y.dtype).eps))
    return rate


@primitive
def shift(g: Any, rate: float) -> Any:
    """-dg / rate: zero in value, as g is; it carries the gradient."""
    return np.zeros_like(g)


def _gradient_maker(ans: Any, g: Any, rate: float) -> Callable[[Any], Any]:
    def gradient(v: Any) -> Any:
        if isbox(v) or isbox(g):
            raise TypeError("odeint_event gives first derivatives: the second ones of an event are not implemented")
        return -v / rate

    return gradient


defvjp(shift, _gradient_maker, argnums=(0,))
