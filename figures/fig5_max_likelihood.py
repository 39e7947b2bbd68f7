"""Figure 5 of the paper: a CNF of 64 units and a planar flow of 64 layers, both by maximum likelihood, on two shapes.

    python figures/fig5_max_likelihood.py              tunes, trains and draws: some 25 minutes on one CPU core
    python figures/fig5_max_likelihood.py --resume     goes on with what was interrupted
    python figures/fig5_max_likelihood.py --draw       only draws what is recorded

Both flows get ten settings (five rates, two scales of the initial weights), each trained for --tuning seconds
and judged on validation points; then the best of them for --seconds, and test points. Three seeds, side by side in one
module. Leaves figures/records/fig5_max_likelihood.json, the parameters in figures/checkpoints, and fig5_SHAPE.png.
"""

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from nodelib.data.toy2d import SHAPES
from nodelib.experiments import records
from nodelib.experiments.flows import chosen_from, held_out, unlikelihood
from nodelib.experiments.optimize import Adam, Settings, train
from nodelib.experiments.training import save_atomically
from nodelib.models.flow_fields import GatedField
from nodelib.models.flows import CNF, PlanarFlow

UNITS, SEEDS, BATCH, POINTS = 64, 3, 256, 10_000
GRIDS = {
    "cnf": {"lr": (5e-3, 2e-2, 5e-2, 0.1, 0.2), "scale": (0.1, 0.5)},
    "planar": {"lr": (3e-3, 1e-2, 3e-2, 0.1, 0.3), "scale": (0.1, 0.3)},
}
NAME = "fig5_max_likelihood"
HERE = Path(__file__).parent
STATES = HERE / "states"  # of what is not finished; not in git


def make(flow: str, scale: float = 0.1) -> Any:
    if flow == "cnf":
        return CNF(GatedField(UNITS, models=SEEDS, scale=scale), rtol=1e-3, atol=1e-3)
    return PlanarFlow(UNITS, models=SEEDS, towards="base", scale=scale)


def points(shape: str, what: str, n: int = POINTS) -> Tensor:
    """Points of a shape to train on, to validate with or to test with."""
    seed = ("train", "validation", "test").index(what)
    return SHAPES[shape]().sample(n, torch.Generator().manual_seed(seed))


def run(flow: str, shape: str, lr: float, scale: float, seconds: float, name: str) -> tuple[Any, dict[str, Any]]:
    """Train the three seeds with these settings, or take them as they were trained before."""
    torch.manual_seed(0)
    model = make(flow, scale)
    optimizer = Adam(model, unlikelihood, (SEEDS, BATCH, 2))
    state = STATES / f"fig5_{flow}_{shape}_{name}.safetensors"

    def show(line: str) -> None:
        print(flow, shape, name, line, flush=True)

    settings = Settings(seconds=seconds, lr=lr, logs=20)
    log = train(optimizer, chosen_from(points(shape, "train")), settings, state, show=show)
    return model, {"lr": lr, "scale": scale, "iterations": log.iteration[-1], "seconds": log.seconds[-1]}


def best(flow: str, shape: str, seconds: float) -> list[dict[str, Any]]:
    """All settings, each with its nats on validation points, the best first; a setting that diverges is the last."""
    tried = []
    for lr, scale in itertools.product(*GRIDS[flow].values()):
        done = STATES / f"fig5_{flow}_{shape}_{lr}_{scale}.json"
        if not done.exists():
            try:
                model, row = run(flow, shape, lr, scale, seconds, f"{lr}_{scale}")
                row["validation"] = held_out(model, points(shape, "validation"))
            except ValueError as error:  # the loss is nan
                print(flow, shape, lr, scale, error, flush=True)
                row = {"lr": lr, "scale": scale, "validation": [float("inf")] * SEEDS}
            done.parent.mkdir(exist_ok=True)
            done.write_text(json.dumps(row), encoding="utf-8")
        tried.append(json.loads(done.read_text(encoding="utf-8")))
    return sorted(tried, key=lambda row: sum(row["validation"]))


def measured(flow: str, shape: str, a: argparse.Namespace) -> dict[str, Any]:
    """Tune, train and test one flow on one shape."""
    tried = best(flow, shape, a.tuning)
    model, row = run(flow, shape, tried[0]["lr"], tried[0]["scale"], a.seconds, "final")
    if flow == "cnf":
        model.settings |= {"rtol": 1e-5, "atol": 1e-5}
    test = points(shape, "test")
    save_atomically(model.state_dict(), HERE / "checkpoints" / f"fig5_{flow}_{shape}.safetensors")
    found = {"flow": flow, "shape": shape, **row, "test": held_out(model, test), "tried": tried}
    print(flow, shape, "nats", found["test"], "entropy", SHAPES[shape]().entropy, flush=True)
    return found


def draw() -> None:
    from nodelib.chapters.chapter4.figures import likelihood
    from nodelib.workbook.style import save

    record = records.read(NAME)
    for shape in record["shapes"]:
        models = {}
        for flow in GRIDS:
            models[flow] = make(flow)
            models[flow].load_state_dict(load_file(HERE / "checkpoints" / f"fig5_{flow}_{shape}.safetensors"))
        save(likelihood(record, models, shape), HERE / f"fig5_{shape}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", nargs="+", choices=["circles", "moons"], default=["circles", "moons"])
    parser.add_argument("--flow", nargs="+", choices=GRIDS, default=list(GRIDS))
    parser.add_argument("--tuning", type=float, default=20.0, help="seconds for each of the ten settings")
    parser.add_argument("--seconds", type=float, default=120.0, help="of the training with the best of them")
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted")
    parser.add_argument("--draw", action="store_true", help="only draw what is recorded")
    a = parser.parse_args()
    torch.set_num_threads(1)
    if not a.draw:
        if not a.resume:
            for state in STATES.glob("fig5_*"):
                state.unlink()
        runs = [measured(flow, shape, a) for shape in a.shape for flow in a.flow]
        shapes = {}
        for shape in a.shape:
            truth = -SHAPES[shape]().log_prob(points(shape, "test").double())
            shapes[shape] = {
                "entropy": SHAPES[shape]().entropy,
                "test_entropy": float(truth.mean()),  # of the very points that the nats are of
                "standard_error": float(truth.std()) / POINTS**0.5,
            }
        numbers = {
            "units": UNITS,
            "batch": BATCH,
            "points": POINTS,
            "tuning_seconds": a.tuning,
            "tuning_settings": {flow: len(list(itertools.product(*grid.values()))) for flow, grid in GRIDS.items()},
            "shapes": shapes,
            "runs": runs,
        }
        seconds = len(runs) * (10 * a.tuning + a.seconds)
        records.write(NAME, numbers, seconds, records.describe_device("cpu"))
    draw()


if __name__ == "__main__":
    main()
