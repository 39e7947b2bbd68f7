"""Table 1 of the paper: test error on MNIST of networks that are all trained alike, on the full training set.

    python figures/table1_mnist.py                                       what has no record yet
    python figures/table1_mnist.py --model odenet --seed 1 2             some of it
    python figures/table1_mnist.py --device cuda --epochs 160 --seed 0 1 2    the paper's length, on a GPU
    python figures/table1_mnist.py --model odenet rknet --compile    these two with compiled solves
    torchrun --nproc-per-node 4 figures/table1_mnist.py --device cuda    each batch shared among four GPUs

Each epoch is saved, so that the same command goes on where it was interrupted. A finished run leaves its record in
figures/records and its parameters in figures/checkpoints. MNIST: see nodelib/data/mnist.py.
"""

import argparse
import os
import warnings
from pathlib import Path

import torch
import torch.distributed as dist

from nodelib.data.mnist import mnist
from nodelib.experiments import records
from nodelib.experiments.memory import keep_freed_memory
from nodelib.experiments.training import Settings, save_atomically, train
from nodelib.models.checkpoints import CHECKPOINTS
from nodelib.models.resnet import parameter_count
from nodelib.models.table1 import COMPILED, MODELS

STATES = Path(__file__).parent / "states"  # of unfinished runs; not in git


def name_of(model: str, s: Settings, compiled: bool = False) -> str:
    """The name of a run's record, state and checkpoint."""
    shifts = ("" if s.crop else "_nocrop") + ("_compiled" if compiled else "")
    return f"mnist_{model}_{s.epochs}epochs{shifts}_seed{s.seed}"


def run(model: str, s: Settings, device: str, compiled: bool = False) -> None:
    """Train one network, or go on with it, and write its record and checkpoint."""
    name, how = name_of(model, s, compiled), COMPILED[model] if compiled else {}
    torch.manual_seed(s.seed)
    network = MODELS[model](**how).to(device)
    state = STATES / f"{name}.safetensors"
    log = train(network, mnist("train"), mnist("test"), s, state)
    if dist.is_initialized() and dist.get_rank():
        return
    save_atomically(network.state_dict(), CHECKPOINTS / f"{name}.safetensors")
    world = dist.get_world_size() if dist.is_initialized() else 1
    numbers = {
        "model": model,
        "parameters": parameter_count(network),
        "test_error": log.test_error[-1],  # of the last epoch, not of the best: that would be chosen by the test set
        "settings": {**s._asdict(), "optimizer": "SGD, Nesterov momentum, one cycle", "processes": world, **how},
        "log": log._asdict(),
    }
    path = records.write(name, numbers, log.seconds[-1], records.describe_device(device))
    state.unlink()  # else --again would find it finished, and train nothing
    print(f"{path.name}: test error {log.test_error[-1]:.2%} with {parameter_count(network):,} parameters")


def arguments() -> argparse.Namespace:
    default = Settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", choices=MODELS, default=list(MODELS), help="by default all")
    parser.add_argument("--seed", nargs="+", type=int, default=[default.seed])
    parser.add_argument("--epochs", type=int, default=default.epochs)
    parser.add_argument("--batch", type=int, default=default.batch, help="of all processes together")
    parser.add_argument("--lr", type=float, default=default.lr, help="the largest of the schedule")
    parser.add_argument("--crop", type=int, default=default.crop, help="padding of the random crop, 0 for none")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the solves of rknet and odenet; the others are trained as without it. Compiling takes a minute "
        "or more at first; names of records have _compiled. On a CPU nothing is gained at 128 images, a sixth at 16; "
        "on a GPU nothing was measured",
    )
    parser.add_argument("--again", action="store_true", help="also what has a record")
    return parser.parse_args()


def main() -> None:
    a = arguments()
    device = a.device
    if "RANK" in os.environ:  # set by torchrun
        dist.init_process_group("nccl" if a.device == "cuda" else "gloo")
        if a.device == "cuda":
            device = f"cuda:{os.environ['LOCAL_RANK']}"
            torch.cuda.set_device(device)
    keep_freed_memory()
    # The paper's tolerance, 1e-3, is far above the adjoint of a mean over a batch, and odeint_adjoint says so at every
    # iteration. What that does to the gradient is measured in figures/fig3_nfe.py.
    warnings.filterwarnings("ignore", "dL/dy has RMS")
    for seed in a.seed:
        for model in a.model:
            s = Settings(epochs=a.epochs, batch=a.batch, lr=a.lr, crop=a.crop, seed=seed)
            compiled = a.compile and model in COMPILED
            name = name_of(model, s, compiled)
            if name in records.names() and not a.again:
                print(f"{name}: recorded already; --again trains it anew")
                continue
            run(model, s, device, compiled)
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
