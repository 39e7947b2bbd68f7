"""Van der Pol's oscillator, whose adjoint fails: the way back, kept in between."""

from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import make_vjp
from numpy.typing import NDArray

from nodelib.numpy_ode import odeint

Array = NDArray[Any]

START, END, MU = np.array([2.0, 0.0]), 8.0, np.array(5.0)


def field(t: Any, z: Any, mu: Any) -> Any:
    """x' = v, v' = μ (1 - x²) v - x for z = (x, v)."""
    return anp.array([z[1], mu * (1 - z[0] ** 2) * z[1] - z[0]])  # type: ignore[attr-defined]


def augmented(t: float, state: Array) -> Array:
    """d/dt [z, a, a_μ] = [f, -a ∂f/∂z, -a ∂f/∂μ]."""
    product, f = make_vjp(lambda z, mu: field(t, z, mu), (0, 1))(state[:2], MU)  # type: ignore[misc]
    by_z, by_mu = product(-state[2:4])
    return np.concatenate([f, by_z, [by_mu]])


def back_from_the_end(tolerance: float, stop: float = 0.0) -> tuple[Array, Array]:
    """Times from END down to ``stop``, and [x, v, a, a_μ] there, as Algorithm 1 solves them for L = x(END)."""
    end = odeint(lambda t, z: field(t, z, MU), START, [0.0, END], rtol=tolerance, atol=tolerance)[-1]
    times = np.linspace(END, stop, 200)
    return times, odeint(augmented, np.array([*end, 1.0, 0.0, 0.0]), times, rtol=tolerance, atol=tolerance)


def truth() -> tuple[Array, Array]:
    """The same from the exact path: its states are solved forwards, and the adjoint between the stored states."""
    times = np.linspace(0.0, END, 201)
    states = odeint(lambda t, z: field(t, z, MU), START, times, rtol=1e-11, atol=1e-12)
    out = np.zeros((len(times), 5))
    out[-1] = [*states[-1], 1.0, 0.0, 0.0]
    for k in range(len(times) - 1, 0, -1):
        ends = times[[k, k - 1]]
        out[k - 1] = [
            *states[k - 1],
            *odeint(augmented, out[k], ends, method="rk4", options={"step_size": 1e-2})[-1][2:],
        ]
    return times, out
