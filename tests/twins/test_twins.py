"""The two twins are one solver: the same steps, the same error ratios, the same states, to 1e-12 in double precision.

An error ratio is a difference that nearly cancels, over a small tolerance: the last bits, which two libraries round
differently, are magnified in it, and by it in the next step. So torch steps here by the factors that numpy chose, after
a look at what it would have chosen itself; then all that it computes must agree. Free runs are compared as well.

``first_step`` is given. Without it the first step comes from HNW's guess, where dopri8's error is far below round-off:
its ratio is then noise, other noise in each library, and the second step has another size.
"""

import numpy as np
import pytest

from nodelib.common.controller import step_factor
from tests.twins.both import KNOWN, NUMPY, OSCILLATOR, OWN, PAIRS, SCIPY, SPIN, TORCH, options

SPANS = {
    "forward": np.array([0.3, 1.4]),
    "backward": np.array([1.4, 0.3]),
    "many outputs": np.linspace(0.3, 1.4, 23),
    "many outputs, backward": np.linspace(1.4, 0.3, 40),
    "uneven outputs": 0.3 + 1.1 * np.linspace(0, 1, 12) ** 2,
}


@pytest.fixture
def one_controller(monkeypatch):
    """numpy, which solves first, records the factors by which it changes its steps; torch follows them."""
    factors = []

    def record(*arguments):
        factors.append(step_factor(*arguments))
        return factors[-1]

    def follow(*arguments):
        chosen = factors.pop(0)
        assert step_factor(*arguments) == pytest.approx(chosen, rel=1e-6)
        return chosen

    monkeypatch.setattr("nodelib.numpy_ode.steps.step_factor", record)
    monkeypatch.setattr("nodelib.torch_ode.steps.step_factor", follow)


def both(problem, t, method, rtol=1e-4, atol=1e-5, **more):
    """The solutions by numpy and by torch, in this order."""
    return [
        twin.solve(
            problem.func(twin.xp),
            twin.array(problem.exact(t[0])),
            twin.array(t),
            method=method,
            rtol=rtol,
            atol=atol,
            **more,
        )
        for twin in (NUMPY, TORCH)
    ]


def assert_same(numpy_sol, torch_sol):
    assert torch_sol.stats == numpy_sol.stats
    assert torch_sol.y.numpy() == pytest.approx(numpy_sol.y, rel=1e-12, abs=1e-12)
    assert [step.accepted for step in torch_sol.steps] == [step.accepted for step in numpy_sol.steps]
    for ours, theirs in zip(numpy_sol.steps, torch_sol.steps, strict=True):
        assert theirs[:2] == pytest.approx(ours[:2], rel=1e-12, abs=1e-12)
        assert theirs.error_ratio == pytest.approx(ours.error_ratio, rel=1e-10, abs=1e-10, nan_ok=True)


@pytest.mark.parametrize("span", SPANS.values(), ids=SPANS)
@pytest.mark.parametrize("problem", KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("method", OWN)
@pytest.mark.usefixtures("one_controller")
def test_step_for_step(method, problem, span):
    assert_same(*both(problem, span, method, options=options(method, 0.02) or {"first_step": 0.3}))


@pytest.mark.parametrize("method", PAIRS)
@pytest.mark.usefixtures("one_controller")
def test_step_for_step_with_the_pi_controller(method):
    assert_same(*both(SPIN, SPANS["forward"], method, options={"first_step": 0.3, "controller": "PI"}))


@pytest.mark.parametrize("span", SPANS.values(), ids=SPANS)
@pytest.mark.parametrize("problem", KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("method", PAIRS)
def test_free_runs(method, problem, span):
    ours, theirs = both(problem, span, method, options={"first_step": 0.3})
    assert theirs.stats == ours.stats
    assert theirs.y.numpy() == pytest.approx(ours.y, rel=1e-9)


@pytest.mark.parametrize("method", [m for m in PAIRS if m != "dopri8"])
def test_first_steps_are_the_same(method):
    steps = [sol.steps[0] for sol in both(SPIN, SPANS["backward"], method)]
    assert steps[1].h == pytest.approx(steps[0].h, rel=1e-12)
    assert steps[0].h < 0


@pytest.mark.parametrize("method", OWN)
@pytest.mark.usefixtures("one_controller")
def test_dense_output(method):
    chosen = options(method, 0.02) or {"first_step": 0.3}
    ours, theirs = both(OSCILLATOR, SPANS["backward"], method, options=chosen, dense=True)
    for s in np.linspace(0.3, 1.4, 37):
        assert theirs(s).numpy() == pytest.approx(ours(s), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("method", SCIPY)
def test_scipy_methods(method):
    """The same numbers go to SciPy; its implicit methods magnify the last bit through their Jacobians."""
    ours, theirs = both(SPIN, SPANS["many outputs"], method)
    assert theirs.stats == ours.stats
    assert theirs.y.numpy() == pytest.approx(ours.y, rel=1e-9)


@pytest.mark.parametrize("method", OWN)
@pytest.mark.usefixtures("one_controller")
def test_tolerance_for_each_entry(method):
    chosen = options(method, 0.02) or {"first_step": 0.3}
    sols = []
    for twin in (NUMPY, TORCH):
        tol = {"rtol": twin.array([1e-4, 1e-7]), "atol": twin.array([1e-9, 1e-4])}  # far above the estimates' rounding
        y0 = twin.array(SPIN.exact(0.3))
        sols.append(twin.solve(SPIN.func(twin.xp), y0, (0.3, 1.4), method=method, options=chosen, **tol))
    assert_same(*sols)


@pytest.mark.parametrize("method", OWN)
@pytest.mark.usefixtures("one_controller")
def test_complex_states(method):
    def turn(t, y):
        return 1j * y * y - t * y

    chosen = options(method, 0.02) or {"first_step": 0.3}
    sols = []
    for twin in (NUMPY, TORCH):
        y0 = twin.array([1.0 + 0.5j, -0.2j], "complex128")
        sols.append(twin.solve(turn, y0, (0.0, 1.0), method=method, rtol=1e-4, atol=1e-5, options=chosen))
    assert_same(*sols)


@pytest.mark.parametrize("method", OWN)
def test_single_precision(method):
    """The same algorithm in another precision: the same number of evaluations, the same states to single precision."""
    chosen = options(method, 0.05) or {"first_step": 0.3}
    sols = []
    for twin in (NUMPY, TORCH):
        y0 = twin.array(OSCILLATOR.exact(0.0), "float32")
        func = OSCILLATOR.func(twin.xp)
        sols.append(twin.solve(func, y0, (0.0, 2.0), method=method, rtol=1e-3, atol=1e-4, options=chosen))
    assert sols[0].stats == sols[1].stats
    assert sols[1].y.numpy() == pytest.approx(sols[0].y, abs=1e-3 if method in PAIRS else 1e-6)
    assert sols[0].y.dtype == sols[1].y.numpy().dtype == np.float32
