"""The small neural ODEs that ``figures/solver_swap.py`` and ``figures/augmentation.py`` trained."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from nodelib.models.checkpoints import parameters
from nodelib.models.rings import NeuralODEs


def packed(models: Mapping[str, NeuralODEs]) -> dict[str, Tensor]:
    """The parameters of all of them for one file, in single precision: by "NAME/parameter"."""
    return {f"{name}/{key}": x.float() for name, one in models.items() for key, x in one.state_dict().items()}


def unpacked(state: Mapping[str, Tensor], kinds: Mapping[str, Mapping[str, Any]]) -> dict[str, NeuralODEs]:
    """The models of ``packed`` again, in double precision; ``kinds``: the keywords that each name was made with."""
    found = {}
    for name, keywords in kinds.items():
        part = {key.partition("/")[2]: x.double() for key, x in state.items() if key.partition("/")[0] == name}
        if not part:
            raise KeyError(f"no model is called {name!r}; there are {', '.join(names(state))}")
        models = NeuralODEs(range(len(part["field.W1"])), **keywords)
        models.load_state_dict(part)
        found[name] = models.requires_grad_(False)
    return found


def names(state: Iterable[str]) -> list[str]:
    """The names of the models in a file."""
    return sorted({key.partition("/")[0] for key in state})


def trained_rings(file: str, kinds: Mapping[str, Mapping[str, Any]]) -> dict[str, NeuralODEs]:
    """The models in ``figures/checkpoints/FILE.safetensors``, ten seeds each: "solver_swap" or "augmentation"."""
    return unpacked(parameters(file), kinds)
