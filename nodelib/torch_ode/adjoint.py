"""The adjoint method: gradients of a solution by solving a second ODE backwards, storing nothing in between.

Chen et al. (2018), Algorithms 1 and 2, equations (4), (5), (46) to (52), and Appendix D. The adjoint a(t) = dL/dz(t) of
z' = f obeys

    a' = -a ∂f/∂z,     dL/dθ = ∫_{t₀}^{t₁} a ∂f/∂θ dt,     dL/dt₀ = -a(t₀) f(t₀, z₀),     dL/dt_i = g_i f(t_i, z_i),

where a jumps by g_i = dL/dz(t_i) at each output time t_i. Chapter 2 derives this, sign by sign.
"""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from nodelib.common.arguments import METHODS, adjoint_settings, check_adjoint, default_tolerances
from nodelib.common.controller import next_first_step
from nodelib.common.solution import SolverError, on_the_way_back
from nodelib.torch_ode.compiling.compiled import asked_for, left_aside
from nodelib.torch_ode.each import refuse_each
from nodelib.torch_ode.forms import Form, ParamForm, check_params
from nodelib.torch_ode.inputs import as_params, as_times, check_state
from nodelib.torch_ode.look import Look
from nodelib.torch_ode.modes import eager, entrance, refuse_batches, refuse_transforms, without_autocast
from nodelib.torch_ode.modules import callbacks_of
from nodelib.torch_ode.problem import MORE_OPTIONS, instant, norm_of, prepare
from nodelib.torch_ode.solve import odeint, run


@entrance
def odeint_adjoint(
    func: Callable[[Any, Any], Any],
    y0: Any,
    t: Any,
    *,
    method: str = "dopri5",
    rtol=None,
    atol=None,
    options=None,
    adjoint_params: Any = None,
    adjoint_rtol=None,
    adjoint_atol=None,
    adjoint_method=None,
    adjoint_options=None,
    event_fn: Callable[[Any, Any], Any] | None = None,
) -> Any:
    """As ``odeint``, differentiable in y0, t and the parameters of func through the adjoint ODE.

    func:            (t, y) -> like y0; a Module, or any function with its parameters in adjoint_params.
    adjoint_params:  the tensors that func depends on: one, or a sequence or dictionary of them, nested at will; by
                     default the parameters of the Module that func is or belongs to.
    adjoint_…:       tolerances, method and options of the backward solve; by default those of the forward solve. In
                     adjoint_options, norm is "full" (default: the largest RMS of z, a and each parameter's gradient),
                     "seminorm" (without the parameters, whose integral feeds nothing back: Kidger, Chen & Lyons 2021)
                     or a function of (time's adjoint, z, a, *parameters' gradients). With the option compile both
                     solves are compiled, unless the norm is a function of yours.
    event_fn:        solve until an event, as ``odeint`` does.

    The gradient is that of the exact flow up to the tolerances, not of the computed solution: see ``odeint_checkpoint``
    for that. It is a first derivative: for second ones differentiate ``odeint``. Raises what ``solve`` raises, and on
    the way back AnotherFunction when func is not what it was on the way there; warns when func uses a tensor that
    requires a gradient and is not among the parameters, or none of the parameters.

    NFE of the way back: those of a solve from each output time to the one before; one more for a gradient of t; and one
    to see that func is what it was, unless the method, an FSAL pair, has f(t[-1], y[-1]) from the way there.
    """
    if event_fn is not None:
        from nodelib.torch_ode.events import odeint_until  # imports this module

        settings = {"method": method, "rtol": rtol, "atol": atol, "options": options, "adjoint_params": adjoint_params}
        settings |= {"adjoint_rtol": adjoint_rtol, "adjoint_atol": adjoint_atol}
        settings |= {"adjoint_method": adjoint_method, "adjoint_options": adjoint_options}
        return odeint_until(odeint_adjoint, func, y0, t, event_fn, **settings)
    refuse_each(options, "odeint_adjoint")
    refuse_transforms("odeint_adjoint")
    params = as_params(func, adjoint_params)
    check_params(params)
    forward = {"method": method, "rtol": rtol, "atol": atol, "options": options}
    backward = adjoint_settings(forward, adjoint_method, adjoint_rtol, adjoint_atol, adjoint_options, MORE_OPTIONS)
    check_state(y0)
    if not torch.is_grad_enabled():
        return odeint(func, y0, t, **forward)
    if asked_for(options):
        from nodelib.torch_ode.compiling.compiled_adjoint import Back, compiled_adjoint  # imports this module

        if (y := compiled_adjoint(func, y0, t, params, forward, Back(*backward))) is not None:
            return y
    else:
        left_aside(func, backward[0]["options"], "adjoint_options asks for it, and options does not")
    form = Form(y0)
    y = _Adjoint.apply(func, form, forward, backward, form.flatten(y0), as_times(t), *params)
    return form.unflatten(y) if form.is_tuple else y


class _Adjoint(torch.autograd.Function):
    """Its output is, for a tensor state, what the caller gets, and no view of it: so Python's collector sees through a
    module that keeps its own solution. Through a view, as y[-1], it cannot see: keep y, or y[-1].detach()."""

    @staticmethod
    def forward(ctx, func, form, forward, backward, y0, t, *params):
        look = Look(params, form)
        problem = prepare(func, form.unflatten(y0), t, **forward, look=look.first)
        y = run(problem).y
        ctx.func, ctx.form, ctx.backward_settings = func, form, backward
        ctx.reached, ctx.warned = look.reached, bool(look.strangers)
        f0, f1 = problem.f0, problem.f1
        if f1 is None and look.blind(f0):
            f1 = problem.func(instant(problem.times[-1], y0), y[-1])
        # one of them is compared on the way back: f1, which comes for nothing, unless it is blind
        ctx.compares = [f0 if f1 is None or look.blind(f1) else None, f1]
        y = y if form.is_tuple else form.unflatten(y)
        ctx.save_for_backward(y, t, *(x for x in ctx.compares if x is not None), *params)
        ctx.compares = [x is not None for x in ctx.compares]
        return y

    @staticmethod
    @eager
    def backward(ctx, g):  # type: ignore[override]
        first_order_only()
        refuse_batches(g)
        y, t, *tensors = ctx.saved_tensors
        f0, f1 = (tensors.pop(0) if there else None for there in ctx.compares)
        params, (settings, norm) = tensors, ctx.backward_settings
        y, g, look = y.reshape(len(t), -1), g.reshape(len(t), -1), Look(params, ctx.form, ctx.reached)
        look.f1, look.strangers = f1, [] if ctx.warned else None
        with without_autocast(y):
            if f0 is not None:
                now = ctx.form.flatten(ctx.func(instant(float(t[0]), y), ctx.form.unflatten(y[0])))
                look.same(look.change(now, f0), float(t[0]))
            a, dt, dparams = adjoint_gradients(
                ctx.func, ctx.form, y, t, params, g, settings, norm, ctx.needs_input_grad[5], look
            )
        return (None, None, None, None, a, dt, *dparams)


def first_order_only() -> None:
    """Raise if torch records the way back as well."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            "odeint_adjoint, odeint_checkpoint, odeint_reversible and the option compile give first derivatives: for "
            "second ones (create_graph=True) differentiate odeint, without the option"
        )


def adjoint_gradients(
    func: Callable,
    form: Form,
    ys: Tensor,
    t: Tensor,
    params: Sequence[Tensor],
    g: Tensor,
    settings: dict[str, Any],
    norm: Any = "full",
    time_gradient: bool = True,
    look: Look | None = None,
) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """(dL/dy0, dL/dt, [dL/dθ]) from the flat outputs ys at t and g = dL/dys, both (len(t), n).

    Algorithm 2, at several outputs as in Appendix D.

    ``settings`` are the method, tolerances and options of the backward solve, ``norm`` as in ``odeint_adjoint``;
    ``look`` compares func with what it was on the way there.
    """
    n, options = ys.shape[1], dict(settings["options"])
    options["norm"] = adjoint_norm(norm, form, ys[0], params)
    largest = float(torch.linalg.vector_norm(g, dim=1).max()) / sqrt(n)
    check_adjoint(largest, settings["atol"] or default_tolerances(torch.finfo(ys.dtype).eps)[1])

    def augmented(s: Tensor, state: Tensor, out: Tensor | None = None) -> Tensor:
        """d/ds [z, a, dL/dθ] = [f, -a ∂f/∂z, -a ∂f/∂θ], from one evaluation of f and one product with its Jacobian."""
        z, v = (form.parts(form.unflatten(x)) for x in (state[:n].detach(), -state[n : 2 * n]))
        with torch.enable_grad():
            z = [part.detach().requires_grad_() for part in z]  # apart, so that no graph has to split and join them
            f = form.parts(func(s, form.whole(z)))
            if look and look.strangers is None:
                look.meet(form.flatten(form.whole(f)), z)
            products = vjp(f, (*z, *params), v, look)
        slopes = [x.detach().reshape(-1) for x in (*f, *products[: len(z)])]
        return torch.cat([*slopes, *theta.flatten(products[len(z) :])], out=out)

    times, settings = t.detach().double().tolist(), {**settings, "options": options}
    a, theta = g[-1], ParamForm(params, ys)
    dparams = torch.zeros(sum(theta.sizes), dtype=ys.dtype, device=ys.device)
    parts = adjoint_parts(form, ys[0], params)
    callbacks = {
        name: lambda s, state, h, tell=tell: tell(s, parts(state), h)
        for name, tell in callbacks_of(func, METHODS[settings["method"]], "_adjoint").items()
    }
    dt = torch.zeros(len(times), dtype=torch.float64, device=ys.device) if time_gradient else None
    for i in range(len(times) - 1, 0, -1):
        start = torch.cat([ys[i], a, dparams])  # z starts anew from its stored value
        try:
            problem = prepare(augmented, start, [times[i], times[i - 1]], **settings)
            problem.reads, problem.func.writes, problem.callbacks = 2 * n, True, callbacks
            if look and look.f1 is not None and i == len(times) - 1:
                look.same(look.change(problem.f0[:n], look.f1), times[i])
            sol = run(problem)
        except SolverError as error:
            raise on_the_way_back(error, times[i], times[i - 1]) from error
        if dt is not None:
            dt[i] = dot(g[i], problem.f0[:n])
        a, dparams = sol.y[-1, n : 2 * n], sol.y[-1, 2 * n :]
        options |= next_first_step(sol.steps, METHODS[settings["method"]].order)
        if i == 1 and dt is not None:
            dt[0] = -dot(a, form.flatten(func(instant(times[0], ys), form.unflatten(ys[0]))))
        a = a + g[i - 1]  # a jumps where the loss looks at z (Figure 2 of the paper)
    if look and look.missing and len(times) > 1:
        look.again(func, form, times[0], ys[0])
    if look:
        look.warn_of_strangers()
    return a, None if dt is None else dt.to(t), theta.unflatten(dparams)


def vjp(f: Sequence[Tensor], inputs: Sequence[Tensor], v: Sequence[Tensor], look: Look | None = None) -> list[Tensor]:
    """v ∂f/∂x, summed over the parts of f and v, for each input x, zero where f does not depend on it. The last are the
    parameters, as ``look`` notes."""
    pairs = [(part, weight) for part, weight in zip(f, v, strict=True) if part.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(inputs)
    if pairs:
        # retain_graph: what func shares with its surroundings, as cached weights, is needed at the next evaluation too
        parts, weights = zip(*pairs, strict=True)
        found = torch.autograd.grad(parts, inputs, weights, retain_graph=True, allow_unused=True)
    if look and look.missing:
        products = found[len(found) - len(look.params) :]
        look.missing -= {i for i, product in enumerate(products) if product is not None}
    return [torch.zeros_like(x) if product is None else product for product, x in zip(found, inputs, strict=True)]


def dot(a: Tensor, f: Tensor) -> Tensor:
    """The real inner product of an adjoint and a slope."""
    return torch.sum(a.conj() * f).real


def adjoint_norm(norm: Any, form: Form, z: Tensor, params: Sequence[Tensor]) -> Callable[[Tensor], float]:
    """The norm of the backward state [z, a, dL/dθ …]: "full", "seminorm" or the caller's function of its parts."""
    if not isinstance(norm, str):
        parts = adjoint_parts(form, z, params)
        return lambda x: float(norm(parts(x)))
    state = tuple(form.unflatten(z)) if form.is_tuple else (z,)
    if norm == "full":
        return norm_of(None, Form((*state, *state, *ParamForm(params, z).flatten(params))))
    largest, n = norm_of(None, Form((*state, *state))), 2 * z.numel()
    return lambda x: largest(x[:n])


def adjoint_parts(form: Form, z: Tensor, params: Sequence[Tensor]) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """What splits the flat backward state as torchdiffeq shows it: time's adjoint (zero here), z, a, dL/dθ …"""
    state = tuple(form.unflatten(z)) if form.is_tuple else (form.unflatten(z),)
    both, theta, n = Form((*state, *state)), ParamForm(params, z), 2 * z.numel()
    clock = torch.zeros((), dtype=z.dtype, device=z.device)
    return lambda x: (clock, *both.unflatten(x[:n]), *theta.unflatten(x[n:]))
