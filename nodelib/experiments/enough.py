"""Is RK4 enough? Trained models solved with so many evaluations, by fixed steps and by dopri5: how far off is each?

``figures/rk4_enough.py`` records it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nodelib.data.spirals import STEPS, make_spirals
from nodelib.experiments import augment, swap
from nodelib.experiments.forecasts import series_of
from nodelib.models.flows import one_of
from nodelib.models.rings import NeuralODEs, alone
from nodelib.models.series import Series
from nodelib.models.trained_flows import trained_flow
from nodelib.models.trained_series import trained_series
from nodelib.torch_ode import solve

BUDGETS = (4, 8, 16, 32, 64)
STAGES = {"euler": 1, "midpoint": 2, "rk4": 4}
METHODS = (*STAGES, "dopri5")
TOLERANCES = tuple(10 ** (-k / 4) for k in range(-2, 30))
REFERENCE = 1e-9
NAME = "rk4_enough"


class Case(NamedTuple):
    """A trained field, its states (batch, …, dim) at the time ``t[0]``, to be solved to ``t[1]``; ``right`` says of
    final states, where they are classified, which share is on its side."""

    field: Callable[[Tensor, Any], Any]
    z0: Tensor
    t: tuple[float, float]
    right: Callable[[Tensor], float] | None = None


class Found(NamedTuple):
    """For each method and budget, (METHODS, BUDGETS); nan where a budget is too small.

    apart: the distance of the final states from the solution's, as a part of the longest that it has from its start.
    nfe:   the evaluations that were used. right: the share of points that is classified rightly.
    """

    apart: np.ndarray
    nfe: np.ndarray
    right: np.ndarray


def dopri5_within(case: Case, budgets: Sequence[int]) -> list[tuple[Tensor, int] | None]:
    """dopri5 at the tightest of ``TOLERANCES`` that takes no more evaluations than each budget: (states, evaluations),
    or None where each takes more."""
    best: list[tuple[Tensor, int] | None] = [None] * len(budgets)
    for tol in TOLERANCES:
        sol = solve(case.field, case.z0, case.t, method="dopri5", rtol=tol, atol=tol)
        for i, budget in enumerate(budgets):
            if sol.stats.nfe <= budget:
                best[i] = sol.y[-1], sol.stats.nfe
        if sol.stats.nfe > 1.5 * max(budgets):
            break
    return best


@torch.no_grad()
def within(case: Case, budgets: Sequence[int] = BUDGETS) -> Found:
    """All methods within all budgets, in double precision."""
    path = solve(case.field, case.z0, torch.linspace(*case.t, 17).double(), rtol=REFERENCE, atol=REFERENCE).y
    truth, way = path[-1], float((path - path[0]).flatten(1).norm(dim=1).max())
    apart, nfe, right = (np.full((len(METHODS), len(budgets)), np.nan) for _ in range(3))
    adaptive = dopri5_within(case, budgets)
    for i, method in enumerate(METHODS):
        for j, budget in enumerate(budgets):
            if method in STAGES:
                step = abs(case.t[1] - case.t[0]) / (budget // STAGES[method])
                sol = solve(case.field, case.z0, case.t, method=method, options={"step_size": step})
                found = sol.y[-1], sol.stats.nfe
            else:
                found = adaptive[j]
            if found is not None:
                apart[i, j], nfe[i, j] = float((found[0] - truth).norm()) / way, found[1]
                right[i, j] = case.right(found[0]) if case.right else np.nan
    return Found(apart, nfe, right)


def together(cases: Iterator[Case]) -> Found:
    """``within`` of several models, with a leading axis of them."""
    return Found(*(np.stack(part) for part in zip(*map(within, cases), strict=True)))


# --- the book's models ------------------------------------------------------------------------------------------------


def rings(dims: int) -> Iterator[Case]:
    """The ten classifiers of two rings that dopri5 trained: § 6.2's in the plane, or § 6.4's with ``dims`` more."""
    if dims:
        models, end = augment.recorded()[augment.key("annuli", str(dims))], 1.0
    else:
        models, end = swap.recorded()[swap.key("annuli", "dopri5")], swap.ENDS["annuli"]
    points = swap.points_of("annuli")
    for i in range(models.models):
        one, x, y = alone(models, i), points.x[i : i + 1], points.y[i : i + 1]
        yield Case(one.field, one.start(x), (0.0, end), lambda z, one=one, y=y: _right(one, z, y))


def _right(one: NeuralODEs, z: Tensor, y: Tensor) -> float:
    return float((one.read(z) * y > 0).double().mean())


def latent_odes(k: int = 30) -> Iterator[Case]:
    """The nine latent ODEs of chapter 5 that saw ``k`` observations: the window, for 200 series."""
    models = trained_series("latent ODE", k)
    for i in range(9):
        one, spirals = one_of(models, i).double(), make_spirals(k, i // 3, dtype=torch.float64)
        series = series_of([spirals.test], spirals.grid)
        with torch.no_grad():
            start, _ = one.encode(Series(series.x[0], series.t[0], None, series.grid, None))
        yield Case(one.field, start, (0.0, STEPS / 100))


def flows(n: int = 200) -> Iterator[Case]:
    """The ten flows of chapter 4 without a penalty, from ``n`` draws of the base to the data, without their density."""
    models = trained_flow("regularised_flows_0")
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for i in range(10):
        one = one_of(models, i).double()
        silent = torch.zeros(n, dtype=torch.float64)
        yield Case(lambda t, z, one=one, silent=silent: one.field(t, (z, silent))[0], z, (0.0, 1.0))


MODELS: dict[str, Callable[[], Iterator[Case]]] = {
    "rings, in the plane": lambda: rings(0),
    "rings, one dimension more": lambda: rings(1),
    "chapter 4's flows": flows,
    "chapter 5's latent ODEs": latent_odes,
}
