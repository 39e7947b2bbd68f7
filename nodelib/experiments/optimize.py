"""A loss minimised for so many iterations or seconds: resumable, many models at a time.

An optimizer holds the model, its ``loss`` and a buffer of batches: ``Adam`` here, ``FusedRMSprop`` in ``fused.py``.
``train`` fills the buffer from a seeded generator, runs, logs and saves, until iterations or seconds are done. The
losses and batches of flows are in ``flows.py``.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from nodelib.experiments.training import save_atomically

Loss = Callable[[Any, Tensor], Tensor]  # (model, one batch) -> the loss of each model, (models,) or ()
Draw = Callable[[Tensor, torch.Generator], None]  # fills a buffer of batches, (chunk, *shape of one batch)


class Settings(NamedTuple):
    """How long and how fast: ``iterations`` or ``seconds``, whichever ends first, of which one is given; ``lr`` the
    largest learning rate; ``decay`` the share of the run after which it falls to zero along a cosine; ``logs`` how
    often the log is written. Seconds are the processor's, whatever else it is busy with; on a GPU the clock's."""

    iterations: int | None = None
    seconds: float | None = None
    lr: float = 1e-2
    decay: float = 0.5
    seed: int = 0
    logs: int = 200


class Log(NamedTuple):
    """What a run wrote down, some ``logs`` times: iterations and seconds so far, the mean loss of each model since the
    last time, and the evaluations of f an iteration (0 where there is no f)."""

    iteration: list[int]
    seconds: list[float]
    loss: list[list[float]]
    nfe: list[float]


class Optimizer(Protocol):
    """What ``train`` needs: ``run`` takes an iteration on each batch in the buffer, at the rate ``lr``."""

    batch: Tensor
    lr: Tensor

    def prepare(self) -> None: ...
    def run(self) -> Tensor: ...
    def tensors(self) -> dict[str, Tensor]: ...
    def evaluations(self) -> int: ...


def train(
    optimizer: Optimizer,
    draw: Draw,
    settings: Settings,
    state: Path | None = None,
    every: float = 30.0,
    stop: float = math.inf,
    show: Callable[[str], None] = lambda line: None,
) -> Log:
    """Train the optimizer's model in place, and return the log.

    state:  a file that is written every ``every`` seconds and at the end, and read at the start where it exists.
    stop:   seconds by the clock after which to leave off, with the state saved; the schedule is that of the whole.
    show:   gets a line of progress each time the log is written.

    Raises ValueError for settings without an end, for a loss that is nan, and for a state of other settings.
    """
    _check(settings)
    entered, device = time.perf_counter(), optimizer.batch.device
    generator = torch.Generator(device).manual_seed(settings.seed)
    log = Log([], [], [], [])
    optimizer.prepare()
    tensors = optimizer.tensors()
    if state is not None and state.exists():
        log = load_state(state, tensors, generator, settings)
    done, chunk = (log.iteration[-1] if log.iteration else 0), len(optimizer.batch)
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    begun, saved = clock(), time.perf_counter()
    before = log.seconds[-1] if log.seconds else 0.0
    sums, count, evaluations = torch.zeros((), device=device), 0, optimizer.evaluations()
    while (share := progress(settings, done, before + clock() - begun)) < 1:
        optimizer.lr.fill_(settings.lr * cosine(share, settings.decay))
        draw(optimizer.batch, generator)
        sums, count, done = sums + optimizer.run().sum(0), count + 1, done + chunk
        seconds = before + clock() - begun
        share = progress(settings, done, seconds)
        leave = time.perf_counter() - entered > stop
        if share >= 1 or leave or int(share * settings.logs) > len(log.iteration):
            loss = (sums / (count * chunk)).reshape(-1).tolist()
            if not all(map(math.isfinite, loss)):
                raise ValueError(f"the loss is {loss} around iteration {done}: take a smaller lr than {settings.lr}")
            nfe = (optimizer.evaluations() - evaluations) / (count * chunk)
            for row, value in zip(log, (done, before + clock() - begun, loss, nfe), strict=True):
                row.append(value)  # type: ignore[arg-type]
            show(
                f"{share:4.0%}  {done:7,} iterations  {log.seconds[-1]:6.1f} s  loss {np.mean(loss):.4f}  nfe {nfe:.0f}"
            )
            sums, count, evaluations = torch.zeros_like(sums), 0, optimizer.evaluations()
            if state is not None and (share >= 1 or leave or time.perf_counter() - saved > every):
                save_state(state, tensors, generator, settings, log)
                saved = time.perf_counter()
        if leave:
            break
    return log


def progress(settings: Settings, iterations: int, seconds: float) -> float:
    """The share of a run that is done."""
    shares = ((iterations, settings.iterations), (seconds, settings.seconds))
    return max(part / whole for part, whole in shares if whole is not None)


def cosine(share: float, decay: float) -> float:
    """The learning rate's share of its largest: 1 until ``decay`` of the run is done, then a cosine down to 0."""
    return 1.0 if share <= decay else 0.5 * (1 + math.cos(math.pi * (share - decay) / (1 - decay)))


def finished(log: Log, settings: Settings) -> bool:
    """Has the run come to its end?"""
    return bool(log.iteration) and progress(settings, log.iteration[-1], log.seconds[-1]) >= 1


def save_state(
    path: Path, tensors: dict[str, Tensor], generator: torch.Generator, settings: Settings, log: Log
) -> None:
    """Write what ``load_state`` needs, atomically."""
    texts = {"settings": json.dumps(settings._asdict()), "log": json.dumps(log._asdict())}
    save_atomically({**tensors, "generator": generator.get_state()}, path, texts)


def load_state(path: Path, tensors: dict[str, Tensor], generator: torch.Generator, settings: Settings) -> Log:
    """Put tensors and generator back, and return the log; begun on another kind of device, a run goes on with other
    draws. Raises ValueError when the settings were others."""
    with safe_open(path, "pt") as file:
        texts = file.metadata()
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    earlier = Settings(**json.loads(texts["settings"]))
    if earlier != settings:
        raise ValueError(f"{path} was written under {earlier}, not {settings}: give those, or delete it to begin anew")
    drawn = found.pop("generator")
    if drawn.shape == generator.get_state().shape:
        generator.set_state(drawn)
    else:  # begun on another kind of device, whose numbers this one cannot go on with
        generator.manual_seed(settings.seed + 1)
    for name, x in tensors.items():
        x.copy_(found[name])
    return Log(**json.loads(texts["log"]))


def _check(settings: Settings) -> None:
    if settings.iterations is None and settings.seconds is None:
        raise ValueError("settings have neither iterations nor seconds: give one, or the run never ends")
    for name in ("iterations", "seconds", "lr"):
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be positive, not {value}")
    if not 0 <= settings.decay < 1:
        raise ValueError(f"decay must be in [0, 1), not {settings.decay}: the share of the run after which lr falls")


class Adam:
    """torch's Adam on ``loss`` of ``model``, with each model's gradient clipped to ``clip``; ``chunk`` iterations a
    run, on batches of ``shape``."""

    def __init__(
        self, model: nn.Module, loss: Loss, shape: tuple[int, ...], chunk: int = 10, clip: float | None = None
    ):
        self.model, self.loss, self.clip = model, loss, clip
        self.params = dict(model.named_parameters())
        first = next(iter(self.params.values()))
        self.batch = torch.zeros(chunk, *shape, device=first.device, dtype=first.dtype)
        self.lr = torch.zeros((), dtype=torch.float64)
        self.adam = torch.optim.Adam(self.params.values(), lr=0.0)
        self.fields = [module for module in model.modules() if hasattr(module, "nfe")]

    def prepare(self) -> None:
        """Make Adam's state, which it would make at its first step."""
        for p in self.params.values():
            if not self.adam.state[p]:
                self.adam.state[p] = {"step": torch.tensor(0.0)} | {
                    name: torch.zeros_like(p) for name in ("exp_avg", "exp_avg_sq")
                }

    def run(self) -> Tensor:
        self.adam.param_groups[0]["lr"] = float(self.lr)
        losses = []
        for batch in self.batch:
            self.adam.zero_grad()
            each = self.loss(self.model, batch)
            each.sum().backward()
            if self.clip is not None:
                clip_each(list(self.params.values()), self.clip, each.ndim > 0)
            self.adam.step()
            losses.append(each.detach())
        return torch.stack(losses)

    def tensors(self) -> dict[str, Tensor]:
        """All that training changes, by name."""
        states = ((f"{key}.{name}", x) for name, p in self.params.items() for key, x in self.adam.state[p].items())
        return {name: p.detach() for name, p in self.params.items()} | dict(states)

    def evaluations(self) -> int:
        return sum(int(field.nfe) for field in self.fields)  # type: ignore[arg-type]


def clip_each(params: Sequence[Tensor], limit: float, models: bool) -> None:
    """Scale each model's gradient, over all ``params``, down to the norm ``limit`` where it is larger. ``models``: the
    first axis of every parameter is that of the models."""
    grads = [p.grad for p in params if p.grad is not None]
    flat = [g.reshape(len(g), -1) if models else g.reshape(1, -1) for g in grads]
    norm = torch.stack([g.square().sum(1) for g in flat]).sum(0).sqrt()
    factor = (limit / norm.clamp_min(limit))[:, None]
    for g in flat:
        g.mul_(factor)
