"""The failure gallery: ten things that users of ODE solvers report again and again, each made to happen, and mended.

``gallery_figures.py`` draws their diagnostic pictures.
"""

from nodelib.workbook.table import Table

from .pain import Pain
from .pains_of_solves import last_digits, shared_steps, too_tight, underflow
from .pains_of_training import diverging, lost_parameters, memory_grows, sign_of_time, slow_adjoint, stuck

PAINS = (
    underflow, slow_adjoint, memory_grows, diverging, sign_of_time, lost_parameters, shared_steps, too_tight, stuck,
    last_digits,
)  # fmt: skip


def all_pains() -> tuple[Pain, ...]:
    """The ten, made anew: some seconds."""
    return tuple(pain() for pain in PAINS)


def table(pains: tuple[Pain, ...]) -> Table:
    """A row a pain."""
    rows = [
        (str(i), pain.name, pain.seen, pain.remedy, pain.then, f"§ {pain.where}" if "." in pain.where else "chapter 0")
        for i, pain in enumerate(pains, 1)
    ]
    return Table(("", "what users report", "here", "remedy", "then", "more in"), rows)
