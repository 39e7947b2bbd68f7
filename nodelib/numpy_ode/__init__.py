"""ODE solvers in numpy, written to be read. ``nodelib.torch_ode`` has the same names, to be used."""

from nodelib.arguments import METHODS
from nodelib.numpy_ode.solve import odeint, solve

__all__ = ["METHODS", "odeint", "solve"]
