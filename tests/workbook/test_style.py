"""The look that all figures share, and how one is shown."""

import matplotlib.pyplot as plt
import pytest
from matplotlib import rc_context

from nodelib.workbook import style
from nodelib.workbook.style import LINE_STYLES, PETROFF6, caption_html, label, show, text_colour, use
from nodelib.workbook.style import _luminance as luminance


def test_show_displays_a_picture_and_its_sentence_and_nothing_that_changes(monkeypatch):
    outputs = []
    monkeypatch.setattr(style, "display", lambda data, **more: outputs.append((data, more)))
    with rc_context():
        use()
        figure, axes = plt.subplots()
        axes.plot([0, 1])
        show(figure, "Figure 1.2. An order is a slope, if h < 1.")
    (picture, more), (text, _) = outputs
    assert picture["image/png"].startswith(b"\x89PNG")
    assert more["metadata"]["image/png"] == {"alt": "Figure 1.2. An order is a slope, if h < 1."}
    assert "<b>Figure 1.2.</b> An order is a slope, if h &lt; 1." in text["text/html"]
    assert picture["text/plain"] == text["text/plain"] == "Figure 1.2. An order is a slope, if h < 1."
    assert set(picture) | set(text) == {"image/png", "text/html", "text/plain"}
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    "caption", ["An order is a slope.", "Figure 1. An order", "Figure 1.2 An order", "Figure 1.2."]
)
def test_a_caption_without_its_number_is_refused(caption):
    figure = plt.figure()
    with pytest.raises(ValueError, match=r"as in 'Figure 1\.2\."):
        show(figure, caption)
    plt.close(figure)


def test_a_sentence_without_a_number_has_nothing_in_bold():
    assert "<b>" not in caption_html("A line from 2 to 5.")


@pytest.mark.parametrize("colour", PETROFF6)
def test_text_in_a_colour_of_the_palette_is_legible_and_no_darker_than_it_must_be(colour):
    contrast = 1.05 / (luminance(text_colour(colour)) + 0.05)
    assert contrast >= 4.5
    assert contrast < 4.9 or text_colour(colour) == pytest.approx(
        tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    )


def test_white_on_black_has_the_contrast_that_the_standard_gives():
    assert (luminance((1, 1, 1)) + 0.05) / (luminance((0, 0, 0)) + 0.05) == pytest.approx(21)


def test_lines_differ_in_colour_and_in_style():
    with rc_context():
        use()
        figure, axes = plt.subplots()
        lines = [axes.plot([0, 1])[0] for _ in PETROFF6]
        plt.close(figure)
    assert [line.get_color() for line in lines] == list(PETROFF6)
    assert [line.get_linestyle() for line in lines[:4]] == list(LINE_STYLES[:4])
    assert len(set(PETROFF6)) == len(set(LINE_STYLES)) == 6


def test_a_label_stands_beside_its_point():
    figure, axes = plt.subplots()
    right, left = label(axes, "Euler", (0.2, 0.3)), label(axes, "Heun", (0.2, 0.3), shift=(-6, 0))
    assert right.xy == (0.2, 0.3)
    assert [text.get_horizontalalignment() for text in (right, left)] == ["left", "right"]
    plt.close(figure)
