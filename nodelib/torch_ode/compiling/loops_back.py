"""The way back of ``loops.py``: each step taken again and differentiated, last step first, as torch operations alone.

It is ``checkpoint_gradients`` of ``checkpoint.py`` for torch.compile. The loop is a second ``while_loop``, in the body
of which the product with a step's Jacobian is made.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._higher_order_ops.while_loop import while_loop
from torch.func import vjp

from nodelib.torch_ode.compiling.loops import Rows, places, rk_step, row


def shares(rows: Rows, t: Tensor, g: Tensor, n: Tensor, spans: Tensor, slopes: bool) -> tuple[Tensor, ...]:
    """dL/d(state at the end of each step), and with ``slopes`` at its start and of its slopes, flat, that the outputs
    at the times t, with dL/dys = g, give by ``interpolate``."""
    step, weights = places(rows, t, spans, n)
    flat, at = g.reshape(len(g), -1), step.clamp_min(0)
    here = step[None] == torch.arange(len(spans), device=t.device)[:, None]
    if not slopes:
        return (here.to(g.dtype) @ flat,)
    ends = here & (t == spans[at, 1])[None]
    inside = (here & ~ends).to(g.dtype)
    parts = [(inside * weights[:, i].to(g.dtype)) @ flat for i in range(len(rows.b))]
    return ends.to(g.dtype) @ flat, inside @ flat, torch.stack(parts, 1)


def step_back(
    func: Callable, params: Any, rows: Rows, t: Tensor, t1: Tensor, y: Tensor, was: Tensor, a: Tensor, into: Any
) -> tuple[Tensor, Tensor, Any]:
    """(dL/dy, change, dL/dθ) of one step from y at t to t1, where dL/dy1 = a and it ended in ``was`` on the way there.

    func: (params, t, y) -> f;  into: the shares of the outputs in the step, ``shares``, for this step.
    """
    slopes = len(into) > 1

    def step(params: Any, y: Tensor) -> Any:
        def f(t: Tensor, y: Tensor) -> Tensor:
            return func(params, t, y)

        y1, k = rk_step(f, rows, y, f(t.to(y.dtype), y), t, t1, to_y1=not slopes)
        return (y1, torch.stack(k)) if slopes else y1

    made: Any = vjp(step, params, y)
    now, pull = made
    if into:
        a = a + into[0].view(y.shape)
    if slopes:
        now = now[0]
        products, a = pull((a, into[2].view(len(rows.b), *y.shape)))
        a = a + into[1].view(y.shape)
    else:
        products, a = pull(a)
    change = (now - was).abs().max() / was.abs().max().clamp_min(torch.finfo(y.dtype).tiny)
    return a, change, products


def loop_back(
    func: Callable, params: Any, rows: Rows, n: Tensor, spans: Tensor, states: Tensor, a: Tensor, sums: Any, into: Any
) -> Any:
    """(dL/dy at the first step's start, change, *dL/dθ) from a = dL/dy at the end of the n steps, last step first.

    sums: what later steps have given to dL/dθ.  change: the largest that ``step_back`` has found.
    """

    def going(i: Tensor, a: Tensor, change: Tensor, *dparams: Tensor) -> Tensor:
        return i >= 0

    def body(i: Tensor, a: Tensor, change: Tensor, *dparams: Tensor) -> Any:
        t, t1 = row(spans, i).unbind()
        parts = [row(share, i) for share in into]
        a, changed, products = step_back(func, params, rows, t, t1, row(states, i), row(states, i + 1), a, parts)
        return i - 1, a, torch.maximum(change, changed), *(d + x for d, x in zip(dparams, products, strict=True))

    start = (n - 1, a.clone(), a.new_zeros(()), *(d.clone() for d in sums))
    _, *found = while_loop(going, body, start)
    return tuple(found)
