"""What chapter 1 measures is what it says, and the convergence test tells the two kinds of fields apart."""

import numpy as np
import pytest

from nodelib.chapters.chapter1 import figures, numbers
from nodelib.chapters.chapter1.questions import QUESTIONS


@pytest.mark.parametrize("how", numbers.TRAININGS)
@pytest.mark.parametrize("seed", [10, 11, 12])
def test_verdicts_hold_for_draws_that_the_chapter_does_not_show(how, seed):
    expected = "discrete" if how == "euler" else "ODE"
    assert numbers.convergence_test(numbers.train(how, seed)).verdict == expected


def test_a_field_that_is_not_the_data_s_is_found_out():
    true = numbers.train("true")
    made_up = true._replace(field=lambda t, z: 1.1 * numbers.pendulum(t, z), made=true.ends + 1e-4)
    assert numbers.convergence_test(made_up).verdict == "discrete"
    assert numbers.convergence_test(made_up._replace(field=numbers.pendulum)).verdict == "ODE"


def test_below_the_noise_of_the_data_the_fit_shows_nothing():
    euler = numbers.train("euler")
    noise = np.random.default_rng(0).normal(scale=0.05, size=euler.ends.shape)
    assert numbers.convergence_test(euler._replace(ends=euler.ends + noise)).verdict == "ODE"


@pytest.mark.parametrize("how", numbers.TRAININGS)
def test_made_is_what_the_formula_of_training_makes(how):
    trained = numbers.train(how)
    f, z, h = (lambda y: trained.field(0.0, y)), trained.starts, trained.span
    if how in ("true", "euler"):
        expected = z + h * f(z)
    elif how == "rk4":
        k1 = f(z)
        k2 = f(z + h / 2 * k1)
        k3 = f(z + h / 2 * k2)
        expected = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(z + h * k3))
    else:
        middle = numbers.odeint(numbers.pendulum, z, [0.0, h / 2], rtol=1e-9, atol=1e-9)[-1]
        expected = z + h / 6 * (f(z) + 4 * f(middle) + f(trained.ends))
    np.testing.assert_allclose(trained.made, expected, atol=2e-6)  # rk4's stages are those of the round before


EDGES = {"euler": 2, "dopri5": 3.307, "implicit_adams": 3, "trapezoid": np.inf, "backward_euler": np.inf}


@pytest.mark.parametrize(("method", "edge"), EDGES.items())
def test_reach_is_the_end_of_the_region(method, edge):
    assert numbers.reach(method) == pytest.approx(edge, abs=2e-3)


def test_ten_starts_are_ten_and_stay():
    assert numbers.GENTLE.shape == numbers.FAR.shape == (10, 2)
    assert np.all(numbers.FAR > 3.5)
    np.testing.assert_array_equal(numbers.GENTLE, numbers.ten_starts(1.0, 0.7))


def test_the_first_state_of_every_deep_network_is_its_input():
    for states in numbers.deep_networks(4, 5).values():
        assert states.shape == (5, 5, 2)
        np.testing.assert_array_equal(states[0], np.tile([1.0, 0.0], (5, 1)))


def test_what_the_questions_call_right_is_measured():
    right = {key: question.right for key, question in QUESTIONS.questions.items()}
    steep = numbers.solve(numbers.pendulum, np.array([3.1, 0.0]), [0.0, 15.0], rtol=0.0, atol=1e-3)
    tight = numbers.odeint(numbers.pendulum, np.array([3.1, 0.0]), [0.0, 15.0], rtol=1e-12, atol=1e-12)
    assert np.abs(steep.y[-1] - tight[-1]).max() == pytest.approx(right["1.11"], rel=0.02)
    assert right["1.10"] == pytest.approx(1000**0.5, rel=0.01)


@pytest.mark.parametrize("seed", [10, 11, 12])
def test_the_errors_of_what_euler_trained_settle_between_0_7_and_1(seed):
    first, *later = numbers.errors_at_10(numbers.train("euler", seed).field)
    assert first < 0.02
    assert len(later) == 8  # 80 to 5120 layers, and dopri5
    assert 0.7 < min(later) < max(later) < 1
    assert abs(later[-1] - later[-2]) < 0.002


def test_how_many_kinds_of_deep_networks_are_asked_changes_none():
    all_kinds, one = numbers.deep_networks(16, 3), numbers.deep_networks(16, 3, count=1)
    assert list(one) == [numbers.KINDS[0]]
    np.testing.assert_array_equal(one[numbers.KINDS[0]], all_kinds[numbers.KINDS[0]])


def test_below_the_real_axis_the_regions_are_as_above():
    for method in figures.REGIONS:
        below = numbers.amplification(method, figures.PLANE + 1j * figures.PLANE[:2, None])
        np.testing.assert_allclose(figures._amplifications(method)[:2], below, rtol=1e-9)


def test_far_from_the_balance_the_longest_step_is_8_to_13_times_the_shortest():
    ratios = []
    for start in numbers.FAR:
        steps = numbers.solve(numbers.lotka_volterra, start, [0.0, 15.0], rtol=1e-5, atol=1e-5).steps
        inner = [step.h for step in steps if step.accepted][1:-1]
        ratios.append(max(inner) / min(inner))
    assert 8 < min(ratios) < 8.5
    assert 12.5 < max(ratios) < 13


def test_a_tenth_of_the_tolerance_tells_the_error_at_the_end():
    """To a sixth of it, for the three equations of Figure 1.8 at 1e-3."""
    for f, start in (
        (lambda t, u: -u, [1.0]),
        (numbers.lotka_volterra, [1.0, 0.5]),
        (numbers.pendulum, [3.1, 0.0]),
    ):
        loose, tight = (
            numbers.solve(f, np.array(start), [0.0, 15.0], rtol=0.0, atol=tol).y[-1] for tol in (1e-3, 1e-4)
        )
        truth = numbers.odeint(f, np.array(start), [0.0, 15.0], rtol=1e-12, atol=1e-12)[-1]
        assert np.abs(loose - tight).max() == pytest.approx(np.abs(loose - truth).max(), rel=1 / 6)


def test_at_3200_evaluations_implicit_adams_errs_more_than_the_explicit_methods_of_order_4():
    start = [1.0, 0.5]
    counts = {"implicit_adams": 800, "rk4": 800, "adams_bashforth": 3200}
    found = {method: numbers.cost_and_error(method, start, n=n) for method, n in counts.items()}
    assert all(abs(nfe / 3200 - 1) < 0.02 for nfe, _ in found.values())
    assert found["implicit_adams"][1] > found["rk4"][1] > found["adams_bashforth"][1]


def test_five_of_each_long_steps_where_both_are_few_short_ones_where_predators_peak_and_most_crosses_before():
    wild = numbers.solve(numbers.lotka_volterra, np.array([5.0, 5.0]), [0.0, 15.0], rtol=1e-5, atol=1e-5, dense=True)
    rejected = [step.t for step in wild.steps if not step.accepted]
    assert (sum(10.3 < t < 12 for t in rejected), len(rejected)) == (8, 13)
    inner = [step for step in wild.steps if step.accepted][1:-1]
    by_size = sorted(inner, key=lambda step: step.h)
    assert wild(by_size[-1].t).max() < 0.1
    assert all(wild(step.t)[1] > 7 for step in by_size[:5])  # predators, of 7.8 at most


def test_one_step_of_0_05_on_the_rate_50_grows_by_heun_and_decays_by_runge_kutta_4():
    heun, rk4 = (numbers.amplification(method, np.array([-2.5 + 0j]))[0] for method in ("heun", "rk4"))
    assert (round(heun, 3), round(rk4, 3)) == (1.625, 0.648)
    reals = np.linspace(-10, 10, 2001)
    assert np.all(1 + reals + reals**2 / 2 + reals**3 / 6 + reals**4 / 24 > 0)


def test_on_the_islands_of_dopri5_it_shrinks_what_grows():
    islands = np.array([1 + 3.6j, 1 - 3.6j])
    assert np.all(numbers.amplification("dopri5", islands) < 0.5)
    assert np.all(np.abs(np.exp(islands)) > 2)
