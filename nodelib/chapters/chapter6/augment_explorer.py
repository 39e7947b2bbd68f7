"""The explorer of § 6.4: more dimensions, time or the start as inputs, on three sets of data, ten seeds."""

from collections.abc import Callable

import numpy as np
from ipywidgets import Dropdown, IntSlider
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from nodelib.experiments.augment import VARIANTS
from nodelib.experiments.rings import DATA
from nodelib.workbook.live import Live
from nodelib.workbook.style import INK, LOOKS, book, moving, plain_ticks

from .crossing import TIMES, Augmentations, Augmented
from .swap_figures import INNER, OUTER, OUTER_LINE

IN_WORDS = {
    "0": "no dimension more",
    "1": "one dimension more",
    "2": "two dimensions more",
    "5": "five dimensions more",
    "time": "time as an input",
    "start": "the start as an input",
}
LINE = "x → −x"
ROOM = 1.08


def describe(a: Augmented) -> str:
    """The sentence under the explorer."""
    right = "" if a.accuracy is None else f"; {a.accuracy:.0%} of its points are right"
    kept = ""
    if a.data == LINE:
        starts, ends = a.paths[0, :, 0], a.paths[-1, :, 0]
        order = np.argsort(starts)
        same = bool((np.diff(ends[order]) > 0).all())
        reverse = float(np.abs(ends + starts).max()) < 0.1
        kept = "; all points keep their order" if same else "; every x ends within 0.1 of −x" if reverse else ""
    return (
        f"{a.data} with {IN_WORDS[a.more]}, seed {a.seed}: loss {a.loss:.1e}, {a.nfe} evaluations at 1e-6{right}{kept}."
    )


def augmentation(number: str, numbers: Augmentations) -> Live[Augmented]:
    """A recorded network's paths, from two sides, and its loss and evaluations among all others'. Figure ``number``."""
    with book():
        fig = Figure(figsize=(9.4, 3.7))
        axes = fig.subplot_mosaic([["own", "side", "loss"], ["own", "side", "nfe"]], width_ratios=[1, 1, 0.9])
        movers = [
            _own(axes["own"]),
            _side(axes["side"]),
            _strip(axes["loss"], numbers, "loss"),
            _strip(axes["nfe"], numbers, "nfe"),
        ]
    controls = {
        "data": Dropdown(value=LINE, options=list(DATA), description="data"),
        "more": Dropdown(value="0", options=[(words, key) for key, words in IN_WORDS.items()], description="with"),
        "seed": IntSlider(value=0, min=0, max=numbers.record["seeds"] - 1, description="seed"),
    }
    return Live(fig, controls, numbers.at, movers, lambda a: f"Figure {number}. {describe(a)}")


def _ways(ax: Axes) -> Callable[[np.ndarray, np.ndarray], float]:
    """Draws paths (times, n, 2), scaled to the panel, by their labels; returns the half width that they were given."""
    ax.set(xlim=(-1, 1), ylim=(-1, 1), xticks=[0], yticks=[0], box_aspect=1)
    lines = {side: moving(ax, "-", color=colour, lw=0.7) for side, colour in ((-1, OUTER_LINE), (1, INK))}
    ends = {side: moving(ax, linestyle="none", ms=4, **look) for side, look in ((-1, OUTER), (1, INNER))}

    def move(paths: np.ndarray, label: np.ndarray) -> float:
        half = ROOM * float(np.abs(paths).max())
        for side in (-1, 1):
            own = paths[:, label == side] / half
            gaps = np.full((1, *own.shape[1:]), np.nan)
            lines[side].set_data(*np.concatenate([own, gaps]).swapaxes(0, 1).reshape(-1, 2).T)
            ends[side].set_data(*own[-1].T)
        return half

    return move


def _words(ax: Axes) -> tuple[Text, Text]:
    """A title and a line below that change with the data."""
    title = ax.text(0, 1.03, "", transform=ax.transAxes, fontsize=11, animated=True)
    return title, ax.text(0, -0.06, "", transform=ax.transAxes, fontsize=9, animated=True)


def _own(ax: Axes) -> Callable[[Augmented], None]:
    """The paths in the data's own coordinates: x against time, or the plane."""
    ways, (title, scale) = _ways(ax), _words(ax)
    clock = 2 * np.linspace(0, 1, TIMES) - 1

    def move(a: Augmented) -> None:
        if a.data == LINE:
            half = ROOM * float(np.abs(a.paths[..., 0]).max())
            time = np.broadcast_to(0.95 * half * clock[:, None], a.paths.shape[:2])
            half = ways(np.stack([time, a.paths[..., 0]], -1), a.label)
            title.set_text("x, from t = 0 to 1")
        else:
            half = ways(a.paths[..., :2], a.label)
            title.set_text("ways and ends in the data's plane")
        scale.set_text(f"half width: {half:.1f}" if a.data != LINE else f"half height: {half:.1f}")

    return move


def _side(ax: Axes) -> Callable[[Augmented], None]:
    """The paths from another side, with the line on which the head is undecided."""
    ways, (title, scale) = _ways(ax), _words(ax)
    line = moving(ax, "--", color=INK, lw=1)

    def move(a: Augmented) -> None:
        half = ways(a.side, a.label)
        line.set_data([0, 0] if a.data != LINE else [], [-1, 1] if a.data != LINE else [])
        added = "x and the first dimension added" if a.paths.shape[-1] > 1 else "x alone: no dimension added"
        title.set_text(added if a.data == LINE else "across the decision (dashed)")
        scale.set_text(f"half width: {half:.1f}")

    return move


def _strip(ax: Axes, numbers: Augmentations, what: str) -> Callable[[Augmented], None]:
    """All seeds of all variants on the data, and the chosen one filled."""
    places = np.arange(len(VARIANTS))
    every = np.array([numbers.recorded(what, data) for data in DATA])
    low, high = float(every.min()), float(every.max())
    ax.set(yscale="log", ylim=(low / 2, high * 2), xlim=(-0.5, len(places) - 0.5))
    ax.set_title({"loss": "loss, ten seeds", "nfe": "evaluations, ten seeds"}[what])
    ax.set_xticks(places, ["0", "+1", "+2", "+5", "time", "start"] if what == "nfe" else [""] * len(places))
    if what == "nfe":
        plain_ticks(ax.yaxis, [50, 100, 150])
    dots = moving(ax, "o", color=LOOKS["data"].colour, ms=4, alpha=0.7)
    chosen = moving(ax, "o", color=LOOKS["odenet"].colour, ms=8, mec="white")

    def move(a: Augmented) -> None:
        values = numbers.recorded(what, a.data)
        dots.set_data(np.repeat(places, values.shape[1]), values.ravel())
        at = list(VARIANTS).index(a.more)
        chosen.set_data([at], [values[at, a.seed]])

    return move
