"""Numbers of § 6.4: what uniqueness forbids, and three ways around it, one of which is none."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nodelib.experiments import augment, records
from nodelib.experiments.rings import EXACT, Points, evaluations, losses, reflection, solver, train
from nodelib.models.rings import NeuralODEs, alone
from nodelib.torch_ode import odeint

WAYS: dict[str, dict[str, Any]] = {  # how a network on the line is given more, in the words of the chapter
    "plain": {},
    "time as an input": {"time": True},
    "one dimension more": {"augment": 1},
    "its start as an input": {"control": True},
}
TIMES = 41


def root(t: Tensor, z: Tensor) -> Tensor:
    """Peano's field z' = z^(1/3), continuous, and with infinite slope at 0."""
    return z.sign() * z.abs() ** (1 / 3)


def leaves(t: Any) -> Any:
    """(2t/3)^(3/2), which begins at 0 as well."""
    return (2 * np.asarray(t) / 3) ** 1.5


class Reflected(NamedTuple):
    """Networks of ten seeds that were trained to take x to -x, for one of ``WAYS``.

    loss: of the flow itself, (seeds,); floor: of the best map that keeps the order, the variance of the seed's points;
    nfe:  evaluations of a solve at 1e-6.
    """

    models: NeuralODEs
    loss: np.ndarray
    floor: np.ndarray
    nfe: np.ndarray


def reflected(way: str, seeds: int = 10, iterations: int = 120, **more: Any) -> Reflected:
    """Train networks of 16 units on 30 points each, by four steps of RK4; ``more`` are further keywords of theirs."""
    points = reflection(range(seeds), 30)
    models = NeuralODEs(range(seeds), 1, hidden=16, classify=False, **WAYS[way] | more)
    train(models, points, solver("rk4", 4), iterations=iterations, lr=3e-2)
    floor = points.y.var(1, correction=0)[:, 0]
    nfe = np.array(evaluations(models, points))
    return Reflected(models, losses(models, points, EXACT).numpy(), floor.numpy(), nfe)


@torch.no_grad()
def paths(models: NeuralODEs, i: int, x: Tensor, tol: float = 1e-7) -> np.ndarray:
    """(TIMES, n, dim): the states of model number i from points x, (n, data's dimensions), at even times in [0, 1]."""
    one, times = alone(models, i), torch.linspace(0, 1, TIMES, dtype=torch.float64)
    return odeint(one.field, one.start(x[None]), times, rtol=tol, atol=tol)[:, 0].numpy()


# --- the explorer -----------------------------------------------------------------------------------------------------


class Augmented(NamedTuple):
    """A recorded network, and its paths from the first points of its training.

    paths: (TIMES, n, dim). side: (TIMES, n, 2), the same seen from another side: on the line (x, first dimension
           added, or 0); in the plane (how far from where the head is undecided, the direction of largest variance
           beside that).
    label: ±1 of each point; on the line the sign of x.
    """

    data: str
    more: str
    seed: int
    paths: np.ndarray
    side: np.ndarray
    label: np.ndarray
    loss: float
    nfe: int
    accuracy: float | None


class Augmentations:
    """The recorded trainings; ``at`` has computed each setting once. ``shown`` is how many paths are drawn."""

    def __init__(
        self, models: Mapping[str, NeuralODEs] | None = None, record: Mapping[str, Any] | None = None, shown: int = 40
    ):
        self.models, self.record = models or augment.recorded(), record or records.read(augment.NAME)
        self.shown = shown
        self._found: dict[tuple, Augmented] = {}

    def at(self, data: str, more: str, seed: int) -> Augmented:
        """What is seen at one setting."""
        setting = data, more, seed
        if setting not in self._found:
            key = augment.key(data, more)
            models, points = self.models[key], augment.points_of(data, self.record["seeds"])
            found = paths(models, seed, points.x[seed, : self.shown])
            accuracies = self.record["accuracy"].get(key)
            self._found[setting] = Augmented(
                *setting,
                found,
                side_view(models, seed, found),
                _labels(points, seed)[: self.shown],
                self.record["loss"][key][seed],
                self.record["nfe"][key][seed],
                None if accuracies is None else accuracies[seed],
            )
        return self._found[setting]

    def recorded(self, what: str, data: str) -> np.ndarray:
        """ "loss" or "nfe" of all variants on these data: (variants, seeds)."""
        return np.array([self.record[what][augment.key(data, more)] for more in augment.VARIANTS])


def recorded(what: str, data: str, more: str) -> np.ndarray:
    """ "loss", "nfe" or "accuracy" of ten seeds, as figures/augmentation.py recorded them."""
    return np.array(records.read(augment.NAME)[what][augment.key(data, more)])


def _labels(points: Points, seed: int) -> np.ndarray:
    y = points.y[seed]
    return (y if y.ndim == 1 else -y[:, 0].sign()).numpy()


def side_view(models: NeuralODEs, i: int, found: np.ndarray) -> np.ndarray:
    """Paths (times, n, dim) seen from another side: (times, n, 2), as ``Augmented`` says."""
    if models.head is None:
        return found[..., :2] if found.shape[-1] > 1 else np.concatenate([found, 0 * found], -1)
    normal = models.head[i, :, 0].detach().numpy()
    normal = normal / np.linalg.norm(normal)
    along = found @ normal
    rest = found - along[..., None] * normal
    _, _, axes = np.linalg.svd((rest - rest.mean((0, 1))).reshape(-1, rest.shape[-1]), full_matrices=False)
    return np.stack([along, rest @ axes[0]], -1)
