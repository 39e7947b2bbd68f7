"""Exercises of chapter 5 on irregular times."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nodelib.workbook.check import Exercise

Field = Callable[[Any, Any], Any]


# 5.1 ------------------------------------------------------------------------------------------------------------------
def gaps_met(t: Any, start: float) -> Any:
    t = np.asarray(t)[::-1]
    return t - np.append(t[1:], start)


def _times(rng: np.random.Generator) -> tuple:
    t = np.sort(rng.uniform(size=int(rng.integers(1, 7)))) + 5 * rng.normal()
    return t, float(t[0] - rng.choice([0, 1, 1]) * rng.exponential())


GAPS = Exercise(
    "5.1 What the network is told",
    gaps_met,
    _times,
    [
        ("That is the gap since what was met before. What comes next is asked, for the state has to go there.",
         lambda t, start: np.append(0, gaps_met(t, start)[:-1])),
        ("The last gap is missing: from the earliest observation down to start.",
         lambda t, start: gaps_met(t, start)[:-1]),
        ("The last gap is not 0: from the earliest observation the state goes on to start.",
         lambda t, start: np.append(gaps_met(t, start)[:-1], 0)),
        ("Those are the gaps in the order of time. The last observation is met first.",
         lambda t, start: gaps_met(t, start)[::-1]),
        ("Those are the gaps forwards in time, from each observation to the later one. It is met backwards.",
         lambda t, start: np.append(np.diff(t), 0)),
        ("Those are the times themselves. Another clock, which shows an hour more, would change them.",
         lambda t, start: np.asarray(t)[::-1]),
        ("Those are the times of what comes next. Another clock would change them: take the gap.",
         lambda t, start: np.append(np.asarray(t)[::-1][1:], start)),
        ("Those are the times since start: how far it still is to the end, not to what comes next.",
         lambda t, start: np.asarray(t)[::-1] - start),
        ("Those are the times since the first one met. The gap to what comes next is asked.",
         lambda t, start: t[-1] - np.asarray(t)[::-1]),
        ("One gap too many: the first one met has nothing before it.",
         lambda t, start: np.append(0, gaps_met(t, start))),
    ],
    ("Write down in order what is met: the last time, the one before it … the first time, start. Which gaps are there?",
     "Turn t round, append start, and take each entry less the one after it."),
    cases=8,
)  # fmt: skip


# 5.2 ------------------------------------------------------------------------------------------------------------------
def decayed(h: Any, m: Any, rate: Any, gap: Any) -> Any:
    return m + (h - m) * np.exp(-rate * gap[:, None])


def _state(rng: np.random.Generator) -> tuple:
    batch, units = rng.permutation(np.arange(2, 6))[:2]  # two numbers, so that no wrong axis fits
    h, m = rng.normal(size=(batch, units)), rng.normal(size=units)
    return h, m, rng.uniform(0.2, 3, size=units), rng.exponential(size=batch)


DECAY = Exercise(
    "5.2 Decay is an ODE",
    decayed,
    _state,
    [
        ("That is one Euler step. The equation is linear, and has a solution in closed form.",
         lambda h, m, rate, gap: h - rate * gap[:, None] * (h - m)),
        ("That decays to 0. This state comes to rest at m.",
         lambda h, m, rate, gap: h * np.exp(-rate * gap[:, None])),
        ("That is how far it still is from m. Add m.",
         lambda h, m, rate, gap: (h - m) * np.exp(-rate * gap[:, None])),
        ("Without a gap the state must still be h. Here it is h + m.",
         lambda h, m, rate, gap: m + h * np.exp(-rate * gap[:, None])),
        ("It grows: the sign in the exponent.",
         lambda h, m, rate, gap: m + (h - m) * np.exp(rate * gap[:, None])),
        ("The other way round: without a gap the state is still h, after a long one it is m.",
         lambda h, m, rate, gap: h + (m - h) * np.exp(-rate * gap[:, None])),
        ("The rate is an inverse time: rate × gap is a number without a unit.",
         lambda h, m, rate, gap: m + (h - m) * np.exp(-gap[:, None] / rate)),
        ("That is what the gap takes away. The state after it is asked.",
         lambda h, m, rate, gap: (h - m) * (1 - np.exp(-rate * gap[:, None]))),
        ("That is how much the state changes. Where it is afterwards is asked.",
         lambda h, m, rate, gap: (m - h) * (1 - np.exp(-rate * gap[:, None]))),
        ("That is the right-hand side, h'. What the state is after the gap is asked.",
         lambda h, m, rate, gap: -rate * (h - m) + 0 * gap[:, None]),
        ("That is an implicit Euler step. The equation is linear, and has a solution in closed form.",
         lambda h, m, rate, gap: m + (h - m) / (1 + rate * gap[:, None])),
        ("The gap is missing: that is the state after one unit of time.",
         lambda h, m, rate, gap: m + (h - m) * np.exp(-rate) + 0 * gap[:, None]),
        ("Each series has a gap of its own. Here all get the mean.",
         lambda h, m, rate, gap: m + (h - m) * np.exp(-rate * np.mean(gap))),
        ("Each unit has a rate of its own. Here all get the mean.",
         lambda h, m, rate, gap: m + (h - m) * np.exp(-np.mean(rate) * gap[:, None])),
    ],
    ("Write the equation for the distance d = h - m, and solve that. Rates belong to units, the last axis, and gaps to "
     "series.",
     "d' = -rate d, so that d is multiplied by exp(-rate × gap), which gap[:, None] makes for each series and unit. "
     "Then h = m + d."),
)  # fmt: skip


# 5.7 ------------------------------------------------------------------------------------------------------------------
class _Field:
    """A field for a batch of states (b, D), each at its own time, (b,); one number is the same time for all."""

    def __init__(self, rng: np.random.Generator, dim: int) -> None:
        self.weights, self.speed = rng.normal(size=(2, dim, dim))

    def __call__(self, t: Any, z: Any) -> np.ndarray:
        z = np.asarray(z, dtype=float)
        t = np.asarray(t, dtype=float)
        if t.shape not in ((), (len(z),)):
            raise ValueError(f"f(t, z) takes a number or one time for each row, ({len(z)},), not {t.shape}")
        t = np.broadcast_to(t, len(z))[:, None]
        return np.tanh(z @ self.weights) + np.cos(3 * t) * self.speed[0]


def own_time(f: Field, t0: Any, t1: Any, s: float, z: Any) -> Any:
    span = t1 - t0
    return span[:, None] * f(t0 + s * span, z)


def _spans(rng: np.random.Generator) -> tuple:
    b, dim = int(rng.integers(4, 7)), int(rng.integers(2, 4))
    t0, span, s = rng.normal(size=b), rng.uniform(0.2, 3, size=b), float(rng.uniform(0.1, 0.9))
    span[0], span[1] = -span[0], 0  # one goes back, as the encoder does; one stands, as padding does
    return _Field(rng, dim), t0, t0 + span, s, rng.normal(size=(b, dim))


OWN_TIME = Exercise(
    "5.7 A clock for each series",
    own_time,
    _spans,
    [
        ("On another clock all velocities change: dz/ds is dz/dt times dt/ds.",
         lambda f, t0, t1, s, z: f(t0 + s * (t1 - t0), z)),
        ("The factor is upside down: a long interval has to be crossed in the same unit of s.",
         lambda f, t0, t1, s, z: f(t0 + s * (t1 - t0), z) / (t1 - t0)[:, None]),
        ("f is asked at s. Which time does each series have then?",
         lambda f, t0, t1, s, z: (t1 - t0)[:, None] * f(s, z)),
        ("f is asked at a time that begins at 0. Each series begins at its t0.",
         lambda f, t0, t1, s, z: (t1 - t0)[:, None] * f(s * (t1 - t0), z)),
        ("f is asked at t0 + s. At s = 1 the time must be t1.",
         lambda f, t0, t1, s, z: (t1 - t0)[:, None] * f(t0 + s, z)),
        ("f is asked at t0 all the way.", lambda f, t0, t1, s, z: (t1 - t0)[:, None] * f(t0, z)),
        ("f is asked at a time that runs from t1 to t0.",
         lambda f, t0, t1, s, z: (t1 - t0)[:, None] * f(t1 - s * (t1 - t0), z)),
        ("That is right where t0 is 0 only: an interval is t1 - t0 long.",
         lambda f, t0, t1, s, z: t1[:, None] * f(s * t1, z)),
        ("The times are right. The factor is the length of the interval, t1 - t0, not its end.",
         lambda f, t0, t1, s, z: t1[:, None] * f(t0 + s * (t1 - t0), z)),
        ("That is where a step leads. A velocity is asked, for a solver to use.",
         lambda f, t0, t1, s, z: z + own_time(f, t0, t1, s, z)),
        ("Each series has an interval of its own. Here all get one mean length.",
         lambda f, t0, t1, s, z: np.mean(t1 - t0) * f(t0 + s * np.mean(t1 - t0), z)),
        ("Each series has an interval of its own. Here all are given the factor of the mean length.",
         lambda f, t0, t1, s, z: np.mean(t1 - t0) * f(t0 + s * (t1 - t0), z)),
        ("The factor is multiplied by s once too often: dt/ds is the same at each s.",
         lambda f, t0, t1, s, z: s * own_time(f, t0, t1, s, z)),
    ],
    ("A series is at t = t0 + s (t1 - t0). What is dt/ds, and what does the chain rule make of z'(t) = f?",
     "dz/ds = (dz/dt)(dt/ds): ask f at t0 + s (t1 - t0), and multiply each row by its t1 - t0, as (t1 - t0)[:, None]."),
)  # fmt: skip
