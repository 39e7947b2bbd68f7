"""Figure 7's picture: intensities that were learned from events, beside the true ones, and their scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.data.events import Bumps, Events, Sinusoid, draw
from nodelib.experiments.poisson import TASKS, Histogram, conditioned, on_grid, phase_known
from nodelib.workbook.style import INK, LOOKS, Look, book, label, plain_ticks

# An ODE is drawn as one, whatever has bins as a coarse thing, what knows the truth as the truth.
RIVAL_LOOK: dict[str, Look] = {
    "ODE": LOOKS["odenet"],
    "latent ODE": LOOKS["odenet"],
    "kernel": LOOKS["rk4"],
    "histogram": LOOKS["resnet"],
    "histogram of 20 bins": LOOKS["one block"],
    "own histogram": LOOKS["resnet"],
    "constant": LOOKS["adams"],
    "phase known": LOOKS["truth"],
}
RIVAL_NAME = {"phase known": "all but φ known"}
TASK_TITLE = {"half": "half of the events given", "past": "events before t = 5 given"}


def best_run(record: Mapping[str, Any], task: str) -> dict[str, Any]:
    """The run of a task whose weight of the KL term validation chose."""
    rows = [row for row in record["each"] if row["task"] == task]
    return min(rows, key=lambda row: sum(row["validation"]))


def middle(values: Any) -> int:
    """The seed whose value is in the middle."""
    return int(np.argsort(values)[len(values) // 2])


@torch.no_grad()
def fig7(
    record: Mapping[str, Any], ones: Mapping[int, Any], shown: Mapping[str, tuple[Any, Sinusoid, Events, Events]]
) -> Figure:
    """The record with its models: those of one intensity, by the number of sequences, and by task that of each
    sequence, with the true intensities of test sequences, the events given, and those to be predicted."""
    with book():
        fig = Figure(figsize=(10.5, 5.6))
        halves: Any = fig.subfigures(2, 1)
        above, below = halves
        one_row(above, record, ones)
        bottom: Any = below.subplots(1, len(shown) + 1, width_ratios=[1.1] * len(shown) + [1])
        for k, (task, (model, family, given, scored)) in enumerate(shown.items()):
            seed = middle(best_run(record, task)["error"])
            each_panel(bottom[k], task, seed, model, family, given, scored)
        scores_panel(bottom[-1], record)
    return fig


@torch.no_grad()
def intensities(record: Mapping[str, Any], ones: Mapping[int, Any]) -> Figure:
    """The upper half of ``fig7``: one intensity, learned from more and more sequences."""
    with book():
        fig = Figure(figsize=(8.8, 2.6))
        one_row(fig, record, ones)
    return fig


def one_row(fig: Any, record: Mapping[str, Any], ones: Mapping[int, Any]) -> None:
    """A panel a number of sequences, and one of all errors."""
    axes = fig.subplots(1, len(ones) + 1, width_ratios=[1] * len(ones) + [1.3])
    for k, (row, model) in enumerate(zip(record["one"], ones.values(), strict=True)):
        one_panel(axes[k], row, model, first=k == 0, last=k + 1 == len(ones))
    errors_panel(axes[-1], record["one"])


def line(name: str) -> Any:
    drawn = RIVAL_LOOK[name]
    return {"color": drawn.colour, "linestyle": drawn.line}


def one_panel(ax: Axes, row: Mapping[str, Any], model: Any, first: bool, last: bool) -> None:
    """The true intensity, a histogram of the first seed's events, and the seed in the middle."""
    truth, n = Bumps(), row["sequences"]
    seed, t = middle(row["error"]["ODE"]), on_grid(truth.end)
    data = draw(truth, n, torch.Generator().manual_seed(2 * seed))
    ax.plot(
        t,
        Histogram(data, truth.end, 20).rate(t),
        **(line("histogram of 20 bins") | {"linestyle": "-"}),
        lw=1,
        label="20 bins",
    )
    ax.plot(t, truth.rate(t), color=INK, ls="-", label="true λ")
    ax.plot(t, model.rate(t.float())[seed], **(line("ODE") | {"linestyle": "--"}), label="ODE")
    ax.set(xlim=(0, truth.end), ylim=(0, 8.5), xlabel="t", title=f"{n} sequences")
    if first:
        ax.set_ylabel("λ")
    if last:
        ax.legend(fontsize=8.5, loc="upper right", handlelength=1.6, borderpad=0, labelspacing=0.2)
    ax.tick_params(labelsize=8.5)


def errors_panel(ax: Axes, rows: Any) -> None:
    """Relative errors against the number of sequences: the median over seeds as a line, each seed of the ODE's."""
    sizes = [row["sequences"] for row in rows]
    for name, up in (("constant", 0), ("histogram of 20 bins", 0), ("kernel", 4), ("ODE", -4)):
        median = [float(np.median(row["error"][name])) for row in rows]
        ax.plot(sizes, median, **line(name))
        shown = "20 bins" if "20" in name else name
        label(ax, shown, (sizes[-1], median[-1]), RIVAL_LOOK[name].colour, shift=(6, up), fontsize=8.5)
    for n, row in zip(sizes, rows, strict=True):
        ax.plot([n] * len(row["error"]["ODE"]), row["error"]["ODE"], ".", color=RIVAL_LOOK["ODE"].colour, ms=4)
    ax.set(xscale="log", yscale="log", xlabel="sequences", title="relative error of λ")
    ax.set_xlim(sizes[0] / 1.2, sizes[-1] * 1.2)
    plain_ticks(ax.xaxis, sizes)
    plain_ticks(ax.yaxis, [0.02, 0.05, 0.1, 0.2, 0.5])
    ax.tick_params(labelsize=8.5)


def each_panel(
    ax: Axes, task: str, seed: int, model: Any, family: Sinusoid, given: Events, scored: Events, row: int = 0
) -> None:
    """One unseen sequence: λ, what the model says of it after the given events, and all events below."""
    t, part = on_grid(family.end), TASKS[task]
    some = given.rows(slice(row, row + 1))
    truth = family.rate(t.expand(len(given.times), -1))[row]
    rate = conditioned(model, some, part, t)[seed, 0]
    ax.plot(t, truth, color=INK, ls="-", label="true λ")
    ax.plot(
        t,
        phase_known(Sinusoid(end=family.end), some, part, t)[0],
        color=INK,
        lw=1,
        ls=":",
        label=RIVAL_NAME["phase known"],
    )
    ax.plot(t, rate, **(line("ODE") | {"linestyle": "--"}), label="latent ODE")
    rest = "to come" if task == "past" else "kept back"
    ticks = ((given, -0.7, "given", LOOKS["adjoint"].colour), (scored, -1.7, rest, LOOKS["data"].colour))
    for events, height, name, colour in ticks:
        at = events.times[row][events.mask[row]]
        ax.plot(at, torch.full_like(at, height), "|", color=colour, ms=7)
        label(ax, name, (family.end, height), colour, fontsize=8.5)
    if task == "past":
        ax.axvline(part.given[1], color=LOOKS["data"].colour, ls="-", lw=0.8)
    ax.set(xlim=(0, family.end), ylim=(-2.4, 10.2), xlabel="t", title=TASK_TITLE[task], yticks=[0, 4, 8])
    ax.set_ylabel("λ")
    if task == "half":
        ax.legend(fontsize=8, loc="upper right", ncols=3, handlelength=1.1, columnspacing=0.5, borderpad=0)
    ax.tick_params(labelsize=8.5)


def scores_panel(ax: Axes, record: Mapping[str, Any]) -> None:
    """Nats per event above the true intensity, on a logarithmic axis: a point a seed, and the rivals."""
    names = ["constant", "own histogram", "latent ODE", "phase known"]
    for shift, (task, marker) in zip((0.14, -0.14), (("half", "o"), ("past", "s")), strict=True):
        rivals = next(row["rivals"] for row in record["tasks"] if row["task"] == task)
        for k, name in enumerate(reversed(names)):
            values = best_run(record, task)["excess"] if name == "latent ODE" else rivals[name]["excess"]
            drawn = {"color": RIVAL_LOOK[name].colour, "ms": 5, "mfc": "none" if task == "past" else None}
            ax.plot(values, [k + shift] * len(values), marker, **drawn)
    ax.set(xscale="log", xlim=(0.025, 0.3), title="nats per event above true λ", ylim=(-0.6, len(names) - 0.4))
    ax.set_yticks(range(len(names)), [RIVAL_NAME.get(name, name) for name in reversed(names)])
    ax.plot([], [], "o", color=INK, label="half")
    ax.plot([], [], "s", color=INK, mfc="none", label="past")
    plain_ticks(ax.xaxis, [0.03, 0.05, 0.1, 0.2])
    ax.legend(fontsize=8.5, loc="lower right")
    ax.tick_params(labelsize=8.5)
