"""Do evaluations have to grow in training? With and without penalties on the paths, ten seeds each.

    python figures/nfe_growth.py            trains and measures: some fifteen minutes of one CPU core
    python figures/nfe_growth.py --resume   goes on with what was interrupted
    python figures/nfe_growth.py --draw     only draws what is recorded
    python figures/nfe_growth.py --smoke    the whole way in seconds; leaves nothing behind

Two rings, a dimension more than the plane's, time as an input; 200 iterations, in which RK4 with 8 steps trains and
dopri5 at 1e-6 counts every ten. Penalties on the first, second and third derivative of the path, each with several
weights. And x + x³ with large initial weights, where a growth was reported that is not found. Leaves
figures/records/nfe_growth.json and nfe_growth.png.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from nodelib.experiments import records
from nodelib.experiments.growth import Penalty, cubic, growth, ring_models

NAME = "nfe_growth"
PENALTIES = [
    Penalty(1, 0.0),
    *(Penalty(1, weight) for weight in (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)),
    *(Penalty(2, weight) for weight in (0.00003, 0.0003, 0.003, 0.03)),
    *(Penalty(3, weight) for weight in (0.000003, 0.0001, 0.003)),
]
CUBIC = [(scale, weight) for scale in (1.0, 4.0) for weight in (0.0, 0.01)]
HERE = Path(__file__).parent
STATES = HERE / "states"  # of what is not finished; not in git


def kept(file: Path, measure: Any) -> dict[str, Any]:
    """What ``measure()`` gives, or what it gave before and the file has."""
    if not file.exists():
        began = time.perf_counter()
        row = measure()
        file.write_text(json.dumps(row | {"seconds": time.perf_counter() - began}), encoding="utf-8")
        print(file.stem, f"{row['nfe'][-1]}", flush=True)
    return json.loads(file.read_text(encoding="utf-8"))


def rings(penalty: Penalty, seeds: int, iterations: int) -> dict[str, Any]:
    """One penalty on the two rings."""
    found = growth(*ring_models(range(seeds)), penalty, iterations, every=min(10, iterations))
    return {"order": penalty.order, "weight": penalty.weight, **found._asdict(), "loss": found.loss}


def cubes(scale: float, weight: float, seeds: int, iterations: int) -> dict[str, Any]:
    """x + x³, with so large initial weights and so much of the kinetic energy."""
    found = growth(*cubic(range(seeds), scale), Penalty(1, weight), iterations, every=max(iterations // 10, 1))
    return {"scale": scale, "weight": weight, **found._asdict(), "loss": found.loss}


def everything(states: Path, penalties: list[Penalty], seeds: int, iterations: int) -> dict[str, Any]:
    """All trainings: what goes into the record."""
    rows = [
        kept(states / f"{NAME}_{p.order}_{p.weight:g}.json", lambda p=p: rings(p, seeds, iterations)) for p in penalties
    ]
    others = [
        kept(states / f"{NAME}_cubic_{s:g}_{w:g}.json", lambda s=s, w=w: cubes(s, w, seeds, 2 * iterations))
        for s, w in CUBIC
    ]
    return {"seeds": seeds, "runs": rows, "cubic": others}


def draw_it() -> None:
    from nodelib.chapters.chapter6.slow_figures import evaluations
    from nodelib.workbook.style import save

    save(evaluations(records.read(NAME)), HERE / f"{NAME}.png")


def main(arguments: list[str] | None = None) -> dict[str, Any] | None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted")
    parser.add_argument("--draw", action="store_true", help="only draw what is recorded")
    parser.add_argument("--smoke", action="store_true", help="two seeds and few iterations, to see that it runs")
    a = parser.parse_args(arguments)
    if a.draw:
        draw_it()
        return None
    torch.set_num_threads(1)
    if a.smoke:
        with tempfile.TemporaryDirectory() as folder:
            return everything(Path(folder), [Penalty(), Penalty(1, 0.01), Penalty(3, 0.001)], 2, 3)
    STATES.mkdir(exist_ok=True)
    if not a.resume:
        for file in STATES.glob(f"{NAME}_*.json"):
            file.unlink()
    numbers = everything(STATES, PENALTIES, 10, 200)
    seconds = sum(row["seconds"] for row in (*numbers["runs"], *numbers["cubic"]))
    records.write(NAME, numbers, seconds, records.describe_device("cpu"))
    draw_it()
    return numbers


if __name__ == "__main__":
    main()
