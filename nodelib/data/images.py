"""What the sets of images have in common: their form, and the random shifts of training."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Images(NamedTuple):
    """``x``: (n, 1, side, side), float32 from 0 (paper) to 1 (ink); ``y``: (n,), int64, the digits 0 to 9."""

    x: Tensor
    y: Tensor

    @property
    def side(self) -> int:
        return self.x.shape[-1]

    def to(self, device: str | torch.device) -> "Images":
        return Images(self.x.to(device), self.y.to(device))


def random_crop(x: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Each image with a border of ``padding`` zeros, cut back to its size at a place of its own: a shift of up to
    ``padding`` pixels each way. ``generator`` is the CPU's on every device, so that each gives the same shifts."""
    n, _, height, width = x.shape
    down, right = torch.randint(2 * padding + 1, (2, n), generator=generator).to(x.device)
    rows = down[:, None, None] + torch.arange(height, device=x.device)[:, None]
    columns = right[:, None, None] + torch.arange(width, device=x.device)
    image = torch.arange(n, device=x.device)[:, None, None]
    return F.pad(x, [padding] * 4)[image, 0, rows, columns][:, None]
