"""The shell around every explorer, without a browser: `tests/browser` has one."""

import base64
import html
import io
from dataclasses import dataclass

import numpy as np
import pytest
from ipywidgets import IntSlider
from matplotlib.figure import Figure
from PIL import Image

from nodelib.workbook.live import Live


@dataclass(frozen=True)
class Height:
    k: int


def height(k: int) -> Height:
    if k == 13:
        raise ValueError('no floor <13> & "above"')
    return Height(k)


def explorer(k: int = 1) -> Live[Height]:
    """A line at height k over a dot that must stay under it; from k = 20 on the axis grows."""
    fig = Figure((3, 2), layout="constrained")
    ax = fig.subplots()
    (line,) = ax.plot([0, 1], [0, 0], "r", lw=6, zorder=3, animated=True)
    (dot,) = ax.plot([0.5], [0], "bo", ms=20, zorder=2, animated=True)
    ax.set_ylim(0, 20)

    def draw(numbers: Height) -> None:
        line.set_ydata([numbers.k] * 2)
        dot.set_ydata([numbers.k])
        if ax.get_ylim()[1] != (top := 20 if numbers.k < 20 else 200):
            ax.set_ylim(0, top)

    slider = IntSlider(value=k, min=0, max=100, description="height k")
    return Live(fig, {"k": slider}, height, draw, lambda numbers: f"A line at {numbers.k}, thick & red.")


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_control_moves_the_numbers_the_picture_and_the_sentence():
    live = explorer(1)
    first = live.png
    live.controls["k"].value = 7
    assert (live.numbers, live.description, live.error) == (Height(7), "A line at 7, thick & red.", None)
    assert pixels(live.png).shape == (200, 300, 3)
    assert live.png != first


def test_blitting_leaves_what_a_first_drawing_gives():
    live = explorer(1)
    for value in (12, 3, 7):
        live.controls["k"].value = value
    assert np.array_equal(pixels(live.png), pixels(explorer(7).png))


def test_an_axis_that_draw_changed_is_drawn_again():
    live = explorer(7)
    before = pixels(live.png)
    live.controls["k"].value = 30
    assert not np.array_equal(pixels(live.png)[:, :30], before[:, :30])  # the numbers beside the axis
    live.controls["k"].value = 7
    assert np.array_equal(pixels(live.png), before)


def test_artists_are_drawn_from_the_lowest_zorder_up():
    live = explorer(10)
    (x, y) = live.fig.axes[0].transData.transform((0.5, 10)).astype(int)
    np.testing.assert_array_equal(pixels(live.png)[200 - y, x], [255, 0, 0])


def test_an_error_is_shown_under_the_last_good_picture_and_cleared_at_the_next_good_value():
    live = explorer(12)
    good = live.png, live.description
    live.controls["k"].value = 13
    shown = live._view.value
    assert live.error == 'ValueError: no floor <13> & "above"'
    assert (live.png, live.description) == good
    assert 'class="nodelib-error"' in shown
    assert html.escape(live.error) in shown
    assert "in height" in shown  # the traceback, for who wants to mend it
    live.controls["k"].value = 14
    assert live.error is None
    assert "nodelib-error" not in live._view.value


def test_an_error_at_the_first_values_is_raised():
    with pytest.raises(ValueError, match="no floor"):
        explorer(13)


def test_the_page_holds_the_picture_with_its_sentence_as_text_and_as_alternative():
    live = explorer(3)
    sentence = html.escape(live.description)
    assert f'alt="{sentence}"' in live._view.value
    assert f"{sentence}</p>" in live._view.value
    assert base64.b64encode(live.png).decode() in live._view.value


def test_where_no_kernel_runs_there_is_a_picture_with_the_sentence_in_it():
    live = explorer(3)
    live.controls["k"].value = 5
    data, metadata = live._repr_mimebundle_()
    still = pixels(base64.b64decode(data["image/png"]))
    assert set(data) == {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"}
    assert data["text/plain"] == metadata["image/png"]["alt"] == "A line at 5, thick & red."
    assert np.array_equal(still[:200], pixels(live.png))
    assert still[200:].min() < 100  # ink under the figure
