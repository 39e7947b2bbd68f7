"""Multiple shooting for a latent ODE: the window in segments, each solved from a start of its own.

A long solve passes its errors on, and its gradient with them. Segments are short; that they belong together is part of
the loss. It is an old remedy for boundary value problems (Bock & Plitt 1984), which Iakovlev et al. (2023) took to
latent ODEs.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor

from nodelib.models.flows import base_log_prob
from nodelib.models.irregular import gathered
from nodelib.models.latent import LatentODE, kl_from_normal
from nodelib.models.series import Series, compact, tidy

SEAM = 0.1  # the deviation that a segment's last state may have from the next one's first


def shooting_loss(model: LatentODE, series: Series, noise: Tensor, segments: int) -> Tensor:
    """The loss for each observation, averaged over the batch, (*models,), as ``LatentODE.loss`` for one segment.

    series:    with grid and step. Each of so many equal ``segments`` of the grid starts from a draw of what the encoder
               says of the observations from there on.
    noise:     of the draws, the same for all segments of a series, (*models, batch, latent).

    The states on both sides of a seam are asked to agree, as if their difference were normal of deviation ``SEAM``.
    """
    if series.grid is None or series.step is None:
        raise ValueError("the series has no grid and step: segments are parts of a grid")
    cuts = [round(i * (len(series.grid) - 1) / segments) for i in range(segments + 1)]
    total, end = torch.zeros(()), None
    for i, j in pairwise(cuts):
        later = since(series, i)
        mean, log_std = model.encode(later, float(series.grid[i]))
        z0 = mean + log_std.exp() * noise
        path = model.path(z0, series.grid[i : j + 1])
        total = total + log_likelihood(model, path, later, i, j + (j == cuts[-1]))
        total = total - (kl_from_normal(mean, log_std) if end is None else (z0 - end).square().sum(-1) / (2 * SEAM**2))
        end = path[-1]
    count = series.t.shape[-1] if series.mask is None else series.mask.sum(-1).clamp_min(1)
    return -(total / count).mean(-1)


def since(series: Series, i: int) -> Series:
    """What is observed from step i of the grid on."""
    assert series.step is not None
    seen = series.step >= i
    return compact(series._replace(mask=seen if series.mask is None else seen & series.mask))


def log_likelihood(model: LatentODE, path: Tensor, series: Series, i: int, j: int) -> Tensor:
    """log p of what is observed from step i on and before step j, (*models, batch), given the states from step i on."""
    series = tidy(series)
    assert series.step is not None
    inside = series.step < j if series.mask is None else (series.step < j) & series.mask
    z = gathered(path, (series.step - i).clamp(0, len(path) - 1))
    terms = base_log_prob((series.x - model.decode(z)) / model.sigma) - model.dim * math.log(model.sigma)
    return torch.where(inside, terms, 0).sum(-1)
