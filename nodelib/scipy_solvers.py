"""SciPy's solvers by name, on flat NumPy states: the ones the paper used (LSODA, VODE) and those for stiff problems."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodelib.arguments import MAX_NUM_STEPS, Method
from nodelib.solution import MaxStepsReached, SolverError, Stats, Step

Flat = NDArray[Any]


def run(
    method: Method,
    func: Callable[[float, Flat], Flat],
    y0: Flat,
    times: list[float],
    rtol: Any,
    atol: Any,
    options: dict[str, Any],
) -> tuple[Flat, Stats, tuple[Step, ...], Callable[[float], Flat] | None]:
    """Solve y' = func(t, y) with SciPy; returns states (len(times), n), statistics, accepted steps, dense output.

    VODE tells neither its steps nor values between them: no steps, no dense output. SciPy logs no rejected steps.
    Raises MaxStepsReached and SolverError (with SciPy's own words) when SciPy gives up.
    """
    nfe = 0

    def counted(t: float, y: Flat) -> Flat:
        nonlocal nfe
        nfe += 1
        return func(float(t), y)

    name = method.name.removeprefix("scipy:")
    solve = _vode if name == "VODE" else partial(_solve_ivp, name)
    ys, steps, dense = solve(counted, y0, times, rtol, atol, dict(options))
    return ys, Stats(nfe, len(steps) if dense else None, None), steps, dense


def _solve_ivp(name, func, y0, times, rtol, atol, options):
    from scipy.integrate import solve_ivp  # imported here: it takes longer than the rest of the numpy twin together

    limit = int(options.pop("max_num_steps", MAX_NUM_STEPS))
    evaluations = 0

    def limited(t, y):
        # solve_ivp has no limit on its steps; no method of it evaluates more than 20 times a step on average.
        nonlocal evaluations
        evaluations += 1
        if evaluations > 20 * limit:
            raise MaxStepsReached(f"scipy:{name} evaluated func {evaluations - 1} times and is only at t = {t:.6g}")
        return func(t, y)

    span = (times[0], times[-1])
    out = solve_ivp(limited, span, y0, name, rtol=rtol, atol=atol, dense_output=True, **options)
    if not out.success:
        raise SolverError(f"scipy:{name} stopped at t = {out.t[-1]:.6g}: {out.message}")
    ends = [float(t) for t in out.t]
    steps = tuple(Step(a, b - a, float("nan"), True) for a, b in pairwise(ends))
    return np.concatenate([y0[None], out.sol(times[1:]).T]).astype(y0.dtype), steps, out.sol


def _vode(func, y0, times, rtol, atol, options):
    from scipy.integrate import ode

    limit = int(options.pop("max_num_steps", MAX_NUM_STEPS))
    name = "zvode" if np.iscomplexobj(y0) else "vode"
    solver = ode(func).set_integrator(name, method="adams", rtol=rtol, atol=atol, nsteps=limit, **options)
    solver.set_initial_value(y0, times[0])
    ys = [y0]
    for t in times[1:]:
        ys.append(solver.integrate(t))
        if not solver.successful():
            code = solver.get_return_code()
            raise SolverError(f"scipy:VODE stopped at t = {float(solver.t):.6g} with return code {code}")
    return np.array(ys, y0.dtype), (), None
