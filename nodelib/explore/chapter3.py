"""Chapter 3: the two architectures as a picture, and the explorer of the trained network."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ipywidgets import Dropdown, IntSlider, Layout, SelectionSlider
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from nodelib.data.sample import mnist_sample_numbers
from nodelib.models.odenet import ODENet
from nodelib.models.resnet import ResNet, parameter_count

from .chapter3_numbers import SOLVERS, STEPS, TOLERANCES, Digits, Moment, moment, recorded, sample_digits
from .live import Live
from .style import BLUE, GREY, INK, ORANGE, RED, STYLE, VIOLET, label, text_colour

LOOK = {  # colour, line style, marker
    "dopri5": (BLUE, "-", "o"),
    "rk4": (VIOLET, "--", "s"),
    "midpoint": (ORANGE, "-.", "^"),
    "euler": (RED, ":", "D"),
}
STEM = (("image", "1 × 28 × 28"), ("conv 3 × 3", "64 × 26 × 26"), ("conv 4 × 4, ↓2", "64 × 13 × 13"),
        ("conv 4 × 4, ↓2", "64 × 6 × 6"))  # fmt: skip


def architecture() -> Figure:
    """ResNet above, ODE-Net below, with the stem and the head that they share between them; parameters are counted."""
    resnet, odenet = ResNet(), ODENet()
    parts = {name: parameter_count(part) for name, part in resnet.named_children()}
    with rc_context(STYLE):
        fig = Figure(figsize=(8.8, 3.9), layout="none")
        ax = fig.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, 8.8), ylim=(0, 3.9))
        ax.axis("off")
        for i, (what, shape) in enumerate(STEM):
            _box(ax, (0.1 + 0.92 * i, 1.55), (0.8, 0.8), f"{what.replace(', ', chr(10))}\n{shape}", GREY)
        ax.text(1.9, 2.5, f"stem: {parts['stem']:,} parameters", ha="center", fontsize=9.5)
        _box(ax, (7.75, 1.55), (0.95, 0.8), "average,\nlinear\n10 scores", GREY)
        ax.text(8.22, 2.5, f"head: {parts['head']:,}", ha="center", fontsize=9.5)
        _blocks(ax, 2.75, parts["body"] // 6)
        _flow(ax, 0.75, parameter_count(odenet.body))  # type: ignore[arg-type]
        for y in (2.95, 0.95):
            _arrow(ax, (3.68, 1.95 + 0.15 * np.sign(y - 2)), (4.0, y), GREY)
            _arrow(ax, (7.45, y), (7.75, 1.95 + 0.15 * np.sign(y - 2)), GREY)
    return fig


def _box(ax: Axes, at: tuple[float, float], size: tuple[float, float], text: str, colour: str) -> None:
    look = {"boxstyle": "round,pad=0,rounding_size=0.06", "facecolor": "white", "edgecolor": colour, "linewidth": 1.4}
    ax.add_patch(FancyBboxPatch(at, *size, **look))
    ax.text(at[0] + size[0] / 2, at[1] + size[1] / 2, text, ha="center", va="center", fontsize=8.2, linespacing=1.35)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, bend: float = 0.0) -> None:
    look = {"arrowstyle": "-|>", "mutation_scale": 10, "shrinkA": 0, "shrinkB": 0, "lw": 1.4}
    ax.add_patch(FancyArrowPatch(start, end, color=colour, connectionstyle=f"arc3,rad={bend}", **look))


def _blocks(ax: Axes, y: float, parameters: int) -> None:
    """Six residual blocks in a row, each a box with the identity around it."""
    for i in range(6):
        x = 4.08 + 0.57 * i
        _box(ax, (x, y), (0.36, 0.4), f"$g_{i + 1}$", BLUE)
        _arrow(ax, (x - 0.1, y + 0.2), (x + 0.46, y + 0.2), INK, -0.85)
    text = f"ResNet: h ← h + g(h), six blocks of {parameters:,} parameters"
    ax.text(5.72, y + 0.8, text, ha="center", fontsize=9.5, color=text_colour(BLUE))


def _flow(ax: Axes, y: float, parameters: int) -> None:
    """One curve from t = 0 to 1, with the times at which a solver looks at the field."""
    t = np.linspace(0, 1, 200)
    ax.plot(4.05 + 3.35 * t, y + 0.2 + 0.22 * np.sin(2 * np.pi * t) * (1 - 0.4 * t), color=RED, lw=2.2, linestyle="-")
    seen = np.array([0, 0.06, 0.09, 0.24, 0.27, 0.3, 0.42, 0.5, 0.69, 0.75, 0.84, 1.0])
    heights = y + 0.2 + 0.22 * np.sin(2 * np.pi * seen) * (1 - 0.4 * seen)
    ax.plot(4.05 + 3.35 * seen, heights, "o", color=INK, ms=4, linestyle="none")
    for s, text in ((0.0, "t = 0"), (1.0, "t = 1")):
        ax.text(4.05 + 3.35 * s, y - 0.22, text, ha="center", fontsize=9)
    text = f"ODE-Net: dz/dt = f(t, z), one field of {parameters:,} parameters;\na solver chooses where to look (dots)"
    ax.text(5.72, y - 0.38, text, ha="center", va="top", fontsize=9.5, color=text_colour(RED), linespacing=1.4)


def describe(m: Moment) -> str:
    level = f"tolerance {TOLERANCES[m.level]:.0e}" if m.solver == "dopri5" else _plural(STEPS[m.level], "step")
    says = m.path.says[-1, m.image]
    return (
        f"{m.solver}, {level}, {_plural(m.row['nfe'], 'evaluation')}: of 10,000 test images {m.row['accuracy']:.2%} are "
        f"right, and {m.row['changed']:.2%} get another class than by a tight solve. Image {m.image}, a {m.label}: z(1) "
        f"is {m.path.error[m.image]:.0%} away from the exact one, and the head says {says.argmax()}."
    )


def _plural(count: float, what: str) -> str:
    return f"{count:.0f} {what}{'' if count == 1 else 's'}"


def other_solvers(
    number: str = "3.7", digits: Digits | None = None, rows: list[dict[str, Any]] | None = None
) -> Live[Moment]:
    """The trained ODE-Net by any solver: accuracy on the test set, and one digit on its way. Figure ``number``.

    ``digits`` and ``rows`` (of ``chapter3_numbers.measure``) are those of the trained network unless others are given.
    """
    digits = digits or sample_digits()
    rows = rows or recorded()["rows"]
    for solver in SOLVERS:
        for level in range(len(STEPS)):
            digits.path(solver, level)  # now, so that no move of a control waits for it
    with rc_context(STYLE):
        fig = Figure(figsize=(8.8, 5.6))
        axes = fig.subplot_mosaic([["accuracy", "digit"], ["plane", "says"]], width_ratios=[1.25, 1])
        movers = [
            _accuracy(axes["accuracy"], rows),
            _image(axes["digit"], digits),
            _plane(axes["plane"], digits),
            _says(axes["says"]),
        ]
    wide = {"style": {"description_width": "initial"}}
    levels = [(f"{n} or 1e-{level + 1}", level) for level, n in enumerate(STEPS)]
    controls = {
        "solver": Dropdown(value="euler", options=SOLVERS, description="solver"),
        "level": SelectionSlider(
            value=1, options=levels, description="steps, or dopri5's tolerance", layout=Layout(width="30em"), **wide
        ),
        "image": IntSlider(value=13, min=0, max=len(digits.images.y) - 1, description="image"),
    }

    def draw(m: Moment) -> None:
        for move in movers:
            move(m)

    def compute(solver: str, level: int, image: int) -> Moment:
        return moment(digits, rows, solver, level, image)

    return Live(fig, controls, compute, draw, lambda m: f"Figure {number}. {describe(m)}")


def _accuracy(ax: Any, rows: list[dict[str, Any]]) -> Callable[[Moment], None]:
    """Wrong answers against evaluations, one line a solver, and a ring at the present one."""
    for solver, (colour, style, marker) in LOOK.items():
        own = [row for row in rows if row["solver"] == solver]
        x, y = [row["nfe"] for row in own], [100 * (1 - row["accuracy"]) for row in own]
        ax.loglog(x, y, linestyle=style, marker=marker, color=colour, label=solver)
    tight = 100 * (1 - rows[0]["accuracy"])
    ax.axhline(tight, color=GREY, lw=1)
    ax.set(xlabel="evaluations of f", ylabel="test error (%)", title="10,000 test images", xlim=(0.8, 110))
    ax.set_xticks([1, 2, 4, 8, 16, 32, 64], ["1", "2", "4", "8", "16", "32", "64"])
    most = max(100 * (1 - row["accuracy"]) for row in rows)
    ticks = [tick for tick in (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if tight / 2 < tick < 2 * most]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.legend(fontsize=9, handlelength=3)
    (ring,) = ax.plot([], [], "o", ms=13, mfc="none", mec=INK, mew=1.8, animated=True)

    def move(m: Moment) -> None:
        ring.set_data([m.row["nfe"]], [100 * (1 - m.row["accuracy"])])

    return move


def _image(ax: Any, digits: Digits) -> Callable[[Moment], None]:
    side = digits.images.side
    picture = ax.imshow(np.zeros((side, side)), cmap="gray_r", vmin=0, vmax=1, animated=True)
    ax.axis("off")
    (name, said) = (label(ax, "", (1.06, y), shift=(0, 0), xycoords="axes fraction", animated=True) for y in (0.8, 0.4))
    places = mnist_sample_numbers()

    def move(m: Moment) -> None:
        picture.set_data(digits.images.x[m.image, 0].numpy())
        place = f"\nno. {places[m.image]:,}\nof MNIST's\ntest set" if m.image < len(places) else ""
        name.set_text(f"a {m.label}{place}")
        says = m.path.says[-1, m.image]
        said.set_text(f"read as {says.argmax()}\nwith {says.max():.0%}")

    return move


def _plane(ax: Any, digits: Digits) -> Callable[[Moment], None]:
    """All exact paths in grey, the image's own in ink, and the solver's points."""
    paths = digits.exact.plane
    ax.plot(*paths.transpose(2, 0, 1), "-", color=GREY, lw=0.6, alpha=0.6)
    ends = digits.exact.plane[-1]
    for end, digit in zip(ends, digits.images.y.tolist(), strict=True):
        ax.text(*end, str(digit), fontsize=7.5, color="#666666", ha="center", va="center")
    low, high = paths.min((0, 1)), paths.max((0, 1))
    room = 0.12 * (high - low)
    ax.set(xlim=(low[0] - room[0], high[0] + room[0]), ylim=(low[1] - room[1], high[1] + room[1]))
    ax.set(xlabel="first component of z(t)", ylabel="second", title="fifty digits on their way (grey: exact)")
    (exact,) = ax.plot([], [], "-", color=INK, lw=1.6, animated=True)
    (own,) = ax.plot([], [], "o-", color=RED, lw=1.0, ms=4.5, animated=True)

    def move(m: Moment) -> None:
        exact.set_data(*m.exact.plane[:, m.image].T)
        own.set_data(*m.path.plane[:, m.image].T)
        own.set_color(LOOK[m.solver][0])

    return move


def _says(ax: Any) -> Callable[[Moment], None]:
    """The probability at t of the true digit and of its strongest rival at the end: exact (lines), by the solver."""
    colours = (BLUE, ORANGE)
    lines = [ax.plot([], [], "-", color=colour, lw=1.8, animated=True)[0] for colour in colours]
    looks = zip(colours, "os", strict=True)
    points = [ax.plot([], [], mark, color=colour, ms=5, animated=True)[0] for colour, mark in looks]
    names = [label(ax, "", (1, 0), colour, shift=(5, 0), animated=True) for colour in colours]
    ax.set(xlabel="t", ylabel="probability", title="what the head says at t", xlim=(-0.02, 1.14), ylim=(-0.03, 1.05))
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])

    def move(m: Moment) -> None:
        says = m.exact.says[:, m.image]
        other = int(np.argsort(says[-1])[-1 if says[-1].argmax() != m.label else -2])
        for digit, line, dots, name in zip((m.label, other), lines, points, names, strict=True):
            line.set_data(m.exact.t, says[:, digit])
            dots.set_data(m.path.t, m.path.says[:, m.image, digit])
            name.set_text(str(digit))
            name.xy = (1, float(says[-1, digit]))

    return move
