"""Figures of § 6.7: evaluations through training and by penalties, and what an implicit step costs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.workbook.style import BLUE, GREY, INK, LOOKS, PURPLE, book, label, plain_ticks

Record = Mapping[str, Any]
SHOWN = (0.0, 0.001, 0.01, 0.1)  # weights of the kinetic energy
DASHES = ("-", "--", "-.", ":")
DERIVATIVES = {1: ("$|z'|^2$", BLUE, "-", "D"), 2: ("$|z''|^2$", PURPLE, "--", "s"), 3: ("$|z'''|^2$", GREY, ":", "P")}


def evaluations(record: Record) -> Figure:
    """Evaluations through training with the kinetic energy in the loss; and, by penalty, evaluations against loss."""
    with book():
        fig = Figure(figsize=(7.6, 3.6))
        left, right = fig.subplots(1, 2)
        _through_training(left, record)
        _against_loss(right, record)
    return fig


def _through_training(ax: Axes, record: Record) -> None:
    for weight, dashes in zip(SHOWN, DASHES, strict=True):
        run = run_of(record, 1, weight)
        nfe = np.array(run["nfe"])
        ax.fill_between(run["iterations"], nfe.min(1), nfe.max(1), color=BLUE, alpha=0.15, linewidth=0)
        ax.plot(run["iterations"], nfe.mean(1), color=BLUE, linestyle=dashes)
        words = f"{weight:g}" if weight else "without"
        label(ax, words, (run["iterations"][-1], nfe[-1].mean()), BLUE)
    ax.set(xlabel="iterations", ylabel="evaluations at $10^{-6}$", xlim=(0, 200), ylim=(0, 112))
    ax.set_title("with kinetic energy, by its weight")
    ax.set_xticks([0, 50, 100, 150, 200])


def _against_loss(ax: Axes, record: Record) -> None:
    for order, (name, colour, dashes, marker) in DERIVATIVES.items():
        runs = sorted((run for run in record["runs"] if run["order"] == order), key=lambda run: run["weight"])
        x, y = (np.array([value(run) for run in runs]) for value in (mean_loss, last_nfe))
        ax.plot(x, y, color=colour, linestyle=dashes, marker=marker)
        shift = (-6, -4) if order == 3 else (6, -2)
        label(ax, name, (x[-1], y[-1]), colour, shift=shift)
    loss, nfe = stopped_early(record)
    ax.plot(loss, nfe, color=INK, linestyle="-", linewidth=1)
    label(ax, "none, stopped early", (loss[-2], nfe[-2]), INK, shift=(4, 8))
    ax.set(xscale="log", xlabel="loss in the end", ylabel="evaluations at $10^{-6}$", ylim=(0, 112))
    ax.set_title("each penalty, by its weight")
    ax.margins(x=0.2)


def run_of(record: Record, order: int, weight: float) -> dict[str, Any]:
    """The recorded training with this penalty. Raises StopIteration where there is none."""
    return next(run for run in record["runs"] if run["order"] == order and np.isclose(run["weight"], weight))


def stopped_early(record: Record, above: float = 1e-4) -> tuple[np.ndarray, np.ndarray]:
    """Training without a penalty, stopped at each of the iterations recorded: the geometric mean of its losses down to
    ``above``, and the mean of its evaluations there."""
    run = run_of(record, 1, 0.0)
    loss, nfe = np.exp(np.log(run["losses"]).mean(1)), np.mean(run["nfe"], 1)
    return loss[loss > above], nfe[loss > above]


def evaluations_at(record: Record, loss: float) -> float:
    """What training without a penalty takes when it is stopped at this loss: interpolated along ``stopped_early``."""
    losses, nfe = stopped_early(record)
    return float(np.interp(-np.log(loss), -np.log(losses), nfe))


def mean_loss(run: Record) -> float:
    """The geometric mean over seeds of the loss in the end."""
    return float(np.exp(np.log(run["loss"]).mean()))


def last_nfe(run: Record) -> float:
    """The mean over seeds of the evaluations in the end."""
    return float(np.mean(run["nfe"][-1]))


# --- an implicit step -------------------------------------------------------------------------------------------------


def row_of(record: Record, dim: int, rate: float) -> dict[str, Any]:
    """The recorded solves of so many dimensions, at this rate."""
    return next(row for row in record["rows"] if row["dim"] == dim and row["rate"] == rate)


def products(row: Record) -> np.ndarray:
    """What the implicit solve took of evaluations and vector-Jacobian products, each counted as one: (seeds,)."""
    found = row["implicit"]
    return np.array(found["nfe"]) + row["dim"] * np.array(found["jacobians"])


def ratio(row: Record) -> float:
    """dopri5's seconds over the implicit solve's, the median over seeds."""
    return float(np.median(np.array(row["dopri5"]["seconds"]) / np.array(row["implicit"]["seconds"])))


def gains(record: Record) -> dict[str, float]:
    """How many times faster the implicit solve is: "stiff", in 2 dimensions at a rate of 10,000, and "large", in 200 at
    one of 100."""
    return {"stiff": ratio(row_of(record, 2, 10_000)), "large": ratio(row_of(record, 200, 100))}


def costs(record: Record) -> Figure:
    """By rate: evaluations of both, Jacobians' products among them; and how many times faster the implicit one is."""
    dims = sorted({row["dim"] for row in record["rows"]})
    rates = sorted({row["rate"] for row in record["rows"]})
    with book():
        fig = Figure(figsize=(7.6, 3.6))
        left, right = fig.subplots(1, 2)
        explicit = [np.mean([np.mean(row_of(record, dim, rate)["dopri5"]["nfe"]) for dim in dims]) for rate in rates]
        look = LOOKS["dopri5"]
        left.plot(rates, explicit, color=look.colour, linestyle=look.line, marker=look.marker)
        label(left, "dopri5", (rates[-2], float(explicit[-2])), look.colour, shift=(-6, 6))
        for dim, dashes, marker, up in zip(dims, DASHES[1:], "sPx", (5, -5, 0), strict=True):
            rows = [row_of(record, dim, rate) for rate in rates]
            taken = [products(row).mean() for row in rows]
            left.plot(rates, taken, color=GREY, linestyle=dashes, marker=marker)
            label(left, f"$D$ = {dim}", (rates[-1], float(taken[-1])), GREY, shift=(6, up))
            times = [ratio(row) for row in rows]
            right.plot(rates, times, color=GREY, linestyle=dashes, marker=marker)
            label(right, f"$D$ = {dim}", (rates[-1], times[-1]), GREY, shift=(6, -up))
        right.axhline(1, color=INK, linewidth=1)
        label(right, "as fast", (rates[0], 1), INK, shift=(0, 7))
        for ax in (left, right):
            ax.set(xscale="log", yscale="log", xlabel="stiffness: the fast direction's rate")
            ax.margins(x=0.14)
        left.set_xlim(right=rates[-1] * 12)
        right.set_xlim(right=rates[-1] * 12)
        left.set(title="evaluations and products")
        right.set(title="time of dopri5 / of the implicit solve")
        plain_ticks(left.xaxis, [1, 100, 10000])
        plain_ticks(right.xaxis, [1, 100, 10000])
    return fig
