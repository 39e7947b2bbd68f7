"""The exercises of chapter 6: what is right, on which inputs, and what is said of the mistakes that are often made."""

from nodelib.workbook.check import Exercises

from .break_reversible import BREAK_IT
from .design import DESIGN
from .exercises_batch import CONTROL
from .exercises_crossing import FROM_MEMORY
from .exercises_leapfrog import LEAPFROG
from .exercises_newton import NEWTON
from .exercises_reverse import UNDO
from .exercises_scale import SCALE

EXERCISES = Exercises("6", [CONTROL, FROM_MEMORY, SCALE, UNDO, BREAK_IT, NEWTON, DESIGN, LEAPFROG])
check, hint, usable = EXERCISES.check, EXERCISES.hint, EXERCISES.usable
