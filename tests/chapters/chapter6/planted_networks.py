"""The claims of ``claims_networks`` measured anew with a planted change each, for which the audit must raise."""

from itertools import islice
from typing import Any

import numpy as np

from nodelib.chapters.chapter6.crossing import reflected
from nodelib.experiments import augment, depth_limit, enough, swap
from nodelib.experiments.rings import Points, evaluations
from nodelib.experiments.verdicts import of_rings
from nodelib.models.rings import alone


def same_net_any_solver() -> dict[str, Any]:
    """Networks that RK4 trained in place of those that Euler's method trained."""
    models, points, end = swap.recorded()[swap.key("annuli", "rk4 4")], swap.points_of("annuli"), swap.ENDS["annuli"]
    found = [of_rings(models, i, points, swap.settings_of("rk4 4", end), end).verdict for i in range(2)]
    return {"coarse": np.mean([one == "discrete" for one in found]), "fine": 1.0, "lost": 0.15}


def resnet_limit() -> dict[str, Any]:
    """Layers that begin alike in place of independent ones."""
    found = depth_limit.measure(1, 1, (8,))["apart"]["tied"][0]
    return {"independent": min(found), "tied": max(found)}


def represents_anything() -> dict[str, Any]:
    """One dimension more for the plain network."""
    found = reflected("plain", seeds=2, iterations=80, augment=1)
    return {"plain": float((found.loss / found.floor).min()), "augmented": 0.0}


def depth_variance_suffices() -> dict[str, Any]:
    """The network with time gets one dimension more."""
    found = reflected("time as an input", seeds=2, iterations=80, augment=1)
    return {"time": float((found.loss / found.floor).min()), "start": 0.0}


def augmentation_fewer_evaluations() -> dict[str, Any]:
    """x → −x in place of the annuli."""
    models, (x, y) = augment.recorded(), augment.points_of("x → −x")
    plain, more = (
        [
            evaluations(alone(models[augment.key("x → −x", variant)], i), Points(x[i : i + 1], y[i : i + 1]))[0]
            for i in range(2)
        ]
        for variant in ("0", "1")
    )
    ratio = float(np.mean(np.divide(more, plain)))
    return {"line": ratio, "rings": ratio}


def rk4_enough() -> dict[str, Any]:
    """Euler's method in place of RK4."""
    found = [enough.within(case, (16,)).apart[:, 0] for case in islice(enough.rings(1), 2)]
    names = enough.METHODS
    nearer = [one[names.index("euler")] < one[names.index("dopri5")] for one in found]
    return {"at_16": sum(nearer), "of_16": len(nearer), "right": 1.0, "at_64": 16, "of_64": 39}


PLANTED = {
    function.__name__: function
    for function in (
        same_net_any_solver,
        resnet_limit,
        represents_anything,
        depth_variance_suffices,
        augmentation_fewer_evaluations,
        rk4_enough,
    )
}
