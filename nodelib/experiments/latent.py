"""Latent ODEs and recurrent networks trained on spirals: many data seeds, initialisations and rates in one module.

Model number m learns from set ``which[m]`` at the rate ``rates[m]``, with a gradient clipped alone, so that it is as if
it were alone. ``train`` of ``optimize.py`` runs, logs, saves and resumes.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nodelib.data.spirals import SpiralSet
from nodelib.experiments.forecasts import chosen, series_of
from nodelib.experiments.optimize import Adam, Log, Settings, clip_each, train
from nodelib.experiments.shooting import shooting_loss
from nodelib.models.latent import LatentODE
from nodelib.models.recurrent import KINDS, Forecaster
from nodelib.models.series import Series, up_to

MODELS = ("latent ODE", "latent ODE, ODE-RNN encoder", *KINDS)


class Recipe(NamedTuple):
    """How a model is trained: ``growth`` is the share of the run in which the horizon grows from ``begin`` to all of
    the window, 0 for none; ``decay`` the share after which the rate falls; ``clip`` a gradient's largest norm;
    ``sigma`` that of the likelihood, in standard deviations of the noise."""

    iterations: int
    batch: int = 50
    growth: float = 0.0
    begin: float = 0.1
    decay: float = 0.5
    clip: float = 10.0
    sigma: float = 2.0
    encoder: str = "rnn-dt"
    kl: float = 1.0
    annealed: float = 0.0
    segments: int = 1


LATENT, RECURRENT = Recipe(2000, growth=0.5), Recipe(2000)
OVERFLOWN = 1e9  # what is logged for a loss that is no finite number: ``step`` leaves that model as it is


def make(name: str, sets: Sequence[SpiralSet], models: int | None, recipe: Recipe) -> Any:
    """The model of a name in ``MODELS`` for these sets. Raises ValueError for another name."""
    if name not in MODELS:
        raise ValueError(f"name must be one of {', '.join(MODELS)}, not {name!r}")
    gap = 1 / sets[0].train.x.shape[1]  # the mean, in a window of length 1
    if name in KINDS:
        return Forecaster(name, models=models, gap=gap)
    encoder = "ode-rnn" if "ODE-RNN" in name else recipe.encoder
    return LatentODE(models=models, encoder=encoder, gap=gap, sigma=recipe.sigma * sets[0].noise)


class SpiralLoss:
    """The loss of each model on one batch, (models, batch, 1 + latent): numbers of rows, and the noise of q's draws.

    ``horizon`` is the time until which the models see and are seen, ``kl`` the weight of the KL term, ``segments`` the
    number of those of multiple shooting.
    """

    def __init__(self, series: Series, which: Tensor, segments: int = 1):
        self.series, self.which, self.segments = series, which, segments
        self.horizon, self.kl = 1.0, 1.0

    def __call__(self, model: Any, batch: Tensor) -> Tensor:
        part, noise = chosen(self.series, (self.which[:, None], batch[..., 0].long())), batch[..., 1:]
        if self.horizon < 1:
            part = up_to(part, self.horizon)
        if self.segments > 1:
            return shooting_loss(model, part, noise, self.segments)
        return model.loss(part, noise) if self.kl == 1 else model.loss(part, noise, self.kl)


def rows_and_noise(n: int) -> Callable[[Tensor, torch.Generator], None]:
    """Batches for ``SpiralLoss``: rows of n with replacement, into a buffer (chunk, models, batch, 1 + latent)."""

    def draw(buffer: Tensor, generator: torch.Generator) -> None:
        buffer.normal_(generator=generator)
        buffer[..., 0] = torch.randint(n, buffer.shape[:-1], generator=generator)

    return draw


class RatedAdam(Adam):
    """Adam with a rate for each model, and with a horizon that grows as ``recipe`` says."""

    def __init__(self, model: nn.Module, loss: SpiralLoss, rates: Tensor, recipe: Recipe, shape: tuple[int, ...]):
        super().__init__(model, loss, shape, clip=recipe.clip)
        self.rates, self.recipe, self.done = rates.double(), recipe, torch.zeros((), dtype=torch.float64)
        self.spirals = loss

    def run(self) -> Tensor:
        losses = []
        for batch in self.batch:
            share = float(self.done) / self.recipe.iterations
            self.spirals.horizon, self.spirals.kl = horizon(share, self.recipe), kl_weight(share, self.recipe)
            self.adam.zero_grad()
            each = self.loss(self.model, batch)
            each.sum().backward()
            self.step()
            losses.append(each.detach().nan_to_num(OVERFLOWN, OVERFLOWN))
        return torch.stack(losses)

    @torch.no_grad()
    def step(self) -> None:
        params = list(self.params.values())
        # At a large rate one model's gradient may overflow. It sits that iteration out, and the others go on.
        sound = torch.stack([p.grad.flatten(1).isfinite().all(1) for p in params]).all(0)  # type: ignore[union-attr]
        if not bool(sound.all()):
            for p in params:
                p.grad[~sound] = 0  # type: ignore[index]
        clip_each(params, self.recipe.clip, models=True)
        self.done += 1
        first, second = (1 - beta ** float(self.done) for beta in (0.9, 0.999))
        for p in params:
            mean, square = (self.adam.state[p][name] for name in ("exp_avg", "exp_avg_sq"))
            mean.lerp_(p.grad, 0.1)  # type: ignore[arg-type]
            square.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)  # type: ignore[arg-type]
            size = (square / second).sqrt_().add_(1e-8)
            rate = (self.rates * float(self.lr) / first).to(p).reshape(-1, *[1] * (p.ndim - 1))
            p.sub_(rate * mean / size)

    def tensors(self) -> dict[str, Tensor]:
        return super().tensors() | {"done": self.done}


def horizon(share: float, recipe: Recipe) -> float:
    """The time until which a run sees the series, when ``share`` of it is done."""
    if not recipe.growth:
        return 1.0
    return min(recipe.begin + (1 - recipe.begin) * share / recipe.growth, 1.0)


def kl_weight(share: float, recipe: Recipe) -> float:
    """The weight of the KL term, when ``share`` of a run is done."""
    return recipe.kl * (min(share / recipe.annealed, 1.0) if recipe.annealed else 1.0)


def fit(
    name: str,
    sets: Sequence[SpiralSet],
    which: Sequence[int],
    rates: Sequence[float],
    recipe: Recipe,
    seed: int = 0,
    state: Path | None = None,
    stop: float = math.inf,
    show: Callable[[str], None] = lambda line: None,
) -> tuple[Any, Log]:
    """Train models of one name side by side: number m on ``sets[which[m]]`` at the rate ``rates[m]``.

    seed:               of the initial parameters and the batches.
    state, stop, show:  as for ``train``; with a state an interrupted run goes on to the same numbers.

    Under ``torch.set_flush_denormal(True)`` it is several times faster: gradients vanish on the way through the times.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = make(name, sets, len(which), recipe)
    series = series_of([each.train for each in sets], sets[0].grid)
    model.to(series.x.dtype)
    loss = SpiralLoss(series, torch.tensor(which), recipe.segments)
    latent = getattr(model, "latent", 0)
    optimizer = RatedAdam(
        model, loss, torch.tensor(rates, dtype=torch.float64), recipe, (len(which), recipe.batch, 1 + latent)
    )
    settings = Settings(recipe.iterations, lr=1.0, decay=recipe.decay, seed=seed, logs=20)
    log = train(optimizer, rows_and_noise(series.x.shape[1]), settings, state, stop=stop, show=show)
    return model, log
