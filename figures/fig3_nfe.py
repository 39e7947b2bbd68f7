"""Figure 3 of the paper, measured on a trained ODE-Net and one batch of MNIST's test images.

    python figures/fig3_nfe.py                     about four minutes on one CPU core
    python figures/fig3_nfe.py --device cuda       the same on a GPU (VODE computes on the CPU all the same)

It needs the network's checkpoint and record, which figures/table1_mnist.py writes, and MNIST (nodelib/data/mnist.py).
Panels a to c are measured, panel d is the log of the training. Leaves figures/records/fig3_nfe.json, fig3_nfe.png, and
fig3_half.png on what panel c does not show. What the numbers mean: nodelib/experiments/nfe.py.
"""

import argparse
import time
from pathlib import Path

from nodelib.chapters.chapter3.figures import figure3, price_of_half
from nodelib.data.mnist import mnist
from nodelib.experiments import nfe, records
from nodelib.experiments.memory import keep_freed_memory
from nodelib.models.table1 import trained
from nodelib.workbook.style import save

FORWARD = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
BACKWARD = (1e-1, 1e-2, 1e-3)
BATCHES = (1, 4, 16)


def draw(name: str) -> None:
    """Draw the pictures of the record ``name`` beside this file."""
    numbers = records.read(name)
    log = records.read(numbers["run"])["log"]
    save(figure3(numbers, log), Path(__file__).with_name(f"{name}.png"))
    save(price_of_half(numbers), Path(__file__).with_name("fig3_half.png"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="mnist_odenet_12epochs_seed0", help="the record of the training")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--draw", action="store_true", help="only draw what is recorded")
    a = parser.parse_args()
    if not a.draw:
        keep_freed_memory()
        net, images = trained(a.run).to(a.device), mnist("test").to(a.device)
        started = time.perf_counter()
        x, y = images.x[: a.batch], images.y[: a.batch]
        numbers = nfe.figure3(net, x, y, FORWARD, BACKWARD, BATCHES)  # type: ignore[arg-type]
        numbers = {"run": a.run, "images": f"the first {a.batch} of MNIST's test set", **numbers}
        records.write("fig3_nfe", numbers, time.perf_counter() - started, records.describe_device(a.device))
    draw("fig3_nfe")


if __name__ == "__main__":
    main()
