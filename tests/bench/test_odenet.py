"""An ODE-Net's training iteration, on small batches; `python -m tests.bench.odenet` says it closely."""

import pytest

from tests.bench import odenet
from tests.bench.race import median_within

BATCH = 8
LOOSE = 1.5  # other tests, and other people, use the machine at the same time

pytestmark = pytest.mark.usefixtures("one_thread")


def test_with_equal_steps_both_sides_evaluate_the_same_number_of_times():
    races = {race.name.partition(", ")[2]: race for race in odenet.races(BATCH)}
    for name in ("adjoint / torchdiffeq's, equal NFE", "adjoint / its pieces"):
        assert races[name].ours() == races[name].theirs() == odenet.NFE
    checkpoints = races["checkpoints / adjoint, equal steps"]
    assert checkpoints.ours() == odenet.NFE - 1  # taken again, a step evaluates f at its start, and not at its end
    assert checkpoints.theirs() == odenet.NFE


@pytest.mark.parametrize("race", odenet.races(BATCH), ids=lambda race: race.name)
def test_no_iteration_is_far_off_its_target(race, record_property):
    found = median_within(race, LOOSE * race.target, pairs=3)
    record_property("measured", f"{race.name}, batch {BATCH}: {found:.2f}, target {race.target:.2f} at 128")
    assert found <= LOOSE * race.target
