"""The still figures of chapter 2. Each function draws what the notebook computed, and computes nothing itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nodelib.workbook.style import BLUE, GREY, INK, LOOKS, ORANGE, book, label, look, plain_ticks

Array = NDArray[Any]


def colour(name: str) -> str:
    """The colour of ``name`` in the book's table."""
    return LOOKS[name].colour


def _step_axis(ax: Axes, counts: Sequence[int]) -> None:
    ax.set(xlabel="steps of the solver", xscale="log", yscale="log")
    ax.set_xlim(counts[0] / 1.1, counts[-1] * 1.1)
    plain_ticks(ax.xaxis, counts)


def memory(counts: Sequence[int], megabytes: Mapping[str, Sequence[float]]) -> Figure:
    """Peak memory of each way to a gradient over the number of steps, and a line of slope 1."""
    with book():
        fig = Figure(figsize=(7, 3.6))
        ax = fig.subplots()
        _step_axis(ax, counts)
        for way, used in megabytes.items():
            ax.plot(counts, used, **look(way, points=True))
            name = {"backprop": "backpropagation"}.get(way, way)
            label(ax, f"{name}: {used[-1]:.0f} MB", (counts[-1], used[-1]), colour(way), shift=(9, 0))
        n, most = np.array(counts), max(max(used) for used in megabytes.values())
        ax.plot(n[2:], 2.2 * most * n[2:] / n[-1], "-.", color=GREY, lw=1.2)
        label(ax, "slope 1", (n[3], 2.2 * most * n[3] / n[-1]), GREY, shift=(-8, 6))
        ax.set(ylabel="peak of memory (MB)")
    return fig


def arrows(path: Array, states: Array, adjoints: Array, target: Array) -> Figure:
    """The path, the adjoint as an arrow at some of its states, circles of equal loss, and rays from the target."""
    with book():
        fig = Figure(figsize=(7, 4.6))
        ax = fig.subplots()
        x, y = np.meshgrid(np.linspace(-0.1, 2.6, 80), np.linspace(-2.0, 0.4, 80))
        loss = ((x - target[0]) ** 2 + (y - target[1]) ** 2) / 2
        ax.contour(x, y, loss, levels=[0.05, 0.2, 0.45, 0.8, 1.25], colors="#c8c8cc", linewidths=1)
        for z in states:
            ax.plot(*np.transpose([target, target + 4 * (z - target)]), "-", color="#d4d4d8", lw=0.8)
        ax.plot(*path.T, **look("truth"))
        ax.quiver(
            *states.T,
            *adjoints.T,
            angles="xy",
            scale_units="xy",
            scale=1.6,
            color=colour("adjoint"),
            width=0.006,
            zorder=3,
        )
        ax.plot(*states.T, "o", color=INK, ms=4)
        ax.plot(*target, "+", color=INK, ms=12, mew=1.6)
        label(ax, "target c", tuple(target), shift=(0, 14), ha="center")
        label(ax, "z(t₀)", tuple(states[0]), shift=(2, 13))
        label(ax, "z(t₁)", tuple(states[-1]), shift=(-12, 6))
        label(ax, "a(t)", tuple(states[4] + adjoints[4] / 1.6), colour("adjoint"), shift=(4, -9))
        ax.set(
            xlabel="first component of z", ylabel="second component", aspect="equal", xlim=(0.0, 2.2), ylim=(-1.7, 0.4)
        )
        ax.grid(False)
    return fig


def slopes_of_lines(eps: Array, size: Mapping[str, Array], slopes: Mapping[str, float]) -> Figure:
    """What each line of the derivation leaves out, over ε."""
    with book():
        fig = Figure(figsize=(7, 3.8))
        ax = fig.subplots()
        looks = zip(slopes.items(), ("-", "--", "-.", ":"), "os^D", (INK, INK, INK, ORANGE), (1, 7, -8, 0), strict=True)
        for (name, slope), line, mark, shade, up in looks:
            ax.loglog(eps, size[name], line, marker=mark, color=shade)
            label(ax, f"{name}: slope {slope:.1f}", (eps[0], size[name][0]), shade, shift=(9, up))
        ax.set(xlabel="ε", ylabel="what the line leaves out (norm)", xlim=(eps[-1] / 1.1, eps[0] * 1.1))
        ticks = eps[::-1].tolist()
        plain_ticks(ax.xaxis, ticks)
        ax.set_xticklabels([f"1/{round(1 / e)}" for e in ticks])
    return fig


def tails(times: Array, curves: Mapping[str, Array], at: Array, dots: Mapping[str, Array]) -> Figure:
    """Adjoints that end at 0: by the equation as lines, by the experiment as points."""
    with book():
        fig = Figure(figsize=(7, 3.6))
        ax = fig.subplots()
        for (name, curve), line, mark in zip(curves.items(), ("-", "--", ":"), "os^", strict=True):
            ax.plot(times, curve, line, color=ORANGE)
            ax.plot(at, dots[name], mark, color=INK, ms=4)
            label(ax, name, (times.min(), curve[np.argmin(times)]), ORANGE, shift=(8, 10))
        ax.set(xlabel="time t from which the parameter is changed", ylabel="gradient of the loss")
        ax.set_xlim(times.min() - 0.04, times.max() + 0.04)
        ax.set_xticks(np.linspace(times.min(), times.max(), 5))
    return fig


def jumps(outputs: Array, pieces: Sequence[tuple[Array, Array]], leaps: Sequence[tuple[float, Array, Array]]) -> Figure:
    """Both components of the adjoint between the outputs (times, values), and its jumps (time, from, to)."""
    with book():
        fig = Figure(figsize=(7, 3.6))
        ax = fig.subplots()
        shades, styles = (ORANGE, ORANGE), ("-", "--")
        for k in (0, 1):
            for times, values in pieces:
                ax.plot(times, values[:, k], styles[k], color=shades[k])
            for time, before, after in leaps:
                arrow = {"arrowstyle": "->", "color": shades[k], "shrinkA": 0, "shrinkB": 0}
                ax.annotate("", (time, after[k]), (time, before[k]), arrowprops=arrow)
        times, values = pieces[0]
        middle = len(times) // 2
        label(ax, "first component", (times[middle], values[middle, 0]), shades[0], shift=(0, 11), ha="center")
        label(ax, "second component", (times[middle], values[middle, 1]), shades[1], shift=(0, -11), ha="center")
        ax.set(xlabel="time t (read from right to left)", ylabel="adjoint a(t)", xticks=outputs, ylim=(-1.4, 3.2))
        ax.set_xlim(outputs[0] - 0.05, outputs[-1] + 0.05)
    return fig


def learned(data: Array, path: Array, grid: Array, angle: Array) -> Figure:
    """Left the data and the learned path, right the angle in degrees between learned and true field on the grid."""
    with book():
        fig = Figure(figsize=(7, 3.5))
        (left, right) = fig.subplots(1, 2, sharey=True)
        left.plot(*data.T, ".", color=GREY, ms=5)
        left.plot(*path.T, **look("odenet"))
        box = {"bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1}, "ha": "center"}
        label(left, "data", (0.0, 1.84), GREY, shift=(0, 12), **box)
        label(left, "learned path", (0.0, -0.35), BLUE, shift=(0, 0), **box)
        image = right.pcolormesh(grid[..., 0], grid[..., 1], angle, vmin=0, vmax=90, shading="nearest", rasterized=True)
        right.plot(*data.T, ".", color="white", ms=3)
        fig.colorbar(image, ax=right, label="angle between the fields (°)", ticks=[0, 30, 60, 90])
        for ax, title in ((left, "the path learned"), (right, "the field learned")):
            ax.set(title=title, xlabel="first component", aspect="equal", xlim=(-2.3, 2.3), ylim=(-2.3, 2.3))
            ax.grid(False)
        left.set_ylabel("second component")
    return fig


def two_gradients(counts: Sequence[int], gap: Mapping[str, Sequence[float]]) -> Figure:
    """How far DtO and OtD are apart over the number of steps, for each method."""
    with book():
        fig = Figure(figsize=(7, 3.4))
        ax = fig.subplots()
        _step_axis(ax, counts)
        for method, between in gap.items():
            ax.plot(counts, between, **look(method, points=True))
            slope = np.log2(between[-2] / between[-1])
            name = {"euler": "Euler", "rk4": "Runge–Kutta 4"}[method]
            label(ax, f"{name}\nslope −{slope:.1f}", (counts[-1], between[-1]), colour(method), shift=(9, 0))
        ax.set(ylabel="‖OtD − DtO‖ / ‖DtO‖", ylim=(1e-9, 3))
    return fig


def three_references(tolerances: Sequence[float], errors: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Errors of two gradients by tolerance, one panel a reference: errors[reference][way]."""
    with book():
        fig = Figure(figsize=(7, 3.3))
        axes = fig.subplots(1, len(errors), sharey=True)
        for ax, (title, ways) in zip(axes, errors.items(), strict=True):
            for way, values in ways.items():
                ax.loglog(tolerances, values, **look(way, points=True))
            ax.set(title=title, xlabel="tolerance", ylim=(1e-13, 2))
            ax.set_xlim(max(tolerances) * 1.6, min(tolerances) / 1.6)
            ax.set_xticks([1e-2, 1e-4, 1e-6])
            ax.minorticks_off()
        axes[0].set_ylabel("relative error")
        first = next(iter(errors.values()))
        label(axes[0], "adjoint", (tolerances[2], first["adjoint"][2]), colour("adjoint"), shift=(8, 8))
        label(
            axes[0], "backprop", (tolerances[2], first["backprop"][2]), colour("backprop"), shift=(0, 12), ha="center"
        )
    return fig


def way_back(truth: tuple[Array, Array], back: Mapping[str, tuple[Array, Array]]) -> Figure:
    """x and the gradient collected over time, exact and as solved back: (times, [x, …, a_μ])."""
    with book():
        fig = Figure(figsize=(7, 3.5))
        axes = fig.subplots(1, 2)
        for ax, k, name in ((axes[0], 0, "x"), (axes[1], -1, "dL/dμ collected so far")):
            ax.plot(truth[0], truth[1][:, k], **look("truth"))
            for (times, values), line in zip(back.values(), ("-", "--"), strict=True):
                ax.plot(times, values[:, k], line, color=colour("adjoint"))
            ax.set(title=name, xlabel="time t (read from right to left)", xlim=(0, 8))
        (loose, tight), (first, second) = back, back.values()
        axes[0].set(ylim=(-2.6, 2.6))
        label(axes[0], "exact", (3.0, 1.51), shift=(0, 11), ha="center")
        label(axes[0], loose, (1.9, 0.12), colour("adjoint"), shift=(0, 11), ha="center")
        label(axes[0], tight, (second[0][-1], -2.3), colour("adjoint"), shift=(-6, 0))
        axes[1].set_yscale("symlog", linthresh=0.1)
        axes[1].set(ylim=(-2e10, 1), yticks=[0, -0.1, -1e3, -1e6, -1e9])
        axes[1].minorticks_off()
        label(axes[1], "exact: −0.2", (1.6, -0.2), shift=(0, -11), ha="center")
        label(axes[1], loose, (first[0][110], first[1][110, -1]), colour("adjoint"), shift=(6, -8))
    return fig
