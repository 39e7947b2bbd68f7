"""The direction of time and the units of y and t change nothing: most of it exact, since powers of two do not round."""

import numpy as np
import pytest

from nodelib.common.arguments import METHODS
from tests.twins.both import OWN, SPIN, SWING, TWINS, log, options, tol

each_twin = pytest.mark.parametrize("twin", TWINS, ids=str)


@pytest.mark.parametrize("method", OWN)
@each_twin
def test_there_and_back(twin, method):
    settings = {"method": method, "options": options(method, 4e-3), **tol(method, 1e-9)}
    there = twin.odeint(SPIN.func(twin.xp), twin.array(SPIN.exact(0.2)), twin.array([0.2, 0.7, 1.2]), **settings)
    back = twin.odeint(SPIN.func(twin.xp), there[-1], [1.2, 0.7, 0.2], **settings)
    gap = {"euler": 3e-2, "midpoint": 2e-4, "heun": 2e-4, "heun_euler": 1e-4}.get(method, 1e-6)
    assert twin.numpy(back)[::-1] == pytest.approx(twin.numpy(there), abs=gap)


@pytest.mark.parametrize("method", OWN)
@each_twin
def test_backward_in_time_is_the_mirrored_problem_to_the_last_bit(twin, method):
    """u(s) = y(-s) solves u' = -f(-s, u)."""
    func, t = SPIN.func(twin.xp), np.linspace(0.2, 1.2, 7)
    settings = {"method": method, "rtol": 1e-4, "atol": 1e-5, "options": options(method, 0.03)}
    y0 = twin.array(SPIN.exact(0.2))
    forward = twin.solve(func, y0, t, **settings)
    mirrored = twin.solve(lambda s, u: -func(-s, u), y0, -t, **settings)
    assert np.array_equal(twin.numpy(mirrored.y), twin.numpy(forward.y))
    assert mirrored.stats == forward.stats
    assert np.array_equal(log(mirrored) * [-1, -1, 1], log(forward), equal_nan=True)


@pytest.mark.parametrize("power", [-300, 20, 300])
@pytest.mark.parametrize("method", OWN)
@each_twin
def test_units_of_y(twin, method, power):
    """A linear problem and atol in other units: the same steps, the first one too, and the same digits."""

    def solve(unit):
        settings = {"method": method, "rtol": 1e-4, "atol": 1e-4 * unit, "options": options(method, 0.1)}
        return twin.solve(SWING.func(twin.xp), twin.array(unit * SWING.exact(0.3)), (0.3, 4.0), **settings)

    one, other = solve(1.0), solve(2.0**power)
    assert np.array_equal(twin.numpy(other.y), 2.0**power * twin.numpy(one.y))
    assert np.array_equal(log(other), log(one), equal_nan=True)


@pytest.mark.parametrize("power", [-200, 30, 200])
@pytest.mark.parametrize("method", OWN)
@each_twin
def test_units_of_t(twin, method, power):
    """With a given first step; HNW's guess of it knows a shortest one of 1e-6."""
    func, y0 = SWING.func(twin.xp), twin.array(SWING.exact(0.25))
    key = "first_step" if METHODS[method].adaptive else "step_size"

    def solve(unit):
        settings = {"method": method, "rtol": 1e-4, "atol": 1e-4, "options": {key: 0.25 * unit}}
        return twin.solve(lambda t, y: func(t / unit, y) / unit, y0, (0.25 * unit, 4.0 * unit), **settings)

    one, other = solve(1.0), solve(2.0**power)
    assert np.array_equal(twin.numpy(other.y), twin.numpy(one.y))
    assert np.array_equal(log(other), log(one) * [2.0**power, 2.0**power, 1], equal_nan=True)


EDGES = [(1.0, np.nextafter(1, 2)), (0.0, 1e-300), (0.0, 5e-324), (1e10, 1e10 + 1e-5), (-1e-9, 1e-9), (1e-9, -1e-9)]


@pytest.mark.parametrize("t", EDGES, ids=str)
@pytest.mark.parametrize("method", OWN)
@each_twin
def test_intervals_at_the_edge_of_floating_point(twin, method, t):
    sol = twin.solve(lambda t, y: -y, twin.array([1.0]), t, method=method)
    assert twin.numpy(sol.y)[-1, 0] == pytest.approx(np.exp(t[0] - t[1]), rel=1e-10)
    assert sol.stats.accepted == 1
