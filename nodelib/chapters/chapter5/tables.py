"""Chapter 5's tables: what the records say of models of series and of intensities; ways to meet irregular times."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib.models.irregular import by_hermite, by_rescaling, by_union
from nodelib.models.latent import LatentODE
from nodelib.workbook.table import Table

from .figures import SERIES_NAME

Record = Mapping[str, Any]
PAPER = {"rnn": (0.3937, 0.3202, 0.1813), "latent ODE": (0.1642, 0.1502, 0.1346)}  # [P] Table 2


def errors_of(record: Record, name: str, k: int, target: str = "clean") -> np.ndarray:
    """The errors of the nine trainings of a model at k observations: by data seed and initialisation, (3, 3)."""
    (run,) = (run for run in record["runs"] if (run["model"], run["k"]) == (name, k))
    return np.reshape(run[target], (len(record["data_seeds"]), -1))


def against(record: Record, name: str, k: int, other: str = "latent ODE", target: str = "clean") -> np.ndarray:
    """How much larger the error of ``name`` is than that of ``other``: by data seed, means over initialisations."""
    return errors_of(record, name, k, target).mean(1) - errors_of(record, other, k, target).mean(1)


def table2(record: Record) -> Table:
    """A row a model, a column a number of observations: the mean of nine trainings without noise, the least and the
    largest; then the paper's numbers, of other spirals."""
    counts = sorted({run["k"] for run in record["runs"]})
    rows = []
    for name in dict.fromkeys(run["model"] for run in record["runs"]):
        cells = []
        for k in counts:
            errors = errors_of(record, name, k)
            cells.append(f"{errors.mean():.3f}, {errors.min():.3f} to {errors.max():.3f}")
        rows.append((SERIES_NAME[name], *cells))
    rows += [
        (f"[P], {SERIES_NAME[name]}, other spirals", *(f"{x:.3f}" for x in found)) for name, found in PAPER.items()
    ]
    return Table(("model", *(f"{k} observations" for k in counts)), rows)


def in_best_strides(record: Record, name: str, k: int, target: str = "clean") -> tuple[int, np.ndarray]:
    """Of the record ``table2_strides``: the stride, in steps of the grid, that was best on validation series for a
    model at k observations; and the errors in it, as ``errors_of`` has them."""
    (run,) = (run for run in record["runs"] if (run["model"], run["k"]) == (name, k))
    return run["stride"], np.reshape(run[target][str(run["stride"])], (3, -1))


def strides(record: Record, latent: Record) -> Table:
    """A row a recurrent network, a column a number of observations: the mean of nine trainings, asked in steps of 0.01
    and in the strides that validation chose; and in how many of the nine it is nearer than the latent ODE of the same
    place in ``latent``, the record of Table 2."""
    counts = sorted({run["k"] for run in record["runs"]})
    rows = []
    for name in dict.fromkeys(run["model"] for run in record["runs"]):
        cells = []
        for k in counts:
            stride, errors = in_best_strides(record, name, k)
            nearer = int((errors < errors_of(latent, "latent ODE", k)).sum())
            cells.append(
                f"{errors_of(latent, name, k).mean():.3f}, {errors.mean():.3f} in {stride / 100:.2f} ({nearer})"
            )
        rows.append((SERIES_NAME[name], *cells))
    return Table(("model", *(f"{k} observations" for k in counts)), rows)


def ways(model: LatentODE, z0: Tensor, t: Tensor) -> tuple[Table, dict[str, float]]:
    """The latent states at irregular times in several ways: evaluations of f, and the largest error against a tight
    solve; and the errors by name. In double precision, and f is left so."""
    field, z0, t = model.field.double(), z0.double(), t.double()
    each: dict[str, Callable[[], Tensor]] = {
        "union, dopri5 at 1e-4": lambda: by_union(field, z0, t, rtol=1e-4, atol=1e-4),
        "Hermite, 12 steps of rk4": lambda: by_hermite(field, z0, t, knots=13),
        "Hermite, 25 steps": lambda: by_hermite(field, z0, t, knots=26),
        "Hermite, 50 steps": lambda: by_hermite(field, z0, t, knots=51),
        "rescaling, one rk4 step a gap": lambda: by_rescaling(field, z0, t),
        "rescaling, two": lambda: by_rescaling(field, z0, t, options={"step_size": 0.5}),
    }
    rows, errors = [], {}
    with torch.no_grad():
        exact = by_union(field, z0, t, rtol=1e-9, atol=1e-9)
        for name, way in each.items():
            field.nfe = 0
            errors[name] = float((way() - exact).abs().max())
            rows.append((name, str(field.nfe), f"{errors[name]:.0e}"))
    return Table(("way", "evaluations", "largest error"), rows), errors


def intensities(record: Record) -> Table:
    """One intensity of two bumps: for each number of sequences the median error over ten seeds, relative in L², of the
    ODE, of a kernel estimate, and of a histogram and a constant; and in how many seeds the ODE is nearer."""
    names = ("ODE", "kernel", "histogram of 20 bins", "constant")
    rows = []
    for row in record["one"]:
        error = {name: np.array(row["error"][name]) for name in names}
        cells = [f"{np.median(error['ODE']):.3f}"]
        for name in names[1:]:
            nearer = int((error["ODE"] < error[name]).sum())
            cells.append(f"{np.median(error[name]):.3f} ({nearer} of {len(error['ODE'])})")
        rows.append((str(row["sequences"]), *cells))
    return Table(("sequences", "ODE", *(f"{name} (ODE nearer)" for name in names[1:])), rows)


def paired(differences: Sequence[float]) -> tuple[float, float, int]:
    """Mean, its standard error, and how many are above zero."""
    values = np.asarray(differences)
    return float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5), int((values > 0).sum())
