"""Which gradient trains with a coarse solver: that of the steps as taken, or the adjoint's. Ten networks, paired.

    python figures/which_gradient.py        half a minute on one CPU core

Four solvers, two ways each; kept are the losses at the end, by the training's solver and by an accurate one. Leaves
figures/records/which_gradient.json, which chapter 6 reads. ``--smoke`` trains a little and writes nothing.
"""

import sys
import time

import torch

from nodelib.chapters.chapter6 import which
from nodelib.experiments import records


def measured(seeds: int, iterations: int) -> list[dict]:
    """A row for each solver and way."""
    rows = []
    for method, steps in which.SOLVERS:
        for way in ("DtO", "OtD"):
            found = which.train(way, method, steps, seeds, iterations)
            row = {"method": method, "steps": steps, "way": way}
            rows.append(row | {"own": found.own.tolist(), "solved": found.solved.tolist()})
    return rows


def main() -> None:
    torch.set_num_threads(1)
    begun, smoke = time.perf_counter(), "--smoke" in sys.argv
    seeds, iterations = (2, 3) if smoke else (which.SEEDS, which.ITERATIONS)
    numbers = {"seeds": seeds, "iterations": iterations, "rows": measured(seeds, iterations)}
    if not smoke:
        records.write(which.RECORD, numbers, time.perf_counter() - begun, records.describe_device("cpu"))


if __name__ == "__main__":
    main()
