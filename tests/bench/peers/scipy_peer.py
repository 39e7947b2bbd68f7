"""SciPy's ``solve_ivp`` on the small problems."""

import numpy as np
from scipy.integrate import solve_ivp

from tests.bench.peers.measure import Outcome, Run
from tests.bench.peers.workloads import PROBLEMS


def solve(name: str, method: str, tol: float) -> Run:
    """A problem from start to end; atol is tol / 1000. LSODA is SciPy's loop around Fortran."""
    problem = PROBLEMS[name]
    func, y0 = problem.field(np.array), np.array(problem.y0)

    def run() -> Outcome:
        found = solve_ivp(func, problem.span, y0, method, rtol=tol, atol=1e-3 * tol)
        return Outcome(found.nfev, found.y[:, -1])

    return run
