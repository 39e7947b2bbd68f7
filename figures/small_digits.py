"""The small networks of chapter 3 on 8 × 8 digits: trained from many seeds, with other solvers, and solved finely.

    python figures/small_digits.py                 ten seeds, about eight minutes on one CPU core
    python figures/small_digits.py --seeds 20      more
    python figures/small_digits.py --moved         RK-Nets from parameters a millionth away, about three minutes

Each seed is saved when it is done (not with --moved), so that the same command goes on where it was interrupted. No
data are fetched: the digits come with scikit-learn. Leaves figures/records/small_digits.json, or small_digits_moved.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from nodelib.chapters.chapter3 import small
from nodelib.data.digits import digits
from nodelib.experiments import records
from nodelib.experiments.costs import unresolved_adjoints
from nodelib.experiments.memory import keep_freed_memory
from nodelib.experiments.training import Log

STATES = Path(__file__).parent / "states"  # not in git
KEYS = ("logs", "swapped", "fits")  # each name -> one a seed


def seed_of(seed: int, state: Path) -> dict[str, Any]:
    """All networks from one seed, from ``state`` where they were trained before."""
    if state.exists():
        return json.loads(state.read_text(encoding="utf-8"))
    started, (seen, test) = time.perf_counter(), digits()
    with unresolved_adjoints():
        nets = {name: small.run(name, seed) for name in small.NETWORKS}
    logs = {name: logged(log) for name, (_, log) in nets.items()}
    swapped = {
        solver: [small.tested(nets[name][0], other, test) for other in small.SOLVERS]
        for solver, name in small.SWAPPED.items()
    }
    fits = {solver: small.fit(nets[name][0], seen) for solver, name in small.SWAPPED.items()}
    found = {"logs": logs, "swapped": swapped, "fits": fits, "seconds": time.perf_counter() - started}
    state.parent.mkdir(exist_ok=True)
    state.write_text(json.dumps(found), encoding="utf-8")
    return found


def logged(log: Log) -> dict[str, Any]:
    """A log for a record: without the seconds."""
    return {k: v for k, v in log._asdict().items() if k != "seconds"}


def move(seeds: int) -> None:
    """Train RK-Nets whose parameters begin ``small.MOVED`` away from those of the record, and write theirs."""
    started = time.perf_counter()
    logs = [logged(small.run("RK-Net", seed, small.MOVED)[1]) for seed in range(seeds)]
    numbers = {"seeds": seeds, "settings": small.SETTINGS._asdict(), "moved": small.MOVED, "logs": logs}
    records.write("small_digits_moved", numbers, time.perf_counter() - started, records.describe_device("cpu"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 0")
    parser.add_argument("--moved", action="store_true", help="only RK-Nets from parameters a millionth away")
    a = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    if a.moved:
        return move(a.seeds)
    found = []
    for seed in range(a.seeds):
        found.append(seed_of(seed, STATES / f"small_digits_{seed}.json"))
        print(seed, {name: round(log["test_error"][-1], 3) for name, log in found[-1]["logs"].items()}, flush=True)
    numbers = {
        "seeds": a.seeds,
        "settings": small.SETTINGS._asdict(),
        "solvers": list(small.SOLVERS),
        "steps": list(small.STEPS),
        **{key: {name: [one[key][name] for one in found] for name in found[0][key]} for key in KEYS},
    }
    seconds = sum(one["seconds"] for one in found)
    records.write("small_digits", numbers, seconds, records.describe_device("cpu"))
    for seed in range(a.seeds):
        (STATES / f"small_digits_{seed}.json").unlink()


if __name__ == "__main__":
    main()
