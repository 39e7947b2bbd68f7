"""Work and precision: the error at the end against evaluations and against time, tolerance by tolerance."""

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch

from nodelib import torch_ode
from tests.bench.peers import jax_peer, ours, scipy_peer, torch_peers
from tests.bench.peers.measure import Case, Run, prepared
from tests.bench.peers.workloads import PROBLEMS, DemoTask, end_of

TOLERANCES = tuple(10.0**-k for k in range(3, 12))
DEMO_TOLERANCES = tuple(10.0**-k for k in range(3, 10))
FEWEST = 3  # runs of each solver


def times_of(run: Run, budget: float) -> float:
    """The median processor time of a run in ms, of as many as ``budget`` seconds hold, and of three at least.

    For no budget it is the time of one run.
    """
    found: list[float] = []
    begun = time.perf_counter()
    while len(found) < (FEWEST if budget else 1) or time.perf_counter() - begun < budget:
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return 1e3 * median(found)


def small(name: str) -> dict[str, tuple[str, Callable[[float], Run]]]:
    """Solvers of a small problem by name: the package, and what prepares it at a tolerance."""
    return {
        **{f"numpy {m}": ("nodelib", partial(ours.numpy_solve, name, m)) for m in ("dopri5", "dopri8")},
        **{f"SciPy {m}": ("scipy", partial(scipy_peer.solve, name, m)) for m in ("RK45", "DOP853", "LSODA")},
        **{f"diffrax {m}": ("diffrax", partial(jax_peer.solve, name, m)) for m in ("Dopri5", "Dopri8")},
    }


def demo() -> dict[str, tuple[str, Callable[[float], Run]]]:
    """The same of ode_demo, in double precision."""
    task = DemoTask(2, torch.float64)

    def by(solver: Any, **settings: Any) -> Callable[[float], Run]:
        func = task.network()
        return lambda tol: ours.forward(task, solver, tol, func, **settings)

    found: dict[str, tuple[str, Callable[[float], Run]]] = {"torch dopri5": ("nodelib", by(torch_ode.odeint))}
    if ours.COMPILED:
        found["torch dopri5, compiled"] = ("nodelib", by(torch_ode.odeint, **ours.COMPILE))
    return found | {
        "torchdiffeq dopri5": ("torchdiffeq", lambda tol: ours.forward(task, torch_peers.torchdiffeq("backprop"), tol)),
        "torchode Dopri5": ("torchode", by(torch_peers.torchode)),
        "torchdyn dopri5": ("torchdyn", by(torch_peers.torchdyn)),
        "diffrax Dopri5": ("diffrax", partial(jax_peer.forward, task)),
    }


def diagrams(budget: float = 0.2, smoke: bool = False) -> list[dict[str, Any]]:
    """For each problem and solver: "tol", "nfe", "error", "ms" as lists, and "status".

    A solver's tolerance is what it is asked for, so that curves are compared by the error that comes of it.
    """
    found = []
    for name in (*PROBLEMS, "ode_demo"):
        solvers, tolerances = (small(name), TOLERANCES) if name in PROBLEMS else (demo(), DEMO_TOLERANCES)
        reference = end_of(name) if name in PROBLEMS else DemoTask().solution()
        for solver, (package, make) in solvers.items():
            curve: dict[str, Any] = {"problem": name, "solver": solver, "package": package, "status": "measured"}
            curve |= {"tol": [], "nfe": [], "error": [], "ms": []}
            for tol in tolerances[:1] if smoke else tolerances:
                row, run = prepared(Case(solver, package, partial(make, tol), solver, tol), reference)
                if run is None:
                    curve["status"] = row["status"]
                    break
                values = (tol, row["nfe"], row["error"], times_of(run, 0.0 if smoke else budget))
                for key, value in zip(("tol", "nfe", "error", "ms"), values, strict=True):
                    curve[key].append(value)
            found.append(curve)
    return found
