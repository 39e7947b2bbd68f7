"""The 25 nonstiff problems of DETEST, all from t = 0 to 20.

Source: Hull, Enright, Fellen & Sedgwick, "Comparing numerical methods for ordinary differential equations",
SIAM J. Numer. Anal. 9 (1972) 603. Classes: A single equations, B small systems, C moderate systems, D orbits,
E higher-order equations.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Initial(NamedTuple):
    func: Callable
    y0: np.ndarray


def problem(y0):
    return lambda func: Initial(lambda t, y: np.array(func(t, y)), np.array(y0, dtype=float))


def chain(n, rates):
    """Radioactive decay chain: y_i' = rates[i-1] y_{i-1} - rates[i] y_i, the last only gains."""
    matrix = np.zeros((n, n))
    for i, rate in enumerate(rates):
        matrix[i, i], matrix[i + 1, i] = -rate, rate
    return Initial(lambda t, y: matrix @ y, np.eye(n)[0])


def heat(n):
    """Second difference operator on n points."""
    matrix = -2 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)
    return Initial(lambda t, y: matrix @ y, np.eye(n)[0])


def orbit(eccentricity):
    """Kepler's two-body problem."""
    e = eccentricity
    y0 = [1 - e, 0, 0, np.sqrt((1 + e) / (1 - e))]
    return problem(y0)(lambda t, y: [y[2], y[3], *(-y[:2] / (y[0] ** 2 + y[1] ** 2) ** 1.5)])


def planets():
    """The five outer planets around the sun and the inner ones; lengths in au, times in units of 100 days."""
    gravity, sun = 2.95912208286, 1.00000597682
    mass = np.array([0.000954786104043, 0.000285583733151, 0.0000437273164546, 0.0000517759138449, 0.00000277777777778])
    place = [3.42947415189, 3.35386959711, 1.35494901715, 6.64145542550, 5.97156957878, 2.18231499728]
    place += [11.2630437207, 14.6952576794, 6.27960525067, -30.1552268759, 1.65699966404, 1.43785752721]
    place += [-21.1238353380, 28.4465098142, 15.3882659679]
    speed = [-0.557160570446, 0.505696783289, 0.230578543901, -0.415570776342, 0.365682722812, 0.169143213293]
    speed += [-0.325325669158, 0.189706021964, 0.0877265322780, -0.0240476254170, -0.287659532608, -0.117219543175]
    speed += [-0.176860753121, -0.216393453025, -0.0148647893090]

    def func(t, y):
        x = y[:15].reshape(5, 3)
        r3 = np.sum(x**2, axis=1)[:, None] ** 1.5
        between = x[None] - x[:, None]
        d3 = np.sum(between**2, axis=2) ** 1.5 + np.eye(5)
        pull = np.sum(mass[None, :, None] * (between / d3[:, :, None] - (x / r3)[None]), axis=1)
        pull += mass[:, None] * x / r3  # the sum above leaves out no planet; take its own term back
        return np.concatenate([y[15:], (gravity * (-(sun + mass)[:, None] * x / r3 + pull)).reshape(-1)])

    return Initial(func, np.array(place + speed))


def torus(t, y):
    r = np.hypot(y[0], y[1])
    return [-y[1] - y[0] * y[2] / r, y[0] - y[1] * y[2] / r, y[0] / r]


BESSEL = [0.6713967071418030, 0.09540051444747446]

DETEST = {
    "A1": problem([1])(lambda t, y: -y),
    "A2": problem([1])(lambda t, y: -(y**3) / 2),
    "A3": problem([1])(lambda t, y: y * np.cos(t)),
    "A4": problem([1])(lambda t, y: y / 4 * (1 - y / 20)),
    "A5": problem([4])(lambda t, y: (y - t) / (y + t)),
    "B1": problem([1, 3])(lambda t, y: [2 * (y[0] - y[0] * y[1]), -(y[1] - y[0] * y[1])]),
    "B2": problem([2, 0, 1])(lambda t, y: [-y[0] + y[1], y[0] - 2 * y[1] + y[2], y[1] - y[2]]),
    "B3": problem([1, 0, 0])(lambda t, y: [-y[0], y[0] - y[1] ** 2, y[1] ** 2]),
    "B4": problem([3, 0, 0])(torus),
    "B5": problem([0, 1, 1])(lambda t, y: [y[1] * y[2], -y[0] * y[2], -0.51 * y[0] * y[1]]),
    "C1": chain(10, np.ones(9)),
    "C2": chain(10, np.arange(1.0, 10.0)),
    "C3": heat(10),
    "C4": heat(51),
    "C5": planets(),
    **{f"D{i}": orbit(e) for i, e in enumerate((0.1, 0.3, 0.5, 0.7, 0.9), 1)},
    "E1": problem(BESSEL)(lambda t, y: [y[1], -(y[1] / (t + 1) + (1 - 0.25 / (t + 1) ** 2) * y[0])]),
    "E2": problem([2, 0])(lambda t, y: [y[1], (1 - y[0] ** 2) * y[1] - y[0]]),
    "E3": problem([0, 0])(lambda t, y: [y[1], y[0] ** 3 / 6 - y[0] + 2 * np.sin(2.78535 * t)]),
    "E4": problem([30, 0])(lambda t, y: [y[1], 0.032 - 0.4 * y[1] ** 2]),
    "E5": problem([0, 0])(lambda t, y: [y[1], np.sqrt(1 + y[1] ** 2) / (25 - t)]),
}
