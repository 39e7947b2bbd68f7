"""A batch of observed series whose times differ, and what is done to it before a network sees it.

Padding is what is not observed: ``mask`` says where. It changes no loss, whatever stands there, nan included.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Series(NamedTuple):
    """A batch of observed series: values x, (*models, batch, times, D), at increasing times t, (*models, batch, times).

    mask:   which of them are observed, (*models, batch, times) of bool; None where all are. The observed come first:
            ``compact`` brings them there. What else x and t hold changes nothing.
    grid:   increasing times that hold all of t, (steps,), and
    step:   where in it each of t is, (*models, batch, times): one solve for the whole batch then meets all of t.
    """

    x: Tensor
    t: Tensor
    mask: Tensor | None = None
    grid: Tensor | None = None
    step: Tensor | None = None


def compact(series: Series) -> Series:
    """The same series with the observed first, and no more columns than the longest has observations."""
    if series.mask is None:
        return series
    most = max(int(series.mask.sum(-1).max()), 1)
    order = (~series.mask).to(torch.uint8).argsort(dim=-1, stable=True)[..., :most]
    mask, t = series.mask.gather(-1, order), series.t.gather(-1, order)
    x = series.x.gather(-2, order[..., None].expand(*order.shape, series.x.shape[-1]))
    step = None if series.step is None else series.step.gather(-1, order)
    return Series(x, t, None if bool(mask.all()) else mask, series.grid, step)


def up_to(series: Series, horizon: float) -> Series:
    """What is observed until the time ``horizon``, which may be nothing, and the grid until then."""
    seen = series.t <= horizon
    mask = seen if series.mask is None else seen & series.mask  # the observed come first, so these do
    most = max(int(mask.sum(-1).max()), 1)
    x, t, mask = series.x[..., :most, :], series.t[..., :most], mask[..., :most]
    if series.grid is None or series.step is None:
        return Series(x, t, mask)
    # as long for any batch, since a solver's last step depends on where it ends
    grid = series.grid[: max(int((series.grid <= horizon).sum()), 2)]
    return Series(x, t, mask, grid, series.step[..., :most].masked_fill(~mask, 0))


def tidy(series: Series) -> Series:
    """The series with its last observation repeated where nothing is observed, so that nothing there can be nan.

    A series without any observation must still have a first entry of numbers.
    """
    x, t, mask, grid, step = series
    if mask is None:
        return series
    last = (mask.sum(-1, keepdim=True) - 1).clamp_min(0)
    x = torch.where(mask[..., None], x, x.gather(-2, last[..., None].expand(*last.shape, x.shape[-1])))
    step = None if step is None else torch.where(mask, step, step.gather(-1, last))
    return Series(x, torch.where(mask, t, t.gather(-1, last)), mask, grid, step)


def reverse(x: Tensor, t: Tensor, start: float) -> tuple[Tensor, Tensor, Tensor]:
    """Values and times from the last to the first, and the time of what comes next after each, ``start`` at last."""
    t = t.flip(-1)
    return x.flip(-2), t, torch.cat([t[..., 1:], torch.full_like(t[..., :1], start)], -1)
