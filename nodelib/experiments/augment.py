"""Augmentation: more dimensions, time or the start as inputs, for data that a flow cannot map.

Dupont, Doucet & Teh (2019), "Augmented neural ODEs"; Massaroli et al. (2020), "Dissecting neural ODEs".
``figures/augmentation.py`` records it.
"""

from typing import Any

from torch import Tensor

from nodelib.experiments.rings import COUNTED, DATA, EXACT, Points, accuracy, evaluations, losses, solver, train
from nodelib.models.rings import NeuralODEs
from nodelib.models.trained_rings import packed, trained_rings, unpacked

VARIANTS: dict[str, dict[str, Any]] = {  # name -> keywords of ``NeuralODEs``
    "0": {},
    "1": {"augment": 1},
    "2": {"augment": 2},
    "5": {"augment": 5},
    "time": {"time": True},
    "start": {"control": True},
}
TRAINING = solver("dopri5", tol=1e-4)
NAME = "augmentation"


def key(data: str, variant: str) -> str:
    """The name of a training in checkpoint and record."""
    return f"{data}, {variant}"


def make(data: str, variant: str, seeds: int = 10) -> NeuralODEs:
    """Models of that variant for these data, as they begin."""
    return NeuralODEs(range(seeds), **_keywords(data, variant))


def train_all(seeds: int = 10, iterations: int = 300) -> dict[str, Tensor]:
    """All variants on all data: the parameters for a file, in single precision, by which all is measured."""
    models = {}
    for data in DATA:
        for variant in VARIANTS:
            models[key(data, variant)] = one = make(data, variant, seeds)
            train(one, points_of(data, seeds), TRAINING, iterations=iterations)
    return packed(models)


def measure(state: dict[str, Tensor], seeds: int = 10) -> dict[str, Any]:
    """Loss of the flow itself, evaluations at 1e-6, and accuracy of classifiers: found[what][training], all seeds."""
    found: dict[str, Any] = {"loss": {}, "nfe": {}, "accuracy": {}}
    for name, models in unpacked(state, _kinds()).items():
        points = points_of(name.partition(",")[0], seeds)
        found["loss"][name] = losses(models, points, EXACT).tolist()
        found["nfe"][name] = evaluations(models, points, COUNTED)
        if models.classify:
            found["accuracy"][name] = accuracy(models, points, EXACT).tolist()
    return found


def recorded() -> dict[str, NeuralODEs]:
    """The trained models, ten seeds each, by ``key``."""
    return trained_rings(NAME, _kinds())


def points_of(data: str, seeds: int = 10) -> Points:
    """What they were trained on."""
    return DATA[data](range(seeds))


def _keywords(data: str, variant: str) -> dict[str, Any]:
    return VARIANTS[variant] | ({"dim": 1, "classify": False} if data == "x → −x" else {})


def _kinds() -> dict[str, dict[str, Any]]:
    return {key(data, variant): _keywords(data, variant) for data in DATA for variant in VARIANTS}
