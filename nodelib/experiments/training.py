"""Training a classifier of images: stochastic gradient descent on a one-cycle schedule, with checkpoints.

A run is settled by its settings and its seed: each epoch draws its order and its shifts from a generator of its own, so
that a run that was interrupted and resumed ends where an uninterrupted one does.
"""

import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from tqdm.auto import tqdm

from nodelib.data.images import Images, random_crop


class Settings(NamedTuple):
    """``batch`` is that of all processes together; ``lr`` the schedule's largest; ``crop`` the padding of the random
    shifts, 0 for none; ``logs`` the number of times in an epoch that loss and evaluations are written down."""

    epochs: int = 12
    batch: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    crop: int = 4
    seed: int = 0
    logs: int = 6


class Log(NamedTuple):
    """What a run wrote down. At each of ``epoch`` (a fraction): the mean since the last of loss and of evaluations an
    iteration, forward and backward (0 for networks without an ODE). After each epoch: test error and seconds so far."""

    epoch: list[float]
    loss: list[float]
    nfe_forward: list[float]
    nfe_backward: list[float]
    test_error: list[float]
    seconds: list[float]


def train(
    model: nn.Module, train: Images, test: Images, settings: Settings, state: Path | None = None, progress: bool = True
) -> Log:
    """Train ``model`` in place, where it is, and return the log.

    state:  a file that is rewritten after each epoch, and read at the start where it exists.

    Under torchrun each process takes its share of every batch, and gradients are averaged (torch's
    DistributedDataParallel). Raises ValueError for a batch that the processes cannot share, and for a state that was
    written under other settings.
    """
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    if settings.batch % world or settings.batch > len(train.y):
        raise ValueError(
            f"batch is {settings.batch}: give a multiple of {world} (the processes), {len(train.y)} at most"
        )
    device = next(model.parameters()).device
    train, test = train.to(device), test.to(device)
    optimizer = torch.optim.SGD(model.parameters(), settings.lr, settings.momentum, nesterov=True)
    log = Log([], [], [], [], [], [])
    if state is not None and state.exists():
        log = load_state(state, model, optimizer, settings)
    parallel = DistributedDataParallel(model) if world > 1 else model
    done, an_epoch = len(log.test_error), len(train.y) // settings.batch
    started = time.perf_counter() - (log.seconds[-1] if log.seconds else 0.0)
    bar = tqdm(
        total=settings.epochs * an_epoch, initial=done * an_epoch, disable=not progress or rank > 0, mininterval=1
    )
    for epoch in range(done, settings.epochs):
        sums, count = torch.zeros(3, dtype=torch.float64, device=device), 0
        for i, (x, y) in enumerate(batches(train, settings, epoch, rank, world)):
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * one_cycle((epoch * an_epoch + i) / (settings.epochs * an_epoch))
            sums += sums.new_tensor(step(parallel, x, y, optimizer))
            count += 1
            bar.update()
            if (i + 1) * settings.logs // an_epoch > i * settings.logs // an_epoch:
                if world > 1:
                    dist.all_reduce(sums)
                means = (sums / (count * world)).tolist()
                for name, mean in zip((log.loss, log.nfe_forward, log.nfe_backward), means, strict=True):
                    name.append(mean)
                log.epoch.append(epoch + (i + 1) / an_epoch)
                bar.set_postfix_str(f"loss {means[0]:.4f}, evaluations {means[1]:.1f} + {means[2]:.1f}")
                sums, count = torch.zeros_like(sums), 0
        log.test_error.append(error(model, test))
        log.seconds.append(time.perf_counter() - started)
        if state is not None and rank == 0:
            save_state(state, model, optimizer, settings, log)
    bar.close()
    return log


def step(model: nn.Module, x: Tensor, y: Tensor, optimizer: torch.optim.Optimizer) -> tuple[float, int, int]:
    """One update of the parameters; returns the loss before it, and the evaluations of f forward and backward."""
    optimizer.zero_grad()
    before = evaluations(model)
    loss = F.cross_entropy(model(x), y)
    between = evaluations(model)
    loss.backward()
    optimizer.step()
    return loss.item(), between - before, evaluations(model) - between


def batches(images: Images, s: Settings, epoch: int, rank: int = 0, world: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
    """The epoch's batches, in random order and shifted; of each, the part of this process. The last, incomplete one is
    left out."""
    generator = torch.Generator().manual_seed(1_000_003 * s.seed + epoch)
    order = torch.randperm(len(images.y), generator=generator)
    for chosen in order.split(s.batch)[: len(order) // s.batch]:
        chosen = chosen.to(images.y.device)
        x, y = images.x[chosen], images.y[chosen]
        if s.crop:
            x = random_crop(x, s.crop, generator)
        yield x[rank::world], y[rank::world]


def one_cycle(progress: float, rise: float = 0.3, start: float = 0.04) -> float:
    """The learning rate as a share of its largest, when ``progress`` (0 to 1) of the run is done: up along a cosine
    from ``start`` in the first ``rise``, then down to zero (Smith & Topin 2018)."""
    if progress < rise:
        return start + (1 - start) * (1 - math.cos(math.pi * progress / rise)) / 2
    return (1 + math.cos(math.pi * (progress - rise) / (1 - rise))) / 2


@torch.no_grad()
def error(model: nn.Module, images: Images, batch: int = 1000) -> float:
    """The share of ``images`` that ``model`` classifies wrongly."""
    parts = zip(images.x.split(batch), images.y.split(batch), strict=True)
    return sum(int((model(x).argmax(1) != y).sum()) for x, y in parts) / len(images.y)


def evaluations(model: nn.Module) -> int:
    """The evaluations of f so far, over all the model's ODE blocks."""
    return sum(getattr(module, "nfe", 0) for module in model.modules())


def save_state(path: Path, model: nn.Module, optimizer: Any, settings: Settings, log: Log) -> None:
    """Write what ``load_state`` needs, atomically: parameters, momenta, settings and log."""
    momenta = {f"momentum.{name}": optimizer.state[p]["momentum_buffer"] for name, p in model.named_parameters()}
    texts = {"settings": json.dumps(settings._asdict()), "log": json.dumps(log._asdict())}
    save_atomically({**model.state_dict(), **momenta}, path, texts)


def load_state(path: Path, model: nn.Module, optimizer: Any, settings: Settings) -> Log:
    """Put parameters and momenta back, and return the log. Raises ValueError when the settings were others."""
    device = str(next(model.parameters()).device)
    with safe_open(path, "pt", device=device) as file:
        texts = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    before = Settings(**json.loads(texts["settings"]))
    if before != settings:
        raise ValueError(f"{path} was written under {before}, not {settings}: give those, or delete it to begin anew")
    model.load_state_dict({name: x for name, x in tensors.items() if not name.startswith("momentum.")})
    for name, p in model.named_parameters():
        optimizer.state[p]["momentum_buffer"] = tensors[f"momentum.{name}"]
    return Log(**json.loads(texts["log"]))


def save_atomically(tensors: dict[str, Tensor], path: Path, texts: dict[str, str] | None = None) -> None:
    """Write a safetensors file under another name and rename it, so that ``path`` is never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    save_file({name: x.contiguous() for name, x in tensors.items()}, draft, texts)
    os.replace(draft, path)
