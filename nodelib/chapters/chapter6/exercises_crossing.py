"""Exercise 6.2, from memory: how near two trajectories may come, and a field of the plane that takes x to -x."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from nodelib.common.solution import SolverError
from nodelib.numpy_ode import odeint
from nodelib.workbook.check import MISSING, Exercise, tried
from nodelib.workbook.values import numbers, unfinished

Field = Callable[[float, Any, float], Any]
Pair = tuple[Callable[..., Any], Field]

ENDS = (0.7, 2.3)  # two T, neither of them 1
CLOSE = 1e-3
MEETING = 0.01  # of the distance that two points begin with
LONGEST = 2000  # steps of a solve
TWO = "two functions are asked: pass (gap, turn)."
SHAPE = "turn must give two finite real numbers for each row of z: the rates of x and of a, as z has them."
ROWS = "turn: the rate of one row depends on the others. All points move through one field."
MEMORY = "turn: asked again for the same points, in another order, it says something else. A field knows t and z alone."
FLAT = "turn: a never moves, so x moves on a line, and there the order stays. Let it step aside."
MEET = "turn: points meet on the way, and nothing tells them apart after that."
WILD = "turn: the solver finds no end of it. A field that is Lipschitz will do."


# --- how near ---------------------------------------------------------------------------------------------------------
def gap(start: float, L: float, T: float) -> tuple[float, float]:
    return start * math.exp(-L * T), start * math.exp(L * T)


def _apart(rng: np.random.Generator) -> tuple[float, float, float]:
    return float(rng.uniform(0.1, 3)), float(rng.uniform(0.3, 2)), float(rng.uniform(0.4, 1.5))


GAP_MISTAKES: list[tuple[str, Callable[..., Any]]] = [
    ("They shrink at most like z' = -L z: by a factor that is never 0.", lambda s, L, T: (0.0, s * math.exp(L * T))),
    ("That is the farthest first.", lambda s, L, T: gap(s, L, T)[::-1]),
    ("L T to first order is one Euler step. The bound holds at each moment, and compounds.",
     lambda s, L, T: (s * (1 - L * T), s * (1 + L * T))),
    ("A difference that changes by at most L times itself is multiplied, and not shifted.",
     lambda s, L, T: (s - L * T, s + L * T)),
    ("Where is T? The longer they flow, the nearer they may come.",
     lambda s, L, T: (s * math.exp(-L), s * math.exp(L))),
    ("The nearest is right. They may come apart as well, at the same rate.",
     lambda s, L, T: (s * math.exp(-L * T), s)),
    ("The exponent is L T; the distance itself, and not its square, changes at most at the rate L.",
     lambda s, L, T: (s * math.exp(-2 * L * T), s * math.exp(2 * L * T))),
]  # fmt: skip
GAP = Exercise(
    "gap", gap, _apart, GAP_MISTAKES,
    ("Write d for the distance: |d'| ≤ L d. What are the extreme solutions?", ""),
)  # fmt: skip


# --- how to turn ------------------------------------------------------------------------------------------------------
def turn(t: float, z: Any, T: float) -> Any:
    return math.pi / T * torch.stack([-z[:, 1], z[:, 0]], 1)


def _linear(xx: float, xa: float, ax: float, aa: float) -> Field:
    """The field with these entries over T."""
    matrix = torch.tensor([[xx, xa], [ax, aa]], dtype=torch.float64)
    return lambda t, z, T: z @ matrix.T / T


TURN_MISTAKES: list[tuple[str, Field]] = [
    ("A whole turn: (x, 0) comes back to where it began.", _linear(0, -2 * math.pi, 2 * math.pi, 0)),
    ("A quarter of a turn: x has become a.", _linear(0, -math.pi / 2, math.pi / 2, 0)),
    ("The end is T, and not 1: how fast must it turn?", lambda t, z, T: turn(t, z, 1.0)),
    ("The rate is an angle over the time that there is.", lambda t, z, T: turn(t, z, 1 / T)),
    ("With equal signs it does not turn: points run away along the diagonal.", _linear(0, math.pi, math.pi, 0)),
    (FLAT, _linear(-2, 0, 0, 0)),
    (FLAT, _linear(0, -math.pi, 0, 0)),
    ("Radians are asked: half a turn is π.", _linear(0, -180, 180, 0)),
]  # fmt: skip


class FromMemory(Exercise):
    """The answer is a pair: ``gap(start, L, T)`` gives the nearest and farthest that two trajectories of an L-Lipschitz
    field can be at T; ``turn(t, z, T)`` a field of rows (x, a), by whose flow (x, 0) is at (-x, 0) at the time T."""

    def judge(self, answer: Any) -> str | None:
        """None for a right pair, else what is amiss with the first function that is not right."""
        if unfinished(answer):
            return f"{MISSING}."
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            return TWO
        first, second = answer
        said = GAP.judge(first)
        if said is not None:
            return said if said == f"{MISSING}." else f"gap: {said}"
        return tried(second, self._turned)

    def _turned(self, field: Field) -> str | None:
        rng = np.random.default_rng(6)
        for end in ENDS:
            if trouble := self._no_field(field, end, rng):
                return trouble
            x = rng.uniform(-2, 2, 7)
            try:
                path = odeint(
                    lambda t, z, end=end: rates(field, t, z, end), np.stack([x, 0 * x], 1), np.linspace(0, end, 101),
                    rtol=1e-7, atol=1e-8, options={"max_num_steps": LONGEST},
                )  # fmt: skip
            except SolverError:
                return WILD + self._known(field, rng)
            off = float(np.abs(path[-1] - np.stack([-x, 0 * x], 1)).max())
            if not off <= CLOSE:
                return f"turn: at T = {end} the points are up to {off:.2g} from (-x, 0).{self._known(field, rng)}"
            if nearest(path) < MEETING:
                return MEET
            if self._remembers(field, end, rng):
                return MEMORY
        return None

    def _no_field(self, field: Field, end: float, rng: np.random.Generator) -> str | None:
        """What keeps it from being a field, if anything does."""
        z, t = rng.normal(size=(5, 2)), float(rng.uniform(0, end))
        given = field(t, torch.tensor(z), end)
        if unfinished(given):
            return f"{MISSING}."
        found = numbers(given)
        if found is None or found.shape != z.shape or np.iscomplexobj(found) or not np.isfinite(found).all():
            return SHAPE
        if not np.allclose(rates(field, t, z[::-1], end)[::-1], found, atol=1e-9):
            return MEMORY
        alone = np.concatenate([rates(field, t, z[i : i + 1], end) for i in range(5)])
        return None if np.allclose(alone, found, atol=1e-9) else ROWS

    def _remembers(self, field: Field, end: float, rng: np.random.Generator) -> bool:
        """Do the rates at one point depend on where a solve was begun before?"""
        z, found = rng.normal(size=(7, 2)), []
        for start in rng.normal(size=(2, 7, 2)):
            rates(field, 0.0, start, end)
            found.append(rates(field, end / 3, z, end))
        return not np.allclose(*found, atol=1e-9)

    def _known(self, field: Field, rng: np.random.Generator) -> str:
        """The sentence of the mistake that the field agrees with, after a space; or the first hint."""
        z, t = rng.normal(size=(5, 2)), 0.3
        for sentence, wrong in TURN_MISTAKES:
            near = [np.allclose(rates(field, t, s * z, end), rates(wrong, t, s * z, end), atol=1e-6)
                    for end in ENDS for s in (1, -1)]  # fmt: skip
            if all(near):
                return f" {sentence.removeprefix('turn: ')}"
        still = np.allclose(rates(field, t, z * [1, 0], ENDS[0])[:, 1], 0)
        return f" {FLAT.removeprefix('turn: ')}" if still else self.advice()


def rates(field: Field, t: float, z: np.ndarray, end: float) -> np.ndarray:
    """What the field gives, as an array of real numbers like z. Raises ValueError where it is none."""
    found = numbers(field(float(t), torch.tensor(np.array(z, dtype=float)), end))
    if found is None or found.shape != z.shape:
        raise ValueError(SHAPE)
    return found


def nearest(path: np.ndarray) -> float:
    """The least distance of two points on their way, in units of that which they begin with; path is (t, points, 2)."""
    first, second = np.triu_indices(path.shape[1], 1)
    apart = np.linalg.norm(path[:, first] - path[:, second], axis=-1)
    return float((apart / apart[0]).min())


def pairs() -> list[tuple[str, Pair]]:
    """Each known mistake of one function, with the other one right."""
    return [(sentence, (wrong, turn)) for sentence, wrong in GAP_MISTAKES] + [
        (sentence.removeprefix("turn: "), (gap, partial(_call, wrong))) for sentence, wrong in TURN_MISTAKES
    ]


def _call(field: Field, t: float, z: Any, T: float) -> Any:
    return field(t, z, T)


FROM_MEMORY = FromMemory(
    "6.2 From memory",
    lambda: (gap, turn),
    lambda rng: (),
    pairs(),
    (
        "Half a turn about the origin takes (x, 0) to (-x, 0). Which linear field turns?",
        "gap: d' = ±L d, so the factors are exp(-L T) and exp(L T). turn: x' = -ω a and a' = ω x turn by ω T.",
    ),
)
