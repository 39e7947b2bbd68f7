"""The adjoint method by compiled programs: its solves backwards are solves like any other, of [z, a, dL/dθ].

``adjoint.py`` has the equations. One program goes from each output time to the one before; it is made for func, the
shape, the method and the norm. The numpy twin has no such file.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from math import sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import vjp

from nodelib.common.arguments import METHODS, check_adjoint, check_method, default_tolerances
from nodelib.common.controller import next_first_step
from nodelib.common.solution import SolverError, on_the_way_back
from nodelib.torch_ode.adjoint import adjoint_gradients, first_order_only
from nodelib.torch_ode.compiling.cases import Case, Request, as_loop, assembled, grid_in, unfit_method, unfit_options
from nodelib.torch_ode.compiling.compiled import Found, asked_for, attempted, entered, left_aside, named_among, run
from nodelib.torch_ode.compiling.compiled_gradients import NO_MODULE, called, same_parameters
from nodelib.torch_ode.compiling.loops import Kept, Norm, rms
from nodelib.torch_ode.compiling.programs import Compiled, Stay
from nodelib.torch_ode.forms import Form
from nodelib.torch_ode.look import Look
from nodelib.torch_ode.modes import eager, refuse_batches, without_autocast
from nodelib.torch_ode.modules import CALLBACKS
from nodelib.torch_ode.problem import MORE_OPTIONS, instant, tolerances


class Back(NamedTuple):
    """The backward solve's method, tolerances, options and norm."""

    settings: dict[str, Any]
    norm: Any

    @property
    def key(self) -> tuple[Any, ...]:
        """What its cases are known by."""
        return (*list(self.settings.values())[:3], *self.settings["options"].items(), self.norm)


def compiled_adjoint(
    func: Callable, y0: Any, t: Any, params: tuple[Tensor, ...], forward: dict[str, Any], back: Back
) -> Tensor | None:
    """The states of ``odeint_adjoint`` by compiled programs; None as ``compiled_solve``."""
    options = dict(back.settings["options"])
    if not asked_for({"compile": options.pop("compile", True)}):
        left_aside(func, forward["options"], "adjoint_options refuses what options asks for")
        return None
    if (named := named_among(func, forward["options"], params)) is None:
        return None
    back = back._replace(settings={**back.settings, "options": options})

    def differentiable(compiled: Compiled, case: Case, request: Request) -> Found:
        if reason := unfit(func, y0, params, back):
            raise Stay(reason)
        found: list[Found] = []
        ys = _CompiledAdjoint.apply(compiled, case, request, back, found, y0, *params)
        found[0].ys = ys  # type: ignore[assignment]
        return found[0]

    method, rtol, atol, options = forward.values()
    request = Request(func, y0, t, method, rtol, atol, options, False, named, strict=False, tape=False)
    found = attempted(request, differentiable)
    return found and found.ys


def unfit(func: Callable, y0: Tensor, params: tuple[Tensor, ...], back: Back) -> str:
    """Why the backward solve is not compiled, if so."""
    method, rtol, atol, options = back.settings.values()
    if params and not isinstance(func, nn.Module):
        return NO_MODULE
    if callable(back.norm):
        return "a norm of your own in adjoint_options is not compiled"
    if any(hasattr(func, f"{name}_adjoint") for name in CALLBACKS):
        return "func has callbacks"
    if any((p.dtype, p.device) != (y0.dtype, y0.device) for p in params):
        return "a parameter has another dtype or device than the state"
    return unfit_options(rtol, atol, options) or unfit_method(METHODS[method])


class _CompiledAdjoint(torch.autograd.Function):
    """Of the way there nothing is kept but its outputs, and what func returned at the last of them."""

    @staticmethod
    def forward(ctx, compiled, case, request, back, found, y0, *params):
        found.append(run(compiled, case, request.func, y0))
        ys, f1, look = found[0].ys, found[0].f1, Look((), case.form)
        if f1 is None:
            f1 = request.func(instant(case.times[-1], y0), ys[-1])
        # a slope that is all zero might be so for another func, too
        f0 = [request.func(instant(case.times[0], y0), ys[0])] if look.blind(f1.reshape(-1)) else []
        names = dict.fromkeys(request.params)  # without the tensors, which are saved below
        ctx.compiled, ctx.case, ctx.request = compiled, case, request._replace(y0=None, params=names)
        ctx.back, ctx.count = back, len(params)
        ctx.save_for_backward(ys, f1, *params, *f0)
        return ys

    @staticmethod
    @eager
    def backward(ctx, g):  # type: ignore[override]
        first_order_only()
        refuse_batches(g)
        ys, f1, *tensors = ctx.saved_tensors
        params, f0 = tensors[: ctx.count], tensors[ctx.count :]
        compiled, case, back, func = ctx.compiled, ctx.case, ctx.back, ctx.request.func
        look, g = Look((), case.form), g.reshape(len(g), -1)
        same_parameters(ctx.request, params)
        largest = float(torch.linalg.vector_norm(g, dim=1).max()) / sqrt(g.shape[1])
        check_adjoint(largest, back.settings["atol"] or default_tolerances(torch.finfo(ys.dtype).eps)[1])
        before = compiled.counts()
        with without_autocast(ys):
            for was in f0:
                seen(look, g.shape[1], was, case.times[0], func(instant(case.times[0], ys), ys[0]))
            found = None
            try:
                found = solved_back(compiled, case, ctx.request, back, params, ys, f1, g, look)
                compiled.count(before, found[2] + len(f0))
            except Stay as reason:
                compiled.count(before, 0)
                if str(reason):
                    compiled.say(str(reason))
            if found is None:  # not within "except", which holds on to what the failed attempt has set
                found = without_programs(case, ctx.request, back, params, ys, f1, g)
        return (None, None, None, None, None, found[0].view(ys.shape[1:]), *found[1])


def without_programs(
    case: Case, request: Request, back: Back, params: list[Tensor], ys: Tensor, f1: Tensor, g: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """(dL/dy0, [dL/dθ]) by the uncompiled adjoint."""
    look = Look(params, case.form)
    look.f1, look.strangers = f1.reshape(-1), []
    flat, t = ys.reshape(len(ys), -1), torch.tensor(case.times, dtype=torch.float64)
    a, _, dparams = adjoint_gradients(
        request.func, case.form, flat, t, params, g, back.settings, back.norm, time_gradient=False, look=look
    )
    return a, dparams


def seen(look: Look, n: int, was: Tensor, t: float, now: Tensor) -> None:
    """Raise unless the slope of z at t, the first n entries, is what it was."""
    look.same(look.change(now.reshape(-1)[:n], was.reshape(-1)), t)


def solved_back(
    compiled: Compiled,
    case: Case,
    request: Request,
    back: Back,
    params: list[Tensor],
    ys: Tensor,
    f1: Tensor,
    g: Tensor,
    look: Look,
) -> tuple[Tensor, list[Tensor], int]:
    """(dL/dy0, [dL/dθ], evaluations) from g = dL/dys. Algorithm 2 of the paper, at several outputs as in Appendix D."""
    func, n, params = request.func, g.shape[1], [p.detach() for p in params]
    sizes = [p.numel() for p in params]
    a, dparams, evaluations, options = g[-1], g.new_zeros(sum(sizes)), 0, {}
    for i in range(len(ys) - 1, 0, -1):
        state = torch.cat([ys[i].reshape(-1), a, dparams])
        interval = intervals(case, back, tuple(request.params), sizes, state)[i - 1]
        if options:
            interval = replace(interval, **options)
        found = Found(interval, state[None])
        if i == len(ys) - 1:
            same = partial(seen, look, n, f1, case.times[-1])
            if interval.method.adaptive:
                found.look = same
            else:
                same(func(instant(case.times[-1], ys), ys[-1]))
                evaluations += 1
        try:
            state = entered(compiled, interval, func, params, state, found)
        except SolverError as error:
            raise on_the_way_back(error, case.times[i], case.times[i - 1]) from error
        except RuntimeError as error:
            if "torch.func" not in str(error):
                raise
            raise Stay(f"torch.func cannot differentiate func: {error}") from error
        evaluations += found.nfe
        options = next_first_step(found.log, interval.method.order)
        a, dparams = state[n : 2 * n] + g[i - 1], state[2 * n :]  # a jumps where the loss looks at z
    pieces = dparams.split(sizes) if sizes else ()
    return a, [x.view(p.shape) for x, p in zip(pieces, params, strict=True)], evaluations


def intervals(case: Case, back: Back, names: tuple[str, ...], sizes: list[int], state: Tensor) -> list[Case]:
    """The case of the backward solve between each two output times, the first two first."""
    known = (*back.key, *sizes)  # a layer may come to have another width
    if known not in case.backs:
        method, options = check_method(back.settings["method"], back.settings["options"], MORE_OPTIONS)
        tols = tolerances(back.settings["rtol"], back.settings["atol"], state, Form(state))
        device, whole = state.device, as_loop(state.device, len(state))
        batch, *shape = case.form.shapes[0] or (0,)
        kind = (state.dtype, str(device), method.name, back.norm, names, *sizes, whole, case.key[-1])
        key = ("adjoint", "any" if case.any_batch else batch, *shape, *kind)
        flow, norm = augmented(names, case, sum(sizes)), norm_of(back.norm, sizes)
        case.backs[known] = [
            replace(
                assembled(
                    key,
                    case.any_batch,
                    method,
                    Kept(False, False),
                    whole,
                    times,
                    grid_in(times, method, options),
                    tols,
                    options,
                    device,
                    False,
                    Form(state),
                ),
                flow=flow,
                norm=norm,
                names=("the adjoint solve", "a step of the adjoint solve"),
            )
            for times in ([t1, t] for t, t1 in pairwise(case.times))
        ]
    return case.backs[known]


def augmented(names: tuple[str, ...], case: Case, total: int) -> Callable[[Callable, Any], Callable]:
    """(func, params) -> d/dt [z, a, dL/dθ] = [f, -a ∂f/∂z, -a ∂f/∂θ] of one vector, dL/dθ having ``total`` entries."""
    call, shape = called(names), case.form.shapes[0]
    shape = (-1, *shape[1:]) if case.any_batch else shape

    def flow(func: Callable, params: Any) -> Callable:
        def slopes(t: Tensor, state: Tensor) -> Tensor:
            n = (len(state) - total) // 2
            z, a = state[:n].view(shape), state[n : 2 * n].view(shape)
            made: Any = vjp(lambda params, z: call(func, params, t, z), params, z)
            f, pull = made
            dparams, dz = pull(-a)
            return torch.cat([x.reshape(-1) for x in (f, dz, *dparams)])

        return slopes

    return flow


def norm_of(norm: str, sizes: list[int]) -> Norm:
    """The largest RMS of z, a and, where it is "full", of each parameter's gradient."""
    total, sizes = sum(sizes), [size for size in sizes if norm == "full" and size]

    def largest(x: Tensor) -> Tensor:
        n = (len(x) - total) // 2
        parts, at = [x[:n], x[n : 2 * n]], 2 * n
        for size in sizes:
            parts.append(x[at : at + size])
            at += size
        return torch.stack([rms(part) for part in parts]).max()

    return largest
