"""Exercises of chapter 3 on blocks and steps."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib.workbook.check import Exercise

Field = Callable[[Any, Any], Any]


# 3.2 ------------------------------------------------------------------------------------------------------------------
def block_as_field(block: Callable[[Any], Any], n: int, t: float, z: Any) -> Any:
    return n * (block(z) - z)


def _block(rng: np.random.Generator) -> tuple:
    weights, bias, z = (torch.tensor(rng.normal(size=size)) for size in ((4, 4), 4, (3, 4)))
    return lambda h: h + torch.tanh(h @ weights + bias), int(rng.integers(2, 9)), float(rng.uniform()), z


BLOCK = Exercise(
    "3.2 A block as a field",
    block_as_field,
    _block,
    [
        ("That is where the block leads. A field says how fast to go there.", lambda block, n, t, z: block(z)),
        ("A step of Euler's method multiplies by its length, here 1/n. What undoes that?",
         lambda block, n, t, z: block(z) - z),
        ("The factor belongs to what is added, not to all that the block gives.",
         lambda block, n, t, z: n * block(z) - z),
        ("A field is what a step adds, for each unit of time. Here z is in it as well.",
         lambda block, n, t, z: z + n * (block(z) - z)),
        ("The time plays no part: the block does the same at each depth.",
         lambda block, n, t, z: t * n * (block(z) - z)),
    ],
    ("Write down one step of Euler's method of length 1/n, and ask that it be the block.",
     "z + (1/n) f(t, z) = block(z). Solve for f."),
)  # fmt: skip


# 3.3 ------------------------------------------------------------------------------------------------------------------
def ode_block(field: Field, z: Any, n: int) -> Any:
    for k in range(n):
        z = z + field(k / n, z) / n
    return z


def _steps(field: Field, z: Any, n: int, time: Callable[[int, int], float], h: float, count: int) -> Any:
    for k in range(count):
        z = z + h * field(time(k, n), z)
    return z


def _until_one(field: Field, z: Any, n: int) -> Any:
    t = 0.0
    while t < 1:
        z, t = z + field(t, z) / n, t + 1 / n
    return z


def _from_start(field: Field, z: Any, n: int) -> Any:
    return z + sum(field(k / n, z) for k in range(n)) / n


def _forgets(field: Field, z: Any, n: int) -> Any:
    for k in range(n):
        z = field(k / n, z) / n
    return z


SOLVERS = ("nodelib.torch_ode", "nodelib.numpy_ode", "torchdiffeq", "scipy")


class Borrowed(Exception):
    """A solver that others wrote stands where one was to be written."""


def _callers() -> Iterator[str]:
    """The modules of the functions that are being called, from the innermost."""
    frame = sys._getframe(1)
    while frame is not None:
        yield frame.f_globals.get("__name__", "")
        frame = frame.f_back


class _Flow:
    """A field that depends on the time, for a batch of four numbers each. No library's solver may call it."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.weights, self.bias, self.speed = (torch.tensor(rng.normal(size=size)) for size in ((4, 4), 4, 4))

    def __call__(self, t: Any, z: Any) -> Tensor:
        if any(name.startswith(SOLVERS) for name in _callers()):
            raise Borrowed("a library's solver calls the field. Write its steps yourself, in a loop.")
        z = torch.as_tensor(z, dtype=self.weights.dtype)
        return torch.tanh(z @ self.weights + self.bias) + self.speed * np.cos(5 * float(t))


MIDDLE = Exercise(
    "3.3 From memory",
    ode_block,
    lambda rng: (_Flow(rng), torch.tensor(rng.normal(size=(3, 4))), int(rng.integers(2, 9))),
    [
        ("From 0 to 1 in n steps: each is 1/n long, not 1.",
         lambda f, z, n: _steps(f, z, n, lambda k, n: k / n, 1, n)),
        ("The field is asked at the time 0 again and again.",
         lambda f, z, n: _steps(f, z, n, lambda k, n: 0, 1 / n, n)),
        ("The field is asked at the end of each step. Euler's method asks at its start.",
         lambda f, z, n: _steps(f, z, n, lambda k, n: (k + 1) / n, 1 / n, n)),
        ("The field is given the number of the step where it expects the time.",
         lambda f, z, n: _steps(f, z, n, lambda k, n: k, 1 / n, n)),
        ("The field is asked in the middle of each step. Euler's method asks at its start.",
         lambda f, z, n: _steps(f, z, n, lambda k, n: (k + 0.5) / n, 1 / n, n)),
        ("The last step begins at 1 - 1/n, not at 1: the times are k/n.",
         lambda f, z, n: _steps(f, z, n, lambda k, n: k / (n - 1), 1 / n, n)),
        ("A time that grows by 1/n may be a hair below 1 after n steps, and one step more follows. Count the steps.",
         _until_one),
        ("That stops a step before 1.", lambda f, z, n: _steps(f, z, n, lambda k, n: k / n, 1 / n, n - 1)),
        ("That goes a step past 1.", lambda f, z, n: _steps(f, z, n, lambda k, n: k / n, 1 / n, n + 1)),
        ("Each step starts where the last one ended. Here all start at z(0).", _from_start),
        ("A step adds to z, as a residual block does. Here what was there is lost.", _forgets),
        ("It gives back where it began.", lambda f, z, n: z),
    ],
    ("n blocks one after the other, all with the same weights, each a step of Euler's method.",
     "In a loop over k from 0 to n - 1: add to z one n-th of the field at the time k/n."),
)  # fmt: skip
