"""dopri5 on the 25 nonstiff DETEST problems: no more work than SciPy's RK45 at the same tolerance, nor more error."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from nodelib import numpy_ode, torch_ode
from tests.twins.detest import DETEST

SPAN = (0.0, 20.0)


@cache
def reference(name):
    problem = DETEST[name]
    return solve_ivp(problem.func, SPAN, problem.y0, "DOP853", rtol=1e-13, atol=1e-14).y[:, -1]


def work_and_error(name, tol):
    """Evaluations and error at the end, of dopri5 and then of RK45."""
    problem = DETEST[name]
    ours = numpy_ode.solve(problem.func, problem.y0, SPAN, rtol=tol, atol=tol)
    scipys = solve_ivp(problem.func, SPAN, problem.y0, "RK45", rtol=tol, atol=tol)
    errors = [np.abs(y - reference(name)).max() for y in (ours.y[-1], scipys.y[:, -1])]
    return ours.stats.nfe, errors[0], scipys.nfev, errors[1]


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
def test_dopri5_is_as_good_as_rk45_in_the_geometric_mean(tol, record_property):
    nfe, error, nfe_scipy, error_scipy = np.array([work_and_error(name, tol) for name in DETEST]).T
    work, inaccuracy = (float(np.exp(np.mean(np.log(a / b)))) for a, b in ((nfe, nfe_scipy), (error, error_scipy)))
    record_property("measured", f"DETEST, tolerance {tol:.0e}: NFE {work:.4f} × RK45's, error {inaccuracy:.3f} ×")
    assert work <= 1.05
    assert inaccuracy <= 1.0


@pytest.mark.parametrize("name", DETEST)
def test_error_falls_with_the_tolerance(name):
    """Tolerance proportionality: a thousandth of the tolerance gives at most a hundredth of the error."""
    errors = [work_and_error(name, tol)[1] for tol in (1e-6, 1e-9)]
    assert errors[1] <= max(errors[0] / 100, 1e-11)


@pytest.mark.parametrize("name", DETEST)
def test_torch_takes_the_same_steps(name):
    problem = DETEST[name]

    def func(t, y):
        return torch.from_numpy(problem.func(float(t), y.numpy()))

    ours = numpy_ode.solve(problem.func, problem.y0, SPAN, rtol=1e-6, atol=1e-6)
    other = torch_ode.solve(func, torch.from_numpy(problem.y0), SPAN, rtol=1e-6, atol=1e-6)
    assert other.stats == ours.stats
    assert other.y.numpy() == pytest.approx(ours.y, rel=1e-9, abs=1e-9)
