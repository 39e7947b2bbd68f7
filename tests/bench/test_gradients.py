"""A training iteration takes at most half of torchdiffeq's time; `python -m tests.bench.gradients` says it closely."""

import pytest

from tests.bench import gradients
from tests.bench.race import median_within

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("race", gradients.races(), ids=lambda race: race.name)
def test_no_gradient_has_become_much_slower(race, record_property):
    """Up to three tries, since other tests use the machine at the same time."""
    limit = race.target or 2
    ratio = median_within(race, limit, pairs=9, tries=3)
    record_property("measured", f"{race.name}: {ratio:.2f}; NFE {race.ours()} and {race.theirs()}")
    assert ratio <= limit
