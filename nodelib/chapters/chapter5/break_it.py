"""Exercise 5.6: a series that begins as the model's spirals do, and that it cannot follow. The check runs the model."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nodelib.data.spirals import DECAY, STEPS, SpiralSet, make_spirals
from nodelib.models.flows import one_of
from nodelib.models.latent import LatentODE
from nodelib.models.series import Series
from nodelib.models.trained_series import STARTS, trained_series
from nodelib.workbook.check import MISSING, Exercise, tried
from nodelib.workbook.values import numbers, unfinished

Array = NDArray[Any]
Curve = Callable[[Array], Any]

TIMES = np.arange(STEPS) / STEPS  # what the model sees
FINE = np.arange(10 * STEPS) / (10 * STEPS)  # holds TIMES, to the last bit
APART = 1e-3  # of the three points that a speed and an acceleration are computed from
RADII = (0.6, 3.0)  # the spirals begin between 1 and 3, and shrink by e^-0.5
SPEED, ACCELERATION = 20.0, 150.0  # the largest spiral's are 19 and 119
HALF, LIKE = 0.5, 0.1  # until when, and within what, it is one of the spirals; the noise is as large
FACTOR = 5.0
BEST = 4
NUMBERS = "x(t) must give real, finite numbers: two for each of k times, as an array of shape (k, 2)."
REMEMBERS = "asked again, in another order or for other times beside it, x(t) is another. It may depend on t alone."


class Watched(NamedTuple):
    """A model that has seen spirals.

    follow:  ``follow(x)`` is what it makes of a series x at the 100 times of the window, (100, 2) in the plane's units.
    usual:   its root mean square error on its test series, seen at all of these times.
    """

    follow: Callable[[Array], Array]
    usual: float


def watched(model: LatentODE, spirals: SpiralSet) -> Watched:
    """The trained ``model``, one without an axis of models, and ``spirals``, the set it was trained on.

    The error is against the test series without noise, of which the model sees all 100 points with it.
    """
    grid, mean, scale = spirals.grid[:STEPS], spirals.mean.numpy(), spirals.scale

    def follow(x: Array) -> Array:
        seen = torch.tensor((x - mean) / scale).to(grid.dtype)[None]
        return model.forecast(Series(seen, grid[None]), grid)[0].double().numpy() * scale + mean

    test = spirals.test
    found = model.forecast(Series(test.noisy[:, :STEPS], grid.expand(len(test.noisy), -1)), grid)
    return Watched(follow, float((found - test.clean[:, :STEPS]).double().square().mean().sqrt()) * scale)


@cache
def trained() -> Watched:
    """The best, by its window, of the nine latent ODEs of Table 2 with 100 observations: several of them failed."""
    return watched(one_of(trained_series("latent ODE", 100), BEST), make_spirals(100, seed=BEST // STARTS))


class Lost(Exercise):
    """The answer is a curve x(t), (k, 2) at times (k,): until t = 0.5 one of the training's spirals, and never wider,
    narrower, faster or more bent than those, which the model that ``model()`` gives cannot follow."""

    def __init__(self, model: Callable[[], Watched], *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.model = model

    def judge(self, answer: Any) -> str | None:
        """None for such a curve, else which bound it breaks, or how well the model follows."""
        found = tried(answer, self._bounded)
        return found if isinstance(found, str) else self._followed(found)

    @staticmethod
    def _bounded(curve: Curve) -> str | Array:
        """What the model is to see, or why it is not shown, in words."""
        if unfinished(curve(TIMES.copy())):
            return f"{MISSING}."
        x = points(curve, TIMES)
        if x is None:
            return NUMBERS
        if trouble := no_curve(curve) or out_of_bounds(curve):
            return trouble
        again = points(curve, TIMES)  # it may have counted its calls
        return x if again is not None and same(again, x) else REMEMBERS

    def _followed(self, x: Array) -> str | None:
        model = self.model()
        error = float(np.sqrt(np.mean((model.follow(x) - x) ** 2)))
        if error >= FACTOR * model.usual:
            return None
        return (
            f"the model follows it with an error of {error:.2f}, {error / model.usual:.1f} times that on its test "
            f"series. {FACTOR:g} times are asked.{self.advice()}"
        )


def points(curve: Curve, t: Array) -> Array | None:
    """x(t) as an array; None where it is no real, finite (k, 2)."""
    x = numbers(curve(t.copy()))
    good = x is not None and x.shape == (len(t), 2) and not np.iscomplexobj(x) and np.isfinite(x).all()
    return x if good else None


def same(x: Array, y: Array) -> bool:
    """Are they the same, to single precision?"""
    return np.allclose(x, y, rtol=1e-5, atol=1e-5)


def no_curve(curve: Curve) -> str | None:
    """What keeps it from being a function of t alone, in words."""
    fine, order = points(curve, FINE), np.random.default_rng(5).permutation(len(FINE))
    if fine is None:
        return NUMBERS
    for t, known in ((FINE[order], fine[order]), (TIMES, fine[::10]), (TIMES[37:38], fine[370:371])):
        found = points(curve, t)
        if found is None:
            return NUMBERS
        if not same(found, known):
            return REMEMBERS
    return None


def out_of_bounds(curve: Curve) -> str | None:
    """The first bound that it breaks, where, and by how much, in words."""
    inner = FINE[FINE >= APART]
    before, x, after = (points(curve, inner + shift) for shift in (-APART, 0, APART))
    if before is None or x is None or after is None:
        return NUMBERS
    t, off = inner[inner <= HALF], off_spiral(inner[inner <= HALF], x[inner <= HALF])
    if off.max() > LIKE:
        return (
            f"until t = {HALF} it is to be one of the training's spirals, within {LIKE}; at t = {t[off.argmax()]:.2f} "
            f"the nearest is {off.max():.2g} away."
        )
    for found, least, most, says in (
        (np.linalg.norm(x, axis=1), *RADII,
         "it is {:.3g} from the origin. The training's spirals are between 0.6 and 3."),
        (np.linalg.norm(after - before, axis=1) / (2 * APART), 0, SPEED,
         "its speed is {:.3g}. At most 20 is allowed: the fastest spiral has 19."),
        (np.linalg.norm(after - 2 * x + before, axis=1) / APART**2, 0, ACCELERATION,
         "its acceleration is {:.3g}. At most 150 is allowed, for the largest spiral has 119: no jump, no corner."),
    ):  # fmt: skip
        worst = int(np.argmax(np.maximum(found - most, least - found)))
        if not 0.99 * least <= found[worst] <= 1.01 * most:
            return f"at t = {inner[worst]:.3f} {says.format(found[worst])}"
    return None


def off_spiral(t: Array, x: Array) -> Array:
    """How far each point is from the one, at its time, of the spiral that fits best: (k,).

    In complex numbers a spiral is c e^((-1/2 ± 2πi) t), and c is found by least squares; its size is kept from 1 to 3.
    """
    z, found = x @ np.array([1, 1j]), []
    for sense in (1, -1):
        unit = np.exp((-DECAY + 2j * np.pi * sense) * t)
        c = np.vdot(unit, z) / np.vdot(unit, unit)
        c *= np.clip(abs(c), 1, 3) / (abs(c) or 1)
        found.append(np.abs(z - c * unit))
    return min(found, key=lambda off: float(off.max()))


BREAK_IT = Lost(
    trained,
    "5.6 Break it", lambda: np.nan,
    hints=(
        "For a spiral the first half alone tells z₀, and z₀ settles the rest. To which second half does no z₀ lead?",
        "Let the angle slow down after t = 0.5 until it turns back: 2π (t - 2 max(t - 0.5, 0)²). The larger the "
        "spiral, the larger the error.",
    ),
)  # fmt: skip
