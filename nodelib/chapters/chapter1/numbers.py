"""What chapter 1 measures: stability, orbits, fields trained on a pendulum, the convergence test, deep networks."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from nodelib.common.tableaus import TABLEAUS
from nodelib.numpy_ode import odeint, solve
from nodelib.numpy_ode.multistep import adams_weights

Field = Callable[[Any, Any], Any]

# --- stability -------------------------------------------------------------------------------------------------------

RECURRENCES = {  # u₊ = u + h (new f₊ + Σ old_j f_j), the latest of the old slopes first: (new, old)
    "trapezoid": (0.5, (0.5,)),
    "backward_euler": (1.0, (0.0,)),
    "adams_bashforth": (0.0, tuple(adams_weights((0.0, -1.0, -2.0, -3.0)).sum(axis=0))),
    "implicit_adams": (lambda w: (w[0], tuple(w[1:])))(adams_weights((1.0, 0.0, -1.0, -2.0)).sum(axis=0)),
}


def amplification(method: str, z: np.ndarray) -> np.ndarray:
    """The factor by which one step of size h multiplies the solution of u' = λu in the long run, for each z = hλ.

    ``method`` is a tableau's name or one of ``RECURRENCES``; those that are implicit are taken to be solved exactly.
    |R(z)|, R(z) = 1 + z bᵀ(I - zA)⁻¹1, for Runge-Kutta methods; for the others the largest root of their recurrence.
    """
    if method in TABLEAUS:
        tableau = TABLEAUS[method]
        slopes: list[Any] = []
        for row in tableau.a:
            slopes.append(z * (1 + sum((float(a) * k for a, k in zip(row, slopes, strict=False)), np.zeros_like(z))))
        return np.abs(1 + sum((float(b) * k for b, k in zip(tableau.b, slopes, strict=True)), np.zeros_like(z)))
    new, old = RECURRENCES[method]
    size = len(old)
    companion = np.zeros((z.size, size, size), complex)
    companion[:, 0] = z.reshape(-1, 1) * np.array(old)
    companion[:, 0, 0] += 1
    companion[:, 0] /= 1 - new * z.reshape(-1, 1)
    companion[:, np.arange(1, size), np.arange(size - 1)] = 1
    return abs(np.linalg.eigvals(companion)).max(axis=1).reshape(z.shape)


def reach(method: str, furthest: float = 10.0) -> float:
    """How far the stability region reaches to the left along the real axis, to 0.001; inf beyond ``furthest``."""
    zeta = np.arange(0.001, furthest, 0.001)
    unstable = amplification(method, -zeta.astype(complex)) > 1 + 1e-9
    return float(zeta[unstable.argmax()]) if unstable.any() else np.inf


# --- predators and prey ----------------------------------------------------------------------------------------------


def lotka_volterra(t: Any, state: Any) -> np.ndarray:
    """x' = x - xy, y' = xy - y; the balance is (1, 1)."""
    prey, predators = state
    return np.array([prey - prey * predators, prey * predators - predators])


def ten_starts(centre: float, spread: float, seed: int = 1) -> np.ndarray:
    """Ten states (10, 2), each population ``centre`` times e to a number drawn evenly from ±``spread``."""
    return centre * np.exp(np.random.default_rng(seed).uniform(-spread, spread, size=(10, 2)))


GENTLE, FAR = ten_starts(1.0, 0.7), ten_starts(4.8, 0.22)


@cache
def truth_at(start: tuple[float, ...], end: float) -> np.ndarray:
    """Where Lotka-Volterra is at ``end``, by an eighth-order method at 1e-12."""
    tight = {"method": "dopri8", "rtol": 1e-12, "atol": 1e-12}
    return odeint(lotka_volterra, np.array(start), [0.0, end], **tight)[-1]


def cost_and_error(method: str, start: Any, end: float = 15.0, n: int = 0, tol: float = 1e-10) -> tuple[int, float]:
    """(evaluations, error at ``end``) for Lotka-Volterra, in ``n`` equal steps or, for 0, in steps of its own."""
    return _cost_and_error(method, tuple(map(float, start)), end, n, tol)


@cache
def _cost_and_error(method: str, start: tuple[float, ...], end: float, n: int, tol: float) -> tuple[int, float]:
    options = {"step_size": end / n} if n else None
    s = solve(lotka_volterra, np.array(start), [0.0, end], method=method, rtol=tol, atol=tol, options=options)
    return s.stats.nfe, float(np.abs(s.y[-1] - truth_at(start, end)).max())


def equal_against_own(start: np.ndarray, end: float = 15.0) -> float:
    """The error of equal steps of dopri5 over that of its own steps at 1e-5, for as many evaluations of f."""
    nfe, own = cost_and_error("dopri5", start, end, tol=1e-5)
    tableau, u, n = TABLEAUS["dopri5"], np.array(start), nfe // 6
    for _ in range(n):
        slopes: list[np.ndarray] = []
        for row in tableau.a:
            slopes.append(
                lotka_volterra(0.0, u + end / n * sum(float(a) * k for a, k in zip(row, slopes, strict=True)))
            )
        u = u + end / n * sum(float(b) * k for b, k in zip(tableau.b, slopes, strict=True))
    return float(np.abs(u - truth_at(tuple(map(float, start)), end)).max()) / own


# --- fields trained on snapshots of a pendulum -----------------------------------------------------------------------

STEP = 0.25  # between two snapshots
TRAININGS = ("true", "euler", "simpson", "rk4")


class Trained(NamedTuple):
    """A field of the pendulum and what it was trained on: ``made`` is what its training's formula makes of ``starts``.

    ``field(t, z)`` takes states of shape (…, 2); ``starts``, ``ends`` and ``made`` are (n, 2), ``span`` apart in time.
    """

    field: Field
    starts: np.ndarray
    ends: np.ndarray
    made: np.ndarray
    span: float


def pendulum(t: Any, z: np.ndarray) -> np.ndarray:
    """The true field for states (…, 2): angle and velocity."""
    return np.stack([z[..., 1], -np.sin(z[..., 0])], axis=-1)


@cache
def train(how: str, seed: int = 0, h: float = STEP) -> Trained:
    """Fit f(z) = C tanh(Az + b) to 600 × 3 snapshots of pendulums; A, b are drawn with ``seed``, only C is trained.

    ``how``: "euler" fits z₁ - z₀ = h f(z₀); "simpson" z₂ - z₀ = 2h/6 (f(z₀) + 4 f(z₁) + f(z₂)) with the snapshots
    inside f; "rk4" a classical Runge-Kutta step, by rounds of least squares with the stages held; "true" trains nothing
    and judges the true field by Euler's formula.
    """
    rng = np.random.default_rng(seed)
    A, b = rng.normal(size=(100, 2)), rng.normal(size=100)
    z0, z1, z2 = odeint(pendulum, rng.uniform(-2.5, 2.5, size=(600, 2)), [0.0, h, 2 * h], rtol=1e-9, atol=1e-9)
    a, c = np.vstack([z0, z1]), np.vstack([z1, z2])

    def features(z: np.ndarray) -> np.ndarray:
        return np.tanh(z @ A.T + b)

    def trained(C: np.ndarray, mean: np.ndarray, starts: np.ndarray, ends: np.ndarray, span: float) -> Trained:
        return Trained(lambda t, z: features(z) @ C, starts, ends, starts + span * mean @ C, span)

    if how == "true":
        return Trained(pendulum, a, c, a + h * pendulum(0, a), h)
    if how == "simpson":
        mean = (features(z0) + 4 * features(z1) + features(z2)) / 6
        return trained(_least_squares(mean, (z2 - z0) / (2 * h)), mean, z0, z2, 2 * h)
    C, mean = _least_squares(features(a), (c - a) / h), features(a)
    for _ in range(6 if how == "rk4" else 0):
        k1 = features(a)
        k2 = features(a + h / 2 * k1 @ C)
        k3 = features(a + h / 2 * k2 @ C)
        k4 = features(a + h * k3 @ C)
        mean = (k1 + 2 * k2 + 2 * k3 + k4) / 6
        C = _least_squares(mean, (c - a) / h)
    return trained(C, mean, a, c, h)


def _least_squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(x, y, rcond=None)[0]


class Convergence(NamedTuple):
    """What ``convergence_test`` found.

    ``fit`` is the RMS misfit in training, ``solved`` that of the field's own solution; ``apart`` how far the two are
    from each other, as a part of the way; ``verdict`` is "discrete" or "ODE".
    """

    fit: float
    solved: float
    apart: float
    verdict: str


WORSE = (
    5.0  # so many times the misfit of training is "worse"; the chapter asserts that ten draws lie below 3 or above 75
)


def convergence_test(trained: Trained) -> Convergence:
    """Whether the weights describe an equation: solve the field ever more finely, and see if the fit stays.

    Solved to 1e-8, the field must meet the snapshots about as well as the training's formula did: "ODE". If its misfit
    is more than ``WORSE`` times as large, the weights belong to the formula and its step: "discrete".
    """
    solution = odeint(trained.field, trained.starts, [0.0, trained.span], rtol=1e-8, atol=1e-8)[-1]
    fit, solved = rms(trained.made - trained.ends), rms(solution - trained.ends)
    apart = rms(trained.made - solution) / rms(solution - trained.starts)
    return Convergence(fit, solved, apart, "discrete" if solved > WORSE * fit else "ODE")


def rms(x: np.ndarray) -> float:
    """The root of the mean square."""
    return float(np.sqrt(np.mean(np.square(x))))


LAYERS = 40 * 2 ** np.arange(8)
RELEASE = np.array([1.5, 0.0])


@cache
def after_layers(field: Field, layers: int, end: float = 10.0) -> np.ndarray:
    """The state at ``end`` after so many Euler layers from ``RELEASE``."""
    z, h = RELEASE, end / layers
    for _ in range(layers):
        z = z + h * field(0.0, z)
    return z


def errors_at_10(field: Field, layers: Any = LAYERS) -> np.ndarray:
    """How far a pendulum let go at ``RELEASE`` is from the truth at t = 10: after Euler layers, and last by dopri5."""
    ends = [after_layers(field, int(n)) for n in layers] + [odeint(field, RELEASE, [0.0, 10.0])[-1]]
    return np.abs(np.array(ends) - released()).max(axis=1)


@cache
def released() -> np.ndarray:
    """Where the pendulum let go at ``RELEASE`` is at t = 10, to 1e-10."""
    return odeint(pendulum, RELEASE, [0.0, 10.0], rtol=1e-10, atol=1e-10)[-1]


# --- networks ever deeper --------------------------------------------------------------------------------------------

KINDS = ("smooth weights, 1/L", "independent, 1/L", "independent, 1/√L")


def deep_networks(L: int, networks: int, seed: int = 3, count: int = len(KINDS)) -> dict[str, np.ndarray]:
    """All states (L + 1, networks, 2) of networks with L layers z ← z + s V tanh(Wz), from (1, 0).

    Of the first ``count`` of ``KINDS``; how many are asked changes none of them.
    """
    rng = np.random.default_rng(seed)
    first, last = _draw(rng, networks), _draw(rng, networks)

    def smooth(s: float) -> tuple[np.ndarray, ...]:
        c, d = np.cos(np.pi / 2 * s), np.sin(np.pi / 2 * s)
        return tuple(c * x + d * y for x, y in zip(first, last, strict=True))

    kinds = ((1 / L, smooth), (1 / L, lambda s: _draw(rng, networks)), (L**-0.5, lambda s: _draw(rng, networks)))
    return {name: _states(L, *kind, networks) for name, kind in zip(KINDS[:count], kinds, strict=False)}


@cache
def settling(depths: tuple[int, ...], networks: int = 300) -> np.ndarray:
    """RMS over so many draws, (len(depths), 3): for smooth weights the distance to depth 4096, else how far z moves."""
    start = np.array([1.0, 0.0])
    goals = (deep_networks(4096, networks, count=1)[KINDS[0]][-1], start, start)
    ends = [[states[-1] for states in deep_networks(L, networks).values()] for L in depths]
    return np.array([[rms(end - goal) * np.sqrt(2) for end, goal in zip(row, goals, strict=True)] for row in ends])


def _draw(rng: np.random.Generator, networks: int, size: int = 8) -> tuple[np.ndarray, ...]:
    """(V, W) of one layer in so many networks on the plane."""
    return rng.normal(size=(networks, 2, size)) / np.sqrt(size), rng.normal(size=(networks, size, 2))


def _states(L: int, scale: float, layer: Callable[[float], tuple[np.ndarray, ...]], networks: int) -> np.ndarray:
    states = [np.tile([1.0, 0.0], (networks, 1))]
    for k in range(L):
        V, W = layer(k / L)
        states.append(states[-1] + scale * (V @ np.tanh(W @ states[-1][..., None]))[..., 0])
    return np.array(states)
