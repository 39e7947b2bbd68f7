"""What a pain of the failure gallery is, and the small problems that several of them are shown on."""

from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[Any]


class Curve(NamedTuple):
    """Points of a diagnostic picture, and how they look: "before", "after", "dots", or a name in ``LOOKS``."""

    name: str
    x: Array
    y: Array
    look: str
    line: bool = True


class Pain(NamedTuple):
    """One failure: its name; what is seen; the remedy; what is seen then; where the book explains it.

    ``worse`` and ``better`` are one number before and after the remedy; the picture has ``curves`` and ``axes``, the
    settings of its axes; an axis with ticks is logarithmic.
    """

    name: str
    seen: str
    remedy: str
    then: str
    where: str
    worse: float
    better: float
    curves: tuple[Curve, ...]
    axes: dict[str, Any]


class Net(nn.Module):
    """dy/dt = tanh(y W + b) V, the right side of most pains; ``contracting`` has V = -Wᵀ, and no b."""

    def __init__(self, dim: int = 8, gain: float = 1.0, contracting: bool = False, seed: int = 0) -> None:
        super().__init__()
        seeded = torch.Generator().manual_seed(seed)
        w, v = gain * torch.randn(2, dim, dim, generator=seeded, dtype=torch.float64) / dim**0.5
        self.W, self.V = nn.Parameter(w), None if contracting else nn.Parameter(v)
        self.calls = 0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.calls += 1
        return torch.tanh(y @ self.W) @ (-self.W.T if self.V is None else self.V)


def ones(dim: int = 8) -> Tensor:
    return torch.ones(dim, dtype=torch.float64)


def times(end: float, count: int = 2) -> Tensor:
    return torch.linspace(0, end, count, dtype=torch.float64)


def tolerances(tol: float) -> dict[str, Any]:
    return {"rtol": tol, "atol": tol}
