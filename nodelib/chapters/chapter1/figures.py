"""The figures of chapter 1: each function is given numbers and draws them; what they are, the chapter says."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.chapters.chapter1.numbers import LAYERS, Field, amplification
from nodelib.workbook.style import BLUE, GREY, INK, RED, book, label, look, plain_ticks, text_colour

SHORT = {"adams_bashforth": "adams", "implicit_adams": "adams"}  # whose look a method has


def method_look(method: str, **more: Any) -> dict[str, Any]:
    """How a solver is drawn."""
    return look(SHORT.get(method, method), points=True) | more


def _arrows(ax: Axes, f: Field, x: np.ndarray, t: np.ndarray, upright: bool, scale: float = 26) -> None:
    """The field f(t, x) as arrows of one length; time runs up where ``upright``, else to the right."""
    grid_x, grid_t = np.meshgrid(x, t)
    slope = f(grid_t, grid_x)
    size = np.hypot(1, slope)
    place, way = (grid_x, grid_t), (slope / size, 1 / size)
    if not upright:
        place, way = place[::-1], way[::-1]
    ax.quiver(*place, *way, angles="xy", color="#9a9aa0", scale=scale, width=0.0035, headwidth=4)
    ax.grid(False)


def layers_and_solver(f: Field, layers: np.ndarray, solution: Callable, stops: np.ndarray, end: float) -> Figure:
    """Figure 1 of the paper: the states after each layer beside a solver's curves, which stop at ``stops``."""
    with book():
        fig = Figure(figsize=(7, 4.2))
        axes = fig.subplots(1, 2, sharey=True)
        titles = (f"residual network: {len(layers) - 1} layers", f"ODE solver: {len(stops) - 1} steps of dopri5")
        fine = np.linspace(0, end, 200)
        for ax, title in zip(axes, titles, strict=True):
            _arrows(ax, f, np.linspace(-3.2, 3.2, 15), np.linspace(0, end, 14), upright=True)
            ax.set(xlabel="state z", title=title, xlim=(-3.5, 3.5), ylim=(-0.15, end + 0.3))
        axes[0].plot(layers, np.linspace(0, end, len(layers)), **look("resnet", points=True))
        axes[1].plot([solution(t) for t in fine], fine, **look("odenet"))
        axes[1].plot([solution(t) for t in stops], stops, "o", color=BLUE)
        axes[0].set_ylabel("depth t")
    return fig


def two_orbits(truths: Sequence[np.ndarray], eulers: Sequence[np.ndarray]) -> Figure:
    """The oscillator and Lotka-Volterra in the plane: truth, and Euler's states."""
    with book():
        fig = Figure(figsize=(7, 3.6))
        axes = fig.subplots(1, 2)
        words = (("position u", "velocity v", "oscillator"), ("prey x", "predators y", "Lotka–Volterra"))
        for ax, true, euler, (x, y, title) in zip(axes, truths, eulers, words, strict=True):
            ax.plot(*true.T, **look("truth"))
            ax.plot(*euler.T, ".:", color=RED, ms=4, lw=0.8)
            ax.set(xlabel=x, ylabel=y, title=title, aspect="equal")
    return fig


def looking(f: Field, t: float, u: float, h: float, exact: Callable[[Any], Any]) -> Figure:
    """Where four methods look: one step from (t, u), each stage as the place and the slope that is found there."""
    stages = {"euler": [0], "midpoint": [0, 0.5], "heun": [0, 1], "rk4": [0, 0.5, 0.5, 1]}
    weights = {"euler": [1], "midpoint": [0, 1], "heun": [0.5, 0.5], "rk4": [1 / 6, 1 / 3, 1 / 3, 1 / 6]}
    with book():
        fig = Figure(figsize=(7, 3.4))
        axes = fig.subplots(1, 4, sharey=True)
        fine, dash = np.linspace(t, t + h, 60), 0.13 * h
        for ax, (method, nodes) in zip(axes, stages.items(), strict=True):
            colour, slopes = look(method)["color"], []
            _arrows(ax, f, np.linspace(0.2, 2.1, 9), np.linspace(t, t + h, 5), upright=False, scale=11)
            ax.plot(fine, exact(fine), **look("truth"))
            for i, c in enumerate(nodes):
                place = u + c * h * slopes[-1] if slopes else u
                slopes.append(f(t + c * h, place))
                ends = np.array([-dash, dash])
                ax.plot(t + c * h + ends, place + ends * slopes[-1], "-", color=colour, lw=3)
                beside = (0, -11) if i == 2 else (-8 if slopes[-1] > 0 else 8, 9)
                label(ax, str(i + 1), (t + c * h, place), colour, shift=beside, ha="center")
            end = u + h * float(np.dot(weights[method], slopes))
            ax.plot([t, t + h], [u, end], ":", color=colour, lw=1.4)
            ax.plot([t + h], [end], "o", color=colour, ms=7)
            ax.set(title=method, xlabel="t", xlim=(t - 0.15 * h, t + 1.15 * h), ylim=(0.1, 2.2))
            plain_ticks(ax.xaxis, (t, t + h / 2, t + h))
        axes[0].set_ylabel("u")
    return fig


def orders(sizes: np.ndarray, errors: Mapping[str, np.ndarray], slopes: Mapping[str, float]) -> Figure:
    """Errors against step sizes; each line is labelled at its middle, beside it."""
    with book():
        fig = Figure(figsize=(7, 4.2))
        ax = fig.subplots()
        places = {"euler": (4, (-8, 9)), "heun": (7, (-8, 9)), "midpoint": (6, (10, -8)), "rk4": (4, (10, -6))}
        for method, error in errors.items():
            ax.loglog(sizes, error, **method_look(method))
            at, shift = places[method]
            label(
                ax, f"{method}, slope {slopes[method]:.2f}", (sizes[at], error[at]), look(method)["color"], shift=shift
            )
        label(ax, "rounding", (sizes[11], errors["rk4"][11]), look("rk4")["color"], shift=(0, -16), ha="center")
        ax.set(xlabel="step size h", ylabel="error at t = 2", xlim=(sizes[-1], sizes[0]), ylim=(1e-16, 10))
    return fig


def work(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], ylabel: str) -> Figure:
    """Errors against evaluations, a line a method, labelled at its end."""
    with book():
        fig = Figure(figsize=(7, 3.8))
        ax = fig.subplots()
        shifts = {"rk4": (6, -5), "adams_bashforth": (6, 0), "implicit_adams": (6, 7), "heun": (6, 0), "euler": (6, 0)}
        for method, (nfe, error) in curves.items():
            more = {"linestyle": "-"} if method == "implicit_adams" else {}
            ax.loglog(nfe, error, **method_look(method, **more))
            label(ax, method, (nfe[-1], error[-1]), look(SHORT.get(method, method))["color"], shift=shifts[method])
        ax.set(xlabel="evaluations of f", ylabel=ylabel, xlim=(100, 3400))
    return fig


def cobwebs(right_side: Callable, newton: Callable, roots: Mapping[float, float], rounds: int = 8) -> Figure:
    """Above, fixed-point iteration as a cobweb between y = x and the right-hand side; below, both ways' distances."""
    with book():
        fig = Figure(figsize=(7, 5.4))
        axes = fig.subplots(2, 2, sharey="row", height_ratios=(3, 2))
        x = np.linspace(-0.05, 1.05, 200)
        for top, bottom, (h, root) in zip(*axes, roots.items(), strict=True):
            guesses = {"fixed point": _iterates(right_side, h, rounds), "Newton": _iterates(newton, h, rounds)}
            top.plot(x, x, "-", color="0.8", lw=1)
            top.plot(x, right_side(x, 1.0, h), "-", color=INK)
            steps = np.repeat(guesses["fixed point"], 2)
            top.plot(steps[:-1], steps[1:], "-", color=GREY, lw=1.4)
            top.plot(root, root, "*", color=INK, ms=10)
            top.set(title=f"h = {h}", xlabel="guess x", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), aspect="equal")
            for (name, xs), (mark, colour) in zip(guesses.items(), (("o:", GREY), ("D-", INK)), strict=True):
                distance = np.maximum(np.abs(xs - root), 1e-16)
                bottom.semilogy(distance, mark, color=colour, ms=4)
                label(bottom, name, (2, distance[2]), colour, shift=(12, 10) if colour == GREY else (8, 2))
            bottom.set(xlabel="iteration", xlim=(-0.2, rounds + 0.2), ylim=(1e-17, 10))
        axes[0, 0].set_ylabel("next guess")
        axes[1, 0].set_ylabel("distance to\nthe solution")
    return fig


def _iterates(update: Callable, h: float, rounds: int) -> np.ndarray:
    xs = [1.0]
    for _ in range(rounds):
        xs.append(update(xs[-1], 1.0, h))
    return np.array(xs)


def own_steps(solution: Any, end: float) -> Figure:
    """Above, the populations with the ends of steps; below, the size of each step taken, and of those rejected."""
    with book():
        fig = Figure(figsize=(7, 4.6))
        above, below = fig.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        times = np.linspace(0, end, 400)
        states = np.array([solution(t) for t in times])
        start, size, _, accepted = np.array(solution.steps).T
        taken, failed = accepted == 1, accepted == 0
        for k, (line, name) in enumerate((("-", "prey"), ("--", "predators"))):
            above.plot(times, states[:, k], line, color=BLUE)
            label(above, name, (end, states[-1, k]), BLUE, shift=(4, 6 if k else -4))
            above.plot(start[taken], [solution(t)[k] for t in start[taken]], ".", color=BLUE, ms=6)
        above.set(ylabel="population")
        below.stairs(size[taken], np.append(start[taken], end), baseline=None, color=BLUE, lw=1.8)
        below.plot(start[failed], size[failed], "x", color=INK)
        label(below, "× rejected", (end, 0.6), INK)
        label(below, "— taken", (end, 0.3), BLUE)
        below.set(xlabel="time t", ylabel="step size h", xlim=(0, end), ylim=(0, None))
    return fig


def end_errors(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], tolerance: float, end: float) -> Figure:
    """Errors at the ends of the solver's steps over time, a line an equation, and the tolerance."""
    with book():
        fig = Figure(figsize=(7, 3.8))
        ax = fig.subplots()
        for (name, (t, error)), line in zip(curves.items(), ("o-", "s--", "^-."), strict=True):
            ax.semilogy(t, error, line, color=BLUE, ms=3.5)
            label(ax, name, (end, error[-1]), BLUE)
        ax.axhline(tolerance, color=GREY, lw=1.4)
        label(ax, "tolerance", (end, tolerance), GREY)
        ax.set(xlabel="time t", ylabel="error", xlim=(0, end), ylim=(1e-5, 10))
    return fig


REGIONS = {"euler": "Euler", "heun": "midpoint, Heun", "rk4": "Runge–Kutta 4", "dopri5": "dopri5",
           "adams_bashforth": "Adams–Bashforth 4", "implicit_adams": "implicit Adams 4", "trapezoid": "trapezoid",
           "backward_euler": "backward Euler"}  # fmt: skip


PLANE = np.linspace(-4.2, 4.2, 140)  # real or imaginary parts of hλ; with no pole among them


@cache
def _amplifications(method: str) -> np.ndarray:
    """Over PLANE × PLANE, rows for imaginary parts; computed above the real axis, since it is the same below."""
    above = amplification(method, PLANE + 1j * PLANE[70:, None])
    return np.vstack([above[::-1], above])


def regions() -> Figure:
    """The stability regions of nine methods in eight panels, filled: midpoint and Heun have the same."""
    with book():
        fig = Figure(figsize=(7, 4.0))
        axes = fig.subplots(2, 4, sharex=True, sharey=True)
        for ax, (method, name) in zip(axes.flat, REGIONS.items(), strict=True):
            colours = {"trapezoid": INK, "backward_euler": INK}
            colour = colours.get(method) or method_look(method)["color"]
            size = _amplifications(method)
            ax.contourf(PLANE, PLANE, size, [-1, 1 + 1e-9], colors=[colour], alpha=0.45)
            ax.contour(PLANE, PLANE, size, [1.0], colors=[colour], linewidths=1.2)
            ax.axhline(0, color=INK, lw=0.6)
            ax.axvline(0, color=INK, lw=0.6)
            ax.set_title(name, fontsize=9.5, color=text_colour(colour))
            ax.set(aspect="equal", xticks=(-4, -2, 0, 2, 4), yticks=(-4, -2, 0, 2, 4))
            ax.grid(False)
        for ax in axes[:, 0]:
            ax.set_ylabel("Im hλ")
        for ax in axes[1]:
            ax.set_xlabel("Re hλ")
    return fig


def stiff_costs(rates: np.ndarray, costs: Mapping[str, Sequence[int]]) -> Figure:
    """Evaluations against λ, a line a solver."""
    with book():
        fig = Figure(figsize=(7, 3.4))
        ax = fig.subplots()
        looks = {"dopri5": look("dopri5", points=True), "scipy:LSODA": look("adams", points=True),
                 "scipy:Radau": {"color": INK, "linestyle": "--", "marker": "v"}}  # fmt: skip
        for method, cost in costs.items():
            ax.loglog(rates, cost, **looks[method])
            label(ax, method, (rates[-1], cost[-1]), looks[method]["color"], shift=(8, 0))
        ax.set(xlabel="rate λ", ylabel="evaluations of f", xlim=(rates[0], rates[-1]))
    return fig


def depths(states: Mapping[int, Mapping[str, np.ndarray]]) -> Figure:
    """For three kinds of networks, the first component over relative depth, at several depths L."""
    with book():
        fig = Figure(figsize=(7, 3.2))
        axes = fig.subplots(1, 3, sharey=True)
        looks = (("o:", 1.2), ("--", 1.2), ("-", 1.2))
        for (line, width), (L, kinds) in zip(looks, states.items(), strict=False):
            for ax, (kind, path) in zip(axes, kinds.items(), strict=True):
                ax.plot(np.linspace(0, 1, L + 1), path[:, 0, 0], line, color=RED, lw=width, ms=3.5, label=f"L = {L}")
                ax.set(title=kind, xlim=(0, 1), xticks=(0, 0.5, 1))
                ax.title.set_fontsize(9.5)
        axes[0].legend(loc="lower right", fontsize=9)
        fig.supxlabel("relative depth k / L", fontsize=10.5)
        axes[0].set_ylabel("first component of z")
    return fig


def trained_fields(errors: Mapping[str, np.ndarray]) -> Figure:
    """Errors at t = 10 against the number of Euler layers, and apart on the right by dopri5, a line a field."""
    with book():
        fig = Figure(figsize=(7, 3.8))
        ax = fig.subplots()
        looks = {"true": look("truth"), "euler": look("euler", points=True), "simpson": look("odenet", points=True)}
        words = {"true": ("the true field", 5, (-6, -14)), "euler": ("trained by Euler", 3, (0, -13)),
                 "simpson": ("trained by Simpson", 1, (12, 12))}  # fmt: skip
        ax.axvspan(8e3, 2.1e4, color="0.93")
        label(ax, "dopri5", (1.3e4, 4), shift=(0, 0), ha="center")
        for name, (*by_layers, best) in errors.items():
            text, at, shift = words[name]
            ax.loglog(LAYERS, by_layers, **looks[name], **({"lw": 5, "alpha": 0.35} if name == "true" else {}))
            label(ax, text, (LAYERS[at], by_layers[at]), looks[name]["color"], shift=shift)
            if best > 1e-4:
                ax.plot(1.3e4, best, looks[name]["marker"], color=looks[name]["color"], ms=7)
        ax.set(
            xlabel="Euler layers at test time", ylabel="error at t = 10", xlim=(LAYERS[0] * 0.9, 2.1e4), ylim=(1e-4, 10)
        )
    return fig
