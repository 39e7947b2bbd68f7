"""Exercise 6.7: a test of a claim. The check lets it judge planted worlds, in some of which the claim holds.

In a world, a training with the penalty and one without share their seed's data and initialisation, and with them most
of what chance does to their evaluations and errors. So pairs see what two averages do not.
"""

from collections.abc import Callable, Collection
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from nodelib.workbook.check import MISSING, Exercise, tried
from nodelib.workbook.values import numbers, unfinished

SEEDS, WORLDS = 10, 150
MORE = 0.1  # of the error, that the claim allows
AMONG_SEEDS, IN_PAIRS, ERRORS_IN_PAIRS = 0.6, 0.08, 0.04  # standard deviations of logarithms
TOO_OFTEN, TOO_SELDOM = 0.08, 0.9


class World(NamedTuple):
    """What the penalty does: to the logarithms of evaluations and error, and how often it makes a training diverge.

    in_pairs: the standard deviation of the logarithm of evaluations, between two trainings with one seed."""

    evaluations: float
    error: float
    diverges: float
    holds: bool
    called: str
    in_pairs: float = IN_PAIRS


WORLDS_OF = (
    World(-0.2, 0.0, 0.0, True, "where the claim holds"),
    World(0.0, 0.0, 0.0, False, "where nothing but chance differs", 6 * IN_PAIRS),
    World(-0.3, 0.15, 0.0, False, "where fewer evaluations are bought with a larger error"),
    World(-0.2, 0.0, 0.4, False, "where trainings with the penalty may diverge"),
    World(0.2, 0.0, 0.0, False, "where the penalty makes it cost more"),
)

Run = Callable[[bool, int], tuple[float, float]]


@cache
def chance(number: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """What chance does in this world with this seed: to both trainings, to their difference, and whether one diverges.

    A training is asked for again and again, by each answer that is checked.
    """
    rng = np.random.default_rng([number, seed])
    common, apart = rng.normal(size=(2, 2))
    return common, apart, rng.uniform()


@cache
def drawn_seeds(kind: int, number: int) -> tuple[int, ...]:
    """The seeds of one world."""
    rng = np.random.default_rng([kind, number])
    return tuple(sorted(int(seed) for seed in rng.choice(1000, size=SEEDS, replace=False)))


def runs_of(world: World, number: int) -> Run:
    """``run`` in this world; ``number`` tells worlds of one kind apart."""

    def run(penalty: bool, seed: int) -> tuple[float, float]:
        common, apart, luck = chance(number, int(seed))
        evaluations, error = AMONG_SEEDS * common
        if penalty:
            evaluations += world.evaluations + world.in_pairs * apart[0]
            error += world.error + ERRORS_IN_PAIRS * apart[1]
            if luck < world.diverges:
                return float("nan"), float("nan")
        return float(60 * np.exp(evaluations)), float(0.05 * np.exp(error))

    return run


def supported(run: Run, seeds: list[int]) -> bool:
    """The reference: one-sided, in pairs, on logarithms, two standard errors from the bound."""
    with_it, without = (np.log([run(penalty, seed) for seed in seeds]) for penalty in (True, False))
    differences = with_it - without
    ends = differences.mean(0) + 2 * differences.std(0, ddof=1) / np.sqrt(len(seeds))
    return bool(ends[0] < 0 and ends[1] < np.log(1 + MORE))  # both are false for nan


def of_these(run: Run, seeds: Collection[int]) -> Run:
    """``run`` for these seeds alone: others raise ValueError."""

    def limited(penalty: bool, seed: int) -> tuple[float, float]:
        if seed not in seeds:
            raise ValueError("only the ten seeds may be used")
        return run(penalty, seed)

    return limited


def truth(found: Any) -> bool | None:
    """A truth value of Python, numpy or torch, or 0 or 1, as a bool; None for anything else."""
    value = numbers(found)
    return bool(value) if value is not None and value.shape == () and value in (0, 1) else None


def says_yes(answer: Any, world: World, kind: int) -> float | str:
    """How often the test supports the claim in worlds of this kind, or what is wrong with what it returns."""
    yes = 0
    for number in range(WORLDS):
        seeds = drawn_seeds(kind, number)
        found = answer(of_these(runs_of(world, 1000 * kind + number), seeds), list(seeds))
        if (said := truth(found)) is None:
            return f"True or False is asked, and it gave {type(found).__name__}."
        yes += said
    return yes / WORLDS


class Design(Exercise):
    """The answer is a test ``supported(run, seeds)``; right is one that is seldom wrong in any kind of world."""

    def judge(self, answer: Any) -> str | None:
        """None, or in which worlds it is wrong, and how often."""
        found = tried(answer, self._judged)
        return found or None

    def _judged(self, answer: Any) -> str:
        if unfinished(answer(runs_of(WORLDS_OF[0], 0), list(range(SEEDS)))):
            return f"{MISSING}."
        for kind, world in enumerate(WORLDS_OF):
            yes = says_yes(answer, world, kind)
            if isinstance(yes, str):
                return yes
            if world.holds and yes < TOO_SELDOM:
                return f"of worlds {world.called}, it supports the claim in {yes:.0%} only.{self.advice()}"
            if not world.holds and yes > TOO_OFTEN:
                return f"of worlds {world.called}, it supports the claim in {yes:.0%}. Chance alone may give 8 %."
        return ""


DESIGN = Design(
    "6.7 Design the test",
    supported,
    hints=(
        "Seeds differ by far more than the penalty does. What is left of that if you compare each seed with itself? "
        "If you do: is your spread that of the mean?",
        "Take the ten differences of logarithms, with the penalty less without. The claim is supported where their "
        "mean lies two standard errors below 0, that of the errors two below log 1.1, and no training diverged.",
    ),
    inputs=lambda rng: (runs_of(WORLDS_OF[0], 0), list(range(SEEDS))),
)  # fmt: skip
