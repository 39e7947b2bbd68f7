"""The steps are what they are said to be: their number, their cost in evaluations, their places, their sizes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodelib.common.arguments import METHODS
from nodelib.common.controller import step_factor
from nodelib.common.solution import MaxStepsReached
from nodelib.common.tableaus import TABLEAUS
from tests.twins.both import FIXED, NUMPY, OWN, PAIRS, SCIPY, SPIN, TWINS, Watched, log, lotka_volterra, options

each_twin = pytest.mark.parametrize("twin", TWINS, ids=str)
PREY = {"rtol": 1e-5, "atol": 1e-5}


def documented_nfe(method, stats, first_step_given):
    """The number of evaluations that the docstring of solve promises."""
    attempts = stats.accepted + stats.rejected
    start = 1 if first_step_given else 2
    if method == "heun_euler":  # not FSAL: stage 2 in each attempt, stage 1 anew after each step but the last
        return start + attempts + stats.accepted - 1
    if method in PAIRS:
        return start + (TABLEAUS[method].stages - 1) * attempts
    if method == "adams_bashforth":  # its first three steps are Runge-Kutta 4's
        return attempts + 3 * min(3, attempts)
    return TABLEAUS[method].stages * attempts


@pytest.mark.parametrize("first_step", [None, 0.05, 100.0])
@pytest.mark.parametrize("method", [name for name in OWN if name != "implicit_adams"])
@each_twin
def test_nfe_is_as_documented(twin, method, first_step):
    given_step = METHODS[method].adaptive and first_step is not None
    chosen = {"first_step": first_step} if given_step else options(method, 0.3)
    func = Watched(lotka_volterra(twin.xp))
    sol = twin.solve(func, twin.array([10.0, 5.0]), np.linspace(0, 2, 9), method=method, options=chosen, **PREY)
    assert sol.stats.nfe == len(func.times) == documented_nfe(method, sol.stats, given_step)
    if "first_step" in chosen:
        assert (sol.stats.rejected > 0) >= (first_step == 100)  # that one is cut to the interval, and still too long


def test_nfe_of_dopri5_in_plain_numbers():
    sol = NUMPY.solve(lotka_volterra(np), np.array([10.0, 5.0]), (0, 2), **PREY)
    assert sol.stats.nfe == 2 + 6 * len(sol.steps)


@pytest.mark.parametrize("method", ["implicit_adams", *SCIPY])
@each_twin
def test_nfe_is_counted_where_it_follows_no_formula(twin, method):
    func = Watched(SPIN.func(twin.xp))
    sol = twin.solve(func, twin.array(SPIN.exact(0.2)), (0.2, 0.8, 1.2), method=method, options=options(method, 0.05))
    assert sol.stats.nfe == len(func.times) > 30


@pytest.mark.parametrize("method", PAIRS)
@each_twin
def test_outputs_cost_no_evaluations(twin, method):
    problem = (SPIN.func(twin.xp), twin.array(SPIN.exact(0.2)))
    two, many = (twin.solve(*problem, np.linspace(0.2, 1.4, n), method=method, **PREY) for n in (2, 200))
    assert many.steps == two.steps
    assert many.stats == two.stats
    assert np.array_equal(twin.numpy(many.y[-1]), twin.numpy(two.y[-1]))


@given(
    method=st.sampled_from(OWN),
    twin=st.sampled_from(TWINS),
    start=st.floats(-5, 5),
    span=st.floats(1e-3, 5),
    sign=st.sampled_from([1, -1]),
    digits=st.integers(2, 7),
    outputs=st.integers(2, 9),
    controller=st.sampled_from(["I", "PI"]),
)
@settings(max_examples=150, derandomize=True, deadline=None)
def test_the_log_tells_every_step(method, twin, start, span, sign, digits, outputs, controller):
    """A chain from t[0] to t[-1], within which f was evaluated, each step as long as the controller says."""
    tol, end = max(10.0**-digits, 1e-5 if method == "heun_euler" else 0), start + sign * span
    chosen = options(method, span / 12.5) or {"controller": controller}
    func = Watched(lambda t, y: y * twin.xp.cos(3 * t))
    t = np.linspace(start, end, outputs)
    sol = twin.solve(func, twin.array([1.0, 2.0]), t, method=method, rtol=tol, atol=tol, options=chosen)
    taken = [step for step in sol.steps if step.accepted]
    bit = np.spacing(max(abs(start), abs(end)))  # t + (t_end - t) may miss t_end by one

    assert sol.stats == (len(func.times), len(taken), len(sol.steps) - len(taken))
    assert taken[0].t == start
    ends = [step.t + step.h for step in taken]
    assert ends == pytest.approx([*(step.t for step in taken[1:]), end], rel=0, abs=bit)
    assert all(sign * step.h > 0 for step in sol.steps)
    assert min(start, end) - bit <= min(func.times) <= max(func.times) <= max(start, end) + bit
    if METHODS[method].adaptive:
        assert_controlled(sol.steps, METHODS[method].order, controller, end, bit)
    else:
        assert all(np.isnan(step.error_ratio) for step in sol.steps)


def assert_controlled(steps, order, controller, end, bit):
    """Every step is accepted or not by its error ratio, and followed by one of the size the controller wishes."""
    previous = None
    for step, after in pairwise(steps):
        assert step.accepted == (step.error_ratio <= 1)
        wish = abs(step.h) * step_factor(step.error_ratio, order, step.accepted, previous)
        assert after.t == pytest.approx(step.t + step.h if step.accepted else step.t, rel=0, abs=bit)
        assert abs(after.h) == pytest.approx(min(wish, abs(end - after.t)), rel=1e-9, abs=bit)
        if step.accepted and controller == "PI":
            previous = step.error_ratio


@pytest.mark.parametrize("method", FIXED)
@each_twin
def test_step_size(twin, method):
    """Without it a step for each output; with it steps of that size, the last one cut short, never longer."""

    def sizes(t, **chosen):
        problem = (SPIN.func(twin.xp), twin.array(SPIN.exact(0.5)), t)
        return list(log(twin.solve(*problem, method=method, rtol=1e-3, options=chosen))[:, 1])

    assert sizes([0.5, 0.6, 0.75, 0.8]) == pytest.approx([0.1, 0.15, 0.05])
    assert sizes([0.5, 0.6, 0.75, 0.8], step_size=0.1) == pytest.approx([0.1, 0.1, 0.1])
    assert sizes([0.5, 0.8], step_size=0.08) == pytest.approx([0.08, 0.08, 0.08, 0.06])
    assert sizes([0.5, 0.8], step_size=0.3 / 7) == pytest.approx([0.3 / 7] * 7)
    assert sizes([0.5, 0.3], step_size=0.15) == pytest.approx([-0.15, -0.05])
    assert sizes([0.5, 0.6], step_size=10.0) == pytest.approx([0.1])


@pytest.mark.parametrize("method", FIXED)
@each_twin
def test_outputs_on_the_grid_are_the_steps_themselves(twin, method):
    problem = (SPIN.func(twin.xp), twin.array(SPIN.exact(0.25)), np.linspace(0.25, 0.75, 9))
    settings = {"method": method, "rtol": 1e-10, "atol": 1e-10}
    from_outputs = twin.odeint(*problem, **settings)
    from_steps = twin.odeint(*problem, options={"step_size": 1 / 16}, **settings)
    assert twin.numpy(from_steps) == pytest.approx(twin.numpy(from_outputs), rel=1e-14)


@pytest.mark.parametrize("method", PAIRS)
@each_twin
def test_max_num_steps_counts_every_attempt(twin, method):
    problem = (lotka_volterra(twin.xp), twin.array([10.0, 5.0]), (0, 2))
    free = twin.solve(*problem, method=method, **PREY)
    attempts = len(free.steps)
    enough = twin.solve(*problem, method=method, options={"max_num_steps": attempts}, **PREY)
    assert enough.steps == free.steps
    with pytest.raises(MaxStepsReached, match=f"^{attempts - 1} steps attempted and only at t = "):
        twin.solve(*problem, method=method, options={"max_num_steps": attempts - 1}, **PREY)
