"""The trained ODE-Net on MNIST's 10,000 test images, with other solvers and tolerances than it was trained with.

    python figures/test_time.py                    about seven minutes on one CPU core
    python figures/test_time.py --device cuda      on a GPU

It needs the network's checkpoint, which figures/table1_mnist.py writes, and MNIST (nodelib/data/mnist.py). Leaves
figures/records/mnist_test_time.json, which the explorer of chapter 3 shows.
"""

import argparse
import time

from nodelib.chapters.chapter3.numbers import RUN, measure
from nodelib.data.mnist import mnist
from nodelib.experiments import records
from nodelib.experiments.memory import keep_freed_memory
from nodelib.models.table1 import trained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default=RUN, help="the record of the training")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    a = parser.parse_args()
    keep_freed_memory()
    images, started = mnist("test"), time.perf_counter()
    found = measure(trained(a.run).to(a.device), images.to(a.device))  # type: ignore[arg-type]
    numbers = {"run": a.run, "images": len(images.y), **found}
    path = records.write("mnist_test_time", numbers, time.perf_counter() - started, records.describe_device(a.device))
    for row in found["rows"]:
        cost = f"{row['solver']:>8} {row['nfe']:6.1f} evaluations: {row['accuracy']:.2%} right"
        print(f"{cost}, {row['changed']:.2%} changed, error {row['error']:.1e}")
    print(path.name)


if __name__ == "__main__":
    main()
