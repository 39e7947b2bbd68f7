"""Where the adjoint's gradient is lost, and five ways to compute it: four kinds of field, ten networks each.

    python figures/lost_gradients.py        two minutes on one CPU core

For each kind and network: how far the start, solved there and back, is from itself; and by each way the gradient's
relative error with its evaluations. Besides, the bytes that wait for the way back after 10, 100 and 1,000 steps. Leaves
figures/records/lost_gradients.json, which chapter 6 reads. ``--smoke`` measures a little and writes nothing.
"""

import sys
import time

import torch

from nodelib.chapters.chapter6 import reverse
from nodelib.chapters.chapter6.fields import WAYS, exact
from nodelib.experiments import records


def of_kind(kind: str, seeds: int) -> dict:
    """One kind of field: by way a list over seeds of errors (None where it failed), and of evaluations."""
    make, tol = reverse.KINDS[kind]
    row: dict = {"kind": kind, "tol": tol, "returned": [], "ways": {remedy: [] for remedy in reverse.REMEDIES}}
    for seed in range(seeds):
        field = make(seed)
        truth = exact(field)
        row["returned"].append(finite(reverse.returned(field, tol)))
        for remedy, rows in row["ways"].items():
            found = reverse.tried(field, tol, remedy, truth)
            rows.append([finite(found.error), found.forward, found.backward])
    return row


def finite(x: float) -> float | None:
    """JSON has no infinity."""
    return x if x < float("inf") else None


def main() -> None:
    torch.set_num_threads(1)
    begun, smoke = time.perf_counter(), "--smoke" in sys.argv
    kinds, seeds, steps = (("mild network",), 1, (10,)) if smoke else (tuple(reverse.KINDS), 10, reverse.HELD_STEPS)
    numbers = {
        "seeds": seeds,
        "kinds": [of_kind(kind, seeds) for kind in kinds],
        "steps": list(steps),
        "held": {way: [reverse.held(way, n) for n in steps] for way in WAYS},
    }
    if not smoke:
        records.write(reverse.RECORD, numbers, time.perf_counter() - begun, records.describe_device("cpu"))


if __name__ == "__main__":
    main()
