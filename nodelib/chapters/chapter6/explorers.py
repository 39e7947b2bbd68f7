"""The explorers of chapter 6, each from the file that has its numbers' shell."""

from .augment_explorer import augmentation
from .batch_explorer import coupling
from .reverse_explorer import reverse
from .swap_explorer import solver_swap

__all__ = ["augmentation", "coupling", "reverse", "solver_swap"]
