"""The controller's formulas on plain floats, against HNW II.4 worked by hand."""

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from nodelib.common.controller import GROW, SAFETY, SHRINK, first_step, next_first_step, step_factor, trial_step
from nodelib.common.solution import Step
from tests.twins.both import TWINS

ratios = st.floats(1e-12, 1e12)
orders = st.integers(1, 8)


def quick(test):
    return given_settings(derandomize=True, max_examples=50, deadline=None)(test)


def test_trial_step_moves_y_by_one_percent():
    assert trial_step(d0=2.0, d1=0.5) == pytest.approx(0.01 * 2.0 / 0.5)


@pytest.mark.parametrize(("d0", "d1"), [(0, 1), (1, 0), (9e-6, 1), (1, 9e-6)])
def test_trial_step_of_a_state_or_slope_near_zero(d0, d1):
    assert trial_step(d0, d1) == 1e-6


def test_first_step():
    assert first_step(h0=1.0, d1=3.0, d2=0.2, order=5) == pytest.approx((0.01 / 3) ** (1 / 5))
    assert first_step(h0=1.0, d1=0.2, d2=3.0, order=5) == pytest.approx((0.01 / 3) ** (1 / 5))
    assert first_step(h0=1e-4, d1=3.0, d2=0.2, order=5) == pytest.approx(100 * 1e-4)
    assert first_step(h0=0.5, d1=0.0, d2=0.0, order=5) == pytest.approx(0.5e-3)
    assert first_step(h0=1e-6, d1=0.0, d2=1e-16, order=5) == pytest.approx(1e-6)


@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_first_step_is_taken_as_computed_by_hand(twin):
    """y' = -2y from y = 3, rtol = 0, atol = 1e-3: d0 = 3000, d1 = 6000, h0 = 1/200, d2 = 12000."""
    y0 = twin.array([3.0])
    sol = twin.solve(lambda t, y: -2 * y, y0, (0.0, 1.0), method="bosh3", rtol=0.0, atol=1e-3)
    assert sol.steps[0].h == pytest.approx((0.01 / 12000) ** (1 / 3))
    short = twin.solve(lambda t, y: -2 * y, y0, (0.0, 1e-4), method="bosh3", rtol=0.0, atol=1e-3)
    assert [step.h for step in short.steps] == [1e-4]


@pytest.mark.parametrize("order", [2, 3, 5, 8])
def test_the_step_that_just_meets_the_tolerance(order):
    """Local error ~ h^order: after the factor, less the safety, the error ratio is 1."""
    ratio = 2.5
    factor = step_factor(ratio, order, accepted=False) / SAFETY
    assert ratio * factor**order == pytest.approx(1)


@quick
@given(ratio=ratios, order=orders, accepted=st.booleans(), previous=st.none() | ratios)
def test_factors_have_limits(ratio, order, accepted, previous):
    assert SHRINK <= step_factor(ratio, order, accepted, previous) <= GROW


@quick
@given(ratio=ratios, order=orders, previous=st.none() | ratios)
def test_larger_errors_give_shorter_steps(ratio, order, previous):
    assert step_factor(2 * ratio, order, True, previous) <= step_factor(ratio, order, True, previous)


@quick
@given(ratio=st.floats(1, 1e12, exclude_min=True), order=orders, previous=st.none() | ratios)
def test_a_rejected_step_always_shrinks_and_by_its_own_error(ratio, order, previous):
    factor = step_factor(ratio, order, False, previous)
    assert factor <= SAFETY
    assert factor == step_factor(ratio, order, False)


def test_ratios_at_the_edge():
    assert step_factor(0.0, 5, True) == GROW
    assert step_factor(0.0, 5, True, 0.5) == GROW
    for ratio in (inf, nan):
        assert step_factor(ratio, 5, False) == SHRINK
    assert step_factor(5e-324, 5, True) == GROW


def test_pi_controller():
    """h_new = 0.9 h r^(-0.7/p) r_before^(0.4/p); where the ratio stays the same it is as 0.9 h r^(-0.3/p)."""
    assert step_factor(0.5, 5, True, 0.8) == pytest.approx(0.9 * 0.5 ** (-0.14) * 0.8**0.08)
    assert step_factor(0.5, 5, True, 0.5) == pytest.approx(0.9 * 0.5**-0.06)
    assert step_factor(0.5, 5, True, None) == pytest.approx(0.9 * 0.5**-0.2)
    assert step_factor(0.5, 5, True, 0.0) == step_factor(0.5, 5, True, None)


def test_next_first_step():
    steps = (Step(0.0, -0.5, 0.2, True), Step(-0.5, -0.25, 0.5, True))
    assert next_first_step(steps, 5) == {"first_step": pytest.approx(0.25 * 0.9 * 0.5**-0.2)}
    assert next_first_step((), 5) == {}
    assert next_first_step((Step(0.0, 0.5, nan, True),), 4) == {}


@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_pi_rejects_fewer_steps_where_stability_limits_them(twin):
    """Near the border of the stability region the I controller runs into it again and again (HW IV.2)."""

    def rejected(controller):
        stiff = lambda t, y: -200.0 * (y - twin.xp.cos(t + 0 * y))  # noqa: E731
        settings = {"rtol": 1e-4, "atol": 1e-4, "options": {"controller": controller}}
        return twin.solve(stiff, twin.array([1.0]), (0.0, 3.0), **settings).stats.rejected

    assert rejected("PI") < rejected("I") / 2


@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_error_ratio_is_the_rms_over_the_tolerance(twin):
    """One step of Heun-Euler by hand: err = h/2 (k2 - k1), tolerance atol + rtol max(|y0|, |y1|) in each entry."""
    y0, h, rtol, atol = np.array([1.0, -3.0]), 0.5, 0.25, np.array([0.5, 0.125])
    sol = twin.solve(
        lambda t, y: t - y,
        twin.array(y0),
        (1.0, 1.0 + h),
        method="heun_euler",
        rtol=rtol,
        atol=twin.array(atol),
        options={"first_step": h},
    )
    k1 = 1.0 - y0
    k2 = 1.0 + h - (y0 + h * k1)
    y1 = y0 + h / 2 * (k1 + k2)
    scale = atol + rtol * np.maximum(np.abs(y0), np.abs(y1))
    ratio = np.sqrt(np.mean((h / 2 * (k2 - k1) / scale) ** 2))
    assert sol.steps[0].error_ratio == pytest.approx(ratio, rel=1e-14)
    assert twin.numpy(sol.y)[-1] == pytest.approx(y1, rel=1e-14)
