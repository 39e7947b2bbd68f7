"""Does a price on kinetic energy give fewer evaluations at the same likelihood? Flows on the moons, six prices.

    python figures/regularised_flows.py              trains and measures: some six minutes of one CPU core
    python figures/regularised_flows.py --resume     goes on with what was interrupted
    python figures/regularised_flows.py --draw       only draws what is recorded

The loss is the mean of -log p + weight · ∫ |f|² dt (Finlay et al. 2020, without their second term, the Jacobian's).
Ten seeds side by side in one module; a seed begins with the same parameters and sees the same batches at every weight.
Measured after it, for each seed: nats and energy on test points, evaluations at two tolerances, how much longer paths
are than straight lines, and how far Euler's method with 1 to 8 steps ends from the solved flow. Leaves
figures/records/regularised_flows.json, the parameters in figures/checkpoints, and regularised_flows.png.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from nodelib.data.toy2d import moons
from nodelib.experiments import records
from nodelib.experiments.energy import costly_unlikelihood, least_energy, pull_with_energy
from nodelib.experiments.flows import chosen_from
from nodelib.experiments.optimize import Adam, Settings, train
from nodelib.experiments.training import save_atomically
from nodelib.models.flow_fields import GatedField
from nodelib.models.flows import CNF, base_log_prob, one_of
from nodelib.torch_ode import solve

WEIGHTS, UNITS, SEEDS, BATCH, POINTS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0), 64, 10, 256, 10_000
STEPS, TOLERANCES = (1, 2, 4, 8), (1e-3, 1e-5)
NAME = "regularised_flows"
HERE = Path(__file__).parent
STATES = HERE / "states"  # of what is not finished; not in git


def make() -> CNF:
    return CNF(GatedField(UNITS, models=SEEDS), rtol=1e-3, atol=1e-3)


def data(seed: int, n: int = POINTS) -> Tensor:
    return moons().sample(n, torch.Generator().manual_seed(seed))


def base(n: int, seed: int) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def run(weight: float, a: argparse.Namespace) -> dict[str, Any]:
    """Train ten seeds at one weight, and measure them; or read what was measured before."""
    name = f"{NAME}_{weight:g}"
    done, state = STATES / f"{name}.json", STATES / f"{name}.safetensors"
    if not a.resume:
        done.unlink(missing_ok=True)
        state.unlink(missing_ok=True)
    if not done.exists():
        torch.manual_seed(0)
        model = make()
        optimizer = Adam(model, costly_unlikelihood(weight), (SEEDS, BATCH, 2))
        settings = Settings(a.iterations, lr=2e-2, logs=20)
        log = train(optimizer, chosen_from(data(0)), settings, state, show=lambda line: print(name, line, flush=True))
        save_atomically(model.state_dict(), HERE / "checkpoints" / f"{name}.safetensors")
        row = {"weight": weight, "iterations": log.iteration[-1], "seconds": log.seconds[-1], **measured(model)}
        done.write_text(json.dumps(row), encoding="utf-8")
        print(name, row, flush=True)
    return json.loads(done.read_text(encoding="utf-8"))


@torch.no_grad()
def measured(model: CNF) -> dict[str, list[Any]]:
    """By name, what was measured of each seed."""
    model.settings |= {"rtol": 1e-5, "atol": 1e-5}
    parts = [pull_with_energy(model, x.expand(SEEDS, -1, -1)) for x in data(1).split(5000)]
    log_p, energy = (torch.cat(each, 1).double().mean(1) for each in list(zip(*parts, strict=True))[1:])
    alone = [paths_of(one_of(model, i)) for i in range(SEEDS)]
    rows = {key: [row[key] for row in alone] for key in alone[0]}
    return {"nats": (-log_p).tolist(), "energy": energy.tolist(), **rows}


def paths_of(model: CNF) -> dict[str, Any]:
    """Evaluations from the base to the data, the mean excess of the paths, and the root mean square errors of Euler's
    method."""
    z = base(1000, 1)
    start = (z, base_log_prob(z))
    nfe = {f"{tol:g}": solve(model.field, start, [0.0, 1.0], rtol=tol, atol=tol).stats.nfe for tol in TOLERANCES}
    exact, euler = path(model, z, 50), {}
    for steps in STEPS:
        x = solve(model.field, start, [0.0, 1.0], method="euler", options={"step_size": 1 / steps}).y[0][-1]
        euler[str(steps)] = float((x - exact[-1]).square().sum(1).mean().sqrt())
    lengths, chords = exact.diff(dim=0).norm(dim=2).sum(0), (exact[-1] - exact[0]).norm(dim=1)
    return {"nfe": nfe, "euler": euler, "path_over_chord": float(lengths.sum() / chords.sum())}


@torch.no_grad()
def path(model: CNF, z: Tensor, times: int) -> Tensor:
    """The states on the way from z, (times + 1, n, 2)."""
    return solve(model.field, (z, base_log_prob(z)), torch.linspace(0, 1, times + 1), rtol=1e-5, atol=1e-5).y[0]


def least(n: int, pairs: int = 4) -> list[float]:
    """W₂² of n draws of the base and n of the data, ``pairs`` times anew."""
    return [least_energy(base(n, 10 + k), data(10 + k, n)) for k in range(pairs)]


def draw_it() -> None:
    from nodelib.chapters.chapter4.regularised import regularised
    from nodelib.workbook.style import save

    record, z, paths = records.read(NAME), base(60, 2), {}
    for weight in (0.0, 0.1):
        model = make()
        model.load_state_dict(load_file(HERE / "checkpoints" / f"{NAME}_{weight:g}.safetensors"))
        paths[weight] = path(one_of(model, 0), z, 40).numpy()
    save(regularised(record, paths), HERE / f"{NAME}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=600, help="of each training")
    parser.add_argument("--weight", type=float, nargs="+", choices=WEIGHTS, default=list(WEIGHTS))
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted")
    parser.add_argument("--draw", action="store_true", help="only draw what is recorded")
    a = parser.parse_args()
    torch.set_num_threads(1)
    if not a.draw:
        STATES.mkdir(exist_ok=True)
        runs = [run(weight, a) for weight in a.weight]
        truth = -moons().log_prob(data(1).double())
        numbers = {
            "units": UNITS,
            "seeds": SEEDS,
            "batch": BATCH,
            "entropy": moons().entropy,
            "test_entropy": float(truth.mean()),  # of the very points that the nats are of
            "standard_error": float(truth.std()) / POINTS**0.5,
            "least_energy": {str(n): least(n) for n in (500, 1000, 2000)},
            "runs": runs,
        }
        records.write(NAME, numbers, sum(row["seconds"] for row in runs), records.describe_device("cpu"))
    draw_it()


if __name__ == "__main__":
    main()
