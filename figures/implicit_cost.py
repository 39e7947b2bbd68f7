"""Where does an implicit step pay in a network? dopri5 beside TR-BDF2, by stiffness and by dimension.

    python figures/implicit_cost.py           measures: some three minutes of one CPU core
    python figures/implicit_cost.py --draw    only draws what is recorded
    python figures/implicit_cost.py --smoke   the whole way in a second; leaves nothing behind

A network with one fast direction (``nodelib/experiments/stiffness.py``), a batch of 16, tolerance 1e-3, ten seeds: of
each the evaluations, Jacobians, factorizations, the error, and the least of three times. Leaves
figures/records/implicit_cost.json and implicit_cost.png.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from nodelib.experiments import records
from nodelib.experiments.stiffness import both

NAME = "implicit_cost"
DIMS, RATES, SEEDS = (2, 20, 200), (1.0, 10.0, 100.0, 1000.0, 10000.0), 10
TOL = 1e-3


def everything(dims: tuple[int, ...], rates: tuple[float, ...], seeds: int) -> dict[str, Any]:
    """All solves: what goes into the record."""
    both(2, 1.0)  # the first solve of a process pays for what torch loads
    rows = []
    for dim in dims:
        for rate in rates:
            found = [both(dim, rate, seed, TOL, times=3) for seed in range(seeds)]
            row: dict[str, Any] = {"dim": dim, "rate": rate}
            for name in ("dopri5", "implicit"):
                row[name] = {key: [getattr(one[name], key) for one in found] for key in found[0][name]._fields}
            rows.append(row)
            print(dim, rate, row["dopri5"]["nfe"], row["implicit"]["nfe"], flush=True)
    return {"tol": TOL, "samples": 16, "rows": rows}


def draw_it() -> None:
    from nodelib.chapters.chapter6.slow_figures import costs
    from nodelib.workbook.style import save

    save(costs(records.read(NAME)), Path(__file__).with_suffix(".png"))


def main(arguments: list[str] | None = None) -> dict[str, Any] | None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", action="store_true", help="only draw what is recorded")
    parser.add_argument("--smoke", action="store_true", help="two small cases, to see that it runs")
    a = parser.parse_args(arguments)
    if a.draw:
        draw_it()
        return None
    torch.set_num_threads(1)
    if a.smoke:
        return everything((2,), (1.0, 30.0), 1)
    began = time.perf_counter()
    numbers = everything(DIMS, RATES, SEEDS)
    records.write(NAME, numbers, time.perf_counter() - began, records.describe_device("cpu"))
    draw_it()
    return numbers


if __name__ == "__main__":
    main()
