"""What a flow leaves between two modes: the height of the pass, and by how much area is stretched there."""

import math

import numpy as np
import torch
from scipy.ndimage import label
from torch import Tensor

from nodelib.models.flows import CNF


def saddle(log_p: np.ndarray) -> tuple[int, int]:
    """Where the highest path from the first row of a grid (n, m) to its last row is lowest: (row, column).

    A path goes to any of a point's eight neighbours; the height of a path is the least log p on it.
    """
    levels = np.unique(log_p)
    low, high = 0, len(levels)  # numbers of levels: at the first all points are above, and joined
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _crossed(log_p >= levels[middle]) else (low, middle)
    row, column = np.argwhere(log_p == levels[low])[0]
    return int(row), int(column)


def _crossed(above: np.ndarray) -> bool:
    """Is there a path from the first row to the last through points that are ``above``?"""
    regions, _ = label(above, np.ones((3, 3)))  # type: ignore[misc]
    return bool(np.intersect1d(regions[0], regions[-1]).any())


def between(distance: float, width: float, side: int = 61) -> Tensor:
    """A grid (side, side, 2) over [-distance, distance] × [-width, width], x₁ going with the row."""
    x1, x2 = (torch.linspace(-reach, reach, side) for reach in (distance, width))
    return torch.stack(torch.meshgrid(x1, x2, indexing="ij"), -1)


def share_between(distance: float, noise: float) -> float:
    """The exact share of two Gaussians at ±distance within |x₁| < distance / 2."""
    near, far = (0.5 * math.erfc(k * distance / (2 * noise) / math.sqrt(2)) for k in (1, 3))
    return near - far


def log_det(model: CNF, z: Tensor) -> float:
    """log |det ∂x/∂z| of the map from base to data at one z (D,), by differentiating it: no trace has a part in it."""
    jacobian = torch.autograd.functional.jacobian(lambda z: model.push(z[None])[0][0], z)
    return float(torch.linalg.slogdet(jacobian).logabsdet)  # type: ignore[arg-type]
