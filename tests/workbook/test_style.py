"""The look that all figures share, whatever the reader's matplotlibrc says, and how one is shown."""

import ast
import base64
import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from nodelib.chapters.chapter0.explorers import blocks
from nodelib.workbook import style
from nodelib.workbook.style import (
    LINE_STYLES,
    LOOKS,
    PETROFF6,
    book,
    caption_html,
    label,
    look,
    moving,
    plain_ticks,
    save,
    show,
    text_colour,
    use,
)
from nodelib.workbook.style import _luminance as luminance

ROOT = Path(__file__).parents[2]
# What readers have in their matplotlibrc, by kind: each would change a figure, or stop it.
READERS = {
    "LaTeX": {"text.usetex": True, "text.latex.preamble": r"\usepackage{nothing}"},
    "a font that is not here": {"font.family": "Nonexistent", "font.sans-serif": "Nonexistent", "font.size": 22},
    "a locale": {"axes.formatter.use_locale": True, "axes.unicode_minus": False, "axes.formatter.limits": (0, 0)},
    "a dark background": {"figure.facecolor": "black", "axes.facecolor": "black", "savefig.facecolor": "black"},
    "a journal's saving": {"savefig.bbox": "tight", "savefig.transparent": True, "savefig.pad_inches": 1.0},
    "its layout": {"figure.autolayout": True, "axes.xmargin": 0.3, "axes.autolimit_mode": "round_numbers"},
    "its lines": {"path.sketch": (1, 100, 2), "lines.marker": "x", "lines.linestyle": ":", "lines.antialiased": False},
    "its ticks": {"xtick.direction": "in", "xtick.minor.visible": True, "xtick.top": True, "ytick.labelsize": 20},
    "its images": {"image.origin": "lower", "image.interpolation": "bilinear", "image.aspect": "auto"},
    "its mathematics": {"mathtext.default": "bf", "mathtext.fallback": "stix"},
}
each_reader = pytest.mark.parametrize("settings", READERS.values(), ids=READERS)


@contextmanager
def readers(settings: dict) -> Iterator[None]:
    """As if these stood in the reader's matplotlibrc."""
    with rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield


def explorer() -> list[bytes]:
    """Chapter 0's: as it opens, moved, and as it stands still under its sentence."""
    live = blocks()
    first = live.png
    live.controls["blocks"].value = 7
    return [first, live.png, base64.b64decode(live._repr_mimebundle_()[0]["image/png"])]


def picture(path: Path) -> bytes:
    """A figure with what a matplotlibrc may change: lines, numbers below zero, an image, a formula; as it is saved."""
    with book():
        fig = Figure()
        left, right = fig.subplots(1, 2)
        left.plot([-1e5, 1e5], [-2, 3])
        left.set_xlabel("t_0, 5 %, $\\alpha^2$")
        right.imshow([[0, 1, 5], [2, 3, 1]])
    save(fig, path)
    return path.read_bytes()


@each_reader
def test_an_explorer_is_drawn_alike_whatever_the_readers_matplotlibrc_says(settings):
    expected = explorer()
    with readers(settings):
        assert explorer() == expected


@each_reader
def test_a_figure_is_saved_alike_whatever_the_readers_matplotlibrc_says(settings, tmp_path):
    expected = picture(tmp_path / "a.png")
    with readers(settings):
        assert picture(tmp_path / "b.png") == expected
        assert all(mpl.rcParams[name] != mpl.rcParamsDefault[name] for name in settings)  # and the reader's stay


@each_reader
def test_a_chapter_begins_from_matplotlibs_defaults(settings):
    with rc_context():
        use()
        expected = dict(mpl.rcParams)
    with readers(settings):
        use()
        assert dict(mpl.rcParams) == expected


def test_without_the_books_style_these_settings_do_change_a_figure(tmp_path):
    def bare() -> bytes:
        fig = Figure()
        fig.subplots().plot([-1e5, 1e5], [-2, 3])
        fig.savefig(tmp_path / "c.png")
        return (tmp_path / "c.png").read_bytes()

    with readers({}):
        expected = bare()
    for name in ("a locale", "a dark background", "a journal's saving", "its layout", "its lines", "its ticks"):
        with readers(READERS[name]):
            assert bare() != expected, name


def test_in_a_kernel_pictures_go_into_the_page_whatever_the_reader_has_set(tmp_path):
    (tmp_path / "matplotlibrc").write_text("no.such.key: 1\nbackend: TkAgg\ntext.usetex: True\n")
    source = """
        from nodelib.workbook import style
        import matplotlib.pyplot as plt
        style.use()
        fig, ax = plt.subplots()
        style.show(fig, "Figure 1.1. Nothing.")
        _ = plt.plot([1, 2])  # one of the reader's own
    """
    notebook = new_notebook(cells=[new_code_cell(textwrap.dedent(source))])
    env = {**os.environ, "MPLBACKEND": "TkAgg", "MPLCONFIGDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    env.pop("DISPLAY", None)
    where = {"metadata": {"path": str(ROOT / "notebooks")}}
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources=where).execute(env=env)
    outputs = notebook.cells[0].outputs
    assert [output.output_type for output in outputs] == ["display_data"] * 3  # and nothing on stderr
    assert ["image/png" in output.data for output in outputs] == [True, False, True]


def test_only_the_style_makes_settings_and_every_figure_is_made_under_it():
    for path in [*(ROOT / "nodelib").rglob("*.py"), *(ROOT / "figures").glob("*.py")]:
        if path.name == "style.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        words = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(tree)}
        assert words.isdisjoint({"rc_context", "rcParams", "pyplot", "plt", "savefig"}), path.name
        blocks = [node for node in ast.walk(tree) if isinstance(node, ast.With)]
        under_it = [block for block in blocks if ast.unparse(block.items[0]) in ("book()", "style.book()")]
        assert figures_in(tree) == sum(map(figures_in, under_it)), path.name


def figures_in(tree: ast.AST) -> int:
    """How many figures are made in there."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return sum(isinstance(call.func, ast.Name) and call.func.id == "Figure" for call in calls)


def test_a_moving_line_is_empty_and_left_out_of_the_still_picture():
    line = moving(Figure().subplots(), "o--", color="red")
    assert (line.get_animated(), line.get_marker(), line.get_linestyle()) == (True, "o", "--")
    assert not np.size(line.get_xdata())
    euler = moving(Figure().subplots(), **look("euler", points=True))
    assert (euler.get_color(), euler.get_marker(), euler.get_linestyle()) == (style.RED, "o", ":")


def test_plain_ticks_are_those_given_and_written_without_powers():
    ax = Figure().subplots()
    ax.set(xscale="log", xlim=(0.5, 2000))
    plain_ticks(ax.xaxis, [0.5, 1, 1000])
    ax.figure.canvas.draw()
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.5", "1", "1000"]
    assert len(ax.xaxis.get_minorticklocs()) == 0


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


# Names that mean the same thing, and so look the same; every other two are told apart, in black and white too.
SAME = ({"euler", "coarse", "resnet"}, {"rk4", "rknet"}, {"dopri5", "adaptive", "odenet"})


def test_names_look_alike_only_where_they_mean_the_same():
    for one, other in combinations(LOOKS, 2):
        alike = any({one, other} <= names for names in SAME)
        assert (LOOKS[one] == LOOKS[other]) == alike, (one, other)
        if not alike and LOOKS[one].colour == LOOKS[other].colour:
            assert LOOKS[one].line != LOOKS[other].line, (one, other)
            assert LOOKS[one].marker != LOOKS[other].marker, (one, other)


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_is_keywords_of_plot(name):
    line, points = Figure().subplots().plot([1], **look(name)) + Figure().subplots().plot(
        [1], **look(name, points=True)
    )
    colour, style_, marker = LOOKS[name]
    assert line.get_color() == points.get_color() == colour
    assert colour in (*PETROFF6, style.INK)
    assert points.get_marker() == marker
    assert line.get_marker() == ("None" if style_ else marker)  # what has no line is seen by its marker


def test_an_unknown_look_is_named_with_the_nearest():
    with pytest.raises(KeyError, match="nothing is called 'heunn'; there is heun"):
        look("heunn")
