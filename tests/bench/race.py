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


class Race(NamedTuple):
    """Two callables that do the same, each returning its number of evaluations; and the ratio ours must keep below."""

    name: str
    ours: Run
    theirs: Run
    target: float | None


def ratios(race: Race, pairs: int, gpu: bool = False) -> list[float]:
    """ours / theirs in this thread's processor time, on a GPU in the clock's, sorted; they take turns to go first."""
    clock = perf_counter if gpu else thread_time
    found = []
    for i in range(-5, pairs):  # five rounds to warm up
        seconds = {}
        for run in (race.ours, race.theirs) if i % 2 else (race.theirs, race.ours):
            start = clock()
            run()
            seconds[run] = clock() - start
        if i >= 0:
            found.append(seconds[race.ours] / seconds[race.theirs])
    return sorted(found)


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
