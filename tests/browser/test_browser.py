"""Every chapter in a real JupyterLab: Run All, every control of every explorer to its ends, how long a picture takes.

A chapter is any `notebooks/0*.ipynb`, an explorer whatever `nodelib.workbook.live.Live` displays: none is listed here.
Settle times, from a key press or a click to changed pixels, are printed and must stay under a loose bound, since a
shared machine stutters; NODELIB_STRICT_TIMING=1 makes it the 100 ms that the book promises. NODELIB_SHOTS=folder keeps
a picture of every end.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest

from tests.browser.stored import WIDGET_VIEW

HERE = Path(__file__).resolve().parent
CHAPTERS = sorted((HERE.parents[1] / "notebooks").glob("0*.ipynb"))
STRICT = bool(os.environ.get("NODELIB_STRICT_TIMING"))
SETTLE, PRESSES = (100, 12) if STRICT else (1000, 4)  # ms, 95th percentile, of how many timed key presses a slider
PATIENCE, QUIET = 3000, 150  # ms
STATE = """control => [...control.querySelectorAll('.noUi-handle, select, input, button')].map(
    e => e.ariaValueText ?? (e.matches('select') ? e.value : e.checked ?? e.matches('.mod-active'))).join(' ')"""


class Explorer:
    """One explorer on the page: moves its controls, times its picture, collects what is wrong."""

    def __init__(self, page, element, name: str) -> None:
        self.page, self.element, self.name = page, element, name
        self.problems: list[str] = []
        self.times: list[float] = []  # ms from a key press to the picture
        self.lags: list[float] = []  # the same after a burst of key presses that waited for nothing
        element.evaluate("e => window.nodelib.watch(e)")
        page.wait_for_function("e => e.watch.shown !== null", arg=element, timeout=PATIENCE)

    def drive(self) -> None:
        """Each control to both ends and one key step at least, then back, where the picture must be the first again."""
        self.element.scroll_into_view_if_needed()
        self.shoot("at first")
        for control in self.element.query_selector_all(".nodelib-controls > *"):
            label, first, state = _label(control), self.picture(), control.evaluate(STATE)
            if not label:
                self.problems.append(f"a control has no label: {control.evaluate('e => e.className')}")
            if handles := control.query_selector_all(".noUi-handle"):
                for handle in handles:
                    self.slide(control, handle, label)
            elif select := control.query_selector("select"):
                self.choose(control, select, label)
            elif buttons := control.query_selector_all("input[type=radio], input[type=checkbox], button"):
                self.press_all(control, buttons, label)
            else:
                self.problems.append(f"{label}: no test knows how to move this control")
            if control.evaluate(STATE) != state or self.picture() != first:
                self.problems.append(f"{label}: back at {state}, the picture is not what it was there")

    def slide(self, control, handle, label: str) -> None:
        start = control.evaluate(STATE)
        for key in ("Home", "ArrowRight", "End", *["ArrowLeft"] * PRESSES):
            self.move(control, lambda key=key: handle.press(key), f"{label}, {key}")
            if key in ("Home", "End"):
                self.shoot(f"{label} {key}")
        self.move(control, lambda: handle.press("Home"), f"{label}, Home")
        before, state = None, control.evaluate(STATE)
        while state not in (start, before):
            handle.press("ArrowRight")
            before, state = state, control.evaluate(STATE)
        self.lags.append(max(0, self.rest(5 * QUIET)))  # 0: nothing was pressed, the handle started at the left end

    def choose(self, control, select, label: str) -> None:
        start, options = select.evaluate("e => [e.selectedIndex, e.options.length]")
        for i in range(options):
            self.move(control, lambda i=i: select.select_option(index=i), f"{label}, option {i}")
            self.shoot(f"{label} option {i}")
        self.move(control, lambda: select.press("ArrowUp"), f"{label}, ArrowUp")
        self.move(control, lambda: select.select_option(index=start), f"{label}, option {start}")

    def press_all(self, control, buttons, label: str) -> None:
        start = control.evaluate(STATE)
        for i, button in enumerate(buttons):
            self.move(control, lambda button=button: button.press(" "), f"{label}, button {i}")
            self.shoot(f"{label} button {i}")
        for button in buttons:
            if control.evaluate(STATE) != start:
                self.move(control, lambda button=button: button.press(" "), label)

    def move(self, control, act: Callable[[], None], what: str) -> None:
        """Act; if that gave the control a new value, the picture must change; in any case no error may appear."""
        before, old = self.element.evaluate("e => window.nodelib.start(e)"), control.evaluate(STATE)
        act()
        if (new := control.evaluate(STATE)) != old:
            acted = self.element.evaluate("(e, [b, ms]) => window.nodelib.differs(e, b, ms)", [before, PATIENCE])
            settled = self.rest()
            if self.picture() != before:
                self.times.append(settled)
            elif not acted:
                self.problems.append(f"{what}: from {old} to {new} the picture stayed the same")
        errors, alt, caption = self.element.evaluate("e => window.nodelib.texts(e)")
        self.problems += [f"{what}: at {new} the explorer shows {error!r}" for error in errors]
        if caption is not None and (alt or "nothing") != caption:
            self.problems.append(f"{what}: the alternative text is not the caption")

    def picture(self) -> int:
        return self.element.evaluate("e => window.nodelib.picture(e)")

    def rest(self, quiet: float = QUIET) -> float:
        return self.element.evaluate("(e, ms) => window.nodelib.rest(e, ms)", quiet)

    def shoot(self, what: str) -> None:
        if folder := os.environ.get("NODELIB_SHOTS"):
            self.element.screenshot(path=Path(folder) / (re.sub(r"\W+", "_", f"{self.name} {what}") + ".png"))

    def report(self) -> str:
        median, p95 = np.percentile(self.times, [50, 95])
        return (
            f"{self.name}: settles in {median:.0f} ms (median), {p95:.0f} ms (p95 of {len(self.times)} moves); "
            f"{max(self.lags, default=0):.0f} ms after a burst of key presses"
        )


def _label(control) -> str:
    """What the control is called: its label, or for a check box and a toggle the text on it."""
    named = control.query_selector_all(".widget-label, label, button")
    return next(filter(None, ((e.text_content() or "").strip("\u200b \n") for e in named)), "")


def explorers(page, name: str) -> list[Explorer]:
    return [Explorer(page, e, f"{name} {i}") for i, e in enumerate(page.query_selector_all(".nodelib-live"), 1)]


@pytest.mark.timeout(300)
def test_a_reader_predicts_by_keyboard_and_then_unfolds_the_answer(run_all):
    page, console_errors = run_all(CHAPTERS[0])  # stands first, since the next test goes on with the same page
    choice, number = page.locator(".nodelib-predict").all()[:2]
    verdict, options = choice.locator(".nodelib-verdict"), choice.locator("button")
    assert "one smooth curve" not in choice.inner_html()
    options.first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    verdict.get_by_text("As you said. More and thinner").wait_for(timeout=PATIENCE)
    assert choice.locator("button:focus").inner_text() == "✓ about 2.7"  # it has the focus, not the cell
    options.first.press(" ")  # too late
    page.wait_for_timeout(QUIET)
    assert "As you said." in verdict.inner_text()

    for _ in range(57):
        number.locator(".noUi-handle").press("ArrowRight")
    number.locator("button").focus()
    page.keyboard.press(" ")
    number.get_by_text("✓ You said 51.3 blocks; it is 50 blocks: close.").wait_for(timeout=PATIENCE)

    fold = page.locator("details", has_text="After your prediction").first
    assert not fold.get_by_text("About 2.7.").is_visible()
    fold.locator("summary").press("Enter")
    fold.get_by_text("About 2.7.").wait_for(timeout=PATIENCE)
    assert page.get_by_text("official Jupyter news").count() == 0
    assert page.locator(".jp-Cell-inputArea textarea, .cm-focused").count() == 0  # no cell was opened or cut meanwhile
    assert console_errors == []


@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_runs_and_every_control_moves_its_picture(path: Path, run_all, record_property):
    page, console_errors = run_all(path)
    found = explorers(page, path.stem)
    stored = [o for cell in nbformat.read(path, as_version=4).cells for o in cell.get("outputs", [])]
    assert len(found) == sum({WIDGET_VIEW, "image/png"} <= set(o.get("data", {})) for o in stored)
    for explorer in found:
        explorer.drive()
        record_property("measured", explorer.report())
    assert [problem for explorer in found for problem in explorer.problems] == []
    assert console_errors == []
    predictions = sum({WIDGET_VIEW, "text/html"} <= set(o.get("data", {})) for o in stored)
    assert page.locator(".nodelib-predict").count() == predictions
    assert [e.report() for e in found if np.percentile(e.times, 95) > SETTLE] == []


FAULTY = """
from ipywidgets import Checkbox, IntSlider
from matplotlib.figure import Figure
from nodelib.workbook.live import Live

def line(k=0, idle=False):
    if k > 4: raise ValueError("k < 5")
    return k

def explorer(**controls):
    fig = Figure((3, 2))
    (dots,) = fig.subplots().plot([0, 5], [0, 5], animated=True)
    return Live(fig, controls, line, lambda k: dots.set_ydata([k, 5]), lambda k: f"A line from {k} to 5.")
"""


def notebook(path: Path, *sources: str) -> Path:
    """A notebook with these code cells, written to `path`."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


@pytest.mark.timeout(300)
def test_the_driver_sees_an_error_a_dead_control_and_a_missing_label(tmp_path: Path, run_all):
    sources = [
        FAULTY,
        "explorer(k=IntSlider(2, 0, 4, description='k'))",
        "explorer(k=IntSlider(2, 0, 5, description='k'))",
    ]
    sources += ["explorer(idle=Checkbox(description='idle'))", "explorer(k=IntSlider(2, 0, 4))"]
    page, console_errors = run_all(notebook(tmp_path / "faulty.ipynb", *sources))
    good, raises, dead, nameless = found = explorers(page, "faulty")
    for explorer in found:
        explorer.drive()
    assert (good.problems, console_errors) == ([], [])
    assert raises.problems == ["k, End: at 5 the explorer shows 'ValueError: k < 5'"]
    assert dead.problems[0] == "idle, button 0: from false to true the picture stayed the same"
    assert ["no label" in problem for problem in nameless.problems] == [True]


@pytest.mark.timeout(120)
def test_a_chapter_that_stops_half_way_is_named_with_its_error(tmp_path: Path, run_all):
    path = notebook(tmp_path / "stops.ipynb", "print('so far')", "1 / 0", "print('never')")
    with pytest.raises(pytest.fail.Exception, match=r"(?s)stops\.ipynb did not run to its end.*ZeroDivisionError"):
        run_all(path)
