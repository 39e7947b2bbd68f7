"""A checked initial value problem, which the solvers of this folder work on; ``prepare`` makes one.

States are flattened on entry, tuples into one vector; times are Python floats, constants to the gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib.common.arguments import (
    Method,
    check_method,
    check_order,
    check_times,
    check_tolerances,
    default_tolerances,
)
from nodelib.common.solution import GraphNeeded, NonFiniteState, Step
from nodelib.torch_ode.forms import Form, not_dense
from nodelib.torch_ode.inputs import as_times, check_state, distinct
from nodelib.torch_ode.modes import check_transforms, hidden, numbers_of, transformed
from nodelib.torch_ode.modules import callbacks_of, module_of, warn_of_modes

Func = Callable[..., Any]  # (t, y) -> f
IN_PLACE = "func changes y in place: return a new tensor, for instance -y and not y.neg_()"
MORE_OPTIONS = {
    "rk fixed": {"grid_constructor", "norm", "perturb", "compile"},
    "adams fixed": {"grid_constructor", "norm", "perturb", "compile"},
    "rk adaptive": {"min_step", "max_step", "norm", "step_t", "jump_t", "compile"},
    "scipy adaptive": {"norm", "compile"},
}


class Counted:
    """func on flat states, counting its evaluations.

    ``writes``: func has a third argument, the vector to write its result into, which saves a copy.
    ``traced``: has any value of func had a gradient?
    """

    def __init__(self, func: Func, form: Form):
        self.func, self.writes, self.traced = func, False, False
        self.form, self.nfe = form, 0
        shape = form.shapes[0]
        if form.is_tuple:
            self.flat = lambda t, y: form.flatten(func(t, form.unflatten(y)))
        else:
            self.flat = func if len(shape) == 1 else lambda t, y: func(t, y.view(shape)).reshape(-1)

    def __call__(self, t: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        """f(t, y), in the vector ``out`` where one is given."""
        self.nfe += 1
        version = y._version  # torch counts the writes into a tensor and its views
        f = self.func(t, y, out) if self.writes and out is not None else self.flat(t, y)
        if y._version != version:
            raise ValueError(IN_PLACE)
        self.traced |= f.requires_grad
        if out is None or self.writes:
            return f
        if f.requires_grad and torch.is_grad_enabled():
            raise GraphNeeded
        return out.copy_(f)


@dataclass
class Problem:
    """A checked initial value problem on the flat state y0, with the log of its attempted steps.

    ``graph``: autograd follows each operation; ``followed``: so do torch.func or forward-mode differentiation, t too.
    ``reads``: func needs only that many leading entries of y; the others are quadratures (None: all of them).
    ``f1``: f(t[-1], y[-1]) where a method has it for nothing. ``jumps``: times at which f jumps. ``callbacks``: the
    methods of func that torchdiffeq would call as steps are taken.
    """

    func: Any
    y0: Tensor
    f0: Tensor
    form: Form
    t: Tensor
    times: list[float]
    method: Method
    rtol: Any
    atol: Any
    norm: Callable[[Tensor], float]
    options: dict[str, Any]
    graph: bool
    followed: bool = False
    reads: int | None = None
    f1: Tensor | None = None
    jumps: frozenset[float] = frozenset()
    callbacks: dict[str, Callable[..., Any]] = field(default_factory=dict)
    log: list[Step] = field(default_factory=list)

    @property
    def direction(self) -> int:
        """1 forward in time, -1 backward."""
        return 1 if self.times[-1] > self.times[0] else -1

    @property
    def moving(self) -> bool:
        """Does t carry a gradient?"""
        return self.graph and (self.followed or self.t.requires_grad)

    def time(self, value: float, i: int | None) -> Any:
        """The time ``value``; where t has a gradient, as a tensor that moves along with t[i]."""
        return (
            self.t[i].to(self.y0.device).double() + (value - self.times[i]) if i is not None and self.moving else value
        )

    def tell(self, event: str, t: float, y: Tensor, h: float) -> None:
        """Call the func's callback of that name, if it has one, with (t, y, h) as torchdiffeq does."""
        if event in self.callbacks:
            start, size = (torch.full((), x, dtype=torch.float64, device=y.device) for x in (t, abs(h)))
            self.callbacks[event](start, self.form.unflatten(y), size)

    def times_of(self, indices: range) -> Tensor | None:
        """The times t[i] where t has a gradient, else None."""
        return self.t[indices.start : indices.stop].to(self.y0.device).double() if self.moving else None


def real(dtype: torch.dtype) -> torch.dtype:
    """The dtype of |y|: complex64 -> float32, complex128 -> float64."""
    return torch.empty(0, dtype=dtype).real.dtype if dtype.is_complex else dtype


def prepare(
    func: Func,
    y0: Any,
    t: Any,
    method: str = "dopri5",
    rtol: Any = None,
    atol: Any = None,
    options: Any = None,
    look: Callable[[Tensor, Tensor], None] | None = None,
) -> Problem:
    """Check every argument, evaluate func once, and flatten the state.

    ``look`` is shown that first evaluation and the state it was made at, with the graph between them.
    """
    chosen, options = check_method(method, options, MORE_OPTIONS)
    options.pop("compile", None)  # what is solved from here is not compiled
    check_order(func)
    check_state(y0)
    form = Form(y0)
    flat = form.flatten(y0)
    if not finite(flat):
        raise ValueError("y0 contains nan or inf: the solution needs a finite start")
    t = as_times(t)
    times = numbers_of(t)
    check_times(times, t.ndim)
    distinct(t, real(flat.dtype), options.get("step_size"))
    rtol, atol = tolerances(rtol, atol, flat, form)
    counted = Counted(func, form)
    if (module := module_of(func)) is not None:
        warn_of_modes(module)
    if look:
        with torch.enable_grad():
            leaf = flat.detach().requires_grad_()
            y = leaf.clone()  # into which a func may write, and be told of it
            f0 = first_evaluation(counted, func, times[0], None, form.unflatten(y), y)
        look(f0, leaf)
        f0 = f0.detach()
    else:
        f0 = first_evaluation(counted, func, times[0], t, y0, flat)
    followed = transformed()
    graph = followed or (torch.is_grad_enabled() and any(x.requires_grad for x in (flat, t, f0)))
    check_transforms(chosen, (flat, f0))
    norm = norm_of(options.pop("norm", None), form)
    problem = Problem(counted, flat, f0, form, t, times, chosen, rtol, atol, norm, options, graph)
    problem.callbacks, problem.followed = callbacks_of(func, chosen), followed
    return problem


def tolerances(rtol: Any, atol: Any, y0: Tensor, form: Form) -> tuple[Any, Any]:
    """(rtol, atol), checked, as floats or flat tensors like y0; the defaults follow the dtype."""
    info = torch.finfo(y0.dtype)
    default = default_tolerances(info.eps)
    rtol, atol = (default[i] if tol is None else tol for i, tol in enumerate((rtol, atol)))
    if not (isinstance(rtol, float) and isinstance(atol, float)):
        rtol, atol = (each_entry(name, tol, y0, form) for name, tol in (("rtol", rtol), ("atol", atol)))
    smallest = {"rtol": float(rtol if isinstance(rtol, float) else rtol.min())}
    smallest["atol"] = float(atol if isinstance(atol, float) else atol.min())
    check_tolerances(smallest, info.eps, str(y0.dtype))
    if not (smallest["atol"] > 0 or (y0.detach().abs() * rtol + atol).all()):
        raise ValueError("atol = 0 leaves no tolerance to the entries of y0 that are zero: give a positive atol")
    return rtol, atol


def each_entry(name: str, tol: Any, y0: Tensor, form: Form) -> Any:
    """A tolerance given as number, tensor, or one number for each part of a tuple: as a float or flat like y0."""
    if isinstance(tol, tuple | list):
        if not form.is_tuple or len(tol) != len(form.sizes):
            raise ValueError(f"{name} has {len(tol)} entries: give a number, or for a tuple y0 one for each part")
        tol = np.repeat(np.array(tol, float), form.sizes)
    tol = tol.detach().double() if isinstance(tol, Tensor) else torch.as_tensor(tol, dtype=torch.float64, device="cpu")
    if tol.ndim and tol.numel() != y0.numel():
        raise ValueError(f"{name} must be a number or a tensor like y0 ({form.shapes}), got shape {tuple(tol.shape)}")
    return tol.reshape(-1).to(y0.device, real(y0.dtype)) if tol.ndim else float(tol)


def first_evaluation(counted: Counted, func: Func, t0: float, t: Any, y0: Any, flat: Tensor) -> Tensor:
    """f(t0, y0), flat, after checking that func returns what a derivative of y0 must be."""
    counted.nfe += 1
    start = instant(t[0] if isinstance(t, Tensor) and t.requires_grad else t0, flat)
    parts = y0 if isinstance(y0, tuple | list) else (y0,)
    versions, before = [part._version for part in parts], flat.detach().clone()
    f0 = func(start, y0)
    if [part._version for part in parts] != versions or not same_values(counted.form.flatten(y0), before):
        raise ValueError(IN_PLACE)
    wanted, got = (x if isinstance(x, tuple | list) else (x,) for x in (y0, f0))
    if isinstance(y0, Tensor) != isinstance(f0, Tensor) or len(got) != len(wanted):
        raise TypeError(f"func must return the structure of y0, {_structure(y0)}, got {_structure(f0)}")
    for want, have in zip(wanted, got, strict=True):
        if not isinstance(have, Tensor):
            raise TypeError(f"func must return tensors, got {type(have).__name__}: use torch operations in func")
        if not_dense(have):
            raise TypeError(f"func must return dense tensors, got {not_dense(have)}: return f.to_dense()")
        if have.shape != want.shape:
            raise ValueError(f"func must return y0's shape {tuple(want.shape)}, got {tuple(have.shape)}")
        if have.dtype != want.dtype:
            raise TypeError(f"func must return y0's dtype {want.dtype}, got {have.dtype}: cast y0 or what func returns")
        if have.device != want.device:
            raise TypeError(
                f"func must return tensors on y0's device {want.device}, got {have.device}: move func or y0"
            )
    f0 = counted.form.flatten(f0).clone()  # func may return the same tensor every time
    counted.traced = f0.requires_grad
    if not finite(f0):
        raise NonFiniteState(f"func returns nan or inf at its first evaluation, t = {t0:.6g}: check func and y0")
    return f0


def same_values(x: Tensor, y: Tensor) -> bool:
    """Are all entries equal? Where a transform follows x, nobody asks."""
    return transformed() or torch.equal(x.detach(), y)


def _structure(x: Any) -> str:
    return f"a tuple of {len(x)}" if isinstance(x, tuple | list) else type(x).__name__


def norm_of(norm: Callable[[Any], Any] | None, form: Form) -> Callable[[Tensor], float]:
    """The norm of error ratios on flat vectors: RMS, for tuples the largest of the parts, or the caller's own."""
    if callable(norm):
        return lambda x: float(norm(form.unflatten(x)))
    if not form.is_tuple:
        return rms
    roots = [sqrt(max(size, 1)) for size in form.sizes]
    return lambda x: max(
        n / root for n, root in zip(torch.stack(torch._foreach_norm(x.split(form.sizes))).tolist(), roots, strict=True)
    )


def finite(x: Tensor) -> bool:
    """Are all entries finite? Where they are, their sum is too, unless it overflows: one pass instead of five.

    Under torch.vmap nobody can say, so that they count as finite.
    """
    return hidden(x) or bool(torch.isfinite(x.detach().sum()) or torch.isfinite(x).all())


def rms(x: Tensor) -> float:
    """Root mean square, of real or complex entries."""
    norm = torch.linalg.vector_norm(x).item()
    if norm == inf and isfinite(largest := float(x.detach().abs().max())):  # the squares overflow, x does not
        return largest * rms(x / largest)
    return norm / sqrt(x.numel())


def instant(t: Any, y: Tensor) -> Tensor:
    """The time t as func gets it: a 0-d tensor of y's real dtype on its device."""
    if isinstance(t, Tensor):
        return t.to(y.device, real(y.dtype))
    return torch.full((), t, dtype=real(y.dtype), device=y.device)  # on a GPU this waits for nothing, a copy does
