"""The three gradients of both twins behind one face: backpropagation, the adjoint and checkpoints."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import autograd
import autograd.numpy as anp
import numpy as np
import torch

from nodelib import numpy_ode, torch_ode

Array = np.ndarray
KINDS = ("odeint", "odeint_adjoint", "odeint_checkpoint")
DISCRETE = ("odeint", "odeint_checkpoint")  # those whose gradient is that of the solution as computed


class Way(NamedTuple):
    """One twin and one of its solvers. xp has the functions (tanh, sin …) that a right-hand side is written with."""

    twin: str
    kind: str

    def __str__(self) -> str:
        return "-".join(self)

    @property
    def xp(self) -> Any:
        return anp if self.twin == "numpy" else torch

    @property
    def solver(self) -> Callable[..., Any]:
        return getattr(numpy_ode if self.twin == "numpy" else torch_ode, self.kind)

    def array(self, x: Any) -> Any:
        """x in double precision, as an array or a tensor."""
        array = np.array(x, float)
        return array if self.twin == "numpy" else torch.tensor(array)

    def gradients(
        self,
        func: Callable[[Any], Callable[..., Any]],
        y0: Any,
        t: Any,
        params: Sequence[Any],
        loss: Callable[[Any], Any],
        **settings: Any,
    ) -> list[Array]:
        """[dL/dy0, dL/dt, *dL/dθ] of loss(states at t), where func(xp)(t, y, *params) is the right-hand side."""
        f, args = func(self.xp), [np.array(x, float) for x in (y0, t, *params)]
        if self.kind == "odeint":
            settings = {key: value for key, value in settings.items() if not key.startswith("adjoint")}

        def value(y0: Any, t: Any, *params: Any) -> Any:
            if self.kind == "odeint":
                return loss(self.solver(lambda s, y: f(s, y, *params), y0, t, **settings))
            if self.twin == "numpy":
                return loss(self.solver(f, y0, t, adjoint_params=params, **settings))
            return loss(self.solver(lambda s, y: f(s, y, *params), y0, t, adjoint_params=params, **settings))

        if self.twin == "numpy":
            return list(autograd.grad(value, tuple(range(len(args))))(*args))  # type: ignore[arg-type]
        leaves = [torch.tensor(x, requires_grad=True) for x in args]
        return [g.numpy() for g in torch.autograd.grad(value(*leaves), leaves, materialize_grads=True)]


WAYS = [Way(twin, kind) for twin in ("numpy", "torch") for kind in KINDS]
TWINS = ("numpy", "torch")


def gap(one: Sequence[Array], other: Sequence[Array]) -> float:
    """The largest difference of any argument's gradient, relative to the largest entry of that gradient."""
    return max(float(np.abs(a - b).max() / (np.abs(b).max() or 1.0)) for a, b in zip(one, other, strict=True))


# --- a problem: nonlinear, not autonomous, a batch of three states, seven parameters ----------------------------------

A = np.array([[-0.3, 1.4], [-1.1, 0.2]])
B = np.array([0.3, -0.2])
C = np.array(0.7)
Y0 = np.array([[0.5, -0.3], [-0.2, 0.8], [0.9, 0.4]])
THETA = (A, B, C)


def swirl(xp: Any) -> Callable[..., Any]:
    """tanh(y A + b) (1 + c sin 2t) for states (3, 2)."""
    return lambda t, y, a, b, c: xp.tanh(y @ a + b) * (1 + c * xp.sin(2 * t))


def every_output(ys: Any) -> Any:
    """A loss that is not linear and that every output enters differently, the first as well."""
    return sum((i + 1) * (y[..., 0] * y[..., 1] + 2 * y[..., 1]).sum() for i, y in enumerate(ys))


def later_outputs(ys: Any) -> Any:
    """The same without the first output: g₀ is zero."""
    return every_output(ys) - (ys[0][..., 0] * ys[0][..., 1] + 2 * ys[0][..., 1]).sum()
