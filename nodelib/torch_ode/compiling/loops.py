"""The solver's loops as torch operations alone, so that torch.compile can make one program of each.

They are ``adaptive_steps``, ``fixed_steps`` and ``outputs`` again, in the same letters, with one difference: no Python
number depends on a value of y. A loop is torch's ``while_loop``; what it has done is written into buffers of
``CAPACITY`` rows, and who calls it enters again while there is something left. Autograd must never look through such a
loop, for it would give wrong gradients without a word: ``loops_back.py`` differentiates step by step.

The numpy twin has no such file. Nothing here imports the eager path.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._higher_order_ops.while_loop import while_loop

from nodelib.common.controller import GROW, SAFETY, SHRINK, TINY
from nodelib.common.tableaus import Tableau

CAPACITY = 64  # attempts in one entry: more rows cost time in each attempt, fewer an entry more often
EPS = torch.finfo(torch.float64).eps
F64 = torch.float64
Norm = Callable[[Tensor], Tensor]  # of error ratios


class Rows(NamedTuple):
    """A tableau's numbers as floats, which the program has as constants."""

    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    b_err: tuple[float, ...]
    c: tuple[float, ...]
    dense: tuple[tuple[float, ...], ...]  # [m][i]: the coefficient of θ^(m+1) in b_i(θ)
    order: int
    fsal: bool


def rows_of(tableau: Tableau, order: int) -> Rows:
    """The numbers of a tableau."""

    def floats(numbers: Any) -> tuple[float, ...]:
        return tuple(map(float, numbers or ()))

    dense = tuple(map(floats, zip(*tableau.dense, strict=True)))
    a = tuple(map(floats, tableau.a))
    return Rows(a, floats(tableau.b), floats(tableau.b_err), floats(tableau.c), dense, order, tableau.fsal)


def weighted(weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    """Σ_i w_i k_i over the weights that are not zero."""
    total = None
    for w, k in zip(weights, slopes, strict=False):
        if w:
            total = w * k if total is None else total + w * k
    return torch.zeros_like(slopes[0]) if total is None else total


def rk_step(func: Callable, rows: Rows, y: Tensor, k0: Tensor, t: Tensor, t1: Tensor, to_y1: bool = False) -> Any:
    """(y at t1, [k_i]) of one explicit Runge-Kutta step from (t, y), where f is k0. HNW II.1.

    ``to_y1``: without the last slope of an FSAL pair, which y1 does not need.
    """
    k, h, y_i = [k0], (t1 - t).to(y.dtype), y
    for row, c in zip(rows.a[1:], rows.c[1:], strict=True):
        y_i = y + h * weighted(row, k)
        if to_y1 and rows.fsal and len(k) == len(rows.b) - 1:
            break
        time = t1 if c == 1 else t + c * (t1 - t)
        k.append(func(time.to(y.dtype), y_i))
    return (y_i if rows.fsal else y + h * weighted(rows.b, k)), k


def rms(x: Tensor) -> Tensor:
    """The root mean square, in double precision."""
    return torch.linalg.vector_norm(x).double() / x.numel() ** 0.5


def error_ratio(
    rows: Rows, norm: Norm, y: Tensor, y1: Tensor, k: list[Tensor], h: Tensor, rtol: Tensor, atol: Tensor
) -> Tensor:
    """The norm of the step's error estimate over the tolerance."""
    scale = atol.to(y.dtype) + rtol.to(y.dtype) * torch.maximum(y.abs(), y1.abs())
    return h.abs() * norm(weighted(rows.b_err, k) / scale)


def step_factor(ratio: Tensor, order: int) -> Tensor:
    """h_new / h of the "I" controller, as ``nodelib.common.controller.step_factor``."""
    wish = (SAFETY * ratio ** (-1 / order)).clamp(SHRINK, GROW)
    return torch.where(ratio < torch.inf, wish, SHRINK)


def select_first_step(
    func: Callable, rows: Rows, norm: Norm, y: Tensor, f: Tensor, t: Tensor, t_end: Tensor, tol: Any
) -> Tensor:
    """The first step's size, from one evaluation more. HNW II.4, as in ``steps.py``."""
    rtol, atol = (x.to(y.dtype) for x in tol)
    scale = atol + rtol * y.abs()
    d0, d1 = norm(y / scale), norm(f / scale)
    h0 = torch.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, (0.01 * d0 / d1).clamp_min(TINY))
    span = (t_end - t).abs()
    h0 = torch.minimum(h0, span)
    signed = h0 * torch.sign(t_end - t)
    trial = torch.where(h0 < span, t + signed, t_end)
    f1 = func(trial.to(y.dtype), y + signed.to(y.dtype) * f)
    d2 = norm((f1 - f) / scale) / h0
    most = torch.maximum(d1, d2)
    return torch.where(
        most <= 1e-15, (h0 * 1e-3).clamp_min(1e-6), torch.minimum(100 * h0, (0.01 / most) ** (1 / rows.order))
    )


def put(buffer: Tensor, i: Tensor, x: Tensor) -> Tensor:
    """The buffer with x as its row i."""
    return torch.index_copy(buffer, 0, i.reshape(1), x[None])


def row(buffer: Tensor, i: Tensor) -> Tensor:
    """Row i of the buffer."""
    return torch.index_select(buffer, 0, i.reshape(1))[0]


class Kept(NamedTuple):
    """What a solve keeps of its accepted steps: nothing, their states, or their states and slopes."""

    states: bool
    slopes: bool

    def buffers(self, y: Tensor, stages: int) -> list[Tensor]:
        """Room for (t, t1), the state at the start and at the end, and the slopes of each step."""
        found = []
        if self.states:
            first = torch.zeros((), dtype=torch.int64, device=y.device)
            states = put(y.new_zeros(CAPACITY + 1, *y.shape), first, y)
            found = [torch.zeros(CAPACITY, 2, dtype=F64, device=y.device), states]
        return [*found, y.new_zeros(CAPACITY, stages, *y.shape)] if self.slopes else found

    def write(self, buffers: Any, n: Tensor, t: Tensor, t1: Tensor, y1: Tensor, k: list[Tensor]) -> list[Tensor]:
        """The buffers with one step more; a rejected step is written over by the next."""
        new = []
        if self.states:
            new = [put(buffers[0], n, torch.stack([t, t1])), put(buffers[1], n + 1, y1)]
        return [*new, put(buffers[2], n, torch.stack(k))] if self.slopes else new


class Attempt(NamedTuple):
    """An attempted step: its end, size and error ratio, the state there, its slopes and the next step's first one, the
    size of the next attempt, and whether that is down to the rounding of t, or nan."""

    t1: Tensor
    h: Tensor
    ratio: Tensor
    accepted: Tensor
    y1: Tensor
    k: list[Tensor]
    k0: Tensor
    next_h: Tensor
    failed: Tensor

    def row(self, t: Tensor) -> Tensor:
        """What the log says of it."""
        return torch.stack([t, self.h, self.ratio, self.accepted.double()])

    def then(self, t: Tensor, y: Tensor, k0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(t, y, k0) of the next attempt."""
        ok = self.accepted
        return torch.where(ok, self.t1, t), torch.where(ok, self.y1, y), torch.where(ok, self.k0, k0)


def attempt(
    func: Callable, rows: Rows, norm: Norm, t: Tensor, h: Tensor, y: Tensor, k0: Tensor, limits: Any
) -> Attempt:
    """One step of an embedded pair; ``limits`` are t_end, rtol, atol, min_step and max_step. HNW II.4."""
    t_end, rtol, atol, shortest, longest = limits
    whole = torch.minimum(torch.maximum(h.abs(), shortest), longest)
    clipped = (t_end - t).abs() <= whole * (1 + 1e-10)
    t1 = torch.where(clipped, t_end, t + whole * torch.sign(t_end - t))
    h = t1 - t
    y1, k = rk_step(func, rows, y, k0, t, t1)
    ratio = error_ratio(rows, norm, y, y1, k, h, rtol, atol)
    accepted = (ratio <= 1) | (whole <= shortest)
    last = k[-1] if rows.fsal else func(t1.to(y.dtype), y1)
    next_h = h * step_factor(ratio, rows.order)
    return Attempt(t1, h, ratio, accepted, y1, k, last, next_h, ~accepted & ~(next_h.abs() > 10 * EPS * t.abs()))


def told(now: list[Tensor], y: Tensor, log: Tensor) -> Tensor:
    """The numbers that the caller reads, in one tensor: t, h, attempts, accepted, failed; is y finite?; the log."""
    return torch.cat([torch.stack([x.double() for x in (*now, torch.isfinite(y).all())]), log.flatten()])


def adaptive_loop(func: Callable, rows: Rows, norm: Norm, kept: Kept, numbers: Tensor, y: Tensor, k0: Tensor) -> Any:
    """Up to CAPACITY attempts of an embedded pair: (told, y, k0, n accepted, *buffers of what is kept).

    numbers: t, h, t_end, rtol, atol, min_step, max_step, how many attempts there is room for, and whether they are the
             first: then k0 is not looked at but evaluated, and where h is 0, the first step is chosen.
    """
    t, h, *limits, room, first = (x.clone() for x in numbers.unbind())  # a loop takes no views
    t_end, rtol, atol = limits[:3]

    def evaluate(y: Tensor, k0: Tensor, t: Tensor) -> Tensor:
        return func(t.to(y.dtype), y).clone()

    def known(y: Tensor, k0: Tensor, t: Tensor) -> Tensor:
        return k0.clone()

    def choose(y: Tensor, k0: Tensor, t: Tensor, h: Tensor, t_end: Tensor, rtol: Tensor, atol: Tensor) -> Tensor:
        return select_first_step(func, rows, norm, y, k0, t, t_end, (rtol, atol))

    def given(y: Tensor, k0: Tensor, t: Tensor, h: Tensor, t_end: Tensor, rtol: Tensor, atol: Tensor) -> Tensor:
        return h.clone()

    def going(i: Tensor, n: Tensor, t: Tensor, h: Tensor, failed: Tensor, *rest: Tensor) -> Tensor:
        return (t != t_end) & (i < room) & ~failed

    def body(i: Tensor, n: Tensor, t: Tensor, h: Tensor, failed: Tensor, y: Tensor, k0: Tensor, log: Tensor, *buffers):
        tried = attempt(func, rows, norm, t, h, y, k0, limits)
        log = put(log, i, tried.row(t))
        buffers = kept.write(buffers, n, t, tried.t1, tried.y1, tried.k)
        t, y, k0 = tried.then(t, y, k0)
        return i + 1, n + tried.accepted.long(), t, tried.next_h, tried.failed, y, k0, log, *buffers

    k0 = torch.cond(first > 0, evaluate, known, (y, k0, t))
    h = torch.cond(h == 0, choose, given, (y, k0, t, h, t_end, rtol, atol))
    zero = torch.zeros((), dtype=torch.int64, device=y.device)
    log = torch.zeros(CAPACITY, 4, dtype=F64, device=y.device)
    start = (zero, zero.clone(), t.clone(), h, zero > 0, y.clone(), k0, log, *kept.buffers(y, len(rows.b)))
    i, n, t, h, failed, y, k0, log, *buffers = while_loop(going, body, start)
    return told([t, h, i, n, failed], y, log), y, k0, n, *buffers


def adaptive_step(func: Callable, rows: Rows, norm: Norm, kept: Kept, numbers: Tensor, y: Tensor, k0: Tensor) -> Any:
    """``adaptive_loop`` for one attempt, without room: (told, y, k0, the next numbers, (t, t1), slopes if kept)."""
    t, h, *limits = numbers.unbind()
    tried = attempt(func, rows, norm, t, h, y, k0, limits)
    t1, y1, last = tried.then(t, y, k0)
    one = torch.ones_like(t)
    numbers = torch.cat([torch.stack([t1, tried.next_h]), numbers[2:]])
    now = told([t1, tried.next_h, one, tried.accepted, tried.failed], y1, tried.row(t))
    return now, y1, last, numbers, torch.stack([t, tried.t1])[None], *slopes_of(kept, tried.k)


def slopes_of(kept: Kept, k: list[Tensor]) -> list[Tensor]:
    """The slopes of one step, (1, stages, *y.shape), if they are kept."""
    return [torch.stack(k)[None]] if kept.slopes else []


def fixed_loop(func: Callable, rows: Rows, kept: Kept, grid: Tensor, n: Tensor, y: Tensor) -> Any:
    """n steps from each time of the grid, (CAPACITY + 1), to the next: (y, n, *buffers of what is ``kept``)."""

    def going(i: Tensor, y: Tensor, *buffers: Tensor) -> Tensor:
        return i < n

    def body(i: Tensor, y: Tensor, *buffers: Tensor) -> Any:
        t, t1 = row(grid, i), row(grid, i + 1)
        y1, k = rk_step(func, rows, y, func(t.to(y.dtype), y), t, t1)
        return i + 1, y1, *kept.write(buffers, i, t, t1, y1, k)

    zero = torch.zeros((), dtype=torch.int64, device=y.device)
    _, y, *buffers = while_loop(going, body, (zero, y.clone(), *kept.buffers(y, len(rows.b))))
    return y, n.clone(), *buffers


def fixed_step(func: Callable, rows: Rows, kept: Kept, grid: Tensor, y: Tensor) -> Any:
    """The step from the first time of the grid, (2), to the second: (y, (t, t1), slopes if they are kept)."""
    t, t1 = grid.unbind()
    y1, k = rk_step(func, rows, y, func(t.to(y.dtype), y), t, t1)
    return y1, grid[None].clone(), *slopes_of(kept, k)


def places(rows: Rows, t: Tensor, spans: Tensor, n: Tensor) -> tuple[Tensor, Tensor]:
    """The step, of n, that each time falls into, -1 where none; and h times the weights of its slopes there."""
    direction = torch.sign(spans[0, 1] - spans[0, 0])
    written = torch.arange(len(spans), device=t.device) < n
    began = torch.where(written, direction * spans[:, 0], torch.inf)
    ended = torch.where(written, direction * spans[:, 1], -torch.inf).max()
    ahead = direction * t
    step = torch.where(ahead <= ended, (began[None] < ahead[:, None]).sum(1) - 1, -1)
    t0, t1 = spans[step.clamp_min(0)].unbind(1)
    h = torch.where(step < 0, 1.0, t1 - t0)
    theta = torch.where(step < 0, 0.0, (t - t0) / h)[:, None]
    weights = torch.zeros(len(t), len(rows.b), dtype=F64, device=t.device)
    for m, numbers in enumerate(rows.dense, 1):
        weights = weights + theta**m * torch.tensor(numbers, dtype=F64, device=t.device)
    return step, h[:, None] * weights


def interpolate(
    rows: Rows, t: Tensor, ys: Tensor, n: Tensor, spans: Tensor, states: Tensor, slopes: Tensor | None = None
) -> Tensor:
    """ys with the states at those of the times t, (len(t)), that fall into the n steps; without slopes, at their ends.

    spans: (rows, 2), states: (rows + 1, *y.shape), slopes: (rows, stages, *y.shape), of which n are filled.
    """
    step, weights = places(rows, t, spans, n)
    at = step.clamp_min(0)
    begins = (t == spans[0, 0])[:, None]  # of an entry that is not the first it is there already, the same
    states = states.reshape(len(states), -1)
    new = states[at + 1]
    if slopes is not None:
        slopes = slopes.reshape(*slopes.shape[:2], -1)
        inside = states[at] + (weights.to(ys.dtype)[:, :, None] * slopes[at]).sum(1)
        new = torch.where((t == spans[at, 1])[:, None], new, inside)  # the end itself, unrounded
    old = torch.where(begins, states[:1], ys.reshape(len(t), -1))
    return torch.where((step >= 0)[:, None], new, old).view(ys.shape)
