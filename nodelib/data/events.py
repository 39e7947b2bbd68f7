"""Event sequences on [0, end]: draws of inhomogeneous Poisson processes whose intensity and its integral are known.

An intensity has ``rate(t)`` = λ(t), ``integral(t)`` = Λ(t) = ∫₀ᵗ λ in closed form, ``bound``, which λ never exceeds,
and ``end``. ``draw`` makes sequences of it, and ``Events`` holds many of them, of different lengths, in one tensor.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

# --- intensities ------------------------------------------------------------------------------------------------------


class Intensity(Protocol):
    """λ(t) on [0, end]; t of any shape, or (n, m) where each of n sequences has an intensity of its own."""

    @property
    def end(self) -> float: ...
    @property
    def bound(self) -> float: ...
    def rate(self, t: Tensor) -> Tensor: ...
    def integral(self, t: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Constant:
    """λ = level."""

    level: float = 4.0
    end: float = 10.0

    def __post_init__(self) -> None:
        _positive(level=self.level, end=self.end)

    @property
    def bound(self) -> float:
        return self.level

    def rate(self, t: Tensor) -> Tensor:
        return torch.full_like(t, self.level)

    def integral(self, t: Tensor) -> Tensor:
        return self.level * t


@dataclass(frozen=True)
class Bumps:
    """A base, and Gaussian bumps on it: λ = base + Σ height exp(-½ ((t - centre) / width)²)."""

    base: float = 0.5
    heights: tuple[float, ...] = (5.0, 4.0)
    centres: tuple[float, ...] = (3.0, 7.0)
    widths: tuple[float, ...] = (0.8, 0.6)
    end: float = 10.0

    def __post_init__(self) -> None:
        _positive(base=self.base, end=self.end)
        if not len(self.heights) == len(self.centres) == len(self.widths):
            sizes = f"{len(self.heights)}, {len(self.centres)} and {len(self.widths)}"
            raise ValueError(f"heights, centres and widths have {sizes} entries: give one of each for every bump")
        for height, width in zip(self.heights, self.widths, strict=True):
            _positive(heights=height, widths=width)

    @property
    def bound(self) -> float:
        return self.base + sum(self.heights)

    def rate(self, t: Tensor) -> Tensor:
        bumps = zip(self.heights, self.centres, self.widths, strict=True)
        return sum((a * torch.exp(-0.5 * ((t - c) / w).square()) for a, c, w in bumps), torch.full_like(t, self.base))

    def integral(self, t: Tensor) -> Tensor:
        total = self.base * t
        for a, c, w in zip(self.heights, self.centres, self.widths, strict=True):
            scale = w * math.sqrt(2)
            total = total + a * w * math.sqrt(math.pi / 2) * (torch.erf((t - c) / scale) + math.erf(c / scale))
        return total


@dataclass(frozen=True, eq=False)
class Sinusoid:
    """λ = mean (1 + depth sin(2π t / period + phase)).

    phase:  a number, or (n, 1) for n sequences with a phase of their own each.
    """

    mean: float = 4.0
    depth: float = 0.9
    period: float = 5.0
    phase: float | Tensor = 0.0
    end: float = 10.0

    def __post_init__(self) -> None:
        _positive(mean=self.mean, period=self.period, end=self.end)
        if not 0 <= self.depth <= 1:
            raise ValueError(f"depth must be from 0 to 1, not {self.depth}: beyond it the intensity is negative")

    @property
    def bound(self) -> float:
        return self.mean * (1 + self.depth)

    def rate(self, t: Tensor) -> Tensor:
        return self.mean * (1 + self.depth * torch.sin(2 * math.pi * t / self.period + self.phase))

    def integral(self, t: Tensor) -> Tensor:
        frequency, phase = 2 * math.pi / self.period, torch.as_tensor(self.phase, dtype=t.dtype)
        return self.mean * (t + self.depth * (phase.cos() - torch.cos(frequency * t + phase)) / frequency)


@dataclass(frozen=True)
class Steps:
    """Piecewise constant: levels[k] from jumps[k - 1] on, until jumps[k]."""

    levels: tuple[float, ...] = (1.0, 6.0)
    jumps: tuple[float, ...] = (4.0,)
    end: float = 10.0

    def __post_init__(self) -> None:
        if len(self.levels) != len(self.jumps) + 1:
            raise ValueError(f"levels has {len(self.levels)} entries for {len(self.jumps)} jumps: give one more")
        if not min(self.levels) >= 0 or not 0 < max(self.levels) < math.inf:
            raise ValueError(f"levels must be zero or positive, one of them positive, all finite, not {self.levels}")
        if list(self.jumps) != sorted({s for s in self.jumps if 0 < s < self.end}):
            raise ValueError(f"jumps must increase strictly between 0 and {self.end}, not {self.jumps}")

    @property
    def bound(self) -> float:
        return max(self.levels)

    def rate(self, t: Tensor) -> Tensor:
        jumps, levels = (torch.tensor(x, dtype=t.dtype) for x in (self.jumps, self.levels))
        return levels[torch.searchsorted(jumps, t.contiguous(), right=True)]

    def integral(self, t: Tensor) -> Tensor:
        starts, total = (0.0, *self.jumps), torch.zeros_like(t)
        for level, start, stop in zip(self.levels, starts, (*self.jumps, math.inf), strict=True):
            total = total + level * (t.clamp(max=stop) - start).clamp(min=0)
        return total


# --- sequences --------------------------------------------------------------------------------------------------------


class Events(NamedTuple):
    """Sequences of different lengths: times (…, n, m), increasing along the last axis where ``mask``, which is of the
    same shape, is True. The other entries are padding, behind the events; its times are within [0, end] as well."""

    times: Tensor
    mask: Tensor

    @property
    def counts(self) -> Tensor:
        """The number of events of each sequence, (…, n)."""
        return self.mask.sum(-1)

    def rows(self, rows: Any) -> "Events":
        """The sequences of these rows, any index of the first axes."""
        return Events(self.times[rows], self.mask[rows])

    def keep(self, chosen: Tensor) -> "Events":
        """Only the events where ``chosen`` (of the times' shape) is True, with no more padding than they need."""
        mask = self.mask & chosen
        order = torch.sort((~mask).to(torch.uint8), dim=-1, stable=True).indices  # events first, in their order
        width = max(1, int(mask.sum(-1).max()))
        return Events(*(x.gather(-1, order)[..., :width] for x in (self.times, mask)))

    def halves(self, generator: torch.Generator) -> tuple["Events", "Events"]:
        """Each event in one of two halves, by the toss of a coin. The halves of a Poisson process of intensity λ are
        Poisson processes of intensity λ/2, independent of each other."""
        coin = torch.rand(self.times.shape, generator=generator) < 0.5
        return self.keep(coin), self.keep(~coin)

    def apart(self, time: float) -> tuple["Events", "Events"]:
        """The events before ``time``, and those from it on."""
        return self.keep(self.times < time), self.keep(self.times >= time)


def padded(rows: Sequence[Tensor], width: int | None = None) -> Events:
    """Sequences given one by one, each increasing, as ``Events`` (n, width); padding repeats a sequence's last time.

    Raises ValueError for a row that does not increase, or is longer than ``width`` (by default the longest row's).
    """
    longest = max(1, *(len(row) for row in rows), 0)
    width = longest if width is None else width
    if width < longest:
        raise ValueError(f"width is {width}, and the longest sequence has {longest} events: give that at least")
    times = torch.zeros(len(rows), width, dtype=rows[0].dtype)
    for i, row in enumerate(rows):
        if row.ndim != 1 or not bool((row.diff() > 0).all()):
            raise ValueError(f"rows[{i}] must be times that increase strictly, of shape (m,): sort it")
        times[i, : len(row)] = row
        if len(row):
            times[i, len(row) :] = row[-1]
    return Events(times, torch.arange(width) < torch.tensor([[len(row)] for row in rows]))


def side_by_side(rows: Sequence[Events], dtype: torch.dtype = torch.float32) -> Events:
    """Several sets of n sequences each as one, (len(rows), n, m)."""
    width = max(row.times.shape[-1] for row in rows)
    times, mask = (torch.stack([F.pad(x, (0, width - x.shape[-1])) for x in xs]) for xs in zip(*rows, strict=True))
    return Events(times.to(dtype), mask)


def draw(intensity: Intensity, n: int, generator: torch.Generator, dtype: torch.dtype = torch.float64) -> Events:
    """n sequences by thinning (Lewis & Shedler 1979): events of the constant intensity ``bound``, each kept with
    probability λ(t) / bound.

    ``generator`` is the CPU's, and settles them. Raises ValueError where λ is negative or exceeds its bound.
    """
    if n < 1:
        raise ValueError(f"n must be 1 at least, not {n}")
    expected = torch.full((n, 1), intensity.bound * intensity.end, dtype=torch.float64)
    counts = torch.poisson(expected, generator=generator)
    width = max(1, int(counts.max()))
    times = intensity.end * torch.rand(n, width, generator=generator, dtype=torch.float64)
    share = intensity.rate(times) / intensity.bound
    if not bool(((share >= 0) & (share <= 1 + 1e-9)).all()):
        raise ValueError(f"the intensity leaves [0, {intensity.bound:g}], its bound: give the bound that it keeps")
    kept = torch.rand(n, width, generator=generator, dtype=torch.float64) < share
    times, order = times.sort(-1)
    mask = ((torch.arange(width) < counts) & kept).gather(-1, order)
    events = Events(times, mask).keep(mask)
    return Events(events.times.to(dtype), events.mask)


def rescaled(events: Events, intensity: Intensity) -> Tensor:
    """The gaps between events in the time Λ, all sequences laid end to end, (total,): draws of Exp(1) where λ is the
    events' intensity, by the time-rescaling theorem (Brown et al. 2002)."""
    times = events.times.double()
    whole = intensity.integral(torch.full_like(times[..., :1], intensity.end))
    before = whole.cumsum(0) - whole
    at = (before + intensity.integral(times))[events.mask]
    return at.diff(prepend=at.new_zeros(1))


def _positive(**numbers: float) -> None:
    for name, x in numbers.items():
        if not 0 < x < math.inf:
            raise ValueError(f"{name} must be positive and finite, not {x}")
