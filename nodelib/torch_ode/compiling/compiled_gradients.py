"""The gradient of a solve by compiled programs: that of the steps as they were taken, each taken again on the way back.

It is the checkpointed gradient of ``checkpoint.py``, and serves backpropagation through ``odeint`` as well, from which
it differs by rounding. It is a first derivative. The numpy twin has no such file.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nodelib.common.solution import changed
from nodelib.torch_ode.adjoint import first_order_only
from nodelib.torch_ode.compiling.cases import Case, Request
from nodelib.torch_ode.compiling.compiled import Found, run
from nodelib.torch_ode.compiling.loops_back import loop_back, shares, step_back
from nodelib.torch_ode.compiling.programs import Compiled, Stay, mark_batch
from nodelib.torch_ode.look import Look
from nodelib.torch_ode.modes import eager, hidden, without_autocast
from nodelib.torch_ode.problem import instant

NO_MODULE = "func is no Module, so that a program cannot be handed its parameters: pass the Module itself"


def differentiable(compiled: Compiled, case: Case, request: Request) -> Found:
    """What the programs found, its states with a gradient in y0 and the parameters; raises ``Stay``."""
    if request.params and not isinstance(request.func, nn.Module):
        raise Stay(NO_MODULE)
    found: list[Found] = []
    ys = _Compiled.apply(compiled, case, request, found, request.y0, *request.params.values())
    found[0].ys = ys  # type: ignore[assignment]
    return found[0]


class _Compiled(torch.autograd.Function):
    """The states kept are saved for backward and released with it."""

    @staticmethod
    def forward(ctx, compiled, case, request, found, y0, *params):
        found.append(run(compiled, case, request.func, y0))
        ys, pieces = found[0].ys, found[0].pieces
        found[0].pieces = pieces if case.dense else []
        names = dict.fromkeys(request.params)  # without the tensors, which are saved below
        ctx.compiled, ctx.case, ctx.request = compiled, case, request._replace(y0=None, params=names)
        ctx.outputs = [piece.outputs for piece in pieces]
        if case.whole:
            kept = [x for piece in pieces for x in (piece.n, piece.spans, piece.states)]
        else:
            kept = [x for piece in pieces for x in (piece.spans, piece.states[0])] + [ys[-1].clone()]
        f1 = found[0].f1
        ctx.compares = f1 is not None
        ctx.save_for_backward(y0, ys[-1].clone(), y0 if f1 is None else f1, *params, *kept)
        return ys

    @staticmethod
    @eager
    def backward(ctx, g):  # type: ignore[override]
        first_order_only()
        if hidden(g):
            raise TypeError("option 'compile' takes one dL/dy at a time: leave it away, or use a loop")
        y0, y1, f1, *tensors = ctx.saved_tensors
        params, kept = tensors[: len(ctx.request.params)], tensors[len(ctx.request.params) :]
        compiled, case = ctx.compiled, ctx.case
        if not ctx.request.strict:  # odeint's gradient is that of the parameters that were there, as its graph's is
            same_parameters(ctx.request, params)
        before = compiled.counts()
        with without_autocast(y0):
            found: tuple[Any, ...] = ()
            try:
                if case.whole:
                    found = back_by_loop(compiled, case, ctx.request, params, kept, g.contiguous())
                else:
                    found = back_by_steps(compiled, case, ctx.request, params, kept, ctx.outputs, g)
            except Stay as reason:
                compiled.say(str(reason))
            if not found:  # not within "except", which holds on to what the failed attempt has set
                look = Look((), case.form)
                if ctx.compares:  # its steps may be others by rounding, and so its end; not so for fixed steps
                    now = ctx.request.func(instant(case.times[-1], y1), y1)
                    look.same(look.change(now.reshape(-1), f1.reshape(-1)), case.times[-1])
                ends, gradients = without_programs(ctx.request, y0, params, g)
                if not ctx.compares:
                    look.same(look.change(ends.reshape(-1), y1.reshape(-1)), case.times[0], "a step ends somewhere")
                return (None, None, None, None, *gradients)
        a, change, evaluations, *dparams = found
        compiled.count(before, evaluations)
        Look((), case.form).same(change, case.times[0], "a step ends somewhere")
        return (None, None, None, None, a + g[0], *dparams)


def same_parameters(request: Request, params: list[Tensor]) -> None:
    """Raise AnotherFunction where func has no longer these parameters."""
    now = dict(request.func.named_parameters()) if params else {}  # type: ignore[attr-defined]
    for name, was in zip(request.params, params, strict=True):
        if name not in now or not now[name].is_set_to(was):
            raise changed(f"its parameter {name} is another one")


def without_programs(
    request: Request, y0: Tensor, params: list[Tensor], g: Tensor
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The last state and the gradients, by solving again with the uncompiled ``odeint_checkpoint``."""
    from nodelib.torch_ode.checkpoint import odeint_checkpoint  # imports this module, by way of ``compiled``

    options = {key: value for key, value in request.options.items() if key != "compile"}
    settings = {"method": request.method, "rtol": request.rtol, "atol": request.atol, "options": options}
    with torch.enable_grad():
        y = y0.detach().requires_grad_()
        ys = odeint_checkpoint(request.func, y, request.t, adjoint_params=params, **settings)
    return ys[-1].detach(), torch.autograd.grad(ys, (y, *params), g, allow_unused=True)


def called(names: tuple[str, ...]) -> Callable[..., Tensor]:
    """(func, params, t, y) -> f, with these parameters in the place of func's own."""

    def call(func: Any, params: Any, t: Tensor, y: Tensor) -> Tensor:
        if not names:
            return func(t, y)
        return functional_call(func, dict(zip(names, params, strict=True)), (t, y))

    return call


def evaluations_back(case: Case, slopes: bool) -> int:
    """The evaluations for a step on the way back; the last slope of an FSAL pair only where outputs need it."""
    return len(case.rows.b) - (case.rows.fsal and not slopes)


def back_by_loop(
    compiled: Compiled, case: Case, request: Request, params: list[Tensor], kept: list[Tensor], g: Tensor
) -> tuple[Any, ...]:
    """(dL/dy0 but for g[0], change, evaluations, *dL/dθ) by a program for each entry of the way there."""
    rows, slopes, names = case.rows, case.kept.slopes and case.inner, tuple(request.params)
    call = called(names)

    def back(func, params, n, spans, states, a, sums, *outputs):
        into: tuple[Tensor, ...] = ()
        if outputs:
            t, g = outputs
            into = shares(rows, t, g, n, spans, slopes)
        return loop_back(lambda p, t, y: call(func, p, t, y), params, rows, n, spans, states, a, sums, into)

    program = compiled.program((case.key, "back", names), back, "the way back", g.device.type)
    shown, change = compiled.shown(request.func), g.new_zeros(())
    outputs = (case.t, g) if case.inner else ()
    a = torch.zeros_like(g[0]) if case.inner else g[-1].contiguous()
    params = [p.detach() for p in params]
    sums, steps = [torch.zeros_like(p) for p in params], 0
    for i in reversed(range(0, len(kept), 3)):
        n, spans, states = kept[i : i + 3]
        if case.any_batch:
            mark_batch((states, 1), (a, 0), (g, 1))
        a, changed, *sums = program(shown, params, n, spans, states, a, sums, *outputs)
        change, steps = torch.maximum(change, changed), steps + int(n)
    return a, change, steps * evaluations_back(case, slopes), *sums


def back_by_steps(
    compiled: Compiled,
    case: Case,
    request: Request,
    params: list[Tensor],
    kept: list[Tensor],
    outputs: list[range],
    g: Tensor,
) -> tuple[Any, ...]:
    """The same by a program for each step."""
    rows, names = case.rows, tuple(request.params)
    call = called(names)

    def back(func, params, spans, y, was, a, sums, *into):
        t, t1 = spans[0].unbind()
        a, change, products = step_back(lambda p, t, y: call(func, p, t, y), params, rows, t, t1, y, was, a, into)
        return a, change, *(d + x for d, x in zip(sums, products, strict=True))

    shown, change = compiled.shown(request.func), g.new_zeros(())
    params = [p.detach() for p in params]
    a, sums, evaluations = torch.zeros_like(g[0]), [torch.zeros_like(p) for p in params], 0
    *kept, was = kept
    for i in reversed(range(len(outputs))):
        spans, y = kept[2 * i : 2 * i + 2]
        inside = outputs[i]
        if inside and case.times[inside[-1]] == end_of(case, i, len(outputs), spans):
            a, inside = a + g[inside[-1]], inside[:-1]
        into = ()
        if inside:
            where = slice(inside.start, inside.stop)
            one = torch.ones((), dtype=torch.int64, device=g.device)
            into = [x[0] for x in shares(rows, case.t[where], g[where], one, spans, True)]
            into = [into[0].view(y.shape), into[1].view(y.shape), into[2].view(-1, *y.shape)]
        if case.any_batch:
            mark_batch((y, 0), (was, 0), (a, 0), *zip(into, (0, 0, 1), strict=False))
        what = "a step back, with outputs in it" if into else "a step back"
        program = compiled.program((case.key, what, names), back, what, g.device.type)
        a, changed, *sums = program(shown, params, spans, y, was, a.contiguous(), sums, *into)
        change, was = torch.maximum(change, changed), y
        evaluations += evaluations_back(case, bool(into))
    return a, change, evaluations, *sums


def end_of(case: Case, i: int, steps: int, spans: Tensor) -> float:
    """When step i ends: of the last, and of fixed ones, that is known without asking a GPU."""
    if i == steps - 1:
        return case.times[-1]
    return case.grid[i + 1] if case.grid else float(spans[0, 1])
