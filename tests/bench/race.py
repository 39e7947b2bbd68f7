"""How two programs that do the same are timed against each other.

They are run in turn, in one thread of one process, and the median of the ratios of their processor times is held
against the target, so that the machine and what else it does count little. Where a GPU does the work, the clock on the
wall is what counts.
"""

from collections.abc import Callable, Iterable
from statistics import median
from time import perf_counter, thread_time
from typing import NamedTuple

import torch

Run = Callable[[], int]
WARM_UP = 5  # rounds that do not count


class Race(NamedTuple):
    """Two callables that do the same, each returning its number of evaluations; and the ratio ours must keep below."""

    name: str
    ours: Run
    theirs: Run
    target: float | None


def ratios(race: Race, pairs: int, gpu: bool = False, bound: float | None = None) -> list[float]:
    """ours / theirs in this thread's processor time, on a GPU in the clock's, sorted; they take turns to go first.

    With a ``bound`` the race ends as soon as more than half of all ``pairs`` lie on one side of it. Those that are left
    out could not bring the median to the other side, nor is that of those run there: the verdict is that of all pairs.
    """
    clock = perf_counter if gpu else thread_time
    found: list[float] = []
    for i in range(-WARM_UP, pairs):
        if bound is not None and decided(found, pairs, bound):
            break
        seconds = {}
        for run in (race.ours, race.theirs) if i % 2 else (race.theirs, race.ours):
            start = clock()
            run()
            seconds[run] = clock() - start
        if i >= 0:
            found.append(seconds[race.ours] / seconds[race.theirs])
    return sorted(found)


def median_within(race: Race, bound: float, pairs: int, tries: int = 1) -> float:
    """The median ratio of the first try within the bound, or of the last; each ends when ``pairs`` are decided.

    For tests, beside which other tests and other people use the machine.
    """
    found = float("inf")
    for _ in range(tries):
        if found > bound:
            found = median(ratios(race, pairs, bound=bound))
    return found


def decided(found: list[float], pairs: int, bound: float) -> bool:
    """Do the ratios ``found`` say by themselves on which side of the bound the median of all ``pairs`` lies?"""
    kept = sum(ratio <= bound for ratio in found)
    return 2 * max(kept, len(found) - kept) > pairs


def measure(race: Race, pairs: int, gpu: bool = False) -> tuple[str, bool]:
    """A line of the table, and whether the target is met."""
    found = ratios(race, pairs, gpu)
    middle, tenth, ninth = median(found), found[len(found) // 10], found[-1 - len(found) // 10]
    met = race.target is None or middle <= race.target
    target = "" if race.target is None else f"target {race.target:.2f} {'met' if met else 'MISSED'}"
    nfe = f"NFE {race.ours()} / {race.theirs()}"
    return f"{race.name:62} {middle:.3f} ({tenth:.3f} to {ninth:.3f})  {nfe:16} {target}".rstrip(), met


def report(races: Iterable[Race], pairs: int, setting: str = "", gpu: bool = False) -> int:
    """Print a table of all races, measured in one thread; 1 if a target is missed."""
    torch.set_num_threads(1)
    print(
        f"Ratio of {'times' if gpu else 'processor times'}, median of {pairs} pairs (10th to 90th percentile){setting}"
    )
    missed = 0
    for race in races:
        line, met = measure(race, pairs, gpu)
        print(line, flush=True)
        missed += not met
    return int(missed > 0)
