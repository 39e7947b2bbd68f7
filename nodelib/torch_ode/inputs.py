"""What people pass, made into what the solvers work on: the state, the times and the parameters, in one place."""

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nodelib.common.arguments import warn
from nodelib.torch_ode.modes import module_of

DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)


class Form:
    """The shape of a state, tensor or tuple of tensors, and the way between it and one flat vector."""

    def __init__(self, y0: Any):
        self.is_tuple = not isinstance(y0, Tensor)
        self.make = getattr(y0, "_make", tuple)  # a NamedTuple stays one
        parts = y0 if self.is_tuple else (y0,)
        self.shapes = [tuple(part.shape) for part in parts]
        self.sizes = [prod(shape) for shape in self.shapes]

    def flatten(self, y: Any) -> Tensor:
        """The state as one vector."""
        return torch.cat([part.reshape(-1) for part in y]) if self.is_tuple else y.reshape(-1)

    def unflatten(self, y: Tensor) -> Any:
        """The state from a vector (n,), or states from vectors (…, n)."""
        if not self.is_tuple:
            return y.view(y.shape[:-1] + self.shapes[0])
        parts = y.split(self.sizes, dim=-1)
        return self.make(part.reshape(y.shape[:-1] + shape) for part, shape in zip(parts, self.shapes, strict=True))


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


def not_dense(x: Tensor) -> str:
    """What kind of tensor x is where it is not a plain dense one, else nothing."""
    if x.is_nested:
        return "a nested one"
    if x.is_quantized:
        return "a quantized one"
    return "" if x.layout is torch.strided else f"layout {x.layout}"


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
        yield from given.parameters()
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes | np.ndarray):
        for part in given.values() if isinstance(given, Mapping) else given:
            yield from _tensors(part)
    else:
        raise TypeError(
            f"adjoint_params must be a tensor or a sequence or dictionary of tensors, got {type(given).__name__} in it"
        )


def check_params(params: Iterable[Tensor]) -> None:
    """Raise TypeError for a parameter whose gradient is no dense tensor, which the adjoint could not integrate."""
    for i, p in enumerate(params):
        if nn.parameter.is_lazy(p):
            raise TypeError(f"adjoint_params[{i}] has no shape yet: call the lazy module once before the solve")
        if not_dense(p):
            raise TypeError(
                f"adjoint_params[{i}] must be a dense tensor, got {not_dense(p)}: the adjoint integrates a dense "
                "gradient. Make its values the parameter and put the sparse tensor together in func, or use odeint or "
                "odeint_checkpoint"
            )


class ParamForm:
    """The parameters' gradients as pieces of one vector of the state's dtype, and back: cast as torch itself would.

    A complex parameter of a real state takes two entries a number.
    """

    def __init__(self, params: Iterable[Tensor], like: Tensor):
        self.params, self.like = list(params), like
        self.pairs = [p.is_complex() and not like.is_complex() for p in self.params]
        self.sizes = [p.numel() * (2 if pair else 1) for p, pair in zip(self.params, self.pairs, strict=True)]

    def flatten(self, gradients: Iterable[Tensor]) -> list[Tensor]:
        """One vector for each parameter."""
        pairs = zip(gradients, self.pairs, strict=True)
        return [self._cast(torch.view_as_real(g.resolve_conj()) if pair else g).reshape(-1) for g, pair in pairs]

    def _cast(self, g: Tensor) -> Tensor:
        return g.to(self.like.device, self.like.dtype)

    def unflatten(self, vector: Tensor) -> list[Tensor]:
        """The gradients, each of its parameter's shape, dtype and device."""
        pieces = vector.split(self.sizes) if self.sizes else ()
        return [self._piece(*each) for each in zip(pieces, self.params, self.pairs, strict=True)]

    @staticmethod
    def _piece(x: Tensor, p: Tensor, pair: bool) -> Tensor:
        if pair:
            x = torch.view_as_complex(x.reshape(*p.shape, 2).contiguous())
        elif x.is_complex() and not p.is_complex():
            x = x.real
        return x.reshape(p.shape).to(p.device, p.dtype)


def distinct(t: Tensor, dtype: torch.dtype) -> None:
    """Raise where y's dtype, in which func gets the time, cannot tell two of the times apart; warn where hardly."""
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
    if float((exact[-1] - exact[0]).abs()) < 100 * spacing:
        warn(
            f"t moves in jumps of {spacing:.2g} in {dtype}, in which func gets it, and spans less than a hundred of "
            "them: let t begin at 0, or use a float64 state"
        )
