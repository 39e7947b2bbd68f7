"""Fields for a ``CNF``: z' = f(t, z) along with d log p/dt = -tr ∂f/∂z, as one function of the state (z, log p).

For sums of planar units the trace is a closed formula, as cheap as f. For a free network it takes D products with the
Jacobian, or one product that estimates it (Hutchinson; Grathwohl et al. 2019, FFJORD).
"""

from typing import Any

import torch
from torch import Tensor, nn

from nodelib.models.flows import check_sizes

State = tuple[Tensor, Tensor]
NOISES = ("gauss", "rademacher")


class Linear(nn.Module):
    """x @ W + b with W of (*models, into, out): for x of (*models, n, into), or (n, into) for all models."""

    def __init__(self, into: int, out: int, models: int | None = None):
        super().__init__()
        lead, bound = () if models is None else (models,), into**-0.5
        self.weight = nn.Parameter(torch.empty(*lead, into, out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(*lead, out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias[..., None, :]


class PlanarField(nn.Module):
    """f(t, z) = Σ u_m tanh(w_m·z + b_m), and its trace Σ (w_m·u_m)(1 - tanh²): linear in the number of units.

    A subclass says in ``weights(t)`` what w, u of (*models, units, D) and b of (*models, units) are at time t. ``nfe``
    counts the evaluations; set it to 0 where the count is to begin.
    """

    def __init__(self, units: int, dim: int, models: int | None):
        super().__init__()
        check_sizes(units=units, dim=dim, models=models)
        self.units, self.dim, self.models, self.nfe = units, dim, models, 0

    def weights(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        raise NotImplementedError

    def forward(self, t: Tensor, state: State) -> State:
        self.nfe += 1
        w, u, b = self.weights(t)
        h = torch.tanh(state[0] @ w.mT + b[..., None, :])
        slope = (w * u).sum(-1, keepdim=True)
        return h @ u, ((h * h - 1) @ slope)[..., 0]


class GatedField(PlanarField):
    """The paper's field: each unit has a gate σ_m(t) in (0, 1), the output of a small network of t.

    units:  M. hidden: the width of the gates' network. models: how many side by side, or None.
    scale:  of the random initial u; w and b begin as standard normals.
    """

    def __init__(self, units: int, dim: int = 2, models: int | None = None, hidden: int = 16, scale: float = 0.1):
        super().__init__(units, dim, models)
        check_sizes(hidden=hidden)
        lead = () if models is None else (models,)
        self.w = nn.Parameter(torch.randn(*lead, units, dim))
        self.u = nn.Parameter(scale * torch.randn(*lead, units, dim))
        self.b = nn.Parameter(torch.randn(*lead, units))
        self.clock, self.gates = Linear(1, hidden, models), Linear(hidden, units, models)

    def gate(self, t: Tensor) -> Tensor:
        """σ(t): (*models, units), in (0, 1)."""
        return torch.sigmoid(self.gates(torch.tanh(self.clock(t.reshape(1, 1)))))[..., 0, :]

    def weights(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.w, self.gate(t)[..., None] * self.u, self.b


class TimedField(PlanarField):
    """All weights are functions of t, the output of one network, and the units are averaged: as in cnf.py of
    torchdiffeq (MIT licence), the authors' own example.

    units, hidden: the widths of the field and of the network, 64 and 32 in that example. models: how many side by side.
    """

    def __init__(self, units: int, dim: int = 2, models: int | None = None, hidden: int = 32):
        super().__init__(units, dim, models)
        check_sizes(hidden=hidden)
        sizes = ((1, hidden), (hidden, hidden), (hidden, (3 * dim + 1) * units))
        self.first, self.second, self.third = (Linear(*size, models) for size in sizes)

    def weights(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = torch.tanh(self.second(torch.tanh(self.first(t.reshape(1, 1)))))
        flat = self.third(h)[..., 0, :]
        w, u, gate, b = flat.split([*[self.dim * self.units] * 3, self.units], -1)
        w, u, gate = (x.unflatten(-1, (self.units, self.dim)) for x in (w, u, gate))
        return w, u * torch.sigmoid(gate) / self.units, b


class FreeField(nn.Module):
    """f(t, z) is any network of (z, t): two hidden layers of tanh.

    trace:   "exact", by D products with the Jacobian; or "gauss" or "rademacher", Hutchinson's estimate ε·(∂f/∂z)ε, by
             one product with noise ε of that kind, which ``draw`` draws, once a solve.
    redraw:  draw ε anew at each evaluation: a mistake, to be seen. The field is then no function of (t, z).
    """

    def __init__(self, width: int = 64, dim: int = 2, trace: str = "exact", redraw: bool = False):
        super().__init__()
        check_sizes(width=width, dim=dim)
        if trace != "exact" and trace not in NOISES:
            raise ValueError(f'trace must be "exact", "gauss" or "rademacher", not {trace!r}')
        self.net = nn.Sequential(
            nn.Linear(dim + 1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, dim)
        )
        self.dim, self.models, self.trace, self.redraw, self.nfe = dim, None, trace, redraw, 0
        self.generator: torch.Generator | None = None  # of the noise; None: torch's own
        self.noise: Tensor | None = None

    def velocity(self, t: Tensor, z: Tensor) -> Tensor:
        """f(t, z) alone, for one t or one for each row of z, (batch, 1)."""
        return self.net(torch.cat([z, t.expand(*z.shape[:-1], 1)], -1))

    def draw(self, z: Tensor) -> None:
        """Noise for a solve from states like z."""
        if self.trace != "exact":
            self.noise = noise_like(z, self.trace, self.generator)

    def forward(self, t: Tensor, state: State) -> State:
        self.nfe += 1
        graph, z = torch.is_grad_enabled(), state[0]
        if self.redraw:
            self.draw(z)
        with torch.enable_grad():
            z = z if z.requires_grad else z.detach().requires_grad_()
            f = self.velocity(t, z)
            trace = self._trace(f, z, graph)
        return (f, -trace) if graph else (f.detach(), -trace)

    def _trace(self, f: Tensor, z: Tensor, graph: bool) -> Tensor:
        if self.trace == "exact":
            return exact_trace(f, z, graph)
        if self.noise is None or self.noise.shape != z.shape:
            raise ValueError(
                f"the noise is not for states of shape {tuple(z.shape)}: call field.draw(z) before each solve"
            )
        (product,) = torch.autograd.grad(f, z, self.noise, create_graph=graph)
        return (product * self.noise).sum(-1)


def exact_trace(f: Tensor, z: Tensor, graph: bool = True) -> Tensor:
    """tr ∂f/∂z of each row of f(z), (…, D), by D products with the Jacobian; ``graph``: to be differentiated."""
    trace: Any = 0.0
    for i, direction in enumerate(torch.eye(f.shape[-1], dtype=f.dtype, device=f.device)):
        again = graph or i + 1 < len(direction)
        (row,) = torch.autograd.grad(f, z, direction.expand_as(f), create_graph=graph, retain_graph=again)
        trace = trace + row[..., i]
    return trace


def noise_like(z: Tensor, kind: str, generator: torch.Generator | None = None) -> Tensor:
    """Independent entries of mean 0 and variance 1: "gauss" or "rademacher" (-1 or 1, which has the least variance)."""
    if kind not in NOISES:
        raise ValueError(f"kind must be one of {', '.join(NOISES)}, not {kind!r}")
    device = z.device if generator is None else generator.device
    if kind == "gauss":
        noise = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=device)
    else:
        noise = torch.randint(2, z.shape, generator=generator, device=device).to(z.dtype) * 2 - 1
    return noise.to(z.device)
