"""Chapter 4's explorers show their numbers, follow their controls, and say what is to be seen."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.path import Path

from nodelib.chapters.chapter4 import explorers
from nodelib.chapters.chapter4.explorers import (
    FOLLOWED,
    SHOWN,
    describe_journey,
    describe_matching,
    describe_sampler,
    joined,
    journey,
    matching,
    outline,
    sampler,
)
from nodelib.chapters.chapter4.figures import FLOW_LOOK, WAY_LOOK
from nodelib.chapters.chapter4.numbers import (
    METHODS,
    REACH,
    SIDE,
    SIZES,
    STEPS,
    STOPS,
    TIMES,
    WAYS,
    Instant,
    Journey,
    Match,
    Matched,
    Sampled,
    Sampler,
    Setting,
    matched,
    sampled,
)
from nodelib.data.toy2d import SHAPES, drawn, moons
from nodelib.experiments import records
from nodelib.models.flow_fields import GatedField
from nodelib.models.flows import CNF


@pytest.fixture(scope="module")
def flows() -> Matched:
    """The trained planar flows, and untrained continuous ones with gaps of their own."""
    torch.manual_seed(0)
    record = records.read("fig4_planar")
    losses = [[floor + 0.3 + 0.1 * seed for seed in range(3)] for floor in record["targets"].values()]
    runs = record["runs"] + [
        {"flow": "gated", "size": size, "loss": losses, "standard_error": [[0.01] * 3] * 3} for size in SIZES
    ]
    models = matched(("planar",)).models | {
        ("gated", size): CNF(GatedField(size, models=9), rtol=1e-3, atol=1e-3) for size in SIZES
    }
    return Matched(models, runs, record["targets"])


@pytest.fixture(scope="module")
def model() -> CNF:
    torch.manual_seed(0)
    return CNF(GatedField(8, scale=1.0), rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def samples() -> Sampler:
    return sampled()


def turn(live: Any, values: Mapping[str, Any]) -> None:
    """Set the controls, and see that the picture follows."""
    before, changed = live.png, any(live.controls[name].value != value for name, value in values.items())
    for name, value in values.items():
        live.controls[name].value = value
    assert live.error is None
    assert (live.png != before) == changed


def data(line: Any) -> np.ndarray:
    return np.asarray(line.get_xydata())


def settled(live: Any) -> bool:
    """Nothing still is waiting to be drawn again, or the first control that moves would wait for the whole figure."""
    return not live.fig.stale


# --- densities matched ------------------------------------------------------------------------------------------------


def test_matching_shows_target_model_and_gaps(flows):
    live: Any = matching("4.6", flows)
    assert settled(live)
    assert live.description.startswith(
        "Figure 4.6. A planar flow of 2 layers on U1, seed 1: KL(q‖p) = 0.7568 ± 0.0015 nats. "
    )
    left, middle, right = live.fig.axes
    for k, (target, key) in enumerate(itertools.product(("U3", "U1", "U2"), flows.models)):
        (flow, size), seed = key, k % 3
        turn(live, {"target": target, "flow": flow, "size": size, "seed": seed})
        m = flows.match(target, flow, size, seed)
        np.testing.assert_array_equal(left.images[0].get_array(), flows.p[target])
        np.testing.assert_array_equal(middle.images[0].get_array(), m.q)
        assert left.images[0].get_clim() == middle.images[0].get_clim()
        for ax in (left, middle):
            curves = [np.asarray(path.vertices) for path in ax.collections[0].get_paths()]
            expected = outline(flows.p[target], REACH)
            assert len(curves) == len(expected)
            assert all(map(np.array_equal, curves, expected))
        x, y = data(right.lines[-1])[0]
        assert x == pytest.approx(size, rel=0.1)
        assert y == m.gap == flows.gaps[target][flow, size][seed]


def test_means_and_seeds_of_both_flows_are_drawn(flows):
    live: Any = matching("4.6", flows)
    turn(live, {"target": "U2"})
    planar, dots, _, gated_line, gated_dots, *_ = live.fig.axes[2].lines
    gaps = np.array([flows.gaps["U2"]["planar", size] for size in (2, 8, 32)])
    np.testing.assert_allclose(planar.get_ydata(), gaps.mean(1))
    np.testing.assert_allclose(dots.get_ydata(), gaps.ravel())
    np.testing.assert_allclose(gated_line.get_ydata(), [0.4] * 3)
    np.testing.assert_allclose(gated_dots.get_ydata(), [0.3, 0.4, 0.5] * 3)
    assert (planar.get_color(), gated_line.get_color()) == (FLOW_LOOK["planar"].colour, FLOW_LOOK["gated"].colour)


def test_a_gap_below_zero_stands_at_the_least_one(flows):
    """A gap is a mean over draws less a floor, and the axis is logarithmic."""
    runs = [{"flow": "planar", "size": 2, "loss": [[0.999, 1.25]], "standard_error": [[0.01, 0.01]]}]
    live: Any = matching("4.6", Matched({("planar", 2): flows.models["planar", 2]}, runs, {"U1": 1.0}))
    turn(live, {"seed": 0})
    assert live.numbers.gap == pytest.approx(-0.001)
    assert data(live.fig.axes[2].lines[1])[:, 1].tolist() == [0.25, 0.25]
    assert data(live.fig.axes[2].lines[-1])[0, 1] == 0.25
    assert "KL(q‖p) = -0.0010 ± 0.0100 nats" in live.description


def test_an_outline_holds_its_share_of_the_mass(flows):
    line = np.linspace(-REACH, REACH, SIDE)
    places = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    p = flows.p["U1"]  # of two closed curves
    curves = outline(p, REACH)
    assert len(curves) == 2
    inside = np.any([Path(curve).contains_points(places) for curve in curves], axis=0)
    assert p.ravel()[inside].sum() / p.sum() == pytest.approx(0.9, abs=0.01)


def test_the_sentence_of_matching():
    p, q = np.array([[1.0, 1.0]]), np.array([[1.0, 0.0]])
    m = Match("U3", "gated", 8, 2, p, q, {("gated", 8): np.array([0.1, 0.2, 0.30001])}, 0.00421)
    assert describe_matching(m) == (
        "A CNF of 8 gated units on U3, seed 2: KL(q‖p) = 0.3000 ± 0.0042 nats. Of the target's mass in the picture "
        "about 50% lies where the model's density is less than a tenth of the target's, and of the model's about 0% "
        "where the target's is less than a tenth of the model's."
    )


# --- a flow's points on their way -------------------------------------------------------------------------------------


def test_journey_shows_density_particles_and_log_density(model):
    live: Any = journey(model, moons(), "4.8", particles=40)
    way = Journey(model, moons(), particles=40)
    assert settled(live)
    assert live.description.startswith("Figure 4.8. t = 0.60: particle 0 is at (")
    left, middle, right = live.fig.axes
    for stop, picked in itertools.product((0, 20, 9), (39, 4)):
        turn(live, {"stop": stop, "picked": picked})
        i = way.at(stop, picked)
        image = left.images[0]
        np.testing.assert_array_equal(image.get_array(), i.density)
        assert image.get_clim() == (0, i.density.max())
        assert left.texts[0].get_text() == f"density at t = {STOPS[stop]:.2f}, up to {i.density.max():.2f}"
        dots, ahead, behind, dot = middle.lines
        np.testing.assert_array_equal(data(dots), i.paths[5 * stop])
        np.testing.assert_array_equal(np.concatenate([data(behind), data(ahead)[1:]]), i.paths[:, picked])
        np.testing.assert_array_equal(data(dot), i.paths[[5 * stop], picked])
        ahead, behind, dot = right.lines[-3:]
        whole = np.concatenate([data(behind), data(ahead)[1:]])
        np.testing.assert_array_equal(whole, np.stack([TIMES, i.log_p[:, picked]], 1))
        np.testing.assert_array_equal(data(dot), whole[[5 * stop]])


def test_everything_of_a_journey_lies_inside_the_axes(model):
    live: Any = journey(model, moons(), particles=40)
    *squares, right = live.fig.axes
    for ax in squares:
        assert max(ax.get_xlim()) == max(ax.get_ylim()) > np.abs(live.numbers.paths).max()
    assert right.get_ylim()[0] < live.numbers.log_p.min() < live.numbers.log_p.max() < right.get_ylim()[1]


@pytest.mark.parametrize("name", [*SHAPES, "drawn"])
def test_a_journey_ends_at_any_shape(model, name):
    shape = drawn([[i, i * i] for i in range(9)]) if name == "drawn" else SHAPES[name]()
    live: Any = journey(model, shape, particles=9)
    image = live.fig.axes[1].images[0]
    reach = live.fig.axes[1].get_xlim()[1]
    x, y = 90, 40  # column and row of 120
    place = torch.tensor([[-1 + 2 * x / 119, -1 + 2 * y / 119]], dtype=torch.float64) * reach
    expected = float(shape.log_prob(place).exp())
    assert float(image.get_array()[y, x]) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_all_times_and_the_ends_of_the_particles_draw(model):
    live: Any = journey(model, moons(), particles=9, stop=20, picked=8)
    assert (live.numbers.t, live.numbers.picked) == (1, 8)
    for stop in range(20):
        turn(live, {"stop": stop})
    assert live.controls["picked"].max == 8


def test_the_sentence_of_a_journey():
    paths, log_p = np.zeros((101, 2, 2)), np.zeros((101, 2))
    paths[50, 1], log_p[0, 1], log_p[50, 1] = (0.5, -1.25), -3.0, -3.0 + np.log(4)
    assert describe_journey(Instant(10, 1, np.zeros((2, 2)), paths, log_p)) == (
        "t = 0.50: particle 1 is at (0.50, -1.25), where the log density is -1.61; the area around it has been "
        "squeezed to 0.25 times what it was at t = 0."
    )
    log_p[50, 1] = -3.0 - np.log(2)
    assert describe_journey(Instant(10, 1, np.zeros((2, 2)), paths, log_p)).endswith(
        "where the log density is -3.69; the area around it has been stretched to 2 times what it was at t = 0."
    )
    assert describe_journey(Instant(0, 1, np.zeros((2, 2)), paths, log_p)) == (
        "t = 0.00: particle 1 is at (0.00, 0.00), where the log density is -3.00; nothing has been stretched or "
        "squeezed yet."
    )


# --- samples in a few steps -------------------------------------------------------------------------------------------


def test_sampler_shows_paths_samples_and_errors(samples):
    live: Any = sampler("4.13", samples)
    assert settled(live)
    assert live.description.startswith(
        "Figure 4.13. Trained by maximum likelihood; 2 steps of euler, 2 evaluations: the RMS error of x(1) is 0.39. "
    )
    left, middle, right = live.fig.axes
    for way, method, steps in itertools.product(WAYS[::-1], METHODS[::-1], STEPS):
        turn(live, {"way": way, "method": method, "steps": steps})
        run = samples.runs[way, method, steps]
        exact, begins, *lines, ends = left.lines
        np.testing.assert_array_equal(data(exact).T, joined(samples.exact[way][:, :FOLLOWED]))
        np.testing.assert_array_equal(data(begins), samples.exact[way][0, :FOLLOWED])
        np.testing.assert_array_equal(data(ends), run.path[-1, :FOLLOWED])
        shown = {line.get_color(): data(line) for line in lines}
        np.testing.assert_array_equal(shown.pop(WAY_LOOK[way].colour).T, joined(run.path[:, :FOLLOWED]))
        assert all(len(points) == 0 for points in shown.values())
        shown = {line.get_color(): data(line) for line in middle.lines}
        np.testing.assert_array_equal(shown.pop(WAY_LOOK[way].colour), run.path[-1, :SHOWN])
        assert all(len(points) == 0 for points in shown.values())
        np.testing.assert_array_equal(data(right.lines[-1]), [[run.nfe, run.error]])
        moving = [line for line in right.lines[:-1] if line.get_animated()]
        for line, other in zip(moving, WAYS, strict=True):
            assert line.get_color() == WAY_LOOK[other].colour
            expected = [samples.runs[other, method, n].error for n in STEPS]
            np.testing.assert_array_equal(line.get_ydata(), expected)


def test_samples_beyond_the_axes_are_counted(samples):
    live: Any = sampler("4.13", samples)
    middle = live.fig.axes[1]
    for steps in (1, 16):
        turn(live, {"steps": steps})
        ends = samples.runs["likelihood", "euler", steps].path[-1, :SHOWN]
        outside = int((np.abs(ends).max(1) > middle.get_xlim()[1]).sum())
        assert (outside > 0) == (steps == 1)
        assert middle.texts[0].get_text() == (f"{outside} of 500 lie outside" if outside else "")


def test_paths_and_errors_lie_inside_the_axes(samples):
    live: Any = sampler("4.13", samples)
    left, _, right = live.fig.axes
    for run in samples.runs.values():
        assert np.abs(run.path[:, :FOLLOWED]).max() < left.get_xlim()[1]
        assert right.get_xlim()[0] < run.nfe < right.get_xlim()[1]
        assert right.get_ylim()[0] < run.error < right.get_ylim()[1]


def test_joined_paths_are_apart():
    paths = np.arange(12.0).reshape(3, 2, 2)
    nan = float("nan")
    np.testing.assert_array_equal(joined(paths), [[0, 4, 8, nan, 2, 6, 10, nan], [1, 5, 9, nan, 3, 7, 11, nan]])


def test_the_sentence_of_the_sampler():
    run = Sampled(np.zeros((2, 1, 2)), 1, 0.08888)
    assert describe_sampler(Setting("optimal", "euler", 1, run, np.zeros((51, 1, 2)), 1.00187, {})) == (
        "Trained by flow matching, optimal pairs; 1 step of euler, 1 evaluation: the RMS error of x(1) is 0.089. The "
        "exact paths are 1.002 times as long as their chords."
    )


def test_without_arguments_they_are_the_trained_networks(monkeypatch, samples):
    monkeypatch.setattr(explorers, "matched", lambda: matched(("planar",)))
    assert matching().description.startswith("Figure 4.5. A planar flow of 2 layers on U1, seed 1: KL(q‖p) = 0.7568 ")
    assert sampler().description.startswith("Figure 4.12. Trained by maximum likelihood; 2 steps of euler")
