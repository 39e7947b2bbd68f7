"""The exercise of chapter 0, and what is right."""

import numpy as np

from nodelib.workbook.check import Exercise, Exercises


def shrinking(n: int) -> float:
    """The state after n blocks that each take away the n-th part of the state, from 1."""
    return (1 - 1 / n) ** n


def some_blocks(rng: np.random.Generator) -> tuple[int]:
    """A number of blocks."""
    return (int(rng.integers(2, 60)),)


EXERCISES = Exercises("0", [
    Exercise(
        "0.1 Blocks that take away", shrinking, some_blocks,
        mistakes=[
            ("The blocks still add.", lambda n: (1 + 1 / n) ** n),
            ("Each block takes away a part of the state that it gets, not of the first one.", lambda n: 0.0 * n),
            ("That is one block, not n of them.", lambda n: 1 - 1 / n),
            ("That is the end of the curve that the states approach, not theirs.", lambda n: np.exp(-1.0) + 0 * n),
        ],
        hints=(
            "Two blocks leave a half, and then half of that.",
            "The loop of the cell above does it, with one sign changed: h = h - h / n.",
        ),
    ),
])  # fmt: skip

check, hint = EXERCISES.check, EXERCISES.hint
