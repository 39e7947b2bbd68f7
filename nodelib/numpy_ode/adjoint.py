"""The adjoint method: gradients of a solution by solving a second ODE backwards, storing nothing in between.

Chen et al. (2018), Algorithms 1 and 2, equations (4), (5), (46) to (52), and Appendix D. The adjoint a(t) = dL/dz(t) of
z' = f obeys

    a' = -a ∂f/∂z,     dL/dθ = ∫_{t₀}^{t₁} a ∂f/∂θ dt,     dL/dt₀ = -a(t₀) f(t₀, z₀),     dL/dt_i = g_i f(t_i, z_i),

where a jumps by g_i = dL/dz(t_i) at each output time t_i. Chapter 2 derives this, sign by sign.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from autograd import make_vjp
from autograd.extend import defvjp_argnums, primitive
from autograd.tracer import getval, isbox

from nodelib.common.arguments import METHODS, adjoint_settings, check_adjoint, default_tolerances
from nodelib.common.controller import next_first_step
from nodelib.common.solution import SolverError, changed, on_the_way_back
from nodelib.numpy_ode.inputs import as_array, as_params, as_times
from nodelib.numpy_ode.problem import MORE_OPTIONS, Array, prepare, rms
from nodelib.numpy_ode.solve import run, solve


def odeint_adjoint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    *,
    method: str = "dopri5",
    rtol=None,
    atol=None,
    options=None,
    adjoint_params: Any = (),
    adjoint_rtol=None,
    adjoint_atol=None,
    adjoint_method=None,
    adjoint_options=None,
    event_fn: Callable[[Any, Any], Any] | None = None,
) -> Any:
    """As ``odeint``, differentiable by autograd in y0, t and adjoint_params through the adjoint ODE.

    func:            (t, y, *adjoint_params) -> array like y0, in operations that autograd knows; y0 real.
    adjoint_params:  the arrays that func depends on, each an argument of func: a sequence of them, or a single one. One
                     of them may itself be a list, tuple or dictionary of arrays, nested at will.
    adjoint_…:       tolerances, method and options of the backward solve; by default those of the forward solve. In
                     adjoint_options, norm is "full" (default: the largest RMS of z, a and each parameter's gradient),
                     "seminorm" (without the parameters, whose integral feeds nothing back: Kidger, Chen & Lyons 2021)
                     or a function of (time's adjoint, z, a, *parameters' gradients).
    event_fn:        solve until an event, as ``odeint`` does.

    The gradient is that of the exact flow up to the tolerances, not of the computed solution: see ``odeint_checkpoint``
    for that. It is a first derivative: for second ones differentiate ``odeint``. Raises what ``solve`` raises, and
    ValueError when func uses an array that autograd traces but that is not in adjoint_params; on the way back
    AnotherFunction when func is not what it was on the way there.
    """
    if event_fn is not None:
        from nodelib.numpy_ode.events import odeint_until  # imports this module

        settings = {"method": method, "rtol": rtol, "atol": atol, "options": options, "adjoint_params": adjoint_params}
        settings |= {"adjoint_rtol": adjoint_rtol, "adjoint_atol": adjoint_atol}
        settings |= {"adjoint_method": adjoint_method, "adjoint_options": adjoint_options}
        return odeint_until(odeint_adjoint, func, y0, t, event_fn, **settings)
    params, func = as_params(adjoint_params, func)
    y0, t = as_array(y0), as_times(t)
    forward = {"method": method, "rtol": rtol, "atol": atol, "options": options}
    backward = adjoint_settings(forward, adjoint_method, adjoint_rtol, adjoint_atol, adjoint_options, MORE_OPTIONS)
    if np.iscomplexobj(getval(y0)):
        raise TypeError("y0 must be real for the adjoint: stack its real and imaginary parts")
    if any(np.iscomplexobj(getval(p)) for p in params):
        raise TypeError("adjoint_params must be real for the adjoint: pass real and imaginary parts, joined in func")
    return _solution(y0, t, *params, func=func, forward=forward, backward=backward, kept={})


@primitive
def _solution(y0: Array, t: Array, *params: Array, func: Callable, forward: dict, backward: tuple, kept: dict) -> Array:
    problem = prepare(lambda s, y: func(s, y, *params), y0, t, **forward)
    ys = without_box(run(problem).y).reshape((len(problem.times), *problem.shape))
    kept["slopes"] = problem.f0, func(problem.times[-1], ys[-1], *params).reshape(-1)
    return ys


def without_box(ys: Any) -> Array:
    """ys, unless autograd traces it: func then uses an array that it was not given."""
    if isbox(ys):
        raise ValueError(
            "func uses an array that autograd is tracing but that is not among adjoint_params, so that its gradient "
            "would be missing: pass it in adjoint_params, and let func take it after t and y"
        )
    return ys


def must_be_the_same(f0: Array, f: Array, t0: float) -> None:
    """Raise AnotherFunction unless func gives f at t0 on the way back, where it gave f0 on the way there."""
    gap, size = float(np.max(np.abs(f.reshape(-1) - f0))), float(np.max(np.abs(f0)))
    if not gap <= np.finfo(f0.dtype).eps ** 0.5 * size:
        raise changed(f"at t = {t0:.6g} and the same y it returns something {gap:.3g} away, of size {size:.3g}")


def first_order_only(*values: Any) -> None:
    """Raise if autograd traces the way back as well, on which these values are used."""
    if any(map(isbox, values)):
        raise TypeError(
            "odeint_adjoint and odeint_checkpoint give first derivatives: for second ones differentiate odeint"
        )


def _gradient_maker(argnums: tuple[int, ...], ys: Array, args: tuple, settings: dict) -> Callable[[Array], list]:
    """What autograd calls on the way back: g = dL/dys -> the gradients of the arguments in ``argnums``."""
    _, t, *params = args

    def gradients(g: Array) -> list[Array]:
        first_order_only(g, *args)
        was = settings["kept"]["slopes"]
        a, dt, dparams = adjoint_gradients(settings["func"], ys, t, params, g, *settings["backward"], was=was)
        every = (a, dt, *dparams)
        return [every[i] for i in argnums]

    return gradients


defvjp_argnums(_solution, _gradient_maker)


def adjoint_gradients(
    func: Callable,
    ys: Array,
    t: Array,
    params: Sequence[Array],
    g: Array,
    settings: dict[str, Any],
    norm: Any = "full",
    was: tuple[Array, Array] | None = None,
) -> tuple[Array, Array, list[Array]]:
    """(dL/dy0, dL/dt, [dL/dθ]) from the outputs ys at t and g = dL/dys, both (len(t), *y0.shape).

    Algorithm 2, at several outputs as in Appendix D.

    ``settings`` are the method, tolerances and options of the backward solve, ``norm`` as in ``odeint_adjoint``;
    ``was`` is what func gave at t[0] and t[-1] on the way there, to be compared.
    """
    z_shape, options = ys[0].shape, dict(settings["options"])
    options["norm"] = adjoint_norm(norm, [ys[0], ys[0], *params])
    largest = float(np.max(list(map(rms, g))))
    check_adjoint(largest, settings["atol"] or default_tolerances(np.finfo(ys.dtype).eps)[1])

    def augmented(s: float, state: Array) -> Array:
        """d/ds [z, a, dL/dθ] = [f, -a ∂f/∂z, -a ∂f/∂θ], from one evaluation of f and one product with its Jacobian."""
        z, a, *_ = split(state, [ys[0], ys[0], *params])
        every = tuple(range(1 + len(params)))
        product, f = make_vjp(lambda z, *params: func(s, z, *params), every)(z, *params)  # type: ignore
        return join([f, *product(-a)])

    a, dparams, dt = g[-1], [np.zeros_like(p, dtype=ys.dtype) for p in params], np.zeros(len(t))
    for i in range(len(t) - 1, 0, -1):
        slope = func(t[i], ys[i], *params)
        dt[i] = np.sum(g[i] * slope)
        if was and i == len(t) - 1:
            must_be_the_same(was[1], slope, t[i])
        start = join([ys[i], a, *dparams])  # z starts anew from its stored value
        try:
            sol = solve(augmented, start, [t[i], t[i - 1]], **{**settings, "options": options})
        except SolverError as error:
            raise on_the_way_back(error, t[i], t[i - 1]) from error
        _, a, *dparams = split(sol.y[-1], [ys[0], ys[0], *params])
        options |= next_first_step(sol.steps, METHODS[settings["method"]].order)
        if i == 1:
            slope = func(t[0], ys[0], *params)
            dt[0] = -np.sum(a * slope)
            if was:
                must_be_the_same(was[0], slope, t[0])
        a = a + g[i - 1]  # a jumps where the loss looks at z (Figure 2 of the paper)
    return a.reshape(z_shape), dt, dparams


def join(parts: Sequence[Any]) -> Array:
    """Arrays of any shapes as one vector."""
    return np.concatenate([np.reshape(part, -1) for part in parts])


def split(vector: Array, like: Sequence[Array]) -> list[Array]:
    """The vector as arrays with the shapes of those in ``like``."""
    ends = np.cumsum([np.size(part) for part in like])
    return [piece.reshape(np.shape(p)) for piece, p in zip(np.split(vector, ends[:-1]), like, strict=True)]


def adjoint_norm(norm: Any, like: Sequence[Array]) -> Callable[[Array], float]:
    """The norm of the backward state [z, a, dL/dθ …]: "full", "seminorm" or the caller's function of its parts."""
    if not isinstance(norm, str):
        return lambda x: float(norm((np.zeros(()), *split(x, like))))
    counted = None if norm == "full" else 2
    return lambda x: max(rms(part) for part in split(x, like)[:counted])
