"""Chapter 2's exercises with a pencil, 2.1 to 2.4: what is right, on which inputs, and which mistakes have a name."""

from collections.abc import Callable

import numpy as np

from .algorithms import Array
from .forms import Formed, Rng, listed, on_spans, rows, span

exp = np.exp

# --- 2.1 ------------------------------------------------------------------------------------------------------------


def by_hand(z0: float, lam: float, t0: float, t1: float, t: float) -> tuple:
    """z(t1), dL/dz(t1), dz(t1)/dz(t) and a(t) for z' = lam z, L = z(t1)² / 2."""
    end, nudge = z0 * exp(lam * (t1 - t0)), exp(lam * (t1 - t))
    return end, end, nudge, end * nudge


def _hand_inputs(rng: Rng, start: int, way: int) -> tuple:
    z0, lam = rng.choice([-1, 1]) * rng.uniform(0.5, 1.6), rng.choice([-1, 1]) * rng.uniform(0.3, 1.2)
    return z0, lam, *span(rng, start, way)


def _no_signs(function: Callable) -> Callable:
    """The right answer to z0, …, t0, t1, t with |t1 - t0| and |t1 - t| in place of the differences of times."""

    def wrong(*x: float) -> tuple:
        *others, t0, t1, t = x
        return function(*others, 0.0, abs(t1 - t0), abs(t1 - t0) - abs(t1 - t))

    return wrong


def _in_order(function: Callable) -> Callable:
    """The right answer with t0 and t1 exchanged where t1 comes first."""
    return lambda *x: function(*x[:-3], min(x[-3:-1]), max(x[-3:-1]), x[-1])


KEEP_SIGNS = "t1 may come before t0: differences of times have signs, so take no absolute value of them."
NO_ORDER = "t1 may come before t0: t0 is where the path starts all the same, so do not exchange them."


def _hand_with(end: Callable, d_end: Callable, nudge: Callable) -> Callable:
    def wrong(z0: float, lam: float, t0: float, t1: float, t: float) -> tuple:
        e, n = end(z0, lam, t0, t1, t), nudge(z0, lam, t0, t1, t)
        return e, d_end(e), n, d_end(e) * n

    return wrong


def _end(z0: float, lam: float, t0: float, t1: float, t: float) -> float:
    return z0 * exp(lam * (t1 - t0))


def _nudge(z0: float, lam: float, t0: float, t1: float, t: float) -> float:
    return exp(lam * (t1 - t))


BY_HAND = Formed(
    "2.1 An adjoint by hand", listed, by_hand, on_spans(_hand_inputs),
    [
        (KEEP_SIGNS, _no_signs(by_hand)),
        (NO_ORDER, _in_order(by_hand)),
        ("t0 may be negative, and is no duration: take no absolute value of it.",
         lambda z0, lam, t0, t1, t: by_hand(z0, lam, abs(t0), t1, t)),
        ("A nudge at t grows from t on, until t1: look at its exponent.",
         _hand_with(_end, lambda e: e, lambda z0, lam, t0, t1, t: exp(lam * (t - t0)))),
        ("A nudge at t grows from t on only, not from t0.",
         _hand_with(_end, lambda e: e, lambda z0, lam, t0, t1, t: exp(lam * (t1 - t0)))),
        ("The path begins at t0, which is not 0.",
         _hand_with(lambda z0, lam, t0, t1, t: z0 * exp(lam * t1), lambda e: e, _nudge)),
        ("Result 2 is the derivative of the loss by z(t1), not the loss.",
         _hand_with(_end, lambda e: e**2 / 2, _nudge)),
        ("Result 4 is the chain rule's product of results 2 and 3, not their sum.",
         lambda *x: (*by_hand(*x)[:3], by_hand(*x)[1] + by_hand(*x)[2])),
        ("A nudge starts at z(t) and travels to t1; its size does not depend on z, but a(t) does.",
         lambda *x: (*by_hand(*x)[:3], by_hand(*x)[2])),
    ],
    ("Solve z' = lam z first from t0 to t1, then from t to t1.",
     "z(t1) = exp(lam (t1 - t)) z(t). Differentiate that by z(t), and multiply by dL/dz(t1)."),
)  # fmt: skip

# --- 2.2 ------------------------------------------------------------------------------------------------------------


def midpoint_back(g: Array, h: float, J1: Array, J2: Array) -> tuple:
    """dL/dk2, dL/dm, dL/dk1 and dL/dz as rows."""
    dk2 = h * g
    dm = dk2 @ J2
    dk1 = h / 2 * dm
    return dk2, dm, dk1, g + dm + dk1 @ J1


def _step_inputs(rng: Rng) -> tuple:
    n = int(rng.integers(2, 4))
    return rng.normal(size=n), rng.uniform(0.2, 0.9), rng.normal(size=(n, n)), rng.normal(size=(n, n))


def _columns(g: Array, h: float, J1: Array, J2: Array) -> tuple:
    return midpoint_back(g, h, J1.T, J2.T)


def _whole_h(g: Array, h: float, J1: Array, J2: Array) -> tuple:
    dk2, dm, _, _ = midpoint_back(g, h, J1, J2)
    return dk2, dm, h * dm, g + dm + h * dm @ J1


def _swapped(g: Array, h: float, J1: Array, J2: Array) -> tuple:
    return midpoint_back(g, h, J2, J1)


def _other_order(g: Array, h: float, J1: Array, J2: Array) -> tuple:
    return *midpoint_back(g, h, J1, J2)[:3], g @ (np.eye(len(g)) + h * J2 + h**2 / 2 * J1 @ J2)


def _without(*left_out: str) -> Callable:
    """dL/dz without some of its three parts."""

    def wrong(g: Array, h: float, J1: Array, J2: Array) -> tuple:
        dk2, dm, dk1, _ = midpoint_back(g, h, J1, J2)
        parts = {"z": g, "m": dm, "k1": dk1 @ J1}
        return dk2, dm, dk1, sum(part for name, part in parts.items() if name not in left_out)

    return wrong


MIDPOINT_BACK = Formed(
    "2.2 One step, backwards", rows, midpoint_back, [_step_inputs] * 6,
    [
        ("These are columns: a row stands left of the Jacobian, `row @ J`. You have its transpose.", _columns),
        ("k1 enters m with h/2.", _whole_h),
        ("J1 is the Jacobian of k1's evaluation, J2 of k2's.", _swapped),
        ("On the way back k2 comes first: J2 is the first to multiply the row, J1 the second.", _other_order),
        ("k2 is evaluated at m, so that its Jacobian is J2, not J1.", lambda g, h, J1, J2: midpoint_back(g, h, J1, J1)),
        ("z enters m directly, too: dL/dm is part of dL/dz.", _without("m")),
        ("z enters k1, too: its part of dL/dz goes through J1.", _without("k1")),
        ("z enters the result of the step directly: g is part of dL/dz.", _without("z")),
        ("z enters m and k1, too: their parts of dL/dz are missing.", _without("m", "k1")),
    ],
    ("List for each quantity every line in which it is used; each use adds one term.",
     "dL/dk2 = h g. Then dL/dm = dL/dk2 @ J2, and k1 is used in m with the factor h/2. z is used three times."),
)  # fmt: skip

# --- 2.3 ------------------------------------------------------------------------------------------------------------


def decayed(z0: float, theta: float, mu: float, t0: float, t1: float, t: float) -> tuple:
    """a(t), a_θ(t1), a_θ(t) and dL/dθ for z' = -z + θ, L = z(t1)² + μ θ²."""
    end = theta + (z0 - theta) * exp(t0 - t1)
    mentioned = 2 * mu * theta
    return (2 * end * exp(t - t1), mentioned, mentioned + 2 * end * (1 - exp(t - t1)),
            mentioned + 2 * end * (1 - exp(t0 - t1)))  # fmt: skip


def _decay_inputs(rng: Rng, start: int, way: int) -> tuple:
    theta = rng.choice([-1, 1]) * rng.uniform(0.3, 1.5)
    return rng.choice([-1, 1]) * rng.uniform(0.5, 2.0), theta, rng.uniform(0.2, 0.9), *span(rng, start, way)


def _decay_with(change: Callable) -> Callable:
    """A wrong answer made of the right one and of 2 μ θ: ``change(a, mentioned, a_theta, whole, z0, …)``."""
    return lambda *x: change(*decayed(*x), *x)


DECAY = Formed(
    "2.3 A loss that mentions θ", listed, decayed, on_spans(_decay_inputs),
    [
        (KEEP_SIGNS, _no_signs(decayed)),
        (NO_ORDER, _in_order(decayed)),
        ("The loss mentions θ: at t1 there is no time left, but L still depends on θ directly.",
         _decay_with(lambda a, m, p, q, *x: (a, 0.0, p - m, q - m))),
        ("What a_θ is at t1, it keeps on the way back: no right-hand side contains a_θ.",
         _decay_with(lambda a, m, p, q, *x: (a, m, p - m, q - m))),
        ("a_θ(t1) is the derivative of μ θ² by θ.",
         _decay_with(lambda a, m, p, q, *x: (a, 0.0, p, q))),
        ("dL/dθ is a_θ at t0, where θ has acted all the way, not a_θ(t).",
         _decay_with(lambda a, m, p, q, *x: (a, m, p, p))),
        ("L holds z(t1)², without a half: its derivative by z(t1) is 2 z(t1).",
         _decay_with(lambda a, m, p, q, *x: (a / 2, m, (p + m) / 2, (q + m) / 2))),
        ("The path runs to θ, not to 0: solve z' = -z + θ for z(t1) first.",
         lambda z0, th, mu, t0, t1, t: (
             2 * z0 * exp(t0 + t - 2 * t1), 2 * mu * th, 2 * mu * th + 2 * z0 * exp(t0 - t1) * (1 - exp(t - t1)),
             2 * mu * th + 2 * z0 * exp(t0 - t1) * (1 - exp(t0 - t1)))),
        ("a_θ' = -a f_θ, so that going back *adds* the integral of a f_θ.",
         _decay_with(lambda a, m, p, q, *x: (a, m, 2 * m - p, 2 * m - q))),
        ("The integral of a f_θ is not its value at one end times the time.",
         _decay_with(lambda a, m, p, q, z0, th, mu, t0, t1, t: (
             a, m, m + (t1 - t) * a, m + (t1 - t0) * a * exp(t0 - t)))),
        ("a solves a' = +a here, since f_z = -1: it grows towards t1.",
         _decay_with(lambda a, m, p, q, z0, th, mu, t0, t1, t: (a * exp(2 * (t1 - t)), m, p, q))),
    ],
    ("Which derivative of L is a_θ(t1), when L's arguments are z(t1) and θ?",
     "a_θ(t) = 2 μ θ + the integral of a from t to t1, and a(s) = a(t1) exp(s - t1)."),
)  # fmt: skip

# --- 2.4 ------------------------------------------------------------------------------------------------------------


def times(z0: float, t0: float, t1: float) -> tuple:
    """a(t0), dL/dt1, dL/dt0 and ∫ a ∂f/∂t dt for z' = t z, L = z(t1)."""
    a = exp((t1**2 - t0**2) / 2)
    return a, t1 * a * z0, -t0 * a * z0, (t1 - t0) * a * z0


def _times_with(change: Callable) -> Callable:
    return lambda z0, t0, t1: change(*times(z0, t0, t1), z0, t0, t1)


def _times_inputs(rng: Rng, start: int, way: int) -> tuple:
    t0, t1, _ = span(rng, start, way)
    return rng.choice([-1, 1]) * rng.uniform(0.5, 2.0), t0, t1


def _scaled(z0: float, t0: float, t1: float, a: float) -> tuple:
    return a, t1 * a * z0, -t0 * a * z0, (t1 - t0) * a * z0


TIMES = Formed(
    "2.4 Three time gradients", listed, times, on_spans(_times_inputs),
    [
        ("t0 and t1 may be negative: results 2 and 3 have their signs.",
         lambda z0, t0, t1: times(z0, abs(t0), abs(t1))),
        ("t0 may be negative: result 3 has its sign.", lambda z0, t0, t1: times(z0, abs(t0), t1)),
        (NO_ORDER, lambda z0, t0, t1: times(z0, min(t0, t1), max(t0, t1))),
        ("t1 may come before t0: the clock's integral has the sign of t1 - t0.",
         _times_with(lambda a, x, y, c, z0, t0, t1: (a, x, y, abs(t1 - t0) * a * z0))),
        ("Result 4 is an integral from t0 to t1, not from t1 to t0.",
         _times_with(lambda a, x, y, c, z0, t0, t1: (a, x, y, -c))),
        ("f_z = t is not constant: the exponent of a(t0) is an integral of t.",
         lambda z0, t0, t1: _scaled(z0, t0, t1, exp(t1 - t0))),
        ("f_z = t is not constant: the exponent of a(t0) is an integral of t.",
         _times_with(lambda a, x, y, c, z0, t0, t1: (exp(t1 - t0), x, y, c))),
        ("The integral of t from t0 to t1 is not (t1 - t0)²/2.",
         lambda z0, t0, t1: _scaled(z0, t0, t1, exp((t1 - t0) ** 2 / 2))),
        ("Starting later is like being pushed back along f: the sign of dL/dt0.",
         _times_with(lambda a, x, y, c, z0, t0, t1: (a, x, -y, c))),
        ("The clock's f_t is z, and a z is the same at all times: integrate it.",
         _times_with(lambda a, x, y, c, z0, t0, t1: (a, x, y, a * z0))),
        ("Moving both ends is the sum of moving each.", _times_with(lambda a, x, y, c, z0, t0, t1: (a, x, y, x - y))),
        ("dL/dt1 is a(t1) times the whole f = t z, at t1.",
         _times_with(lambda a, x, y, c, z0, t0, t1: (a, a * z0, y, c))),
        ("dL/dt0 is -a(t0) f at t0, and f there has the time t0 in it.",
         _times_with(lambda a, x, y, c, z0, t0, t1: (a, x, -t1 * a * z0, c))),
    ],
    ("Solve z' = t z: the exponent is the integral of t. Then a(t1) = 1 and a' = -t a.",
     "a(t) z(t) is the same at all times, namely z(t1). All of results 2 to 4 are that number times a time."),
)  # fmt: skip
