"""Figure 3 of the paper, measured on a trained ODE-Net and five batches of MNIST's test images.

    python figures/fig3_nfe.py                     about ten minutes on one CPU core
    python figures/fig3_nfe.py --device cuda       the same on a GPU (VODE computes on the CPU all the same)

Each batch is saved when it is done, so that the same command goes on where it was interrupted.

It needs the network's checkpoint and record, which figures/table1_mnist.py writes, and MNIST (nodelib/data/mnist.py).
Panels a to c are measured, panel d is the log of the training. Leaves figures/records/fig3_nfe.json, fig3_nfe.png, and
fig3_half.png on what panel c does not show. What the numbers mean: nodelib/experiments/nfe.py.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from nodelib.chapters.chapter3.figures import figure3, price_of_half
from nodelib.data.mnist import mnist
from nodelib.experiments import nfe, records
from nodelib.experiments.memory import keep_freed_memory
from nodelib.models.table1 import trained
from nodelib.workbook.style import save

FORWARD = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
BACKWARD = (1e-1, 1e-2, 1e-3)
BATCHES = (1, 4, 16)
REFERENCE = 1e-7
STATES = Path(__file__).parent / "states"  # of what is not finished; not in git


def measured(net: Any, x: torch.Tensor, y: torch.Tensor, state: Path) -> dict[str, Any]:
    """The numbers of one batch, from ``state`` where it was measured before; "seconds" are those that it took."""
    if state.exists():
        return json.loads(state.read_text(encoding="utf-8"))
    started = time.perf_counter()
    found = nfe.figure3(net, x, y, FORWARD, BACKWARD, BATCHES, REFERENCE, groups=1)
    found["seconds"] = time.perf_counter() - started
    state.parent.mkdir(exist_ok=True)
    state.write_text(json.dumps(found), encoding="utf-8")
    return found


def draw(name: str) -> None:
    """Draw the pictures of the record ``name`` beside this file."""
    record = records.read(name)
    numbers, log = nfe.together(record["parts"]), records.read(record["run"])["log"]
    save(figure3(numbers, log), Path(__file__).with_name(f"{name}.png"))
    save(price_of_half(numbers), Path(__file__).with_name("fig3_half.png"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="mnist_odenet_12epochs_seed0", help="the record of the training")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--batches", type=int, default=5, help="how many, one after the other")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--draw", action="store_true", help="only draw what is recorded")
    a = parser.parse_args()
    if not a.draw:
        keep_freed_memory()
        torch.set_num_threads(1)
        net, images = trained(a.run).to(a.device), mnist("test").to(a.device)
        states = [STATES / f"fig3_{a.run}_{a.batch}_{i}.json" for i in range(a.batches)]
        batches = zip(images.x.split(a.batch), images.y.split(a.batch), states, strict=False)
        parts = [measured(net, *each) for each in batches]
        what = {"run": a.run, "images": f"{a.batches} batches of {a.batch}, the first of MNIST's test set"}
        seconds = sum(part.pop("seconds") for part in parts)
        records.write("fig3_nfe", {**what, "parts": parts}, seconds, records.describe_device(a.device))
        for state in states:
            state.unlink()
    draw("fig3_nfe")


if __name__ == "__main__":
    main()
