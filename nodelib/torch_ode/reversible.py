"""The reversible gradient: exact for the solution as computed, to rounding, from the last states alone.

A step of ``couplings.py`` carries a second state along, and so can be undone by arithmetic. On the way back each step
is undone, which gives the states that it began with, and differentiated there: nothing was stored for it. The gradient
of ``checkpoint.py`` needs a state a step, but neither a second state nor methods made for it.

The methods are no entries of ``METHODS``: a solve by those carries one state, as do events, dense output and the
adjoint's own solves; and the numpy twin has all of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from nodelib.common.arguments import REVERSIBLE, warn
from nodelib.common.solution import NonFiniteState, ReconstructionFailed
from nodelib.torch_ode.adjoint import first_order_only
from nodelib.torch_ode.couplings import CoupledRK4, Heun, Point, States, WayBack, slope
from nodelib.torch_ode.forms import Form
from nodelib.torch_ode.inputs import as_params, as_times, check_state
from nodelib.torch_ode.look import Look
from nodelib.torch_ode.modes import eager, entrance, refuse_transforms, without_autocast
from nodelib.torch_ode.problem import Problem, finite, prepare
from nodelib.torch_ode.solve import outputs
from nodelib.torch_ode.steps import Segment, grid

PARTED, LOST = 0.1, 0.1  # of a state's size: a warning when its two states differ by more, an error when y0 does


@entrance
def odeint_reversible(
    func: Callable[[Any, Any], Any],
    y0: Any,
    t: Any,
    *,
    method: str = "reversible_heun",
    options=None,
    adjoint_params: Any = None,
) -> Any:
    """As ``odeint_checkpoint``, with fixed steps and in memory that does not grow with them: each is undone again.

    func:            (t, y) -> like y0; a Module, or any function with its parameters in adjoint_params.
    method:          "reversible_heun" or "reversible_rk4".
    options:         step_size or grid_constructor, as for ``odeint``; for reversible_rk4 also coupling, λ (0.99).
    adjoint_params:  the tensors that func depends on, as for ``odeint_adjoint``.

    The gradient in y0, t and the parameters is that of backpropagation through the same steps, as far as the states
    come back: a rounding grows by 1/λ a step, so that λ = 0.99 is too small for 1,000 steps in single precision, and by
    what the solution contracts. It is a first derivative. The steps are stable where RK4's shrink the solution by no
    more than λ (``couplings.stability``), those of reversible_heun never: what contracts faster sets y and the second
    state apart, and dL/dy0, small as it is there, is the first to be wrong.

    Raises what ``odeint_checkpoint`` raises. Warns when the two states end further apart than a tenth of their size,
    and when y0 comes back changed by more than the root of the rounding unit: the parameters' gradients are then at
    most about as wrong. By more than a tenth it raises ReconstructionFailed.
    """
    refuse_transforms("odeint_reversible")
    pair, options = chosen(method, options)
    params = as_params(func, adjoint_params)
    check_state(y0)
    form = Form(y0)
    if not torch.is_grad_enabled():
        return form.unflatten(walked(pair, prepare(func, y0, t, pair.base, options=options))[0])
    y = _Reversible.apply(func, form, pair, options, form.flatten(y0), as_times(t), *params)
    return form.unflatten(y) if form.is_tuple else y


def chosen(method: Any, options: Any) -> tuple[Heun | CoupledRK4, dict[str, Any]]:
    """The method of that name, and those of its options that place the steps, which ``prepare`` checks."""
    if method not in REVERSIBLE:
        raise ValueError(f"method {method!r} is not reversible: odeint_reversible takes {' or '.join(REVERSIBLE)}")
    options = {} if options is None else options
    if not isinstance(options, Mapping):
        raise TypeError(f"options must be a dict of option names and values, got {type(options).__name__}")
    known = ["step_size", "grid_constructor", *(["coupling"] if method == "reversible_rk4" else [])]
    for key in options:
        if key not in known:
            takes = ", ".join(known)
            raise ValueError(f"option {key!r} does not apply to {method}, whose steps are fixed. It takes: {takes}")
    coupling = options.get("coupling", 0.99)
    if not (isinstance(coupling, int | float) and 0 < coupling < 1):
        raise ValueError(f"option 'coupling' must be a number λ with 0 < λ < 1, got {coupling!r}: take 0.99, say")
    places = {key: value for key, value in options.items() if key != "coupling"}
    return Heun() if method == "reversible_heun" else CoupledRK4(float(coupling)), places


class _Reversible(torch.autograd.Function):
    """Its output is no view, for the reason given in ``_Adjoint``."""

    @staticmethod
    def forward(ctx, func, form, pair, options, y0, t, *params):
        look = Look(params, form)
        problem = prepare(func, form.unflatten(y0), t, pair.base, options=options, look=look.first)
        ys, points, ends = walked(pair, problem)
        ctx.save_for_backward(y0, t, problem.f0, *ends, *params)
        ctx.problem = replace(problem, y0=None, f0=None, t=None)  # type: ignore[arg-type]
        ctx.pair, ctx.points, ctx.reached, ctx.warned = pair, points, look.reached, bool(look.strangers)
        return ys if form.is_tuple else form.unflatten(ys)

    @staticmethod
    @eager
    def backward(ctx, g):  # type: ignore[override]
        first_order_only()
        y0, t, f0, y1, other, *params = ctx.saved_tensors
        problem, pair, time_gradient = replace(ctx.problem, y0=y0, f0=f0), ctx.pair, ctx.needs_input_grad[5]
        look, g = Look(params, problem.form, ctx.reached), g.reshape(len(t), -1)
        look.strangers = [] if ctx.warned else None
        back = WayBack(problem, t, params, g, time_gradient, look)
        a = torch.zeros_like(y0)
        if ctx.points:
            with without_autocast(y0):
                states, a = undone(pair, back, ctx.points, (y1, other))
                check_return(pair, problem, look, states, y1)
        dt = back.sums[0] if time_gradient else None
        return (None, None, None, None, a + g[0], dt, *back.sums[len(back.clock) :])


class Walk:
    """The steps of a solve, one after the other; ``states`` are those at the end of the last one taken."""

    def __init__(self, pair: Heun | CoupledRK4, problem: Problem, points: Sequence[Point]):
        self.pair, self.problem, self.points = pair, problem, points
        self.states = pair.start(problem)

    def __iter__(self) -> Iterator[Segment]:
        for start, end in pairwise(self.points):
            self.problem.tell("callback_step", start[0], self.states[0], end[0] - start[0])
            segment, self.states = self.pair.step(self.problem, start, end, self.states)
            yield segment


def walked(pair: Heun | CoupledRK4, problem: Problem) -> tuple[Tensor, list[Point], States]:
    """The states at the output times, flat; the points of the grid; and both states at its end."""
    problem.graph = True  # the arithmetic of the way back
    points = list(grid(problem)) if len(problem.times) > 1 else []
    walk = Walk(pair, problem, points)
    ys, states = torch.cat([y for _, y in outputs(problem, walk)]), walk.states[:2]
    if not (finite(states[0]) and finite(states[1])):
        for segment in Walk(pair, problem, points):
            if not finite(segment.y1):
                raise NonFiniteState(f"the state becomes nan or inf in the step from t = {segment.t:.6g}", pair.remedy)
        raise NonFiniteState("the second state becomes nan or inf in the last step", pair.remedy)
    gap = apart(states[1], states[0], states[0], problem.y0)
    if gap > PARTED:
        warn(
            f"at the end y and the second state differ by {gap:.2g} of their size: the steps are too long or unstable, "
            f"and y cannot be trusted. To mend it, {pair.remedy}"
        )
    return ys, points, states


def undone(pair: Heun | CoupledRK4, back: WayBack, points: Sequence[Point], ends: States) -> tuple[States, Tensor]:
    """The states at t[0] as they come back from those at the end; and dL/dy0, without the output at t[0]."""
    states = pair.turn(back, points[-1], ends)
    v: States = tuple(torch.zeros_like(x) for x in states)
    for end, start in pairwise(reversed(points)):
        states, v = pair.undo(back, start, end, states, v)
    return states, pair.total(back, states, v)


@torch.no_grad()
def check_return(pair: Heun | CoupledRK4, problem: Problem, look: Look, states: States, y1: Tensor) -> None:
    """Warn or raise where y0 does not come back, or where func is another one; and warn of what it uses besides."""
    change = apart(torch.stack(states[:2]), problem.y0, problem.y0, y1)
    t0 = problem.times[0]
    if not change <= torch.finfo(y1.dtype).eps ** 0.5:
        look.same(look.change(slope(problem, (t0, None), problem.y0), problem.f0), t0)
        told = f"undoing the steps brings y0 back changed by {change:.2g} of its size"
        if not change <= LOST:
            raise ReconstructionFailed(f"{told}, so there is no gradient", f"to mend it, {pair.remedy}")
        warn(f"{told}, and the gradient may be as wrong. To mend it, {pair.remedy}")
    if look.missing:
        look.again(problem.func.func, problem.form, t0, problem.y0)
    look.warn_of_strangers()


@torch.no_grad()
def apart(x: Tensor, y: Tensor, *sizes: Tensor) -> float:
    """The largest difference of x and y, relative to the largest entry of the first of ``sizes`` that is not zero."""
    gap = float((x - y).abs().max())
    return gap / next((size for size in (float(z.abs().max()) for z in sizes) if size), 1.0)
