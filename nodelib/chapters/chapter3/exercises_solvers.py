"""Exercises of chapter 3 on gradients, and on what a solver is told."""

import math
from collections.abc import Callable, Iterator, Mapping, ValuesView
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nodelib.workbook.check import Exercise
from nodelib.workbook.values import Odd, kind, numbers, unfinished

Field = Callable[[Any, Any], Any]


class Seen(Exercise):
    """An exercise that compares what ``see(answer)``, a function, gives with what is right; its mistakes as well."""

    def __init__(self, see: Callable[[Callable], Callable], *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.see = see

    def judge(self, answer: Any) -> str | None:
        if unfinished(answer) or not callable(answer):
            return super().judge(answer)
        mistakes = [(sentence, self.see(made)) for sentence, made in self.mistakes]
        seen = Exercise(self.name, self.right, self.inputs, mistakes, self.hints, self.cases, self.rtol)
        return seen.judge(self.see(answer))


# 3.6 ------------------------------------------------------------------------------------------------------------------
class _Blunt(torch.autograd.Function):
    """The identity, whose gradient loses what an absolute tolerance of 1e-3 does not see."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        return z.clone()

    @staticmethod
    def backward(ctx: Any, *g: Tensor) -> Tensor:
        return torch.round(g[0] / 1e-3) * 1e-3


class _Middle(nn.Module):
    """A map with two parameters, and a gradient as coarse as that of an adjoint with an absolute tolerance."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(rng.normal(size=(3, 3))))
        self.bias = nn.Parameter(torch.tensor(rng.normal(size=3)))

    def forward(self, z: Tensor) -> Tensor:
        return _Blunt.apply(torch.tanh(z @ self.weights + self.bias))  # type: ignore[return-value]


def scaled_gradient(middle: nn.Module, z: Tensor, parameters: tuple, g: Tensor, s: float) -> tuple:
    return tuple(part / s for part in torch.autograd.grad(middle(z), parameters, s * g))


def _loss(rng: np.random.Generator) -> tuple:
    middle = _Middle(rng)
    z, g = torch.tensor(rng.normal(size=(5, 3))), torch.tensor(rng.normal(size=(5, 3)))
    size = float(10 ** rng.uniform(-7, -5))
    return middle, z, tuple(middle.parameters()), size * g, float(10 ** rng.uniform(-0.5, 1) / size)


def parts(answer: Callable) -> Callable:
    """``answer``, but what a generator or a dictionary holds is given as a tuple."""

    @wraps(answer)
    def collected(*args: Any) -> Any:
        found = answer(*args)
        found = found.values() if isinstance(found, Mapping) else found
        return tuple(found) if isinstance(found, Iterator | ValuesView) else found

    return collected


SCALED = Seen(
    parts,
    "3.6 Make the solver see",
    scaled_gradient,
    _loss,
    [
        ("The solver still sees a gradient that is below its tolerance: scale g, and differentiate then.",
         lambda m, z, p, g, s: tuple(torch.autograd.grad(m(z), p, g))),
        ("Scaled, but not scaled back.", lambda m, z, p, g, s: tuple(torch.autograd.grad(m(z), p, s * g))),
        ("s is an argument: it is not always a million.",
         lambda m, z, p, g, s: tuple(part / 1e6 for part in torch.autograd.grad(m(z), p, 1e6 * g))),
        ("The scale that is asked is s. Here g is scaled to a size of its own.",
         lambda m, z, p, g, s: scaled_gradient(m, z, p, g, float(1 / g.square().mean().sqrt()))),
    ],
    ("Three things in this order: scale g, differentiate, scale each part of the result back.",
     "torch.autograd.grad(middle(z), parameters, s * g) is the gradient of s times the loss, in parts."),
)  # fmt: skip


# 3.7 ------------------------------------------------------------------------------------------------------------------
class _Losses:
    """Stands in for a network: ``losses(n)`` are those of some images with n steps, and settle as n grows, most of them
    from one side and some from the other."""

    def __init__(self, rng: np.random.Generator) -> None:
        images = int(rng.integers(30, 90))
        self.settled = torch.tensor(rng.exponential(size=images) ** 2 + 0.01)
        self.moved = torch.tensor(rng.choice([-1, 1]) * rng.uniform(-0.7, 1.5, images))

    def __call__(self, n: float) -> Tensor:
        return self.settled * torch.exp(self.moved / float(n))


def convergence(loss: Callable[[int], Tensor], own: Tensor, n: int) -> tuple[Any, Any]:
    coarse, fine = loss(n).mean(), loss(2 * n).mean()
    return abs(fine / coarse - 1), fine / own.mean()


def _compared(loss: Callable[[int], Tensor], own: Tensor, n: int, m: int) -> tuple[Any, Any]:
    """With n and m steps."""
    coarse, fine = loss(n).mean(), loss(m).mean()
    return abs(fine / coarse - 1), fine / own.mean()


def _trained(rng: np.random.Generator) -> tuple:
    losses = _Losses(rng)
    own = losses.settled * torch.tensor(rng.uniform(0.1, 1.5, len(losses.settled)))
    return losses, own, int(rng.integers(2, 12))


CONVERGENCE = Exercise(
    "3.7 Is it an ODE?",
    convergence,
    _trained,
    [
        ("The second number is upside down: how many times the training's own loss is it?",
         lambda loss, own, n: (convergence(loss, own, n)[0], own.mean() / loss(2 * n).mean())),
        ("The second number takes the loss with n steps. That with 2 n lies nearer to the equation's.",
         lambda loss, own, n: (convergence(loss, own, n)[0], loss(n).mean() / own.mean())),
        ("The first number has a sign. By how much the loss changes is asked, up or down.",
         lambda loss, own, n: (loss(2 * n).mean() / loss(n).mean() - 1, loss(2 * n).mean() / own.mean())),
        ("The first number is a share of the loss with n steps, not with 2 n.",
         lambda loss, own, n: (abs(1 - loss(n).mean() / loss(2 * n).mean()), loss(2 * n).mean() / own.mean())),
        ("The first number is a loss. Which share of the loss with n steps is it?",
         lambda loss, own, n: (abs(loss(2 * n).mean() - loss(n).mean()), loss(2 * n).mean() / own.mean())),
        ("The second number is a mean of ratios, ruled by images that are easy in training. Take the means first.",
         lambda loss, own, n: (convergence(loss, own, n)[0], (loss(2 * n) / own).mean())),
        ("The first number is a mean over the images of what each changes. Take the means first.",
         lambda loss, own, n: (abs(loss(2 * n) / loss(n) - 1).mean(), convergence(loss, own, n)[1])),
        ("The first number adds up what each image moves, up or down. Take the means first, then their difference.",
         lambda loss, own, n: ((loss(2 * n) - loss(n)).abs().mean() / loss(n).mean(), convergence(loss, own, n)[1])),
        ("The first number is a share of the loss with n steps, not of the training's own.",
         lambda loss, own, n: (abs(loss(2 * n).mean() - loss(n).mean()) / own.mean(), convergence(loss, own, n)[1])),
        ("The second number is how many times the training's own loss, not how much more.",
         lambda loss, own, n: (convergence(loss, own, n)[0], loss(2 * n).mean() / own.mean() - 1)),
        ("That compares n steps with n + 1. Double them.", lambda loss, own, n: _compared(loss, own, n, n + 1)),
        ("That compares n steps with half as many. Double them.", lambda loss, own, n: _compared(loss, own, n, n // 2)),
        ("That compares n steps with their square. Double them.", lambda loss, own, n: _compared(loss, own, n, n * n)),
        ("The other way round: settling comes first, then the fit.",
         lambda loss, own, n: convergence(loss, own, n)[::-1]),
    ],
    ("Three means first: with n steps, with 2 n, and own. Then two ratios.",
     "The first is abs(fine / coarse - 1), the second fine / own, where each name stands for a mean over the images."),
    rtol=1e-5,
)  # fmt: skip


# 3.8 ------------------------------------------------------------------------------------------------------------------
SAMPLES = 499  # a prime, so that no wave fits
PRIMES = (5, 7, 11, 13, 17, 19, 23, 29, 31, 37)  # of steps: no one wave has a zero wherever each of them looks
FEW = (1, 2, 4, 6)  # what holds for odd n alone, or for many steps alone, is seen here
HAIR = 1e-9  # k / (2 n) is this near to what it is meant to be, and nearer


def fools(rate: Callable[[int, Any], Any], n: int) -> str | None:
    """What Euler's method with n and 2 n steps makes of z' = rate(n, t) from 0 to 1, in a word: "fooled" where the two
    agree and both are wrong, "right" or "near" where they are right or about to be, "seen" where they differ.

    "jumps" where they differ and the rate jumps at a multiple of 1 / (2 n), so that round-off decides what they see;
    "no rate" where it gives another value when it is asked at a time again; None where nothing is written yet.
    """
    if unfinished(rate(n, 0.3)):
        return None
    times = [np.arange(m) / m for m in (n, 2 * n)] + [(np.arange(SAMPLES) + 0.5) / SAMPLES]
    values = [np.array([_number(rate(n, float(t))) for t in asked]) for asked in times]
    for asked, found in zip(times, values, strict=True):
        if any(_number(rate(n, float(t))) != value for t, value in list(zip(asked, found, strict=True))[::-7]):
            return "no rate"
    ends = times[1][1:], values[1][1:]
    coarse, fine, exact = (float(found.mean()) for found in values)
    if abs(coarse - fine) < 1e-6:
        return "fooled" if abs(exact - fine) > 0.1 else "right"
    if any(abs(_number(rate(n, float(t) + s * HAIR)) - v) > 0.1 for t, v in zip(*ends, strict=True) for s in (-1, 1)):
        return "jumps"
    return "seen" if abs(exact - fine) > 0.1 else "near"


def _number(value: Any) -> float:
    """One finite number, also where it comes as an array or a list of one."""
    if isinstance(value, float) and math.isfinite(value):  # by far the most
        return float(value)
    array = numbers(value)
    if array is None or array.size != 1 or np.iscomplexobj(array):
        raise Odd("a complex number" if array is not None and array.size == 1 else kind(value))
    if not np.isfinite(array.item()):
        raise Odd("nan or infinity")
    return array.item()


def _fooled(rate: Callable) -> Callable[[int], Any]:
    return lambda n: fools(rate, n)


FOOL = Seen(
    _fooled,
    "3.8 Fool the test",
    lambda n: "fooled",
    lambda rng: (int(rng.choice((*FEW, *PRIMES))),),
    [
        ("The two agree, and rightly: Euler's method is right on this field, to a tenth.", lambda n, t: 1.0),
        ("The result is wrong, but it is seen: n and 2 n steps differ, if only by little beside the error.",
         lambda n, t: 1e7 * math.sin(2 * math.pi * n * t) ** 2 + t),
        ("With 2 n steps the result is right to a tenth, and it differs from that with n.",
         lambda n, t: math.sin(math.pi * n * t) ** 2),
        ("A rate that jumps where they look is seen: in floating point k / (2 n) is a hair off. Take a continuous one.",
         lambda n, t: float((2 * n * t) % 1 > 0.5)),
        ("One point left out is seen: in floating point k / (2 n) is a hair off. Take a continuous rate.",
         lambda n, t: float((2 * n * t) % 1 > 0)),
        ("Asked twice at one time, it gives two values. A rate is a function of n and t.",
         lambda n, t: np.random.default_rng().uniform()),
        ("It fools the two for some n only: a wave of one length has zeros where they look by chance. Build it from n.",
         lambda n, t: math.sin(27720 * math.pi * t) ** 2),
    ],
    ("Euler's method sees the rate at the times k / n and k / (2 n), and nowhere else.",
     "Think of a wave that is 0 at all multiples of 1 / (2 n), and never below 0 between them."),
    cases=12,
)  # fmt: skip


# 3.9 ------------------------------------------------------------------------------------------------------------------
class _Mixed:
    """A field of four numbers an image, which depends on the time; ``share`` of it is the mean over the batch."""

    def __init__(self, rng: np.random.Generator, share: float) -> None:
        self.weights, self.share = torch.tensor(rng.normal(size=(4, 4))), share

    def __call__(self, t: Any, z: Tensor) -> Tensor:
        seen = z + self.share * (z.mean(0) + z[1] - z[2] / 2)
        return torch.tanh(seen @ self.weights) * (1 + 3 * torch.as_tensor(t, dtype=z.dtype))


def leak(f: Field, t: Any, z: Tensor, w: Tensor) -> Tensor:
    z = z.detach().requires_grad_()
    return torch.autograd.grad((w * f(t, z)[0]).sum(), z)[0][1].norm()


def _gradient(f: Field, t: Any, z: Tensor, w: Tensor, image: int = 0) -> Tensor:
    z = z.detach().requires_grad_()
    return torch.autograd.grad((w * f(t, z)[image]).sum(), z)[0]


def _all_images(f: Field, t: Any, z: Tensor, w: Tensor) -> Tensor:
    z = z.detach().requires_grad_()
    return torch.autograd.grad((w * f(t, z)).sum(), z)[0][1].norm()


def _batch(rng: np.random.Generator) -> tuple:
    z, w = torch.tensor(rng.normal(size=(5, 4))), torch.tensor(rng.normal(size=4))
    return _Mixed(rng, float(rng.uniform(0.2, 1))), torch.tensor(float(rng.uniform(0.2, 1))), z, w


LEAK = Exercise(
    "3.9 Who sees whom",
    leak,
    _batch,
    [
        ("That is what image 0 itself gets.", lambda f, t, z, w: _gradient(f, t, z, w)[0].norm()),
        ("That is what all other images get. Image 1 alone is asked.",
         lambda f, t, z, w: _gradient(f, t, z, w)[1:].norm()),
        ("That is what the whole batch gets. Image 1 alone is asked.",
         lambda f, t, z, w: _gradient(f, t, z, w).norm()),
        ("The field is asked at another time than t.", lambda f, t, z, w: leak(f, 0.0, z, w)),
        ("The weights w are missing.", lambda f, t, z, w: leak(f, t, z, torch.ones_like(w))),
        ("The field of image 0 alone is weighed, not that of all images.", _all_images),
        ("The other way round: how the field of image 0 feels image 1.",
         lambda f, t, z, w: _gradient(f, t, z, w, 1)[0].norm()),
        ("That is the square of the norm.", lambda f, t, z, w: leak(f, t, z, w) ** 2),
        ("That is the gradient for image 1. Its norm is asked.", lambda f, t, z, w: _gradient(f, t, z, w)[1]),
        ("That is image 1's gradient, summed. Its norm is asked.", lambda f, t, z, w: _gradient(f, t, z, w)[1].sum()),
    ],
    ("First one number: the weighed sum of f(t, z)[0]. Then its gradient by all of z.",
     "torch.autograd.grad(total, z)[0] has the shape of z, and z must have requires_grad_() before f is called."),
)  # fmt: skip
