"""Solver swap: networks trained by one solver, solved by others. ``figures/solver_swap.py`` records it."""

from typing import Any

from torch import Tensor

from nodelib.experiments.rings import DATA, Points, accuracy, losses, solver, train
from nodelib.models.rings import NeuralODEs
from nodelib.models.trained_rings import packed, trained_rings, unpacked

ENDS = {"annuli": 2.0, "circles": 1.0}  # data -> the end of the solve
_STEPS = {
    "euler 2": ("euler", 2),
    "euler 4": ("euler", 4),
    "euler 8": ("euler", 8),
    "euler 32": ("euler", 32),
    "midpoint 4": ("midpoint", 4),
    "rk4 4": ("rk4", 4),
}
SOLVED = (*_STEPS, "dopri5")  # by what a trained network is solved
TRAINED = ("euler 2", "euler 8", "midpoint 4", "rk4 4", "dopri5")  # by what it was trained
TOL = 1e-3  # of dopri5
NAME = "solver_swap"


def settings_of(name: str, end: float) -> dict[str, Any]:
    """The keywords of the solver called ``name`` from 0 to ``end``: "euler 2" has two steps, dopri5 a tolerance."""
    if name == "dopri5":
        return solver("dopri5", tol=TOL)
    if name not in _STEPS:
        raise KeyError(f"no solver is called {name!r}; there are {', '.join(SOLVED)}")
    return solver(*_STEPS[name], end=end)


def key(data: str, trained: str) -> str:
    """The name of a training in checkpoint and record."""
    return f"{data}, {trained}"


def train_all(seeds: int = 10, iterations: int = 500) -> dict[str, Tensor]:
    """All trainings, ten seeds each: the parameters for a file, in single precision, by which all is measured."""
    models = {}
    for data, end in ENDS.items():
        points = DATA[data](range(seeds))
        for trained in TRAINED:
            models[key(data, trained)] = one = NeuralODEs(range(seeds))
            train(one, points, settings_of(trained, end), end, iterations)
    return packed(models)


def measure(state: dict[str, Tensor], seeds: int = 10) -> dict[str, Any]:
    """Accuracy and loss of all seeds, a list for each training and solver: found["accuracy"][training][solver]."""
    found: dict[str, Any] = {"accuracy": {}, "loss": {}}
    for name, models in unpacked(state, _kinds()).items():
        data = name.partition(",")[0]
        points, end = DATA[data](range(seeds)), ENDS[data]
        for what, function in (("accuracy", accuracy), ("loss", losses)):
            found[what][name] = {by: function(models, points, settings_of(by, end), end).tolist() for by in SOLVED}
    return found


def recorded() -> dict[str, NeuralODEs]:
    """The trained models, ten seeds each, by ``key``."""
    return trained_rings(NAME, _kinds())


def points_of(data: str, seeds: int = 10) -> Points:
    """What they were trained on."""
    return DATA[data](range(seeds))


def _kinds() -> dict[str, dict[str, Any]]:
    return {key(data, trained): {} for data in ENDS for trained in TRAINED}
