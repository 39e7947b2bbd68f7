"""Each of the ten pains happens as the gallery says, and its remedy mends it."""

import pytest

from nodelib.chapters.chapter6 import gallery, gallery_figures

FACTOR = {"underflow": 1e9, "slow_adjoint": 10, "memory_grows": 5, "diverging": 1e4, "sign_of_time": 1e6,
          "lost_parameters": 1.3, "shared_steps": 4, "too_tight": 50, "stuck": 5, "last_digits": 5}  # fmt: skip

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def pains():
    return gallery.all_pains()


def test_each_happens_and_is_mended(pains):
    """By a factor; the first's numbers are one over the shortest step."""
    for make, pain in zip(gallery.PAINS, pains, strict=True):
        assert pain.worse > FACTOR[make.__name__] * max(pain.better, 1e-12), pain.name


def test_messages_are_the_librarys(pains):
    """Those that the table quotes name what is to be done."""
    for i, words in ((0, "end t before it"), (5, "Pass it in adjoint_params"), (7, "use a wider dtype")):
        assert words in pains[i].seen


def test_the_picture_has_a_panel_each(pains):
    """With its curves and labels."""
    fig = gallery_figures.picture(pains)
    for ax, pain in zip(fig.axes, pains, strict=True):
        assert len(ax.lines) >= len(pain.curves)
        assert ax.get_xlabel()
        assert ax.get_ylabel()
