"""The small networks of chapter 3, on 8 × 8 digits: trained while one reads; ten seeds by figures/small_digits.py."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nodelib.data.digits import digits
from nodelib.data.images import Images
from nodelib.experiments import records
from nodelib.experiments.training import Log, Settings, error, train
from nodelib.models.odenet import ODENet, RKNet
from nodelib.models.resnet import MLP, ResNet

SETTINGS = Settings(epochs=5, batch=64, lr=0.3, crop=0, logs=4)
SOLVERS: dict[str, dict[str, Any]] = {
    **{f"Euler {n}": {"method": "euler", "options": {"step_size": 1 / n}} for n in (1, 2, 4, 8, 16, 32)},
    "dopri5": {"method": "dopri5", "rtol": 1e-2, "atol": 1e-2},
}
TOLERANCE = 1e-2  # of RK-Net and ODE-Net, in training
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "MLP": lambda: MLP(8, 64),
    "ResNet": lambda: ResNet(6, 16, "small"),
    "RK-Net": lambda: RKNet(16, "small", tol=TOLERANCE),
    "ODE-Net": lambda: ODENet(16, "small", tol=TOLERANCE),
    "Euler 1": lambda: ODENet(16, "small", "backprop", **SOLVERS["Euler 1"]),
    "Euler 2": lambda: ODENet(16, "small", "backprop", **SOLVERS["Euler 2"]),
}
SWAPPED = {"Euler 1": "Euler 1", "Euler 2": "Euler 2", "dopri5": "RK-Net"}  # trained with -> the network


def run(name: str, seed: int = 0) -> tuple[nn.Module, Log]:
    """Train one of ``NETWORKS`` from this seed; the network and its log."""
    torch.manual_seed(seed)
    net = NETWORKS[name]()
    return net, train(net, *digits(), SETTINGS._replace(seed=seed), progress=False)


def tested(net: Any, solver: str, images: Images) -> float:
    """The share of ``images`` that ``net`` classifies rightly with another of ``SOLVERS`` than it was trained with."""
    own, net.body.settings = net.body.settings, SOLVERS[solver]
    try:
        return 1 - error(net, images)
    finally:
        net.body.settings = own


def recorded() -> dict[str, Any]:
    """The record of figures/small_digits.py: "logs", name -> a log for each seed, and "swapped", trained with -> for
    each seed the accuracies with each of ``SOLVERS``."""
    return records.read("small_digits")
