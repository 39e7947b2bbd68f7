"""Every method converges at the order that METHODS states: measured by halving the step, not read off the tableau."""

from math import log2

import numpy as np
import pytest

from nodelib.common.arguments import METHODS
from nodelib.common.tableaus import TABLEAUS
from tests.twins.both import OWN, PAIRS, SPIN, TWINS

START, END = 0.2, 1.4
HUGE = 1e9  # a tolerance that accepts every step


@pytest.fixture(autouse=True)
def constant_steps(monkeypatch):
    """Pairs step with their first step throughout: every step is accepted, and none makes the next one longer."""
    monkeypatch.setattr("nodelib.numpy_ode.steps.step_factor", lambda *_: 1.0)
    monkeypatch.setattr("nodelib.torch_ode.steps.step_factor", lambda *_: 1.0)


def solve(twin, method, n, **more):
    """SPIN in n equal steps. It is nonlinear, not autonomous and a system, so that every tree takes part."""
    h = (END - START) / n
    adaptive = METHODS[method].adaptive
    tolerance = HUGE if adaptive else 1e-13  # of the fixed methods only implicit_adams reads it, to end its iterations
    chosen = {"first_step" if adaptive else "step_size": h}
    y0 = twin.array(SPIN.exact(START))
    sol = twin.solve(
        SPIN.func(twin.xp), y0, (START, END), method=method, rtol=tolerance, atol=tolerance, options=chosen, **more
    )
    assert len(sol.steps) == n
    return sol


def end_error(twin, method, n):
    return np.linalg.norm(twin.numpy(solve(twin, method, n).y)[-1] - SPIN.exact(END))


def dense_error(twin, method, n):
    """RMS error inside the steps, at seven places of each."""
    sol = solve(twin, method, n, dense=True)
    times = [step.t + i / 8 * step.h for step in sol.steps for i in range(1, 8)]
    return np.sqrt(np.mean([np.sum((twin.numpy(sol(s)) - SPIN.exact(s)) ** 2) for s in times]))


def estimated_error(twin, method, n):
    return np.mean([step.error_ratio for step in solve(twin, method, n).steps])


def measured_order(error, twin, method, of_dopri8=12):
    """log2 of what halving the step gains; dopri8 must start from fewer steps, being at round-off with 30."""
    n = of_dopri8 if method == "dopri8" else 64
    return log2(error(twin, method, n) / error(twin, method, 2 * n))


@pytest.mark.parametrize("method", OWN)
@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_order_at_the_end(twin, method):
    assert measured_order(end_error, twin, method) == pytest.approx(METHODS[method].order, abs=0.15)


@pytest.mark.parametrize("method", OWN)
@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_order_of_dense_output(twin, method):
    """Inside a step the error is that of the interpolant, O(h^(q+1)), or that of the steps before it, O(h^p)."""
    order = METHODS[method].order
    wanted = min(order, TABLEAUS[method].dense_order + 1) if method in TABLEAUS else order
    assert measured_order(dense_error, twin, method, of_dopri8=24) == pytest.approx(wanted, abs=0.15)


@pytest.mark.parametrize("method", PAIRS)
@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_error_estimate_has_the_order_that_the_controller_assumes(twin, method):
    """step_factor takes the local error of the lower-order method for O(h^p), p the order of the pair."""
    assert measured_order(estimated_error, twin, method) == pytest.approx(METHODS[method].order, abs=0.15)


@pytest.mark.parametrize("max_order", [1, 2, 3, 4])
@pytest.mark.parametrize("method", ["adams_bashforth", "implicit_adams"])
@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_order_of_adams_methods_follows_max_order(twin, method, max_order):
    def error(n):
        chosen = {"step_size": (END - START) / n, "max_order": max_order, "max_iters": 50}
        y0 = twin.array(SPIN.exact(START))
        y = twin.odeint(SPIN.func(twin.xp), y0, (START, END), method=method, rtol=1e-13, atol=1e-13, options=chosen)
        return np.linalg.norm(twin.numpy(y)[-1] - SPIN.exact(END))

    assert log2(error(64) / error(128)) == pytest.approx(max_order, abs=0.15)


@pytest.mark.parametrize("method", ["adams_bashforth", "implicit_adams"])
@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_order_of_adams_methods_on_a_grid_that_is_not_uniform(twin, method):
    """Their weights are made anew for each spacing; those of a uniform grid would lose the order."""

    def error(n):
        t = START + (END - START) * np.linspace(0, 1, n + 1) ** 1.5
        y = twin.odeint(SPIN.func(twin.xp), twin.array(SPIN.exact(START)), t, method=method, rtol=1e-13, atol=1e-13)
        return np.linalg.norm(twin.numpy(y)[-1] - SPIN.exact(END))

    assert log2(error(128) / error(256)) == pytest.approx(4, abs=0.15)
