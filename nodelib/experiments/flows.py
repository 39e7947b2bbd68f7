"""What flows are trained on: losses to match a potential, to make data likely or by flow matching, and their batches.

A loss takes the model and one batch; ``optimize.py`` minimises it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from nodelib.data.toy2d import POTENTIALS
from nodelib.experiments.optimize import Draw
from nodelib.models.flow_fields import FreeField
from nodelib.models.flows import CNF, PlanarFlow, base_log_prob

# --- to match a potential ---------------------------------------------------------------------------------------------


class Matching:
    """KL(q‖p) of draws from the model to exp(-U)/Z, up to log Z: the mean of log q(x) + U(x), at least the floor.

    targets: the names of potentials; the models are all seeds of the first, then all of the second …
    """

    def __init__(self, targets: Sequence[str] = tuple(POTENTIALS)):
        self.energies = [POTENTIALS[name] for name in targets]

    def energy(self, x1: Tensor, x2: Tensor) -> Tensor:
        """U of each model's target at components of (models, batch)."""
        parts = [x.unflatten(0, (len(self.energies), -1)) for x in (x1, x2)]
        return torch.stack([u(*each) for u, *each in zip(self.energies, *parts, strict=True)]).flatten(0, 1)

    def __call__(self, model: PlanarFlow | CNF, z: Tensor) -> Tensor:
        """The loss of each model, (models,), from draws z of the base, in components first: (2, models, batch)."""
        return self.terms(model, z).mean(-1)

    def terms(self, model: PlanarFlow | CNF, z: Tensor) -> Tensor:
        """log q(x) + U(x) for each draw, (models, batch)."""
        if isinstance(model, PlanarFlow):  # no axis of components: nothing stands in the way of one loop
            *x, log_det = model.components(*z)
            return base_log_prob(z.movedim(0, -1)) - log_det + self.energy(*x)
        x, log_q = model.push(z.movedim(0, -1))
        return log_q + self.energy(*x.unbind(-1))


def normal(buffer: Tensor, generator: torch.Generator) -> None:
    """Fill ``buffer`` with draws of the base."""
    buffer.normal_(generator=generator)


@torch.no_grad()
def matching_losses(
    model: PlanarFlow | CNF, matching: Matching, draws: int = 100_000, seed: int = 1, batch: int = 10_000
) -> tuple[list[float], list[float]]:
    """Each model's loss on fresh draws of the base, the same for all, and its standard error."""
    p = next(model.parameters())
    generator = torch.Generator().manual_seed(seed)
    terms = []
    for _ in range(0, draws, batch):
        z = torch.randn(2, 1, batch, generator=generator, dtype=torch.float64).to(p)
        terms.append(matching.terms(model, z.expand(-1, len(p), -1)).double())
    every = torch.cat(terms, -1)
    return every.mean(-1).tolist(), (every.std(-1) / every.shape[-1] ** 0.5).tolist()


# --- to make data likely ----------------------------------------------------------------------------------------------


def chosen_from(data: Tensor) -> Draw:
    """Batches of rows of ``data`` (n, D), drawn with replacement, into buffers (chunk, *…, batch, D)."""

    def draw(buffer: Tensor, generator: torch.Generator) -> None:
        rows = torch.randint(len(data), buffer.shape[:-1], generator=generator, device=data.device)
        buffer.copy_(data[rows])

    return draw


def unlikelihood(model: PlanarFlow | CNF, x: Tensor) -> Tensor:
    """The mean of -log p(x) of each model, in nats: (models,), or () without that axis."""
    return -model.pull(x)[1].mean(-1)


@torch.no_grad()
def held_out(model: PlanarFlow | CNF, x: Tensor, batch: int = 5000) -> list[float]:
    """The mean of -log p over all of x (n, D), in nats, of each model (or the one)."""
    lead: Any = () if model.models is None else (model.models,)
    sums = sum(model.pull(part.expand(*lead, -1, -1))[1].double().sum(-1) for part in x.split(batch))
    return (-torch.as_tensor(sums) / len(x)).reshape(-1).tolist()


# --- flow matching ----------------------------------------------------------------------------------------------------


def pairs_of(data: Tensor, optimal: int = 0) -> Draw:
    """Batches (…, batch, 2 D + 1) of rows (z0, x1, t): a draw of the base, a row of ``data`` and a time in [0, 1].

    optimal: 0 pairs them as they come, independently. Otherwise each ``optimal`` rows are paired anew so that their
             mean squared distance is the least (Tong et al. 2023, Pooladian et al. 2023); it divides the batch.
    """

    def draw(buffer: Tensor, generator: torch.Generator) -> None:
        z, x, t = buffer.split([data.shape[1], data.shape[1], 1], -1)
        z.normal_(generator=generator)
        chosen_from(data)(x, generator)
        t.uniform_(generator=generator)
        if optimal:
            if buffer.shape[-2] % optimal:
                raise ValueError(f"optimal is {optimal}: give a divisor of the batch, {buffer.shape[-2]}")
            for part in buffer.flatten(0, -3).unflatten(1, (-1, optimal)).flatten(0, 1):
                pair(part, data.shape[1])

    return draw


def pair(rows: Tensor, dim: int) -> None:
    """Exchange the ends x1 of rows (z0, x1, t) in place, so that the sum of |x1 - z0|² is the least."""
    z, x = rows[:, :dim], rows[:, dim : 2 * dim]
    cost = torch.cdist(z, x).square().cpu().numpy()
    _, order = linear_sum_assignment(cost)
    rows[:, dim : 2 * dim] = x[torch.from_numpy(order).to(x.device)]


def flow_matching(model: CNF, rows: Tensor) -> Tensor:
    """The mean of |v(t, z) - (x1 - z0)|² at z = (1 - t) z0 + t x1 (Lipman et al. 2023): no solver in it."""
    field = model.field
    assert isinstance(field, FreeField)
    z0, x1, t = rows.split([field.dim, field.dim, 1], -1)
    return (field.velocity(t, z0 + t * (x1 - z0)) - (x1 - z0)).square().sum(-1).mean()
