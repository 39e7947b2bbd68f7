"""The three gradients of one solve beside each other: backpropagation, checkpoints, and the adjoint.

Backpropagation and checkpoints differentiate the steps as computed, and agree to round-off; the adjoint solves for the
gradient of the flow, and agrees as far as both solves are accurate and the way back is stable.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf, nan
from typing import Any

import torch
from torch import Tensor

from nodelib.common.arguments import Method
from nodelib.common.solution import AnotherFunction, SolverError
from nodelib.torch_ode import odeint, odeint_adjoint, odeint_checkpoint
from nodelib.torch_ode.forms import Form
from nodelib.torch_ode.inputs import as_params
from nodelib.torch_ode.look import through
from nodelib.torch_ode.modules import module_of

WAYS: dict[str, Callable] = {"backprop": odeint, "checkpoint": odeint_checkpoint, "adjoint": odeint_adjoint}


@dataclass(frozen=True)
class Gradients:
    """How three gradients of one loss differ, as parts of the gradient's size, and what they cost.

    checkpoint, adjoint: the larger of the relative differences from backpropagation in y0 and in the parameters; inf
                         where that way failed or gave nan, nan where there is no backpropagation to compare with.
    each:     the same, by (way, "y0" or "θ").
    nfe:      evaluations on the way back, by way, where it evaluates func.
    back:     how far y, solved backwards from its end, misses y0, as a part of its size.
    closure:  the number of tensors with gradients that func uses and does not own.
    unused:   the names of parameters that f does not depend on.
    failed:   what was raised, by way; MaxStepsReached where the adjoint took far more steps than the way there.
    """

    each: dict[tuple[str, str], float]
    nfe: dict[str, int]
    back: float
    closure: int = 0
    unused: tuple[str, ...] = ()
    failed: dict[str, Exception] = field(default_factory=dict)

    @property
    def checkpoint(self) -> float:
        return self._worst("checkpoint")

    @property
    def adjoint(self) -> float:
        return self._worst("adjoint")

    def _worst(self, way: str) -> float:
        found = [error for (of, _), error in self.each.items() if of == way]
        return max(found, default=nan)

    def costs(self) -> str:
        """The evaluations of the way back, in words."""
        return ", back " + ", ".join(f"{nfe} by {way}" for way, nfe in self.nfe.items()) if self.nfe else ""

    def __str__(self) -> str:
        ways = [
            f"{way} {', '.join(f'{error:.1g} in {of}' for (of_way, of), error in self.each.items() if of_way == way)}"
            for way in ("checkpoint", "adjoint")
            if any(of_way == way for of_way, _ in self.each)
        ]
        return "differ from backprop's: " + "; ".join(ways) if ways else "not compared"


class Counted:
    """func, with a count of its evaluations."""

    def __init__(self, func: Callable[[Any, Any], Any]):
        self.func, self.nfe = func, 0
        self.__self__ = module_of(func)  # the solvers look at the Module

    def __call__(self, t: Any, y: Any) -> Any:
        self.nfe += 1
        return self.func(t, y)


def gradients(
    func: Callable[[Any, Any], Any],
    y0: Any,
    t: Any,
    adjoint_params: Any,
    loss: Callable[[Any], Any] | None,
    method: Method,
    settings: dict[str, Any],
    attempts: int,
) -> Gradients:
    """Differentiate the loss, or without one a sum of the states with random weights, in y0 and the parameters.

    Arguments as for ``diagnose``; ``attempts`` are the steps of the solve, and a way back that takes more than 200 and
    four times as many is given up. SciPy's methods can only be differentiated by the adjoint, and are compared with
    nothing.
    """
    form = Form(y0)
    leaves = [part.detach().clone().requires_grad_() for part in form.parts(y0)]
    params, closure = parameters(func, form.whole(leaves), t, adjoint_params)
    value = loss or partial(weighted, weights=weights(form.parts(y0), len(t)))
    limit = {"max_num_steps": 200 + 4 * attempts} if method.adaptive else {}
    limited = {**(settings["options"] or {}), **limit}
    found, nfe, failed = {}, {}, {}
    for way, solver in WAYS.items():
        if method.kind == "scipy" and way != "adjoint":
            continue
        counted = Counted(func)
        more: dict[str, Any] = {} if way == "backprop" else {"adjoint_params": params}
        more |= {"adjoint_options": limited} if way == "adjoint" else {}
        try:
            with torch.enable_grad():
                number = value(solver(counted, form.whole(leaves), t, **settings, **more))
            before = counted.nfe
            found[way] = torch.autograd.grad(number, [*leaves, *params], allow_unused=True, materialize_grads=True)
            nfe[way] = counted.nfe - before
        except (SolverError, AnotherFunction, ValueError) as error:
            failed[way] = error
    each = differences(found, len(leaves))
    names = unused(func, form.whole(leaves), t)
    back = backwards(func, y0, t, {**settings, "options": limited})
    return Gradients(each, {way: n for way, n in nfe.items() if n}, back, closure, names, failed)


def differences(found: dict[str, Sequence[Tensor]], parts: int) -> dict[tuple[str, str], float]:
    """(way, "y0" or "θ") -> |gradient - backprop's| / |backprop's|, Euclidean over all entries."""
    if "backprop" not in found:
        return {}
    each = {}
    for way, got in found.items():
        for name, where in (("y0", slice(parts)), ("θ", slice(parts, None))):
            if way != "backprop" and got[where]:
                mine, true = (torch.cat([x.reshape(-1).double() for x in of[where]]) for of in (got, found["backprop"]))
                size = float(true.norm())
                gap = float((mine - true).norm())
                each[way, name] = (gap / size if size else float(gap > 0)) if gap == gap else inf
    return each


def parameters(func: Any, y0: Any, t: Any, given: Any) -> tuple[tuple[Tensor, ...], int]:
    """The tensors to differentiate in: those given or the Module's, and those that func uses besides, which are
    counted."""
    own = as_params(func, given) if given is not None or module_of(func) is not None else ()
    form = Form(y0)
    with torch.enable_grad():
        f = form.flatten(func(torch.as_tensor(t[0]).to(form.parts(y0)[0]), y0))
    others = through(f, [*own, *form.parts(y0)])[1] if f.requires_grad else []
    distinct = tuple({id(x): x for x in others}.values())
    return (*own, *distinct), len(distinct)


def unused(func: Any, y0: Any, t: Any) -> tuple[str, ...]:
    """The names of the Module's parameters that are not in the graph of f."""
    module = module_of(func)
    if module is None:
        return ()
    form, named = Form(y0), [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    with torch.enable_grad():
        f = form.flatten(func(torch.as_tensor(t[0]).to(form.parts(y0)[0]), y0))
    reached = through(f, [p for _, p in named])[0] if f.requires_grad else frozenset()
    return tuple(name for i, (name, _) in enumerate(named) if i not in reached)


@torch.no_grad()
def backwards(func: Any, y0: Any, t: Any, settings: dict[str, Any]) -> float:
    """|y0 - y solved there and back| / |y0|, inf where the way back fails."""
    form, ends = Form(y0), [float(t[0]), float(t[-1])]
    try:
        y1 = odeint(func, y0, ends, **settings)
        last = form.whole([part[-1] for part in form.parts(y1)])
        again = odeint(func, last, ends[::-1], **settings)
    except (SolverError, ValueError):
        return inf
    start, found = form.flatten(y0), torch.cat([part[-1].reshape(-1) for part in form.parts(again)])
    gap = float((found - start).norm() / start.norm().clamp_min(torch.finfo(start.dtype).tiny))
    return gap if gap == gap else inf


def weights(parts: Sequence[Tensor], times: int) -> list[Tensor]:
    """Random weights of RMS about 1 for the states at all times but the first."""
    draw = torch.Generator().manual_seed(1)
    return [torch.randn(times - 1, *p.shape, generator=draw, dtype=torch.float64).to(p) for p in parts]


def weighted(y: Any, weights: Sequence[Tensor]) -> Tensor:
    """The sum of the states at all times but the first, with these weights."""
    parts = y if isinstance(y, tuple | list) else (y,)
    return torch.stack([(part[1:] * w).sum() for part, w in zip(parts, weights, strict=True)]).sum()
