"""The explorer of § 6.2: five trainings, seven solvers, two sets of data, ten seeds."""

from collections.abc import Callable

import numpy as np
from ipywidgets import Dropdown, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from nodelib.experiments.swap import ENDS, SOLVED, TRAINED
from nodelib.workbook.live import Live
from nodelib.workbook.style import INK, LOOKS, book, moving

from .swap import REACH, SIDE, Swap, Swapped
from .swap_figures import INNER, OUTER, OUTER_LINE, tinted

ROOM = 1.06  # around the ends of paths


def in_words(solver: str) -> str:
    """A solver's name for a sentence: "euler 2" is "2 steps of euler"."""
    name, _, steps = solver.partition(" ")
    return f"{steps} steps of {name}" if steps else f"{name} at 1e-3"


def describe(s: Swapped) -> str:
    """The sentence under the explorer."""
    trained = f"Trained by {in_words(s.trained)} on {s.data}, seed {s.seed}"
    if s.solved == s.trained:
        return f"{trained}, and solved so: {s.accuracy:.0%} of its points are right."
    change = round(100 * (s.accuracy - s.own))
    moved = "as many as" if change == 0 else f"{abs(change)} per cent {'more' if change > 0 else 'less'} than"
    return f"{trained}; solved by {in_words(s.solved)}, {s.accuracy:.0%} of its points are right, {moved} in training."


def solver_swap(number: str, numbers: Swap) -> Live[Swapped]:
    """A network trained by one solver and solved by another: its regions, its paths, its accuracy among all others'.
    Figure ``number``."""
    with book():
        fig = Figure(figsize=(9.4, 3.7))
        left, middle, right = fig.subplots(1, 3, width_ratios=[1, 1, 1.12])
        movers = [_regions(left, numbers), _paths(middle, numbers), _accuracies(right, numbers)]
    controls = {
        "data": Dropdown(value="annuli", options=list(ENDS), description="data"),
        "trained": Dropdown(value="euler 2", options=TRAINED, description="trained by"),
        "solved": Dropdown(value="euler 2", options=SOLVED, description="solved by"),
        "seed": IntSlider(value=0, min=0, max=numbers.record["seeds"] - 1, description="seed"),
    }
    return Live(fig, controls, numbers.at, movers, lambda s: f"Figure {number}. {describe(s)}")


def _regions(ax: Axes, numbers: Swap) -> Callable[[Swapped], None]:
    """Where the network says "inner", in the solver's colour, and the training points."""
    ax.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), box_aspect=1, title='tinted: it says "inner"')
    picture = ax.imshow(np.zeros((SIDE, SIDE, 4)), origin="lower", extent=(-REACH, REACH, -REACH, REACH), animated=True)
    inner, outer = (moving(ax, linestyle="none", ms=3, **look) for look in (INNER, OUTER))

    def move(s: Swapped) -> None:
        picture.set_data(tinted(s.region, LOOKS[s.solved.partition(" ")[0]].colour))
        x, y = (part[s.seed].numpy() for part in numbers.points[s.data])
        inner.set_data(*x[y == 1].T)
        outer.set_data(*x[y == -1].T)

    return move


def _paths(ax: Axes, numbers: Swap) -> Callable[[Swapped], None]:
    """Paths of some points and their ends; the plane is as large as it need be, and its half width is written."""
    ax.set(xlim=(-1, 1), ylim=(-1, 1), xticks=[0], yticks=[0], box_aspect=1, title="ways and ends; dashed: undecided")
    ways = {label: moving(ax, "-", color=colour, lw=0.6) for label, colour in ((-1, OUTER_LINE), (1, INK))}
    ends = {label: moving(ax, linestyle="none", ms=4, **look) for label, look in ((-1, OUTER), (1, INNER))}
    line = moving(ax, "--", color=INK, lw=1)
    scale: Text = ax.text(0, -0.06, "", transform=ax.transAxes, fontsize=9, animated=True)

    def move(s: Swapped) -> None:
        y = numbers.points[s.data].y[s.seed].numpy()[: s.paths.shape[1]]
        half = ROOM * float(np.abs(s.paths).max())
        for label in (-1, 1):
            own = s.paths[:, y == label] / half
            gaps = np.full((1, *own.shape[1:]), np.nan)  # between one path and the next
            ways[label].set_data(*np.concatenate([own, gaps]).swapaxes(0, 1).reshape(-1, 2).T)
            ends[label].set_data(*own[-1].T)
        line.set_data(*(s.line / half).T)
        scale.set_text(f"half width: {half:.1f}")

    return move


def _accuracies(ax: Axes, numbers: Swap) -> Callable[[Swapped], None]:
    """The chosen seed's accuracy in each training, a row, by each solver, a column; a frame at the present, and the
    numbers of its row."""
    shape = len(TRAINED), len(SOLVED)
    picture = ax.imshow(np.zeros(shape), vmin=0.3, vmax=1, cmap="Greys_r", animated=True, aspect="auto")
    ax.set_xticks(range(shape[1]), SOLVED, rotation=50, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(shape[0]), TRAINED)
    ax.set(xlabel="solved by", title="per cent right; a row: trained by")
    ax.grid(False)
    texts = [ax.text(j, 0, "", ha="center", va="center", fontsize=9, animated=True, zorder=4) for j in range(shape[1])]
    frame = Rectangle((0, 0), 1, 1, fill=False, edgecolor=LOOKS["dopri5"].colour, lw=2.5, animated=True, zorder=3)
    ax.add_patch(frame)

    def move(s: Swapped) -> None:
        found = numbers.accuracies(s.data, s.seed)
        picture.set_data(found)
        row = TRAINED.index(s.trained)
        for text, value in zip(texts, found[row], strict=True):  # numbers in each row would take most of the time
            text.set_text(f"{100 * value:.0f}")
            text.set_color(INK if value > 0.62 else "white")
            text.set_y(row)
        frame.set_xy((SOLVED.index(s.solved) - 0.5, row - 0.5))

    return move
