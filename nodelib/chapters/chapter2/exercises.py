"""The exercises of chapter 2, in the order of its sections; 2.4, 2.6, 2.7 and 2.9 stand in boxes."""

from nodelib.workbook.check import Exercises

from .break_it import BREAK_IT
from .calculus import BY_HAND, DECAY, MIDPOINT_BACK, TIMES
from .programs import ALGORITHM_1, REPAIR_A, REPAIR_B, RUNNING_COST

EXERCISES = Exercises(
    "2", [BY_HAND, MIDPOINT_BACK, DECAY, TIMES, ALGORITHM_1, RUNNING_COST, BREAK_IT, REPAIR_A, REPAIR_B]
)
check, hint, usable = EXERCISES.check, EXERCISES.hint, EXERCISES.usable
