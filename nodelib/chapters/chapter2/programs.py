"""Chapter 2's exercises in programming, 2.5, 2.6, 2.8 and 2.9: what is right, and which mistakes have a name."""

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import make_vjp

from nodelib.numpy_ode import odeint
from nodelib.numpy_ode.adjoint import join, split
from nodelib.workbook.check import Exercise

from .algorithms import ROUGH, Array, Func, algorithm_1, from_stored, frozen_theta, one_sign, running_cost, states
from .forms import Formed, Rng, span


def turning(t: Any, z: Any, W: Any, b: Any) -> Any:
    """The chapter's field."""
    return anp.dot(anp.tanh(z), W.T) + anp.sin(t) * b  # type: ignore[attr-defined]


def chain(t: Any, z: Any, k: Any, c: Any) -> Any:
    """Three components that pull at each other, with two numbers for parameters."""
    return k * anp.roll(z, 1) - c * anp.sin(2 * z) + anp.cos(t)  # type: ignore[attr-defined]


def _field(rng: Rng) -> tuple[Func, Array, list]:
    """One of the two fields, a state and parameters."""
    if rng.random() < 0.6:
        return turning, rng.normal(size=2), [rng.normal(size=(2, 2)) / 2, rng.normal(size=2) / 2]
    return chain, rng.normal(size=3), [np.array(rng.uniform(0.3, 0.9)), np.array(rng.uniform(0.1, 0.5))]


def _one_piece(rng: Rng) -> tuple:
    func, z_end, params = _field(rng)
    t0, t1, _ = span(rng)
    return func, z_end, rng.normal(size=len(z_end)), t0, t1, params


def _stored(rng: Rng) -> tuple:
    func, y0, params = _field(rng)
    t = rng.uniform(0.2, 0.8) + np.cumsum(rng.uniform(0.3, 0.6, size=3))
    ys = states(func, y0, t, params)
    return func, ys, t, params, rng.normal(size=ys.shape)


def _vector(parts: Any) -> Any:
    """Arrays of several shapes as one vector; what is none stays as it is, for the check to say so."""
    if isinstance(parts, np.ndarray) or parts is None or parts is ...:
        return parts
    if not isinstance(parts, list | tuple) or any(part is None or part is ... for part in parts):
        return parts
    try:
        return np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in parts])
    except (TypeError, ValueError):
        return parts


def last_as_vector(results: Any) -> Any:
    """Three results, the last of them, arrays of several shapes, as one vector."""
    if isinstance(results, list | tuple) and len(results) == 3:
        return (*results[:2], _vector(results[2]))
    return results


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


def _held_state(func: Func, z_end: Array, g: Array, t0: float, t1: float, params: list) -> tuple:
    return _signed(0.0, -1.0, -1.0)(func, z_end, g, t0, t1, params)


def _theta_starts_at_theta(func: Func, z_end: Array, g: Array, t0: float, t1: float, params: list) -> tuple:
    z, a, dp = algorithm_1(func, z_end, g, t0, t1, params, ROUGH)
    return z, a, [x + y for x, y in zip(dp, params, strict=True)]


ALGORITHM_1 = Formed(
    "2.5 Algorithm 1", last_as_vector, algorithm_1, _one_piece,
    [
        ("a f_z has the wrong sign: the equation forward in time has a minus, and a solver run from t1 to t0 keeps it.",
         _signed(1.0, 1.0, -1.0)),
        ("dL/dθ has the wrong sign: a_θ' = -a f_θ.", _signed(1.0, -1.0, 1.0)),
        ("Both adjoints have the wrong sign: a' = -a f_z and a_θ' = -a f_θ.", _signed(1.0, 1.0, 1.0)),
        ("z moves by +f: a solver that is given the times [t1, t0] turns it round itself.", _signed(-1.0, -1.0, -1.0)),
        ("All signs are turned: a solver that is given the times [t1, t0] does that itself.", _signed(-1.0, 1.0, 1.0)),
        ("The times run the wrong way: from t1 to t0.", _other_way),
        ("z stays where it ended: f belongs into the augmented state's derivative.", _held_state),
        ("a_θ starts at 0, not at θ.", _theta_starts_at_theta),
    ],
    ("The state is [z, a, a_θ …]; at t1 it is [z_end, g, zeros …]. `split` and `join` are those of § 2.4.",
     "make_vjp(lambda z, *params: func(s, z, *params), (0, 1, 2, …)) gives product and f; the derivative is "
     "join([f, *product(-a)]), solved over the times [t1, t0]."),
    cases=3, rtol=1e-4, quick=_roughly,
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
    "2.8 Repair A", last_as_vector, from_stored, _stored,
    [
        ("That is A's function as it was: the rows of θ are still wrong.", frozen_theta),
        ("∂f/∂θ at the interval's other end is no integral either.", _at_the_later_end),
        ("Each interval adds to the gradient of θ.", _no_theta_jump),
    ],
    ("Only θ is wrong: what should be an integral of a f_θ over each interval?",
     "The third result of algorithm_1 is that integral; A throws it away."),
    cases=2, rtol=1e-4,
)  # fmt: skip


def _all_flipped(func: Func, ys: Array, t: Array, params: list, g: Array) -> tuple:
    dy0, dt, total = from_stored(func, ys, t, params, g)
    return dy0, -dt, total


def _with_g0(func: Func, ys: Array, t: Array, params: list, g: Array) -> tuple:
    dy0, dt, total = from_stored(func, ys, t, params, g)
    return dy0, np.array([-np.sum(dy0 * func(t[0], ys[0], *params)), *dt[1:]]), total


REPAIR_B = Formed(
    "2.9 Repair B", last_as_vector, from_stored, _stored,
    [
        ("That is B's function as it was: the row of t0 is still wrong.", one_sign),
        ("Now the end times are turned as well: only the start has a minus.", _all_flipped),
        ("y0 is given, not computed: g[0] does not belong into dL/dt0.", _with_g0),
    ],
    ("Starting later is like being pushed back along f.", "One sign, in the line that computes `pulls`."),
    cases=2, rtol=1e-4,
)  # fmt: skip


def _cost_inputs(rng: Rng) -> tuple:
    func, z_end, params = _field(rng)
    t0, t1, _ = span(rng)
    return (lambda t, z: func(t, z, *params)), z_end, t0, t1


def _cost_with(start: float, sign: float, source: float) -> Callable:
    """The backward solve with a(t1) = start z, and a' = sign a f_z + source z."""

    def wrong(func: Func, z_end: Array, t0: float, t1: float) -> Array:
        def both(s: float, state: Array) -> Array:
            z, a = np.split(state, 2)
            product, f = make_vjp(lambda z: func(s, z))(z)  # type: ignore[misc]
            return join([f, sign * product(a) + source * z])

        return odeint(both, join([z_end, start * z_end]), [t1, t0], **ROUGH)[-1][len(z_end) :]

    return wrong


RUNNING_COST = Exercise(
    "2.6 A running cost", running_cost, _cost_inputs,
    [
        ("At t1 nothing is left to collect: a(t1) is 0.", _cost_with(1.0, -1.0, -1.0)),
        ("That is the gradient of |z(t1)|²/2: nothing is collected on the way.", _cost_with(1.0, -1.0, 0.0)),
        ("The running cost comes with a minus forward in time, so that it adds on the way back.",
         _cost_with(0.0, -1.0, 1.0)),
        ("a f_z comes with a minus forward in time.", _cost_with(0.0, 1.0, -1.0)),
    ],
    ("What does a nudge at t add to what is collected between t and t + ε?",
     "a(t1) = 0 and a' = -a f_z - z; solve [z, a] over the times [t1, t0]."),
    cases=3, rtol=1e-4,
)  # fmt: skip
