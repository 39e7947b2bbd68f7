"""Residual networks of 4 to 64 layers, trained on two rings, beside the ODE whose weights go through theirs.

    python figures/depth_limit.py            a minute on one CPU core
    python figures/depth_limit.py --smoke    two seeds, two iterations, to see that it runs; leaves nothing behind

Layers begin with weights of their own, or all with the same; in training all are free. Ten seeds. Leaves
figures/records/depth_limit.json.
"""

import argparse
import time
from typing import Any

import torch

from nodelib.experiments import depth_limit, records


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=200, help="of each training")
    parser.add_argument("--smoke", action="store_true", help="two seeds and iterations, to see that it runs")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if a.smoke:
        return depth_limit.measure(2, 2, (4, 8))
    started = time.perf_counter()
    numbers = {"seeds": a.seeds, "iterations": a.iterations, "depths": list(depth_limit.DEPTHS)}
    numbers |= depth_limit.measure(a.seeds, a.iterations)
    records.write(depth_limit.NAME, numbers, time.perf_counter() - started, records.describe_device("cpu"))
    return numbers


if __name__ == "__main__":
    main()
