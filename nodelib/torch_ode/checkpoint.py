"""The checkpointed gradient: exact for the solution as computed, storing one state per step.

On the way forward only the accepted steps are kept: when each began, and from which state. On the way back each is
taken again, now with a graph, and differentiated; then its graph is dropped. So the gradient is that of backpropagation
through the solver, to round-off, for the memory of one step's graph. Zhuang et al., "Adaptive checkpoint adjoint
method" (ICML 2020). The adjoint of ``adjoint.py`` needs not even the states, but solves for another gradient.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nodelib.torch_ode.adjoint import first_order_only, parameters_of, vjp, warn_of_lost_gradients
from nodelib.torch_ode.multistep import adams_segment
from nodelib.torch_ode.problem import Form, Problem, check_state, prepare
from nodelib.torch_ode.solve import check_end, outputs, steps
from nodelib.torch_ode.steps import Segment, Stages, first_slope, rk_segment

Tape = list[tuple[Segment, int]]  # accepted steps, each with the index of the first output that may fall into it


def odeint_checkpoint(
    func: Callable[[Any, Any], Any],
    y0: Any,
    t: Any,
    *,
    method: str = "dopri5",
    rtol=None,
    atol=None,
    options=None,
    adjoint_params: Iterable[Tensor] | None = None,
    event_fn: Callable[[Any, Any], Any] | None = None,
) -> Any:
    """As ``odeint``, differentiable in y0, t and the parameters of func; each step is taken again on the way back.

    func:            (t, y) -> like y0; a Module, or any function with its parameters in adjoint_params.
    adjoint_params:  the tensors that func depends on, by default the parameters of the Module.
    event_fn:        solve until an event, as ``odeint`` does.

    The gradient is that of the discrete solution, equal to backpropagation through ``odeint`` up to round-off. It is
    a first derivative. Raises what ``solve`` raises, and TypeError for SciPy's methods, whose steps cannot be taken
    again.
    """
    if str(method).startswith("scipy"):
        raise TypeError(f"{method} does not let its steps be taken again: use odeint_adjoint, or another method")
    forward = {"method": method, "rtol": rtol, "atol": atol, "options": options}
    if event_fn is not None:
        from nodelib.torch_ode.events import odeint_until  # imports this module

        return odeint_until(odeint_checkpoint, func, y0, t, event_fn, adjoint_params=adjoint_params, **forward)
    params = parameters_of(func, adjoint_params)
    check_state(y0)
    form = Form(y0)
    t = torch.as_tensor(t, dtype=None if isinstance(t, Tensor) else torch.float64)
    return form.unflatten(_Checkpoint.apply(func, form, forward, form.flatten(y0), t, *params))


class _Checkpoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx, func, form, forward, y0, t, *params):
        look = partial(warn_of_lost_gradients, params)
        problem = prepare(func, form.unflatten(y0), t, **forward, look=look)
        problem.graph = True  # the arithmetic of backpropagation, so that each step can be taken again bit for bit
        tape: Tape = []
        ys = [problem.y0[None][:0]]
        done = 0

        def recorded() -> Iterator[Segment]:
            for segment in steps(problem):
                tape.append((segment._replace(k=None), done))
                yield segment

        for indices, y in outputs(problem, recorded()):
            ys.append(y)
            done = indices.stop
        ys = torch.cat(ys)
        check_end(problem, ys)
        ctx.problem, ctx.tape = problem, tape
        ctx.save_for_backward(y0, t, *params)  # y0, which the tape begins with, so that torch sees if it is changed
        return ys

    @staticmethod
    def backward(ctx, g):  # type: ignore[override]
        first_order_only()
        _, t, *params = ctx.saved_tensors
        a, dt, dparams = checkpoint_gradients(ctx.problem, ctx.tape, t, params, g, ctx.needs_input_grad[4])
        return (None, None, None, a, dt, *dparams)


def checkpoint_gradients(
    problem: Problem, tape: Tape, t: Tensor, params: Sequence[Tensor], g: Tensor, time_gradient: bool = True
) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """(dL/dy0, dL/dt, [dL/dθ]) from g = dL/dys: the steps of the tape, last first, each taken again with a graph."""
    a, dt, dparams = torch.zeros_like(g[0]), torch.zeros_like(t), [torch.zeros_like(p) for p in params]
    later: list[Tensor] = []  # gradients of the slopes that an Adams method carried into the steps after this one
    stops = [first for _, first in tape[1:]] + [len(t)]
    for (segment, first), stop in zip(reversed(tape), reversed(stops), strict=True):
        with torch.enable_grad():
            y = segment.y.detach().requires_grad_()
            clock = t.detach().requires_grad_(time_gradient)
            carried = [slope.detach().requires_grad_() for _, slope in segment.past[1:]]
            new = replace(problem, t=clock, graph=True)
            at_ends = (first == 0) + (segment.ends[1] == stop - 1)
            taken, slope = take_again(new, segment, y, carried, to_y1=stop - first <= at_ends)
            inside = (y for _, part in outputs(new, [taken], first) for y in part)
            results = torch.cat([taken.y1, *inside, *([slope] if later else [])])
        inputs = (y, *([clock] if time_gradient else []), *carried, *params)
        a, *parts = vjp(results, inputs, torch.cat([a, *g[first:stop], *later[:1]]))
        if time_gradient:
            dt = dt + parts.pop(0)
        passed = later[1:] + [torch.zeros_like(a)] * (len(carried) - len(later[1:]))
        later = [x + y for x, y in zip(parts, passed, strict=False)]
        dparams = [d + part for d, part in zip(dparams, parts[len(carried) :], strict=True)]
    return a + g[0], dt if time_gradient else None, dparams


def take_again(
    problem: Problem, segment: Segment, y: Tensor, carried: list[Tensor], to_y1: bool
) -> tuple[Segment, Tensor]:
    """The step of ``segment`` from the state y and the slopes it was handed; and its own first slope.

    ``to_y1``: no output falls inside the step, so that of a Runge-Kutta step nothing but its end is needed.
    """
    slope = first_slope(problem, segment.t, segment.ends[0], y)
    if problem.method.kind == "adams":
        known = enumerate(point for point, _ in segment.past[1:])
        past = (((segment.t, segment.ends[0]), slope), *((point, carried[j]) for j, point in known))
        return adams_segment(problem, y, segment.t, segment.t1, segment.ends, past), slope
    stages = Stages(problem.method.tableau, problem, to_y1)  # type: ignore[arg-type]
    stages.start(slope)
    return rk_segment(problem, stages, y, segment.t, segment.t1, segment.ends), slope
