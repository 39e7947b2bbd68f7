"""Fields in low precision: what an adaptive solver makes of f's rounding, and of weights that were rounded once.

Low precision is emulated: numbers are rounded to the nearest that the format has, and products are then summed in
double precision, as tensor cores sum them in single. Rounding inside f is noise to the error estimate; rounded weights
are another field, as smooth as the first.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nodelib.common.solution import MaxStepsReached
from nodelib.torch_ode import solve

SPAN = torch.tensor([0.0, 1.0]).double()
Round = Callable[[Tensor], Tensor]


def to_bits(x: Tensor, bits: int) -> Tensor:
    """x with so many bits after the leading one of its mantissa, to the nearest: TF32 has 10, bfloat16 7, float32 23.
    The exponent is not limited."""
    mantissa, exponent = torch.frexp(x)  # mantissa in [1/2, 1)
    return torch.ldexp(torch.round(mantissa * 2.0 ** (bits + 1)) / 2.0 ** (bits + 1), exponent)


def to_int8(x: Tensor) -> Tensor:
    """x as integers from -127 to 127 times one number, its largest entry / 127."""
    scale = x.abs().max() / 127
    return torch.round(x / scale) * scale


def same(x: Tensor) -> Tensor:
    """x."""
    return x


class Precision(NamedTuple):
    """What is rounded, and how: the weights once; the operands of each product; what each layer gives; what f gives."""

    weights: Round = same
    operands: Round = same
    layers: Round = same
    output: Round = same


def bfloat16(x: Tensor) -> Tensor:
    """x rounded to bfloat16."""
    return to_bits(x, 7)


def float32(x: Tensor) -> Tensor:
    """x rounded to float32."""
    return to_bits(x, 23)


def tf32(x: Tensor) -> Tensor:
    """x rounded to TF32, the format of tensor cores: float32's range, with 10 bits."""
    return to_bits(x, 10)


PRECISIONS = {
    "double": Precision(),
    "float32": Precision(float32, float32, float32, float32),
    "TF32 products": Precision(operands=tf32),
    "bfloat16 output": Precision(output=bfloat16),
    "all bfloat16": Precision(bfloat16, bfloat16, bfloat16, bfloat16),
    "weights in bfloat16": Precision(weights=bfloat16),
    "weights in int8": Precision(weights=to_int8),
}


class Field(nn.Module):
    """tanh(z W₁ + b) W₂, or the same with two 3 × 3 convolutions, whose weights have the size ``gain``/√(inputs).

    kind: "mlp", for states (16, 8), or "convolution", for (4, 8, 8, 8): samples, channels, height, width. ``start`` is
    a state. Products are those of ``precision``.
    """

    def __init__(self, kind: str = "mlp", seed: int = 0, precision: Precision = PRECISIONS["double"], gain: float = 2):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=draw, dtype=torch.float64)

        if kind not in ("mlp", "convolution"):
            raise ValueError(f'kind must be "mlp" or "convolution", not {kind!r}')
        dim, hidden, self.precision = 8, 64 if kind == "mlp" else 16, precision
        size, self.product = ((), _dense) if kind == "mlp" else ((3, 3), _convolved)
        inputs = [n * (9 if size else 1) for n in (dim, hidden)]
        W1, W2 = normal(hidden, dim, *size), normal(dim, hidden, *size)
        self.W1 = nn.Parameter(precision.weights(gain * W1 / inputs[0] ** 0.5), requires_grad=False)
        self.W2 = nn.Parameter(precision.weights(gain * W2 / inputs[1] ** 0.5), requires_grad=False)
        self.b = nn.Parameter(normal(hidden, *(1 for _ in size)) / 2, requires_grad=False)
        self.start = normal(16, dim) if kind == "mlp" else normal(4, dim, 8, 8)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        _, q, layer, output = self.precision
        hidden = layer(torch.tanh(self.product(q(z), q(self.W1)) + self.b))
        return output(self.product(q(hidden), q(self.W2)))


def _dense(z: Tensor, W: Tensor) -> Tensor:
    return z @ W.mT


def _convolved(z: Tensor, W: Tensor) -> Tensor:
    return F.conv2d(z, W, padding=1)


class Found(NamedTuple):
    """Evaluations (inf where ``limit`` attempts did not suffice) and error, the RMS at t = 1 from the exact field's own
    solution at 1e-10 (nan there)."""

    nfe: float
    error: float


@torch.no_grad()
def in_precision(name: str, tol: float, seed: int = 0, kind: str = "mlp", limit: int = 4000) -> Found:
    """Solve a ``Field`` in the precision ``name`` by dopri5, and compare with the exact one."""
    exact = exactly(kind, seed)
    field = Field(kind, seed, PRECISIONS[name])
    try:
        sol: Any = solve(field, field.start, SPAN, rtol=tol, atol=tol, options={"max_num_steps": limit})
    except MaxStepsReached:
        return Found(float("inf"), float("nan"))
    return Found(sol.stats.nfe, float((sol.y[-1] - exact).square().mean().sqrt()))


def exactly(kind: str, seed: int) -> Tensor:
    """The state at t = 1 of the field in double precision."""
    field = Field(kind, seed)
    return solve(field, field.start, SPAN, rtol=1e-10, atol=1e-10).y[-1]
