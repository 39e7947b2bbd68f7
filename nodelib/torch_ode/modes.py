"""torch's modes, met where a solve begins: compile, inference_mode, autocast, and the transforms of torch.func.

The numpy twin has no such file: numpy has no modes.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._C import _functorch as functorch  # type: ignore[attr-defined]  # there is no public way to ask
from torch.autograd import forward_ad

from nodelib.common.arguments import Method
from nodelib.torch_ode.modules import module_of

F = TypeVar("F", bound=Callable[..., Any])


def eager(function: F) -> F:
    """The function, into which torch.compile does not look: the graph breaks there."""

    @wraps(function)
    def call(*args: Any, **settings: Any) -> Any:
        if torch.compiler.is_compiling():
            return torch.compiler.disable(function)(*args, **settings)  # type: ignore[call-arg]
        return function(*args, **settings)

    return call  # type: ignore[return-value]


def entrance(solver: F) -> F:
    """A solver as people call it: what torch's modes would change in its arithmetic is switched off around it.

    torch.compile does not look into it; under inference_mode its tensors are ordinary ones without gradients, which can
    be cached; under autocast func alone is cast.
    """

    @eager
    @wraps(solver)
    def enter(func: Any, y0: Any, *t: Any, **settings: Any) -> Any:
        inference, device = torch.is_inference_mode_enabled(), _autocast_device(y0)
        if not inference and device is None:
            return solver(func, y0, *t, **settings)
        with ExitStack() as stack:
            if inference:
                stack.enter_context(torch.inference_mode(False))
                stack.enter_context(torch.no_grad())
                y0, t, settings = _ordinary(y0), _ordinary(t), {key: _ordinary(x) for key, x in settings.items()}
            if device is not None:
                func = Cast(func, device)
                stack.enter_context(torch.autocast(device, enabled=False))
            return solver(func, y0, *t, **settings)

    return enter  # type: ignore[return-value]


def _ordinary(x: Any) -> Any:
    """x with its inference tensors copied."""
    if isinstance(x, tuple | list):
        return getattr(x, "_make", type(x))([_ordinary(part) for part in x])
    return x.clone() if isinstance(x, Tensor) and x.is_inference() else x


class Cast:
    """func under autocast as it was where the solve began, now and on the way back; its results come in y's dtype."""

    def __init__(self, func: Any, device: str):
        self.func, self.device, self.dtype = func, device, torch.get_autocast_dtype(device)
        self.keeps = torch.is_autocast_cache_enabled()
        self.__self__ = module_of(func)

    def __call__(self, t: Tensor, y: Any) -> Any:
        # weights that were cast without a graph must not be kept: a later evaluation with one would miss them
        with torch.autocast(self.device, dtype=self.dtype, cache_enabled=self.keeps and torch.is_grad_enabled()):
            f = self.func(t, y)
        if isinstance(f, Tensor) and isinstance(y, Tensor):
            return f.to(y.dtype)
        if isinstance(f, tuple | list) and isinstance(y, tuple):
            return tuple(a.to(b.dtype) if isinstance(a, Tensor) else a for a, b in zip(f, y, strict=False))
        return f

    def __getattr__(self, name: str) -> Any:
        return getattr(self.func, name)


def without_autocast(y: Tensor) -> torch.autocast:
    """On the way back: autocast off for the solver's own arithmetic, wherever backward() was called."""
    return torch.autocast(y.device.type, enabled=False)


def refuse_batches(g: Tensor) -> None:
    """Raise on the way back for many dL/dy at once, whose values our own solve could not see."""
    if hidden(g):
        raise TypeError(
            "odeint_adjoint takes one dL/dy at a time (no vectorize=True, no is_grads_batched=True): "
            "use odeint_checkpoint or odeint, or a loop"
        )


def refuse_transforms(name: str) -> None:
    """Raise under torch.func and forward-mode differentiation, which cannot follow a gradient of our own."""
    if transformed():
        raise TypeError(f"{name} cannot be followed by torch.func or forward-mode differentiation: use odeint")


def _autocast_device(y0: Any) -> str | None:
    """The type of y0's device if autocast is on there."""
    first = y0[0] if isinstance(y0, tuple | list) and y0 else y0
    device = first.device.type if isinstance(first, Tensor) else "meta"
    return device if device != "meta" and torch.is_autocast_enabled(device) else None


def transformed() -> bool:
    """Does torch.func or forward-mode differentiation follow every operation here, whatever requires a gradient?"""
    return functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def hidden(x: Tensor) -> bool:
    """Are the values of x many at once, under torch.vmap, so that no Python number can be made of them?"""
    if functorch.is_legacy_batchedtensor(x):
        return True
    while functorch.is_functorch_wrapped_tensor(x):
        if functorch.is_batchedtensor(x):
            return True
        x = functorch.get_unwrapped(x)
    return False


def numbers_of(t: Tensor) -> list[float]:
    """The times as Python floats."""
    try:
        return t.detach().double().reshape(-1).tolist()
    except RuntimeError as error:
        if not transformed():
            raise
        raise TypeError(
            "t must be plain times under torch.func: its entries decide where steps end. Differentiate in t by "
            "torch.autograd"
        ) from error


def check_transforms(method: Method, tensors: tuple[Tensor, ...]) -> None:
    """Raise under torch.vmap for a method whose steps depend on the values of y, which are many at once there."""
    by_values = method.adaptive or method.name == "implicit_adams"
    if by_values and any(map(hidden, tensors)):
        raise TypeError(
            f"odeint with {method.name} cannot run under torch.vmap, since its steps depend on the values of y: put "
            'the batch into y0, where one solve takes all of it, or use fixed steps, as method="rk4" with step_size'
        )
