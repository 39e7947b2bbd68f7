"""The same network trained three ways on the moons: by maximum likelihood, and by flow matching of two sorts.

    python figures/flow_matching.py              nine trainings of --seconds, some five minutes on one CPU core
    python figures/flow_matching.py --resume     goes on with what was interrupted
    python figures/flow_matching.py --draw       only draws what is recorded

Equal time for each, three seeds. Measured after it: nats on test points, evaluations at two tolerances, how far Euler's
method with 1 to 8 steps ends from the solved flow, and how much longer its paths are than straight lines. Leaves
figures/records/flow_matching.json, the parameters in figures/checkpoints, and flow_matching.png.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from nodelib.data.toy2d import moons
from nodelib.experiments import records
from nodelib.experiments.flows import chosen_from, flow_matching, held_out, pairs_of, unlikelihood
from nodelib.experiments.optimize import Adam, Settings, train
from nodelib.experiments.training import save_atomically
from nodelib.models.flow_fields import FreeField
from nodelib.models.flows import CNF, base_log_prob
from nodelib.torch_ode import solve

WAYS, SEEDS, BATCH, POINTS, CHUNK = ("likelihood", "independent", "optimal"), 3, 512, 10_000, 64
STEPS, TOLERANCES = (1, 2, 4, 8), (1e-3, 1e-5)
NAME = "flow_matching"
HERE = Path(__file__).parent
STATES = HERE / "states"  # of what is not finished; not in git


def data(seed: int, n: int = POINTS) -> Tensor:
    return moons().sample(n, torch.Generator().manual_seed(seed))


def run(way: str, seed: int, a: argparse.Namespace) -> dict[str, Any]:
    """Train one network one way, and measure it."""
    torch.manual_seed(seed)
    model = CNF(FreeField(64), rtol=1e-4, atol=1e-4)
    if way == "likelihood":
        optimizer, draw = Adam(model, unlikelihood, (BATCH, 2)), chosen_from(data(0))
    else:
        optimizer = Adam(model, flow_matching, (BATCH, 5))
        draw = pairs_of(data(0), CHUNK if way == "optimal" else 0)
    name = f"flow_matching_{way}_{seed}"
    state = STATES / f"{name}.safetensors"
    if not a.resume:
        state.unlink(missing_ok=True)
    settings = Settings(a.iterations, None if a.iterations else a.seconds, 5e-3, seed=seed, logs=20)
    log = train(optimizer, draw, settings, state, show=lambda line: print(name, line, flush=True))
    save_atomically(model.state_dict(), HERE / "checkpoints" / f"{name}.safetensors")
    row = {"way": way, "seed": seed, "iterations": log.iteration[-1], "seconds": log.seconds[-1], **measured(model)}
    print(name, {key: value for key, value in row.items() if key not in ("way", "seed")}, flush=True)
    return row


@torch.no_grad()
def measured(model: CNF) -> dict[str, Any]:
    """Nats; evaluations; errors of Euler's method, the root mean square distance; and the paths' mean excess."""
    field = model.field
    z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
    model.settings = {"rtol": 1e-5, "atol": 1e-5}
    nats = held_out(model, data(1))[0]
    nfe = {
        f"{tol:g}": solve(field, (z, base_log_prob(z)), [0.0, 1.0], rtol=tol, atol=tol).stats.nfe for tol in TOLERANCES
    }
    exact = path(model, z, 50)
    euler = {}
    for steps in STEPS:
        model.settings = {"method": "euler", "options": {"step_size": 1 / steps}}
        euler[str(steps)] = float((model.push(z)[0] - exact[-1]).square().sum(1).mean().sqrt())
    lengths = exact.diff(dim=0).norm(dim=2).sum(0)
    chords = (exact[-1] - exact[0]).norm(dim=1)
    return {"nats": nats, "nfe": nfe, "euler": euler, "path_over_chord": float(lengths.sum() / chords.sum())}


@torch.no_grad()
def path(model: CNF, z: Tensor, times: int) -> Tensor:
    """The states on the way from z, (times + 1, n, 2)."""
    field = model.field
    return solve(field.velocity, z, torch.linspace(0, 1, times + 1), rtol=1e-5, atol=1e-5).y


def draw_it() -> None:
    from nodelib.chapters.chapter4.figures import matching_paths
    from nodelib.workbook.style import save

    z, paths = torch.randn(60, 2, generator=torch.Generator().manual_seed(2)), {}
    for way in WAYS:
        model = CNF(FreeField(64))
        model.load_state_dict(load_file(HERE / "checkpoints" / f"flow_matching_{way}_0.safetensors"))
        paths[way] = path(model, z, 40).numpy()
    save(matching_paths(records.read(NAME), paths), HERE / f"{NAME}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each training")
    parser.add_argument("--iterations", type=int, help="of each training, in place of seconds")
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted")
    parser.add_argument("--draw", action="store_true", help="only draw what is recorded")
    a = parser.parse_args()
    torch.set_num_threads(1)
    if not a.draw:
        runs = [run(way, seed, a) for seed in range(SEEDS) for way in WAYS]
        truth = -moons().log_prob(data(1).double())
        numbers = {
            "batch": BATCH,
            "chunk": CHUNK,
            "entropy": moons().entropy,
            "test_entropy": float(truth.mean()),
            "standard_error": float(truth.std()) / math.sqrt(POINTS),
            "runs": runs,
        }
        records.write(NAME, numbers, sum(row["seconds"] for row in runs), records.describe_device("cpu"))
    draw_it()


if __name__ == "__main__":
    main()
