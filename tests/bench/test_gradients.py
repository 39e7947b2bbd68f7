"""A training iteration takes at most half of torchdiffeq's time; `python -m tests.bench.gradients` says it closely."""

from statistics import median

import pytest

from tests.bench import gradients
from tests.bench.race import ratios

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("race", gradients.races(), ids=lambda race: race.name)
def test_no_gradient_has_become_much_slower(race, record_property):
    """Up to three tries, since other tests use the machine at the same time."""
    limit = race.target or 2
    ratio = float("inf")
    for _ in range(3):
        if ratio > limit:
            ratio = median(ratios(race, pairs=9))
    record_property("measured", f"{race.name}: {ratio:.2f}; NFE {race.ours()} and {race.theirs()}")
    assert ratio <= limit
