"""The claims of ``claims_gradients`` measured anew with a planted change each, for which the audit must raise."""

from typing import Any

import numpy as np

from nodelib.chapters.chapter6 import batch, reverse, tolerances, which
from nodelib.chapters.chapter6.fields import exact, mild


def adapts_per_input() -> dict[str, Any]:
    """An odd sample that is hardly odd."""
    joint, odd, ordinary = batch.relaxing([1.5] + [1.0] * 99), batch.relaxing([1.5]), batch.relaxing([1.0])
    return {
        "joint": joint.nfe,
        "alone": ordinary.nfe,
        "odd_alone": odd.nfe,
        "error_joint": float(joint.worst[0]),
        "error_alone": float(odd.worst[0]),
    }


def accuracy_as_requested() -> dict[str, Any]:
    """A flow that contracts in place of one that expands."""
    contracting = tolerances.of_span(-1.0, 1e-6)[1][-1]
    return {"contracting": contracting, "expanding": tolerances.of_span(-0.5, 1e-6)[1][-1]}


def nfe_back_half() -> dict[str, Any]:
    """A way back that is looser than the way there."""
    found = tolerances.back_over_forward(1e-7, 1e-2)
    return {"least": found, "most": found}


def reverse_is_safe() -> dict[str, Any]:
    """A mild network in place of contractive ones."""
    field = mild(0)
    truth = exact(field)
    found = {way: reverse.tried(field, 1e-6, way, truth).error for way in ("adjoint", "checkpoint")}
    return {"mild": found["adjoint"], **found}


def memory_needs_adjoint() -> dict[str, Any]:
    """Checkpoints in place of a reversible solver."""
    return {"short": reverse.held("checkpoint", 10), "long": reverse.held("checkpoint", 20), "apart": 0.0}


def do_not_differentiate_the_solver() -> dict[str, Any]:
    """A solver that is not coarse."""
    dto, otd = (which.train(way, "rk4", 4, iterations=30).own for way in ("DtO", "OtD"))
    wins = int((dto < otd).sum())
    return {"wins": wins, "ratio": float(np.median(otd / dto)), "rk4_wins": wins}


def adjoint_is_one_state() -> dict[str, Any]:
    """A mean in place of a sum."""
    found = which.seminorm("mean", gain=1.0, seeds=3)
    return {
        "least": found.share.min(),
        "most": found.share.max(),
        "error": found.error_semi.max(),
        "tolerance": 1e-3,
    }


PLANTED = {
    function.__name__: function
    for function in (
        adapts_per_input,
        accuracy_as_requested,
        nfe_back_half,
        reverse_is_safe,
        memory_needs_adjoint,
        do_not_differentiate_the_solver,
        adjoint_is_one_state,
    )
}
