"""Figure 4 of the paper: planar normalizing flows and continuous ones matched to three potentials, by KL(q‖p).

    python figures/fig4_density_matching.py --part planar                the paper's 500,000 iterations
    python figures/fig4_density_matching.py --part planar --device cuda  the same on a GPU
    python figures/fig4_density_matching.py --part gated                 the paper's 10,000 iterations
    python figures/fig4_density_matching.py --part equal                 both, and the CNF of cnf.py, at equal time
    python figures/fig4_density_matching.py                              only draws what is recorded

K = M = 2, 8 and 32 layers or units; three targets and three seeds, nine models in one module. --iterations and
--seconds shorten a run and scale its decay. --stop leaves off after some seconds; --resume goes on with what was left
off. Each part leaves figures/records/fig4_PART.json and figures/checkpoints/fig4_PART_….safetensors.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nodelib.data.toy2d import POTENTIALS, floor_of
from nodelib.experiments import records
from nodelib.experiments.flows import Matching, matching_losses, normal
from nodelib.experiments.fused import FusedRMSprop, compiler
from nodelib.experiments.optimize import Adam, Settings, finished, train
from nodelib.experiments.training import save_atomically
from nodelib.models.flow_fields import GatedField, TimedField
from nodelib.models.flows import CNF, PlanarFlow

SIZES, SEEDS = (2, 8, 32), 3
MODELS = len(POTENTIALS) * SEEDS
HERE = Path(__file__).parent
STATES = HERE / "states"  # of what is not finished; not in git


def planar(size: int, device: str) -> tuple[PlanarFlow, FusedRMSprop]:
    model = PlanarFlow(size, models=MODELS).to(device)
    return model, FusedRMSprop(model, Matching(), (2, MODELS, 256))


def gated(size: int, device: str) -> tuple[CNF, Adam]:
    model = CNF(GatedField(size, models=MODELS), rtol=1e-3, atol=1e-3).to(device)
    return model, Adam(model, Matching(), (2, MODELS, 128), clip=1.0)


def timed(size: int, device: str) -> tuple[CNF, Adam]:
    model = CNF(TimedField(size, models=MODELS), rtol=1e-3, atol=1e-3).to(device)
    return model, Adam(model, Matching(), (2, MODELS, 128), clip=1.0)


FLOWS: dict[str, Callable[[int, str], tuple[Any, Any]]] = {"planar": planar, "gated": gated, "timed": timed}
LR = {"planar": 3e-3, "gated": 1e-2, "timed": 1e-2}  # of short trainings
PARTS = ("planar", "gated", "equal")
PAPER = {"planar": (500_000, 3e-3), "gated": (10_000, 5e-3)}  # iterations and rate: at 1e-2 the field becomes stiff


def one(flow: str, size: int, settings: Settings, name: str, a: argparse.Namespace) -> dict[str, Any] | None:
    """Train the nine models of a flow and size and measure them; None where --stop came first."""
    torch.manual_seed(settings.seed)
    state = a.states / f"{name}.safetensors"
    if not a.resume:
        state.unlink(missing_ok=True)
    model, optimizer = FLOWS[flow](size, a.device)
    begun = time.perf_counter()
    stop = a.stop - (begun - a.begun)
    log = train(optimizer, normal, settings, state, stop=stop, show=lambda line: print(name, line, flush=True))
    if not finished(log, settings):
        print(f"{name}: left off; --resume goes on")
        return None
    if isinstance(model, CNF):
        model.settings |= {"rtol": 1e-5, "atol": 1e-5}
    losses, errors = matching_losses(model, Matching())
    save_atomically(model.state_dict(), HERE / "checkpoints" / f"{name}.safetensors")
    by_target = torch.tensor([losses, errors]).reshape(2, len(POTENTIALS), SEEDS)
    print(name, "gaps above the floors, a seed each:")
    for target, row in zip(POTENTIALS, by_target[0], strict=True):
        print("   ", target, [round(float(x) - floor_of(target), 4) for x in row], flush=True)
    return {
        "flow": flow,
        "size": size,
        "settings": settings._asdict(),
        "loss": by_target[0].tolist(),  # [target][seed]
        "standard_error": by_target[1].tolist(),
        "iterations": log.iteration[-1],
        "seconds": log.seconds[-1],
        "log": log._asdict(),
    }


def part(name: str, a: argparse.Namespace) -> None:
    """Measure one part and write its record."""
    flows = a.flow if name == "equal" else [name]
    runs = []
    for size in a.size:
        for flow in flows:
            seconds = (a.seconds or 60.0) if name == "equal" else a.seconds
            iterations, lr = (a.iterations, LR[flow]) if name == "equal" else PAPER[name]
            if name != "equal" and (a.iterations or a.seconds):
                iterations = a.iterations
            settings = Settings(iterations, seconds, lr)
            runs.append(one(flow, size, settings, f"fig4_{name}_{flow}_{size}", a))
    if any(run is None for run in runs):
        return
    numbers = {
        "targets": floors(),
        "seeds": SEEDS,
        "compiled": compiler(a.device),
        "runs": runs,
    }
    device = (f"{a.began_on}, then " if a.began_on else "") + records.describe_device(a.device)
    records.write(f"fig4_{name}", numbers, sum(run["seconds"] for run in runs if run), device)


def draw() -> None:
    """Draw what is recorded: the densities of the paper's iterations, and the gaps of these and of equal time."""
    from nodelib.chapters.chapter4.figures import density_matching, gaps
    from nodelib.models.trained_flows import trained_flow
    from nodelib.workbook.style import save

    found = {name: records.read(f"fig4_{name}") for name in PARTS if f"fig4_{name}" in records.names()}
    paper = [run for name in ("planar", "gated") if name in found for run in found[name]["runs"]]
    kinds = [(run["flow"], run["size"]) for run in paper]
    models = {(flow, size): trained_flow(f"fig4_{flow}_{flow}_{size}") for flow, size in kinds}
    if paper:
        save(density_matching(models, SEEDS), HERE / "fig4_density_matching.png")
        save(gaps(paper, floors(), "The paper's iterations"), HERE / "fig4_gaps.png")
    if "equal" in found:
        runs = found["equal"]["runs"]
        save(gaps(runs, floors(), f"{runs[0]['seconds']:.0f} seconds each"), HERE / "fig4_equal.png")


def floors() -> dict[str, float]:
    return {target: floor_of(target) for target in POTENTIALS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, help="what to measure; without: only draw")
    parser.add_argument("--size", nargs="+", type=int, default=list(SIZES), help="K = M")
    parser.add_argument("--flow", nargs="+", choices=FLOWS, default=list(FLOWS), help="of the part at equal time")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--iterations", type=int, help="of each training, in place of the paper's")
    parser.add_argument("--seconds", type=float, help="of each training")
    parser.add_argument("--stop", type=float, default=math.inf, help="leave off after so many seconds in all")
    parser.add_argument("--resume", action="store_true", help="go on with what was left off")
    parser.add_argument("--began-on", help="the machine whose states --resume goes on with, for the record")
    parser.add_argument("--states", type=Path, default=STATES, help="where unfinished trainings are kept")
    a = parser.parse_args()
    a.begun = time.perf_counter()
    torch.set_num_threads(1)
    if a.part:
        part(a.part, a)
    else:
        draw()


if __name__ == "__main__":
    main()
