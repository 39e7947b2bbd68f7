"""The small networks of chapter 3, on 8 × 8 digits: trained while one reads; ten seeds by figures/small_digits.py."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nodelib.data.digits import digits
from nodelib.data.images import Images
from nodelib.experiments import records
from nodelib.experiments.training import Log, Settings, error, train
from nodelib.models.odenet import ODENet, RKNet
from nodelib.models.resnet import MLP, ResNet, parameter_count
from nodelib.workbook.table import Table

SETTINGS = Settings(epochs=5, batch=64, lr=0.3, crop=0, logs=4)
SOLVERS: dict[str, dict[str, Any]] = {
    **{f"Euler {n}": {"method": "euler", "options": {"step_size": 1 / n}} for n in (1, 2, 4, 8, 16, 32)},
    "dopri5": {"method": "dopri5", "rtol": 1e-2, "atol": 1e-2},
}
TOLERANCE = 1e-2  # of RK-Net and ODE-Net, in training
MOVED = 1e-6  # by which an RK-Net's parameters were changed before a second training
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "MLP": lambda: MLP(8, 64),
    "ResNet": lambda: ResNet(6, 16, "small"),
    "RK-Net": lambda: RKNet(16, "small", tol=TOLERANCE),
    "ODE-Net": lambda: ODENet(16, "small", tol=TOLERANCE),
    "Euler 1": lambda: ODENet(16, "small", "backprop", **SOLVERS["Euler 1"]),
    "Euler 2": lambda: ODENet(16, "small", "backprop", **SOLVERS["Euler 2"]),
}
SWAPPED = {"Euler 1": "Euler 1", "Euler 2": "Euler 2", "dopri5": "RK-Net"}  # trained with -> the network
STEPS = (1, 2, 4, 8, 16, 32, 64)  # of Euler's method, ever finer
FINE: dict[str, Any] = {"method": "dopri5", "rtol": 1e-5, "atol": 1e-5}


@cache
def run(name: str, seed: int = 0, moved: float = 0.0) -> tuple[nn.Module, Log]:
    """Train one of ``NETWORKS`` from this seed, once; the network and its log.

    moved:  each parameter begins by this much larger or smaller, relative to itself, times a standard normal number.
    """
    torch.manual_seed(seed)
    net = NETWORKS[name]()
    if moved:
        with torch.no_grad():
            for p in net.parameters():
                p.mul_(1 + moved * torch.randn_like(p))
    return net, train(net, *digits(), SETTINGS._replace(seed=seed), progress=False)


@contextmanager
def solved_by(net: Any, settings: dict[str, Any]) -> Iterator[None]:
    """Inside, ``net`` is solved with these settings instead of those it was trained with."""
    own, net.body.settings = net.body.settings, settings
    try:
        yield
    finally:
        net.body.settings = own


def tested(net: Any, solver: str, images: Images) -> float:
    """The share of ``images`` that ``net`` classifies rightly with another of ``SOLVERS`` than it was trained with."""
    with solved_by(net, SOLVERS[solver]):
        return 1 - error(net, images)


@torch.no_grad()
def losses(net: Any, images: Images) -> Tensor:
    """The loss of each image, (images,): of their mean a training is the descent."""
    return F.cross_entropy(net(images.x), images.y, reduction="none")


@torch.no_grad()
def refined(block: Callable[..., Tensor], net: Any, n: int, images: Images) -> Tensor:
    """``losses``, where ``block(field, z, n)`` takes z from 0 to 1 in n steps: exercise 3.3."""
    stem, body, head = net
    return F.cross_entropy(head(block(body.field, stem(images.x), n)), images.y, reduction="none")


def fit(net: Any, images: Images) -> dict[str, Any]:
    """The mean loss of ``images`` with the solver of the training, "own"; with Euler's method, "euler", one for each of
    ``STEPS``; and with a solver so fine that the equation itself is solved, "fine"."""

    def mean(settings: dict[str, Any]) -> float:
        with solved_by(net, settings):
            return float(losses(net, images).mean())

    euler = [mean({"method": "euler", "options": {"step_size": 1 / n}}) for n in STEPS]
    return {"own": mean(net.body.settings), "euler": euler, "fine": mean(FINE)}


def last_errors(record: dict[str, Any]) -> dict[str, np.ndarray]:
    """The test error after the last epoch in per cent, name -> one a seed."""
    return {name: 100 * np.array([log["test_error"][-1] for log in logs]) for name, logs in record["logs"].items()}


def difference(record: dict[str, Any], first: str, second: str) -> tuple[float, float, int]:
    """How much more per cent ``first`` gets wrong than ``second``, seed by seed: the mean, its standard error, and in
    how many seeds it is more."""
    found = last_errors(record)
    gaps = found[first] - found[second]
    return float(gaps.mean()), float(gaps.std(ddof=1) / np.sqrt(len(gaps))), int((gaps > 0).sum())


def results(record: dict[str, Any], logs: dict[str, Log]) -> Table:
    """The four networks: parameters, test errors of the recorded seeds, and evaluations of this run."""
    rows = []
    for name, log in logs.items():
        wrong = last_errors(record)[name]
        rows.append((
            name,
            f"{parameter_count(NETWORKS[name]()):,}",
            f"{wrong.mean():.1f} % ({wrong.min():.1f} to {wrong.max():.1f})",
            f"{log.nfe_forward[-1]:.0f} + {log.nfe_backward[-1]:.0f}" if log.nfe_forward[-1] else "–",
        ))  # fmt: skip
    header = ("", "parameters", "test error, mean and range of ten seeds", "evaluations, forward + back")
    return Table(header, rows)


def recorded() -> dict[str, Any]:
    """The record of figures/small_digits.py: "logs", name -> a log for each seed; "swapped", trained with -> for each
    seed the accuracies with each of ``SOLVERS``; and "fits", trained with -> for each seed ``fit`` of the training
    digits."""
    return records.read("small_digits")


def moved() -> dict[str, Any]:
    """The record of figures/small_digits.py --moved: "logs", a log for each seed of RK-Nets that began ``MOVED`` away
    from those of ``recorded``."""
    return records.read("small_digits_moved")
