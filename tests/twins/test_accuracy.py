"""The numbers are right: against exact solutions, against DOP853, against SciPy's form of the same pairs."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from nodelib.common.arguments import METHODS
from tests.twins.both import KNOWN, OSCILLATOR, OWN, PAIRS, SCIPY, SPIN, TWINS, lotka_volterra, options, tol

each_twin = pytest.mark.parametrize("twin", TWINS, ids=str)


@pytest.mark.parametrize("t", [np.linspace(0, 1.4, 11), np.linspace(1.4, 0, 11)], ids=["forward", "backward"])
@pytest.mark.parametrize("problem", KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("method", OWN + SCIPY)
@each_twin
def test_against_the_exact_solution(twin, method, problem, t):
    bounds = {"euler": 0.2, "midpoint": 2e-3, "heun": 2e-3, "heun_euler": 1e-4, "adams_bashforth": 1e-4}
    y0 = twin.array(problem.exact(t[0]))
    y = twin.odeint(problem.func(twin.xp), y0, t, method=method, options=options(method, 0.02), **tol(method, 1e-8))
    assert y.shape == (11, *y0.shape)
    assert twin.numpy(y) == pytest.approx(problem.exact(t), abs=bounds.get(method, 1e-5))


@pytest.mark.parametrize("method", PAIRS)
@each_twin
def test_against_dop853(twin, method):
    t = np.linspace(0, 5, 21)
    func, y0 = lotka_volterra(np), np.array([10.0, 5.0])
    reference = solve_ivp(func, (0, 5), y0, "DOP853", t, rtol=1e-13, atol=1e-13).y.T
    tight = tol(method, 1e-8)
    y = twin.odeint(lotka_volterra(twin.xp), twin.array(y0), t, method=method, **tight)
    assert twin.numpy(y) == pytest.approx(reference, abs=1000 * tight["rtol"])


@pytest.mark.parametrize(("method", "name"), [("dopri5", "RK45"), ("bosh3", "RK23")])
@each_twin
def test_steps_and_dense_output_are_those_of_scipy_where_the_pair_is_the_same(twin, method, name, monkeypatch):
    monkeypatch.setattr(f"nodelib.{twin.name}_ode.steps.step_factor", lambda *_: 1.0)  # SciPy's max_step does the same
    h, huge, y0 = 0.125, 10.0, np.array([10.0, 5.0])
    theirs = solve_ivp(
        lotka_volterra(np), (0, 1), y0, name, dense_output=True, rtol=huge, atol=huge, first_step=h, max_step=h
    )
    problem = (lotka_volterra(twin.xp), twin.array(y0), (0, 1))
    ours = twin.solve(*problem, method=method, options={"first_step": h}, dense=True, rtol=huge, atol=huge)
    assert [step.t for step in ours.steps] == list(theirs.t[:-1])
    for s in np.linspace(0, 1, 41):
        assert twin.numpy(ours(s)) == pytest.approx(theirs.sol(s), rel=1e-13)


@pytest.mark.parametrize("method", OWN)
@each_twin
def test_outputs_and_dense_output_are_the_same_function(twin, method):
    t = np.linspace(1.4, 0.2, 30)
    problem = (SPIN.func(twin.xp), twin.array(SPIN.exact(1.4)), t)
    sol = twin.solve(*problem, method=method, rtol=1e-5, atol=1e-5, options=options(method, 0.07), dense=True)
    there = twin.xp.stack([sol(float(s)) for s in t])
    assert twin.numpy(there) == pytest.approx(twin.numpy(sol.y), rel=1e-13)


@pytest.mark.parametrize("method", PAIRS)
@each_twin
def test_tolerance_buys_accuracy_at_the_price_that_the_order_says(twin, method):
    """NFE ~ tol^(-1/p): over two decades of tolerance it grows by 100^(1/p)."""
    problem = (OSCILLATOR.func(twin.xp), twin.array([1.0, 0.0]), (0.0, 20.0))
    runs = [twin.solve(*problem, method=method, rtol=tol, atol=tol) for tol in (1e-4, 1e-6)]
    errors = [np.abs(twin.numpy(sol.y)[-1] - OSCILLATOR.exact(20.0)).max() for sol in runs]
    assert errors[1] < errors[0] / 20
    assert runs[1].stats.nfe / runs[0].stats.nfe == pytest.approx(100 ** (1 / METHODS[method].order), rel=0.25)


@pytest.mark.parametrize("method", PAIRS)
@each_twin
def test_an_interval_of_many_magnitudes(twin, method):
    """1/(1 + t) up to t = 1e12: the steps grow by ten powers of ten, and the solution falls below its start's error."""
    y = twin.odeint(lambda t, y: -y * y, twin.array([1.0]), (0.0, 1e12), method=method, rtol=1e-5, atol=1e-20)
    assert twin.numpy(y)[-1, 0] == pytest.approx(1e-12, rel=1e-3)


@pytest.mark.parametrize("rest", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("method", ["adams_bashforth", "implicit_adams"])
@each_twin
def test_adams_methods_end_with_a_tiny_step(twin, method, rest):
    """The slopes of earlier steps lie up to 1e7 steps back then; their polynomial must not lose the digits."""
    t = (0.2, 0.9 + rest)
    problem = (SPIN.func(twin.xp), twin.array(SPIN.exact(0.2)), t)
    y = twin.odeint(*problem, method=method, rtol=1e-11, options={"step_size": 0.7 / 128})
    assert twin.numpy(y)[-1] == pytest.approx(SPIN.exact(t[1]), abs=1e-7)
