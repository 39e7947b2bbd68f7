"""The bridge between two modes: continuous flows on two Gaussians that stand further and further apart.

    python figures/bridge.py              trains and measures: some four minutes of one CPU core
    python figures/bridge.py --resume     goes on with what was interrupted
    python figures/bridge.py --draw       only draws what is recorded

Two Gaussians of standard deviation 0.3 at distance 2, 4, 6 and 8 of these from the origin; ten seeds each, side by side
in one module, by maximum likelihood. Measured after it: nats, the density at the pass from one mode to the other (also
along the training), the area's stretching there in two ways, the share of draws in the half between the modes that is
nearest to the middle, |x₁| < a / 2, and evaluations. Leaves
figures/records/bridge.json, the parameters in figures/checkpoints, and bridge.png.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from nodelib.data.toy2d import two_gaussians
from nodelib.experiments import records
from nodelib.experiments.bridge import between, log_det, saddle, share_between
from nodelib.experiments.flows import chosen_from, held_out, unlikelihood
from nodelib.experiments.optimize import Adam, Settings, train
from nodelib.experiments.training import save_atomically
from nodelib.models.flow_fields import GatedField
from nodelib.models.flows import CNF, base_log_prob, one_of
from nodelib.torch_ode import solve

RATIOS, NOISE, UNITS, SEEDS, BATCH, POINTS, LOGS = (2, 4, 6, 8), 0.3, 64, 10, 256, 10_000, 8
NAME = "bridge"
HERE = Path(__file__).parent
STATES = HERE / "states"  # of what is not finished; not in git


def make() -> CNF:
    return CNF(GatedField(UNITS, models=SEEDS), rtol=1e-3, atol=1e-3)


def points(ratio: int, seed: int, n: int = POINTS) -> Tensor:
    return two_gaussians(NOISE, ratio * NOISE).sample(n, torch.Generator().manual_seed(seed))


def run(ratio: int, a: argparse.Namespace) -> dict[str, Any]:
    """Train ten seeds on one target, and measure them; or read what was measured before."""
    done = STATES / f"{NAME}_{ratio}.json"
    if not (a.resume and done.exists()):
        row = measured(ratio, *trained(ratio, a))
        done.write_text(json.dumps(row), encoding="utf-8")
    return json.loads(done.read_text(encoding="utf-8"))


def trained(ratio: int, a: argparse.Namespace) -> tuple[CNF, dict[str, Any]]:
    torch.manual_seed(0)
    model = make()
    optimizer = Adam(model, unlikelihood, (SEEDS, BATCH, 2))
    state = STATES / f"{NAME}_{ratio}.safetensors"
    if not a.resume:
        state.unlink(missing_ok=True)

    def show(line: str) -> None:
        """Keep the parameters of each entry of the log, to be measured afterwards."""
        print(NAME, ratio, line, flush=True)
        step = int(next(iter(optimizer.adam.state.values()))["step"])
        save_atomically(model.state_dict(), STATES / f"{NAME}_{ratio}_at_{step}.safetensors")

    log = train(optimizer, chosen_from(points(ratio, 0)), Settings(a.iterations, lr=2e-2, logs=LOGS), state, show=show)
    save_atomically(model.state_dict(), HERE / "checkpoints" / f"{NAME}_{ratio}.safetensors")
    return model, {"iterations": log.iteration, "seconds": log.seconds[-1]}


@torch.no_grad()
def measured(ratio: int, model: CNF, row: dict[str, Any]) -> dict[str, Any]:
    """What is said at the top, of each seed."""
    target, distance = two_gaussians(NOISE, ratio * NOISE), ratio * NOISE
    history = []
    for step in row["iterations"]:
        model.load_state_dict(load_file(STATES / f"{NAME}_{ratio}_at_{step}.safetensors"))
        history.append([found["log_p"] for found in passes(model, distance)])
    model.settings |= {"rtol": 1e-5, "atol": 1e-5}
    test, ends = points(ratio, 1), passes(model, distance)
    x = model.push(torch.randn(SEEDS, 2 * POINTS, 2, generator=torch.Generator().manual_seed(1)))[0]
    truth = float(-target.log_prob(test.double()).mean())
    found = {
        "ratio": ratio,
        "distance": distance,
        **row,
        "entropy": target.entropy,
        "excess": [nats - truth for nats in held_out(model, test)],
        "target": {
            "saddle": float(target.log_prob(torch.zeros(2, dtype=torch.float64))),
            "share": share_between(distance, NOISE),
        },
        "saddle": [end["log_p"] for end in ends],
        "history": history,
        "points": [end["x"] for end in ends],
        **stretched(model, torch.tensor([end["x"] for end in ends])),
        "share": (x[..., 0].abs() < distance / 2).float().mean(1).tolist(),
        "nfe": [evaluations(one_of(model, i)) for i in range(SEEDS)],
    }
    print(NAME, {key: value for key, value in found.items() if key not in ("history", "points")}, flush=True)
    return found


def passes(model: CNF, distance: float) -> list[dict[str, Any]]:
    """The pass from x₁ = -distance to x₁ = distance of each seed: where, and log p there."""
    x = between(distance, 5 * NOISE)
    log_p = model.pull(x.reshape(-1, 2).expand(SEEDS, -1, -1))[1].reshape(SEEDS, *x.shape[:-1])
    found = []
    for each in log_p.double():
        at = saddle(each.numpy())
        found.append({"log_p": float(each[at]), "x": x[at].tolist()})
    return found


def stretched(model: CNF, x: Tensor) -> dict[str, list[float]]:
    """By Theorem 1 the logarithm of the stretching at x of each seed, ∫ tr ∂f/∂z dt = log p₀(z) - log p(x); the same by
    the map's derivative; and log p₀(z)."""
    found: dict[str, list[float]] = {"base": [], "stretch": [], "log_det": []}
    for i in range(SEEDS):
        one = one_of(model, i).double()
        one.settings |= {"rtol": 1e-7, "atol": 1e-7}
        z, log_p = one.pull(x[i : i + 1].double())
        base = base_log_prob(z)
        found["base"].append(float(base))
        found["stretch"].append(float(base - log_p))
        with torch.enable_grad():
            found["log_det"].append(log_det(one, z[0]))
    return found


def evaluations(model: CNF) -> int:
    z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
    return solve(model.field, (z, base_log_prob(z)), [0.0, 1.0], rtol=1e-5, atol=1e-5).stats.nfe


def draw_it() -> None:
    from nodelib.chapters.chapter4.topology import bridges
    from nodelib.workbook.style import save

    models = {}
    for ratio in RATIOS[1:]:
        models[ratio] = make()
        models[ratio].load_state_dict(load_file(HERE / "checkpoints" / f"{NAME}_{ratio}.safetensors"))
    save(bridges(records.read(NAME), models), HERE / f"{NAME}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=400, help="of each training")
    parser.add_argument("--ratio", type=int, nargs="+", choices=RATIOS, default=list(RATIOS))
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted")
    parser.add_argument("--draw", action="store_true", help="only draw what is recorded")
    a = parser.parse_args()
    torch.set_num_threads(1)
    if not a.draw:
        STATES.mkdir(exist_ok=True)
        runs = [run(ratio, a) for ratio in a.ratio]
        numbers = {"units": UNITS, "seeds": SEEDS, "batch": BATCH, "noise": NOISE, "points": POINTS, "runs": runs}
        records.write(NAME, numbers, sum(row["seconds"] for row in runs), records.describe_device("cpu"))
    draw_it()


if __name__ == "__main__":
    main()
