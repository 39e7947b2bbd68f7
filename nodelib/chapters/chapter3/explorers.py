"""The explorer of chapter 3: a network that was trained with one solver, tested with others; and the architectures."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ipywidgets import Dropdown, IntSlider
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from nodelib.data.sample import COLUMNS, mnist_sample_numbers
from nodelib.workbook.controls import wide_slider
from nodelib.workbook.live import Live, counted
from nodelib.workbook.style import INK, LOOKS, book, label, look, moving, plain_ticks

from .architecture import architecture
from .numbers import (
    LEVELS,
    SOLVERS,
    STEPS,
    TOLERANCES,
    Digits,
    Moment,
    moment,
    recorded,
    sample_digits,
)  # fmt: skip

__all__ = ["architecture", "describe", "other_solvers"]

PALE = "#999999"  # what stands behind
HALO = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.7}
# A hard image: Euler's two steps miss what four of them find.
START = {"solver": "euler", "level": 1, "image": 23}


def describe(m: Moment) -> str:
    """The sentence under the explorer."""
    how = f"at tolerance 1e-{m.level + 1}" if m.solver == "dopri5" else f"with {counted(STEPS[m.level], 'step')}"
    exact = int(m.exact.says[-1, m.image].argmax())
    return (
        f"{m.solver} {how}, {counted(m.row['nfe'], 'evaluation')}: {m.row['accuracy']:.2%} of the test images right; "
        f"{m.row['changed']:.2%} get another class than by a tight solve. This {m.label} is read as {m.said[m.image]}; "
        f"the tight solve says {exact}, from t = {m.settled:.3g} on."
    )


def other_solvers(
    number: str = "3.7", digits: Digits | None = None, record: dict[str, Any] | None = None
) -> Live[Moment]:
    """The trained ODE-Net by any solver: its test error, and one digit on its way. Figure ``number``.

    ``digits`` and ``record`` (of ``measure``) are those of the trained network on MNIST unless others are given.
    """
    digits, record = digits or sample_digits(), record or recorded()
    paths = [digits.path(solver, level) for solver in SOLVERS for level in LEVELS]  # before a control waits for it
    with book():
        fig = Figure(figsize=(8.8, 6.2))
        axes = fig.subplot_mosaic(
            [["errors", "digit", "sheet"], ["plane", "says", "says"]],
            width_ratios=[1.32, 0.62, 0.5],
            height_ratios=[1, 1.15],
        )
        movers = [
            _errors(axes["errors"], record),
            _digit(axes["digit"], digits),
            _sheet(axes["sheet"], digits),
            _plane(axes["plane"], digits, np.concatenate([path.plane for path in paths])),
            _says(axes["says"], record),
        ]
    names = [(f"{STEPS[i]} or {TOLERANCES[i]:.0e}".replace("e-0", "e-"), i) for i in LEVELS]
    last = len(digits.images.y) - 1
    controls = {
        "solver": Dropdown(value=START["solver"], options=SOLVERS, description="solver"),
        "level": wide_slider("steps, or dopri5's tolerance", names, START["level"], width="32em"),
        "image": IntSlider(value=min(START["image"], last), min=0, max=last, description="image"),
    }

    def compute(solver: str, level: int, image: int) -> Moment:
        return moment(digits, record, solver, level, image)

    return Live(fig, controls, compute, movers, lambda m: f"Figure {number}. {describe(m)}")


def _errors(ax: Any, record: dict[str, Any]) -> Callable[[Moment], None]:
    """Test error against evaluations, one line a solver, and a ring around the present setting."""
    exact = 100 * (1 - record["exact"]["accuracy"])
    errors = [100 * (1 - row["accuracy"]) for row in record["rows"]]
    ax.axhline(exact, color=INK, lw=1.2)
    label(ax, f"a tight solve: {exact:.2f} %", (64, exact), shift=(0, -14), ha="right", fontsize=9)
    for solver in SOLVERS:
        own = [(row["nfe"], 100 * (1 - row["accuracy"])) for row in record["rows"] if row["solver"] == solver]
        ax.loglog(*np.transpose(own), **look(solver, points=True), label=solver)
    ax.set(xlabel="evaluations of f", ylabel="test error (%)", xlim=(0.85, 75), ylim=(exact / 1.5, 1.4 * max(errors)))
    ax.set_title(f"all {record['images']:,} test images" if "images" in record else "test images")
    plain_ticks(ax.xaxis, [1, 2, 4, 8, 16, 32, 64])
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if exact / 1.5 < tick < 1.4 * max(errors)]
    plain_ticks(ax.yaxis, ticks)
    ax.legend(handlelength=3.2)
    ring = moving(ax, "o", ms=14, mfc="none", mec=INK, mew=1.8)

    def move(m: Moment) -> None:
        ring.set_data([m.row["nfe"]], [100 * (1 - m.row["accuracy"])])

    return move


def _digit(ax: Any, digits: Digits) -> Callable[[Moment], None]:
    """The image, and how it is read."""
    side = digits.images.side
    picture = ax.imshow(np.zeros((side, side)), cmap="gray_r", vmin=0, vmax=1, animated=True)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(True)
    look = {"shift": (0, 0), "xycoords": "axes fraction", "ha": "center", "animated": True}
    above, below = label(ax, "", (0.5, 1.1), **look), label(ax, "", (0.5, -0.12), **look)
    places = mnist_sample_numbers()

    def move(m: Moment) -> None:
        picture.set_data(digits.images.x[m.image, 0].numpy())
        above.set_text(f"a {m.label}: test image {places[m.image]:,}" if m.image < len(places) else f"a {m.label}")
        below.set_text(f"read as {m.said[m.image]}, {m.path.says[-1, m.image].max():.0%}")
        below.set_fontweight("normal" if m.said[m.image] == m.label else "bold")

    return move


def _sheet(ax: Any, digits: Digits) -> Callable[[Moment], None]:
    """All images, row by row; the chosen one framed, those that are misread marked."""
    x, side = digits.images.x[:, 0], digits.images.side
    rows = -(-len(x) // COLUMNS)
    sheet = np.zeros((rows * COLUMNS, side, side))
    sheet[: len(x)] = x.numpy()
    sheet = sheet.reshape(rows, COLUMNS, side, side).swapaxes(1, 2).reshape(rows * side, -1)
    ax.imshow(sheet, cmap="gray_r", vmin=0, vmax=1, extent=(0, COLUMNS, rows, 0))
    ax.axis("off")
    ax.set_title("misread: crossed out", fontsize=9.5)
    wrong = [
        ax.plot([i % COLUMNS + 0.1, i % COLUMNS + 0.9], [i // COLUMNS + 0.9, i // COLUMNS + 0.1], "-", color=INK,
                lw=1.6, animated=True)[0]
        for i in range(len(x))
    ]  # fmt: skip
    frame = ax.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor=INK, lw=1.6, animated=True, zorder=3))

    def move(m: Moment) -> None:
        for stroke, said, digit in zip(wrong, m.said, digits.images.y.tolist(), strict=True):
            stroke.set_visible(said != digit)
        frame.set_xy((m.image % COLUMNS, m.image // COLUMNS))

    return move


def _plane(ax: Any, digits: Digits, points: np.ndarray) -> Callable[[Moment], None]:
    """All exact paths, pale, with a digit where those of one class end; the chosen one's, exact and by the solver."""
    paths, classes = digits.exact.plane, digits.images.y.numpy()
    ax.plot(*paths.transpose(2, 0, 1), "-", color=PALE, lw=0.7, alpha=0.7)
    for digit in np.unique(classes):
        middle = np.median(paths[-1][classes == digit], axis=0)
        ax.text(*middle, str(digit), fontsize=10, color="#555555", ha="center", va="center", bbox=HALO)
    points = np.concatenate([points, paths])
    low, high = points.min((0, 1)), points.max((0, 1))
    room = 0.06 * (high - low)
    ax.set(xlim=(low[0] - room[0], high[0] + room[0]), ylim=(low[1] - room[1], high[1] + room[1]))
    ax.set(xlabel="ten scores, first principal component", ylabel="second", title="digits on their way from t = 0 to 1")
    exact = moving(ax, "-", color=INK, lw=2)
    lines = {
        solver: ax.plot([], [], animated=True, lw=1.6, ms=6, mec="white", **look(solver, points=True))[0]
        for solver in SOLVERS
    }

    def move(m: Moment) -> None:
        exact.set_data(*m.exact.plane[:, m.image].T)
        for solver, line in lines.items():
            line.set_data(*(m.path.plane[:, m.image].T if solver == m.solver else ([], [])))

    return move


def _says(ax: Any, record: dict[str, Any]) -> Callable[[Moment], None]:
    """What the head would say at t of the true digit and of the strongest other, exact and at the solver's steps."""
    stopped, styles = record["stopped"], ("-", "--")
    ax.plot(stopped["t"], stopped["accuracy"], ":", color=PALE, lw=1.6, label="all images right")
    lines = [moving(ax, style, color=INK, lw=1.8) for style in styles]
    dots = [moving(ax, mark, ms=6, mec="white") for mark in "os"]
    names = [label(ax, "", (1, 0), shift=(7, 0), animated=True, fontsize=11) for _ in styles]
    ax.plot([], [], "-", color=INK, label="true digit")
    ax.plot([], [], "--", color=INK, label="strongest other")
    ax.legend(loc="upper left", ncols=3, fontsize=8.5, handlelength=1.8, columnspacing=1.0, borderaxespad=0)
    ax.set(xlabel="t", ylabel="probability", title="what the head says at t", xlim=(-0.02, 1.06), ylim=(-0.04, 1.2))
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])

    def move(m: Moment) -> None:
        says = m.exact.says[:, m.image]
        other = max((digit for digit in range(10) if digit != m.label), key=lambda digit: says[-1, digit])
        for digit, line, points, name in zip((m.label, other), lines, dots, names, strict=True):
            line.set_data(m.exact.t, says[:, digit])
            points.set_data(m.path.t, m.path.says[:, m.image, digit])
            points.set_color(LOOKS[m.solver].colour)
            name.set_text(str(digit))
        low, high = sorted((says[-1, m.label], says[-1, other]))
        near = max(0.0, 0.13 - (high - low)) / 2  # the two names stand clear of each other
        for digit, name in zip((m.label, other), names, strict=True):
            name.xy = 1, says[-1, digit] + (near if says[-1, digit] == high else -near)

    return move
