"""Second measurements of claims with another change planted, for bounds that the first ones do not reach."""

from typing import Any

import numpy as np

from nodelib.chapters.chapter6 import crossing, enough, reverse, slow, swap, tolerances, verdicts, which
from nodelib.chapters.chapter6.fields import contractive, mild
from nodelib.chapters.chapter6.slow_figures import gains
from nodelib.experiments import records
from nodelib.experiments.precision import in_precision


def same_net_any_solver() -> dict[str, Any]:
    """Networks by two Euler steps where finer ones are asked, and the other way round."""
    lost = 1 - swap.spread("annuli", "rk4 4", "dopri5")
    return {"coarse": 1.0, "fine": verdicts.share("ODE", "euler 2"), "lost": lost.min()}


def resnet_limit() -> dict[str, Any]:
    """The two beginnings exchanged."""
    found = verdicts.apart_by_depth()[1]
    return {"independent": found["tied"][-1].min(), "tied": found["independent"][-1].max()}


def represents_anything() -> dict[str, Any]:
    """No dimension more."""
    found = crossing.reflected("plain", seeds=2, iterations=10)
    return {"plain": 1.0, "augmented": (found.loss / found.floor).max()}


def depth_variance_suffices() -> dict[str, Any]:
    """Time in place of the start."""
    found = crossing.reflected("time as an input", seeds=2, iterations=10)
    return {"time": 1.0, "start": (found.loss / found.floor).max()}


def augmentation_fewer_evaluations() -> dict[str, Any]:
    """The annuli in place of x → −x."""
    ratio = crossing.recorded("nfe", "annuli", "1") / crossing.recorded("nfe", "annuli", "0")
    return {"line": ratio.max(), "rings": ratio.mean()}


def rk4_enough() -> dict[str, Any]:
    """Euler's method for what is right, and what was found with 16 evaluations in place of 64."""
    models = {name: found for name, found in enough.recorded().items() if "rings" in name}
    euler, sixteen = enough.METHODS.index("euler"), enough.BUDGETS.index(16)
    right = min(np.nanmin(found.right[:, euler, sixteen]) for found in models.values())
    of_16, at_16 = enough.won_by_rk4(models)[16]
    return {"of_16": 21, "at_16": 21, "right": right, "of_64": of_16, "at_64": at_16}


def accuracy_as_requested() -> dict[str, Any]:
    """A flow that expands in place of one that contracts."""
    return {"contracting": tolerances.of_span(1.0, 1e-6)[1][-1], "expanding": 1e4}


def reverse_is_safe() -> dict[str, Any]:
    """Contractive networks in place of mild ones, and the adjoint in place of checkpoints."""
    error = reverse.tried(contractive(0), 1e-6, "adjoint").error
    return {"mild": error, "adjoint": error, "checkpoint": error}


def memory_needs_adjoint() -> dict[str, Any]:
    """The adjoint's gradient in place of the reversible solver's."""
    return {"short": 1, "long": 1, "apart": reverse.tried(mild(0), 1e-6, "adjoint").error}


def adjoint_is_one_state() -> dict[str, Any]:
    """A tolerance of 1e-6 is asked, and the solve's is 1e-3."""
    found = which.seminorm("sum", gain=1.0, seeds=2)
    return {"least": found.share.min(), "most": found.share.max(), "error": found.error_semi.max(), "tolerance": 1e-6}


def implicit_would_help() -> dict[str, Any]:
    """The two kinds exchanged."""
    found = gains(records.read("implicit_cost"))
    return {"explicit": 1000, "implicit": 1, "stiff": found["large"], "large": found["stiff"]}


def low_precision() -> dict[str, Any]:
    """Double in place of int8, for the error; bfloat16 in its place, for the evaluations."""
    exact, bf16 = (in_precision(name, 1e-4) for name in ("double", "all bfloat16"))
    return {"exact": exact.nfe, "bf16": bf16.nfe, "tf32": exact.nfe, "int8": bf16.nfe, "error": exact.error}


def trace_is_cheap() -> dict[str, Any]:
    """Fresh draws in place of one."""
    fresh = slow.trace_cost(True, limit=30)
    return {"kept": fresh, "fresh": fresh}


def smooth_activations() -> dict[str, Any]:
    """The loose tolerance in place of the tight one, and softplus in place of ReLU."""
    costs = {name: slow.activation_cost(name, 1e-3, range(3)).mean() for name in ("softplus", "relu", "tanh")}
    return {"loose": costs["softplus"] / costs["tanh"], "tight": costs["relu"] / costs["tanh"]}


def fewer_parameters() -> dict[str, Any]:
    """Six blocks in place of one, and of the ODE-Net."""
    (six, _), (_, ode) = slow.mnist("resnet"), slow.mnist("odenet")
    mean = sum(ode) / 3
    return {"ode": mean, "six": mean, "block": mean, "parameters": six, "odes": six - 1, "resnets": six}


def rnn_cannot_irregular() -> dict[str, Any]:
    """The GRU in place of the plain RNN."""
    latent, gru = slow.spiral_errors("latent ODE", 30), slow.spiral_errors("gru-decay", 30)
    return {"gru": gru.max(), "latent": latent.min(), "rnn": gru.mean(), "mean": latent.mean()}


def adjoint_keeps_no_steps() -> dict[str, Any]:
    """The adjoint in place of backpropagation."""
    held = reverse.held("adjoint", 10)
    return {"short": held, "long": held, "backprop": held}


def accuracy_is_a_dial() -> dict[str, Any]:
    """Few and many evaluations exchanged."""
    return {"ratio": enough.farther_than_with_few(enough.recorded(), few=64, many=32), "lost": 1.0}


MORE = {
    function.__name__: function
    for function in (
        same_net_any_solver, resnet_limit, represents_anything, depth_variance_suffices, augmentation_fewer_evaluations,
        rk4_enough, accuracy_as_requested, reverse_is_safe, memory_needs_adjoint, adjoint_is_one_state,
        implicit_would_help, low_precision, trace_is_cheap, smooth_activations, fewer_parameters, rnn_cannot_irregular,
        adjoint_keeps_no_steps, accuracy_is_a_dial,
    )
}  # fmt: skip
