"""What chapter 1 asks its reader to write, and what is right."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from nodelib.chapters.chapter1.fooling import FOOLED, outcome
from nodelib.chapters.chapter1.manners import Watched, built, by_newton
from nodelib.workbook.check import Exercise, Exercises, quiet
from nodelib.workbook.values import unfinished

Field = Callable[[Any, Any], Any]


def random_field(rng: np.random.Generator, size: int) -> Field:
    """A smooth field on ``size`` numbers that depends on the time, on the state, and on which is which."""
    A, b, w = rng.normal(size=(size, size)), rng.normal(size=size), rng.uniform(1, 2)
    return lambda t, z: np.tanh(A @ z + b) + np.sin(w * t) * (1 + 0.3 * z)


# --- 1.1 -------------------------------------------------------------------------------------------------------------


def euler(f: Field, z: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The state at each of the times, by one Euler step from each to the next."""
    states = [np.asarray(z, dtype=float)]
    for t, later in pairwise(times):
        states.append(states[-1] + (later - t) * f(t, states[-1]))
    return np.array(states)


def _euler_inputs(rng: np.random.Generator) -> tuple:
    size = int(rng.integers(2, 5))
    times = rng.uniform(-2, 2) + np.cumsum(rng.uniform(0.1, 0.6, size=int(rng.integers(4, 8))))
    return random_field(rng, size), rng.normal(size=size), times[:: rng.choice([1, -1])]


def _euler_like(slope: Callable[..., Any], step: Callable[..., Any] = lambda t, later, times: later - t) -> Callable:
    def states(f: Field, z: np.ndarray, times: np.ndarray) -> np.ndarray:
        reached = [z]
        for t, later in pairwise(times):
            reached.append(reached[-1] + step(t, later, times) * slope(f, t, later, reached[-1], times))
        return np.array(reached)

    return states


def _at_start(f: Field, t: float, later: float, z: np.ndarray, times: np.ndarray) -> Any:
    return f(t, z)


EULER = Watched(
    "1.1 Euler's method",
    euler,
    _euler_inputs,
    mistakes=[
        ("The speed is read at the end of the step, a time too late.", _euler_like(lambda f, t, s, z, ts: f(s, z))),
        ("The times of f count from 0; the first of `times` need not be 0.",
         _euler_like(lambda f, t, s, z, ts: f(t - ts[0], z))),
        ("The time given to f never moves on.", _euler_like(lambda f, t, s, z, ts: f(ts[0], z))),
        ("All steps are as long as the first; the times need not be evenly spaced.",
         _euler_like(_at_start, lambda t, s, ts: ts[1] - ts[0])),
        ("All steps have the same length; the times need not be evenly spaced.",
         _euler_like(_at_start, lambda t, s, ts: (ts[-1] - ts[0]) / (len(ts) - 1))),
        ("A step has the sign of the time: from a time to an earlier one it is negative.",
         _euler_like(_at_start, lambda t, s, ts: abs(s - t))),
        ("The steps have size 1, as a network's layers have.", _euler_like(_at_start, lambda t, s, ts: 1.0)),
        ("All states are the same array: `z += …` overwrites what the list already holds.",
         lambda f, z, times: np.array([euler(f, z, times)[-1]] * len(times))),
        ("That is Heun's method; Euler looks once.",
         _euler_like(lambda f, t, s, z, ts: (f(t, z) + f(s, z + (s - t) * f(t, z))) / 2)),
        ("The first state is missing: at times[0] the state is z.", lambda f, z, times: euler(f, z, times)[1:]),
        ("Only the last state is there; all are asked, the first included.",
         lambda f, z, times: euler(f, z, times)[-1]),
    ],
    hints=(
        "For each pair of neighbouring times: how long is the step, and when and where is the speed read?",
        "From t to s: z becomes z + (s - t) * f(t, z). Collect z and every later state; np.array makes rows of them.",
    ),
    manner=built,
)  # fmt: skip


# --- 1.2 -------------------------------------------------------------------------------------------------------------


def there_and_back(c: Any, h: Any, n: Any) -> Any:
    """Where n Euler steps of size h and n of size -h along u' = -cu lead from 1; works on arrays, for any ch."""
    return (1 - (c * h) ** 2) ** n


def _walk_inputs(rng: np.random.Generator) -> tuple:
    """Steps that stay above 0 and steps that jump over it, odd and even numbers of them."""
    c, ch = rng.uniform(0.5, 3, size=3), rng.uniform((0.2, 1.1, 1.1), (0.7, 1.5, 1.5))
    return c, ch / c, np.array([rng.integers(2, 8), 2 * rng.integers(1, 4) + 1, 2 * rng.integers(1, 4)])


THERE_AND_BACK = Exercise(
    "1.2 There and back",
    there_and_back,
    _walk_inputs,
    mistakes=[
        ("That would be 1 whatever the step: Euler with -h does not undo Euler with h. Multiply the two factors.",
         lambda c, h, n: 1.0 + 0 * (c * h * n)),
        ("That is the walk there. The walk back has a factor of its own.", lambda c, h, n: (1 - c * h) ** n),
        ("On the way back the slope is still -cu, but h has changed its sign: the factor is not 1 - ch again.",
         lambda c, h, n: (1 - c * h) ** (2 * n)),
        ("The rate c is missing.", lambda c, h, n: (1 - h**2) ** n),
        ("c enters a step only together with h; square both.", lambda c, h, n: (1 - c * h**2) ** n),
        ("There are n pairs of steps, not 2n.", lambda c, h, n: (1 - (c * h) ** 2) ** (2 * n)),
        ("That is right for small ch only. The product has a closed form.", lambda c, h, n: 1 - n * (c * h) ** 2),
        ("The exact solution is not what Euler walks along.", lambda c, h, n: np.exp(-c * h * n)),
        ("Where ch > 1, 1 - c²h² is negative and has no logarithm: raise it to the power n as it is.",
         lambda c, h, n: np.exp(n * np.log1p(-((c * h) ** 2)))),
        ("Where ch > 1, a step there jumps over 0 and 1 - c²h² is negative. That is what Euler does; cut nothing off.",
         lambda c, h, n: np.maximum(1 - (c * h) ** 2, 0) ** n),
        ("Where ch > 1, 1 - c²h² is negative, and so is an odd power of it: keep the sign.",
         lambda c, h, n: np.abs(1 - (c * h) ** 2) ** n),
    ],
    hints=(
        "A formula is asked, without a loop: c, h and n are arrays. By which factor does one step there multiply u?",
        "There: 1 - ch. Back, with -h for h: 1 + ch. Multiply the two, n times.",
    ),
)  # fmt: skip


# --- 1.3 -------------------------------------------------------------------------------------------------------------


def two_slopes(f: Field, t: Any, u: Any, h: Any, c: Any) -> Any:
    """One step of the second-order method that looks a second time after the fraction c of the step."""
    k1 = f(t, u)
    k2 = f(t + c * h, u + c * h * k1)
    return u + h * ((1 - 1 / (2 * c)) * k1 + k2 / (2 * c))


def _weighted(first: Callable[[Any], Any], second: Callable[[Any], Any], time: Any = 1, place: Any = 1) -> Callable:
    def step(f: Field, t: Any, u: Any, h: Any, c: Any) -> Any:
        k1 = f(t, u)
        return u + h * (first(c) * k1 + second(c) * f(t + time * c * h, u + place * c * h * k1))

    return step


def _ours(c: Any) -> Any:
    return 1 / (2 * c)


def _step_inputs(rng: np.random.Generator) -> tuple:
    """Arrays and single numbers, as the next figure's are; c on either side of 1/2, and 1 itself."""
    size = int(rng.integers(0, 4))
    f, t, u = random_field(rng, size or 1), rng.uniform(-2, 2), rng.normal(size=size or 1)
    if size == 0:
        return (lambda t, u: float(f(t, np.array([u])).item())), t, float(u.item()), *_h_and_c(rng)
    return f, t, u, *_h_and_c(rng)


def _h_and_c(rng: np.random.Generator) -> tuple[float, float]:
    h = rng.uniform(0.1, 0.5) * rng.choice([1, -1])
    return h, float(rng.choice([10 ** rng.uniform(-1.7, -0.3), rng.uniform(0.5, 1), 1.0], p=[0.5, 0.3, 0.2]))


TWO_SLOPES = Exercise(
    "1.3 Look where you like",
    two_slopes,
    _step_inputs,
    mistakes=[
        ("The second look is at the right place but at the old time: t + ch.",
         _weighted(lambda c: 1 - _ours(c), _ours, time=0)),
        ("The second look is at the right time but at the old place.",
         _weighted(lambda c: 1 - _ours(c), _ours, place=0)),
        ("The times of f count from 0; use t.",
         lambda f, t, u, h, c: two_slopes(lambda s, v: f(s - t, v), t, u, h, c)),
        ("The weights are Heun's, which are right for c = 1 only.", _weighted(lambda c: 0.5, lambda c: 0.5)),
        ("Only the second slope counts: that is midpoint's, right for c = 1/2 only.",
         _weighted(lambda c: 0, lambda c: 1)),
        ("The weights are Ralston's, which are right for c = 2/3 only.", _weighted(lambda c: 0.25, lambda c: 0.75)),
        ("The two weights are exchanged.", _weighted(_ours, lambda c: 1 - _ours(c))),
        ("Only the first slope counts: that is Euler's method.", _weighted(lambda c: 1, lambda c: 0)),
        ("The weights 1 - c and c add up to 1, but their mean time is c², not 1/2.",
         _weighted(lambda c: 1 - c, lambda c: c)),
        ("The weights do not add up to 1.", _weighted(lambda c: 1, _ours)),
        ("A weight may be larger than 1, and the other then negative: for c < 1/2 they must be.",
         _weighted(lambda c: 1 - min(_ours(c), 1), lambda c: min(_ours(c), 1))),
        ("The second look is a whole step ahead, whatever c is.",
         lambda f, t, u, h, c: _weighted(lambda _: 1 - _ours(c), lambda _: _ours(c))(f, t, u, h, 1)),
    ],
    hints=(
        "Two conditions fix two weights: they add up to 1, and the mean of the times looked at, 0 and c, is 1/2.",
        "k1 = f(t, u), k2 = f(t + c*h, u + c*h*k1). With weights 1 - b and b the mean time is b*c; make that 1/2.",
    ),
    cases=16,
)  # fmt: skip


# --- 1.4 -------------------------------------------------------------------------------------------------------------


def weights(c: np.ndarray) -> np.ndarray:
    """The weights b of the quadrature rule with three nodes c that is exact for parabolas on [0, 1]."""
    return np.linalg.solve(np.array([c**0, c, c**2]), [1, 1 / 2, 1 / 3])


def _three_nodes(rng: np.random.Generator) -> tuple:
    """Nodes in any order, those among them that a sort must undo by the inverse of its order, not by the order."""
    nodes = rng.uniform(-0.3, 0.3) + np.cumsum(rng.uniform(0.1, 0.6, size=3))
    return (nodes[rng.permutation(3)] if rng.random() < 0.3 else np.roll(nodes, rng.choice([1, 2])),)


WEIGHTS = Exercise(
    "1.4 Weights for three looks",
    weights,
    _three_nodes,
    mistakes=[
        ("The weights stand in the order of the nodes as they are given: do not sort c.",
         lambda c: weights(np.sort(c))),
        ("The weights stand in the order of the nodes as they are given: do not turn c round.",
         lambda c: weights(c)[::-1]),
        ("Sorted back the wrong way: the inverse of the order that sorts c is np.argsort of it.",
         lambda c: weights(np.sort(c))[np.argsort(c)]),
        ("A weight may be negative: the conditions decide.", lambda c: np.abs(weights(c))),
        ("A weight may be negative, or larger than 1: cut nothing off.",
         lambda c: np.clip(weights(c), 0, 1)),
        ("A weight may be negative: cut nothing off.", lambda c: np.maximum(weights(c), 0)),
        ("The matrix is transposed: its rows are 1, c and c², one for each condition.",
         lambda c: np.linalg.solve(np.array([c**0, c, c**2]).T, [1, 1 / 2, 1 / 3])),
        ("Those are Simpson's weights, right for the looks 0, 1/2, 1 only.", lambda c: np.array([1, 4, 1]) / 6),
        ("The right-hand sides are ∫c^k dc = 1/(k + 1), not all 1.",
         lambda c: np.linalg.solve(np.array([c**0, c, c**2]), np.ones(3))),
        ("The right-hand sides are 1, 1/2, 1/3: the integrals of 1, c and c² from 0 to 1.",
         lambda c: np.linalg.solve(np.array([c**0, c, c**2]), [1, 1 / 2, 1 / 6])),
        ("Equal weights satisfy the first condition only.", lambda c: np.ones(3) / 3),
    ],
    hints=(
        "The three conditions are linear in b. Write them as a matrix times b; np.linalg.solve does the rest.",
        "np.array([c**0, c, c**2]) @ b must be [1, 1/2, 1/3].",
    ),
)  # fmt: skip


# --- 1.5 -------------------------------------------------------------------------------------------------------------


def trapezoid_step(f: Field, dfdu: Field, t: float, u: float, h: float) -> float:
    """One step of the trapezoid rule, its equation solved by Newton's method from x = u."""
    return _implicit(f, dfdu, t, u, h)


def _implicit(f: Field, dfdu: Field, t: float, u: float, h: float, old: float = 0.5, late: float = 1.0,
              rounds: int = 30, derivative: Callable[..., float] | None = None) -> float:  # fmt: skip
    """``old`` weighs the old slope, ``late`` says at which part of the step the new one is read; ``derivative`` is
    taken for g' as a function of dfdu, t, x, h."""
    x, slope = u, f(t, u)
    for _ in range(rounds):
        g = x - u - h * (old * slope + (1 - old) * f(t + late * h, x))
        x = x - g / (derivative(dfdu, t, x, h) if derivative else 1 - (1 - old) * h * dfdu(t + late * h, x))
    return x


def _steep_inputs(rng: np.random.Generator) -> tuple:
    """A cubic field that steepens fourfold in the step, from far out: Newton's method needs more than six rounds."""
    t, u, h, w = rng.uniform(-1, 2), rng.uniform(3, 5) * rng.choice([1, -1]), rng.uniform(0.2, 0.5), rng.uniform(1, 2)
    a, s = rng.uniform(15, 40), np.log(4) / h
    steep = lambda at: a * np.exp(s * (at - t))  # noqa: E731
    f = lambda t, u: -steep(t) * (u**3 + u - np.cos(w * t))  # noqa: E731
    return f, lambda t, u: -steep(t) * (3 * u**2 + 1), t, u, h


TRAPEZOID = Watched(
    "1.5 The trapezoid rule, by Newton",
    trapezoid_step,
    _steep_inputs,
    mistakes=[
        ("The new slope is read at the old time; at the end of the step it is t + h.",
         lambda *a: _implicit(*a, late=0.0)),
        ("That is backward Euler: the old slope has the weight 1/2 here.", lambda *a: _implicit(*a, old=0.0)),
        ("That is Euler's method: nothing is solved.", lambda f, d, t, u, h: u + h * f(t, u)),
        ("That is Heun's method: the new slope is read at Euler's guess, and nothing is solved.",
         lambda f, d, t, u, h: u + h / 2 * (f(t, u) + f(t + h, u + h * f(t, u)))),
        *((f"That is Newton after {n} iteration{'s' * (n > 1)}: too few here. Go on until x stays.",
           lambda *a, n=n: _implicit(*a, rounds=n)) for n in range(1, 11)),
        *(("That is fixed-point iteration, which runs away where h/2 |f'| > 1. Newton's method divides g by g'.",
           lambda *a, n=n: _implicit(*a, rounds=n, derivative=lambda *_: 1.0)) for n in (1, 2, 3, 4, 5, 50)),
        *(("In g' the slope has the weight h/2, as in g.",
           lambda *a, n=n: _implicit(*a, rounds=n, derivative=lambda d, t, x, h: 1 - h * d(t + h, x)))
          for n in (5, 10, 20, 30)),
        *(("In g' dfdu is read at the old time; x belongs to t + h.",
           lambda *a, n=n: _implicit(*a, rounds=n, derivative=lambda d, t, x, h: 1 - h / 2 * d(t, x)))
          for n in (5, 10, 20, 30)),
    ],
    hints=(
        "A fixed point iteration runs away on these inputs. Newton: divide g by its derivative, both at (t + h, x), "
        "until x stays.",
        "g(x) = x - u - h/2 (f(t, u) + f(t + h, x)), g'(x) = 1 - h/2 dfdu(t + h, x). Repeat x = x - g/g' 30 times.",
    ),
    rtol=1e-9,
    manner=by_newton,
)  # fmt: skip


# --- 1.6 -------------------------------------------------------------------------------------------------------------


class OfField(Exercise):
    """An exercise that asks for a field, a function of t and u: right is in what becomes of it."""

    def judge(self, answer: Any) -> str | None:
        """None for a field with the right outcome, else what is wrong with it, in words."""
        if callable(answer):
            with quiet():
                answer = outcome(answer)
        elif not unfinished(answer):
            return "a field is asked, a function of t and u, and this is none."
        return super().judge(answer)


FOOL = OfField(
    "1.6 Fool the solver",
    lambda: FOOLED,
    mistakes=[
        ("dopri5 ends within 0.1 of the truth: it noticed what you hid, or there was nothing to miss.", "solved"),
        ("dopri5 stops with an error, so it noticed.", "noticed"),
        ("Your field lets neighbouring solutions part, so that any solver's small errors grow. That is the pendulum of "
         "Figure 1.8. Here solutions that begin side by side, early or late, above or below, must stay so.",
         "spreading"),
        ("8000 equal steps do not settle it either: nobody knows the truth. Hide something, but not so narrow or wild.",
         "unsettled"),
        ("Your field gives another value when it is asked again: it is no function of t and u.", "changing"),
        ("Your field raises an error, or gives more than one number. It gets t and an array with one number, u.",
         "raising"),
    ],
    hints=(
        "Where does the solver look, and what does it conclude from what it sees there?",
        "Let nothing happen for a long time: the steps grow. Then a pulse, shorter than a step, such as "
        "height * np.exp(-((t - t0) / width)**2); its area is what the solver misses.",
    ),
)  # fmt: skip


# --- 1.7 -------------------------------------------------------------------------------------------------------------


def longest_euler_step(lam: Any) -> Any:
    """The longest h with |1 + hλ| ≤ 1, for complex λ with a negative real part; works on arrays."""
    return -2 * np.real(lam) / np.abs(lam) ** 2


LONGEST = Exercise(
    "1.7 The longest step",
    longest_euler_step,
    lambda rng: (rng.uniform(-30, -0.5, size=3) + 1j * rng.uniform(-30, 30, size=3),),
    mistakes=[
        ("That is right for real λ only: the imaginary part shortens the step too.", lambda lam: -2 / np.real(lam)),
        ("With that step hλ has the length 2, but need not lie in Euler's circle, whose centre is -1.",
         lambda lam: 2 / np.abs(lam)),
        ("With that step hλ lies on the circle around 0 of radius 1; the centre is -1.", lambda lam: 1 / np.abs(lam)),
        ("With that step |1 + hλ| is smallest; go on to where it is 1 again.",
         lambda lam: -np.real(lam) / np.abs(lam) ** 2),
        ("The 2 is right, but the length of λ enters squared.", lambda lam: -2 * np.real(lam) / np.abs(lam)),
        ("That is Runge-Kutta 4's reach on the real axis.", lambda lam: 2.785293563405282 / np.abs(lam)),
    ],
    hints=(
        "Write λ = a + ib and square |1 + hλ| ≤ 1.",
        "(1 + ha)² + (hb)² ≤ 1 is 2ha + h²(a² + b²) ≤ 0. Divide by h.",
    ),
)  # fmt: skip


# --- 1.8 -------------------------------------------------------------------------------------------------------------


def clock(omega: float, h: float, T: float) -> tuple[complex, float]:
    """(the weight a with 1 + ha = e^{iωh}, the length |z(T)| of the exact solution of z' = az from 1)."""
    a = _learned(omega, h)
    return a, float(np.exp(T * a.real))


def _learned(omega: float, h: float) -> complex:
    return (np.exp(1j * omega * h) - 1) / h


def _clock_with(weight: Callable[[float, float], complex], length: Callable[..., Any] | None = None) -> Callable:
    def answer(omega: float, h: float, T: float) -> tuple[complex, Any]:
        a = weight(omega, h)
        return a, length(a, h, T) if length else np.exp(T * a.real)

    return answer


def _clock_inputs(rng: np.random.Generator) -> tuple:
    """Clocks that turn either way, by less and by more than a quarter between two snapshots."""
    h, angle = rng.uniform(0.2, 0.8), rng.choice([rng.uniform(0.2, 1.2), rng.uniform(1.8, 3)])
    return rng.choice([1, -1]) * angle / h, h, rng.uniform(2, 6)


CLOCK = Exercise(
    "1.8 What did it learn?",
    clock,
    _clock_inputs,
    mistakes=[
        ("The weight is the true field's, iω. The network never saw the field, only snapshots h apart.",
         _clock_with(lambda w, h: 1j * w)),
        ("The weight fits steps of size 1: the layer is 1 + ha.", _clock_with(lambda w, h: np.exp(1j * w * h) - 1)),
        ("The weight makes backward Euler perfect; the layer is 1 + ha.",
         _clock_with(lambda w, h: (1 - np.exp(-1j * w * h)) / h)),
        ("The hand turns the other way: 1 + ha = e^{iωh}, with the sign of ω.",
         _clock_with(lambda w, h: (np.exp(-1j * w * h) - 1) / h)),
        ("A clock may turn backwards: ω keeps its sign.",
         _clock_with(lambda w, h: (np.exp(1j * abs(w) * h) - 1) / h)),
        ("Beyond a quarter turn a cosine is negative: √(1 - sin²) loses its sign.",
         _clock_with(lambda w, h: (np.sqrt(1 - np.sin(w * h) ** 2) + 1j * np.sin(w * h) - 1) / h)),
        ("The weight is right. The length 1 is the layers'; solve z' = az exactly.",
         _clock_with(_learned, lambda a, h, T: 1.0)),
        ("The weight is right. The exact solution is e^{Ta}, and its length e^{T Re a}.",
         _clock_with(_learned, lambda a, h, T: np.exp(T * abs(a)))),
        ("The weight is right. The length is |e^{Ta}|: only the real part of a counts, with its sign.",
         _clock_with(_learned, lambda a, h, T: np.exp(-T * a.real))),
        ("The weight is right. That is the true field under Euler, whose hand grows.",
         _clock_with(_learned, lambda a, h, T: np.abs(1 + 1j * np.angle(1 + h * a)) ** (T / h))),
        ("The weight is right. That is z(T) itself; its length is asked.",
         _clock_with(_learned, lambda a, h, T: np.exp(T * a))),
        ("The weight is right. That is the real part of z(T), not its length.",
         _clock_with(_learned, lambda a, h, T: np.exp(T * a).real)),
        ("The weight is right. That is the square of the length.",
         _clock_with(_learned, lambda a, h, T: np.exp(2 * T * a.real))),
        ("The weight is right; T is missing in the length.", _clock_with(_learned, lambda a, h, T: np.exp(a.real))),
    ],
    hints=(
        "First solve 1 + ha = e^{iωh} for a. Then z(T) = e^{Ta}; what is the length of such a number?",
        "|e^{x + iy}| = e^x. Return two results: a, and np.exp(T * a.real).",
    ),
)  # fmt: skip

EXERCISES = Exercises("1", [EULER, THERE_AND_BACK, TWO_SLOPES, WEIGHTS, TRAPEZOID, FOOL, LONGEST, CLOCK])
check, hint = EXERCISES.check, EXERCISES.hint


def yours_or_ours(name: str, answer: Any) -> Any:
    """``answer`` once it passes the check of that name, the book's own before; says which of the two it is."""
    usable = EXERCISES.usable(name, answer)
    whose = "your" if usable is answer else "the book’s"
    print(f"What follows runs on {whose} answer to Exercise {name.split()[0]}.")
    return usable
