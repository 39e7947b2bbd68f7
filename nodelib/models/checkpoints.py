"""The parameters that the scripts in ``figures/`` leave behind, by name."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

CHECKPOINTS = Path(__file__).parents[2] / "figures" / "checkpoints"


def parameters(name: str) -> dict[str, Tensor]:
    """The state_dict ``figures/checkpoints/NAME.safetensors``, on the CPU. Raises FileNotFoundError, with the names
    there are."""
    path = CHECKPOINTS / f"{name}.safetensors"
    if not path.exists():
        there = ", ".join(sorted(p.stem for p in CHECKPOINTS.glob("*.safetensors")))
        raise FileNotFoundError(f"no parameters of {name!r} in {CHECKPOINTS}; there are: {there}")
    return load_file(path)
