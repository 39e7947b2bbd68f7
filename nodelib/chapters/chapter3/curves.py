"""Chapter 3's pictures of small networks: their training, other solvers, and the order that a kink leaves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.experiments.training import Log
from nodelib.workbook.style import INK, LOOKS, book, look, plain_ticks

from .figures import beside
from .small import SOLVERS

NETWORK_LOOK = {"MLP": "mlp", "ResNet": "resnet", "RK-Net": "rknet", "ODE-Net": "odenet"}
# Of networks that were trained with one solver, each in its look; two steps of Euler's have another line.
TRAINED_LOOK = {
    "Euler 1": {"color": LOOKS["euler"].colour, "linestyle": ":", "marker": "o"},
    "Euler 2": {"color": LOOKS["euler"].colour, "linestyle": "--", "marker": "s"},
    "dopri5": look("dopri5", points=True),
}


def training(record: Mapping[str, Any], logs: Mapping[str, Log]) -> Figure:
    """Loss and test error of the recorded seeds, median and range, and crosses for ``logs``, a run of one seed."""
    with book():
        fig = Figure(figsize=(7.0, 3.6))
        left, right = fig.subplots(1, 2)
        ends = {}
        for name, log in logs.items():
            drawn = look(NETWORK_LOOK[name])
            of = record["logs"][name]
            _band(left, of[0]["epoch"], [one["loss"] for one in of], drawn)
            _band(right, range(1, 1 + len(log.test_error)), [[100 * e for e in one["test_error"]] for one in of], drawn)
            left.plot(log.epoch, log.loss, "+", color=drawn["color"], ms=5, mew=1)
            right.plot(range(1, 1 + len(log.test_error)), [100 * e for e in log.test_error], "+", color=drawn["color"])
            ends[name] = float(np.median([100 * one["test_error"][-1] for one in of])), drawn["color"]
        left.set(yscale="log", xlabel="epoch", ylabel="training loss", xlim=(0, 5))
        right.set(yscale="log", xlabel="epoch", ylabel="test error (%)", xlim=(1, 5), ylim=(2, 100))
        plain_ticks(left.yaxis, [0.05, 0.1, 0.2, 0.5, 1, 2])
        plain_ticks(right.yaxis, [2, 5, 10, 20, 50, 100])
        beside(right, ends)
    return fig


def swapped(record: Mapping[str, Any], live: Mapping[str, Sequence[float]]) -> Figure:
    """Accuracy with each of ``SOLVERS`` of networks trained with one: median and range of the recorded seeds, and
    crosses for ``live``, one network each."""
    with book():
        fig = Figure(figsize=(7.0, 3.6))
        ax, ends, places = fig.subplots(), {}, range(len(SOLVERS))
        for solver, accuracies in record["swapped"].items():
            drawn, found = TRAINED_LOOK[solver], 100 * np.array(accuracies)
            _band(ax, places, found, drawn)
            ax.plot(places, 100 * np.array(live[solver]), "+", color=drawn["color"], ms=8, mew=1.2)
            ends[f"trained with {solver}"] = float(np.median(found[:, -1])), drawn["color"]
        ax.set(xlabel="solver at test time", ylabel="right, of 360 digits (%)", ylim=(0, 100))
        ax.set_xlim(-0.05, len(SOLVERS) - 0.95)
        ax.set_xticks(places, [name.replace(" ", "\n") for name in SOLVERS])
        beside(ax, ends)
    return fig


def _band(ax: Axes, x: Sequence[float], runs: Any, drawn: Mapping[str, Any]) -> None:
    runs = np.array(runs)
    ax.fill_between(x, runs.min(0), runs.max(0), color=drawn["color"], alpha=0.13, lw=0)
    ax.plot(x, np.median(runs, 0), **drawn)


def orders(steps: Sequence[int], errors: Mapping[str, Sequence[float]]) -> Figure:
    """The error of rk4 against its steps, one line for each activation, with the order between the last two points."""
    styles = (("-", "o"), ("--", "s"), ("-.", "^"), (":", "D"))
    with book():
        fig = Figure(figsize=(7.0, 3.6))
        ax, ends = fig.subplots(), {}
        for (name, found), (line, marker) in zip(errors.items(), styles, strict=True):
            ax.loglog(steps, found, color=LOOKS["rk4"].colour, linestyle=line, marker=marker)
            ends[f"{name}: order {np.log2(found[-2] / found[-1]):.1f}"] = found[-1], INK
        ax.set(xlabel="steps of rk4", ylabel="error of z(1) (RMS)", xlim=(steps[0], steps[-1]))
        plain_ticks(ax.xaxis, list(steps))
        beside(ax, ends)
    return fig
