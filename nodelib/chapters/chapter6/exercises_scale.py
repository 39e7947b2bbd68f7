"""Exercise 6.3: tolerances of the adjoint that do not know the loss's unit. The check runs them."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib.workbook.check import MISSING, Exercise, tried
from nodelib.workbook.values import numbers, unfinished

from .fields import exact, gradient, network, relative

UNITS = (1.0, 1e6, 1e-6)
TOLERANCE = 1e-4
CASES = ((0, 1.0, "sum"), (1, 2.0, "sum"), (2, 1.0, "mean"))  # seed, gain, loss
LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda ys: ys[-1].square().sum(),
    "mean": lambda ys: ys[-1].square().mean(),
}
TWO = "two positive numbers are asked, adjoint_rtol and adjoint_atol."
VANISHES = "for some g that is not small, adjoint_atol is next to nothing. A size is asked that vanishes with g alone."
SPREAD, LOOSE = 1.5, 3.0  # z is solved back with the same tolerances: evaluations cannot be quite equal


class ScaleFree(Exercise):
    """The answer is a function (g, rtol, atol) -> (adjoint_rtol, adjoint_atol), with g = dL/dy(t1), (samples, dim)."""

    def judge(self, answer: Any) -> str | None:
        """None where the unit makes no odds to evaluations and error, and the gradient is as good as the solve."""
        found = tried(answer, self._run)
        return found if isinstance(found, str) else None

    def _run(self, answer: Callable[..., Any]) -> str | None:
        for seed, gain, name in CASES:
            if trouble := self._tried(answer, seed, gain, name):
                return trouble
        return None

    def _tried(self, answer: Any, seed: int, gain: float, name: str) -> str | None:
        field, loss = network(seed, gain), LOSSES[name]
        same: dict[str, Any] = {"rtol": TOLERANCE, "atol": TOLERANCE, "loss": loss}
        g, truth, least, plenty = _known(seed, gain, name)
        found = []
        for unit in UNITS:
            given = answer(unit * g, TOLERANCE, TOLERANCE)
            if unfinished(given):
                return f"{MISSING}."
            pair = numbers(given)
            if pair is None or not positive(pair):
                return TWO
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                options = {"max_num_steps": 300}
                back = {"adjoint_rtol": float(pair[0]), "adjoint_atol": float(pair[1]), "adjoint_options": options}
                found.append(gradient(field, "adjoint", scale=unit, **same, **back))
        nfes, errors = [one.backward for one in found], [relative(one.value, truth) for one in found]
        if max(nfes) > SPREAD * min(nfes):
            told = ", ".join(f"{nfe} with the loss × {unit:g}" for nfe, unit in zip(nfes, UNITS, strict=True))
            return f"the way back takes {told} (the loss is a {name}): it still knows the unit.{self.advice()}"
        if trouble := vanishing(answer, g):
            return trouble
        if max(errors) > LOOSE * max(least, TOLERANCE):
            return f"the gradient of a {name} is off by {max(errors):.1e}: too loose, for at least one of the units."
        if max(nfes) > plenty:
            return f"the unit matters little, but {max(nfes)} evaluations on the way back are too many: too tight."
        return None


def positive(pair: Any) -> bool:
    """Are these two numbers that ``gradient`` takes as tolerances, the second of them not 0?"""
    return pair is not None and pair.shape == (2,) and bool(np.isfinite(pair).all() and pair[0] >= 0 and pair[1] > 0)


def vanishing(answer: Callable[..., Any], g: np.ndarray) -> str | None:
    """What is amiss where g's mean is 0, and where one of its entries is: is adjoint_atol of g's size there, too?"""
    usual = np.asarray(numbers(answer(g, TOLERANCE, TOLERANCE)))[1] / np.abs(g).mean()
    without = np.array(g)
    without[0, 0] = 0.0
    for other in (g - g.mean(), without, without[::-1, ::-1]):
        pair = numbers(answer(np.array(other), TOLERANCE, TOLERANCE))
        if pair is None or not positive(pair) or pair[1] < 0.1 * usual * np.abs(other).mean():
            return VANISHES
    return None


@cache
def _known(seed: int, gain: float, name: str) -> tuple[Any, Tensor, float, int]:
    """dL/dy(t1); the exact gradient; the error of the checkpointed one; and the evaluations back at a tolerance 1,000
    times tighter, relative to the size of dL/dy."""
    field, loss = network(seed, gain), LOSSES[name]
    same: dict[str, Any] = {"rtol": TOLERANCE, "atol": TOLERANCE, "loss": loss}
    truth, plain = exact(field, loss=loss), gradient(field, "checkpoint", **same)
    end = plain.end.requires_grad_()
    (g,) = torch.autograd.grad(loss(end[None]), end)
    tol = TOLERANCE / 1000
    tight: dict[str, Any] = {"adjoint_rtol": tol, "adjoint_atol": tol * float(g.square().mean().sqrt())}
    return g.numpy(), truth, relative(plain.value, truth), gradient(field, "adjoint", **same, **tight).backward


SCALE = ScaleFree(
    "6.3 The loss's unit", lambda: np.nan,
    hints=(
        "An error of a is a number in the unit of a, and so is what it is compared with. Which of the two tolerances "
        "has a unit?",
        "adjoint_rtol is a pure number and stays. adjoint_atol is to be atol times the size of g, such as its root "
        "mean square.",
    ),
)  # fmt: skip
