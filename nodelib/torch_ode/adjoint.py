"""The adjoint method: gradients of a solution by solving a second ODE backwards, storing nothing in between.

Chen et al. (2018), Algorithms 1 and 2, equations (4), (5), (46) to (52), and Appendix D. The adjoint a(t) = dL/dz(t) of
z' = f obeys

    a' = -a ∂f/∂z,     dL/dθ = ∫_{t₀}^{t₁} a ∂f/∂θ dt,     dL/dt₀ = -a(t₀) f(t₀, z₀),     dL/dt_i = g_i f(t_i, z_i),

where a jumps by g_i = dL/dz(t_i) at each output time t_i. Chapter 2 derives this, sign by sign.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import sqrt
from typing import Any
from warnings import warn

import torch
from torch import Tensor

from nodelib.common.arguments import METHODS, adjoint_settings, check_adjoint, default_tolerances
from nodelib.common.controller import next_first_step
from nodelib.torch_ode.problem import MORE_OPTIONS, Form, check_state, instant, norm_of, prepare
from nodelib.torch_ode.solve import run


def odeint_adjoint(
    func: Callable[[Any, Any], Any],
    y0: Any,
    t: Any,
    *,
    method: str = "dopri5",
    rtol=None,
    atol=None,
    options=None,
    adjoint_params: Iterable[Tensor] | None = None,
    adjoint_rtol=None,
    adjoint_atol=None,
    adjoint_method=None,
    adjoint_options=None,
    event_fn: Callable[[Any, Any], Any] | None = None,
) -> Any:
    """As ``odeint``, differentiable in y0, t and the parameters of func through the adjoint ODE.

    func:            (t, y) -> like y0; a Module, or any function with its parameters in adjoint_params.
    adjoint_params:  the tensors that func depends on, by default the parameters of the Module.
    adjoint_…:       tolerances, method and options of the backward solve; by default those of the forward solve. In
                     adjoint_options, norm is "full" (default: the largest RMS of z, a and each parameter's gradient),
                     "seminorm" (without the parameters, whose integral feeds nothing back: Kidger, Chen & Lyons 2021)
                     or a function of (time's adjoint, z, a, *parameters' gradients).
    event_fn:        solve until an event, as ``odeint`` does.

    The gradient is that of the exact flow up to the tolerances, not of the computed solution: see ``odeint_checkpoint``
    for that. It is a first derivative: for second ones differentiate ``odeint``. Raises what ``solve`` raises; warns
    when func uses a tensor that requires a gradient and is not among the parameters, or none of the parameters.
    """
    if event_fn is not None:
        from nodelib.torch_ode.events import odeint_until  # imports this module

        settings = {"method": method, "rtol": rtol, "atol": atol, "options": options, "adjoint_params": adjoint_params}
        settings |= {"adjoint_rtol": adjoint_rtol, "adjoint_atol": adjoint_atol}
        settings |= {"adjoint_method": adjoint_method, "adjoint_options": adjoint_options}
        return odeint_until(odeint_adjoint, func, y0, t, event_fn, **settings)
    params = parameters_of(func, adjoint_params)
    forward = {"method": method, "rtol": rtol, "atol": atol, "options": options}
    backward = adjoint_settings(forward, adjoint_method, adjoint_rtol, adjoint_atol, adjoint_options, MORE_OPTIONS)
    check_state(y0)
    form = Form(y0)
    t = torch.as_tensor(t, dtype=None if isinstance(t, Tensor) else torch.float64)
    return form.unflatten(_Adjoint.apply(func, form, forward, backward, form.flatten(y0), t, *params))


def parameters_of(func: Any, given: Iterable[Tensor] | None) -> tuple[Tensor, ...]:
    """The tensors to differentiate with respect to: those given or of the Module, without the frozen ones."""
    if given is None and not isinstance(func, torch.nn.Module):
        raise ValueError(
            "func is not a Module, so its parameters are unknown: pass adjoint_params=(…), or () if it has none"
        )
    return tuple(p for p in (func.parameters() if given is None else given) if p.requires_grad)


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx, func, form, forward, backward, y0, t, *params):
        look = partial(warn_of_lost_gradients, params)
        problem = prepare(func, form.unflatten(y0), t, **forward, look=look)
        y = run(problem).y
        ctx.func, ctx.form, ctx.backward_settings = func, form, backward
        ctx.save_for_backward(y, t, *params)
        return y

    @staticmethod
    def backward(ctx, g):  # type: ignore[override]
        first_order_only()
        y, t, *params = ctx.saved_tensors
        settings, norm = ctx.backward_settings
        time_gradient = ctx.needs_input_grad[5]
        a, dt, dparams = adjoint_gradients(ctx.func, ctx.form, y, t, params, g, settings, norm, time_gradient)
        return (None, None, None, None, a, dt, *dparams)


def first_order_only() -> None:
    """Raise if torch records the way back as well."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            "odeint_adjoint and odeint_checkpoint give first derivatives: for second ones (create_graph=True) "
            "differentiate odeint"
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
) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """(dL/dy0, dL/dt, [dL/dθ]) from the flat outputs ys at t and g = dL/dys, both (len(t), n).

    Algorithm 2, at several outputs as in Appendix D.

    ``settings`` are the method, tolerances and options of the backward solve, ``norm`` as in ``odeint_adjoint``.
    """
    n, options = ys.shape[1], dict(settings["options"])
    options["norm"] = adjoint_norm(norm, form, ys[0], params)
    largest = float(torch.linalg.vector_norm(g, dim=1).max()) / sqrt(n)
    check_adjoint(largest, settings["atol"] or default_tolerances(torch.finfo(ys.dtype).eps)[1])

    def augmented(s: Tensor, state: Tensor, out: Tensor | None = None) -> Tensor:
        """d/ds [z, a, dL/dθ] = [f, -a ∂f/∂z, -a ∂f/∂θ], from one evaluation of f and one product with its Jacobian."""
        with torch.enable_grad():
            z = state[:n].detach().requires_grad_()
            f = form.flatten(func(s, form.unflatten(z)))
            products = vjp(f, (z, *params), -state[n : 2 * n])
        return torch.cat([f.detach(), *(product.reshape(-1) for product in products)], out=out)

    times, settings = t.detach().double().tolist(), {**settings, "options": options}
    a, sizes = g[-1], [p.numel() for p in params]
    dparams = torch.zeros(sum(sizes), dtype=ys.dtype, device=ys.device)
    dt = torch.zeros(len(times), dtype=torch.float64, device=ys.device) if time_gradient else None
    for i in range(len(times) - 1, 0, -1):
        start = torch.cat([ys[i], a, dparams])  # z starts anew from its stored value
        problem = prepare(augmented, start, [times[i], times[i - 1]], **settings)
        problem.reads, problem.func.writes = 2 * n, True
        sol = run(problem)
        if dt is not None:
            dt[i] = dot(g[i], problem.f0[:n])
        a, dparams = sol.y[-1, n : 2 * n], sol.y[-1, 2 * n :]
        options |= next_first_step(sol.steps, METHODS[settings["method"]].order)
        if i == 1 and dt is not None:
            dt[0] = -dot(a, form.flatten(func(instant(times[0], ys), form.unflatten(ys[0]))))
        a = a + g[i - 1]  # a jumps where the loss looks at z (Figure 2 of the paper)
    pieces = dparams.split(sizes) if sizes else ()
    each = [(x if p.is_complex() else x.real).view_as(p) for x, p in zip(pieces, params, strict=True)]
    return a, None if dt is None else dt.to(t), each


def vjp(f: Tensor, inputs: Sequence[Tensor], v: Tensor) -> list[Tensor]:
    """v ∂f/∂x for each input x, zero where f does not depend on it."""
    found = torch.autograd.grad(f, inputs, v, allow_unused=True) if f.requires_grad else [None] * len(inputs)
    return [torch.zeros_like(x) if product is None else product for product, x in zip(found, inputs, strict=True)]


def dot(a: Tensor, f: Tensor) -> Tensor:
    """The real inner product of an adjoint and a slope."""
    return torch.sum(a.conj() * f).real


def adjoint_norm(norm: Any, form: Form, z: Tensor, params: Sequence[Tensor]) -> Callable[[Tensor], float]:
    """The norm of the backward state [z, a, dL/dθ …]: "full", "seminorm" or the caller's function of its parts."""
    parts = form.unflatten(z) if form.is_tuple else (z,)
    whole, without = Form((*parts, *parts, *params)), Form((*parts, *parts))
    if not isinstance(norm, str):
        clock = torch.zeros((), dtype=z.dtype, device=z.device)
        return lambda x: float(norm((clock, *whole.unflatten(x))))
    if norm == "full":
        return norm_of(None, whole)
    largest, reads = norm_of(None, without), 2 * z.numel()
    return lambda x: largest(x[:reads])


def warn_of_lost_gradients(params: Sequence[Tensor], f: Tensor, y: Tensor) -> None:
    """Look through the graph of one evaluation f of func at y, and warn of tensors that the adjoint will not reach."""
    reached, seen, stack = not params, set(), [f.grad_fn]
    ends, leaves = {p.grad_fn for p in params if not p.is_leaf}, {id(p) for p in params}
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if node in ends or id(leaf) in leaves:
            reached = True
            continue
        if leaf is not None and leaf is not y:
            warn(
                f"func uses a tensor of shape {tuple(leaf.shape)} that requires a gradient but is not among the "
                "parameters: its gradient will be missing. Pass it in adjoint_params, or make it a Parameter of func",
                stacklevel=2,
            )
        stack.extend(parent for parent, _ in node.next_functions)
    if not reached:
        warn(
            "what func returns at t[0] does not depend on its parameters: is there a torch.no_grad(), detach() or "
            "item() in it?",
            stacklevel=2,
        )
