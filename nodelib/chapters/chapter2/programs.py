"""Chapter 2's exercises in programming, 2.5, 2.6, 2.8 and 2.9: what is right, and which mistakes have a name."""

from collections.abc import Callable
from functools import partial
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import make_vjp

from nodelib.numpy_ode import odeint
from nodelib.numpy_ode.adjoint import join, split

from .algorithms import ROUGH, Array, Func, algorithm_1, from_stored, frozen_theta, one_sign, running_cost, states
from .forms import Formed, Rng, last_as_vector, listed, no_adjoint, span


def turning(t: Any, z: Any, W: Any, b: Any) -> Any:
    """The chapter's field."""
    return anp.dot(anp.tanh(z), W.T) + anp.sin(t) * b  # type: ignore[attr-defined]


def chain(t: Any, z: Any, k: Any, c: Any) -> Any:
    """Three components that pull at each other, with two numbers for parameters."""
    return k * anp.roll(z, 1) - c * anp.sin(2 * z) + anp.cos(t)  # type: ignore[attr-defined]


def crowd(t: Any, z: Any, W: Any, b: Any, k: Any) -> Any:
    """Three states at once, (3, 2), with three parameters."""
    return k * anp.tanh(anp.dot(z, W)) + anp.cos(2 * t) * b  # type: ignore[attr-defined]


def lone(t: Any, z: Any, k: Any) -> Any:
    """One number and one parameter."""
    return anp.sin(k * z + t)  # type: ignore[attr-defined]


SHAPES = {turning: ((2,), (2, 2), (2,)), chain: ((3,), (), ()), crowd: ((3, 2), (2, 2), (2,), ()), lone: ((), ())}


def _field(rng: Rng, func: Func) -> tuple[Func, Array, list]:
    """The field, closed to the library's own adjoint; a state of the shape it takes, and parameters."""
    state, *shapes = SHAPES[func]
    params = [rng.normal(size=shape) / 2 if shape else np.array(rng.uniform(0.3, 0.9)) for shape in shapes]
    return no_adjoint(func), np.asarray(rng.normal(size=state)), params


def _one_piece(rng: Rng, func: Func, start: int, way: int) -> tuple:
    field, z_end, params = _field(rng, func)
    t0, t1, _ = span(rng, start, way)
    return field, z_end, np.asarray(rng.normal(size=z_end.shape)), t0, t1, params


def _stored(rng: Rng, func: Func, start: float, way: int, outputs: int) -> tuple:
    field, y0, params = _field(rng, func)
    t = start + way * np.cumsum(rng.uniform(0.5, 0.9, size=outputs))
    ys = states(field, y0, t, params)
    return field, ys, t, params, rng.normal(size=ys.shape)


PIECES = ((turning, 1, 1), (chain, -1, -1), (crowd, -1, 1), (lone, 1, -1))
STORED = ((chain, 1.1, -1, 3), (turning, 0.2, 1, 3), (crowd, -1.5, 1, 4))
ONE_PIECE = [partial(_one_piece, func=func, start=start, way=way) for func, start, way in PIECES]
SEVERAL = [partial(_stored, func=func, start=start, way=way, outputs=n) for func, start, way, n in STORED]


def _signed(z: float, a: float, p: float) -> Callable:
    """Algorithm 1 with other signs: of z' = f, and in front of a f_z and a f_θ."""

    def wrong(func: Func, z_end: Array, g: Array, t0: float, t1: float, params: list) -> tuple:
        like = [z_end, g, *params]

        def augmented(s: float, state: Array) -> Array:
            y, v, *_ = split(state, like)
            which = tuple(range(1 + len(params)))
            product, f = make_vjp(lambda y, *q: func(s, y, *q), which)(y, *params)  # type: ignore[misc]
            by_z, *by_p = product(v)
            return join([z * f, a * by_z, *[p * x for x in by_p]])

        start = join([z_end, g, *[np.zeros_like(x) for x in params]])
        y, v, *dp = split(odeint(augmented, start, [t1, t0], **ROUGH)[-1], like)
        return y, v, dp

    return wrong


def _roughly(func: Func, z_end: Array, g: Array, t0: float, t1: float, params: list) -> tuple:
    return algorithm_1(func, z_end, g, t0, t1, params, ROUGH)


def _other_way(func: Func, z_end: Array, g: Array, t0: float, t1: float, params: list) -> tuple:
    return algorithm_1(func, z_end, g, t1, t0, params, ROUGH)


def _in_order(func: Func, z_end: Array, g: Array, t0: float, t1: float, params: list) -> tuple:
    return algorithm_1(func, z_end, g, min(t0, t1), max(t0, t1), params, ROUGH)


def _held_state(func: Func, z_end: Array, g: Array, t0: float, t1: float, params: list) -> tuple:
    return _signed(0.0, -1.0, -1.0)(func, z_end, g, t0, t1, params)


def _theta_starts_at_theta(func: Func, z_end: Array, g: Array, t0: float, t1: float, params: list) -> tuple:
    z, a, dp = algorithm_1(func, z_end, g, t0, t1, params, ROUGH)
    return z, a, [x + y for x, y in zip(dp, params, strict=True)]


ALGORITHM_1 = Formed(
    "2.5 Algorithm 1", last_as_vector, algorithm_1, ONE_PIECE,
    [
        ("a f_z has the wrong sign: the equation forward in time has a minus, and a solver run from t1 to t0 keeps it.",
         _signed(1.0, 1.0, -1.0)),
        ("dL/dθ has the wrong sign: a_θ' = -a f_θ.", _signed(1.0, -1.0, 1.0)),
        ("Both adjoints have the wrong sign: a' = -a f_z and a_θ' = -a f_θ.", _signed(1.0, 1.0, 1.0)),
        ("z moves by +f: a solver that is given the times [t1, t0] turns it round itself.", _signed(-1.0, -1.0, -1.0)),
        ("All signs are turned: a solver that is given the times [t1, t0] does that itself.", _signed(-1.0, 1.0, 1.0)),
        ("The times run the wrong way: from t1 to t0.", _other_way),
        ("t1 may come before t0: the solve starts at t1 all the same, so do not put the times in order.", _in_order),
        ("z stays where it ended: f belongs into the augmented state's derivative.", _held_state),
        ("a_θ starts at 0, not at θ.", _theta_starts_at_theta),
    ],
    ("The state is [z, a, a_θ …]; at t1 it is [z_end, g, zeros …]. `split` and `join` are those of § 2.4.",
     "make_vjp(lambda z, *params: func(s, z, *params), (0, 1, 2, …)) gives product and f; the derivative is "
     "join([f, *product(-a)]), solved over the times [t1, t0]."),
    rtol=1e-4, quick=_roughly,
)  # fmt: skip


def _no_theta_jump(func: Func, ys: Array, t: Array, params: list, g: Array) -> tuple:
    """θ's gradient of the last interval only."""
    dy0, dt, _ = from_stored(func, ys, t, params, g)
    a, part = np.zeros_like(g[-1]), []
    for i in range(len(t) - 1, 0, -1):
        _, a, part = algorithm_1(func, ys[i], a + g[i], t[i - 1], t[i], params, ROUGH)
    return dy0, dt, part


def _at_the_later_end(func: Func, ys: Array, t: Array, params: list, g: Array) -> tuple:
    dy0, dt, _ = from_stored(func, ys, t, params, g)
    a, total = np.zeros_like(g[-1]), [np.zeros_like(p) for p in params]
    for i in range(len(t) - 1, 0, -1):
        for k in range(len(params)):
            product, _ = make_vjp(func, 2 + k)(t[i], ys[i], *params)  # type: ignore[misc]
            total[k] = total[k] + (t[i] - t[i - 1]) * product(a + g[i])
        _, a, _ = algorithm_1(func, ys[i], a + g[i], t[i - 1], t[i], params, ROUGH)
    return dy0, dt, total


REPAIR_A = Formed(
    "2.8 Repair A", last_as_vector, from_stored, SEVERAL,
    [
        ("That is A's function as it was: the rows of θ are still wrong.", frozen_theta),
        ("∂f/∂θ at the interval's other end is no integral either.", _at_the_later_end),
        ("Each interval adds to the gradient of θ.", _no_theta_jump),
    ],
    ("Only θ is wrong: what should be an integral of a f_θ over each interval?",
     "The third result of algorithm_1 is that integral; A throws it away."),
    rtol=1e-4,
)  # fmt: skip


def _all_flipped(func: Func, ys: Array, t: Array, params: list, g: Array) -> tuple:
    dy0, dt, total = from_stored(func, ys, t, params, g)
    return dy0, -dt, total


def _with_g0(func: Func, ys: Array, t: Array, params: list, g: Array) -> tuple:
    dy0, dt, total = from_stored(func, ys, t, params, g)
    return dy0, np.array([-np.sum(dy0 * func(t[0], ys[0], *params)), *dt[1:]]), total


REPAIR_B = Formed(
    "2.9 Repair B", last_as_vector, from_stored, SEVERAL,
    [
        ("That is B's function as it was: the row of t0 is still wrong.", one_sign),
        ("Now the end times are turned as well: only the start has a minus.", _all_flipped),
        ("y0 is given, not computed: g[0] does not belong into dL/dt0.", _with_g0),
    ],
    ("Starting later is like being pushed back along f.", "One sign, in the line that computes `pulls`."),
    rtol=1e-4,
)  # fmt: skip


def _cost_inputs(rng: Rng, func: Func, start: int, way: int) -> tuple:
    field, z_end, _, t0, t1, params = _one_piece(rng, func, start, way)
    return (lambda t, z: field(t, z, *params)), z_end, t0, t1


def _cost_with(start: float, sign: float, source: float) -> Callable:
    """The backward solve with a(t1) = start z, and a' = sign a f_z + source z."""

    def wrong(func: Func, z_end: Array, t0: float, t1: float) -> Array:
        def both(s: float, state: Array) -> Array:
            z, a = split(state, [z_end, z_end])
            product, f = make_vjp(lambda z: func(s, z))(z)  # type: ignore[misc]
            return join([f, sign * product(a) + source * z])

        return split(odeint(both, join([z_end, start * z_end]), [t1, t0], **ROUGH)[-1], [z_end, z_end])[1]

    return wrong


def _gradient(result: Any) -> Any:
    """The one result, whether it comes alone or as the only one of a tuple."""
    result = listed(result)
    return result[0] if isinstance(result, tuple) and len(result) == 1 else result


RUNNING_COST = Formed(
    "2.6 A running cost", _gradient, running_cost,
    [partial(_cost_inputs, func=func, start=start, way=way) for func, start, way in PIECES],
    [
        ("t1 may come before t0: the solve starts at t1 all the same, so do not put the times in order.",
         lambda func, z_end, t0, t1: running_cost(func, z_end, min(t0, t1), max(t0, t1))),
        ("At t1 nothing is left to collect: a(t1) is 0.", _cost_with(1.0, -1.0, -1.0)),
        ("That is the gradient of |z(t1)|²/2: nothing is collected on the way.", _cost_with(1.0, -1.0, 0.0)),
        ("The running cost comes with a minus forward in time, so that it adds on the way back.",
         _cost_with(0.0, -1.0, 1.0)),
        ("a f_z comes with a minus forward in time.", _cost_with(0.0, 1.0, -1.0)),
    ],
    ("What does a nudge at t add to what is collected between t and t + ε?",
     "a(t1) = 0 and a' = -a f_z - z; solve [z, a] over the times [t1, t0]."),
    rtol=1e-4,
)  # fmt: skip
