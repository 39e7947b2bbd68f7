"""Chapter 6's exercises are all graded: each in the test file of its theme."""

import re
from pathlib import Path

from nodelib.chapters.chapter6.exercises import EXERCISES


def test_every_exercise_is_graded_and_hints_twice():
    """Its constant, such as DESIGN, is what ``graded`` is called with in one of the files beside this one."""
    texts = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    tried = set(re.findall(r"graded\(\s*([A-Z_]+),", texts))
    assert len(tried) == len(EXERCISES.exercises) == 8
    assert [e.name for e in EXERCISES.exercises.values() if len(e.hints) != 2] == []
