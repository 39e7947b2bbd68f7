"""The exercises of chapter 3: what is right, on which inputs, and what is said of the mistakes that are often made."""

from nodelib.workbook.check import Exercises

from .exercises_blocks import BLOCK, MIDDLE
from .exercises_counts import APART, COUNT, DEEPEST
from .exercises_solvers import CONVERGENCE, FOOL, LEAK, SCALED

EXERCISES = Exercises("3", [COUNT, BLOCK, MIDDLE, APART, DEEPEST, SCALED, CONVERGENCE, FOOL, LEAK])
check, hint, usable = EXERCISES.check, EXERCISES.hint, EXERCISES.usable
