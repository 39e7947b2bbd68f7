"""The benchmark runs, both sides of it do the same work, and no solver is far off its target."""

from statistics import median

import pytest

from tests.bench import solvers
from tests.bench.race import Race, measure, ratios

LOOSE = 1.5  # other tests, and other people, use the machine at the same time

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("race", solvers.races()[:3], ids=lambda race: race.name)
def test_no_solver_is_far_off_its_target(race, record_property):
    found = min(median(ratios(race, pairs=10)) for _ in range(2))
    record_property("measured", f"{race.name}: {found:.2f}, target {race.target:.2f}")
    assert found <= LOOSE * race.target


@pytest.mark.parametrize("race", solvers.races()[:3], ids=lambda race: race.name)
def test_both_sides_do_the_same_work(race):
    for _ in solvers.NETWORKS:
        assert race.ours() == pytest.approx(race.theirs(), rel=0.15)


def test_a_missed_target_is_seen(capsys, monkeypatch):
    race = Race("slow / fast", lambda: sum(range(10_000)), lambda: 0, 0.5)
    line, met = measure(race, pairs=3)
    assert not met
    assert line.endswith("target 0.50 MISSED")
    assert measure(race._replace(target=None), pairs=3)[1]
    monkeypatch.setattr(solvers, "races", lambda: [race])
    assert solvers.main(pairs=3) == 1
    assert "slow / fast" in capsys.readouterr().out
