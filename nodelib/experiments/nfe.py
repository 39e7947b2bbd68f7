"""What a tolerance buys: evaluations forward and backward, seconds, and the errors of z(1) and of its gradient.

The numbers of Figure 3 of Chen et al. (2018): figures/fig3_nfe.py measures them on MNIST, chapter 3 live on the 8 × 8
digits. Results are plain dictionaries, fit for a record.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from nodelib.experiments.costs import seconds, unresolved_adjoints
from nodelib.models.odenet import ODENet
from nodelib.models.resnet import parameter_count
from nodelib.torch_ode import odeint_adjoint, odeint_checkpoint, solve

SPAN = torch.tensor([0.0, 1.0])
FORWARD: dict[str, dict[str, Any]] = {"dopri5": {"method": "dopri5"}, "VODE": {"method": "scipy:VODE"}}
BACKWARD: dict[str, dict[str, Any]] = {
    "dopri5": {"method": "dopri5", "adjoint_options": {"norm": "full"}},
    "seminorm": {"method": "dopri5", "adjoint_options": {"norm": "seminorm"}},
    "VODE": {"method": "scipy:VODE"},  # Adams, as in the paper; its norm is one RMS over all of [z, a, dL/dθ]
}
LOSSES = ("mean", "unit")
ROWS = ("forward", "backward", "batches")
WHAT = ("solver", "loss", "tol", "batch")  # of a row: what was measured, not what came out


def figure3(
    net: ODENet,
    x: Tensor,
    y: Tensor,
    forward: Sequence[float] = (1e-1, 1e-2, 1e-3, 1e-4),
    backward: Sequence[float] = (1e-1, 1e-2, 1e-3),
    batches: Sequence[int] = (1,),
    reference: float = 1e-6,
    repeats: int = 3,
    groups: int = 4,
) -> dict[str, Any]:
    """The numbers of panels a, b and c of Figure 3, of a trained ``net`` on images ``x`` with labels ``y``.

    ``forward`` and ``backward`` are the tolerances, relative and absolute, of ``forward_rows`` and ``backward_rows``;
    ``batches`` and ``groups`` those of ``batch_rows``; ``reference`` the tolerance of ``exact``.

    Returns "batch", "state" (the entries of z for one image), "parameters" (of f), "reference" (its "tol" and "nfe",
    how much z(1) and the gradient change from ten times that tolerance, and "rms" of dL/dz(1)); and the rows "forward",
    "backward" and "batches". ``together`` makes one of several, each of other images.
    """
    truth, coarser = (exact(net, x, y, tol) for tol in (reference, 10 * reference))
    return {
        "batch": len(y),
        "state": truth.z[0].numel(),
        "parameters": parameter_count(_parts(net)[1]),
        "reference": {
            "tol": reference,
            "nfe": truth.nfe_forward,
            "z_change": relative(coarser.z, truth.z),
            "gradient_change": relative(coarser.value, truth.value),
            "rms": truth.rms,
        },
        "forward": forward_rows(net, x, truth, forward, repeats),
        "backward": backward_rows(net, x, y, truth, backward),
        "batches": batch_rows(net, x, y, batches, reference=reference, groups=groups),
    }


class Gradient(NamedTuple):
    """z(1), dL/dθ of f as one vector, L being the mean cross-entropy; and the evaluations that they took.

    ``rms`` is the root mean square of the entries of dL/dz(1).
    """

    z: Tensor
    value: Tensor
    rms: float
    nfe_forward: int
    nfe_backward: int


def gradient(
    net: ODENet, x: Tensor, y: Tensor, way: Callable = odeint_adjoint, loss: str = "mean", **settings: Any
) -> Gradient:
    """The gradient of the parameters of f, by ``way`` with the solver's ``settings``.

    loss: "mean" begins the way back with dL/dz(1) as it is, "unit" with dL/dz(1) scaled to a root mean square of 1,
          about as large as z, and scales the result back. Raises ValueError for another.
    """
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, not {loss!r}")
    stem, field, head = _parts(net)
    before = field.nfe
    with torch.no_grad():
        start = stem(x)
    z = way(field, start, SPAN, **settings)[-1]
    between = field.nfe
    end = z.detach().requires_grad_()
    (g,) = torch.autograd.grad(F.cross_entropy(head(end), y), end)
    rms = float(g.square().mean().sqrt())
    scale = 1.0 if loss == "mean" else 1 / rms
    with unresolved_adjoints():
        parts = torch.autograd.grad(z, tuple(field.parameters()), scale * g)
    value = torch.cat([part.reshape(-1) for part in parts]) / scale
    return Gradient(end.detach(), value, rms, between - before, field.nfe - between)


def exact(net: ODENet, x: Tensor, y: Tensor, tol: float) -> Gradient:
    """``gradient`` of the flow itself: in double precision, differentiated through the steps of dopri5 at ``tol``."""
    twin = copy.deepcopy(net).double()
    return gradient(twin, x.double(), y, odeint_checkpoint, method="dopri5", rtol=tol, atol=tol)


def forward_rows(
    net: ODENet, x: Tensor, truth: Gradient, tolerances: Sequence[float], repeats: int = 3
) -> list[dict[str, Any]]:
    """Panels a and b: for each tolerance and "solver" of ``FORWARD`` the evaluations "nfe", the "error" of z(1),
    |z - exact| / |exact| over the whole batch, and the "seconds" of the solve, the shortest of ``repeats``."""
    stem, field, _ = _parts(net)
    rows = []
    with torch.no_grad():
        z = stem(x)
        for tol in tolerances:
            for solver, settings in FORWARD.items():
                job = partial(solve, field, z, SPAN, rtol=tol, atol=tol, **settings)
                sol, (shortest,) = job(), seconds([job], repeats)
                row = {"nfe": sol.stats.nfe, "error": relative(sol.y[-1], truth.z), "seconds": shortest}
                rows.append({"solver": solver, "tol": tol, **row})
    return rows


def backward_rows(
    net: ODENet,
    x: Tensor,
    y: Tensor,
    truth: Gradient,
    tolerances: Sequence[float],
    solvers: Sequence[str] = ("checkpoint", *BACKWARD),
) -> list[dict[str, Any]]:
    """Panel c: for each tolerance, "solver" and "loss" the evaluations "nfe_forward" and "nfe_backward" and the "error"
    of dL/dθ, relative as that of z.

    The solvers are those of ``BACKWARD`` by the adjoint, and "checkpoint": dopri5 differentiated through its steps,
    for which the scale of the loss is nothing. Its gradient is that of the loss as computed. Where it is among the
    solvers, first, the rows of dopri5's adjoint say how far they are from it: "from_computed", relative, and "cosine".
    """
    rows = []
    for tol in tolerances:
        computed = None
        for solver in solvers:
            way = odeint_checkpoint if solver == "checkpoint" else odeint_adjoint
            for loss in LOSSES[:1] if solver == "checkpoint" else LOSSES:
                got = gradient(net, x, y, way, loss, rtol=tol, atol=tol, **BACKWARD.get(solver, {}))
                row: dict[str, float] = {"nfe_forward": got.nfe_forward, "nfe_backward": got.nfe_backward}
                row["error"] = relative(got.value, truth.value)
                if solver == "checkpoint":
                    computed = got.value
                elif computed is not None and BACKWARD[solver]["method"] == "dopri5":
                    row["from_computed"] = relative(got.value, computed)
                    row["cosine"] = float(F.cosine_similarity(got.value, computed, dim=0))
                rows.append({"solver": solver, "loss": loss, "tol": tol, **row})
    return rows


def batch_rows(
    net: ODENet,
    x: Tensor,
    y: Tensor,
    sizes: Sequence[int],
    tol: float = 1e-3,
    reference: float = 1e-6,
    groups: int = 4,
) -> list[dict[str, Any]]:
    """As ``backward_rows``, for smaller batches at one tolerance: means over the first ``groups`` of each size, which
    is "batch". The fewer images, the larger is the share of dL/dθ in the backward state [z, a, dL/dθ]."""
    rows = []
    for size in sizes:
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for images, labels in list(zip(x.split(size), y.split(size), strict=True))[:groups]:
            truth = exact(net, images, labels, reference)
            for row in backward_rows(net, images, labels, truth, (tol,), ("dopri5", "VODE")):
                found.setdefault((row["solver"], row["loss"]), []).append(row)
        for same in found.values():
            means = {key: sum(r[key] for r in same) / len(same) for key in ("nfe_forward", "nfe_backward", "error")}
            rows.append({**same[0], **means, "batch": size})
    return rows


def together(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several results of ``figure3``, for as many sets of images, as one: in each row the means of what was measured,
    and under "all" the lists of it. What says what was measured ("solver", "loss", "tol", "batch") stays."""
    same = {key: parts[0][key] for key in ("batch", "state", "parameters")}
    rows = {key: [_mean(of) for of in zip(*(part[key] for part in parts), strict=True)] for key in ROWS}
    return {**same, "reference": _mean([part["reference"] for part in parts]), **rows}


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found = {key: [row[key] for row in rows] for key in rows[0] if key not in WHAT}
    return {**rows[0], **{key: sum(values) / len(values) for key, values in found.items()}, "all": found}


def ratio(row: Mapping[str, Any]) -> float:
    """NFE-B / NFE-F of one row."""
    return row["nfe_backward"] / row["nfe_forward"]


def relative(x: Tensor, reference: Tensor) -> float:
    """|x - reference| / |reference|, Euclidean over all entries."""
    return float((x.to(reference) - reference).norm() / reference.norm())


def _parts(net: ODENet) -> tuple[Any, Any, Any]:
    """Stem, field and head."""
    stem, block, head = net
    return stem, block.field, head
