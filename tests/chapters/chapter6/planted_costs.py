"""Measurements for ``claims_costs`` with a change planted in each, which the claim's bounds must notice."""

from nodelib.chapters.chapter6 import slow
from nodelib.experiments.growth import Penalty, growth, ring_models
from nodelib.experiments.precision import in_precision
from nodelib.experiments.rings import solver
from nodelib.experiments.stiffness import both


def untrained() -> dict[str, float]:
    """Five iterations in the place of a hundred."""
    found = growth(*ring_models([0, 0]), Penalty(1, (0.0, 0.01)), 5, 5, settings=solver("rk4", 4))
    first, (plain, penalised) = found.nfe[0][0], found.nfe[-1]
    equal = {"equal": penalised, "plain_at_equal": plain}
    return {"first": first, "plain": plain, "accuracy": min(found.accuracy), **equal}


def mild() -> dict[str, float]:
    """A rate of 1 in the place of 1,000."""
    found = both(20, 1.0)
    implicit = found["implicit"].nfe + 20 * found["implicit"].jacobians
    return {"explicit": found["dopri5"].nfe, "implicit": implicit, "stiff": 50.0, "large": 0.2}


def loose() -> dict[str, float]:
    """A tolerance of 1e-3 in the place of 1e-6."""
    names = {"exact": "double", "bf16": "all bfloat16", "tf32": "TF32 products", "int8": "weights in int8"}
    found = {key: in_precision(name, 1e-3) for key, name in names.items()}
    return {key: one.nfe for key, one in found.items()} | {"error": found["int8"].error}


def one_draw() -> dict[str, float]:
    """One draw in the place of fresh ones."""
    return {"kept": slow.trace_cost(False), "fresh": slow.trace_cost(False, seed=1)}


def softplus() -> dict[str, float]:
    """Softplus in the place of ReLU."""
    loose, tight = (
        slow.activation_cost("softplus", tol).mean() / slow.activation_cost("tanh", tol).mean() for tol in (1e-3, 1e-7)
    )
    return {"loose": float(loose), "tight": float(tight)}


def no_block() -> dict[str, float]:
    """No residual block in the place of one."""
    (odes, ode), (resnets, six), (parameters, block) = (slow.mnist(name) for name in ("odenet", "resnet", "resnet0"))
    means = {name: sum(found) / 3 for name, found in (("ode", ode), ("six", six), ("block", block))}
    return means | {"parameters": parameters, "odes": odes, "resnets": resnets}


def plain_rnn() -> dict[str, float]:
    """A plain RNN in the place of the GRU."""
    latent, rnn = slow.spiral_errors("latent ODE", 30), slow.spiral_errors("rnn", 30)
    return {"gru": rnn.max(), "latent": latent.min(), "rnn": rnn.mean(), "mean": latent.mean()}


PLANTED = {
    "nfe_grows_for_complexity": untrained,
    "implicit_would_help": mild,
    "low_precision": loose,
    "trace_is_cheap": one_draw,
    "smooth_activations": softplus,
    "fewer_parameters": no_block,
    "rnn_cannot_irregular": plain_rnn,
}
