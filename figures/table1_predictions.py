"""What the trained networks of Table 1 say of each of MNIST's 10,000 test images: rows can be compared in pairs.

    python figures/table1_predictions.py           a few minutes on one CPU core

It needs checkpoints, which figures/table1_mnist.py writes, and MNIST (nodelib/data/mnist.py), and takes every
checkpoint of twelve epochs that there is. Each network is saved when it is done, so that the same command goes on where
it was interrupted. Leaves figures/records/table1_predictions.json: "labels" and, for each run in "said", its classes, a
digit an image.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from nodelib.data.images import Images
from nodelib.data.mnist import mnist
from nodelib.experiments import records
from nodelib.models.checkpoints import CHECKPOINTS
from nodelib.models.table1 import trained

STATE = Path(__file__).parent / "states" / "table1_predictions.json"  # not in git


@torch.no_grad()
def classes(run: str, images: Images, device: str, batch: int = 500) -> str:
    """The class of each image as one digit."""
    net = trained(run).to(device)
    found = torch.cat([net(x.to(device)).argmax(1) for x in images.x.split(batch)])
    return "".join(map(str, found.tolist()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    a = parser.parse_args()
    torch.set_num_threads(1)
    images = mnist("test")
    labels = "".join(map(str, images.y.tolist()))
    done = json.loads(STATE.read_text(encoding="utf-8")) if STATE.exists() else {"said": {}, "seconds": 0.0}
    for run in sorted(path.stem for path in CHECKPOINTS.glob("mnist_*_12epochs_seed*.safetensors")):
        if run not in done["said"]:
            started = time.perf_counter()
            done["said"][run] = classes(run, images, a.device)
            done["seconds"] += time.perf_counter() - started
            STATE.parent.mkdir(exist_ok=True)
            STATE.write_text(json.dumps(done), encoding="utf-8")
        wrong = sum(said != label for said, label in zip(done["said"][run], labels, strict=True))
        print(
            f"{run}: {wrong} of {len(labels):,} wrong, in its record {records.read(run)['test_error']:.2%}", flush=True
        )
    device = records.describe_device(a.device)
    records.write("table1_predictions", {"labels": labels, "said": done["said"]}, done["seconds"], device)
    STATE.unlink()


if __name__ == "__main__":
    main()
