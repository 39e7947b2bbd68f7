"""The numbers of chapter 3's explorer: a trained ODE-Net by any solver, on a test set and on a few images in detail."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nodelib.data.images import Images
from nodelib.data.sample import mnist_sample
from nodelib.experiments import records
from nodelib.experiments.nfe import relative
from nodelib.models.odenet import ODENet
from nodelib.models.table1 import trained
from nodelib.torch_ode import solve

RUN = "mnist_odenet_12epochs_seed0"
STEPS = (1, 2, 4, 8, 16)
TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
LEVELS = range(5)  # one of STEPS for a fixed-step method, one of TOLERANCES for an adaptive one
SOLVERS = ("euler", "midpoint", "rk4", "dopri5")
TIGHT = {"method": "dopri5", "rtol": 2e-6, "atol": 2e-6}  # single precision resolves no more
SPAN = (0.0, 1.0)
TIMES = np.linspace(*SPAN, 41)
STOPS = np.linspace(*SPAN, 9)


def settings(solver: str, level: int) -> dict[str, Any]:
    """What ``solve`` gets for one of ``SOLVERS`` at one of ``LEVELS``, from coarse to fine."""
    if solver == "dopri5":
        return {"method": solver, "rtol": TOLERANCES[level], "atol": TOLERANCES[level]}
    return {"method": solver, "options": {"step_size": 1 / STEPS[level]}}


@torch.no_grad()
def measure(net: ODENet, images: Images, batch: int = 1000) -> dict[str, Any]:
    """What the solver does to the test: a tight solve, and every solver at every level. Fit for a record.

    "exact":    of the tight solve its "tol", "nfe" and "accuracy".
    "rows":     of each "solver" and "level" the "nfe" (mean over the batches), the "accuracy", the share of images that
                "changed" class against the tight solve, and the relative "error" of z(1), all images taken as one.
    "stopped":  the "accuracy" where the head is asked at a time "t" of the tight solve instead of at its end.
    """
    stem, block, head = net
    starts = [stem(x) for x in images.x.split(batch)]

    def run(times: Any, chosen: dict[str, Any]) -> tuple[Tensor, Tensor, float]:
        """z(1), the classes at each of the times, (n, images), and the mean evaluations."""
        ends, classes, costs = [], [], []
        for z in starts:
            sol = solve(block.field, z, times, **chosen)  # type: ignore[arg-type]
            ends.append(sol.y[-1])
            classes.append(torch.stack([head(state).argmax(1) for state in sol.y]))
            costs.append(sol.stats.nfe)
        return torch.cat(ends), torch.cat(classes, 1), float(np.mean(costs))

    exact, classes, nfe = run(STOPS, TIGHT)
    rows = []
    for solver in SOLVERS:
        for level in LEVELS:
            ends, said, cost = run(SPAN, settings(solver, level))
            row = {"accuracy": share(said[-1] == images.y), "changed": share(said[-1] != classes[-1])}
            rows.append({"solver": solver, "level": level, "nfe": cost, **row, "error": relative(ends, exact)})
    stopped = [share(said == images.y) for said in classes]
    return {
        "exact": {"tol": TIGHT["rtol"], "nfe": nfe, "accuracy": stopped[-1]},
        "rows": rows,
        "stopped": {"t": STOPS.tolist(), "accuracy": stopped},
    }


def share(which: Tensor) -> float:
    """How many are true, from 0 to 1."""
    return int(which.sum()) / len(which)


def recorded() -> dict[str, Any]:
    """The record of ``figures/test_time.py``: what ``measure`` says of MNIST's 10,000 test images."""
    return records.read("mnist_test_time")


class Path(NamedTuple):
    """Images on their way, at the times ``t`` (n,).

    plane:  (n, images, 2), what the head would score at t, in the plane of ``Digits``.
    says:   (n, images, 10), the probabilities that these scores mean.
    error:  (images,), the relative error of z(1).
    """

    t: np.ndarray
    plane: np.ndarray
    says: np.ndarray
    error: np.ndarray


class Digits:
    """``images`` on their way through an ODE-Net: ``exact`` by a tight solve, ``path(solver, level)`` by any other.

    The plane is spanned by the two principal components of the head's ten scores at the end of the exact paths.
    """

    def __init__(self, net: ODENet, images: Images):
        stem, block, self.head = net
        self.images, self.field = images, block.field
        with torch.no_grad():
            self.start = stem(images.x)
            states = solve(self.field, self.start, TIMES, **TIGHT).y  # type: ignore[arg-type]
            scores = self.head(states[-1]).double()
        self.end, self.centre = states[-1], scores.mean(0)
        self.axes = principal(scores - self.centre)
        self.exact = self._read(TIMES, states)
        self.path = cache(self._path)

    @torch.no_grad()
    def _path(self, solver: str, level: int) -> Path:
        chosen = settings(solver, level)
        sol = solve(self.field, self.start, SPAN, dense=True, **chosen)  # type: ignore[arg-type]
        t = [step.t for step in sol.steps if step.accepted] + [SPAN[1]]
        return self._read(np.array(t), torch.stack([sol(s) for s in t]))

    @torch.no_grad()
    def _read(self, t: np.ndarray, states: Tensor) -> Path:
        scores = self.head(states.flatten(0, 1)).double().unflatten(0, states.shape[:2])
        error = [relative(z, end) for z, end in zip(states[-1], self.end, strict=True)]
        return Path(t, ((scores - self.centre) @ self.axes).numpy(), F.softmax(scores, 2).numpy(), np.array(error))


def principal(x: Tensor) -> Tensor:
    """(k, 2): the two directions in which the centred x (n, k) vary most, each with its largest entry above 0."""
    axes = torch.linalg.eigh(x.T @ x)[1][:, [-1, -2]]
    return axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()


@cache
def sample_digits() -> Digits:
    """The fifty digits that come with the book, in the trained network."""
    return Digits(trained(RUN), mnist_sample())  # type: ignore[arg-type]


class Moment(NamedTuple):
    """What the explorer shows: one image by one solver, its path and the exact one, and the record's ``row`` of all.

    ``label`` is the digit that the image is, ``said`` (images,) the class of each at the end of the path.
    """

    solver: str
    level: int
    image: int
    label: int
    path: Path
    exact: Path
    said: np.ndarray
    row: dict[str, Any]

    @property
    def settled(self) -> float:
        """The time from which the head, on the exact path, says what it says at the end."""
        classes = self.exact.says[:, self.image].argmax(1)
        return float(self.exact.t[np.max(np.flatnonzero(classes != classes[-1]), initial=-1) + 1])


def moment(digits: Digits, record: dict[str, Any], solver: str, level: int, image: int) -> Moment:
    """The explorer's numbers; ``record`` is what ``measure`` returned."""
    (row,) = (row for row in record["rows"] if (row["solver"], row["level"]) == (solver, level))
    path = digits.path(solver, level)
    label, said = int(digits.images.y[image]), path.says[-1].argmax(1)
    return Moment(solver, level, image, label, path, digits.exact, said, row)
