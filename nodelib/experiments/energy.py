"""Flows that are to move little: the kinetic energy ∫ |f|² dt of their paths, solved along with the density.

Finlay et al. 2020 ("How to train your neural ODE") and Onken et al. 2021 ("OT-Flow") add it to the loss. Over all flows
from one density to another, its mean is at least W₂², the squared Wasserstein distance of the two (Benamou & Brenier
2000).
"""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from nodelib.experiments.optimize import Loss
from nodelib.models.flows import CNF, base_log_prob, check_points
from nodelib.models.odenet import GRADIENTS

State = tuple[Tensor, Tensor, Tensor]


class WithEnergy(nn.Module):
    """A flow's field with one more entry in its state: (z, log p, e), where e' = |f(t, z)|²."""

    def __init__(self, field: nn.Module):
        super().__init__()
        self.field = field

    def forward(self, t: Tensor, state: State) -> State:
        f, change = self.field(t, state[:2])
        return f, change, f.square().sum(-1)


def pull_with_energy(model: CNF, x: Tensor) -> State:
    """(z, log p(x), ∫₀¹ |f|² dt along the path) for data x, (*models, batch, D): the first two are ``model.pull(x)``.

    The energy has no say in the step's error, so that the steps are those of ``pull``.
    """
    check_points("x", x, model.dim, model.models)
    if hasattr(model.field, "draw"):
        model.field.draw(x)
    options = model.settings.get("options", {})
    norm, zero = options.get("norm", largest_of_parts), torch.zeros_like(x[..., 0])
    settings = model.settings | {"options": options | {"norm": lambda state: norm(state[:2])}}
    times = torch.tensor([1.0, 0.0], dtype=x.dtype)
    parts = GRADIENTS[model.gradient](WithEnergy(model.field), (x, zero, zero), times, **settings)
    z, change, energy = (part[-1] for part in parts)
    return z, base_log_prob(z) - change, -energy  # solved from 1 to 0


def largest_of_parts(state: tuple[Tensor, ...]) -> Tensor:
    """The solver's own norm of a state of several parts: the largest of their root mean squares."""
    return torch.stack([part.square().mean() for part in state]).max().sqrt()


def costly_unlikelihood(weight: float) -> Loss:
    """The loss -log p(x) + weight · ∫ |f|² dt, its mean over x, of each model."""

    def loss(model: CNF, x: Tensor) -> Tensor:
        _, log_p, energy = pull_with_energy(model, x)
        return (weight * energy - log_p).mean(-1)

    return loss


def least_energy(z: Tensor, x: Tensor) -> float:
    """The least mean of |x - z|² over all pairings of two samples (n, D): W₂² of the two, and an estimate of that of
    what they are drawn from, too large in the mean for small n."""
    cost = torch.cdist(z.double(), x.double()).square().numpy()
    return float(cost[linear_sum_assignment(cost)].mean())
