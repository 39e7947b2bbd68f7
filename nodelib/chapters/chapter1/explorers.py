"""The explorers of chapter 1: step size and stability, the step controller, and depth.

Each is a pure function of its controls, which tests and the chapter call, and a figure that shows its numbers.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from ipywidgets import Dropdown, IntSlider, SelectionSlider
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from nodelib.chapters.chapter1.numbers import amplification
from nodelib.common.solution import FixedPointFailed
from nodelib.common.tableaus import TABLEAUS
from nodelib.numpy_ode import METHODS, odeint, solve
from nodelib.workbook.controls import log_slider
from nodelib.workbook.live import Live, counted
from nodelib.workbook.style import BLUE, GREY, INK, RED, book, label, look, moving, text_colour

# --- step size -------------------------------------------------------------------------------------------------------

END = 12.0
FIXED = ("euler", "midpoint", "heun", "rk4", "adams_bashforth", "implicit_adams")
EIGENVALUES = {"u' = -u": -1.0 + 0j, "u'' = -u": 1j, "u'' = -0.4u' - 1.04u": -0.2 + 1j}
COUNTS = tuple(int(n) for n in np.unique(np.geomspace(3, 400, 22).round()))[::-1]
REAL, IMAGINARY = np.linspace(-4.2, 1.4, 113), np.linspace(-3.3, 3.3, 133)


class StepSize(NamedTuple):
    """Fixed steps on u' = λu, u(0) = 1, to t = 12: times, real part of u, its largest error, hλ, and the verdict.

    Of an equation of second order, λ is one of the two eigenvalues, and the real part of u is its solution.

    ``sizes`` and ``errors`` are the order line, ``slope`` is its slope just below h.
    """

    problem: str
    method: str
    h: float
    t: np.ndarray
    u: np.ndarray
    error: float
    h_lambda: complex
    stable: bool
    sizes: np.ndarray
    errors: np.ndarray
    slope: float
    exact: Callable[[Any], Any]


def step_size_numbers(problem: str, method: str, h: float) -> StepSize:
    """Solve with the whole number of steps nearest to 12/h; nan where implicit_adams cannot solve its equation."""
    eigenvalue = EIGENVALUES[problem]
    n = max(1, round(END / h))
    u = march(method, eigenvalue, n)
    sizes, errors = order_line(method, eigenvalue)
    z = eigenvalue * END / n
    stable = bool(amplification(method, np.array([z]))[0] <= 1 + 1e-9)
    t = np.linspace(0, END, n + 1)
    error = float(np.max(np.abs(u - np.exp(eigenvalue * t))))
    at = max(1, int(np.argmin(abs(np.log(sizes * n / END)))))
    slope = float(np.log(errors[at] / errors[at - 1]) / np.log(sizes[at] / sizes[at - 1]))
    line = sizes, errors, slope
    return StepSize(
        problem, method, END / n, t, np.real(u), error, z, stable, *line, lambda t: np.real(np.exp(eigenvalue * t))
    )


def march(method: str, eigenvalue: complex, n: int) -> np.ndarray:
    """The states of u' = λu after each of n steps to t = 12, from u = 1; complex, (n + 1,)."""
    known = tuple(EIGENVALUES.values())
    together = known if eigenvalue in known and method != "implicit_adams" else (eigenvalue,)  # whose iteration couples
    return marches(method, together, n)[:, together.index(eigenvalue)]


@cache
def marches(method: str, eigenvalues: tuple[complex, ...], n: int) -> np.ndarray:
    """``march`` for several λ at once, (n + 1, number of λ); nan where implicit_adams cannot solve its equation."""
    t, rates = np.linspace(0, END, n + 1), np.array(eigenvalues)
    options = {"max_iters": 400} if method == "implicit_adams" else None  # up to h|λ| = 8/3 they converge, if slowly
    try:
        return odeint(lambda t, u: rates * u, np.ones(len(rates), complex), t, method=method, options=options)
    except FixedPointFailed:
        return np.full((n + 1, len(rates)), np.nan + 0j)


@cache
def order_line(method: str, eigenvalue: complex) -> tuple[np.ndarray, np.ndarray]:
    """(step sizes, largest errors), the smallest step first; errors are cut off at 1e3."""
    errors = [
        np.max(np.abs(march(method, eigenvalue, n) - np.exp(eigenvalue * np.linspace(0, END, n + 1)))) for n in COUNTS
    ]
    return END / np.array(COUNTS), np.clip(np.array(errors), 1e-16, 1e3)


@cache
def region(method: str) -> np.ndarray:
    """The stability region as an RGBA image over REAL × IMAGINARY: tinted where a step does not amplify."""
    factor = amplification(method, REAL[None, :] + 1j * IMAGINARY[:, None])
    image = np.empty((*factor.shape, 4))
    image[..., :3] = to_rgb(GREY)
    image[..., 3] = 0.55 * np.clip((1 - factor) / 0.05 + 0.5, 0, 1)  # a soft edge
    return image


def describe_step_size(n: StepSize) -> str:
    if np.isnan(n.error):
        return f"With h = {n.h:.3g}, implicit_adams does not solve the equation of its step: h|λ| is above 8/3."
    real, imaginary = n.h_lambda.real, n.h_lambda.imag
    parts = [f"{real:.2f}"] * (real != 0) + [f"{imaginary:.2f}i"] * (imaginary != 0)
    return (
        f"{n.method} on {n.problem} with h = {n.h:.3g}: the largest error is {n.error:.2g}, where the line's slope is "
        f"{n.slope:.1f} (order {METHODS[n.method].order}); hλ = {' + '.join(parts)} lies "
        f"{'inside' if n.stable else 'outside'} the stability region."
    )


def step_size() -> Live[StepSize]:
    """Method, problem and step size; the solution, the error on the order line, and hλ in the stability region."""
    for name in FIXED:  # before a control waits for it
        region(name)
        for eigenvalue in EIGENVALUES.values():
            order_line(name, eigenvalue)
    with book():
        fig = Figure(figsize=(8.4, 3.2))
        left, middle, right = fig.subplots(1, 3, width_ratios=(1.25, 1, 1))
        fine = np.linspace(0, END, 400)
        curve = moving(left, "-", color=INK, lw=1.2)
        path = moving(left, "o", lw=1.4, ms=3.5)
        left.set(xlabel="time t", ylabel="u", xlim=(0, END), ylim=(-2.2, 2.2), xticks=range(0, 13, 3))
        label(left, "— exact", (0.0, 1.055), INK, shift=(0, 0), xycoords="axes fraction")
        word = label(left, "", (1.0, 1.055), shift=(0, 0), xycoords="axes fraction", ha="right", animated=True)
        slope = moving(middle, "-", color=INK, lw=0.8)
        line = moving(middle, "-", lw=1.6)
        here = moving(middle, "o", ms=8)
        order = label(middle, "", (0.95, 0.08), shift=(0, 0), xycoords="axes fraction", ha="right", animated=True)
        middle.set(xlabel="step size h", ylabel="largest error", title="error", xscale="log", yscale="log")
        middle.set(xlim=(END / COUNTS[0], END / COUNTS[-1]), ylim=(1e-11, 1e4))
        picture = right.imshow(
            region("euler"), extent=(REAL[0], REAL[-1], IMAGINARY[0], IMAGINARY[-1]), origin="lower", animated=True
        )
        for axis in (right.axhline, right.axvline):
            axis(0, color=INK, lw=0.6)
        point = moving(right, "o", ms=8)
        right.set(
            xlabel="real part of hλ", ylabel="imaginary part", title="stable where grey", aspect="equal", anchor="N"
        )
        right.grid(False)

    def draw(n: StepSize) -> None:
        p = METHODS[n.method].order
        like = look("adams" if "adams" in n.method else n.method)
        for artist in (path, line, here, point):
            artist.set_color(like["color"])
        for artist in (path, line):
            artist.set_linestyle(like["linestyle"])
        curve.set_data(fine, n.exact(fine))
        path.set_data(n.t, np.clip(n.u, -50, 50))
        word.set_text(f"• {n.method}")
        word.set_color(text_colour(like["color"]))
        line.set_data(n.sizes, n.errors)
        slope.set_data(n.sizes, n.errors[0] * (n.sizes / n.sizes[0]) ** p)
        order.set_text(f"thin line: slope {p}")
        here.set_data([n.h], [np.clip(n.error, 1e-12, 1e3)])
        picture.set_data(region(n.method))
        point.set_data([np.clip(n.h_lambda.real, REAL[0], REAL[-1])], [np.clip(n.h_lambda.imag, -3.3, 3.3)])

    controls = {
        "problem": Dropdown(options=list(EIGENVALUES), value="u' = -u", description="problem"),
        "method": Dropdown(options=FIXED, value="euler", description="method"),
        "h": SelectionSlider(
            options=[(f"{END / n:.3g}", END / n) for n in COUNTS], value=0.5, description="step size h"
        ),
    }
    return Live(fig, controls, step_size_numbers, draw, describe_step_size)


# --- the step controller ---------------------------------------------------------------------------------------------

SPAN = 12.0
PREY = np.array([1.0, 1.0])
PAIRS = ("bosh3", "dopri5", "tsit5", "dopri8")


class Control(NamedTuple):
    """One adaptive solve of Lotka-Volterra: each attempt's time, size, and error over tolerance, estimated and true."""

    t: np.ndarray
    h: np.ndarray
    y: np.ndarray
    ratio: np.ndarray
    true_ratio: np.ndarray
    accepted: np.ndarray
    nfe: int
    end_error: float


def predators(t: Any, y: Any) -> Any:
    """Lotka-Volterra: prey y[0] grow and are eaten, predators y[1] eat and starve."""
    return np.stack([1.5 * y[0] - y[0] * y[1], y[0] * y[1] - 3.0 * y[1]])


@cache
def reference(start: tuple[float, ...] = (1.0, 1.0)) -> tuple[np.ndarray, np.ndarray]:
    """Times and states (2, 600) of the solution to 1e-12."""
    t = np.linspace(0, SPAN, 600)
    return t, odeint(predators, np.array(start), t, method="dopri8", rtol=1e-12, atol=1e-12).T


def control_numbers(method: str, controller: str, rtol: float, atol: float, start: Any = PREY) -> Control:
    """Solve from ``start``; take each attempted step again by an eighth-order method to see its true local error."""
    options = {"controller": controller}
    sol = solve(predators, start, (0.0, SPAN), method=method, rtol=rtol, atol=atol, options=options, dense=True)
    t, h, ratio, accepted = map(np.array, zip(*sol.steps, strict=True))
    y = np.array([sol(s) for s in t]).T
    approximate, exact = (one_step(name, t, y, h) for name in (method, "dopri8"))
    if method == "dopri8":  # in two halves, to be better than itself
        exact = one_step(method, t + h / 2, one_step(method, t, y, h / 2), h / 2)
    scale = atol + rtol * np.maximum(abs(y), abs(approximate))
    true = np.sqrt(np.mean(((approximate - exact) / scale) ** 2, axis=0))
    error = float(np.max(abs(sol.y[-1] - reference(tuple(map(float, start)))[1][:, -1])))
    return Control(t, h, y, ratio, true, accepted.astype(bool), sol.stats.nfe, error)


def one_step(method: str, t: np.ndarray, y: np.ndarray, h: np.ndarray) -> np.ndarray:
    """One step from each of many states y (2, m), at times t and of sizes h (m,)."""
    tableau, slopes, y_i = TABLEAUS[method], [], y
    for c, row in zip(tableau.c, tableau.a, strict=True):
        y_i = y + h * sum((float(a) * k for a, k in zip(row, slopes, strict=True) if a), np.zeros_like(y))
        slopes.append(predators(t + float(c) * h, y_i))
    return y + h * sum(float(b) * k for b, k in zip(tableau.b, slopes, strict=True) if b)


def describe_control(n: Control) -> str:
    taken = int(n.accepted.sum())
    honest = int((n.accepted & (n.true_ratio <= 1)).sum())
    return (
        f"{taken} steps accepted and {len(n.t) - taken} rejected for {n.nfe} evaluations of f; by their estimates all "
        f"accepted steps met the tolerance, in truth {honest} did; the error at t = 12 is {n.end_error:.2g}."
    )


def controller() -> Live[Control]:
    """Tolerances, pair and controller; the steps on the solution, their sizes, and their errors, estimated and true."""
    times, states = reference()
    with book():
        fig = Figure(figsize=(8.4, 5.2))
        top, middle, bottom = fig.subplots(3, 1, sharex=True, height_ratios=(3, 2, 3))
        kinds = (("-", "prey"), ("--", "predators"))
        for (line, name), y in zip(kinds, states, strict=True):
            top.plot(times, y, line, color=INK, lw=1)
            label(top, name, (SPAN, y[-1]), INK, shift=(9, 0))
        dots = moving(top, "o", color=BLUE, ms=4)
        top.set(ylabel="population", ylim=(0, 9.5))
        sizes = moving(middle, ".-", color=BLUE, lw=1, ms=6)
        failed = moving(middle, "x", color=INK, ms=6)
        middle.set(ylabel="step size h", yscale="log", ylim=(1e-3, 3), yticks=10.0 ** np.arange(-3, 1))
        label(middle, "× rejected", (SPAN, 0.7), INK, shift=(9, 0))
        label(middle, "• accepted", (SPAN, 0.03), BLUE, shift=(9, 0))
        bottom.axhline(1, color=GREY, lw=1.4)
        label(bottom, "tolerance", (SPAN, 1), GREY, shift=(9, 0))
        guess, truth = (moving(bottom, mark, color=colour, ms=5, mfc=fill) for mark, colour, fill in (
            ("o", BLUE, "none"), (".", INK, INK)))  # fmt: skip
        guess_failed, truth_failed = (moving(bottom, "x", color=colour, ms=6) for colour in (BLUE, INK))
        for text, y, colour in (("○ estimate", 3e-3, BLUE), ("• truth", 1.2e-4, INK), ("× of rejected", 5e-6, INK)):
            label(bottom, text, (SPAN, y), colour, shift=(9, 0))
        bottom.set(xlabel="time t", ylabel="error / tolerance", yscale="log", xlim=(0, SPAN), ylim=(1e-6, 1e4))

    def draw(n: Control) -> None:
        ok = n.accepted
        dots.set_data(np.tile(n.t[ok], 2), n.y[:, ok].ravel())
        sizes.set_data(n.t[ok], n.h[ok])
        failed.set_data(n.t[~ok], n.h[~ok])
        for (good, bad), ratio in (((guess, guess_failed), n.ratio), ((truth, truth_failed), n.true_ratio)):
            good.set_data(n.t[ok], np.clip(ratio[ok], 2e-6, 5e3))
            bad.set_data(n.t[~ok], np.clip(ratio[~ok], 2e-6, 5e3))

    controls = {
        "method": Dropdown(options=PAIRS, value="dopri5", description="method"),
        "controller": Dropdown(options=("I", "PI"), value="I", description="controller"),
        "rtol": log_slider("rtol", 1e-3, -6, -2),
        "atol": log_slider("atol", 1e-3, -6, -2),
    }
    return Live(fig, controls, control_numbers, draw, describe_control)


# --- depth -----------------------------------------------------------------------------------------------------------

DEPTH = 5.0
STARTS = np.array([-1.9, -1.2, -0.5, 0.2, 0.9])


class Depth(NamedTuple):
    """States after each of n residual blocks; where an adaptive solver evaluated the field, and where it then stood.

    layers (n + 1,), blocks (n + 1, 5); seen (2, 5 × nfe) and reached (2, 5 × accepted steps) hold depths and states;
    distance and solver_distance are the largest between the states at the end and the ODE's, of blocks and solver.
    """

    layers: np.ndarray
    blocks: np.ndarray
    seen: np.ndarray
    reached: np.ndarray
    distance: float
    solver_distance: float
    nfe: int


def field(t: Any, z: Any) -> Any:
    """dz/dt of the states z: they spread out, swing together and come back."""
    return 1.1 * np.cos(1.3 * t) * np.sin(1.2 * z) + 0.8 * np.sin(1.9 * t)


@cache
def limit() -> tuple[np.ndarray, np.ndarray]:
    """Depths and states (300, 5) of the ODE itself."""
    t = np.linspace(0, DEPTH, 300)
    return t, odeint(field, STARTS, t, rtol=1e-10, atol=1e-10)


def depth_numbers(blocks: int, tolerance: float) -> Depth:
    """n residual blocks z ← z + (5/n) f(z, t), and dopri5 at a tolerance, from the same five inputs."""
    layers = np.linspace(0, DEPTH, blocks + 1)
    states = odeint(field, STARTS, layers, method="euler")
    seen: list[np.ndarray] = []

    def noted(t: float, z: np.ndarray) -> np.ndarray:
        seen.append(np.array([np.full(z.size, t), z]))
        return field(t, z)

    sol = solve(noted, STARTS, (0.0, DEPTH), rtol=tolerance, atol=tolerance, dense=True)
    ends = [min(step.t + step.h, DEPTH) for step in sol.steps if step.accepted]
    reached = np.concatenate([[np.full(STARTS.size, t), sol(t)] for t in ends], axis=1)
    far, near = (float(np.max(abs(end - limit()[1][-1]))) for end in (states[-1], sol.y[-1]))
    return Depth(layers, states, np.concatenate(seen, axis=1), reached, far, near, sol.stats.nfe)


def describe_depth(n: Depth) -> str:
    count = len(n.layers) - 1
    subject = counted(count, "residual block ends", "residual blocks end")
    return (
        f"{subject} up to {n.distance:.2g} away from the ODE's curves; the solver ends {n.solver_distance:.2g} away, "
        f"after {n.nfe} evaluations of f in {n.reached.shape[1] // len(STARTS)} steps that it chose itself."
    )


def depth() -> Live[Depth]:
    """Figure 1 of the paper with two sliders: residual blocks on the left, a solver's evaluations on the right."""
    t, curves = limit()
    with book():
        fig = Figure(figsize=(8.4, 4.6))
        left, right = fig.subplots(1, 2, sharey=True)
        for ax in (left, right):
            _arrows(ax)
            ax.plot(curves, t, "-", color=INK, lw=1)
            ax.set(xlabel="state z", xlim=(-3.4, 3.4), ylim=(-0.15, DEPTH + 0.55), yticks=range(6))
            ax.grid(False)
        left.set(ylabel="depth t", title="n residual blocks z ← z + (5/n) f(z, t)")
        right.set(title="ODE network: dopri5 on z' = f(z, t)")
        paths = [moving(left, "o:", color=RED, ms=4.5, lw=1.8) for _ in STARTS]
        dots = moving(right, "o", color=INK, ms=2.2)
        stops = moving(right, "o", color=BLUE, ms=5)
        for ax, text, place, colour in (
            (left, "• blocks", -3.3, RED),
            (left, "— the ODE's curves", -1.7, INK),
            (right, "• ends of steps", -3.3, BLUE),
            (right, "• evaluations of f", -1.2, INK),
        ):
            label(ax, text, (place, DEPTH + 0.35), colour, shift=(0, 0))

    def draw(n: Depth) -> None:
        for path, states in zip(paths, n.blocks.T, strict=True):
            path.set_data(np.clip(states, -9, 9), n.layers)
        dots.set_data(n.seen[1], n.seen[0])
        stops.set_data(n.reached[1], n.reached[0])

    controls = {
        "blocks": IntSlider(value=5, min=1, max=60, description="blocks n"),
        "tolerance": log_slider("tolerance", 1e-3, -6, -1, step=0.5, digits=0),
    }
    return Live(fig, controls, depth_numbers, draw, describe_depth)


def _arrows(ax: Axes) -> None:
    """The direction field behind the curves."""
    z, t = np.meshgrid(np.linspace(-3.3, 3.3, 19), np.linspace(0, DEPTH, 17))
    slope = field(t, z)
    length = np.hypot(1, slope)
    ax.quiver(z, t, slope / length, 1 / length, color="#b0b0b6", angles="xy", scale=30, width=0.0024, headwidth=4)
