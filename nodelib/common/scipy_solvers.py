"""SciPy's solvers by name, on flat NumPy states: the paper's Adams codes (LSODA, VODE) and those for stiff problems."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodelib.common.arguments import MAX_NUM_STEPS, Method
from nodelib.common.solution import MaxStepsReached, NonFiniteState, SolverError, Stats, Step

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
    watched = Watched(func)
    name = method.name.removeprefix("scipy:")
    solve = _vode if name == "VODE" else partial(_solve_ivp, name)
    try:
        ys, steps, dense = solve(watched, y0, times, rtol, atol, dict(options))
    except Exception as error:
        raise watched.trouble(method.name) or error from None
    if not np.isfinite(ys).all():
        raise watched.trouble(method.name) or NonFiniteState(f"{method.name} returned nan or inf without a reason")
    return ys, Stats(watched.nfe, len(steps) if dense else None, None), steps, dense


class Watched:
    """func, counted. SciPy passes nan and inf on in silence, and not every error: both are noted."""

    def __init__(self, func: Callable[[float, Flat], Flat]):
        self.func, self.nfe = func, 0
        self.error: BaseException | None = None
        self.not_finite_since: float | None = None

    def __call__(self, t: float, y: Flat) -> Flat:
        self.nfe += 1
        try:
            f = np.array(self.func(float(t), y))  # a copy: func may return the same array every time
        except BaseException as error:
            self.error = error
            raise
        if np.isfinite(f).all():
            self.not_finite_since = None
        elif self.not_finite_since is None:
            self.not_finite_since = float(t)
        return f

    def trouble(self, name: str) -> BaseException | None:
        """What went wrong in func before SciPy gave up; None if nothing did."""
        if self.error is None and self.not_finite_since is not None:
            return NonFiniteState(
                f"{name} gave up where func returns nan or inf, from t = {self.not_finite_since:.6g} on: "
                "check it there (a logarithm or root of a negative number, a division by zero, an overflow)"
            )
        return self.error


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

    def silent(t, y):
        """VODE calls on after an exception, an interrupt too: none may reach it, and func is not evaluated again."""
        try:
            return func(t, y) if func.error is None else np.zeros_like(y)
        except BaseException:
            return np.zeros_like(y)

    limit = int(options.pop("max_num_steps", MAX_NUM_STEPS))
    name = "zvode" if np.iscomplexobj(y0) else "vode"
    solver = ode(silent).set_integrator(name, method="adams", rtol=rtol, atol=atol, nsteps=limit, **options)
    solver.set_initial_value(y0, times[0])
    ys = [y0]
    for t in times[1:]:
        ys.append(solver.integrate(t))
        if func.error is not None:
            raise func.error
        if not solver.successful():
            code, now = solver.get_return_code(), float(solver.t)
            if code == -1:
                raise MaxStepsReached(f"scipy:VODE took {limit} steps from one time to the next, to t = {now:.6g} only")
            raise SolverError(f"scipy:VODE stopped at t = {now:.6g} with return code {code}")
    return np.array(ys, y0.dtype), (), None
