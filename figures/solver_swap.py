"""Small neural ODEs on two rings and two circles, trained by five solvers and solved by seven, ten seeds each.

    python figures/solver_swap.py            some four minutes on one CPU core
    python figures/solver_swap.py --smoke    two seeds, two iterations, to see that it runs; leaves nothing behind

Leaves figures/records/solver_swap.json, the accuracy and loss of each seed under each solver, and the parameters in
figures/checkpoints/solver_swap.safetensors. Chapter 6's explorer and tables read them.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from nodelib.experiments import records, swap

CHECKPOINTS = Path(__file__).parent / "checkpoints"


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=500, help="of each training")
    parser.add_argument("--smoke", action="store_true", help="two seeds and iterations, to see that it runs")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if a.smoke:
        return swap.measure(swap.train_all(2, 2), 2)
    started = time.perf_counter()
    state = swap.train_all(a.seeds, a.iterations)
    numbers = {"seeds": a.seeds, "iterations": a.iterations, "tol": swap.TOL, "ends": swap.ENDS}
    numbers |= swap.measure(state, a.seeds)
    save_file(state, CHECKPOINTS / f"{swap.NAME}.safetensors")
    records.write(swap.NAME, numbers, time.perf_counter() - started, records.describe_device("cpu"))
    return numbers


if __name__ == "__main__":
    main()
