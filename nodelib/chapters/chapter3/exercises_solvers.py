"""Exercises of chapter 3 on gradients, and on what a solver is told."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nodelib.workbook.check import Exercise
from nodelib.workbook.values import unfinished

Field = Callable[[Any, Any], Any]


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


SCALED = Exercise(
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
class _Votes:
    """Stands in for a network's classes: ``votes(net, n)`` are those of 60 images; fewer change for larger n."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.seed = int(rng.integers(1 << 30))

    def __call__(self, net: int, n: int) -> Tensor:
        settled = np.random.default_rng([self.seed, net]).integers(0, 10, 60)
        rng = np.random.default_rng([self.seed, net, int(n)])
        moved = rng.uniform(size=60) < 1 / (1 + n)
        return torch.tensor(np.where(moved, rng.integers(0, 10, 60), settled))


def changed(classes: Callable[[Any, int], Tensor], net: Any, n: int) -> float:
    return float((classes(net, n) != classes(net, 2 * n)).float().mean())


def _differ(classes: Callable[[Any, int], Tensor], net: Any, n: float, m: float) -> float:
    return float((classes(net, int(n)) != classes(net, int(m))).float().mean())


CHANGED = Exercise(
    "3.7 Is it an ODE?",
    changed,
    lambda rng: (_Votes(rng), int(rng.integers(100)), int(rng.integers(2, 12))),
    [
        ("That is the share that stays.", lambda c, net, n: 1 - changed(c, net, n)),
        ("That is how many change. Their share is asked.", lambda c, net, n: 60 * changed(c, net, n)),
        ("That compares n steps with n + 1. Double them.", lambda c, net, n: _differ(c, net, n, n + 1)),
        ("That compares n steps with half as many. Double them.", lambda c, net, n: _differ(c, net, n, n // 2)),
        ("That compares n steps with their square.", lambda c, net, n: _differ(c, net, n, n * n)),
        ("That compares with 2 steps, not with 2 n.", lambda c, net, n: _differ(c, net, n, 2)),
        ("That is the mean change of the class's number. A 1 that becomes a 2 counts as much as one that becomes a 9.",
         lambda c, net, n: float((c(net, n) - c(net, 2 * n)).abs().float().mean())),
    ],
    ("Ask twice for the classes, and compare image by image.",
     "The mean of a tensor of True and False needs .float() first: (a != b).float().mean()."),
    rtol=1e-5,
)  # fmt: skip


# 3.8 ------------------------------------------------------------------------------------------------------------------
SAMPLES = 20_011  # a prime, so that no wave fits


class Made(Exercise):
    """An exercise with many right answers: ``measure(answer, n)`` says what an answer achieves, and that is compared
    with ``right(n)``. Its mistakes are answers as well."""

    def __init__(self, measure: Callable[[Any, int], Any], *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.measure = measure

    def judge(self, answer: Any) -> str | None:
        if unfinished(answer) or not callable(answer):
            return super().judge(answer)
        mistakes = [(sentence, self._measured(made)) for sentence, made in self.mistakes]
        achieved = Exercise(self.name, self.right, self.inputs, mistakes, self.hints, self.cases, self.rtol)
        return achieved.judge(self._measured(answer))

    def _measured(self, made: Callable) -> Callable[[int], Any]:
        return lambda n: self.measure(made, n)


def fools(rate: Callable[[int, Any], Any], n: int) -> tuple[bool, bool] | None:
    """For z' = rate(n, t) from 0 to 1: whether Euler's n and 2 n steps agree, and whether both are far from z(1)."""
    if unfinished(rate(n, 0.3)):
        return None

    def mean(times: np.ndarray) -> float:
        return float(np.mean([float(rate(n, float(t))) for t in times]))

    coarse, fine = (mean(np.arange(m) / m) for m in (n, 2 * n))
    exact = mean((np.arange(SAMPLES) + 0.5) / SAMPLES)
    return abs(coarse - fine) < 1e-6 * max(1.0, abs(exact)), abs(exact - fine) > 0.1


FOOL = Made(
    fools,
    "3.8 Fool the test",
    lambda n: (True, True),
    lambda rng: (int(rng.integers(2, 12)),),
    [
        ("The test is passed, and rightly: Euler's method is right on this field, to a tenth.", lambda n, t: 1.0),
        ("The result is wrong, but the test sees it: n and 2 n steps differ.", lambda n, t: 10 * t),
        ("With 2 n steps the result is right to a tenth, and it differs from that with n: the test sees it.",
         lambda n, t: math.sin(math.pi * n * t) ** 2),
    ],
    ("Euler's method sees the rate at the times k / n and k / (2 n), and nowhere else.",
     "Think of a wave that is 0 at all multiples of 1 / (2 n), and never below 0 between them."),
    cases=3,
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


def _gradient(f: Field, t: Any, z: Tensor, w: Tensor) -> Tensor:
    z = z.detach().requires_grad_()
    return torch.autograd.grad((w * f(t, z)[0]).sum(), z)[0]


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
        ("That is the square of the norm.", lambda f, t, z, w: leak(f, t, z, w) ** 2),
        ("That is the gradient for image 1. Its norm is asked.", lambda f, t, z, w: _gradient(f, t, z, w)[1]),
        ("That is image 1's gradient, summed. Its norm is asked.", lambda f, t, z, w: _gradient(f, t, z, w)[1].sum()),
    ],
    ("First one number: the weighed sum of f(t, z)[0]. Then its gradient by all of z.",
     "torch.autograd.grad(total, z)[0] has the shape of z, and z must have requires_grad_() before f is called."),
)  # fmt: skip
