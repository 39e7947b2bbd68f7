"""ODE solvers in numpy, written to be read. ``nodelib.torch_ode`` has the same names, to be used."""

from nodelib.common.arguments import METHODS
from nodelib.numpy_ode.adjoint import odeint_adjoint
from nodelib.numpy_ode.checkpoint import odeint_checkpoint
from nodelib.numpy_ode.events import odeint_event
from nodelib.numpy_ode.solve import odeint, solve

__all__ = ["METHODS", "odeint", "odeint_adjoint", "odeint_checkpoint", "odeint_event", "solve"]
