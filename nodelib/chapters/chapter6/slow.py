"""Small measurements of § 6.7 and of the audit: activations, noise in the trace, and what earlier records say."""

from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from nodelib.common.solution import MaxStepsReached
from nodelib.experiments import records
from nodelib.torch_ode import solve

SPAN = torch.tensor([0.0, 1.0]).double()
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "softplus": torch.nn.functional.softplus}


def random_weights(seed: int, dim: int = 8, hidden: int = 64, gain: float = 2.0) -> tuple[tuple[Tensor, ...], Tensor]:
    """(W₁, b, W₂), the matrices of the size gain/√(inputs), and 16 states; in double precision."""
    draw = torch.Generator().manual_seed(seed)
    sizes = ((dim, hidden), (hidden,), (hidden, dim), (16, dim))
    W1, b, W2, z0 = (torch.randn(*size, generator=draw, dtype=torch.float64) for size in sizes)
    return (gain * W1 / dim**0.5, b / 2, gain * W2 / hidden**0.5), z0


def activation_cost(activation: str, tol: float, seeds: Iterable[int] = range(10)) -> np.ndarray:
    """Evaluations of dopri5 for each seed's random field act(z W₁ + b) W₂."""
    found, act = [], ACTIVATIONS[activation]
    for seed in seeds:
        (W1, b, W2), z0 = random_weights(seed)
        sol = solve(lambda t, z, W1=W1, b=b, W2=W2: act(z @ W1 + b) @ W2, z0, SPAN, rtol=tol, atol=tol)
        found.append(sol.stats.nfe)
    return np.array(found, float)


def trace_cost(fresh: bool, seed: int = 0, tol: float = 1e-3, limit: int = 300) -> int:
    """Evaluations, limited to 6 · ``limit``, of a random field along with ∫ εᵀ (∂f/∂z) ε dt, Hutchinson's estimate of
    the trace (Grathwohl et al. 2019): with one ε for the whole solve, or a ``fresh`` one at each evaluation."""
    (W1, b, W2), z0 = random_weights(seed)
    draw = torch.Generator().manual_seed(seed + 10**6)
    kept = torch.randn(z0.shape, generator=draw, dtype=torch.float64)

    def both(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        eps = torch.randn(z0.shape, generator=draw, dtype=torch.float64) if fresh else kept
        hidden = torch.tanh(state[0] @ W1 + b)
        along = ((1 - hidden**2) * (eps @ W1)) @ W2  # (∂f/∂z) ε
        return hidden @ W2, (along * eps).sum(-1)

    try:
        options = {"max_num_steps": limit}
        return solve(both, (z0, torch.zeros(16).double()), SPAN, rtol=tol, atol=tol, options=options).stats.nfe
    except MaxStepsReached:
        return 6 * limit


def trace_against_determinant(share: float = 1.0, tol: float = 1e-9) -> float:
    """The largest difference, of 16 states, between log |det ∂z(1)/∂z(0)| and ``share`` times the integral of the
    trace of ∂f/∂z along the way, for a random field ([P] Theorem 1; Jacobi's formula)."""
    (W1, b, W2), z0 = random_weights(0, dim=3)

    def f(z: Tensor) -> Tensor:
        return torch.tanh(z @ W1 + b) @ W2

    def both(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        slopes = 1 - torch.tanh(state[0] @ W1 + b) ** 2
        return f(state[0]), slopes @ (W1 * W2.T).sum(0)

    _, traces = solve(both, (z0, torch.zeros(16).double()), SPAN, rtol=tol, atol=tol).y

    def end(z: Tensor) -> Tensor:
        ends = solve(lambda t, z: f(z), z, SPAN, rtol=tol, atol=tol).y[-1]
        return ends.sum(0)  # each depends on its own start alone, so that the rows of the Jacobian stay apart

    jacobians = torch.autograd.functional.jacobian(end, z0).transpose(0, 1)
    return float((torch.linalg.slogdet(jacobians)[1] - share * traces[-1]).abs().max())


# --- what earlier chapters recorded -----------------------------------------------------------------------------------


def recorded_runs(weight: float) -> Callable[[bool, int], tuple[float, float]]:
    """``run`` of exercise 6.7 on the trainings of § 6.7: with ∫ |z″|² of this weight, or else with ∫ |z′|² of it."""
    runs = {run["order"]: run for run in records.read("nfe_growth")["runs"] if run["weight"] == weight}

    def run(penalty: bool, seed: int) -> tuple[float, float]:
        chosen = runs[2 if penalty else 1]
        return chosen["nfe"][-1][seed], chosen["loss"][seed]

    return run


@cache
def mnist(model: str) -> tuple[int, tuple[float, ...]]:
    """Parameters and the three seeds' test errors of a network of chapter 3, after 12 epochs of MNIST."""
    found = [records.read(f"mnist_{model}_12epochs_seed{seed}") for seed in range(3)]
    return found[0]["parameters"], tuple(one["test_error"] for one in found)


def spiral_errors(model: str, observed: int) -> np.ndarray:
    """The nine errors on further points of a model of chapter 5's Table 2; of a recurrent one, in the stride that
    validation chose."""
    name = "table2_spirals" if model == "latent ODE" else "table2_strides"
    (run,) = (run for run in records.read(name)["runs"] if (run["model"], run["k"]) == (model, observed))
    return np.array(run["clean"] if model == "latent ODE" else run["clean"][str(run["stride"])])
