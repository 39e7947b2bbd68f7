"""The figures of chapter 6 as the notebook names them, each from the file of its theme."""

from .beyond_figures import beyond
from .convergence import picture as convergence
from .crossing_figures import crossings
from .enough import figure as rk4_enough
from .gallery_figures import picture as gallery
from .precision_figures import precision
from .reverse_figures import stable, ways_back
from .slow_figures import costs, evaluations
from .swap_figures import regions
from .tolerances_figures import promises
from .which_figures import two_trainings

__all__ = [
    "beyond", "convergence", "costs", "crossings", "evaluations", "gallery", "precision", "promises", "regions",
    "rk4_enough", "stable", "two_trainings", "ways_back",
]  # fmt: skip
