"""§ 6.2: the verdicts on the book's own models, and the depth limit, as they were recorded."""

from typing import Any

import numpy as np

from nodelib.experiments import depth_limit, records, swap
from nodelib.experiments.verdicts import NAME
from nodelib.workbook.table import Table

SECTION = {"annuli": "§ 6.2: annuli", "circles": "§ 6.2: circles"}  # what the table calls the section's own networks
COARSE = {"euler 1": "euler, 1 or 2 steps", "euler 2": "euler, 1 or 2 steps"}  # chapter 3's two, in one row


def recorded() -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The record of figures/verdicts.py: (model, the training's solver) -> what was found of each."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in records.read(NAME)["rows"]:
        found.setdefault((row["model"], row["by"]), []).append(row)
    return found


def counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    """How many of them got each verdict, those that none got left out."""
    names = [row["verdict"] for row in rows]
    return {name: names.count(name) for name in ("ODE", "not converged", "discrete") if name in names}


def share(verdict: str, *by: str) -> float:
    """Of § 6.2's networks that these solvers trained, on rings and circles, the share with that verdict."""
    every = recorded()
    names = [row["verdict"] for data in swap.ENDS for solver in by for row in every[data, solver]]
    return names.count(verdict) / len(names)


def of_chapters(start: str = "chapter") -> list[dict[str, Any]]:
    """What was found of the models of chapters 3 to 5 whose name begins so, but for those that Euler's method was to
    train coarsely."""
    return [
        row
        for (model, by), rows in recorded().items()
        if model.startswith("chapter") and model.startswith(start) and not by.startswith("euler")
        for row in rows
    ]


def table() -> Table:
    """A row for each kind of models and solver of the training, § 6.2's first: verdicts, how much the loss rises if it
    is solved accurately, and how far apart the states are."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for (model, by), found in recorded().items():
        group = (SECTION[model], by) if model in SECTION else (model, COARSE.get(by, by))
        groups.setdefault(group, []).extend(found)
    rows = []
    for (model, by), found in sorted(groups.items(), key=lambda item: not item[0][0].startswith("§")):
        rise = np.array([row["solved"] - row["fit"] for row in found])
        apart = np.array([row["apart"] for row in found])
        rows.append((
            model,
            by,
            ", ".join(f"{count} {name}" for name, count in counts(found).items()),
            _range(rise, "+.3f") if np.abs(rise).max() < 0.1 else _range(rise, "+.2f"),
            _range(apart, ".1%") if apart.max() < 0.1 else _range(apart, ".0%"),
        ))  # fmt: skip
    return Table(("model", "trained by", "verdicts", "the loss rises by", "states apart, of the way"), rows)


def _range(values: np.ndarray, how: str) -> str:
    return f"{values.min():{how}} to {values.max():{how}}"


def apart_by_depth() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Depths (N,), and for "independent" and "tied" beginnings how far trained ResNets end from the ODE through their
    weights, (N, seeds)."""
    record = records.read(depth_limit.NAME)
    return np.array(record["depths"]), {init: np.array(found) for init, found in record["apart"].items()}


def depth_table() -> Table:
    """A row for each way to begin, a column for each depth: the median distance, and its range over ten seeds."""
    depths, found = apart_by_depth()
    rows = [
        (f"began {began}", *(f"{np.median(d):.2g} ({d.min():.2g} to {d.max():.2g})" for d in distances))
        for began, distances in (("independently", found["independent"]), ("alike", found["tied"]))
    ]
    return Table(("apart, of the way", *(f"{n} layers" for n in depths)), rows)
