"""Small neural ODEs with 0, 1, 2 and 5 dimensions more, with time or start as inputs, on three sets of data, ten seeds.

    python figures/augmentation.py            some five minutes on one CPU core
    python figures/augmentation.py --smoke    two seeds, two iterations, to see that it runs; leaves nothing behind

Leaves figures/records/augmentation.json, loss, evaluations and accuracy of each seed, and the parameters in
figures/checkpoints/augmentation.safetensors. Chapter 6's explorer and tables read them.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from nodelib.experiments import augment, records

CHECKPOINTS = Path(__file__).parent / "checkpoints"


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=300, help="of each training")
    parser.add_argument("--smoke", action="store_true", help="two seeds and iterations, to see that it runs")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if a.smoke:
        return augment.measure(augment.train_all(2, 2), 2)
    started = time.perf_counter()
    state = augment.train_all(a.seeds, a.iterations)
    numbers = {"seeds": a.seeds, "iterations": a.iterations, **augment.measure(state, a.seeds)}
    save_file(state, CHECKPOINTS / f"{augment.NAME}.safetensors")
    records.write(augment.NAME, numbers, time.perf_counter() - started, records.describe_device("cpu"))
    return numbers


if __name__ == "__main__":
    main()
