"""What models of series make of a set of spirals: its series on one grid, forecasts, and their errors."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nodelib.data.spirals import STEPS, SpiralSet, Split
from nodelib.models.series import Series


def series_of(splits: Sequence[Split], grid: Tensor) -> Series:
    """All series of some splits on one grid, with a leading axis of splits."""
    step = [split.step for split in splits if split.step is not None]
    x, t = (torch.stack([getattr(split, name) for split in splits]) for name in ("x", "t"))
    return Series(x, t, None, grid[:STEPS], torch.stack(step) if step else None)


def chosen(series: Series, rows: Any) -> Series:
    """The series at ``rows``, any index into the axes before those of times."""
    x, t, mask, grid, step = series
    return Series(x[rows], t[rows], None if mask is None else mask[rows], grid, None if step is None else step[rows])


class Errors(NamedTuple):
    """Root mean squares over the 100 further points of all series of a split, in the plane's units, of each model:
    against the spirals as they are, and against noisy observations of them."""

    clean: list[float]
    noisy: list[float]


def in_strides(model: Any, series: Series, times: Tensor, stride: int) -> Tensor:
    """The forecast at ``times`` (K,), every ``stride``-th of which is foretold in one go: (*models, batch, K, D).

    A recurrent network feeds on its own forecasts, and how far they lie apart is a choice: it was trained on gaps of
    some length. ``stride`` forecasts, each begun one time later, together have all times. A latent ODE gives the same
    for each stride.
    """
    found: list[Tensor] = [times] * len(times)
    for first in range(stride):
        found[first::stride] = model.forecast(series, times[first::stride]).unbind(-2)
    return torch.stack(found, -2)


def further_errors(
    model: Any, sets: Sequence[SpiralSet], which: Sequence[int], split: str = "test", stride: int = 1
) -> Errors:
    """How well each model foretells the further points of its set's ``split`` ("train", "validation" or "test"), in
    strides of so many of the grid's steps."""
    parts: list[Split] = [getattr(each, split) for each in sets]
    rows, scale = torch.tensor(which), torch.tensor([each.scale for each in sets])
    grid = sets[0].grid
    found = in_strides(model, chosen(series_of(parts, grid), rows), grid[STEPS:], stride)

    def rms(targets: list[Tensor]) -> list[float]:
        errors = found - torch.stack(targets)[rows][:, :, STEPS:]
        return (errors.double().square().mean((1, 2, 3)).sqrt() * scale[rows]).tolist()

    return Errors(rms([part.clean for part in parts]), rms([part.noisy for part in parts]))
