"""States of one ODE for a batch of series, each at times of its own: three ways, with one interface.

``by_union``      one solve for all series that meets every time of any of them. Exact to the solver's tolerance; for
                  times on a grid, since the solve has as many outputs as there are different times.
``by_hermite``    one solve on a few knots that all share, cubic Hermite polynomials between them (error O(h⁴) of the
                  knots' distance h). For times on no grid.
``by_rescaling``  from each time of a series to its next by a solve of its own length, all series at once: time is
                  measured in shares of each interval, g(s, z) = Δt f(t + s Δt, z) on 0 ≤ s ≤ 1. As many solves one
                  after the other as a series has times; the only way for a model that jumps at its observations.

All take z0 (*models, batch, D) at the time ``start`` and t (*models, batch, times), increasing along the last axis and
not before ``start``, and give (*models, batch, times, D). ``solver`` is any of ``nodelib.torch_ode``'s gradients.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nodelib.torch_ode import odeint

Field = Callable[[Tensor, Tensor], Tensor]


def by_union(
    f: Field, z0: Tensor, t: Tensor, start: float = 0.0, solver: Callable[..., Any] = odeint, **settings: Any
) -> Tensor:
    """The states at t, from one solve with an output at each different time of the whole batch."""
    check_series(z0, t, start)
    union, place = torch.unique(torch.cat([t.new_tensor([start]), t.flatten()]), return_inverse=True)
    if len(union) == 1:
        return z0[..., None, :].expand(*t.shape, z0.shape[-1])
    return gathered(solver(f, z0, union, **settings), place[1:].view(t.shape))


def gathered(z: Tensor, place: Tensor) -> Tensor:
    """States z (K, *models, batch, D) at places (*models, batch, times) of the first axis: (…, times, D)."""
    place = place.movedim(-1, 0)[..., None]
    return z.gather(0, place.expand(*place.shape[:-1], z.shape[-1])).movedim(0, -2)


def by_hermite(
    f: Field,
    z0: Tensor,
    t: Tensor,
    start: float = 0.0,
    solver: Callable[..., Any] = odeint,
    knots: int = 26,
    **settings: Any,
) -> Tensor:
    """The states at t, from a solve on so many equally spaced ``knots`` from ``start`` to the last of all times.

    f takes all the knots' states at once for the slopes there, so it may not depend on t. Raises ValueError for fewer
    than two knots.
    """
    check_series(z0, t, start)
    if knots < 2:
        raise ValueError(f"knots is {knots}: two at least, the beginning and the end")
    end = float(t.max())
    if end == start:
        return z0[..., None, :].expand(*t.shape, z0.shape[-1])
    at = torch.linspace(start, end, knots, dtype=t.dtype, device=t.device)
    z = solver(f, z0, at, **({"method": "rk4"} | settings))
    slopes = torch.stack([f(time, state) for time, state in zip(at, z, strict=True)])
    return hermite(at, z, slopes, slopes, t)


def hermite(knots: Tensor, y: Tensor, after: Tensor, before: Tensor, t: Tensor) -> Tensor:
    """Cubic Hermite interpolation (HNW II.6) at t (*batch, times): (*batch, times, D).

    knots:          increasing times, (K,), which t stays within.
    y:              values there, (K, *batch, D).
    after, before:  the slopes just after each knot and just before it, like y; they differ where the slope jumps.
    """
    left = (torch.searchsorted(knots, t.contiguous(), right=True) - 1).clamp(0, len(knots) - 2)
    h = knots.diff()[left][..., None]
    s = (t - knots[left])[..., None] / h
    y0, y1, d0, d1 = (gathered(x, k) for x, k in ((y, left), (y, left + 1), (after, left), (before, left + 1)))
    r = 1 - s
    return y0 * (r * r * (1 + 2 * s)) + y1 * (s * s * (1 + 2 * r)) + (d0 * r - d1 * s) * (h * s * r)


def by_rescaling(
    f: Field,
    z0: Tensor,
    t: Tensor,
    start: float = 0.0,
    solver: Callable[..., Any] = odeint,
    jump: Callable[[int, Tensor], Tensor] | None = None,
    **settings: Any,
) -> Tensor:
    """The states at t, interval by interval.

    jump:  (i, z) -> z after observation i, from which the next interval starts; the states that are returned are those
           before it. None: no jumps.
    By default an interval is one step of rk4.
    """
    check_series(z0, t, start)
    settings = {"method": "rk4"} | settings
    ends = t.unbind(-1)
    z, now, found, unit = z0, torch.full_like(ends[0], start), [], t.new_tensor([0.0, 1.0])
    for i, end in enumerate(ends):
        begin, span = now[..., None], (end - now)[..., None]
        z = solver(lambda s, y, begin=begin, span=span: span * f(begin + s * span, y), z, unit, **settings)[-1]
        found.append(z)
        z, now = z if jump is None else jump(i, z), end
    return torch.stack(found, -2)


def check_series(z0: Tensor, t: Tensor, start: float) -> None:
    """Raise ValueError unless z0 and t belong together and t increases from ``start`` on."""
    if t.shape[:-1] != z0.shape[:-1] or t.ndim < 2:
        wanted = ", ".join(map(str, z0.shape[:-1]))
        raise ValueError(f"t must have shape ({wanted}, times), a row for each row of z0, got {tuple(t.shape)}")
    if t.shape[-1] == 0:
        raise ValueError("t has no times: give each series one at least")
    if not bool((t.diff(dim=-1) >= 0).all()) or not bool((t[..., 0] >= start).all()):
        raise ValueError(f"t must increase along its last axis, from start = {start} on: sort it, or begin earlier")
