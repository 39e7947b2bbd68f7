"""What people pass, made into what the solvers work on: the state, the times and the parameters, in one place."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nodelib.common.arguments import warn
from nodelib.torch_ode.forms import not_dense
from nodelib.torch_ode.modules import module_of, parameters_of

DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)


def check_state(y0: Any) -> None:
    """Raise unless y0 is a finite floating-point tensor or a tuple of such, of one dtype on one device."""
    if isinstance(y0, Mapping):
        raise TypeError(f"y0 must be a tensor or a tuple of tensors, got {type(y0).__name__}: pass tuple(y0.values())")
    parts = y0 if isinstance(y0, tuple | list) else (y0,)
    for part in parts:
        if not isinstance(part, Tensor):
            raise TypeError(
                f"y0 must be a tensor or a tuple of tensors, got {type(part).__name__}: use torch.as_tensor"
            )
        if not_dense(part):
            raise TypeError(f"y0 must be a dense tensor, got {not_dense(part)}: pass y0.to_dense()")
        if part.dtype not in DTYPES:
            raise TypeError(f"y0 must be float32, float64 or complex, got {part.dtype}: pass e.g. y0.float()")
        if part.numel() == 0:
            raise ValueError(f"y0 is empty (shape {tuple(part.shape)}): there is nothing to solve for")
        if (part.dtype, part.device) != (parts[0].dtype, parts[0].device):
            raise TypeError(
                f"the parts of y0 must share dtype and device, got {parts[0].dtype} on {parts[0].device} "
                f"and {part.dtype} on {part.device}"
            )
    if not parts:
        raise ValueError("y0 is an empty tuple: there is nothing to solve for")


def as_times(t: Any) -> Tensor:
    """The times as a tensor; numbers and tensors in a sequence are put together, gradients and all.

    Raises TypeError where they are no real numbers.
    """
    if not isinstance(t, Tensor):
        t = _stacked(t)
    if t.is_complex() or t.dtype is torch.bool:
        raise TypeError(f"t must be real numbers, got {t.dtype}")
    return t


def _stacked(t: Any) -> Tensor:
    entries = list(t) if isinstance(t, Iterable) else []
    tensors = [x for x in entries if isinstance(x, Tensor)]
    if not tensors:
        try:
            array = np.asarray(entries if isinstance(t, Iterator | range) else t)
            return torch.from_numpy(array.astype(float, order="C", casting="same_kind"))
        except (TypeError, ValueError) as error:
            raise TypeError(f"t must be a flat sequence of real times, got {t!r:.80}: {error}") from None
    device = tensors[0].device
    return torch.stack([torch.as_tensor(x, device="cpu").to(device, torch.float64) for x in entries])


def as_params(func: Any, given: Any) -> tuple[Tensor, ...]:
    """The tensors to differentiate with respect to, once each, without the frozen ones.

    They are those given, a tensor, Module, sequence or dictionary, nested at will; or else the parameters of the
    Module that func is, or that it is a method of. Raises ValueError where there is neither.
    """
    if given is None:
        given = module_of(func)
        if given is None:
            raise ValueError(
                "func is not a Module, so its parameters are unknown: pass adjoint_params=(…), or () if it has none"
            )
    found = {id(p): p for p in _tensors(given) if p.requires_grad}
    return tuple(found.values())


def _tensors(given: Any) -> Iterator[Tensor]:
    """All tensors in what was given as adjoint_params."""
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, nn.Module):
        yield from parameters_of(given)
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes | np.ndarray):
        for part in given.values() if isinstance(given, Mapping) else given:
            yield from _tensors(part)
    else:
        raise TypeError(
            f"adjoint_params must be a tensor or a sequence or dictionary of tensors, got {type(given).__name__} in it"
        )


def distinct(t: Tensor, dtype: torch.dtype, step: float | None = None) -> None:
    """Raise where y's dtype, in which func gets the time, cannot tell two of the times apart; warn where hardly, or
    where steps of that size cannot be told apart."""
    if dtype is torch.float64 or t.numel() < 2:
        return
    exact, rounded = t.detach().double(), t.detach().to(dtype).double()
    if not bool((rounded.diff() != 0).all()):
        i = int((rounded.diff() == 0).nonzero()[0])
        raise ValueError(
            f"t[{i}] = {float(exact[i]):.10g} and t[{i + 1}] = {float(exact[i + 1]):.10g} are one time in {dtype}, in "
            "which func gets it: let t begin at 0, or use a float64 state"
        )
    spacing = torch.finfo(dtype).eps * float(exact.abs().max())
    span = float((exact[-1] - exact[0]).abs())
    if min(span / 100, step or span) < spacing:
        warn(
            f"t moves in jumps of {spacing:.2g} in {dtype}, in which func gets it: too coarse for a span of {span:.3g}"
            + (f" in steps of {step:.3g}" if step else "")
            + ". Let t begin at 0, or use a float64 state"
        )
