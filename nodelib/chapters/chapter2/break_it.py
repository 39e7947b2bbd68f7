"""Exercise 2.7: break the adjoint. What is asked is a field, so that the check runs it."""

from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import grad, jacobian

from nodelib.common.solution import SolverError
from nodelib.numpy_ode import odeint, odeint_adjoint, odeint_checkpoint
from nodelib.workbook.check import MISSING, Exercise, quiet, words
from nodelib.workbook.values import unfinished

from .algorithms import Array, Func
from .forms import listed


class Broken(Exercise):
    """The answer is a function without arguments that gives (func, z0, t1), on which the adjoint is to fail."""

    tolerance = 1e-6
    steps = 1500

    def judge(self, answer: Any) -> str | None:
        """None for a field on which the solve is right, the checkpointed gradient too, and the adjoint's is not."""
        found = answer
        try:
            with quiet():
                found = listed(answer() if callable(answer) else answer)
        except Exception as error:
            return f"it raises {words(error)}."
        if unfinished(found):
            return f"{MISSING}."
        if not isinstance(found, list | tuple) or len(found) != 3 or not callable(found[0]):
            return "three results are asked: func(t, z), z0 and t1."
        try:
            with quiet():
                return self._tried(found[0], np.atleast_1d(np.array(found[1], dtype=float)), float(found[2]))
        except SolverError as error:
            return f"the solve forwards fails already ({words(error)[:60]}). Only the way back is to fail."
        except Exception as error:
            return f"it raises {words(error)}. Is func written with autograd's numpy, anp?"

    def _tried(self, func: Func, z0: Array, t1: float) -> str | None:
        def end(solver: Func, z: Any, tol: float) -> Any:
            return solver(func, z, [0.0, t1], rtol=tol, atol=tol, options={"max_num_steps": self.steps})[-1]

        def gradient(solver: Func, tol: float) -> Array:
            return grad(lambda z: anp.sum(end(solver, z, tol)))(z0)  # type: ignore[attr-defined]

        def off(x: Array, y: Array) -> float:
            return float(np.linalg.norm(x - y) / (np.linalg.norm(y) or 1.0))

        if _van_der_pol(func, z0):
            return "that is Van der Pol's field, which the chapter has broken already. Build one of your own."
        z_end = end(odeint, z0, 1e-9)
        if not off(end(odeint, z0, self.tolerance), z_end) < 1e-2:
            return "the solve forwards is off by more than 1 %. Only the way back is to fail."
        exact = gradient(odeint_checkpoint, 1e-9)
        shifts = 1e-4 * np.eye(len(z0))
        differences = [np.sum(end(odeint, z0 + d, 1e-9) - end(odeint, z0 - d, 1e-9)) / 2e-4 for d in shifts]
        if not off(exact, np.array(differences)) < 0.05:
            return "the tight gradient is not that of the solve: func uses numbers that autograd does not see."
        if not off(gradient(odeint_checkpoint, self.tolerance), exact) < 0.1:
            return "the checkpointed gradient is off by more than 10 %, too: the solve is too coarse for it."
        jacobians = [jacobian(lambda z: func(0.0, z))(z) for z in (z0, z_end)]  # type: ignore[misc]
        if np.allclose(*jacobians):
            return (
                "f_z is the same along the path, so that a never asks where z is, however wrong z becomes on the way "
                "back: the gradient is right, unless z becomes too large for a number."
            )
        try:
            wrong = off(gradient(odeint_adjoint, self.tolerance), exact)
        except SolverError:
            return None
        return None if wrong > 0.5 else self._why_not(func, z0, z_end, t1)

    def _why_not(self, func: Func, z0: Array, z_end: Array, t1: float) -> str:
        back = odeint(
            func, z_end, [t1, 0.0], rtol=self.tolerance, atol=self.tolerance, options={"max_num_steps": self.steps}
        )[-1]
        if np.allclose(back, z0, rtol=1e-2, atol=1e-3):
            return "the adjoint's gradient is right, for z comes back to where it began. What contracts more strongly?"
        return f"the adjoint's gradient is right, though z is lost on the way back.{self.advice()}"


def _van_der_pol(func: Func, z0: Array) -> bool:
    """Is it x' = v, v' = μ (1 - x²) v - x, for some μ but 0, in this order or the other?"""
    if z0.shape != (2,):
        return False
    for order in ([0, 1], [1, 0]):
        points = np.array([[0.0, 1.0], [0.5, -1.0], [2.0, 0.7], [-1.5, 0.4]])
        x, v = points.T
        found = np.array([np.asarray(func(0.0, point[order]))[order] for point in points])
        mu = found[0, 1]
        if mu != 0 and np.allclose(found, np.transpose([v, mu * (1 - x**2) * v - x])):
            return True
    return False


BREAK_IT = Broken(
    "2.7 Break it", lambda: np.nan,
    hints=(
        "z must be lost on the way back, and a must ask for it: f_z has to depend on z, and a must not vanish.",
        "Two components: a fast one that forgets where it came from, and a slow one that keeps the gradient alive and "
        "depends on the fast one by a curved function.",
    ),
)  # fmt: skip
