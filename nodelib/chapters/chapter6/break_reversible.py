"""Exercise 6.5: break the reversible solver. What is asked is a field, so that the check runs it."""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib.common.solution import SolverError
from nodelib.torch_ode import odeint, odeint_checkpoint, odeint_reversible
from nodelib.workbook.check import MISSING, Exercise, quiet, words
from nodelib.workbook.values import unfinished

STEPS, LONGEST = 100, 20.0
RIGHT, GRADIENT, WRONG = 0.01, 0.01, 0.5


class Broken(Exercise):
    """The answer is a function without arguments that gives (func, z0, t1) in torch, on which the reversible solver is
    to fail where Runge–Kutta 4 with steps twice as long, and so with as many evaluations, does not."""

    def judge(self, answer: Any) -> str | None:
        """None where RK4's solve and its checkpointed gradient are right, and the reversible gradient is not."""
        try:
            with quiet():
                found = answer() if callable(answer) else answer
        except Exception as error:
            return f"it raises {words(error)}."
        if unfinished(found):
            return f"{MISSING}."
        if not isinstance(found, list | tuple) or len(found) != 3 or not callable(found[0]):
            return "three results are asked: func(t, z), z0 and t1."
        try:
            z0, t1 = torch.atleast_1d(torch.as_tensor(found[1], dtype=torch.float64)).detach(), float(found[2])
            if not 0 < t1 <= LONGEST:
                return f"t1 is to be from 0 to {LONGEST:g}."
            with quiet(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._tried(found[0], z0, t1)
        except SolverError as error:
            return f"the solve fails already ({words(error)[:60]}). Only the reversible solver is to."
        except Exception as error:
            return f"it raises {words(error)}. Is func written in torch, and z0 a list of numbers, in double precision?"

    def _tried(self, func: Any, z0: Tensor, t1: float) -> str | None:
        def found(solver: Any, **settings: Any) -> tuple[Tensor, Tensor]:
            z = z0.clone().requires_grad_()
            more = {} if solver is odeint else {"adjoint_params": ()}
            end = solver(func, z, [0.0, t1], **settings, **more)[-1]
            return end.detach(), torch.autograd.grad(end.sum(), z)[0]

        tight: dict[str, Any] = {"method": "dopri8", "rtol": 1e-8, "atol": 1e-10, "options": {"max_num_steps": 4000}}
        end, exact = found(odeint_checkpoint, **tight)
        if not float(exact.norm()) > 1e-6 * max(1.0, float(end.norm())):
            return "dL/dz0 is next to nothing: the field forgets all that it began with. Something is to remain."
        solved, by_rk4 = found(odeint_checkpoint, method="rk4", options={"step_size": t1 / STEPS})
        if not off(solved, end) < RIGHT:
            return f"the solve by {STEPS} steps of Runge–Kutta 4 is off by more than 1 %."
        if not off(by_rk4, exact) < GRADIENT:
            return f"the checkpointed gradient through {STEPS} steps of Runge–Kutta 4 is off by more than 1 %."
        options = {"step_size": t1 / STEPS * 2}
        try:
            mine, gradient = found(odeint_reversible, method="reversible_rk4", options=options)
        except SolverError:
            return None
        if off(gradient, exact) > WRONG:
            return None
        gap = off(mine, end)
        return (
            f"the reversible solver's end is off by {gap:.1g}, and its gradient by {off(gradient, exact):.1g}: of "
            f"the gradient at least {WRONG:g} is asked.{self.advice()}"
        )


def off(x: Tensor, y: Tensor) -> float:
    """|x - y| / |y|; inf for what is no number."""
    found = float((x - y).norm() / (y.norm() or 1.0))
    return found if np.isfinite(found) else np.inf


BREAK_IT = Broken(
    "6.5 Break the reversible solver", lambda: np.nan,
    hints=(
        "For which hμ is the coupled step stable, and for which Runge–Kutta 4? One component may decay, as long as "
        "another keeps the gradient alive.",
        "z' = (-30 z₀, z₁) up to t1 = 1, say: hμ is -0.3 for steps of Runge–Kutta 4, which damps it.",
    ),
)  # fmt: skip
