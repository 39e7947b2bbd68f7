"""Where the time of a step goes: `python -m tests.bench.anatomy`, two minutes on one core, without a gradient.

One attempted step of dopri5 on torchdiffeq's ode_demo network (2-50-2, single precision) is taken apart, for several
batches. Its whole cost is the slope of a solve's cost in its number of steps, between ``FEW`` and ``MANY`` of equal
length, so that what a solve costs once is left out. Its pieces are timed alone, as the solver calls them, and as often:

    evaluations   six of func, bare
    around func   counting them, the shape and the copy into the buffer of slopes
    stages        the sums y + h Σ a_ij k_j, and their times
    error         the estimate, its norm over the tolerance, and its way to Python
    control       what is left: the next step's size, the log, Python; and, where states are large, memory

torchdiffeq and the compiled path are divided into evaluations and the rest; the compiled one's rest is a solve with a
func that costs next to nothing. Times are of the processor, in one thread. Also counted: the operations that a step
hands to torch. Leaves figures/records/step_anatomy.json;
`figures/step_anatomy.py` draws it.
"""

import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
import torchdiffeq
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nodelib import torch_ode
from nodelib.experiments import records
from nodelib.torch_ode.problem import Problem, prepare
from nodelib.torch_ode.steps import Stages, rk_step
from tests.bench.solvers import Demo

NAME = "step_anatomy"
BATCHES = (20, 1_000, 50_000)
FEW, MANY, END = 20, 60, 1.0
LOOSE = 1e3  # tolerances under which every step is accepted
PIECES = ("evaluations", "around func", "stages", "error", "control")
SECONDS = 1.0  # of measuring, a piece

Call = Callable[[], Any]


def per_call(calls: dict[str, Call], seconds: float = SECONDS) -> dict[str, float]:
    """The median processor seconds of each call; they take turns, for ``seconds`` each or 5 rounds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    rounds, spent = 0, 0.0
    while rounds < 6 or spent < seconds * len(calls):
        for name, call in calls.items():
            begun = time.thread_time()
            call()
            times[name].append(time.thread_time() - begun)
        if rounds:
            spent += sum(found[-1] for found in times.values())
        rounds += 1
    return {name: median(found[1:]) for name, found in times.items()}


def repeated(call: Call, times: int) -> Call:
    """The call, so often, without a gradient."""

    def run() -> None:
        with torch.no_grad():
            for _ in range(times):
                call()

    return run


def case(batch: int) -> tuple[Demo, Tensor]:
    """The network and a batch of states."""
    func = Demo()
    return func, torch.tensor([2.0, 0.0]) + 0.1 * torch.randn(batch, 2)


def solve(odeint: Callable[..., Any], func: Any, y0: Tensor, steps: int, **options: Any) -> Call:
    """A solve by so many equal steps of an embedded pair, each tested against a tolerance that it meets."""
    t, h = torch.tensor([0.0, END * steps]), END
    settings = {"rtol": LOOSE, "atol": LOOSE, "options": {"first_step": h, "max_step": h, **options}}

    def run() -> None:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            odeint(func, y0, t, **settings)

    return run


def pieces(func: Demo, y0: Tensor) -> dict[str, Call]:
    """The pieces of a step, as the eager solver calls them."""
    with torch.no_grad():
        problem: Problem = prepare(func, y0, torch.tensor([0.0, 1.0]), "dopri5", LOOSE, LOOSE, {})
    stages = Stages(problem.method.tableau, problem)  # type: ignore[arg-type]
    stages.k[:] = problem.f0  # all seven: what memory happens to hold may be so large that the norm takes another way
    time_of_day, y, slot = torch.tensor(0.0), problem.y0, stages.k[1]
    counted = type(problem.func)(lambda t, y: y, problem.form)
    size, atol = y.abs(), torch.full_like(y[:1], LOOSE)
    calls = range(problem.method.tableau.stages - 1)  # type: ignore[union-attr]

    def evaluations() -> None:
        for _ in calls:
            func(time_of_day, y0)

    def around() -> None:
        for _ in calls:
            counted(time_of_day, y, slot)

    def sums() -> None:
        rk_step(lambda t, y, out: None, stages.times(0.0, 1.0), y, 1.0, stages)

    def error() -> None:
        scale = torch.add(atol, torch.maximum(size, y.abs()), alpha=LOOSE)
        problem.norm(stages.error().div_(scale))

    return {"evaluations": evaluations, "around func": around, "stages": sums, "error": error}


class Decay(torch.nn.Module):
    """A func that costs next to nothing."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return -y


def step(batch: int, compiled: bool = True, seconds: float = SECONDS) -> dict[str, Any]:
    """Seconds of one attempted step: eager, by pieces; torchdiffeq's; compiled where it is possible."""
    func, y0 = case(batch)
    ours, theirs = torch_ode.odeint, torchdiffeq.odeint
    calls: dict[str, Call] = {}
    for steps in (FEW, MANY):
        calls |= {f"{name} {steps}": repeated(call, steps) for name, call in pieces(func, y0).items()}
        calls[f"ours {steps}"] = solve(ours, func, y0, steps)
        calls[f"torchdiffeq {steps}"] = solve(theirs, func, y0, steps)
        if compiled:
            calls[f"compiled {steps}"] = solve(ours, func, y0, steps, compile=True)
            calls[f"loop {steps}"] = solve(ours, Decay(), y0, steps, compile=True)
    found = per_call(calls, seconds)

    def slope(name: str) -> float:
        return (found[f"{name} {MANY}"] - found[f"{name} {FEW}"]) / (MANY - FEW)

    whole = {"ours": slope("ours"), "torchdiffeq": slope("torchdiffeq")}
    parts = {name: slope(name) for name in PIECES[:-1]}
    parts["control"] = max(0.0, whole["ours"] - sum(parts.values()))
    row = {"batch": batch, "entries": y0.numel(), "step": whole, "pieces": parts}
    row["once"] = {name: found[f"{name} {FEW}"] - FEW * whole[name] for name in whole}
    if compiled:
        row["step"]["compiled"], row["step"]["loop"] = slope("compiled"), slope("loop")
        row["once"]["compiled"] = found[f"compiled {FEW}"] - FEW * row["step"]["compiled"]
    return row


class Operations(TorchDispatchMode):
    """Counts the operations handed to torch that do more than look at a tensor another way."""

    VIEWS = (
        "_unsafe_view",
        "view",
        "t.",
        "transpose",
        "slice",
        "select",
        "unbind",
        "detach",
        "expand",
        "alias",
        "as_strided",
        "reshape",
    )

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__
        self.count += not name.startswith(self.VIEWS)
        return func(*args, **(kwargs or {}))


def operations(odeint: Callable[..., Any]) -> float:
    """Operations of one attempted step."""
    counts = []
    for steps in (FEW, MANY):
        run = solve(odeint, *case(20), steps)
        run()  # what a first solve makes and keeps
        with Operations() as seen:
            run()
        counts.append(seen.count)
    return (counts[1] - counts[0]) / (MANY - FEW)


def operations_of_func() -> int:
    """Operations of one evaluation."""
    (func, y0), t = case(20), torch.tensor(0.0)  # which is an operation too
    with Operations() as seen, torch.no_grad():
        func(t, y0)
    return seen.count


def main() -> None:
    begun = time.perf_counter()
    torch.set_num_threads(1)
    rows = [step(batch) for batch in BATCHES]
    for row in rows:
        print(row, flush=True)
    counts = {"ours": operations(torch_ode.odeint), "torchdiffeq": operations(torchdiffeq.odeint)}
    numbers = {"rows": rows, "operations": {**counts, "func": operations_of_func()}}
    print(numbers["operations"])
    records.write(NAME, numbers, time.perf_counter() - begun, records.describe_device("cpu"))


if __name__ == "__main__":
    main()
