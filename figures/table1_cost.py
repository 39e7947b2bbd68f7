"""The columns "Memory" and "Time" of Table 1, measured: for each network, and as depth and steps grow.

    python figures/table1_cost.py                  about two minutes on one CPU core
    python figures/table1_cost.py --device cuda    seconds

It needs the ODE-Net's checkpoint, which figures/table1_mnist.py writes, and MNIST (nodelib/data/mnist.py). RK-Net is
the same trained network with another gradient; the cost of the others does not depend on their weights, which are
random. Leaves figures/records/table1_cost.json and table1_cost.png. What the numbers mean:
nodelib/experiments/costs.py.
"""

import argparse
import time
from pathlib import Path

import torch

from nodelib.chapters.chapter3.figures import growth
from nodelib.data.mnist import mnist
from nodelib.experiments import costs, records
from nodelib.experiments.memory import keep_freed_memory
from nodelib.models.table1 import MODELS, trained
from nodelib.workbook.style import save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="mnist_odenet_12epochs_seed0", help="the record of the ODE-Net's training")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3, help="of each timing; the shortest counts")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    a = parser.parse_args()
    keep_freed_memory()
    odenet, images = trained(a.run), mnist("train").to(a.device)
    x, y = images.x[: a.batch], images.y[: a.batch]
    started = time.perf_counter()
    models = {}
    for name, make in MODELS.items():
        model = make()
        if name in ("rknet", "odenet"):
            model.load_state_dict(odenet.state_dict())
        models[name] = costs.iteration_cost(model.to(a.device), x, y, a.repeats)
    with torch.no_grad():
        z = odenet.to(a.device).stem(x)  # type: ignore[operator]
    numbers = {"run": a.run, "batch": a.batch, "models": models, "growth": costs.growth(z, repeats=a.repeats)}
    records.write("table1_cost", numbers, time.perf_counter() - started, records.describe_device(a.device))
    save(growth(numbers["growth"]), Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()
