"""The explorers of chapter 2: what the adjoint means, found by nudging, and three gradients of one solve, compared."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ipywidgets import Dropdown, FloatSlider, IntSlider, SelectionSlider
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from nodelib.torch_ode import METHODS
from nodelib.workbook.controls import wide_slider
from nodelib.workbook.live import Live
from nodelib.workbook.style import GREY, INK, LOOKS, ORANGE, book, label, moving, plain_ticks

from .numbers import (
    LEVELS,
    SIZES,
    SOLVERS,
    T1,
    TARGET,
    WAYS,
    Nudge,
    Row,
    Setting,
    backward,
    nudge,
    pendulum,
    pendulum_loss,
    three_gradients,
)  # fmt: skip

CONTOURS = (0.1, 0.4, 0.9, 1.6, 2.5, 3.6, 4.9, 6.4)
WIDTHS = {"backprop": 6.0, "checkpoint": 1.8, "adjoint": 2.0}  # checkpoint lies on backprop, and both must be seen


def describe_nudge(n: Nudge) -> str:
    return (
        f"A pendulum's adjoint at t = {n.t:.1f} s is a = ({n.a[0]:.3f}, {n.a[1]:.3f}). A nudge δ of size "
        f"{np.linalg.norm(n.delta):.2f} there changes L by {n.measured:+.4f}; a · δ predicts {n.predicted:+.4f}."
    )


def adjoint_arrow(number: str = "2.3") -> Live[Nudge]:
    """Nudge the state at any time, and see whether a(t) foretells what becomes of the loss. Figure ``number``."""
    with book():
        fig = Figure(figsize=(8.8, 4.5))
        axes = fig.subplot_mosaic([["plane", "curves"], ["plane", "bars"]], width_ratios=[1.15, 1])
        movers = [_plane(axes["plane"]), _components(axes["curves"]), _bars(axes["bars"])]
    controls = {
        "time": FloatSlider(value=1.0, min=0, max=T1, step=0.1, description="time t", readout_format=".1f"),
        "direction": IntSlider(value=-90, min=-170, max=180, step=10, description="direction °"),
        "size": SelectionSlider(value=0.1, options=SIZES, description="size |δ|"),
    }
    return Live(fig, controls, nudge, movers, lambda n: f"Figure {number}. {describe_nudge(n)}")


def _plane(ax: Any) -> Callable[[Nudge], None]:
    """Loss contours, the trajectory, and what moves on them: the state, its arrow, the nudge and its path."""
    x, v = np.meshgrid(np.linspace(-2.5, 2.8, 107), np.linspace(-3.1, 2.5, 113))
    ax.contour(x, v, pendulum_loss(np.stack([x, v])), levels=CONTOURS, colors=GREY, linewidths=0.8, alpha=0.6)
    states = np.array([backward()(t)[0] for t in np.linspace(0, T1, 120)])
    ax.plot(*states.T, color=INK, lw=1.4, label="z")
    ax.plot([], [], "--", color=GREY, lw=1.8, label="z with the nudge")
    ax.plot([], [], color=GREY, lw=0.8, label="L constant")
    ax.legend(loc="lower left", ncols=3, fontsize=9, handlelength=2.4, columnspacing=1.0, handletextpad=0.5)
    ax.plot(*TARGET, "+", color=INK, ms=10, mew=1.5)
    label(ax, "L = 0", tuple(TARGET), shift=(0, 12), ha="center")
    ax.plot(*states[-1], "s", color=INK, ms=5)
    label(ax, "z(t₁)", tuple(states[-1]), shift=(7, 2))
    ax.set(xlabel="angle (rad)", ylabel="angular velocity (rad/s)", xlim=(-2.5, 2.8), ylim=(-3.1, 2.5), aspect="equal")
    ax.set_title("L = ½ |z(t₁) − target|², a(t) at half its length")
    ax.grid(False)
    path = moving(ax, "--", color=GREY, lw=1.8)
    ends = moving(ax, "s", color=GREY, ms=5)
    dot = moving(ax, "o", color=INK, ms=6)
    arrow, push = (_arrow(ax, colour) for colour in (ORANGE, GREY))
    names = [label(ax, name, (0, 0), colour, shift=(0, 0), ha="center", animated=True)
             for name, colour in (("a(t)", ORANGE), ("δ", GREY))]  # fmt: skip

    def move(n: Nudge) -> None:
        path.set_data(*n.path.T)
        ends.set_data(n.path[-1:, 0], n.path[-1:, 1])
        dot.set_data(n.z[:1], n.z[1:])
        for patch, name, step in ((arrow, names[0], n.a / 2), (push, names[1], n.delta)):
            tip = n.z + step
            patch.set_positions(tuple(n.z), tuple(tip))
            name.xy = tuple(tip + 0.2 * step / np.linalg.norm(step))

    return move


def _arrow(ax: Any, colour: str) -> FancyArrowPatch:
    style = {"arrowstyle": "-|>", "mutation_scale": 13, "lw": 2.2, "shrinkA": 0, "shrinkB": 0}
    return ax.add_patch(FancyArrowPatch((0, 0), (1, 1), color=colour, animated=True, zorder=3, **style))


def _components(ax: Any) -> Callable[[Nudge], None]:
    """a₁, a₂ and the constant a · f over time, with a marker at t."""
    ts = np.linspace(0, T1, 120)
    a = np.array([backward()(t)[1] for t in ts])
    flow = [backward()(t)[1] @ pendulum(t, backward()(t)[0]) for t in ts]
    lines = (("first", a[:, 0], ORANGE, "-"), ("second", a[:, 1], ORANGE, "--"), ("a · f", flow, GREY, "-."))
    for name, values, colour, style in lines:
        ax.plot(ts, values, style, color=colour)
        label(ax, name, (ts[-1], values[-1]), colour)
    ax.set(xlabel="time t (s)", title="the adjoint's two components", xlim=(0, T1))
    ax.set_xticks(range(5))
    marker = ax.axvline(0, color=INK, lw=1.2, animated=True)
    dots = moving(ax, "o", color=ORANGE)

    def move(n: Nudge) -> None:
        marker.set_xdata([n.t, n.t])
        dots.set_data([n.t, n.t], n.a)

    return move


def _bars(ax: Any) -> Callable[[Nudge], None]:
    """The change of L as measured and as predicted, and their gap, each divided by the nudge's size, bar and number."""
    names, colours = ("measured ΔL / |δ|", "predicted a · δ / |δ|", "their gap"), (GREY, ORANGE, "#d8d8dc")
    patches = ax.barh(names, [0, 0, 0], color=colours, height=0.6, animated=True)
    texts = [label(ax, "", (0, i), animated=True) for i in range(3)]
    ax.axvline(0, color=INK, lw=0.8)
    ax.set(xlabel="change of L for each unit of |δ|", xlim=(-4, 4), ylim=(2.5, -0.5))
    ax.grid(axis="y", visible=False)

    def move(n: Nudge) -> None:
        values = np.array([n.measured, n.predicted, n.measured - n.predicted])
        for patch, text, width in zip(patches, texts, values / np.linalg.norm(n.delta), strict=True):
            patch.set_width(width)
            text.set_text(f"{width:+.3f}")
            text.xy = max(width, 0), text.xy[1]

    return move


def describe_gradients(s: Setting) -> str:
    flow, loss = s.row.to_flow, s.row.to_loss
    tolerance = f" at tolerance 1e-{s.level + 1}" if METHODS[s.method].adaptive else ""
    return (
        f"{s.method}, {s.row.steps} steps{tolerance}. From the flow's exact gradient backprop and checkpoint are "
        f"{flow['backprop']:.2g} away, the adjoint {flow['adjoint']:.2g}; from differences of the computed loss, its "
        f"steps held, the adjoint is {loss['adjoint']:.2g} away, the other two less than 1e-9."
    )


def laboratory(number: str = "2.5") -> Live[Setting]:
    """Backprop, checkpoint and adjoint on one network: how right each gradient is, what it costs. Figure ``number``."""
    for method in SOLVERS:
        three_gradients(method, LEVELS[0])  # now, so that no move of a control waits for it
    with book():
        fig = Figure(figsize=(8.8, 5.1))
        flow, loss, memory, work = fig.subplots(2, 2).flat
        movers = [
            _errors(flow, "error against the flow's exact gradient", lambda r: r.to_flow, 1e-10),
            _errors(loss, "error against differences, steps held", lambda r: r.to_loss, 1e-13),
            _lines(memory, lambda r: {way: g.peak / 1000 for way, g in r.gradients.items()}),
            _work(work),
        ]
        label(loss, "the differences' own error: no other is left", (2, 1e-10), LOOKS["backprop"].colour, shift=(0, 0))
        memory.set(title="memory at the peak", ylabel="bytes in tensors (kB)", ylim=(0.8, 40))
        plain_ticks(memory.yaxis, [1, 3, 10, 30])
        fig.legend(*flow.get_legend_handles_labels(), loc="outside upper center", ncols=3, handlelength=3.5)
    names = [(f"{2**level} or 1e-{level + 1}", level) for level in LEVELS]
    controls = {
        "method": Dropdown(value="euler", options=SOLVERS, description="method"),
        "level": wide_slider("steps, or dopri5's tolerance", names, 2, width="36em"),
    }
    return Live(fig, controls, three_gradients, movers, lambda s: f"Figure {number}. {describe_gradients(s)}")


def _lines(ax: Any, of: Callable[[Row], dict[str, float]]) -> Callable[[Setting], None]:
    """One line a way over the number of steps, on logarithmic axes, and a marker at the level chosen."""
    lines, dots = {}, {}
    for way, width in WIDTHS.items():
        colour, style, marker = LOOKS[way]
        lines[way] = moving(ax, str(style), color=colour, lw=width, label=way, alpha=0.35 if width > 5 else 1)
        dots[way] = moving(ax, marker, color=colour, ms=8, zorder=3, mec=colour if marker == "x" else "white", mew=1.6)
    ax.set(xlabel="steps", xscale="log", yscale="log", xlim=(1.7, 76))
    plain_ticks(ax.xaxis, [2, 4, 8, 16, 32, 64])
    ax.minorticks_off()

    def move(s: Setting) -> None:
        steps = [row.steps for row in s.rows]
        for way in WAYS:
            lines[way].set_data(steps, [of(row)[way] for row in s.rows])
            dots[way].set_data([s.row.steps], [of(s.row)[way]])

    return move


def _errors(ax: Any, title: str, of: Callable[[Row], dict[str, float]], least: float) -> Callable[[Setting], None]:
    ax.set(title=title, ylabel="relative error", ylim=(least, 5))
    return _lines(ax, of)


def _work(ax: Any) -> Callable[[Setting], None]:
    """What each way evaluates, as a multiple of the forward solve: f going forward, f going back, products."""
    kinds = (("f, forward", "#cfcfd4", ""), ("f, back", GREY, ""), ("products a ∂f/∂(z, θ)", "#55555c", "//"))
    look = {"edgecolor": "white", "height": 0.55, "animated": True}
    stacks = [ax.barh(list(WAYS), 1, color=colour, hatch=hatch, label=name, **look) for name, colour, hatch in kinds]
    texts = [label(ax, "", (0, i), animated=True) for i in range(3)]
    ax.set(
        title="work: f forward + f back + products",
        xlabel="multiples of the forward solve's evaluations",
        xlim=(0, 6.5),
        ylim=(3.2, -0.5),
    )
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower right", ncols=3, fontsize=9, columnspacing=1, handlelength=1.2)

    def move(s: Setting) -> None:
        for i, way in enumerate(WAYS):
            g, left = s.row.gradients[way], 0.0
            for bars, count in zip(stacks, (g.forward, g.back, g.products), strict=True):
                bars[i].set(x=left, width=count / g.forward)
                left += count / g.forward
            texts[i].set_text(f"{g.forward} + {g.back} + {g.products}")
            texts[i].xy = left, i

    return move
