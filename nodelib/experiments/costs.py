"""What a network costs in bytes and seconds, as it becomes deeper: the columns "Memory" and "Time" of Table 1.

Chen et al. (2018), Section 3, state O(L), O(L̃) and O(1) there; here they are measured, by figures/table1_cost.py on the
networks of MNIST and by chapter 3 live on small ones. Results are plain dictionaries, fit for a record.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nodelib.experiments.memory import PeakMemory
from nodelib.experiments.training import evaluations
from nodelib.models.odenet import ConvField, ODEBlock
from nodelib.models.resnet import ResBlock, parameter_count

Job = Callable[[], Any]
WAYS = ("ResNet", "backprop", "checkpoint", "adjoint")


def middle(way: str, channels: int, depth: int) -> nn.Module:
    """What lies between stem and head: "ResNet" with ``depth`` residual blocks, or for another ``way``, a gradient of
    ``ODEBlock``, an ODE block that evaluates its field ``depth`` times, in depth / 4 steps of rk4."""
    if way == "ResNet":
        return nn.Sequential(*(ResBlock(channels) for _ in range(depth)))
    return ODEBlock(ConvField(channels), way, method="rk4", options={"step_size": 4 / depth})


def growth(z: Tensor, depths: Sequence[int] = (1, 2, 4, 8, 16, 32), repeats: int = 3) -> dict[str, Any]:
    """Bytes and seconds of a gradient through the middle of a network alone, as it becomes deeper.

    z:       (batch, channels, height, width), what the stem hands over; weights are random, since with fixed steps no
             cost depends on them.
    depths:  residual blocks, or evaluations of f; rk4 takes those that are multiples of 4.
    repeats: of the timing; the shortest counts, and the networks take turns. With 0 nothing is timed: nan.

    Returns "batch", "shape" (of one image in z), and "rows": for "ResNet", "backprop" (RK-Net), "checkpoint" and
    "adjoint" (ODE-Net) the lists "depth", "bytes" (the most that forward and backward pass hold at once: gradients
    count, parameters only where f makes a view of them) and "seconds".
    """
    rows: dict[str, Any] = {way: {"depth": [], "bytes": [], "seconds": []} for way in WAYS}
    for depth in depths:
        ways = [way for way in WAYS if way == "ResNet" or depth % 4 == 0]
        jobs = [_pass(middle(way, z.shape[1], depth).to(z), z) for way in ways]
        for way, job, shortest in zip(ways, jobs, seconds(jobs, repeats), strict=True):
            for key, value in {"depth": depth, "bytes": peak_bytes(job), "seconds": shortest}.items():
                rows[way][key].append(value)
    return {"batch": z.shape[0], "shape": list(z.shape[1:]), "rows": rows}


def _pass(part: nn.Module, z: Tensor) -> Job:
    """One pass through ``part`` and back, to the gradients of z and of all parameters."""

    def job() -> None:
        start = z.detach().requires_grad_()
        end = part(start)
        torch.autograd.grad(end, (start, *part.parameters()), torch.ones_like(end))

    return job


def slope(row: dict[str, list[float]], of: str) -> float:
    """What one more of depth adds to ``of`` between the last two depths of a row of ``growth``."""
    return (row[of][-1] - row[of][-2]) / (row["depth"][-1] - row["depth"][-2])


def held(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, int]:
    """Bytes of one iteration on one batch: what the graph keeps "stored" when the way back begins, and the "peak"."""
    x = x.clone()  # of a slice, a view would count as all that it was sliced from
    with unresolved_adjoints(), PeakMemory() as memory:
        loss = F.cross_entropy(model(x), y)
        stored = memory.now
        torch.autograd.grad(loss, tuple(model.parameters()))
    return {"stored": stored, "peak": memory.peak}


def iteration_cost(model: nn.Module, x: Tensor, y: Tensor, repeats: int = 3) -> dict[str, Any]:
    """What the gradient of the mean cross-entropy of one batch takes, stem and head included.

    Returns "parameters", "bytes" (as in ``growth``), "seconds" (the shortest of ``repeats``), "nfe_forward" and
    "nfe_backward".
    """
    counts: list[int] = []
    x = x.clone()  # of a slice, a view would count as all that it was sliced from

    def job() -> None:
        counts[:] = [evaluations(model)]
        loss = F.cross_entropy(model(x), y)
        counts.append(evaluations(model))
        torch.autograd.grad(loss, tuple(model.parameters()))
        counts.append(evaluations(model))

    with unresolved_adjoints():
        (shortest,) = seconds([job], repeats)
        held = peak_bytes(job)
    nfe = {"nfe_forward": counts[1] - counts[0], "nfe_backward": counts[2] - counts[1]}
    return {"parameters": parameter_count(model), "bytes": held, "seconds": shortest, **nfe}


def peak_bytes(job: Job) -> int:
    """The most that the tensors made by ``job()`` hold at any moment, and older ones once it makes a view of them."""
    with PeakMemory() as memory:
        job()
    return memory.peak


def seconds(jobs: Sequence[Job], repeats: int) -> list[float]:
    """The shortest time of each job; they take turns, so that a busy machine treats all alike. With one thread on a CPU
    it is the processor's time, which other programs hardly lengthen; else what a clock on the wall says. nan for no
    repeats."""
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(repeats):
        for job, taken in zip(jobs, times, strict=True):
            started = _now()
            job()
            taken.append(_now() - started)
    return [min(taken, default=math.nan) for taken in times]


def _now() -> float:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


@contextmanager
def unresolved_adjoints() -> Iterator[None]:
    """Inside, ``odeint_adjoint`` does not warn that dL/dy lies below adjoint_atol: what comes of that is measured."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "dL/dy has RMS")
        yield
