"""The explorers of chapter 1 show what their numbers say, and the numbers are right."""

import numpy as np
import pytest

from nodelib.chapters.chapter1 import explorers, numbers
from nodelib.common.tableaus import TABLEAUS
from nodelib.numpy_ode import METHODS, solve


@pytest.mark.parametrize("method", explorers.FIXED)
def test_the_order_line_has_the_order_as_its_slope(method):
    sizes, errors = explorers.order_line(method, -1.0 + 0j)
    fine = (sizes < 0.15) & (errors > 1e-11)
    slope = np.polyfit(np.log(sizes[fine]), np.log(errors[fine]), 1)[0]
    assert slope == pytest.approx(METHODS[method].order, abs=0.2)


@pytest.mark.parametrize("method", explorers.FIXED)
def test_amplification_is_what_many_steps_do(method):
    for z in (-0.05 + 0.1j, -0.2 + 0j, 0.2 + 0.1j):
        u = explorers.march(method, z * 60 / explorers.END, 60)  # 60 steps with this hλ
        assert abs(u[-1] / u[-2]) == pytest.approx(numbers.amplification(method, np.array([z]))[0], rel=1e-3)


@pytest.mark.parametrize("method", ["heun", "adams_bashforth"])
def test_several_eigenvalues_are_marched_as_each_alone(method):
    for eigenvalue in explorers.EIGENVALUES.values():
        alone = explorers.marches(method, (eigenvalue,), 20)[:, 0]
        np.testing.assert_allclose(explorers.march(method, eigenvalue, 20), alone, rtol=1e-13)


@pytest.mark.parametrize(("method", "edge"), [("euler", 2.0), ("heun", 2.0), ("rk4", 2.785), ("adams_bashforth", 0.3)])
def test_the_verdict_turns_at_the_edge_of_the_real_interval(method, edge):
    inside, outside = numbers.amplification(method, np.array([-0.99 * edge, -1.01 * edge]).astype(complex))
    assert inside < 1 < outside


def test_an_unsolvable_implicit_step_is_said_not_drawn():
    live = explorers.step_size()
    live.controls["method"].value = "implicit_adams"
    live.controls["h"].value = 4.0
    assert live.error is None
    assert "does not solve the equation" in live.description


@pytest.mark.parametrize("method", explorers.FIXED)
@pytest.mark.parametrize("problem", explorers.EIGENVALUES)
def test_every_size_on_the_slider_has_a_sentence_without_nan(problem, method):
    for n in explorers.COUNTS:
        assert "nan" not in explorers.describe_step_size(
            explorers.step_size_numbers(problem, method, explorers.END / n)
        )


def test_step_size_moves_with_its_controls():
    live = explorers.step_size()
    before = live.png
    live.controls["h"].value = 2.4
    assert live.png != before
    assert live.error is None
    assert "outside the stability region" in live.description
    assert live.numbers.h == pytest.approx(12 / 5)


@pytest.mark.parametrize("method", explorers.PAIRS)
def test_one_step_is_the_library_s(method):
    t, y, h = np.array([0.0, 1.0]), np.array([[1.0, 2.0], [1.0, 0.5]]), np.array([0.3, 0.1])
    ends = explorers.one_step(method, t, y, h)
    for i in range(2):
        sol = solve(
            explorers.predators,
            y[:, i],
            (t[i], t[i] + h[i]),
            method=method,
            rtol=10,
            atol=10,
            options={"first_step": 1},
        )
        assert sol.stats.accepted == 1
        np.testing.assert_allclose(ends[:, i], sol.y[-1], rtol=1e-13)


def test_the_microscope_shows_the_solver_s_own_log():
    numbers = explorers.control_numbers("dopri5", "I", 1e-4, 1e-6)
    sol = solve(explorers.predators, explorers.PREY, (0.0, explorers.SPAN), rtol=1e-4, atol=1e-6)
    assert [tuple(s) for s in zip(numbers.t, numbers.h, numbers.ratio, numbers.accepted, strict=True)] == [*sol.steps]
    assert numbers.nfe == sol.stats.nfe
    close = numbers.accepted & (numbers.ratio > 0.01)
    ratios = numbers.true_ratio[close] / numbers.ratio[close]
    assert 0.03 < np.median(ratios) < 3  # the estimate is of the lower order, so mostly above the truth


def test_tolerance_bounds_the_step_not_the_end():
    numbers = explorers.control_numbers("dopri5", "I", 1e-3, 1e-3)
    assert numbers.ratio[numbers.accepted].max() <= 1
    assert numbers.end_error > 50 * 1e-3


def test_more_blocks_come_nearer_to_the_curve_at_first_order():
    far, near = (explorers.depth_numbers(n, 1e-3).distance for n in (200, 400))
    assert far / near == pytest.approx(2, abs=0.1)


def test_the_dots_are_all_evaluations():
    numbers = explorers.depth_numbers(5, 1e-4)
    assert numbers.seen.shape == (2, numbers.nfe * len(explorers.STARTS))
    assert TABLEAUS["dopri5"].stages == 7
    assert (numbers.nfe - 2) % 6 == 0
    assert numbers.reached[0].max() == explorers.DEPTH


def test_the_solver_ends_where_its_tolerance_says_and_five_blocks_do_not():
    numbers = explorers.depth_numbers(5, 1e-4)
    assert numbers.solver_distance < 100 * 1e-4 < numbers.distance
    assert f"{numbers.distance:.2g} away" in explorers.describe_depth(numbers)
    np.testing.assert_allclose(numbers.reached[1, -5:], explorers.limit()[1][-1], atol=1e-2)


@pytest.mark.parametrize(("method", "h"), [("euler", 0.096), ("heun", 0.096), ("rk4", 0.153846)])
def test_the_sentence_tells_the_slope_and_it_is_the_order(method, h):
    numbers = explorers.step_size_numbers("u' = -u", method, h)
    assert numbers.slope == pytest.approx(METHODS[method].order, abs=0.2)
    assert f"slope is {numbers.slope:.1f} (order {METHODS[method].order})" in explorers.describe_step_size(numbers)


def test_the_sentence_counts_the_steps_that_were_truly_as_good_as_they_seemed():
    numbers = explorers.control_numbers("dopri5", "I", 1e-3, 1e-3)
    honest = sum(a and t <= 1 for a, t in zip(numbers.accepted, numbers.true_ratio, strict=True))
    assert 0 < honest < numbers.accepted.sum()
    assert f"in truth {honest} did" in explorers.describe_control(numbers)


@pytest.mark.parametrize("explorer", [explorers.step_size, explorers.controller, explorers.depth])
def test_every_end_of_every_control_is_drawn_without_an_error(explorer):
    live = explorer()
    for control in live.controls.values():
        if hasattr(control, "options"):
            ends = [o[1] if isinstance(o, tuple) else o for o in control.options]
        else:
            ends = [control.base**e if hasattr(control, "base") else e for e in (control.min, control.max)]
        start, pictures = control.value, []
        for end in ends:
            control.value = end
            assert live.error is None
            pictures.append(live.png)
        assert len(set(pictures)) == len(pictures)
        control.value = start
