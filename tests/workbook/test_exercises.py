"""The one-line grader of the check cells."""

from fractions import Fraction

import numpy as np
import pytest

from nodelib.workbook.exercises import compare


def graded(capsys: pytest.CaptureFixture[str], *args, **kwargs) -> str:
    """The line that ``compare`` prints; its mark must agree with what it returns."""
    ok = compare(*args, **kwargs)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("✓" if ok else "✗")
    return line


def test_a_right_number(capsys):
    assert graded(capsys, "one step", 0.625, 5 / 8) == "✓ one step: exact 0.625, yours 0.625"


def test_a_wrong_number_says_how_far_off_it_is(capsys):
    assert graded(capsys, "one step", 0.5, 0.625) == "✗ one step: exact 0.625, yours 0.5, difference 1.25e-01"


@pytest.mark.parametrize("unfinished", [None, ..., (1.0, ...), [None, 2.0], (1.0, [2.0, None])])
def test_an_unfinished_answer_is_missing(capsys, unfinished):
    assert graded(capsys, "one step", unfinished, 0.625) == "✗ one step: yours missing"


def test_rtol_is_relative_to_the_largest_entry(capsys):
    exact = np.array([1e3, 0.0])
    assert graded(capsys, "pair", exact + 0.9e-3, exact).startswith("✓")
    assert graded(capsys, "pair", exact + 1.1e-3, exact).startswith("✗")
    assert graded(capsys, "pair", exact + 0.9, exact, rtol=1e-3).startswith("✓")


def test_where_exact_is_zero_rtol_is_absolute(capsys):
    assert graded(capsys, "zero", 0.9e-6, 0).startswith("✓")
    assert graded(capsys, "zero", 1.1e-6, 0).startswith("✗")


def test_nan_is_wrong(capsys):
    assert graded(capsys, "one step", float("nan"), 0.625).startswith("✗ one step: exact 0.625, yours nan")


def test_another_shape_is_wrong_even_if_it_would_broadcast(capsys):
    assert graded(capsys, "state", 1.0, np.ones(2)) == "✗ state: exact [1, 1], yours of shape () instead of (2,)"


@pytest.mark.parametrize(("value", "kind"), [("0.625", "str"), (abs, "builtin_function_or_method"), ([1, [2]], "list")])
def test_what_is_no_number_is_wrong(capsys, value, kind):
    assert graded(capsys, "one step", value, 0.625) == f"✗ one step: exact 0.625, yours {kind}, not a number"


def test_complex_and_long_arrays(capsys):
    assert graded(capsys, "R(i)", 0.5 + 1j, 0.5 + 1j) == "✓ R(i): exact 0.5+1j, yours 0.5+1j"
    assert "exact [0, 1, 2, 3, …], yours [0, 1, 2, 3, …]" in graded(capsys, "range", range(5), np.arange(5))


def test_torch_tensors_count_as_numbers(capsys):
    torch = pytest.importorskip("torch")
    answer = torch.tensor([1.0, 2.0], requires_grad=True)
    assert graded(capsys, "gradient", answer, [1.0, 2.0]) == "✓ gradient: exact [1, 2], yours [1, 2]"


def test_exact_must_be_a_number():
    with pytest.raises(TypeError, match="exact must be a number or an array of numbers, got 'ten'"):
        compare("one step", 10, "ten")


def test_fractions_are_numbers(capsys):
    yours = np.array([Fraction(1, 6), Fraction(2, 3)])
    assert graded(capsys, "weights", yours, [1 / 6, 2 / 3]).startswith("✓")
