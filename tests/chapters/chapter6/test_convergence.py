"""The table and the picture of a convergence test show its numbers, and read in the order of refinement."""

import math

import numpy as np
import pytest

from nodelib.chapters.chapter6.convergence import picture, table
from nodelib.experiments.convergence import Convergence, Row

FIXED = Convergence(
    "discrete",
    (
        Row("euler, 2 steps", 1, 5e-4, 0.96, 2),
        Row("euler, 4 steps", 2, 2.16, 0.46, 4),
        Row("dopri5, 1e-09", math.inf, 3.81, 0, 446),
    ),
    adaptive=False,
    limit=0.0105,
    close=0.05,
)
ADAPTIVE = Convergence(
    "ODE",
    (
        Row("tsit5, 0.001", 1, -0.502, 8e-4, 32),
        Row("tsit5, 1e-06", 1000, -0.502, 0, 104),
        Row("dopri5, 1e-09", math.inf, -0.502, 0, 362),
    ),
    adaptive=True,
    limit=-0.492,
    close=0.05,
)


def test_a_row_is_a_solution():
    assert table(FIXED).rows == [
        ("training", "euler, 2 steps", "0.0005", "9.6e-01", "2"),
        ("steps / 2", "euler, 4 steps", "2.16", "4.6e-01", "4"),
        ("reference", "dopri5, 1e-09", "3.81", "0", "446"),
    ]
    assert [row[0] for row in table(ADAPTIVE).rows] == ["training", "tolerance / 1,000", "reference"]


@pytest.mark.parametrize("found", [FIXED, ADAPTIVE], ids=["fixed", "adaptive"])
def test_the_picture_draws_losses_states_and_the_lines_between_the_verdicts(found):
    left, right = picture(found).axes
    ys = [[np.asarray(line.get_ydata()) for line in ax.lines] for ax in (left, right)]
    assert list(ys[0][0]) == [row.loss for row in found.rows[:-1]]
    assert list(ys[1][0]) == [row.apart for row in found.rows[:-1]]
    assert {y[0] for y in ys[0][2:]} == {found.solved, found.limit}
    assert ys[1][2][0] == found.close
    what = "tolerance of the training, divided by" if found.adaptive else "steps of the training, each divided by"
    assert left.get_xlabel() == right.get_xlabel() == what
    assert (left.get_ylabel(), right.get_ylabel()) == ("loss", "states apart, of the way")
    assert left.get_yscale() == ("linear" if found.adaptive else "log")
    assert all(low <= y <= high for y in (found.limit, found.solved) for low, high in [left.get_ylim()])
