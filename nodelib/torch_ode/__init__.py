"""ODE solvers in torch, to be used on CPU and GPU. ``nodelib.numpy_ode`` has the same names, to be read."""

from nodelib.common.arguments import METHODS
from nodelib.torch_ode.adjoint import odeint_adjoint
from nodelib.torch_ode.checkpoint import odeint_checkpoint
from nodelib.torch_ode.events import odeint_event
from nodelib.torch_ode.reversible import odeint_reversible
from nodelib.torch_ode.solve import odeint, solve

__all__ = ["METHODS", "odeint", "odeint_adjoint", "odeint_checkpoint", "odeint_event", "odeint_reversible", "solve"]
