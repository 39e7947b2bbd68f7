"""Densities in the plane: potentials to be matched, and shapes to draw points from, each with its floor.

The *floor* of a target is the smallest loss that any model can reach: for a potential U, -log ∫ exp(-U), the infimum
of E_q[log q + U] over all densities q; for a shape, its entropy, the infimum of the mean of -log q over its points.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

# --- potentials -------------------------------------------------------------------------------------------------------

WALL = (3.749, 0.2)  # where the wall begins, and how soft it is


def wall(z1: Tensor) -> Tensor:
    """½ ((|z₁| - 3.749)₊ / 0.2)²: U2 and U3 go on for ever along z₁, and a density on an endless band has no floor.

    Its tails hold as much mass as a hard wall at |z₁| = 4 would let in, so that the floors are those of that strip.
    """
    begin, soft = WALL
    return 0.5 * (torch.relu(z1.abs() - begin) / soft).square()


def _bump(x: Tensor, centre: float, width: float) -> Tensor:
    """-½ ((x - centre) / width)²: the logarithm of a Gaussian bump."""
    return -0.5 * ((x - centre) / width).square()


def u1(z1: Tensor, z2: Tensor) -> Tensor:
    """A ring of radius 2 with its mass left and right."""
    ring = -_bump((z1.square() + z2.square()).sqrt(), 2.0, 0.4)
    return ring - torch.logaddexp(_bump(z1, 2.0, 0.6), _bump(z1, -2.0, 0.6)) + wall(z1)


def u2(z1: Tensor, z2: Tensor) -> Tensor:
    """A band along a sine."""
    return -_bump(z2 - torch.sin(math.pi / 2 * z1), 0.0, 0.4) + wall(z1)


def u3(z1: Tensor, z2: Tensor) -> Tensor:
    """A band along a sine that forks into a second one."""
    band = z2 - torch.sin(math.pi / 2 * z1)
    fork = 3 * torch.exp(_bump(z1, 1.0, 0.6))
    return -torch.logaddexp(_bump(band, 0.0, 0.35), _bump(band + fork, 0.0, 0.35)) + wall(z1)


# Rezende & Mohamed (2015), Table 1, with the wall; functions of the components, (…) and (…) -> (…).
POTENTIALS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"U1": u1, "U2": u2, "U3": u3}


def potential(name: str, z: Tensor) -> Tensor:
    """U(z) of one of ``POTENTIALS``, for z of (…, 2): (…). Raises ValueError for another name or shape."""
    _known("name", name, POTENTIALS)
    _plane("z", z)
    return POTENTIALS[name](*z.unbind(-1))


def floor_of(name: str, spacing: float = 0.01) -> float:
    """-log ∫ exp(-U) of one of ``POTENTIALS``, by the trapezoidal rule on [-6, 6]²."""
    z, area = grid((-6.0, 6.0, -6.0, 6.0), spacing)
    return -float(torch.logsumexp(-potential(name, z), 0)) - math.log(area)


# --- shapes -----------------------------------------------------------------------------------------------------------

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussians of standard deviation ``noise`` around points that are drawn from a curve or from a few centres.

    nodes, weights:  (k, 2) and (k,), a quadrature of the centres' distribution: the density is that of the Gaussians
                     around these nodes, to about 1e-12.
    centres:         (n, generator) -> (n, 2), the centres of n points.
    """

    nodes: Tensor
    weights: Tensor
    noise: float
    centres: Callable[[int, torch.Generator], Tensor]

    @property
    def box(self) -> Box:
        """(left, right, bottom, top) of what holds all but 1e-8 of the mass."""
        low, high = self.nodes.amin(0) - 6 * self.noise, self.nodes.amax(0) + 6 * self.noise
        return float(low[0]), float(high[0]), float(low[1]), float(high[1])

    def sample(self, n: int, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Tensor:
        """n points, (n, 2). ``generator`` is the CPU's, and settles them."""
        _positive("n", n)
        centres = self.centres(n, generator)
        return (centres + self.noise * torch.randn(n, 2, generator=generator, dtype=torch.float64)).to(dtype)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log density at x of (…, 2): (…), computed in double precision."""
        _plane("x", x)
        nodes, weights = self.nodes.to(x.device), self.weights.to(x.device).log()
        scale = math.log(2 * math.pi * self.noise**2)
        parts = [
            torch.logsumexp(weights - torch.cdist(part, nodes).square() / (2 * self.noise**2), 1) - scale
            for part in x.reshape(-1, 2).double().split(4096)
        ]
        return torch.cat(parts).reshape(x.shape[:-1]).to(x.dtype)

    @cached_property
    def entropy(self) -> float:
        """-∫ p log p, the floor of a model's mean of -log q: by the trapezoidal rule, to about 1e-8."""
        z, area = grid(self.box, self.noise / 3)
        log_p = self.log_prob(z)
        return -float((log_p.exp() * log_p).sum()) * area

    def mixed(self, t: float) -> "Mixture":
        """The density of (1 - t) z + t x, for x from this mixture and z standard normal, independent of each other.

        t:  from 0, where it is all z, to 1, where it is all x. Raises ValueError outside of these.
        """
        if not 0 <= t <= 1:
            raise ValueError(f"t must be from 0 to 1, not {t}")
        noise = math.hypot(1 - t, t * self.noise)
        return Mixture(t * self.nodes, self.weights, noise, lambda n, generator: t * self.centres(n, generator))


@dataclass(frozen=True)
class Checkerboard:
    """Uniform on the eight dark squares, of side 1, of the board [-2, 2]²."""

    box: Box = (-2.0, 2.0, -2.0, 2.0)

    @property
    def entropy(self) -> float:
        """log 8, the logarithm of the dark area."""
        return math.log(8)

    def sample(self, n: int, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Tensor:
        """n points, (n, 2). ``generator`` is the CPU's, and settles them."""
        _positive("n", n)
        column = torch.randint(4, (n,), generator=generator)
        row = 2 * torch.randint(2, (n,), generator=generator) + column % 2
        corner = torch.stack([column, row], 1) - 2
        return (corner + torch.rand(n, 2, generator=generator, dtype=torch.float64)).to(dtype)

    def log_prob(self, x: Tensor) -> Tensor:
        """-log 8 on dark squares, -inf elsewhere, at x of (…, 2): (…)."""
        _plane("x", x)
        column, row = x.floor().unbind(-1)
        dark = (x.abs() < 2).all(-1) & ((column + row) % 2 == 0)
        return torch.full_like(x[..., 0], -math.log(8)).masked_fill(~dark, -math.inf)


Shape = Mixture | Checkerboard


def circles(noise: float = 0.06, factor: float = 0.5) -> Mixture:
    """Two circles of radius 1 and ``factor``, half of the points on each."""
    _positive("noise", noise)
    _positive("factor", factor)
    angles = torch.arange(n := math.ceil(16 / noise), dtype=torch.float64) / n
    radii = torch.tensor([1.0, factor], dtype=torch.float64)

    def ring(s: Tensor, arm: Tensor) -> Tensor:
        return radii[arm, None] * _on_circle(2 * math.pi * s)

    return _curves(ring, angles, torch.ones_like(angles), noise)


def moons(noise: float = 0.1) -> Mixture:
    """Two half circles of radius 1 that reach into each other, as scikit-learn's ``make_moons``."""
    _positive("noise", noise)

    def moon(s: Tensor, arm: Tensor) -> Tensor:
        sign = (1 - 2 * arm)[:, None]
        return sign * _on_circle(math.pi * s) + arm[:, None] * torch.tensor([1.0, 0.5], dtype=torch.float64)

    return _curves(moon, *_gauss_legendre(math.ceil(8 / noise)), noise)


def spirals(noise: float = 0.1) -> Mixture:
    """Two arms of one and a half turns around the origin, out to a radius of π."""
    _positive("noise", noise)

    def spiral(s: Tensor, arm: Tensor) -> Tensor:
        angle = 3 * math.pi * s.sqrt()  # so that points are as dense outside as inside
        return (1 - 2 * arm)[:, None] * angle[:, None] / 3 * _on_circle(angle)

    root, weight = _gauss_legendre(math.ceil(32 / noise))
    return _curves(spiral, root.square(), 2 * root * weight, noise)


def eight_gaussians(noise: float = 0.2, radius: float = 2.0) -> Mixture:
    """Eight Gaussians on a circle."""
    _positive("noise", noise)
    _positive("radius", radius)
    return _around(radius * _on_circle(torch.arange(8, dtype=torch.float64) * math.pi / 4), noise)


def two_gaussians(noise: float = 0.3, distance: float = 1.2) -> Mixture:
    """Two Gaussians, ``distance`` left and right of the origin."""
    _positive("noise", noise)
    _positive("distance", distance)
    return _around(torch.tensor([[-distance, 0.0], [distance, 0.0]], dtype=torch.float64), noise)


SHAPES: dict[str, Callable[[], Shape]] = {
    "circles": circles,
    "moons": moons,
    "eight Gaussians": eight_gaussians,
    "spirals": spirals,
    "checkerboard": Checkerboard,
}


def drawn(points: Any, noise: float = 0.1) -> Mixture:
    """What a reader drew as a shape to learn: the points, standardised, with a Gaussian around each.

    points:  (n, 2), anything that torch makes a tensor of; they are shifted to mean 0 and divided by one number, so
             that the drawing keeps its proportions and its mean square per axis is 1.
    noise:   the Gaussians' standard deviation after that.

    Raises ValueError for other shapes, for fewer than 8 points, and for points that are not finite or all in one place.
    """
    _positive("noise", noise)
    try:
        x = torch.as_tensor(points, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"points must be numbers, n rows of two: {error}") from error
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"points must have shape (n, 2), got {tuple(x.shape)}: give one row (x, y) for each point")
    if len(x) < 8:
        raise ValueError(f"points has {len(x)} rows: draw 8 at least, or there is no shape to learn")
    if not x.isfinite().all():
        raise ValueError("points contains nan or inf: remove these rows")
    x = x - x.mean(0)
    scale = x.square().mean().sqrt()
    if not scale > 1e-12 * max(1.0, float(x.abs().max())):
        raise ValueError("points are all in one place: spread them out")
    return _around(x / scale, noise)


# --- helpers ----------------------------------------------------------------------------------------------------------


def grid(box: Box, spacing: float) -> tuple[Tensor, float]:
    """The points (n, 2) of a grid over ``box``, ``spacing`` apart at most, and the area that each stands for."""
    left, right, bottom, top = box
    x, y = (
        torch.linspace(low, high, math.ceil((high - low) / spacing) + 1, dtype=torch.float64)
        for low, high in ((left, right), (bottom, top))
    )
    return torch.cartesian_prod(x, y), float((x[1] - x[0]) * (y[1] - y[0]))


def _on_circle(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], -1)


def _gauss_legendre(k: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of k points on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(k)
    return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)


def _curves(curve: Callable[[Tensor, Tensor], Tensor], s: Tensor, weights: Tensor, noise: float) -> Mixture:
    """Two curves, (s in [0, 1], arm 0 or 1) -> (n, 2), s being uniform; with its quadrature."""
    nodes = torch.cat([curve(s, torch.full((len(s),), arm)) for arm in (0, 1)])

    def centres(n: int, generator: torch.Generator) -> Tensor:
        at = torch.rand(n, generator=generator, dtype=torch.float64)
        return curve(at, torch.randint(2, (n,), generator=generator))

    both = torch.cat([weights, weights])
    return Mixture(nodes, both / both.sum(), noise, centres)


def _around(centres: Tensor, noise: float) -> Mixture:
    """The same share of the points around each of (k, 2) centres."""
    k = len(centres)
    weights = torch.full((k,), 1 / k, dtype=torch.float64)
    return Mixture(centres, weights, noise, partial(_chosen, centres))


def _chosen(centres: Tensor, n: int, generator: torch.Generator) -> Tensor:
    return centres[torch.randint(len(centres), (n,), generator=generator)]


def _known(what: str, name: str, names: Any) -> None:
    if name not in names:
        raise ValueError(f"{what} must be one of {', '.join(names)}, not {name!r}")


def _plane(what: str, z: Tensor) -> None:
    if z.ndim == 0 or z.shape[-1] != 2:
        raise ValueError(f"{what} must have shape (…, 2), got {tuple(z.shape)}: its last axis is that of the plane")


def _positive(what: str, x: float) -> None:
    if not 0 < x < math.inf:
        raise ValueError(f"{what} must be positive and finite, not {x}")
