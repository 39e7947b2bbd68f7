"""Spirals in the plane, seen at a few noisy times: the irregular series of Section 5.1 of the paper, made well posed.

A series is observed in the window 0 ≤ t < 1, which has 100 steps of 0.01, and is to be foretold on the next 100 steps,
1 ≤ t < 2. The authors' example draws its windows from two fixed curves, and what follows a window often leaves the
region that any window covers. Here each spiral has a start of its own and obeys a linear ODE, one for each sense of
rotation: what follows is settled by what was seen, and is smaller. The authors' own curves are here for comparison.

All is computed in double precision from one seed, and then rounded to the dtype asked for.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

STEPS = 100  # of the observed window, and as many further ones
DECAY = 0.5  # a focus spiral shrinks by e^-0.5 in a window, while it turns once


@dataclass(frozen=True, eq=False)
class Focus:
    """x(t) = r e^(-t/2) (cos, sin)(φ ± 2πt): solutions of x' = A x, with one A for each sense of rotation.

    radius, angle:  r and φ, (n,), double precision.
    sense:          1 where the spiral turns counter-clockwise, -1 where clockwise, (n,).
    """

    radius: Tensor
    angle: Tensor
    sense: Tensor

    def at(self, t: Tensor) -> Tensor:
        """The points at times t, (times,) or (n, times): (n, times, 2), in double precision."""
        t = t.double()
        turned = self.angle[:, None] + 2 * math.pi * self.sense[:, None] * t
        return (self.radius[:, None] * torch.exp(-DECAY * t))[..., None] * _on_circle(turned)


@dataclass(frozen=True, eq=False)
class Archimedean:
    """The curves of latent_ode.py of torchdiffeq (MIT licence), with time measured in windows of 100 of its steps.

    start:  where on its curve a series begins, in windows, (n,), double precision.
    sense:  1 for the curve r = 0.3 s around (5, 0), -1 for r = 15 / (6π + 1 - s) around (-5, 0), (n,); the argument s
            runs from 0 to 6π in 500 steps.
    """

    start: Tensor
    sense: Tensor

    def at(self, t: Tensor) -> Tensor:
        """The points at times t, (times,) or (n, times): (n, times, 2), in double precision."""
        s = (self.start[:, None] + t.double()) * (STEPS * 6 * math.pi / 499)
        out = (0.3 * s)[..., None] * _on_circle(s) + s.new_tensor([5.0, 0.0])
        z = 6 * math.pi + 1 - s
        back = (15 / z)[..., None] * _on_circle(z) - s.new_tensor([5.0, 0.0])
        return torch.where(self.sense[:, None, None] > 0, out, back)


Curves = Focus | Archimedean


@dataclass(frozen=True, eq=False)
class Split:
    """n series for one purpose, all values in the normalised units of the set.

    curves:  what the series are without noise, at any time, in the plane's own units.
    x, t:    the k observations of each series, (n, k, 2), and their times in increasing order, (n, k).
    step:    the steps of the grid that these times are, (n, k); None where they are times on no grid.
    clean:   the series without noise on the whole grid, (n, 200, 2).
    noisy:   the same with noise; the observations at steps of the grid are values of it.
    """

    curves: Curves
    x: Tensor
    t: Tensor
    step: Tensor | None
    clean: Tensor
    noisy: Tensor

    @property
    def mask(self) -> Tensor:
        """Which of the first 100 steps of the grid are observed, (n, 100) of bool. Raises ValueError without a grid."""
        if self.step is None:
            raise ValueError("these times are on no grid: use x and t as they are")
        return torch.zeros(len(self.x), STEPS, dtype=torch.bool).scatter_(1, self.step, True)


@dataclass(frozen=True, eq=False)
class SpiralSet:
    """Series to train on, to tune with and to test with; ``normalised = (value - mean) / scale``.

    grid:         the 200 times 0, 0.01 …, 1.99, of which the first 100 are the observed window, (200,).
    mean, scale:  of all values in the observed windows of the training series: (2,), and one number for both
                  coordinates, so that a circle remains one.
    noise:        the standard deviation of the noise in normalised units.
    """

    train: Split
    validation: Split
    test: Split
    grid: Tensor
    mean: Tensor
    scale: float
    noise: float


def make_spirals(
    k: int = 30,
    seed: int = 0,
    *,
    sizes: tuple[int, int, int] = (1000, 200, 200),
    noise: float | None = None,
    times: str = "grid",
    gap: tuple[float, float] | None = None,
    curves: str = "focus",
    dtype: torch.dtype = torch.float32,
) -> SpiralSet:
    """Spirals, each observed at k times of its own in the window [0, 1). Half of each split turn clockwise.

    k:       observations a series.
    seed:    settles all. Sets of one seed that differ in k, times or gap have the same curves and the same noise on
             the grid; without a gap, the steps observed for a smaller k are among those for a larger one.
    sizes:   series for training, validation and test.
    noise:   standard deviation of the noise in the plane's units; by default 0.1, for the authors' curves their 0.3.
    times:   "grid", k of the 100 steps without replacement; or "continuous", k uniform times.
    gap:     (begin, end): no observation has begin ≤ t < end.
    curves:  "focus", starts of radius 1 to 3 (log-uniform) and any angle; or "archimedean", the authors' curves, with
             windows so early that 100 further steps fit on them.

    Raises ValueError for arguments that leave nothing to observe, and for other words than these.
    """
    _check(k, sizes, noise, times, gap, curves)
    noise = (0.1 if curves == "focus" else 0.3) if noise is None else noise
    grid = torch.arange(2 * STEPS, dtype=torch.float64) / STEPS
    drawn = [_drawn(n, np.random.SeedSequence([seed, i]), grid, noise, curves) for i, n in enumerate(sizes)]
    window = drawn[0][2][:, :STEPS].reshape(-1, 2)
    mean = window.mean(0)
    scale = float((window - mean).square().mean().sqrt())

    def normalised(x: Tensor) -> Tensor:
        return ((x - mean) / scale).to(dtype)

    splits = []
    for which, clean, noisy, generator in drawn:
        if times == "grid":
            step = _steps(len(clean), k, gap, generator)
            t, x = grid[step], noisy.gather(1, step[..., None].expand(-1, -1, 2))
        else:
            step, t = None, _moments(len(clean), k, gap, generator)
            x = which.at(t)
            x = x + noise * torch.randn(x.shape, generator=generator, dtype=torch.float64)
        splits.append(Split(which, normalised(x), t.to(dtype), step, normalised(clean), normalised(noisy)))
    return SpiralSet(*splits, grid=grid.to(dtype), mean=mean, scale=scale, noise=noise / scale)


# --- helpers ----------------------------------------------------------------------------------------------------------


def _drawn(
    n: int, seed: np.random.SeedSequence, grid: Tensor, noise: float, curves: str
) -> tuple[Curves, Tensor, Tensor, torch.Generator]:
    """n curves, their points on the grid without and with noise, and a generator for the times of observation."""
    first, second = (torch.Generator().manual_seed(int(s)) for s in seed.generate_state(2, np.uint64) >> np.uint64(1))
    sense = 1.0 - 2 * (torch.randperm(n, generator=first) % 2)
    a, b = torch.rand(2, n, generator=first, dtype=torch.float64)
    which: Curves
    if curves == "focus":
        which = Focus(3**a, 2 * math.pi * b, sense.double())
    else:
        which = Archimedean(1 + (2 * STEPS * a).floor() / STEPS, sense.double())
    clean = which.at(grid)
    return which, clean, clean + noise * torch.randn(clean.shape, generator=first, dtype=torch.float64), second


def _steps(n: int, k: int, gap: tuple[float, float] | None, generator: torch.Generator) -> Tensor:
    """k of the window's steps for each series, without replacement and in order: (n, k)."""
    order = torch.rand(n, STEPS, generator=generator, dtype=torch.float64)
    if gap is not None:
        t = torch.arange(STEPS, dtype=torch.float64) / STEPS
        order = order.masked_fill((t >= gap[0]) & (t < gap[1]), math.inf)
    return order.argsort(1)[:, :k].sort(1).values


def _moments(n: int, k: int, gap: tuple[float, float] | None, generator: torch.Generator) -> Tensor:
    """k uniform times for each series, in order: (n, k)."""
    begin, end = gap or (1.0, 1.0)
    u = torch.rand(n, k, generator=generator, dtype=torch.float64) * (1 - (end - begin))
    return torch.where(u < begin, u, u + (end - begin)).sort(1).values


def _on_circle(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], -1)


def _check(
    k: int,
    sizes: tuple[int, int, int],
    noise: float | None,
    times: str,
    gap: tuple[float, float] | None,
    curves: str,
) -> None:
    for name, given, known in (
        ("times", times, ("grid", "continuous")),
        ("curves", curves, ("focus", "archimedean")),
    ):
        if given not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {given!r}")
    if len(sizes) != 3 or min(sizes) < 1:
        raise ValueError(f"sizes must be three positive numbers of series, not {sizes}")
    if noise is not None and not 0 <= noise < math.inf:
        raise ValueError(f"noise must be finite and not negative, not {noise}")
    if gap is not None and not 0 <= gap[0] < gap[1] <= 1:
        raise ValueError(f"gap is {gap}: give its begin and its end, with 0 ≤ begin < end ≤ 1")
    if gap == (0, 1):
        raise ValueError("gap is the whole window (0, 1): leave times to observe")
    t = torch.arange(STEPS, dtype=torch.float64) / STEPS
    free = STEPS if gap is None else int(((t < gap[0]) | (t >= gap[1])).sum())
    most = free if times == "grid" else math.inf
    if not 1 <= k <= most:
        raise ValueError(f"k is {k}: observe a series once at least, and at {most} different times at most")
