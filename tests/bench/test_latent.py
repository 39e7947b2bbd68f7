"""A latent ODE's training iteration, on few series; `python -m tests.bench.latent` says it closely.

Its races with the adjoint take seconds for one round, and are left to that.
"""

import pytest
import torch

from nodelib.data.spirals import STEPS
from tests.bench import latent
from tests.bench.race import Race, median_within

SERIES, TRAINED = 30, 20
LOOSE = 1.5  # other tests, and other people, use the machine at the same time

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def solves() -> dict[str, latent.Solve]:
    return latent.solves(TRAINED, SERIES)


@pytest.fixture(scope="module")
def errors() -> dict[str, float]:
    return latent.errors(TRAINED, SERIES)


@pytest.fixture(scope="module")
def races() -> dict[str, Race]:
    return {race.name: race for race in latent.races(0, SERIES)}


def test_the_series_have_all_times_of_the_window():
    series, noise = latent.spirals(SERIES)
    assert series.x.shape == (SERIES, STEPS, 2)
    assert series.step is not None
    assert (series.step == torch.arange(STEPS)).all()
    assert 0.03 < noise < 0.2


@pytest.mark.parametrize("way", ["adjoint", "backprop"])
def test_tolerances_mean_the_same_on_both_sides(solves, errors, way, record_property):
    """Ours may not be looser."""
    ours, theirs = errors[way], errors[f"torchdiffeq's {way}"]
    record_property("measured", f"latent ODE, {way}: error {ours:.1e}, torchdiffeq's {theirs:.1e}")
    assert ours < 1.5 * theirs < 0.01
    nfe = [side() for name, side in solves.items() if name.endswith(way)]
    assert nfe[0] == pytest.approx(nfe[1], rel=0.2)


def test_checkpoints_give_the_gradient_of_backprop(errors):
    assert errors["checkpoints"] == pytest.approx(errors["backprop"], rel=0.05)


def test_the_pieces_are_those_of_the_solve(races):
    found = {name: race for name, race in races.items() if "pieces" in name}
    for name, race in found.items():
        assert race.ours() - (2 if "checkpoints" in name else 0) - race.theirs() in (0, 1), name
    assert len(found) == 2


def test_the_network_stays_as_it_is(solves):
    """So that each iteration of a race has the same evaluations."""
    side = solves["backprop"]
    assert (side.gradient() == side.gradient()).all()
    whole = latent.Iteration(latent.network(0, SERIES), latent.spirals(SERIES)[0], *latent.WAYS["backprop"])
    before = torch.nn.utils.parameters_to_vector(whole.model.parameters()).clone()
    assert whole() == whole() > 10
    assert (torch.nn.utils.parameters_to_vector(whole.model.parameters()) == before).all()
    assert all(p.grad is not None and p.grad.any() for p in whole.model.parameters())


def test_training_changes_it():
    vectors = [
        torch.nn.utils.parameters_to_vector(latent.network(n, SERIES).parameters()).detach() for n in (0, TRAINED)
    ]
    assert (vectors[1] - vectors[0]).abs().max() > 0.01


@pytest.mark.parametrize(
    "name",
    [
        "checkpoints / torchdiffeq's backprop",
        "backprop / torchdiffeq's",
        "iteration, backprop / torchdiffeq's",
        "iteration, checkpoints / backprop",
    ],
)
def test_no_iteration_is_far_off_its_target(races, name, record_property):
    """Up to three tries, as for the other gradients."""
    race = races[f"latent ODE, untrained, {name}"]
    limit = LOOSE * (race.target or 1.5)
    found = median_within(race, limit, pairs=3, tries=3)
    record_property("measured", f"{race.name}, {SERIES} series: {found:.2f}")
    assert found <= limit
