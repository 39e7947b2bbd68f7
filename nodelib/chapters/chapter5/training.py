"""What helps a latent ODE's training, and what hurts it: table and picture of ``figures/latent_training.py``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from nodelib.workbook.style import INK, LOOKS, book, label, plain_ticks
from nodelib.workbook.table import Table

Record = Mapping[str, Any]
BASE = "base"
WORDS = {
    BASE: "horizon grows, σ 2 ×, KL 1, Δt, rate 0.02",
    "whole window": "whole window from the start",
    "shooting": "whole window, four segments",
    "sigma 0.5": "σ 0.5 × the noise",
    "sigma 1": "σ 1 × the noise",
    "sigma 5": "σ 5 × the noise",
    "sigma 0.5, whole window": "σ 0.5 ×, whole window",
    "no KL": "no KL term",
    "KL annealed": "KL from 0 to 1 in half the run",
    "KL x 10": "KL × 10",
    "no times": "encoder sees no times",
    "t": "encoder sees t, not Δt",
    "low rate": "rate 0.003",
    "low rate, whole window": "rate 0.003, whole window",
    "rate 0.01": "rate 0.01",
    "rate 0.01, whole window": "rate 0.01, whole window",
    "rate 0.01, KL x 10": "rate 0.01, KL × 10",
    "rate 0.01, sigma 5": "rate 0.01, σ 5 ×",
    "rate 0.005": "rate 0.005",
    "rate 0.005, KL x 10": "rate 0.005, KL × 10",
}


def failed(run: Mapping[str, Any], record: Record) -> int:
    """In how many seeds the error on the further points is more than half of the mean's."""
    return sum(x > y / 2 for x, y in zip(run["further"], record["mean_alone"], strict=True))


def against_base(run: Mapping[str, Any], record: Record, key: str = "further") -> np.ndarray:
    """The error of each seed less that of the same seed under the base recipe."""
    (base,) = (each for each in record["runs"] if each["recipe"] == BASE)
    return np.subtract(run[key], base[key])


def recipes_table(record: Record) -> Table:
    """A row a recipe: median errors in the window and on the further points, the seeds that failed, and in how many the
    further points are worse than under the base."""
    rows = []
    for run in record["runs"]:
        seeds = len(run["further"])
        worse = "" if run["recipe"] == BASE else f"{sum(against_base(run, record) > 0)} of {seeds}"
        medians = (f"{np.median(run[key]):.3f}" for key in ("window", "further"))
        rows.append((WORDS[run["recipe"]], *medians, f"{failed(run, record)} of {seeds}", worse))
    return Table(("recipe", "window, median", "further points, median", "failed", "worse than the first"), rows)


def recipes(record: Record) -> Figure:
    """A row a recipe: the errors on the further points, of each seed as a point, their median as a bar; as lines that
    of the mean, and half of it, beyond which a seed has failed."""
    runs: Sequence[Record] = record["runs"]
    look, alone = LOOKS["odenet"], float(np.mean(record["mean_alone"]))
    with book():
        fig = Figure(figsize=(7.4, 0.31 * len(runs) + 0.9))
        ax = fig.subplots()
        for place, run in enumerate(runs):
            ax.plot(run["further"], [place] * len(run["further"]), "o", color=look.colour, ms=4, alpha=0.7, mew=0)
            ax.plot(np.median(run["further"]), place, "|", color=INK, ms=13, mew=2)
        for x, words in ((alone, "the mean"), (alone / 2, "half of it")):
            ax.axvline(x, color="#999999", lw=1, ls="--" if x < alone else "-")
            label(ax, words, (x, -0.75), shift=(3, 0), fontsize=9)
        ax.set(xscale="log", ylim=(len(runs) - 0.4, -1.2), xlabel="RMS error on the 100 further points, without noise")
        plain_ticks(ax.xaxis, [0.02, 0.05, 0.1, 0.2, 0.5, 1])
        ax.set_xlim(right=1.3 * max(ax.get_xlim()[1], alone))  # room for the label
        ax.set_yticks(range(len(runs)), [WORDS[run["recipe"]] for run in runs])
        ax.grid(axis="y", visible=False)
    return fig
