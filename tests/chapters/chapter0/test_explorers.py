"""The first explorer: its numbers, its sentence, its picture."""

import numpy as np
import pytest

from nodelib.chapters.chapter0.explorers import MOST, blocks, describe, stack


@pytest.mark.parametrize("n", [1, 2, 10, MOST])
def test_the_blocks_compound(n):
    t, h = stack(n)
    np.testing.assert_allclose(t, np.arange(n + 1) / n)
    np.testing.assert_allclose(h, (1 + 1 / n) ** np.arange(n + 1), rtol=1e-14)


def test_more_blocks_come_closer_to_the_curve_from_below():
    ends = [stack(n).h[-1] for n in range(1, MOST + 1)]
    assert np.all(np.diff(ends) > 0)
    assert ends[-1] < np.e < stack(100_000).h[-1] + 2e-5


def test_the_sentence_counts():
    assert describe(stack(1)) == "Figure 0.1. 1 block takes h from 1 to 2.000; the curve h' = h goes to e = 2.718."
    assert describe(stack(2)).startswith("Figure 0.1. 2 blocks take h from 1 to 2.250;")


def test_the_slider_moves_the_picture_and_the_sentence():
    live = blocks()
    before = live.png, live.description
    live.controls["blocks"].value = MOST
    assert live.error is None
    assert live.png != before[0]
    np.testing.assert_array_equal(live.fig.axes[0].lines[-1].get_xydata(), np.transpose(stack(MOST)))
    assert live.description == describe(stack(MOST)) != before[1]
