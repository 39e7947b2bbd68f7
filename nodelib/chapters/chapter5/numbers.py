"""The numbers of chapter 5's explorers of spirals: what a latent ODE makes of few, noisy, or missing observations; and
where its latent states lie."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nodelib.data.spirals import STEPS, SpiralSet
from nodelib.models.latent import LatentODE
from nodelib.models.series import Series

from .figures import seen_of

HORIZON = 3.0  # in windows: as far as a forecast is drawn
POINTS = round(HORIZON * STEPS) + 1


class Forecast(NamedTuple):
    """What a model makes of some observations of one spiral, in the plane's units.

    t, x:     the observations, (k,) and (k, 2).
    found:    what the model draws at the times ``Observations.t``, (POINTS, 2); of it, ``until`` points are shown.
    clean:    the spiral without noise there.
    gap:      begin and end of the times without observations.
    """

    spiral: int
    t: np.ndarray
    x: np.ndarray
    found: np.ndarray
    clean: np.ndarray
    until: int
    noise: float
    gap: tuple[float, float]

    @property
    def distance(self) -> np.ndarray:
        """From the spiral without noise, at each time."""
        return np.linalg.norm(self.found - self.clean, axis=1)

    @property
    def window(self) -> float:
        """The root mean square error of a coordinate in the observed window."""
        return rms(self.found[:STEPS] - self.clean[:STEPS])

    @property
    def further(self) -> float:
        """The same after it, as far as it is shown; nan where nothing is."""
        return (
            rms(self.found[STEPS : self.until] - self.clean[STEPS : self.until]) if self.until > STEPS + 1 else np.nan
        )


def rms(x: np.ndarray) -> float:
    """The root mean square of all entries."""
    return float(np.sqrt(np.mean(np.square(x))))


class Observations:
    """Test spirals, and a latent ODE that was trained on 30 observations of each.

    One spiral keeps its order of observations and its noise, whatever the number of them and the noise's size.
    """

    def __init__(self, model: LatentODE, spirals: SpiralSet, series: int = 20):
        self.model, self.spirals, self.series = model, spirals, series
        self.t = np.linspace(0, HORIZON, POINTS)
        generator = torch.Generator().manual_seed(0)
        self.order = torch.rand(series, STEPS, generator=generator).argsort(1)
        self.noise = torch.randn(series, STEPS, 2, generator=generator, dtype=torch.float64)
        times = torch.as_tensor(self.t)
        self.clean = spirals.test.curves.at(times)[:series]

    @torch.no_grad()
    def at(self, spiral: int, k: int, noise: float, gap: float, until: float) -> Forecast:
        """The numbers of the explorer: k observations, fewer where a gap of that length in the window's middle does not
        leave so many; noise in the plane's units; a horizon in windows."""
        low, high = round((1 - gap) / 2, 9), round((1 + gap) / 2, 9)  # so that 0.15 is 0.15
        order = self.order[spiral]
        t = order.double() / STEPS
        kept = order[(t < low) | (t >= high)] if gap else order
        step = kept[:k].sort().values
        x = self.clean[spiral, step] + noise * self.noise[spiral, step]
        seen = self.normalised(x)[None], (step / STEPS)[None].to(torch.float32)
        found = self.model.forecast(Series(*seen), torch.as_tensor(self.t, dtype=torch.float32))[0]
        return Forecast(
            spiral,
            (step.double() / STEPS).numpy(),
            x.numpy(),
            self.own(found).numpy(),
            self.clean[spiral].numpy(),
            round(until * STEPS) + 1,
            noise,
            (low, high),
        )

    def normalised(self, x: Tensor) -> Tensor:
        """From the plane's units to the model's."""
        return ((x - self.spirals.mean) / self.spirals.scale).float()

    def own(self, x: Tensor) -> Tensor:
        """From the model's units to the plane's."""
        return x.double() * self.spirals.scale + self.spirals.mean


SENSES = (1, -1)  # counter-clockwise, clockwise


class Start(NamedTuple):
    """A latent start between the two planes, and what is seen of its trajectory.

    mix:    0 on the plane of the counter-clockwise spirals, 1 on that of the clockwise ones.
    paths:  the trajectory as each plane sees it, two of (200, 2).
    seen:   what is decoded, (200, 2), in the plane's units.
    turns:  how often its direction turns in the window, counter-clockwise positive.
    """

    angle: float
    mix: float
    paths: tuple[np.ndarray, np.ndarray]
    seen: np.ndarray
    turns: float


class LatentPlanes:
    """Where q puts the starts of the test series: for each sense of rotation the plane in which they vary most.

    means:    of q, (n, D); sense: 1 or -1, (n,).
    centres, axes, sizes:  of each of the ``SENSES`` the mean, (2, D); two unit vectors, (2, 2, D); and the root mean
              square distance from the mean within the plane, (2,).
    shares:   how much of its own starts' variance each plane has, (2,).
    cosines:  of the two principal angles between the planes, the largest first: 0 where they are at right angles.
    """

    @torch.no_grad()
    def __init__(self, model: LatentODE, spirals: SpiralSet):
        self.model, self.spirals = model, spirals
        curves: Any = spirals.test.curves
        self.means, self.sense = model.encode(seen_of(spirals))[0], curves.sense.numpy()
        centres, axes, sizes, shares = [], [], [], []
        for sense in SENSES:
            z = self.means[curves.sense == sense]
            centre = z.mean(0)
            _, singular, directions = torch.linalg.svd(z - centre, full_matrices=False)
            largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
            centres.append(centre)
            axes.append((directions * largest.sign())[:2])  # so that the sign, a library's choice, does not matter
            sizes.append((singular[:2].square().sum() / len(z)).sqrt())
            shares.append(float(singular[:2].square().sum() / singular.square().sum()))
        self.centres, self.axes, self.sizes = torch.stack(centres), torch.stack(axes), torch.stack(sizes)
        self.shares, self.cosines = np.array(shares), torch.linalg.svdvals(self.axes[0] @ self.axes[1].T).numpy()
        self.starts = tuple(self.on_plane(self.means, i) for i in range(2))

    def on_plane(self, z: Tensor, i: int) -> np.ndarray:
        """States (…, D) as the plane of ``SENSES[i]`` sees them, (…, 2)."""
        return ((z - self.centres[i]) @ self.axes[i].T).numpy()

    def start(self, angle: float, mix: float) -> Tensor:
        """The latent start (D,) at an angle, in turns, of a circle in either plane, and between the two."""
        turn = 2 * torch.pi * self.means.new_tensor(angle)
        on_circle = torch.stack([turn.cos(), turn.sin()])
        points = self.centres + self.sizes[:, None] * (on_circle @ self.axes)
        return (1 - mix) * points[0] + mix * points[1]

    @torch.no_grad()
    def at(self, angle: float, mix: float) -> Start:
        """The trajectory from there."""
        z = self.model.path(self.start(angle, mix)[None], self.spirals.grid)[:, 0]
        seen = self.model.decode(z).double() * self.spirals.scale + self.spirals.mean
        paths = self.on_plane(z, 0), self.on_plane(z, 1)
        return Start(angle, mix, paths, seen.numpy(), turns(seen[: STEPS + 1].numpy()))


def turns(curve: np.ndarray) -> float:
    """How often the direction of motion of a curve (times, 2) turns, counter-clockwise positive."""
    step = np.diff(curve, axis=0)
    angle = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
    return float((angle[-1] - angle[0]) / (2 * np.pi))
