"""The claims of ``claims_that_hold`` measured anew with a planted change each, for which the audit must raise."""

from typing import Any

from nodelib.chapters.chapter6 import enough, reverse, slow, swap
from nodelib.chapters.chapter6.fields import contractive


def adjoint_is_the_gradient() -> dict[str, Any]:
    """A contractive network in place of a mild one."""
    loose, tight = (reverse.tried(contractive(0), tol, "adjoint").error for tol in (1e-3, 1e-9))
    return {"loose": loose, "tight": tight}


def adjoint_keeps_no_steps() -> dict[str, Any]:
    """Checkpoints in place of the adjoint."""
    short, long = (reverse.held("checkpoint", n) for n in (10, 50))
    return {"short": short, "long": long, "backprop": 10**9}


def accuracy_is_a_dial() -> dict[str, Any]:
    """Networks that RK4 trained in place of those by two Euler steps: nothing is lost that could be."""
    lost = 1 - swap.spread("annuli", "rk4 4", "dopri5")
    return {"ratio": enough.farther_than_with_few(enough.recorded()), "lost": float(lost.min())}


def as_accurate_as_a_resnet() -> dict[str, Any]:
    """The multilayer perceptron in place of the ODE-Net."""
    (_, ode), (_, resnet) = slow.mnist("mlp"), slow.mnist("resnet")
    return {"ode": sum(ode) / 3, "resnet": sum(resnet) / 3}


def density_by_trace() -> dict[str, Any]:
    """A thousandth of the trace is left out."""
    return {"off": slow.trace_against_determinant(0.999)}


PLANTED = {
    function.__name__: function
    for function in (
        adjoint_is_the_gradient, adjoint_keeps_no_steps, accuracy_is_a_dial, as_accurate_as_a_resnet, density_by_trace,
    )
}  # fmt: skip
