"""Figures of § 6.6: the gradient's error by five ways, what waits for the way back, and where steps are stable."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.torch_ode.couplings import stability
from nodelib.workbook.style import GREY, INK, LOOKS, book, label, plain_ticks

WAY_LOOK = {
    "adjoint": (LOOKS["adjoint"].colour, "o"),
    "adjoint, ten outputs": (LOOKS["adjoint"].colour, "D"),
    "checkpoint": (LOOKS["checkpoint"].colour, "x"),
    "reversible Heun": (LOOKS["heun"].colour, "v"),
    "reversible RK4": (LOOKS["rk4"].colour, "^"),
}
LOST = 1e13  # where what failed is drawn
HELD_LOOK = {
    "backprop": ("backprop", LOOKS["backprop"]),
    "checkpoint": ("checkpoint", LOOKS["checkpoint"]),
    "reversible": ("reversible", LOOKS["rk4"]),
    "adjoint": ("adjoint", LOOKS["adjoint"]),
}


def errors(record: Mapping[str, Any], kind: str, way: str) -> np.ndarray:
    """The relative errors of the gradient over seeds, inf where it failed."""
    (row,) = (row for row in record["kinds"] if row["kind"] == kind)
    return np.array([np.inf if error is None else error for error, _, _ in row["ways"][way]])


def all_errors(record: Mapping[str, Any]) -> dict[tuple[str, str], np.ndarray]:
    """(kind, way) -> ``errors``."""
    return {(row["kind"], way): errors(record, row["kind"], way) for row in record["kinds"] for way in row["ways"]}


def ways_back(record: Mapping[str, Any]) -> Figure:
    """The record's errors, a point a network, and its bytes."""
    with book():
        fig = Figure(figsize=(10.5, 4.2))
        left, right = fig.subplots(1, 2, width_ratios=[2.2, 1])
        _errors(left, record)
        _held(right, record)
    return fig


def _errors(ax: Axes, record: Mapping[str, Any]) -> None:
    kinds = [row["kind"] for row in record["kinds"]]
    for k, kind in enumerate(reversed(kinds)):
        for j, (way, (colour, marker)) in enumerate(WAY_LOOK.items()):
            found = errors(record, kind, way)
            y = np.full(len(found), k + 0.3 - 0.15 * j)
            open_ = way == "adjoint, ten outputs"
            drawn: Any = {"color": colour, "ms": 5, "mfc": "none" if open_ else None, "linestyle": "none"}
            ax.plot(np.minimum(found, LOST), y, marker=marker, label=way if k == 0 else None, **drawn)
    ax.axvline(1, color=GREY, linestyle="--", linewidth=1)
    for k in range(1, len(kinds)):
        ax.axhline(k - 0.5, color="#dddddd", linestyle="-", linewidth=0.8)
    ax.set_yticks(range(len(kinds)), [kind.replace("λ = −20", "rate 20") for kind in reversed(kinds)])
    ax.set(xscale="log", xlim=(1e-9, 2 * LOST), ylim=(-0.5, len(kinds) - 0.5))
    failed = any(np.isinf(errors(record, kind, way)).any() for kind in kinds for way in WAY_LOOK)
    ax.set_xlabel("relative error of the gradient" + (f"; failed: at {LOST:.0e}" if failed else ""))
    ax.grid(visible=False, axis="y")
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.45, 1.13), ncols=5, fontsize=8.5, handletextpad=0, columnspacing=0.9
    )


def _held(ax: Axes, record: Mapping[str, Any]) -> None:
    steps = record["steps"]
    for way, (name, look) in HELD_LOOK.items():
        held = [n / 1e3 for n in record["held"][way]]
        ax.plot(steps, held, color=look.colour, linestyle=look.line, marker=look.marker)
        up = {"reversible": 8, "adjoint": -9}.get(way, 0)
        label(ax, name, (steps[-1], held[-1]), look.colour, shift=(-8, up or 9), ha="right")
    ax.set(xscale="log", yscale="log", ylim=(3, 1e4), xlabel="steps of RK4", title="kilobytes kept for the way back")


def stable() -> Figure:
    """By how much a step multiplies a solution of y' = μy, μ < 0, in the long run: above 1 it grows."""
    x = np.geomspace(1e-3, 4, 400)
    curves = [
        ("RK4", INK, "-", stability("rk4", -x)),
        ("reversible Heun", LOOKS["heun"].colour, ":", stability("reversible_heun", -x)),
        ("coupled RK4, c = 0.9", LOOKS["rk4"].colour, "-.", stability("reversible_rk4", -x, 0.9)),
        ("c = 0.99", LOOKS["rk4"].colour, "--", stability("reversible_rk4", -x, 0.99)),
    ]
    with book():
        fig = Figure(figsize=(7.0, 3.0))
        ax = fig.subplots()
        ax.axhline(1, color=GREY, linewidth=1)
        for name, colour, line, factors in curves:
            ax.plot(x, factors, color=colour, linestyle=line, label=name)
        ax.set(xscale="log", xlim=(x[0], x[-1]), ylim=(0, 2), xlabel="−hμ", ylabel="factor of a step")
        plain_ticks(ax.xaxis, [0.001, 0.01, 0.1, 1, 2.785])
        ax.legend(loc="lower left", fontsize=9)
    return fig
