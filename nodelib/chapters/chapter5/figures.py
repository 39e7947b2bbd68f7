"""Chapter 5's pictures of series in the plane and in time: what was observed, what is foretold, what a state does."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from nodelib.data.spirals import STEPS, SpiralSet
from nodelib.experiments.forecasts import chosen, in_strides, series_of
from nodelib.models.recurrent import Forecaster, Recurrence
from nodelib.models.series import Series, tidy
from nodelib.workbook.style import INK, LOOKS, Look, book, label, plain_ticks

# A latent ODE is drawn as an ODE-Net, a recurrent network as a residual network, wherever the book draws them; what a
# gap does to the state is another line of the same.
SERIES_LOOK: dict[str, Look] = {
    "latent ODE": LOOKS["odenet"],
    "latent ODE, ODE-RNN encoder": Look(LOOKS["odenet"].colour, "--", "o"),
    "rnn": Look(LOOKS["resnet"].colour, ":", "v"),
    "rnn-dt": LOOKS["resnet"],
    "rnn-decay": Look(LOOKS["resnet"].colour, "--", "^"),
    "gru-dt": LOOKS["rk4"],
    "gru-decay": Look(LOOKS["rk4"].colour, "--", "<"),
    "ode-rnn": LOOKS["adjoint"],
}
SERIES_NAME = {
    "latent ODE": "latent ODE",
    "latent ODE, ODE-RNN encoder": "latent ODE, ODE-RNN encoder",
    "rnn": "RNN",
    "rnn-t": "RNN, t",
    "rnn-dt": "RNN, Δt",
    "rnn-decay": "RNN, decay",
    "gru-t": "GRU, t",
    "gru-dt": "GRU, Δt",
    "gru-decay": "GRU, decay",
    "ode-rnn": "ODE-RNN",
}


def seen_of(spirals: SpiralSet, rows: Any = slice(None)) -> Series:
    """The observed test series of a set, (rows, k, …)."""
    every = series_of([spirals.test], spirals.grid)
    return chosen(every, (torch.zeros((), dtype=torch.long), rows))


def bare_plane(ax: Axes, reach: float) -> None:
    """[-reach, reach]² without ticks, as wide as high."""
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    ax.grid(False)


def truth(ax: Axes, curve: Tensor) -> None:
    """A spiral without noise, (200, 2): in the observed window, and fainter after it."""
    ax.plot(*curve[:STEPS].T, "-", color="#888888", lw=1.0)
    ax.plot(*curve[STEPS - 1 :].T, color="#888888", lw=1.0, ls=":")


@torch.no_grad()
def foretold(
    spirals: SpiralSet, rows: Sequence[int], models: Mapping[str, Any], stride: int = 1, reach: float = 2.6
) -> Figure:
    """A row a model, a column a test series: its observations, the spiral, and what the model makes of them, asked in
    strides of so many steps of the grid. A latent ODE draws the window as well."""
    series = seen_of(spirals, list(rows))
    with book():
        fig = Figure(figsize=(2.1 * len(rows), 2.15 * len(models)))
        axes = fig.subplots(len(models), len(rows), squeeze=False)
        for line, (name, model) in zip(axes, models.items(), strict=True):
            colour, grid = SERIES_LOOK[name].colour, spirals.grid
            further = in_strides(model, series, grid[STEPS:], stride)
            window = None if isinstance(model, Forecaster) else model.forecast(series, grid[:STEPS])
            for i, (ax, row) in enumerate(zip(line, rows, strict=True)):
                truth(ax, spirals.test.clean[row])
                ax.plot(*series.x[i].T, ".", color=LOOKS["data"].colour, ms=4)
                if window is not None:
                    ax.plot(*window[i].T, "-", color=colour, lw=1.6)
                ax.plot(*further[i].T, color=colour, lw=1.6, ls="--")
                bare_plane(ax, reach)
            line[0].set_ylabel(SERIES_NAME[name])
    return fig


@torch.no_grad()
def between(models: Mapping[str, Recurrence], series: Series, points: int = 12) -> Figure:
    """What the state does between the observations of one series, (1, k): a panel a network, in each the three units
    that move most in the gaps, or where none does those that vary most; a dot where an observation was read."""
    with book():
        fig = Figure(figsize=(8.8, 2.5))
        for ax, (name, recurrence) in zip(fig.subplots(1, len(models), sharey=True), models.items(), strict=True):
            t, h = states_between(recurrence, series, points)
            moved = (h[:, -1] - h[:, 0]).abs().mean(0)
            most = (moved if moved.any() else h[:, -1].var(0)).argsort(descending=True)[:3]
            for unit, look in zip(most.tolist(), (LOOKS["odenet"], LOOKS["resnet"], LOOKS["rk4"]), strict=True):
                for gap_t, gap_h in zip(t, h[..., unit], strict=True):
                    ax.plot(gap_t, gap_h, "-", color=look.colour, lw=1.4)
                ax.plot(t[:, 0], h[:, 0, unit], ".", color=look.colour, ms=5)
            ax.set(xlabel="t, in windows", title=SERIES_NAME[name])
        reach = max(1.1, *(abs(end) for end in fig.axes[0].get_ylim()))  # an ODE may leave what tanh gives
        fig.axes[0].set(ylabel="state, three units", ylim=(-reach, reach))
    return fig


@torch.no_grad()
def states_between(recurrence: Recurrence, series: Series, points: int) -> tuple[Tensor, Tensor]:
    """Times (k - 1, points) and states (k - 1, points, units) from each observation of one series to the next."""
    x, t, *_ = tidy(series)
    following = torch.cat([t[:, 1:], t[:, -1:]], -1)
    gaps = (following - t).abs() / recurrence.gap
    pres = recurrence.input(recurrence.seen(x, following, gaps).transpose(-2, -3)).unbind(-3)
    h, states = x.new_zeros(1, recurrence.units), []
    for pre, gap in zip(pres[:-1], gaps[0, :-1], strict=True):
        new = recurrence.jump(pre, h)
        each = [recurrence.flow(new, *recurrence.factors((gap * s)[None, None])) for s in torch.linspace(0, 1, points)]
        states.append(torch.cat(each))
        h = each[-1]
    share = torch.linspace(0, 1, points)
    times = t[0, :-1, None] + (t[0, 1:] - t[0, :-1])[:, None] * share
    return times, torch.stack(states)


@torch.no_grad()
def model_at_work(model: Any, spirals: SpiralSet, row: int, draws: int = 8) -> Figure:
    """The latent ODE on one test series: what it reads, last observation first; the encoder's state; the latent
    trajectories from draws of q; and what is seen of them."""
    series, grid = seen_of(spirals, [row]), spirals.grid
    mean, log_std = model.encode(series)
    noise = torch.randn(draws, *mean.shape, generator=torch.Generator().manual_seed(0))
    paths = torch.stack([model.path(mean + log_std.exp() * each, grid)[:, 0] for each in noise])
    seen = model.decode(paths)
    states = torch.stack(model.encoder(*_backwards(series)), 1)[0]
    with book():
        fig = Figure(figsize=(8.8, 4.6))
        (reads, inner), (latent, curve) = fig.subplots(2, 2, width_ratios=[1.25, 1])
        for axis, colour in ((0, LOOKS["odenet"].colour), (1, LOOKS["resnet"].colour)):
            reads.plot(series.t[0], series.x[0, :, axis], ".", color=colour, ms=6)
            label(reads, f"x{'₁₂'[axis]}", (1.0, float(spirals.test.clean[row, STEPS, axis])), colour)
        reads.annotate("", (0.0, 2.85), (1.0, 2.85), arrowprops={"arrowstyle": "->", "color": INK})
        reads.set(
            title="observations, read from the last to the first",
            xlabel="t, in windows",
            xlim=(-0.05, 2.05),
            ylim=(-2.6, 3.1),
        )
        image = inner.imshow(states.T.numpy(), aspect="auto", cmap="RdBu", vmin=-1, vmax=1, interpolation="nearest")
        inner.set(title="the encoder's state", xlabel="observations read", ylabel="unit")
        inner.grid(False)
        fig.colorbar(image, ax=inner, fraction=0.05)
        colours = [LOOKS[name].colour for name in ("odenet", "resnet", "rk4", "adjoint")]
        for unit, colour in enumerate(colours[: mean.shape[-1]]):
            for path in paths:
                latent.plot(grid, path[:, unit], "-", color=colour, lw=0.6, alpha=0.7)
            latent.errorbar(-0.03, mean[0, unit], log_std.exp()[0, unit], fmt=".", color=colour, capsize=3, ms=6)
        latent.axvspan(0, 1, color="#eeeeee", zorder=0)
        latent.set(
            title="draws of z₀ from q, and where f takes them", xlabel="t, in windows", ylabel="z", xlim=(-0.08, 2.05)
        )
        truth(curve, spirals.test.clean[row])
        for each in seen:
            curve.plot(*each[:STEPS].T, "-", color=LOOKS["odenet"].colour, lw=0.6, alpha=0.7)
            curve.plot(*each[STEPS - 1 :].T, color=LOOKS["odenet"].colour, lw=0.6, alpha=0.7, ls="--")
        curve.plot(*series.x[0].T, ".", color=LOOKS["data"].colour, ms=4)
        curve.set_title("what is seen of them")
        bare_plane(curve, 2.6)
    return fig


def _backwards(series: Series) -> tuple[Tensor, Tensor, Tensor]:
    t = series.t.flip(-1)
    return series.x.flip(-2), t, torch.cat([t[..., 1:], torch.zeros_like(t[..., :1])], -1)


def table2(record: Mapping[str, Any], paper: Mapping[str, Sequence[float]], target: str = "clean") -> Figure:
    """A panel a number of observations: the error on the further points of each training as a point, the mean as a bar,
    and the paper's two models as crosses."""
    names = list(dict.fromkeys(run["model"] for run in record["runs"]))
    counts = sorted({run["k"] for run in record["runs"]})
    with book():
        fig = Figure(figsize=(8.8, 3.1))
        axes = fig.subplots(1, len(counts), sharey=True, sharex=True)
        for j, (ax, k) in enumerate(zip(np.atleast_1d(axes), counts, strict=True)):
            for place, name in enumerate(names):
                for run in record["runs"]:
                    if (run["model"], run["k"]) == (name, k):
                        ax.plot(run[target], [place] * len(run[target]), "o", color=SERIES_LOOK[name].colour, ms=3.5,
                                alpha=0.7, mew=0)  # fmt: skip
                        ax.plot(np.mean(run[target]), place, "|", color=INK, ms=12, mew=1.8)
                if name in paper:
                    ax.plot(paper[name][j], place, "x", color="#777777", ms=6)
            ax.set(xscale="log", title=f"{k} observations", xlabel="RMS error", ylim=(len(names) - 0.5, -0.5))
            plain_ticks(ax.xaxis, [0.02, 0.05, 0.1, 0.2, 0.5, 1])
            ax.grid(axis="y", visible=False)
        fig.axes[0].set_yticks(range(len(names)), [SERIES_NAME[name].replace(", ODE", ",\nODE") for name in names])
    return fig


def interpolation(planes: Any, angle: float = 0.2, mixes: int = 9) -> Figure:
    """What is decoded from ``mixes`` starts between a counter-clockwise and a clockwise spiral; the window is a whole
    line, what follows is dotted. ``planes`` are ``numbers.LatentPlanes``."""
    with book():
        fig = Figure(figsize=(8.8, 1.35))
        for ax, mix in zip(fig.subplots(1, mixes), np.linspace(0, 1, mixes), strict=True):
            seen = planes.at(angle, float(mix)).seen
            colour = LOOKS["odenet" if mix < 0.5 else "resnet"].colour if mix != 0.5 else INK
            ax.plot(*seen[:STEPS].T, "-", color=colour, lw=1.3)
            ax.plot(*seen[STEPS - 1 :].T, ":", color=colour, lw=1.3)
            ax.plot(*seen[:1].T, "o", color=colour, ms=4)
            bare_plane(ax, 3.2)
            ax.set_title(f"{100 * mix:g}%", fontsize=9)
    return fig
