"""What two processes gain over one: `python -m tests.bench.scale`, two minutes on two idle cores; needs MNIST.

The ODE-Net of Table 1, trained, goes on training by `nodelib.experiments.training.step` on batches of MNIST, one thread
a process, gradients averaged by torch's DistributedDataParallel over gloo. Four ways take turns:

    alone         one process, a batch of ``BATCH``; the other waits
    side by side  two processes, a batch each, that share nothing: two seeds, say
    two batches   two processes, a batch each, gradients averaged: a step on 2 × ``BATCH`` images
    half a batch  two processes share one batch

Times are the clock's, of the slower process. Each process chooses its own steps, so that the one with fewer
evaluations waits for the other: both counts are recorded. Leaves figures/records/scale.json, from which README's table
is made (``table``; `--table` prints it).
"""

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from nodelib.data.images import Images
from nodelib.data.mnist import mnist
from nodelib.experiments import records
from nodelib.experiments.memory import keep_freed_memory
from nodelib.experiments.training import evaluations, step
from nodelib.models.resnet import parameter_count
from nodelib.models.table1 import trained

NAME, RUN = "scale", "mnist_odenet_12epochs_seed0"
BATCH, ROUNDS, ITERATIONS, WORLD = 64, 6, 4, 2
ALONE, SIDE, TWO, HALF = "alone", "side by side", "two batches", "half a batch"


class Way:
    """One way to train: a network of its own, and the batches of this process."""

    def __init__(self, images: Images, batch: int, rank: int, joined: bool):
        self.net = trained(RUN)
        self.model: nn.Module = DistributedDataParallel(self.net) if joined else self.net
        self.optimizer = torch.optim.SGD(self.model.parameters(), 1e-4, 0.9, nesterov=True)
        self.images, self.batch, self.at = images, batch, 10 * rank * batch

    def __call__(self) -> tuple[float, int]:
        """One iteration: its seconds, and the evaluations of f."""
        chosen = torch.arange(self.at, self.at + self.batch) % len(self.images.y)
        self.at += self.batch
        before, begun = evaluations(self.net), time.perf_counter()
        step(self.model, self.images.x[chosen], self.images.y[chosen], self.optimizer)
        return time.perf_counter() - begun, evaluations(self.net) - before


def ways(images: Images, batch: int, rank: int) -> dict[str, Way]:
    """The four ways of this process."""
    sizes = {ALONE: batch, SIDE: batch, TWO: batch, HALF: batch // 2}
    return {name: Way(images, size, rank, name in (TWO, HALF)) for name, size in sizes.items()}


def measure(images: Images, batch: int, rounds: int, iterations: int) -> dict[str, Any]:
    """Seconds and evaluations of each way's iterations in this process, a first round left out; and the seconds of the
    averaging alone. To be called in every process of the group."""
    rank = dist.get_rank()
    mine = ways(images, batch, rank)
    found: dict[str, Any] = {name: {"seconds": [], "nfe": []} for name in mine}
    for number in range(rounds + 1):
        for name, way in mine.items():
            dist.barrier()
            if name != ALONE or rank == 0:
                for _ in range(iterations):
                    seconds, nfe = way()
                    if number:
                        found[name]["seconds"].append(seconds)
                        found[name]["nfe"].append(nfe)
    gradient = torch.zeros(parameter_count(mine[ALONE].net))
    dist.barrier()
    return found | {"reduce": timed(lambda: dist.all_reduce(gradient))}


def timed(call: Callable[[], Any], times: int = 50) -> float:
    """The median seconds of a call."""
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return median(seconds)


def worker(rank: int, world: int, folder: str, batch: int, rounds: int, iterations: int) -> None:
    """One of the processes, on a core of its own where the system lets it choose; writes what it found."""
    torch.set_num_threads(1)
    keep_freed_memory()
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[rank % len(cores)]})
    warnings.filterwarnings("ignore", "dL/dy has RMS")  # a trained network's losses are small
    meet = f"file://{folder}/meet"
    dist.init_process_group("gloo", meet, timedelta(minutes=5), world, rank)
    found = measure(mnist("train"), batch, rounds, iterations)
    (Path(folder) / f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    dist.destroy_process_group()


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each way: seconds of an iteration, the slower process's in the median; images a second against one process;
    that over the number of processes; evaluations of the process with fewer over those of the other."""
    alone = median(found[0][ALONE]["seconds"])
    rows: dict[str, Any] = {}
    for name in (ALONE, SIDE, TWO, HALF):
        taking = found[:1] if name == ALONE else found
        slower = [max(times) for times in zip(*(each[name]["seconds"] for each in taking), strict=True)]
        counts = list(zip(*(each[name]["nfe"] for each in taking), strict=True))
        seconds, batches = median(slower), {ALONE: 1, HALF: 1}.get(name, len(taking))
        gain = batches * alone / seconds
        rows[name] = {
            "seconds": seconds,
            "gain": gain,
            "efficiency": gain / len(taking),
            "nfe": sum(map(max, counts)) / len(counts),
            "balance": sum(min(pair) / max(pair) for pair in counts) / len(counts),
        }
    return {"rows": rows, "reduce": max(each["reduce"] for each in found)}


def table(record: dict[str, Any]) -> str:
    """README's table."""
    lines = [
        "| Two processes, a core each | An iteration, s | Images a second, one process = 1 | Efficiency |",
        "|---|---|---|---|",
    ]
    batch = record["batch"]
    names = {
        ALONE: f"one process, {batch} images",
        SIDE: f"two trainings side by side, {batch} images each",
        TWO: f"one training, {batch} images each, gradients averaged",
        HALF: f"one training, {batch // 2} images each, gradients averaged",
    }
    for name, words in names.items():
        row = record["rows"][name]
        lines.append(f"| {words} | {row['seconds']:.2f} | {row['gain']:.2f} | {row['efficiency']:.0%} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--table", action="store_true", help="only print README's table, from the record")
    a = parser.parse_args()
    if not a.table:
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            mp.spawn(worker, (WORLD, folder, a.batch, a.rounds, ITERATIONS), WORLD)  # type: ignore[attr-defined]
            texts = [(Path(folder) / f"{rank}.json").read_text(encoding="utf-8") for rank in range(WORLD)]
        numbers = {"run": RUN, "batch": a.batch, "processes": WORLD, **summary([json.loads(text) for text in texts])}
        torch.set_num_threads(1)
        records.write(NAME, numbers, time.perf_counter() - begun, records.describe_device("cpu"))
    print(table(records.read(NAME)))


if __name__ == "__main__":
    main()
