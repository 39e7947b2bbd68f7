"""The checkpointed gradient: exact for the solution as computed, storing one state per step.

On the way forward only the accepted steps are kept: when each began, and from which state. On the way back each is
taken again, now with a graph, and differentiated; then its graph is dropped. So the gradient is that of backpropagation
through the solver, to round-off, for the memory of one step's graph. Zhuang et al., "Adaptive checkpoint adjoint
method" (ICML 2020). The adjoint of ``adjoint.py`` needs not even the states, but solves for another gradient.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nodelib.torch_ode.adjoint import first_order_only, vjp
from nodelib.torch_ode.compiling.compiled import compiled_checkpoint
from nodelib.torch_ode.each import refuse_each
from nodelib.torch_ode.forms import Form
from nodelib.torch_ode.inputs import as_params, as_times, check_state
from nodelib.torch_ode.look import Look
from nodelib.torch_ode.modes import eager, entrance, refuse_transforms, without_autocast
from nodelib.torch_ode.multistep import adams_segment
from nodelib.torch_ode.problem import Problem, prepare, real
from nodelib.torch_ode.solve import check_end, odeint, outputs, steps
from nodelib.torch_ode.steps import Segment, Stages, first_slope, rk_segment

Tape = list[tuple[Segment, int]]  # accepted steps, each with the index of the first output that may fall into it


@entrance
def odeint_checkpoint(
    func: Callable[[Any, Any], Any],
    y0: Any,
    t: Any,
    *,
    method: str = "dopri5",
    rtol=None,
    atol=None,
    options=None,
    adjoint_params: Any = None,
    event_fn: Callable[[Any, Any], Any] | None = None,
) -> Any:
    """As ``odeint``, differentiable in y0, t and the parameters of func; each step is taken again on the way back.

    func:            (t, y) -> like y0; a Module, or any function with its parameters in adjoint_params.
    adjoint_params:  the tensors that func depends on, as for ``odeint_adjoint``.
    event_fn:        solve until an event, as ``odeint`` does.

    The gradient is that of the discrete solution, equal to backpropagation through ``odeint`` up to round-off. It is
    a first derivative. Raises what ``odeint_adjoint`` raises, and TypeError for SciPy's methods, whose steps cannot be
    taken again.
    """
    refuse_each(options, "odeint_checkpoint")
    refuse_transforms("odeint_checkpoint")
    if str(method).startswith("scipy"):
        raise TypeError(f"{method} does not let its steps be taken again: use odeint_adjoint, or another method")
    forward = {"method": method, "rtol": rtol, "atol": atol, "options": options}
    if event_fn is not None:
        from nodelib.torch_ode.events import odeint_until  # imports this module

        return odeint_until(odeint_checkpoint, func, y0, t, event_fn, adjoint_params=adjoint_params, **forward)
    params = as_params(func, adjoint_params)
    check_state(y0)
    if not torch.is_grad_enabled():
        return odeint(func, y0, t, **forward)
    if (y := compiled_checkpoint(func, y0, t, params, method, rtol, atol, options)) is not None:
        return y
    form = Form(y0)
    y = _Checkpoint.apply(func, form, forward, form.flatten(y0), as_times(t), *params)
    return form.unflatten(y) if form.is_tuple else y


class _Checkpoint(torch.autograd.Function):
    """What is kept in tensors, states and the slopes that Adams methods carry, is saved for backward and released with
    it. The output is no view, for the reason given in ``_Adjoint``."""

    @staticmethod
    def forward(ctx, func, form, forward, y0, t, *params):
        look = Look(params, form)
        problem = prepare(func, form.unflatten(y0), t, **forward, look=look.first)
        # the arithmetic of backpropagation, so that each step can be taken again bit for bit
        problem.graph = any(ctx.needs_input_grad)
        tape: Tape = []
        ys = [problem.y0[None][:0]]
        done = 0

        def recorded() -> Iterator[Segment]:
            for segment in steps(problem):
                tape.append((segment._replace(k=None), done))
                yield segment

        for indices, y in outputs(problem, recorded() if len(t) > 1 else ()):
            ys.append(y)
            done = indices.stop
        ys = torch.cat(ys)
        check_end(problem, ys)
        tensors, ctx.tape = packed(tape)
        ctx.save_for_backward(y0, t, *params, *tensors)
        ctx.problem = replace(problem, y0=None, f0=None, t=None, log=[])  # type: ignore[arg-type]
        ctx.reached, ctx.warned, ctx.params = look.reached, bool(look.strangers), len(params)
        return ys if form.is_tuple else form.unflatten(ys)

    @staticmethod
    @eager
    def backward(ctx, g):  # type: ignore[override]
        first_order_only()
        y0, t, *tensors = ctx.saved_tensors
        params, tensors = tensors[: ctx.params], tensors[ctx.params :]
        problem, tape = replace(ctx.problem, y0=y0), unpacked(ctx.tape, tensors)
        look, g = Look(params, problem.form, ctx.reached), g.reshape(len(t), -1)
        look.strangers = [] if ctx.warned else None
        with without_autocast(y0):
            a, dt, dparams = checkpoint_gradients(problem, tape, t, params, g, ctx.needs_input_grad[4], look)
        return (None, None, None, a, dt, *dparams)


def packed(tape: Tape) -> tuple[list[Tensor], list[tuple[Segment, int]]]:
    """The tensors of a tape in a row, each state followed by the slopes carried into its step, and the last state; and
    the bare tape."""
    tensors = [x for segment, _ in tape for x in (segment.y, *(slope for _, slope in segment.past[1:]))]
    bare = [(s._replace(y=None, y1=None, past=tuple((point, None) for point, _ in s.past)), i) for s, i in tape]
    return [*tensors, *(segment.y1 for segment, _ in tape[-1:])], bare


def unpacked(tape: list[tuple[Segment, int]], tensors: list[Tensor]) -> Tape:
    """The tape with its tensors."""
    each = iter(tensors)
    full = []
    for segment, first in tape:
        y = next(each)
        past = tuple((point, next(each) if j else None) for j, (point, _) in enumerate(segment.past))
        full.append((segment._replace(y=y, past=past), first))
    ends = [*(segment.y for segment, _ in full[1:]), *each]
    return [(segment._replace(y1=y1), first) for (segment, first), y1 in zip(full, ends, strict=True)]


def checkpoint_gradients(
    problem: Problem,
    tape: Tape,
    t: Tensor,
    params: Sequence[Tensor],
    g: Tensor,
    time_gradient: bool = True,
    look: Look | None = None,
) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """(dL/dy0, dL/dt, [dL/dθ]) from g = dL/dys: the steps of the tape, last first, each taken again with a graph.

    ``look`` compares the end of each with what it was.
    """
    change = torch.zeros((), dtype=real(g.dtype), device=g.device)
    a, dt, dparams = torch.zeros_like(g[0]), torch.zeros_like(t), [torch.zeros_like(p) for p in params]
    later: list[Tensor] = []  # gradients of the slopes that an Adams method carried into the steps after this one
    stops = [*(first for _, first in tape[1:]), *([len(t)] if tape else [])]
    for (segment, first), stop in zip(reversed(tape), reversed(stops), strict=True):
        with torch.enable_grad():
            y = segment.y.detach().requires_grad_()
            clock = t.detach().requires_grad_(time_gradient)
            carried = [slope.detach().requires_grad_() for _, slope in segment.past[1:]]
            new = replace(problem, t=clock, graph=True)
            at_ends = (first == 0) + (segment.ends[1] == stop - 1)
            taken, slope = take_again(new, segment, y, carried, to_y1=stop - first <= at_ends)
            if look:
                change = torch.maximum(change, look.change(taken.y1, segment.y1))
                if look.strangers is None:
                    look.meet(taken.y1, (y, clock, *carried) if time_gradient else (y, *carried))
            inside = (y for _, part in outputs(new, [taken], first) for y in part)
            results = torch.cat([taken.y1, *inside, *([slope] if later else [])])
        inputs = (y, *([clock] if time_gradient else []), *carried, *params)
        a, *parts = vjp((results,), inputs, (torch.cat([a, *g[first:stop], *later[:1]]),), look)
        del taken, slope, inside, results  # nothing of this step is kept while the one before it is taken again
        if time_gradient:
            dt = dt + parts.pop(0)
        passed = later[1:] + [torch.zeros_like(a)] * (len(carried) - len(later[1:]))
        later = [x + y for x, y in zip(parts, passed, strict=False)]
        dparams = [d + part for d, part in zip(dparams, parts[len(carried) :], strict=True)]
    if look and tape:
        look.same(change, problem.times[0], "a step ends somewhere")
        if look.missing:
            look.again(problem.func.func, problem.form, problem.times[0], problem.y0)
        look.warn_of_strangers()
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
