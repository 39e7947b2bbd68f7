"""Trained models solved with 4 to 64 evaluations by Euler, midpoint, RK4 and dopri5: how far from the solution?

    python figures/rk4_enough.py            a minute on one CPU core
    python figures/rk4_enough.py --smoke    two budgets of one model, to see that it runs; leaves nothing behind

Two rings in the plane and with a dimension more, chapter 4's flows (ten seeds each), chapter 5's latent ODEs (nine).
Leaves figures/records/rk4_enough.json.
"""

import argparse
import time
from itertools import islice
from typing import Any

import torch

from nodelib.experiments import records
from nodelib.experiments.enough import BUDGETS, METHODS, MODELS, NAME, together, within


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="two budgets of one model, to see that it runs")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if a.smoke:
        return {name: within(next(islice(cases(), 1)), (4, 16))._asdict() for name, cases in MODELS.items()}
    started, models = time.perf_counter(), {}
    for name, cases in MODELS.items():
        found = together(cases())
        models[name] = {"apart": _listed(found.apart), "nfe": _listed(found.nfe), "right": _listed(found.right)}
        print(name, flush=True)
    numbers = {"budgets": list(BUDGETS), "methods": list(METHODS), "models": models}
    records.write(NAME, numbers, time.perf_counter() - started, records.describe_device("cpu"))
    return numbers


def _listed(x: Any) -> Any:
    """Nested lists, with None for nan, which is no JSON."""
    return [_listed(part) for part in x] if x.ndim else (float(x) if x == x else None)


if __name__ == "__main__":
    main()
