"""How several programs that do the same are timed beside each other.

All take turns in one process, on one core, in another order each round, until the time allowed is used up. A row has
the medians of a program's times, and the median over the rounds of the ratio of its time to that of the program it is
held ``against``, with the 10th and 90th percentile: so the machine, and what else it does, count little. The ratio is
one of processor times of the whole process, since XLA computes on threads of its own; on a GPU, of the clock's.
"""

import os
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch

PACKAGES = ("torchdiffeq", "torchode", "torchdyn", "diffrax", "jax", "scipy", "torch", "numpy")


class Outcome(NamedTuple):
    """What one run found: the evaluations of f, there and back; what is compared with the reference; and the seconds
    that were spent on compiling before the first run, where they are known."""

    nfe: int | None
    y: Any
    compiling: float = 0.0


Run = Callable[[], Outcome]


class Case(NamedTuple):
    """A solver at one tolerance: ``make`` prepares it, and the ``Run`` that it returns is timed."""

    solver: str
    package: str
    make: Callable[[], Run]
    against: str
    tol: float


class Limits(NamedTuple):
    """Seconds for the rounds of one workload, their greatest and least number, and those that warm up before."""

    seconds: float
    rounds: int
    fewest: int = 3
    warm_up: int = 2


def version(package: str) -> str | None:
    """The version that is installed, None where there is none."""
    try:
        return metadata.version(package).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def one_core() -> str:
    """Keep this process, with the threads it will start, on one core and in one thread; say how, in words.

    To be called before jax is imported: XLA makes its threads then. Where the system has no affinity, threads alone
    are limited.
    """
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    torch.set_num_threads(1)
    if not hasattr(os, "sched_setaffinity"):
        return "one thread"
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return "one core"


def array(y: Any) -> np.ndarray:
    """A tensor or an array of whatever library as numpy's, in double precision."""
    return np.asarray(y.detach().cpu() if isinstance(y, torch.Tensor) else y, dtype=float)


def error(y: Any, reference: Any) -> float | None:
    """The norm of the difference, relative to that of the reference; None where there is nothing to compare."""
    if y is None or reference is None:
        return None
    exact = np.asarray(reference, dtype=float)
    return float(np.linalg.norm(array(y) - exact) / np.linalg.norm(exact))


def prepared(case: Case, reference: Any) -> tuple[dict[str, Any], Run | None]:
    """The row of a case without its times, and the run; None where there is none, and then "status" says why.

    "first_s" are the seconds of the first run, compilation included. A peer that fails is a row that says so; a
    failure of our own is an error.
    """
    row: dict[str, Any] = {"solver": case.solver, "package": case.package, "against": case.against, "tol": case.tol}
    if case.package != "nodelib" and version(case.package) is None:
        return row | {"status": "not installed"}, None
    try:
        begun = time.perf_counter()
        run = case.make()
        outcome = run()
        first = time.perf_counter() - begun
    except Exception as problem:
        if case.package == "nodelib":
            raise
        said = (str(problem).strip() or "no message").splitlines()[0][:200]
        return row | {"status": f"failed: {type(problem).__name__}: {said}"}, None
    found = {"nfe": outcome.nfe, "error": error(outcome.y, reference)}
    found["first_s"] = max(first, outcome.compiling)  # a program is compiled once for several rows
    return row | {"status": "measured"} | found, run


def in_turn(runs: Sequence[Run], limits: Limits) -> tuple[np.ndarray, np.ndarray]:
    """Processor and wall seconds, each of shape (rounds, runs); the first rounds, to warm up, are left out."""
    cpu, wall = [], []
    begun = time.perf_counter()
    for i in range(limits.warm_up + max(limits.fewest, limits.rounds)):
        if i == limits.warm_up:
            begun = time.perf_counter()
        if i >= limits.warm_up + limits.fewest and time.perf_counter() - begun > limits.seconds:
            break
        first = i % len(runs)
        order = [*range(first, len(runs)), *range(first)][:: 1 if i % 2 else -1]
        times = np.empty((2, len(runs)))
        for j in order:
            start = time.process_time(), time.perf_counter()
            runs[j]()
            times[:, j] = time.process_time() - start[0], time.perf_counter() - start[1]
        if i >= limits.warm_up:
            cpu.append(times[0])
            wall.append(times[1])
    return np.array(cpu), np.array(wall)


def compete(cases: Sequence[Case], reference: Any, limits: Limits, device: str = "cpu") -> list[dict[str, Any]]:
    """A row for each case: what ``prepared`` says, and "ratio" [median, 10th, 90th percentile], "cpu_ms", "wall_ms",
    "rounds"."""
    both = [prepared(case, reference) for case in cases]
    ready = [(row, run) for row, run in both if run is not None]
    cpu, wall = in_turn([run for _, run in ready], limits)
    place = {row["solver"]: j for j, (row, _) in enumerate(ready)}
    counts = wall if device != "cpu" else cpu
    for j, (row, _) in enumerate(ready):
        ratio = counts[:, j] / counts[:, place[row["against"]]]
        row["ratio"] = [float(x) for x in np.percentile(ratio, [50, 10, 90])]
        row["cpu_ms"], row["wall_ms"] = (1e3 * median(times[:, j]) for times in (cpu, wall))
        row["rounds"] = len(cpu)
    return [row for row, _ in both]
