"""The README's table of peers and its sentences, from the record; `python run.py figures bench` writes them there."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

from nodelib.workbook.table import Table

BEGIN, END = "<!-- bench: figures/bench.py writes what follows -->", "<!-- bench: end -->"
MARKS = {"torchode": " ¹"}  # held against another row of ours
COLUMNS = ("torchdiffeq", "torchode", "torchdyn", "diffrax")
SAME = ("RK45", "dopri5", "Dopri5", "backprop", "adjoint", "checkpoint", "Adjoint")  # of like methods and gradients
WHY = {
    "diffrax": "it compiles the whole solve, with f inside, which takes {compiling} first",
    "torchode": "held against our `per_sample`, whose time grows with the outputs as torchode's does not",
}


class Line(NamedTuple):
    """A line of the table: the workload, and our row of it that the others are held against."""

    workload: str
    mine: str


def lines(record: dict[str, Any]) -> list[Line]:
    """All of the record: of a workload as many as it has rows of ours that others are held against."""
    every = [
        Line(each["name"], row["solver"])
        for each in record["workloads"]
        for row in each["rows"]
        if row["package"] == "nodelib" and row["against"] == row["solver"]
    ]
    return [line for line in every if any(cells(record, line))]


def cells(record: dict[str, Any], line: Line) -> Iterator[tuple[str, dict[str, Any]]]:
    """(column, row) of the rows that do the same as ours: the same method and kind of gradient."""
    (rows,) = (each["rows"] for each in record["workloads"] if each["name"] == line.workload)
    for row in rows:
        own = row["against"] in (line.mine, f"{line.mine}, per sample") and row["solver"] != line.mine
        if own and row["solver"] == f"{line.mine}, compiled":
            yield "compiled", row
        elif own and row["package"] != "nodelib" and row["solver"].endswith(SAME):
            yield row["package"], row


def told(row: dict[str, Any] | None) -> str:
    """The ratio with its percentiles, in bold where the peer is ahead; or why there is none."""
    if row is None:
        return "–"
    if row["status"] != "measured":
        return row["status"].partition(":")[0]
    middle, tenth, ninth = (f"{x:.2g}" if x < 10 else f"{x:.0f}" for x in row["ratio"])
    return f"**{middle}** ({tenth}–{ninth})" if row["ratio"][2] < 1 else f"{middle} ({tenth}–{ninth})"


def table(record: dict[str, Any]) -> Table:
    """A row a line: time and evaluations of ours, then how many times as long each other takes."""
    columns = ["compiled", *COLUMNS, "scipy"]
    header = ["", "eager, ms", "NFE", "compiled", *(f"{name}{MARKS.get(name, '')}" for name in COLUMNS), "SciPy RK45"]
    rows = []
    for line in lines(record):
        found = dict(cells(record, line))
        mine = own(record, line)
        first = [title(line), milliseconds(mine["cpu_ms"]), f"{mine['nfe']:,}"]
        rows.append([*first, *(told(found.get(column)) for column in columns)])
    shown = [i for i in range(len(header)) if i < 3 or any(row[i] != "–" for row in rows)]
    return Table([header[i] for i in shown], [[row[i] for i in shown] for row in rows])


def milliseconds(x: float) -> str:
    """Three digits."""
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def title(line: Line) -> str:
    """The workload, with the gradient where it has several, and a tolerance as it is written."""
    way, name = line.mine.partition(" ")[2], re.sub(r"1e-0(\d)$", r"rtol 1e-\1", line.workload)
    if line.mine.startswith("numpy"):
        return f"{name}, numpy"
    return name if way == "dopri5" else f"{name}, {way}"


def own(record: dict[str, Any], line: Line) -> dict[str, Any]:
    """Our row of a line."""
    (found,) = (
        row
        for each in record["workloads"]
        for row in each["rows"]
        if (each["name"], row["solver"]) == (line.workload, line.mine)
    )
    return found


def ahead(record: dict[str, Any]) -> str:
    """A sentence for each peer of the table that is ahead somewhere, its 90th percentile below 1: where, by how much,
    and why."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines(record):
        for column, row in cells(record, line):
            if column != "compiled" and row["status"] == "measured":
                found.setdefault(column if column in COLUMNS else row["solver"], []).append(row)
    sentences = []
    for name, rows in found.items():
        won = [row["ratio"][0] for row in rows if row["ratio"][2] < 1]
        if won:
            first = [row["first_s"] for row in rows]
            why = WHY.get(name, "").format(compiling=f"{min(first):.1f} to {max(first):.0f} s")
            reason = f": {why}" if why else ""
            sentences.append(f"{name} in {len(won)} of its {len(rows)} rows, in {span(won)} of our time{reason}")
    return f"Ahead of ours, eager: {'; '.join(sentences)}." if sentences else "No peer is ahead of ours."


def span(numbers: list[float]) -> str:
    """The smallest and the largest, in two digits."""
    low, high = (f"{x:.2g}" for x in (min(numbers), max(numbers)))
    return low if low == high else f"{low} to {high}"


def others(record: dict[str, Any]) -> str:
    """How long methods of other kinds take, by medians of times: of order 8 beside our dopri8, LSODA beside dopri5."""
    beside = {"SciPy DOP853": "numpy dopri8", "diffrax Dopri8": "numpy dopri8", "SciPy LSODA": "numpy dopri5"}
    found: dict[str, list[float]] = {}
    for each in record["workloads"]:
        by_name = {row["solver"]: row for row in each["rows"] if row["status"] == "measured"}
        for name, mine in beside.items():
            if name in by_name and mine in by_name:
                found.setdefault(name, []).append(by_name[name]["cpu_ms"] / by_name[mine]["cpu_ms"])
    told = [f"{name} takes {span(ratios)} of our {beside[name].split()[1]}'s time" for name, ratios in found.items()]
    return f"Other methods, in the figure: {'; '.join(told)}." if told else ""


def fairness(record: dict[str, Any]) -> str:
    """How far evaluations and errors of the table's cells lie from those of our row beside them."""
    nfe, error = [], []
    for line in lines(record):
        for column, row in cells(record, line):
            if row["status"] == "measured" and column != "compiled":
                mine = own(record, Line(line.workload, row["against"]))
                if mine["nfe"] and row["nfe"] and not row["solver"].endswith("Adjoint"):
                    nfe.append(row["nfe"] / mine["nfe"])
                if mine["error"] and row["error"]:
                    error.append(row["error"] / mine["error"])
    return (
        f"The peers' evaluations are {min(nfe):.2f} to {max(nfe):.2f} times ours, their errors {min(error):.2g} to "
        f"{float(f'{max(error):.2g}'):g} times."
    )


def beside_diffrax(record: dict[str, Any]) -> str:
    """How long our compiled solves take beside diffrax, in each line that has both; empty where none has."""
    found = []
    for line in lines(record):
        row = {name: each["ratio"][0] for name, each in cells(record, line) if each["status"] == "measured"}
        if {"compiled", "diffrax"} <= set(row):
            found.append(f"{row['compiled'] / row['diffrax']:.1f} in {title(line)}")
    return f"Compiled, ours takes this many times as long as diffrax: {'; '.join(found)}." if found else ""


def conditions(record: dict[str, Any]) -> str:
    """One paragraph: on what, with which versions, what is missing, and what a number means."""
    made, versions = record["provenance"], record["peers"]
    there = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    missing = [name for name, version in versions.items() if not version]
    absent = f" Not installed: {', '.join(missing)}." if missing else ""
    where = f"{made['device']}, {record['cores'].rpartition(', ')[2]}, {made['date']}; {there}.{absent}"
    return (
        f"{where} Median of the ratios of processor times, 10th to 90th percentile in brackets; in bold where they "
        "lie below 1. – is not measured, or not possible. ¹ Against our `per_sample`, not against the time in its line."
    )


def markdown(record: dict[str, Any]) -> str:
    """What stands in the README between its two marks."""
    made = table(record)
    rows = ["| " + " | ".join(map(str, row)) + " |" for row in (made.header, *made.rows)]
    rows.insert(1, "|" + "---|" * len(made.header))
    texts = (conditions(record), ahead(record), others(record), beside_diffrax(record), fairness(record))
    return "\n\n".join(["\n".join(rows), *(fill(text, 120, break_on_hyphens=False) for text in texts if text)])


def split(text: str) -> tuple[str, str, str]:
    """A README before, between and after the marks. Raises ValueError where they are not there, once each."""
    before, begin, rest = text.partition(BEGIN)
    between, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise ValueError(f"the README must have the marks {BEGIN!r} and {END!r}, once each")
    return before + begin, between.strip(), end + after


def write(path: Path, record: dict[str, Any]) -> None:
    """Put the record's table between the marks of the README at ``path``, atomically."""
    before, _, after = split(path.read_text(encoding="utf-8"))
    draft = path.with_suffix(".new")
    draft.write_text(f"{before}\n\n{markdown(record)}\n\n{after}", encoding="utf-8")
    os.replace(draft, path)
