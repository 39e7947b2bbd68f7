"""Chapter 4's tables: what the records say of flows against flows, with paired differences."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np

from nodelib.workbook.table import Table

from .figures import FLOW_NAME, WAY_NAME

Record = Mapping[str, Any]


def paired(differences: np.ndarray) -> tuple[float, float, int]:
    """Mean of the paired differences, the mean's standard error, and how many are below zero."""
    return (
        float(differences.mean()),
        float(differences.std(ddof=1) / len(differences) ** 0.5),
        int(sum(differences < 0)),
    )


def differences(
    runs: Sequence[Record], first: str = "gated", second: str = "planar"
) -> dict[tuple[int, int], np.ndarray]:
    """By (index of the target, size): the loss of ``first`` less that of ``second``, for each seed."""
    by = {(run["flow"], run["size"]): np.array(run["loss"]) for run in runs}
    sizes = [size for flow, size in by if flow == first and (second, size) in by]
    targets = range(len(next(iter(by.values()))))
    return {(i, size): by[first, size][i] - by[second, size][i] for i in targets for size in sizes}


def verdicts(runs: Sequence[Record], targets: Sequence[str], first: str = "gated", second: str = "planar") -> Table:
    """A row a target, a column a size: mean difference, its standard error, and in how many seeds it is below zero."""
    found = differences(runs, first, second)
    sizes = sorted({size for _, size in found})
    rows = []
    for i, target in enumerate(targets):
        cells = []
        for size in sizes:
            middle, bar, lower = paired(found[i, size])
            cells.append(f"{middle:+.3f} ± {bar:.3f} ({lower} of {len(found[i, size])})")
        rows.append((target, *cells))
    return Table((f"{FLOW_NAME[first]} less {FLOW_NAME[second]}", *(f"K = M = {size}" for size in sizes)), rows)


def likelihood_table(record: Record) -> Table:
    """Nats on test points above the entropy of the same points, each seed, with the settings that tuning chose."""
    rows = []
    for run in record["runs"]:
        above = [nats - record["shapes"][run["shape"]]["test_entropy"] for nats in run["test"]]
        settings = f"{run['lr']:g}, {run['scale']:g}"
        each = ", ".join(f"{x:.3f}" for x in above)
        rows.append(
            (run["shape"], FLOW_NAME[run["flow"]], settings, f"{run['iterations']:,}", f"{mean(above):.3f}", each)
        )
    return Table(("", "", "rate, scale", "iterations", "nats above entropy", "each seed"), rows)


def matching_table(record: Record) -> Table:
    """Three ways to train one network in equal time: the mean over seeds, and the range of the nats."""
    rows = []
    for way, name in WAY_NAME.items():
        runs = [run for run in record["runs"] if run["way"] == way]
        above = [run["nats"] - record["test_entropy"] for run in runs]
        nfe = ", ".join(f"{mean(run['nfe'][tol] for run in runs):.0f}" for tol in runs[0]["nfe"])
        euler = " / ".join(f"{mean(run['euler'][n] for run in runs):.2f}" for n in runs[0]["euler"])
        rows.append((
            name,
            f"{mean(run['iterations'] for run in runs):,.0f}",
            f"{mean(above):.3f} ({min(above):.3f} to {max(above):.3f})",
            nfe,
            euler,
            f"{mean(run['path_over_chord'] for run in runs):.3f}",
        ))  # fmt: skip
    columns = (
        "iterations",
        "nats above entropy",
        "evaluations at 1e-3, 1e-5",
        "error of 1 / 2 / 4 / 8 Euler steps",
        "path / chord",
    )
    return Table(("trained by", *columns), rows)
