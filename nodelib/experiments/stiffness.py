"""What an implicit step costs for a network, and where it pays: by stiffness and by dimension."""

import time
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nodelib.torch_ode import solve
from nodelib.torch_ode.implicit import solve_implicit

SPAN = torch.tensor([0.0, 1.0]).double()


class StiffField(nn.Module):
    """A network with one fast direction u: f(t, z) = tanh(z W₁ + b) W₂ - rate (u·z - cos 3t) u.

    In the direction u states are drawn to cos 3t at the given rate, in all others the network moves them slowly.
    States are (…, dim), in double precision; ``start`` has 16.
    """

    def __init__(self, dim: int, rate: float, seed: int = 0, hidden: int = 64, samples: int = 16):
        super().__init__()
        if dim < 1 or rate < 0:
            raise ValueError(f"dim must be 1 or more and rate 0 or more, not {dim} and {rate}")
        draw = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=draw, dtype=torch.float64)

        self.W1, self.b = nn.Parameter(normal(dim, hidden) / dim**0.5), nn.Parameter(normal(hidden) / 2)
        self.W2 = nn.Parameter(normal(hidden, dim) / hidden**0.5)
        self.u = nn.Parameter(nn.functional.normalize(normal(dim), dim=0))
        self.rate, self.start = rate, normal(samples, dim)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        pull = self.rate * (z @ self.u - torch.cos(3 * t))
        return torch.tanh(z @ self.W1 + self.b) @ self.W2 - pull[..., None] * self.u


class Cost(NamedTuple):
    """What a solve took: evaluations, Jacobians and LU factorizations (of matrices dim × dim, one a sample), the error
    at the end (RMS, against tolerance 1e-8), and the processor's seconds."""

    nfe: int
    jacobians: int
    factorizations: int
    error: float
    seconds: float


@torch.no_grad()
def both(dim: int, rate: float, seed: int = 0, tol: float = 1e-3, times: int = 1) -> dict[str, Cost]:
    """An explicit and an implicit solve of one ``StiffField`` from 0 to 1 at the same tolerance: "dopri5", "implicit".

    Seconds are the least of so many ``times``.
    """
    field = StiffField(dim, rate, seed)
    exact = solve_implicit(field, field.start, SPAN, rtol=1e-8, atol=1e-8).y[-1]

    def measured(solver: Any) -> Cost:
        found = []
        for _ in range(times):
            began = time.process_time()
            sol = solver(field, field.start, SPAN, rtol=tol, atol=tol)
            found.append((time.process_time() - began, sol))
        sol = found[0][1]
        error = float((sol.y[-1] - exact).square().mean().sqrt())
        jacobians, lu = (getattr(sol.stats, name, 0) for name in ("jacobians", "factorizations"))
        return Cost(sol.stats.nfe, jacobians, lu, error, min(seconds for seconds, _ in found))

    return {"dopri5": measured(solve), "implicit": measured(solve_implicit)}
