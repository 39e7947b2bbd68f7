"""A state of several tensors, and parameters of several dtypes, as one vector, and back.

The numpy twin has no such file: its state is one array, and autograd keeps its parameters apart.
"""

from collections.abc import Iterable
from math import prod
from typing import Any

import torch
from torch import Tensor, nn


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
        if not self.is_tuple:
            return y.reshape(-1)
        return torch.cat([part if part.ndim == 1 else part.reshape(-1) for part in y])  # each reshape is a node, too

    def unflatten(self, y: Tensor) -> Any:
        """The state from a vector (n,), or states from vectors (…, n)."""
        lead = y.shape[:-1]
        if not self.is_tuple:
            return y.view(lead + self.shapes[0])
        pairs = zip(y.split_with_sizes(self.sizes, -1), self.shapes, strict=True)
        return self.make([part if len(shape) == 1 else part.reshape(lead + shape) for part, shape in pairs])

    def parts(self, y: Any) -> tuple[Tensor, ...]:
        """The tensors that a state consists of."""
        return tuple(y) if self.is_tuple else (y,)

    def whole(self, parts: Iterable[Tensor]) -> Any:
        """The state of these tensors."""
        return self.make(parts) if self.is_tuple else next(iter(parts))


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


def not_dense(x: Tensor) -> str:
    """What kind of tensor x is where it is not a plain dense one, else nothing."""
    if x.is_nested:
        return "a nested one"
    if x.is_quantized:
        return "a quantized one"
    return "" if x.layout is torch.strided else f"layout {x.layout}"
