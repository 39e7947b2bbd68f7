"""Small neural ODEs, several at once: a field of one hidden layer for each model, states (models, batch, dim), a head.

Model i draws its initial parameters from a generator of its own, seeded with ``seeds[i]``: it begins as it would alone.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nodelib.models.flows import check_sizes


class TanhField(nn.Module):
    """f(t, z) = tanh([z, t, x₀] W₁ + b₁) W₂ + b₂, for each of several models: z of (models, batch, dim) -> like z.

    seeds:   one a model, of its initial parameters, uniform in ±1/√(number of inputs), as ``torch.nn.Linear`` has them.
    dim, hidden: the sizes of the state and of the hidden layer.
    time:    whether t is an input (Massaroli et al. 2020: depth variance; this is its simplest form).
    control: how many of the state's first components, at the start, are inputs all along (data control, ibid.); ``x0``
             has them, (models, batch, control), and is set before a solve.

    ``nfe`` counts the evaluations; set it to 0 where the count is to begin. It is in double precision.
    """

    def __init__(self, seeds: Sequence[int], dim: int = 2, hidden: int = 32, time: bool = False, control: int = 0):
        super().__init__()
        check_sizes(models=len(seeds), dim=dim, hidden=hidden)
        self.models, self.dim, self.time, self.control, self.nfe = len(seeds), dim, time, control, 0
        draws = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        into = dim + time + control
        self.W1, self.b1 = uniform(draws, into, into, hidden), uniform(draws, into, 1, hidden)
        self.W2, self.b2 = uniform(draws, hidden, hidden, dim), uniform(draws, hidden, 1, dim)
        self.x0: Tensor | None = None

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        self.nfe += 1
        inputs = [z]
        if self.time:
            inputs.append(t.expand(*z.shape[:-1], 1))
        if self.control:
            if self.x0 is None or self.x0.shape[:-1] != z.shape[:-1]:
                raise ValueError("x0 is not for states of this shape: call NeuralODEs.start(x) before each solve")
            inputs.append(self.x0)
        return torch.tanh(torch.cat(inputs, -1) @ self.W1 + self.b1) @ self.W2 + self.b2


def uniform(draws: Sequence[torch.Generator], fan_in: int, *shape: int) -> nn.Parameter:
    """(len(draws), *shape) uniform in ±1/√fan_in, each model's from its own generator."""
    each = [torch.rand(*shape, generator=draw, dtype=torch.float64) for draw in draws]
    return nn.Parameter((2 * torch.stack(each) - 1) / fan_in**0.5)


class NeuralODEs(nn.Module):
    """Several neural ODEs: zeros are appended to x (Dupont et al. 2019), a ``TanhField`` carries it, a head reads it.

    dim:      the components of x; augment: how many zeros are appended; hidden, time, seeds as in ``TanhField``.
    control:  whether f also sees where the solution began.
    classify: the head is linear, its output a logit, the loss the logistic one for labels ±1. Otherwise the first
              ``dim`` components are the answer, and the loss is the mean square of their error.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        dim: int = 2,
        augment: int = 0,
        hidden: int = 32,
        time: bool = False,
        control: bool = False,
        classify: bool = True,
    ):
        super().__init__()
        self.dim, self.augment, self.models, self.classify = dim, augment, len(seeds), classify
        self.field = TanhField(seeds, dim + augment, hidden, time, dim if control else 0)
        self.head = None
        if classify:
            draws = [torch.Generator().manual_seed(int(seed) + 10**6) for seed in seeds]
            self.head = uniform(draws, dim + augment, dim + augment, 1)

    def start(self, x: Tensor) -> Tensor:
        """The states (models, batch, dim + augment) that points x, (models, batch, dim) or (batch, dim), begin as."""
        x = x.expand(self.models, *x.shape[-2:])
        self.field.x0 = x if self.field.control else None
        return F.pad(x, (0, self.augment))

    def read(self, z: Tensor) -> Tensor:
        """What final states say: logits (…, models, batch), or the answer (…, models, batch, dim)."""
        return (z @ self.head)[..., 0] if self.head is not None else z[..., : self.dim]

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        """The loss of each model, (…, models), from final states and labels (models, batch) or answers."""
        if self.head is not None:
            return F.softplus(-y * self.read(z)).mean(-1)
        return (self.read(z) - y).square().mean((-2, -1))


def alone(models: NeuralODEs, i: int) -> NeuralODEs:
    """Model number i, as a copy that holds this one only; its states are (1, batch, dim)."""
    if not 0 <= i < models.models:
        raise ValueError(f"i is {i}, and there are {models.models} models: count them from 0")
    one: Any = copy.deepcopy(models)
    for p in one.parameters():
        p.data = p.data[i : i + 1].clone()
    one.models = one.field.models = 1
    one.field.x0 = None
    return one
