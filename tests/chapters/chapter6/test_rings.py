"""Chapter 6 on what a network is and can do: what the explorers compute, say and show, and the tables of records."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from nodelib.chapters.chapter6 import crossing, crossing_figures, enough, swap_figures, verdicts
from nodelib.chapters.chapter6.augment_explorer import augmentation
from nodelib.chapters.chapter6.augment_explorer import describe as describe_augmented
from nodelib.chapters.chapter6.crossing import Augmentations
from nodelib.chapters.chapter6.swap import REACH, SIDE, Swap, spread
from nodelib.chapters.chapter6.swap_explorer import describe, solver_swap
from nodelib.experiments.augment import VARIANTS
from nodelib.experiments.enough import BUDGETS, METHODS, Found
from nodelib.experiments.rings import DATA, annuli
from nodelib.experiments.swap import ENDS, SOLVED, TRAINED, settings_of
from nodelib.models.rings import NeuralODEs, alone
from nodelib.torch_ode import odeint

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def swaps() -> Swap:
    return Swap()


@pytest.fixture(scope="module")
def augmentations() -> Augmentations:
    return Augmentations()


def test_a_swap_is_solved_by_the_solver_that_is_said(swaps):
    found = swaps.at("annuli", "euler 8", "euler 4", 2)
    x = swaps.points["annuli"].x[2]
    one = alone(swaps.models["annuli, euler 8"], 2)
    with torch.no_grad():
        z = x[None]
        for k in range(4):
            assert np.allclose(found.paths[k], z[0, : found.paths.shape[1]])
            z = z + 0.5 * one.field(torch.tensor(0.5 * k).double(), z)
        assert np.allclose(found.paths[-1], z[0, : found.paths.shape[1]])
        right = (one.read(z)[0] > 0) == (swaps.points["annuli"].y[2] > 0)
    assert found.accuracy == pytest.approx(float(right.double().mean()))
    assert found.own == swaps.accuracies("annuli", 2)[1, 2]


def test_the_region_is_where_the_network_says_inner(swaps):
    found = swaps.at("circles", "dopri5", "rk4 4", 0)
    one = alone(swaps.models["circles, dopri5"], 0)
    axis = np.linspace(-REACH, REACH, SIDE)
    draw = np.random.default_rng(0)
    seen = []
    for row, column in draw.integers(0, SIDE, (40, 2)):
        start = one.start(torch.tensor([[axis[column], axis[row]]]))
        z = odeint(one.field, start, torch.tensor([0.0, 1.0]).double(), **settings_of("rk4 4", 1.0))[-1]
        assert found.region[row, column] == bool(one.read(z)[0, 0] > 0)
        seen.append(found.region[row, column])
    assert 5 < sum(seen) < 35
    assert (found.region != found.region.T).mean() > 0.05
    assert one.head is not None
    assert np.allclose(found.line @ one.head[0, :, 0].numpy(), 0, atol=1e-9)


def test_what_is_said_of_a_swap_is_true_at_every_setting(swaps):
    for data, trained, solved, seed in product(ENDS, TRAINED, SOLVED, (0, 7)):
        at = swaps.accuracies(data, seed)[TRAINED.index(trained)]
        accuracy, own = at[SOLVED.index(solved)], at[SOLVED.index(trained)]
        fake: Any = swaps.at(data, trained, "euler 2", seed)._replace(solved=solved, accuracy=accuracy, own=own)
        said = describe(fake)
        assert f"{accuracy:.0%} of its points are right" in said
        change = round(100 * (accuracy - own))
        if solved != trained:
            words = "as many as" if change == 0 else f"{abs(change)} per cent {'less' if change < 0 else 'more'} than"
            assert f"right, {words} in training" in said


def test_controls_move_the_swap(swaps):
    live = solver_swap("6.3", swaps)
    first, seen = live.png, set()
    for name, value in (("solved", "dopri5"), ("trained", "rk4 4"), ("data", "circles"), ("seed", 9)):
        live.controls[name].value = value  # type: ignore[attr-defined]
        assert live.error is None
        assert not live.fig.stale
        seen.add(live.png)
    assert len(seen | {first}) == 5
    assert live.numbers == swaps.at("circles", "rk4 4", "dopri5", 9)
    assert live.description.startswith(
        "Figure 6.3. Trained by 4 steps of rk4 on circles, seed 9; solved by dopri5 at 1e-3"
    )


def test_what_is_said_of_an_augmentation_is_true(augmentations):
    for data, more in product(DATA, VARIANTS):
        found = augmentations.at(data, more, 1)
        said = describe_augmented(found)
        assert f"loss {found.loss:.1e}, {found.nfe} evaluations" in said
        if data == "x → −x":
            stuck = more in ("0", "time")
            assert ("keep their order" in said) == stuck
            assert ("within 0.1 of −x" in said) == (not stuck)
        else:
            assert f"{found.accuracy:.0%} of its points are right" in said
            assert "order" not in said


def test_the_side_view_is_across_the_decision(augmentations):
    found = augmentations.at("annuli", "2", 4)
    one = augmentations.models["annuli, 2"]
    assert found.paths.shape[2] == 4
    normal = one.head[4, :, 0].numpy()
    assert np.allclose(found.side[..., 0], found.paths @ normal / np.linalg.norm(normal))
    unit = normal / np.linalg.norm(normal)
    rest = (found.paths - (found.paths @ unit)[..., None] * unit).reshape(-1, 4)
    largest = np.linalg.eigvalsh(np.cov(rest.T, bias=True))[-1]
    assert found.side[..., 1].var() == pytest.approx(largest)
    assert ((found.side[-1, :, 0] > 0) == (found.label > 0)).mean() == found.accuracy == 1
    line = augmentations.at("x → −x", "1", 0)
    assert np.array_equal(line.side, line.paths)
    assert not augmentations.at("x → −x", "start", 0).side[..., 1].any()


def test_controls_move_the_augmentation(augmentations):
    live = augmentation("6.6", augmentations)
    first, seen = live.png, set()
    for name, value in (("more", "5"), ("data", "circles"), ("seed", 9)):
        live.controls[name].value = value  # type: ignore[attr-defined]
        assert live.error is None
        assert not live.fig.stale
        seen.add(live.png)
    assert len(seen | {first}) == 4
    assert live.description.startswith("Figure 6.6. circles with five dimensions more, seed 9: loss")


def test_a_network_on_the_line_ends_at_a_constant_and_one_dimension_more_does_not():
    few = {way: crossing.reflected(way, seeds=2, iterations=80) for way in crossing.WAYS}
    for way in ("plain", "time as an input"):
        share = few[way].loss / few[way].floor
        assert share.min() > 0.999
        assert share.max() < 1.05
    for way in ("one dimension more", "its start as an input"):
        assert few[way].loss.max() < 0.01
    x = few["plain"].models.start(torch.linspace(-1, 1, 5).double()[:, None])
    ends = crossing.paths(few["plain"].models, 0, x[0])[-1, :, 0]
    assert (np.diff(ends) > 0).all()
    axes = crossing_figures.crossings(few).axes
    assert [len(ax.lines) for ax in axes] == [7, 18, 27]


def test_peanos_field_has_two_solutions_from_one_start():
    t = np.linspace(0.1, 1, 5)
    slope = (crossing.leaves(t + 1e-6) - crossing.leaves(t - 1e-6)) / 2e-6
    assert np.allclose(slope, crossing.root(torch.tensor(0.0), torch.tensor(crossing.leaves(t))), rtol=1e-6)
    assert crossing.leaves(0) == crossing.root(torch.tensor(0.0), torch.zeros(1)) == 0


def test_the_puzzles_figure_has_a_column_for_each_solve():
    models, points = NeuralODEs(range(2)), annuli(range(2))
    fig = swap_figures.regions(models, points, 1, 2.0, (2, 3, 5))
    assert [ax.get_title("left") for ax in fig.axes[:4]] == [
        "Euler, 2 steps",
        "Euler, 3 steps",
        "Euler, 5 steps",
        "solved accurately",
    ]
    assert len(fig.axes) == 8


def test_the_tables_are_those_of_the_records():
    rows = verdicts.table().rows
    assert len(rows) == 10 + 12
    assert [row[2] for row in rows[:2]] == ["10 discrete", "10 discrete"]
    assert sum(len(found) for found in verdicts.recorded().values()) == 100 + 6 + 306
    assert verdicts.share("discrete", "euler 2", "euler 8") == 1
    assert verdicts.share("ODE", "rk4 4", "dopri5") == 39 / 40
    assert [row[2] for row in rows if row[0] == "chapter 3: small digits"] == ["6 discrete", "3 ODE"]
    depths, found = verdicts.apart_by_depth()
    assert found["tied"].shape == (len(depths), 10)
    alike = verdicts.depth_table().rows[1]
    assert alike[0] == "began alike"
    assert str(alike[5]).startswith(f"{np.median(found['tied'][4]):.2g} (")
    assert spread("annuli", "euler 2", "euler 2").min() >= 0.98


def test_the_verdicts_on_the_chapters_models():
    def of(start: str) -> dict[str, int]:
        return verdicts.counts(verdicts.of_chapters(start))

    assert of("chapter 3") == {"ODE": 3 + 4}
    assert of("chapter 4: potentials, gated") == {"ODE": 50, "not converged": 1, "discrete": 3}
    assert of("chapter 4: potentials, timed") == {"ODE": 26, "not converged": 1}
    assert of("chapter 4: two Gaussians") == {"ODE": 40}
    assert of("chapter 4: moons, by energy") == {"ODE": 60}
    assert of("chapter 4: moons, free field") == {"ODE": 3}
    assert of("chapter 4: circles and moons") == {"ODE": 6}
    assert of("chapter 5: spirals, RNN encoder") == {"ODE": 27}
    assert of("chapter 5: spirals, ODE-RNN encoder") == {"ODE": 26, "not converged": 1}
    assert of("chapter 5: events") == {"ODE": 55}
    assert of("chapter") == {"ODE": 300, "not converged": 3, "discrete": 3}
    assert of("annuli") == {}
    amiss = [row for row in verdicts.of_chapters() if row["verdict"] != "ODE"]
    assert {row["name"] for row in amiss} == {
        "fig4_gated_gated_8", "fig4_gated_gated_32", "fig4_equal_timed_8", "latent ODE, ODE-RNN encoder, 100"
    }  # fmt: skip
    assert {(row["name"], row["number"]) for row in amiss if row["verdict"] == "discrete"} == {
        ("fig4_gated_gated_32", i) for i in range(3)  # the three of U1
    }  # fmt: skip


def test_rk4_wins_only_over_what_was_solved():
    apart = np.full((3, len(METHODS), len(BUDGETS)), np.nan)
    apart[:, enough.RK4] = 0.1
    apart[0, enough.DOPRI5, -1], apart[1, enough.DOPRI5, -1] = 0.05, 0.2
    found = enough.won_by_rk4({"a": Found(*[apart[:1]] * 3), "b": Found(*[apart[1:]] * 3)})
    assert found[BUDGETS[-1]] == (2, 1)
    assert found[BUDGETS[0]] == (0, 0)
    recorded = enough.recorded()
    assert all(enough.euler_is_last(one) for one in recorded.values())
    assert not enough.euler_is_last(recorded["chapter 4's flows"], 4)
    assert len(enough.figure(recorded).axes) == 4


def test_what_section_6_2_says_of_the_rows_of_its_explorer():
    for data in ENDS:
        for by in ("rk4 4", "dopri5"):
            assert spread(data, by, "dopri5").min() > 0.9
        own = spread(data, "euler 2", "euler 2")
        for to in SOLVED[1:]:
            assert (spread(data, "euler 2", to) < own - 0.05).all()
