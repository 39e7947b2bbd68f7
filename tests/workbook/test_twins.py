"""The twins side by side: what stands beside what, what is folded or left out; and the real ones in one sitting."""

from pathlib import Path

import pytest

from nodelib.workbook.twins import PACKAGE, TWINS, code_lines, report, side_by_side

OURS = '''"""Documentation."""

import numpy as np  # a comment


def rms(x: Array) -> float:
    """Root mean square."""
    size: int = x.size

    # a comment
    return sqrt(np.vdot(x, x) / size)


class Form:
    """A form."""

    def first(self):
        return 1

    def second(self):
        return f"a long message that says at {self} what is wrong"
'''
THEIRS = '''import torch


def rms(x: Tensor) -> float:
    """The root of the mean square."""
    size = x.numel()
    return sqrt(torch.vdot(x, x) / size)


def finite(x):
    return torch.isfinite(x).all()


class Form:
    def first(self):
        return 1

    def second(self):
        return "or in other words, as the case may be"
'''


def test_lines_alike_stand_beside_each_other_and_equal_ones_are_folded():
    assert side_by_side(OURS, THEIRS, 103) == [
        "def rms(x):                                          def rms(x):",
        "    size = x.size                                  |     size = x.numel()",
        "    return sqrt(np.vdot(x, x) / size)              |     return sqrt(torch.vdot(x, x) / size)",
        "                                                   > def finite(x):",
        "                                                   >     return torch.isfinite(x).all()",
        "… 5 equal lines",
    ]


def test_a_line_stands_beside_the_one_most_like_it_wherever_that_is():
    assert side_by_side("b = g(x.size, 1)\n", "a = 2\nb = g(x.numel(), 1)\nc = 3\n", 43) == [
        "                     > a = 2",
        "b = g(x.size, 1)     | b = g(x.numel(), 1)",
        "                     > c = 3",
    ]


def test_a_function_that_has_moved_is_compared_once():
    one, other = "def one():\n    return 1\n", "def other():\n    return 2\n"
    assert side_by_side(one + other, other + one) == ["… 4 equal lines"]


def test_what_only_the_left_one_has_is_marked_so():
    assert side_by_side("x = 1\ny = 2\n", "x = 1\n", 103) == ["… 1 equal line", f"{'y = 2':50} <"]


def test_sources_that_differ_only_in_what_does_not_compute_are_equal():
    assert side_by_side('"""Text."""\nimport a\nx: int = 1  # why\n', "from b import c\n\nx = 1\n") == [
        "… 1 equal line"
    ]


@pytest.mark.parametrize("width", [100, 160])
def test_a_long_line_goes_on_below_within_its_column(width):
    words = " + ".join(f"number_{i}" for i in range(30))
    lines = side_by_side(f"x = {words}\n", f"x = {words} + 1\n", width)
    assert max(map(len, lines)) <= width
    left = " ".join(line[: width // 2 - 1].strip() for line in lines)
    assert left.strip() == f"x = {words}"
    assert all(line.startswith("      ") for line in lines[1:])


def test_lines_of_code_are_those_that_compute():
    assert code_lines(OURS) == 9
    assert code_lines(THEIRS) == 11
    assert code_lines('x = f(\n    1,\n    # why\n    """a\n    b""",\n)\n') == 5


@pytest.mark.parametrize("width", [100, 160])
def test_the_real_twins_fit_the_screen_and_one_sitting(width):
    lines = report(width=width)
    assert max(map(len, lines)) <= width
    assert len(lines) < 160_000 / width
    names = {path.name for twin in TWINS for path in (PACKAGE / twin).glob("*.py")}
    assert [name for name in sorted(names) if not any(line.startswith(f"== {name}:") for line in lines)] == []
    assert "steps.py" in names


def test_the_report_ends_with_the_length_of_each_twin(tmp_path: Path):
    for twin, files in zip(TWINS, ({"a.py": OURS}, {"a.py": THEIRS, "b.py": '"""For one."""\nx = 1\n'}), strict=True):
        (tmp_path / twin).mkdir()
        for name, text in files.items():
            (tmp_path / twin / name).write_text(text, encoding="utf-8")
    lines = report(tmp_path)
    assert [line.rstrip("=") for line in lines if line.startswith("==")] == [
        "== a.py: 9 and 11 lines of code ",
        "== b.py: 0 and 1 lines of code ",
    ]
    assert "For one." in lines
    assert lines[-1].endswith(": numpy_ode 9 and torch_ode 12.")
