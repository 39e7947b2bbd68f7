"""Chapter 6's exercises are all graded, each in the test file of its theme."""

import re
from pathlib import Path

from nodelib.chapters.chapter6 import exercises
from nodelib.chapters.chapter6.exercises import EXERCISES
from tests.workbook.graded import every_exercise_is_graded


def test_every_exercise_is_graded():
    """The files beside this one call ``graded`` with its constant, such as DESIGN."""
    texts = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    tried = set(re.findall(r"(?<![a-z_])graded\(\s*([A-Z_]+),", texts))
    every_exercise_is_graded(EXERCISES, [getattr(exercises, constant).name for constant in tried])
