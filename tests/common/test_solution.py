"""Solution, and the diagnosis that a solver's error carries."""

from dataclasses import FrozenInstanceError
from math import inf, nan

import numpy as np
import pytest
import torch

from nodelib.common.solution import (
    FixedPointFailed,
    MaxStepsReached,
    NonFiniteState,
    Solution,
    SolverError,
    Stats,
    Step,
    StepSizeUnderflow,
    Symptoms,
    examine,
)
from tests.twins.both import OSCILLATOR, OWN, SCIPY, TWINS, options

each_twin = pytest.mark.parametrize("twin", TWINS, ids=str)
STEP = Step(0.5, 0.1, 2.0, False)


def rms(x):
    return float(np.sqrt(np.mean(np.abs(x) ** 2)))


@pytest.mark.parametrize("span", [(0.0, 2.0), (2.0, 0.0)], ids=["forward", "backward"])
@pytest.mark.parametrize("method", [*OWN, *(name for name in SCIPY if name != "scipy:VODE")])
@each_twin
def test_dense_output_from_end_to_end(twin, method, span):
    problem = (OSCILLATOR.func(twin.xp), twin.array(OSCILLATOR.exact(span[0])), span)
    sol = twin.solve(*problem, method=method, rtol=1e-5, atol=1e-5, options=options(method, 0.02), dense=True)
    assert twin.numpy(sol(span[0])) == pytest.approx(twin.numpy(sol.y[0]), rel=1e-14)
    assert twin.numpy(sol(span[1])) == pytest.approx(twin.numpy(sol.y[-1]), rel=1e-12)
    times = np.linspace(span[0], span[1], 50)
    values = np.stack([twin.numpy(sol(s)) for s in times])
    assert values == pytest.approx(OSCILLATOR.exact(times), abs={"euler": 0.05}.get(method, 2e-3))


@pytest.mark.parametrize("kind", [float, int, np.float32, np.float64, np.array, torch.tensor])
@each_twin
def test_dense_output_takes_any_number(twin, kind):
    sol = twin.solve(lambda t, y: -y, twin.array([1.0]), (0.0, 2.0), dense=True)
    assert twin.numpy(sol(kind(1)))[0] == pytest.approx(np.exp(-1), abs=1e-6)


@pytest.mark.parametrize("s", [-1e-9, 2.0 + 1e-9, inf, nan])
@each_twin
def test_dense_output_does_not_extrapolate(twin, s):
    for span in ((0.0, 2.0), (2.0, 0.0)):
        sol = twin.solve(lambda t, y: -y, twin.array([1.0]), span, dense=True)
        with pytest.raises(ValueError, match=r"lies outside the solved interval \[0.0, 2.0\]: solve over a longer t"):
            sol(s)


@each_twin
def test_dense_output_must_be_asked_for(twin):
    sol = twin.solve(lambda t, y: -y, twin.array([1.0]), (0.0, 2.0))
    with pytest.raises(ValueError, match="no dense output: solve again with dense=True"):
        sol(1.0)
    with pytest.raises(ValueError, match="scipy:VODE gives no dense output: use scipy:LSODA"):
        twin.solve(lambda t, y: -y, twin.array([1.0]), (0.0, 2.0), method="scipy:VODE", dense=True)


@each_twin
def test_dense_output_does_not_change_the_solution(twin):
    problem = (OSCILLATOR.func(twin.xp), twin.array([1.0, 0.0]), np.linspace(0, 3, 20))
    plain, dense = twin.solve(*problem), twin.solve(*problem, dense=True)
    assert np.array_equal(twin.numpy(plain.y), twin.numpy(dense.y))
    assert (plain.stats, plain.steps) == (dense.stats, dense.steps)


@pytest.mark.parametrize("method", SCIPY)
@each_twin
def test_what_scipy_tells_of_its_steps(twin, method):
    problem = (OSCILLATOR.func(twin.xp), twin.array([1.0, 0.0]), (3.0, 2.0, 0.0))
    sol = twin.solve(*problem, method=method)
    assert sol.stats.rejected is None
    if method == "scipy:VODE":
        assert (sol.stats.accepted, sol.steps) == (None, ())
    else:
        assert sol.stats.accepted == len(sol.steps) > 1
        assert (sol.steps[0].t, sol.steps[-1].t + sol.steps[-1].h) == pytest.approx((3.0, 0.0))
        assert all(step.accepted and step.h < 0 and np.isnan(step.error_ratio) for step in sol.steps)


def test_a_solution_cannot_be_changed_and_prints_its_parts():
    sol = Solution((0, 1), np.zeros((2, 1)), Stats(3, 1, 0), (STEP,))
    with pytest.raises(FrozenInstanceError):
        sol.y = 1  # type: ignore[misc]
    assert "Stats(nfe=3, accepted=1, rejected=0)" in repr(sol)
    assert "interpolant" not in repr(sol)


@pytest.mark.parametrize("error", [StepSizeUnderflow, MaxStepsReached, NonFiniteState, FixedPointFailed])
def test_one_name_catches_every_solver_error(error):
    assert issubclass(error, SolverError)
    assert issubclass(error, RuntimeError)


@pytest.mark.parametrize(
    ("symptoms", "cause"),
    [
        (Symptoms(STEP, 1.0, nan, 0.0, 0.0), "func returns nan or inf here"),
        (Symptoms(STEP, 1.0, 0.0, 0.0, inf), "func returns nan or inf here"),
        (Symptoms(STEP, 1.0, 0.0, 1e-9, 0.0), "func returns something else each time"),
        (Symptoms(STEP, 1.0, 0.5, 0.0, 0.0), "the solution blows up"),
        (Symptoms(STEP, 2.5, 0.0, 0.0, 0.0), r"the problem looks stiff, \|hλ\| is about 2.5.*scipy:Radau"),
        (Symptoms(STEP, 0.1, 0.0, 0.0, 0.5), "func jumps in t here: split t at the jump"),
        (Symptoms(STEP, 0.1, 0.0, 0.0, 0.0), "nothing looks wrong with func here"),
    ],
)
def test_causes(symptoms, cause):
    for error in (symptoms.underflow(), symptoms.too_many(7)):
        with pytest.raises((StepSizeUnderflow, MaxStepsReached), match=cause):
            raise error
    assert "t = 0.5: a step of 0.1 still has an error of 2 times the tolerance" in str(symptoms.underflow())
    assert str(symptoms.too_many(7)).startswith("7 steps attempted and only at t = 0.5 (h = 0.1): ")
    assert 'options={"max_num_steps": …}' in str(symptoms.too_many(7))


@pytest.mark.parametrize("ratio", [nan, inf])
def test_an_error_ratio_that_is_not_finite_comes_from_func(ratio):
    error = Symptoms(STEP._replace(error_ratio=ratio), 0.0, 0.0, 0.0, 0.0).underflow()
    with pytest.raises(NonFiniteState, match=r"func returns nan or inf near t = 0\.5, however small the step"):
        raise error


def test_examine_estimates_the_largest_eigenvalue():
    matrix = np.array([[-1.0, 3.0], [0.0, -400.0]])
    found = examine(lambda t, y: matrix @ y, rms, STEP, np.array([1.0, 0.2]))
    assert found.stiffness == pytest.approx(0.1 * 400, rel=1e-2)
    assert (found.noise, found.jump) == (0, 0)


def test_examine_measures_growth_noise_and_jump():
    y = np.array([2.0])
    assert examine(lambda t, y: 5.0 * y, rms, STEP, y).growth == pytest.approx(0.1 * 5)
    generator = np.random.default_rng(0)
    assert examine(lambda t, y: generator.normal(size=1), rms, STEP, y).noise > 0
    assert examine(lambda t, y: y if t < 0.55 else 4.0 * y, rms, STEP, y).jump == pytest.approx(3)


def test_examine_a_state_and_slope_of_zero():
    found = examine(lambda t, y: 0.0 * y, rms, STEP, np.zeros(2))
    assert (found.stiffness, found.growth, found.noise, found.jump) == (0, 0, 0, 0)


def test_examine_copies_what_func_returns():
    buffer = np.empty(1)

    def reusing(t, y):
        buffer[0] = -300.0 * y[0]
        return buffer

    assert examine(reusing, rms, STEP, np.ones(1)).stiffness == pytest.approx(30)
