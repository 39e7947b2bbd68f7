"""What a gradient takes in memory and time as the solve, the state or the parameters grow: ours beside torchdiffeq's.

All take the same fixed steps of the 3/8 rule (ours ``rk4_38``, torchdiffeq's ``rk4``) but ``odeint_reversible``, which
has methods of its own and evaluates twice as often. Memory is the most that tensors hold at once, in bytes, counted by
``nodelib.experiments.memory.PeakMemory``: exact, and the same on every machine. What a process occupies is not. The
field's own tensors are there before and do not count. On a GPU it is the same count.
"""

import math
import time
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from nodelib import torch_ode
from nodelib.experiments.memory import PeakMemory
from tests.bench.peers.measure import version
from tests.bench.solvers import Demo

Job = Callable[[], Any]
AXES = {
    "steps": (10, 100, 1000),
    "state": (10, 1000, 100_000, 1_000_000, 10_000_000),
    "parameters": (100, 1000, 10_000, 100_000, 1_000_000, 10_000_000),
}
ABOUT = {
    "steps": "ode_demo's network, batch 20, t 0 to 1",
    "state": "y' = -tanh(a y) in each number, a the one parameter, 3 steps",
    "parameters": "y' = tanh(W y), as many parameters as the square of the state, 10 steps",
}
ROUNDS, SECONDS = 3, 2.0  # of timing: at most so many, and no more once so many seconds are spent


class Elementwise(nn.Module):
    """y' = -tanh(a y)."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.5))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return -torch.tanh(self.a * y)


class Square(nn.Module):
    """y' = tanh(W y), W of n × n numbers of size 1 / √n."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n, n, generator=torch.Generator().manual_seed(0)) / math.sqrt(n))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(self.weight @ y)


def case(axis: str, size: int) -> tuple[nn.Module, Tensor, int]:
    """The field, the first state and the number of steps."""
    generator = torch.Generator().manual_seed(0)
    if axis == "steps":
        return Demo(), torch.tensor([2.0, 0.0]) + 0.1 * torch.randn(20, 2, generator=generator), size
    if axis == "state":
        return Elementwise(), torch.randn(size, generator=generator), 3
    n = round(math.sqrt(size))
    return Square(n), torch.randn(n, generator=generator), 10


def ways() -> dict[str, Callable[..., Any]]:
    """The gradients, ours and torchdiffeq's where it is there; each takes (field, y0, t, step_size)."""

    def ours(solver: Callable[..., Any], method: str, **options: float) -> Callable[..., Any]:
        return lambda f, y0, t, h: solver(f, y0, t, method=method, options={"step_size": h, **options})

    found = {
        "backprop": ours(torch_ode.odeint, "rk4_38"),
        "checkpoint": ours(torch_ode.odeint_checkpoint, "rk4_38"),
        "adjoint": ours(torch_ode.odeint_adjoint, "rk4_38"),
        "reversible": ours(torch_ode.odeint_reversible, "reversible_rk4", coupling=0.999),
    }
    if version("torchdiffeq"):
        theirs = import_module("torchdiffeq")
        found["torchdiffeq backprop"] = ours(theirs.odeint, "rk4")
        found["torchdiffeq adjoint"] = ours(theirs.odeint_adjoint, "rk4")
    return found


def job(way: Callable[..., Any], axis: str, size: int, device: str = "cpu") -> Job:
    """One solve from 0 to 1 and its gradient by state and parameters."""
    field, y0, steps = case(axis, size)
    field, y0 = field.to(device), y0.to(device)
    t = torch.tensor([0.0, 1.0], device=device)

    def run() -> None:
        start = y0.detach().requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            end = way(field, start, t, 1 / steps)[-1]
            torch.autograd.grad(end.square().mean(), [start, *field.parameters()])
        if device != "cpu":
            torch.cuda.synchronize()

    return run


def peak(run: Job) -> int:
    """The most bytes that tensors hold at once in it."""
    with PeakMemory() as memory:
        run()
    return memory.peak


def seconds(jobs: Sequence[Job], rounds: int = ROUNDS) -> list[float]:
    """The median of each job's processor times, in turn; wall times where there is a GPU to wait for."""
    clock = time.perf_counter if torch.cuda.is_initialized() else time.process_time
    found: list[list[float]] = [[] for _ in jobs]
    begun = time.perf_counter()
    for _ in range(rounds):
        for one, times in zip(jobs, found, strict=True):
            start = clock()
            one()
            times.append(clock() - start)
        if time.perf_counter() - begun > SECONDS:
            break
    return [median(times) for times in found]


def growth(axis: str, sizes: Sequence[int], rounds: int = ROUNDS, device: str = "cpu") -> dict[str, Any]:
    """Of one axis: "axis", "about", "sizes", and for each way the lists "bytes" and "ms"."""
    rows: dict[str, dict[str, list[float]]] = {name: {"bytes": [], "ms": []} for name in ways()}
    for size in sizes:
        jobs = {name: job(way, axis, size, device) for name, way in ways().items()}
        for name, one in jobs.items():  # this warms up as well
            rows[name]["bytes"].append(peak(one))
        for name, one in zip(jobs, seconds(list(jobs.values()), rounds), strict=True):
            rows[name]["ms"].append(1e3 * one)
    return {"axis": axis, "about": ABOUT[axis], "sizes": list(sizes), "rows": rows}
