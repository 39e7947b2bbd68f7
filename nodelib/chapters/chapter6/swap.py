"""Numbers of §§ 6.1 and 6.2: a small network trained by one solver and solved by another, its paths and its regions."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nodelib.experiments import records, swap
from nodelib.experiments.rings import EXACT, Points
from nodelib.experiments.swap import ENDS, SOLVED, TRAINED
from nodelib.models.rings import NeuralODEs, alone
from nodelib.torch_ode import odeint

REACH, SIDE = 1.7, 61  # the square in which regions are shown, and its points a side
SHOWN = 40  # points whose paths are drawn
SMOOTH = 33  # times at which a path by an adaptive solver is drawn


class Swapped(NamedTuple):
    """A network trained by one solver and solved by another.

    paths:    (times, SHOWN, 2), those of the first points: at the steps of a fixed-step solver, else at even times.
    region:   (SIDE, SIDE) of bool, rows along the second axis: where the network says "inner".
    accuracy: the share of its training points that it has right; ``own`` that with the training's solver.
    line:     (2, 2), two far points of the line in the space of final states on which the head is undecided.
    """

    data: str
    trained: str
    solved: str
    seed: int
    paths: np.ndarray
    region: np.ndarray
    accuracy: float
    own: float
    line: np.ndarray


class Swap:
    """The recorded trainings, by any solver; ``at`` has computed each setting once.

    models, record: by default those of ``figures/solver_swap.py``.
    """

    def __init__(self, models: Mapping[str, NeuralODEs] | None = None, record: Mapping[str, Any] | None = None):
        self.models, self.record = models or swap.recorded(), record or recorded()
        self.points = {data: swap.points_of(data, self.record["seeds"]) for data in ENDS}
        self._found: dict[tuple, Swapped] = {}

    def accuracies(self, data: str, seed: int) -> np.ndarray:
        """(TRAINED, SOLVED): the accuracy of each training under each solver, for one seed."""
        found = self.record["accuracy"]
        return np.array([[found[swap.key(data, by)][to][seed] for to in SOLVED] for by in TRAINED])

    def at(self, data: str, trained: str, solved: str, seed: int) -> Swapped:
        """What is seen at one setting."""
        setting = data, trained, solved, seed
        if setting not in self._found:
            one = alone(self.models[swap.key(data, trained)], seed)
            own = Points(*(part[seed : seed + 1] for part in self.points[data]))
            end = ENDS[data]
            table = self.accuracies(data, seed)[TRAINED.index(trained)]
            self._found[setting] = Swapped(
                *setting,
                paths_of(one, own.x[:, :SHOWN], swap.settings_of(solved, end), end),
                region_of(one, swap.settings_of(solved, end), end),
                float(table[SOLVED.index(solved)]),
                float(table[SOLVED.index(trained)]),
                undecided(one),
            )
        return self._found[setting]


@torch.no_grad()
def paths_of(one: NeuralODEs, x: Tensor, settings: dict[str, Any], end: float) -> np.ndarray:
    """(times, n, dim) of one network's states from points x, (1, n, 2): at each step of a solver with fixed ones."""
    step = settings.get("options", {}).get("step_size")
    times = torch.linspace(0, end, round(end / step) + 1 if step else SMOOTH, dtype=torch.float64)
    return odeint(one.field, one.start(x), times, **settings)[:, 0].numpy()


@torch.no_grad()
def region_of(one: NeuralODEs, settings: dict[str, Any], end: float, reach: float = REACH) -> np.ndarray:
    """Where in the square [-reach, reach]² one network says "inner": (SIDE, SIDE), rows along the second axis."""
    axis = torch.linspace(-reach, reach, SIDE, dtype=torch.float64)
    second, first = torch.meshgrid(axis, axis, indexing="ij")
    x = torch.stack([first, second], -1).reshape(1, -1, 2)
    z = odeint(one.field, one.start(x), torch.tensor([0.0, end]).double(), **settings)[-1]
    return (one.read(z)[0] > 0).reshape(SIDE, SIDE).numpy()


def undecided(one: NeuralODEs, far: float = 1e3) -> np.ndarray:
    """(2, 2): two points of the line through 0 on which the head's logit is 0."""
    assert one.head is not None
    a, b = one.head[0, :2, 0].detach().numpy()
    along = np.array([-b, a]) / np.hypot(a, b)
    return np.array([-far * along, far * along])


@cache
def recorded() -> dict[str, Any]:
    """The record of figures/solver_swap.py: "accuracy" and "loss", training -> solver -> one a seed."""
    return records.read(swap.NAME)


def spread(data: str, trained: str, solved: str, what: str = "accuracy") -> np.ndarray:
    """What is recorded of all seeds of one training under one solver."""
    return np.array(recorded()[what][swap.key(data, trained)][solved])


def by_solver(models: NeuralODEs, points: Points, seed: int, end: float, steps: tuple[int, ...]) -> dict[str, Any]:
    """For figure 6.1: name -> (paths, region) of one network under Euler's method with so many steps and exactly."""
    one, x = alone(models, seed), points.x[seed : seed + 1, :SHOWN]
    plans = {f"Euler, {n} steps": {"method": "euler", "options": {"step_size": end / n}} for n in steps}
    plans["solved accurately"] = EXACT
    return {name: (paths_of(one, x, plan, end), region_of(one, plan, end)) for name, plan in plans.items()}
