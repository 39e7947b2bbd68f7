"""A prediction: nothing is told before the choice, the first choice counts, and what is stored is the question."""

import json

import pytest
from ipywidgets import Button, Widget

from nodelib.workbook.predict import STEPS, Asked, Choice, Number, Predictions

GROWS = Choice("Does `u` grow, if $h < 1$?", ("it shrinks", "it stays", "it grows & grows"), 2, "A tangent leaves.")
STEP = Number("How many steps?", 1, 1000, 27.3, "Stability asks for it.", unit="steps", log=True)
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def questions() -> Predictions:
    return Predictions("1", {"1.1": GROWS, "1.2": STEP})


def tally(questions: Predictions, capsys: pytest.CaptureFixture[str]) -> str:
    questions.tally()
    (line,) = capsys.readouterr().out.splitlines()
    return line


def page(asked: Asked) -> str:
    """All that the page and the wire hold of a question: the state of all its widgets, and its bundle."""
    widgets: list = []
    todo: list[Widget] = [asked.widget]
    while todo:
        widget = todo.pop()
        widgets.append(widget.get_state())
        todo += [child for child in getattr(widget, "children", ()) if isinstance(child, Widget)]
        todo += [child for child in [getattr(widget, "style", None)] if isinstance(child, Widget)]
    return json.dumps([widgets, asked._repr_mimebundle_()], default=str)


def test_before_the_choice_nothing_is_told_and_after_it_both(questions):
    asked = questions.ask("1.1")
    assert "tangent" not in page(asked)
    assert "✓" not in page(asked)
    options = [Choice(GROWS.question, GROWS.options, right, GROWS.why) for right in range(3)]
    still = [Asked(question)._repr_mimebundle_() for question in options]
    assert len({str([b["text/html"], b["text/plain"]]) for b in still}) == 1  # whichever is right
    asked.controls[0].click()
    assert "✗ It is: it grows &amp; grows. A tangent leaves." in asked._verdict.value
    assert [button.description[0] for button in asked.controls] == ["✗", "i", "✓"]


def test_a_number_is_told_after_its_guess_and_not_before(questions):
    asked = questions.ask("1.2")
    assert "27.3" not in page(asked)
    assert "Stability" not in page(asked)
    slider, _, button = asked.controls
    slider.value = 29
    assert "Stability" not in page(asked)  # moving is not guessing
    button.click()
    assert "✓ You said 29 steps; it is 27.3 steps: close. Stability" in asked._verdict.value


def test_the_first_choice_counts_and_running_again_keeps_it(questions, capsys):
    asked = questions.ask("1.1")
    asked.controls[2].click()
    asked.controls[0].click()
    assert asked.answer == 2
    again = questions.ask("1.1")
    assert again.answer == 2
    assert "✓ As you said." in again._verdict.value
    again.controls[0].click()
    assert questions.answers == {"1.1": 2}
    guess = questions.ask("1.2")
    guess.controls[0].value = 500
    guess.controls[2].click()
    assert questions.ask("1.2").controls[0].value == 500
    assert tally(questions, capsys) == "Predictions: 2 of 2 made, 1 right."


def test_a_move_of_the_slider_that_arrives_after_the_click_still_counts(questions):
    """A page sends a slider's moves one at a time, and a click at once, so that it may overtake the last move."""
    asked = questions.ask("1.2")
    slider, _, button = asked.controls
    slider.value = 20
    button.click()
    assert slider.disabled  # what arrives now was made before the answer was seen
    slider.value = 29
    button.click()
    assert "✓ You said 29 steps" in asked._verdict.value
    assert questions.answers == {"1.2": 29}


def test_one_of_two_views_of_a_question_counts(questions):
    first, second = questions.ask("1.1"), questions.ask("1.1")
    second.controls[1].click()
    first.controls[2].click()
    assert questions.answers == {"1.1": 1}


def test_a_button_stays_enabled_after_the_choice_so_that_the_focus_stays(questions):
    for key in questions.questions:
        asked = questions.ask(key)
        asked.controls[-1].click()
        assert not any(control.disabled for control in asked.controls if isinstance(control, Button))


def test_what_is_stored_is_the_question_and_its_options(questions):
    bundle = questions.ask("1.1")._repr_mimebundle_()
    assert set(bundle) == {WIDGET_VIEW, "text/html", "text/plain"}
    assert bundle["text/html"] == (
        "<p><b>Predict.</b> Does <code>u</code> grow, if $h &lt; 1$?</p>"
        "<ul><li>it shrinks</li><li>it stays</li><li>it grows &amp; grows</li></ul>"
    )
    assert bundle["text/plain"].splitlines()[1:] == ["  ( ) it shrinks", "  ( ) it stays", "  ( ) it grows & grows"]
    before = questions.ask("1.2")._repr_mimebundle_()["text/html"]
    questions.ask("1.2").commit(30)
    assert questions.ask("1.2")._repr_mimebundle_()["text/html"] == before
    assert "a number from 1 to 1,000 steps" in before


def test_the_tally_of_a_stored_notebook_says_that_nobody_answered(questions, capsys):
    line = tally(questions, capsys)
    questions.ask("1.1")
    assert tally(questions, capsys) == line == "Predictions: 0 of 2 made. Go back and choose, then run this cell again."
    questions.ask("1.1").commit(1)
    assert tally(questions, capsys).startswith("Predictions: 1 of 2 made, 0 right; open: 1.2. Go back")


@pytest.mark.parametrize("log", [True, False])
def test_the_slider_begins_at_its_left_end_and_reaches_the_right_one(log):
    number = Number("How many?", 2, 50, 50, "Because.", log=log)
    asked = Asked(number)
    slider, _, button = asked.controls
    assert slider.value == 2
    assert (number.places()[0], number.places()[-1]) == (pytest.approx(2), pytest.approx(50))
    assert len(number.places()) == STEPS + 1
    slider.value = 50
    button.click()
    assert asked._verdict.value.count("✓") == 1


def test_close_is_relative_and_for_zero_of_the_whole_slider():
    near = Number("How far?", 0, 10, 5, "Because.", close=0.2)
    assert [near.counts(x) for x in (3.9, 4.1, 5.9, 6.1)] == [False, True, True, False]
    nought = Number("How far?", -10, 10, 0, "Because.", close=0.1)
    assert [nought.counts(x) for x in (-2.1, -1.9, 1.9, 2.1)] == [False, True, True, False]


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Choice("", ("a", "b"), 0, "why"), "question must be a sentence"),
    (lambda: Choice("q", ("a", "b"), 0, ""), "why must be a sentence"),
    (lambda: Choice("q", ("a",), 0, "why"), "two texts or more"),
    (lambda: Choice("q", "ab", 0, "why"), "two texts or more"),
    (lambda: Choice("q", ("a", "a"), 0, "why"), "each another one"),
    (lambda: Choice("q", ("a", "b"), 2, "why"), "right must be an index of options, 0 to 1, got 2"),
    (lambda: Choice("q", ("a", "b"), -1, "why"), "0 to 1, got -1"),
    (lambda: Choice("q", ("a", "b"), True, "why"), "0 to 1, got True"),
    (lambda: Number("q", 2, 1, 1, "why"), "low must be below high"),
    (lambda: Number("q", 0, float("inf"), 1, "why"), "both finite"),
    (lambda: Number("q", 0, 1, 0.5, "why", log=True), "low must be above 0"),
    (lambda: Number("q", 0, 1, 2, "why"), "right must lie from low to high, got 2"),
    (lambda: Number("q", 0, 1, float("nan"), "why"), "right must lie"),
    (lambda: Number("q", 0, 1, 0.5, "why", close=0), "close must be above 0"),
    (lambda: Number("q", 1, 2, 1.05, "why"), "begins at low, 1, which would count"),
    (lambda: Number("q", 1, 1000, 123, "why", close=1e-4), "no place of the slider counts as right"),
    (lambda: Predictions("1", {}), "has no questions"),
    (lambda: Predictions("1", {"1.1": "grows?"}), "'1.1' must be a Choice or a Number"),  # type: ignore[dict-item]
])  # fmt: skip
def test_what_makes_no_question_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_unknown_question_is_named_with_those_there_are(questions):
    with pytest.raises(KeyError, match=r"chapter 1 has no question '1\.3'; there is 1\.2, 1\.1"):
        questions.ask("1.3")
