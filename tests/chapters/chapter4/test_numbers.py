"""The numbers of chapter 4's explorers against direct computations: densities, paths and areas, samples and errors."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from nodelib.chapters.chapter4 import numbers
from nodelib.chapters.chapter4.numbers import (
    BETWEEN,
    METHODS,
    REACH,
    SIDE,
    SIZES,
    STEPS,
    STOPS,
    TIMES,
    WAYS,
    Journey,
    Match,
    Matched,
    Sampler,
    length_over_chord,
    matched,
    on_plane,
    paths_of,
    plane,
    rms,
    sampled,
    share,
)
from nodelib.data.toy2d import floor_of, grid, moons, potential
from nodelib.experiments import records
from nodelib.models.flow_fields import GatedField
from nodelib.models.flows import CNF, base_log_prob, one_of
from nodelib.models.trained_flows import trained_flow
from nodelib.torch_ode import solve

AREA = (2 * REACH / (SIDE - 1)) ** 2


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def flows() -> Matched:
    return matched(("planar",))


@pytest.fixture(scope="module")
def model() -> CNF:
    """Untrained, and strong enough to carry its points somewhere."""
    torch.manual_seed(0)
    return CNF(GatedField(8, scale=1.0), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def way(model: CNF) -> Journey:
    return Journey(model, moons(), particles=50)


@pytest.fixture(scope="module")
def samples() -> Sampler:
    return sampled()


def test_a_plane_goes_row_by_row_from_below():
    x = plane(2.0, 5)
    assert x[:3].tolist() == [[-2, -2], [-1, -2], [0, -2]]
    assert on_plane(x[:, 0]).tolist() == [[-2, -1, 0, 1, 2]] * 5
    assert on_plane(x[:, 1])[:, 0].tolist() == [-2, -1, 0, 1, 2]


# --- densities matched ------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_a_stiff_models_density_is_that_of_a_tight_solve():
    """Solved to 1e-3 as it was trained, the sharpest of them is wrong by more than its own height."""
    sharp = trained_flow("fig4_gated_gated_32")
    x = plane(REACH)
    tight = one_of(sharp, 2).double()
    tight.settings.update(rtol=1e-7, atol=1e-7)
    p = on_plane(tight.pull(x.double())[1].exp())
    q = on_plane(one_of(matched(("gated",)).models["gated", 32], 2).pull(x)[1].exp())
    assert abs(q - p).max() < 0.01 * p.max()


@pytest.mark.parametrize("size", SIZES)
def test_a_density_is_that_of_its_target_and_seed(flows, size):
    """All nine models at once, target by target and seed by seed."""
    every = flows.models["planar", size].pull(plane(REACH).expand(9, -1, -1))[1].exp().unflatten(0, (3, 3))
    for i, target in enumerate(("U1", "U2", "U3")):
        for seed in range(3):
            found = flows.match(target, "planar", size, seed).q
            np.testing.assert_allclose(found, on_plane(every[i, seed]), atol=2e-4)


def test_targets_are_normalised(flows):
    for p in flows.p.values():
        assert p.sum() * AREA == pytest.approx(1, abs=0.02)  # the rest lies beyond the wall's foot
    assert flows.p["U1"].sum() * AREA == pytest.approx(1, abs=1e-3)
    assert set(flows.p) == {"U1", "U2", "U3"}


def test_a_gap_is_the_records_loss_above_the_floor(flows):
    record = records.read("fig4_planar")
    for run in record["runs"]:
        for i, (target, floor) in enumerate(record["targets"].items()):
            for seed in range(3):
                m = flows.match(target, "planar", run["size"], seed)
                assert m.gap == pytest.approx(run["loss"][i][seed] - floor)
                assert m.error == run["standard_error"][i][seed]


def test_gaps_are_divergences_of_the_densities(flows):
    """∫ q log(q/p) on a wide grid: record, parameters, target and the order of seeds belong together."""
    x, area = grid((-6.0, 6.0, -6.0, 6.0), 0.1)
    log_q = flows.models["planar", 8].pull(x.float().expand(9, -1, -1))[1].double().unflatten(0, (3, 3))
    for i, target in enumerate(flows.targets):
        log_p = floor_of(target, 0.05) - potential(target, x)
        divergence = (log_q[i].exp() * (log_q[i] - log_p)).sum(1) * area
        np.testing.assert_allclose(divergence, flows.gaps[target]["planar", 8], atol=0.005)


def test_missed_and_spilled_are_shares_of_mass():
    p = np.array([[4.0, 4.0], [2.0, 0.0]])
    q = np.array([[5.0, 0.3], [0.3, 1.4]])
    m = Match("U1", "planar", 2, 0, p, q, {}, 0.0)
    assert m.missed == pytest.approx(0.4)  # 0.3 is less than a tenth of 4, not of 2
    assert m.spilled == pytest.approx(0.2)
    assert share(p, p == 2) == pytest.approx(0.2)


def test_half_of_a_target_that_is_left_out_is_missed(flows):
    """The flow of two layers on U1's two halves."""
    assert [round(flows.match("U1", "planar", 2, seed).missed, 2) for seed in range(3)] == [0.12, 0.5, 0.5]


def test_continuous_flows_are_matched_too():
    many = CNF(GatedField(2, models=2), rtol=1e-3, atol=1e-3)
    with torch.no_grad():
        many.field.u.mul_(10)
    runs = [{"flow": "gated", "size": 2, "loss": [[1.5], [2.5]], "standard_error": [[0.01], [0.02]]}]
    flows = Matched({("gated", 2): many}, runs, {"U1": 1.0, "U3": 2.25})
    m = flows.match("U3", "gated", 2, 0)
    with torch.no_grad():
        direct = many.pull(plane(REACH).expand(2, -1, -1))[1][1].exp()
    np.testing.assert_allclose(m.q, on_plane(direct), atol=1e-3)
    assert m.gap == pytest.approx(0.25)


def test_a_density_is_computed_once(flows):
    assert flows.match("U2", "planar", 8, 1).q is flows.match("U2", "planar", 8, 1).q


# --- a flow's points on their way -------------------------------------------------------------------------------------


def start(way: Journey) -> Tensor:
    return torch.tensor(way.paths[0])


@pytest.mark.parametrize("stop", [1, 7, 20])
def test_particles_and_their_log_density_are_where_a_solve_takes_them(way, model, stop):
    """To 1e-4, though the model's own tolerance is 1e-3."""
    i, exact = way.at(stop, 3), CNF(model.field, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        x, log_p = exact.push(start(way), float(STOPS[stop]))
    assert i.t == pytest.approx(TIMES[i.at])
    np.testing.assert_allclose(i.paths[i.at], x, atol=1e-4)
    np.testing.assert_allclose(i.log_p[i.at], log_p, atol=1e-4)
    assert np.abs(i.paths[i.at] - i.paths[0]).max() > 0.05
    np.testing.assert_array_equal(i.place, i.paths[i.at, 3])


def test_the_journey_begins_at_the_base(way):
    np.testing.assert_allclose(way.log_p[0], base_log_prob(start(way)), rtol=1e-6)
    np.testing.assert_allclose(way.at(0, 0).density, on_plane(base_log_prob(plane(way.reach)).exp()), rtol=1e-5)
    assert way.at(0, 0).stretch == 1
    assert len(TIMES) == len(way.paths) == BETWEEN * 20 + 1


@pytest.mark.parametrize("stop", [4, 20])
def test_the_density_is_what_the_model_says_at_that_time(way, model, stop):
    with torch.no_grad():
        direct = model.pull(plane(way.reach), float(STOPS[stop]))[1].exp()
    density = way.at(stop, 0).density
    np.testing.assert_allclose(density, on_plane(direct), rtol=1e-5)
    assert np.abs(density - way.at(0, 0).density).max() > 0.01
    assert density.sum() * (2 * way.reach / (SIDE - 1)) ** 2 == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("picked", [0, 11, 42])
def test_the_stretch_is_that_of_a_small_area(model, picked):
    """The determinant of the flow's Jacobian, by central differences in double precision."""
    exact = CNF(GatedField(8, scale=1.0), rtol=1e-9, atol=1e-9).double()
    exact.load_state_dict(model.state_dict())
    way = Journey(exact, moons(), particles=50)
    i, h = way.at(13, picked), 1e-4
    steps = h * torch.tensor([[1, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64)
    with torch.no_grad():
        x, _ = exact.push(start(way)[picked] + steps, i.t)
    jacobian = torch.stack([x[0] - x[1], x[2] - x[3]], 1) / (2 * h)
    assert i.stretch == pytest.approx(float(torch.linalg.det(jacobian)), rel=1e-5)
    assert abs(i.stretch - 1) > 0.01


def test_the_model_is_taken_as_it_is_now():
    model = CNF(GatedField(4, scale=1.0), rtol=1e-3, atol=1e-3)
    way, again = (Journey(model, moons(), particles=9) for _ in range(2))
    with torch.no_grad():
        model.field.u.zero_()
    np.testing.assert_array_equal(way.at(20, 0).density, again.at(20, 0).density)
    assert np.abs(way.at(20, 0).density - way.at(0, 0).density).max() > 0.01


def test_one_model_is_asked_for():
    with pytest.raises(ValueError, match=r"model is 3 models side by side: choose one with one_of\(model, i\)"):
        Journey(CNF(GatedField(4, models=3), rtol=1e-3, atol=1e-3), moons())


# --- samples in a few steps -------------------------------------------------------------------------------------------


def test_errors_and_lengths_are_those_of_the_record(samples):
    """The same points and networks; there the exact flow is that of a tolerance of 1e-5 in single precision."""
    runs = {run["way"]: run for run in records.read("flow_matching")["runs"] if run["seed"] == 0}
    assert list(runs) == list(samples.exact) == list(WAYS)
    for way, run in runs.items():
        for steps, error in run["euler"].items():
            assert samples.runs[way, "euler", int(steps)].error == pytest.approx(error, rel=1e-3)
        assert samples.excess[way] == pytest.approx(run["path_over_chord"], rel=1e-4)


def test_paths_are_the_methods_own(samples):
    """Two Euler steps, two of the midpoint method and one of rk4, by hand."""
    field = trained_flow("flow_matching_optimal_0").field.double()

    def f(t: float, x: Tensor) -> Tensor:
        return field.velocity(torch.tensor(t, dtype=x.dtype), x)

    def euler(t: float, x: Tensor, h: float) -> Tensor:
        return x + h * f(t, x)

    def midpoint(t: float, x: Tensor, h: float) -> Tensor:
        return x + h * f(t + h / 2, x + h / 2 * f(t, x))

    x0 = torch.tensor(samples.exact["optimal"][0])
    with torch.no_grad():
        for name, step in (("euler", euler), ("midpoint", midpoint)):
            half = step(0.0, x0, 0.5)
            direct = torch.stack([x0, half, step(0.5, half, 0.5)])
            np.testing.assert_allclose(samples.runs["optimal", name, 2].path, direct, rtol=1e-12)
        k1 = f(0.0, x0)
        k2 = f(0.5, x0 + k1 / 2)
        k3 = f(0.5, x0 + k2 / 2)
        direct = x0 + (k1 + 2 * k2 + 2 * k3 + f(1.0, x0 + k3)) / 6
    np.testing.assert_allclose(samples.runs["optimal", "rk4", 1].path[-1], direct, rtol=1e-12)


def test_evaluations_are_steps_times_stages(samples):
    stages = {"euler": 1, "midpoint": 2, "rk4": 4}
    assert {key: run.nfe for key, run in samples.runs.items()} == {
        (way, method, steps): steps * stages[method] for way in WAYS for method in METHODS for steps in STEPS
    }


def test_errors_are_far_above_that_of_the_exact_flow(samples):
    field = trained_flow("flow_matching_independent_0").field.double()
    exact = samples.exact["independent"]
    with torch.no_grad():
        tight = solve(field.velocity, torch.tensor(exact[0]), [0.0, 1.0], rtol=1e-10, atol=1e-12).y[-1].numpy()
    least = min(run.error for (way, _, _), run in samples.runs.items() if way == "independent")
    assert rms(exact[-1] - tight) < least / 10


def test_a_setting_has_the_errors_of_its_method(samples):
    s = samples.setting("optimal", "midpoint", 4)
    assert s.run is samples.runs["optimal", "midpoint", 4]
    for way in WAYS:
        assert s.errors[way].tolist() == [[2 * n, samples.runs[way, "midpoint", n].error] for n in (1, 2, 4, 8, 16)]


def test_lengths_and_distances():
    corner = np.array([[0, 0], [3, 0], [3, 4]], dtype=float)
    straight = np.array([[0, 0], [0, 1], [0, 5]], dtype=float)
    assert length_over_chord(np.stack([corner, straight], 1)) == pytest.approx((7 + 5) / (5 + 5))
    assert rms(np.array([[3.0, 4.0], [0.0, 1.0]])) == pytest.approx(math.sqrt(13))


def test_what_is_trained_is_read_once():
    assert matched(("planar",)) is matched(("planar",))
    assert sampled() is sampled()
    assert numbers.FLOWS == ("planar", "gated")


def test_paths_begin_at_the_base_and_end_where_a_push_ends():
    torch.manual_seed(0)
    model, z = CNF(GatedField(4, scale=0.5), rtol=1e-5, atol=1e-5), torch.randn(5, 2)
    paths = paths_of(model, z, 11)
    assert paths.shape == (11, 5, 2)
    assert paths[0] == pytest.approx(z.numpy())
    with torch.no_grad():
        assert paths[-1] == pytest.approx(model.push(z)[0].numpy(), abs=1e-4)
        assert paths[5] == pytest.approx(model.push(z, 0.5)[0].numpy(), abs=1e-4)
