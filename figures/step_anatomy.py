"""Where the time of a step goes, drawn from figures/records/step_anatomy.json.

    python figures/step_anatomy.py

`python -m tests.bench.anatomy` measures, and says what the pieces are. Leaves step_anatomy.png.
"""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodelib.experiments import records
from nodelib.workbook.style import BLUE, GREY, INK, ORANGE, PURPLE, VIOLET, book, save

COLOURS = {"evaluations": BLUE, "around func": VIOLET, "stages": ORANGE, "error": PURPLE, "control": GREY}
WORDS = {
    "evaluations": "six evaluations of f",
    "around func": "around f",
    "stages": "sums of slopes",
    "error": "error estimate",
    "control": "the rest",
}


def bars(row: dict[str, Any]) -> dict[str, dict[str, float]]:
    """For each solver the pieces of its step in milliseconds, in the order drawn."""
    step, pieces = row["step"], row["pieces"]
    found = {"torchdiffeq": divided(step["torchdiffeq"], pieces["evaluations"]), "ours": pieces}
    if "compiled" in step:
        found["compiled"] = divided(step["compiled"], step["compiled"] - step["loop"])
    return {name: {piece: 1e3 * seconds for piece, seconds in parts.items()} for name, parts in found.items()}


def divided(whole: float, evaluations: float) -> dict[str, float]:
    """A step of which nothing is known but its evaluations."""
    return {"evaluations": evaluations, "control": whole - evaluations}


def panel(ax: Axes, row: dict[str, Any]) -> None:
    """The bars of one batch."""
    found = bars(row)
    for i, parts in enumerate(found.values()):
        left = 0.0
        for piece, value in parts.items():
            ax.barh(i, value, left=left, color=COLOURS[piece], height=0.62)
            left += value
        ax.text(left, i, f" {left:.3g}", va="center", color=INK, fontsize=9)
    ax.set_yticks(range(len(found)), list(found))
    ax.invert_yaxis()
    ax.set_xlim(0, 1.2 * max(sum(parts.values()) for parts in found.values()))
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("processor time of a step, ms")
    ax.set_title(f"{row['batch']:,} states of 2 entries")


def figure(record: dict[str, Any]) -> Figure:
    """One panel a batch."""
    with book():
        fig = Figure((9.6, 2.9))
        axes = fig.subplots(1, len(record["rows"]))
        for ax, row in zip(axes, record["rows"], strict=True):
            panel(ax, row)
        patches = [axes[0].barh(0, 0, color=COLOURS[piece]) for piece in WORDS]
        fig.legend(patches, WORDS.values(), loc="outside lower center", ncols=len(WORDS))
    return fig


def main() -> None:
    save(figure(records.read("step_anatomy")), Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()
