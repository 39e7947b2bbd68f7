"""What low precision in f costs an adaptive solver: evaluations and error, by precision and tolerance.

    python figures/precision.py           measures: some minutes of one CPU core
    python figures/precision.py --draw    only draws what is recorded
    python figures/precision.py --smoke   the whole way in a second; leaves nothing behind

Random networks and convolutions of gain 2 (``nodelib/experiments/precision.py``), solved by dopri5 from 0 to 1; ten
seeds, the first three for convolutions. Precision is emulated. Leaves figures/records/precision.json and precision.png.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from nodelib.experiments import records
from nodelib.experiments.precision import PRECISIONS, in_precision

NAME = "precision"
TOLS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
SEEDS = {"mlp": 10, "convolution": 3}


def everything(names: list[str], tols: tuple[float, ...], seeds: dict[str, int]) -> dict[str, Any]:
    """All solves: what goes into the record."""
    rows = []
    for kind, count in seeds.items():
        for name in names:
            for tol in tols:
                found = [in_precision(name, tol, seed, kind) for seed in range(count)]
                rows.append(
                    {
                        "kind": kind,
                        "precision": name,
                        "tol": tol,
                        "nfe": [one.nfe for one in found],
                        "error": [one.error for one in found],
                    }
                )
                print(kind, name, tol, rows[-1]["nfe"], flush=True)
    return {"tols": list(tols), "rows": rows}


def draw_it() -> None:
    from nodelib.chapters.chapter6.precision_figures import precision
    from nodelib.workbook.style import save

    save(precision(records.read(NAME)), Path(__file__).with_suffix(".png"))


def main(arguments: list[str] | None = None) -> dict[str, Any] | None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", action="store_true", help="only draw what is recorded")
    parser.add_argument("--smoke", action="store_true", help="two precisions, one seed, to see that it runs")
    a = parser.parse_args(arguments)
    if a.draw:
        draw_it()
        return None
    torch.set_num_threads(1)
    if a.smoke:
        return everything(["double", "TF32 products"], (1e-3, 1e-4), {"mlp": 1, "convolution": 1})
    began = time.perf_counter()
    numbers = everything(list(PRECISIONS), TOLS, SEEDS)
    records.write(NAME, numbers, time.perf_counter() - began, records.describe_device("cpu"))
    draw_it()
    return numbers


if __name__ == "__main__":
    main()
