"""Probes of a field f(t, y), seen from outside: eigenvalues of its Jacobian, noise, rounding, jumps and kinks.

States are flat vectors here; ``flat`` makes such a field of any func. ``nodelib.experiments.diagnose`` asks them all.
"""

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nodelib.torch_ode.forms import Form
from nodelib.torch_ode.problem import instant

Flat = Callable[[float, Tensor], Tensor]  # (t, y of shape (n,)) -> f of shape (n,)
EXACT = 40  # entries of a state up to which the whole Jacobian is made
ROUNDS = 24  # of the power iteration; the growth over the second half counts


def flat(func: Callable[[Any, Any], Any], form: Form) -> Flat:
    """func as a field on flat states, with a float for the time."""
    return lambda t, y: form.flatten(func(instant(t, y), form.unflatten(y)))


def eigenvalue(f: Flat, t: float, y: Tensor) -> float:
    """The largest |λ| of ∂f/∂y at (t, y), y of shape (n,): exact for n up to ``EXACT``, else by power iteration on the
    transpose, whose growth over several rounds also tells the size of a complex pair. nan where f has no gradient."""
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        z = f(t, y)
        if not z.requires_grad:
            return float("nan")

        def product(v: Tensor) -> Tensor:
            (found,) = torch.autograd.grad(z, y, v, retain_graph=True, allow_unused=True, materialize_grads=True)
            return found

        if len(y) <= EXACT:
            rows = torch.stack([product(e) for e in torch.eye(len(y), dtype=y.dtype, device=y.device)])
            return float(torch.linalg.eigvals(rows).abs().max())
        return float(growth(lambda v: product(v[0])[None], _start(y)[None]))


def eigenvalues(f: Flat, t: float, y: Tensor, batch: int) -> Tensor:
    """The largest |λ| of each sample, (batch,), where f(t, ·) treats the samples, along the first axis of the state,
    apart from each other: their power iterations side by side, in one product a round."""
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        z = f(t, y)

        def product(v: Tensor) -> Tensor:
            (found,) = torch.autograd.grad(z, y, v.reshape(-1), retain_graph=True, materialize_grads=True)
            return found.reshape(batch, -1)

        return growth(product, _start(y).reshape(batch, -1))


def growth(product: Callable[[Tensor], Tensor], v: Tensor) -> Tensor:
    """By how much ``product`` makes each row of v, (rows, n), longer a round, the geometric mean of the last half."""
    total = torch.zeros(len(v), dtype=v.dtype, device=v.device)
    for i in range(ROUNDS):
        v = product(v / v.norm(dim=1, keepdim=True).clamp_min(torch.finfo(v.dtype).tiny))
        if i >= ROUNDS // 2:
            total = total + v.norm(dim=1).log()
    return (total / (ROUNDS - ROUNDS // 2)).exp()


def _start(y: Tensor) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(y.shape, generator=draw, dtype=torch.float64).to(y)


@torch.no_grad()
def noise(f: Flat, t: float, y: Tensor) -> float:
    """How much f differs from itself, evaluated twice at the same place; relative."""
    first, again = f(t, y).clone(), f(t, y)
    return float((again - first).norm() / first.norm().clamp_min(torch.finfo(y.dtype).tiny))


def floor(y: Tensor, rtol: Any, atol: Any) -> float:
    """What rounding the entries of y once comes to, as an error ratio: RMS of eps |y| / (atol + rtol |y|). Where it is
    not small, no step however short meets the tolerance but by chance."""
    return float((torch.finfo(y.dtype).eps * y.abs() / (atol + rtol * y.abs())).norm() / sqrt(len(y)))


class Break(NamedTuple):
    """A place where a function of time breaks: when, and by how much, as a part of its size."""

    t: float
    size: float


@torch.no_grad()
def bisect(g: Callable[[float], Tensor], a: float, b: float, finest: float, scale: float = 0.0) -> Break:
    """Follow the larger change of g into halves of [a, b] until they are ``finest`` wide. Where g breaks, the change
    stays; where it is smooth it goes down with the width, and a size of 0 is returned.

    ``scale``: the size of g elsewhere, which counts where it is small here.
    """
    ga, gb = g(a), g(b)
    changes = [float((gb - ga).norm())]
    while abs(b - a) > finest:
        middle = (a + b) / 2
        gm = g(middle)
        left, right = float((gm - ga).norm()), float((gb - gm).norm())
        a, b, ga, gb = (a, middle, ga, gm) if left >= right else (middle, b, gm, gb)
        changes.append(max(left, right))
    size = changes[-1] / max(scale, float(ga.norm()), float(gb.norm()), torch.finfo(ga.dtype).tiny)
    stays = len(changes) > 4 and changes[-1] >= 0.5 * changes[-5]
    return Break((a + b) / 2, size if stays else 0.0)


@torch.no_grad()
def place_of(g: Callable[[float], Tensor], a: float, b: float, single: bool) -> float:
    """Where in [a, b] g jumps, for ``jump_t``: of two neighbouring numbers, in ``single`` or double precision, that it
    jumps between, the one with fewer digits."""
    kind = np.float32 if single else np.float64
    low, high = kind(a), kind(b)
    g_low, g_high = g(float(low)), g(float(high))
    while low < (middle := kind((float(low) + float(high)) / 2)) < high:
        g_middle = g(float(middle))
        if float((g_middle - g_low).norm()) >= float((g_high - g_middle).norm()):
            high, g_high = middle, g_middle
        else:
            low, g_low = middle, g_middle
    rounded = (float(f"{high:.{digits}g}") for digits in range(1, 18))
    return next((x for x in rounded if low <= kind(x) <= high), float(high))


@torch.no_grad()
def breaks(
    g: Callable[[float], Tensor], intervals: Iterable[tuple[float, float]], finest: float, least: float
) -> list[Break]:
    """The places, no two closer than 100 times ``finest``, where g breaks by ``least`` or more in these intervals."""
    found: list[Break] = []
    intervals = list(intervals)
    scale = max((float(g(a).norm()) for a, _ in intervals), default=0.0)
    for a, b in intervals:
        place = bisect(g, a, b, finest, scale)
        if place.size >= least and all(abs(place.t - other.t) > 100 * finest for other in found):
            found.append(place)
    return found


def slope_along(f: Flat, path: Callable[[float], Tensor]) -> Callable[[float], Tensor]:
    """s -> (∂f/∂y)ᵀ w at the path's state at s, for one vector w: it breaks where f has a kink."""

    def g(s: float) -> Tensor:
        with torch.enable_grad():
            y = path(s).detach().requires_grad_()
            z = f(s, y)
            (found,) = torch.autograd.grad(z, y, _start(y), allow_unused=True, materialize_grads=True)
        return found

    return g
