"""The exercises of chapter 5: what is right, on which inputs, and what is said of the mistakes that are often made."""

from nodelib.workbook.check import Exercises

from .break_it import BREAK_IT
from .exercises_bounds import ELBO, KL
from .exercises_losses import EVENTS, PADDING
from .exercises_times import DECAY, GAPS, OWN_TIME

EXERCISES = Exercises("5", [GAPS, DECAY, KL, ELBO, PADDING, BREAK_IT, OWN_TIME, EVENTS])
check, hint, usable = EXERCISES.check, EXERCISES.hint, EXERCISES.usable
