"""What a trace costs as the dimension grows, and what Hutchinson's estimate of it costs besides.

    python figures/trace_cost.py              some two minutes on one CPU core
    python figures/trace_cost.py --resume     goes on with what was interrupted
    python figures/trace_cost.py --draw       only draws what is recorded

For D = 2 … 1024 and 16 points: seconds of f, of f and one product (Hutchinson), of f and D products (exact), and of the
log-determinant of the whole Jacobian, each the median of several calls; and the standard deviation of the estimates. On
a field for the moons, trained by flow matching for --seconds: the evaluations of a solve with noise that is drawn once,
and with noise drawn anew at each evaluation. Leaves figures/records/trace_cost.json and trace_cost.png.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nodelib.common.solution import MaxStepsReached
from nodelib.data.toy2d import moons
from nodelib.experiments import records
from nodelib.experiments.flows import flow_matching, pairs_of
from nodelib.experiments.optimize import Adam, Settings, train
from nodelib.models.flow_fields import NOISES, FreeField
from nodelib.models.flows import CNF, base_log_prob
from nodelib.torch_ode import solve

DIMS, POINTS, DRAWS, MOST = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024), 16, 4000, 4000
NAME = "trace_cost"
HERE = Path(__file__).parent
STATE = HERE / "states" / "trace_cost.json"  # of what is not finished; not in git


def row(dim: int, device: str) -> dict[str, Any]:
    """Seconds and deviations at one dimension, of a random network of width 64."""
    torch.manual_seed(0)
    t, z = torch.zeros((), device=device), torch.randn(POINTS, dim, device=device)
    exact = FreeField(64, dim).to(device)
    estimate = FreeField(64, dim, "rademacher").to(device)
    estimate.load_state_dict(exact.state_dict())
    estimate.draw(z)
    state = z, z[:, 0]

    def jacobians() -> Tensor:
        return torch.func.vmap(torch.func.jacrev(lambda x: exact.velocity(t, x[None])[0]))(z)

    def log_det() -> Tensor:
        return torch.linalg.slogdet(torch.eye(dim, device=device) + 0.01 * jacobians())[1]

    with torch.no_grad():
        ways = {
            "f": lambda: exact.velocity(t, z),
            "hutchinson": lambda: estimate(t, state),
            "exact": lambda: exact(t, state),
            "log-det": log_det,
        }
        seconds = {name: median(call, device) for name, call in ways.items()}
        one = z[:1].expand(DRAWS, dim)
        deviation = {}
        for kind in NOISES:
            estimate.trace = kind
            estimate.draw(one)
            deviation[kind] = float(estimate(t, (one, one[:, 0]))[1].std())
        symmetric = jacobians()[0]
        trace = float(symmetric.trace())
        symmetric = (symmetric + symmetric.T) / 2
        square, diagonal = float(symmetric.square().sum()), float(symmetric.diagonal().square().sum())
    theory = {"gauss": (2 * square) ** 0.5, "rademacher": (2 * (square - diagonal)) ** 0.5}
    return {"dim": dim, "seconds": seconds, "deviation": deviation, "theory": theory, "trace": trace}


def median(call: Callable[[], Any], device: str, budget: float = 0.5) -> float:
    """The median seconds of a call, of at least 3 and of as many as ``budget`` seconds hold."""
    times: list[float] = []
    call()
    while len(times) < 3 or (sum(times) < budget and len(times) < 200):
        begun = time.perf_counter()
        call()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def moons_field(seconds: float) -> FreeField:
    """A field that makes moons, by flow matching."""
    torch.manual_seed(0)
    model = CNF(FreeField(64))
    data = moons().sample(10_000, torch.Generator().manual_seed(0))
    train(Adam(model, flow_matching, (512, 5)), pairs_of(data), Settings(seconds=seconds, lr=5e-3))
    return model.field


@torch.no_grad()
def redrawn(trained: FreeField, tolerances: tuple[float, ...] = (1e-3, 1e-5)) -> list[dict[str, Any]]:
    """Evaluations of a solve by trace, noise and tolerance; after ``MOST`` attempts "nfe" and "nats" are None."""
    x = moons().sample(100, torch.Generator().manual_seed(1))
    found = []
    for trace, anew in [("exact", False), *((kind, anew) for anew in (False, True) for kind in NOISES)]:
        field = FreeField(64, trace=trace, redraw=anew)
        field.load_state_dict(trained.state_dict())
        field.generator = torch.Generator().manual_seed(0)
        for tol in tolerances:
            field.draw(x)
            settings: dict[str, Any] = {"rtol": tol, "atol": tol, "options": {"max_num_steps": MOST}}
            try:
                sol = solve(field, (x, x[:, 0] * 0), [1.0, 0.0], **settings)
                nfe, log_p = sol.stats.nfe, base_log_prob(sol.y[0][-1]) - sol.y[1][-1]
                nats = -float(log_p.mean())
            except MaxStepsReached:
                nfe, nats = None, None
            found.append({"trace": trace, "redraw": anew, "tol": tol, "nfe": nfe, "nats": nats})
    return found


def draw() -> None:
    from nodelib.chapters.chapter4.figures import trace_cost
    from nodelib.workbook.style import save

    save(trace_cost(records.read(NAME)), HERE / f"{NAME}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", nargs="+", type=int, default=list(DIMS))
    parser.add_argument("--seconds", type=float, default=10.0, help="of the training on the moons")
    parser.add_argument("--device", default="cpu", help="cpu or cuda, for the times")
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted")
    parser.add_argument("--draw", action="store_true", help="only draw what is recorded")
    a = parser.parse_args()
    torch.set_num_threads(1)
    if not a.draw:
        begun = time.perf_counter()
        rows = json.loads(STATE.read_text(encoding="utf-8")) if a.resume and STATE.exists() else []
        for dim in a.dims[len(rows) :]:
            rows.append(row(dim, a.device))
            print(rows[-1], flush=True)
            STATE.parent.mkdir(exist_ok=True)
            STATE.write_text(json.dumps(rows), encoding="utf-8")
        moons_rows = redrawn(moons_field(a.seconds))
        print(*moons_rows, sep="\n")
        numbers = {"points": POINTS, "width": 64, "draws": DRAWS, "rows": rows, "moons": moons_rows, "most": MOST}
        records.write(NAME, numbers, time.perf_counter() - begun, records.describe_device(a.device))
        STATE.unlink()
    draw()


if __name__ == "__main__":
    main()
