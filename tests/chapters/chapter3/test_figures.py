"""Chapter 3's pictures of costs show the numbers they are given, and their labels stand clear."""

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from nodelib.chapters.chapter3.figures import SOLVER_LOOK, figure3, growth, price_of_half
from nodelib.experiments.nfe import LOSSES, ratio

TOLERANCES = (1e-1, 1e-2, 1e-3)
LOG = {"epoch": [0.5, 1.0, 1.5, 2.0], "nfe_forward": [20.0, 21.5, 23.0, 26.0], "nfe_backward": [14.0, 16.0, 18.5, 20.0]}


def backward(solver: str, loss: str, tol: float) -> dict[str, Any]:
    forward = round(14 - 6 * np.log10(tol) + list(SOLVER_LOOK).index(solver))
    back = forward * {"mean": 0.8, "unit": 1.2 / tol**0.3}[loss]
    return {"solver": solver, "loss": loss, "tol": tol, "nfe_forward": forward, "nfe_backward": back, "error": tol**0.2}


def forward(solver: str, tol: float) -> dict[str, Any]:
    nfe = 10 - (6 if solver == "dopri5" else 20) * np.log10(tol)
    return {"solver": solver, "tol": tol, "nfe": nfe, "error": tol / 3, "seconds": 0.005 * nfe}


@pytest.fixture
def numbers():
    rows = [backward(*each) for each in product(("dopri5", "seminorm", "VODE"), LOSSES, TOLERANCES)]
    rows += [backward("checkpoint", "mean", tol) for tol in TOLERANCES]
    batches = [{**backward(s, loss, 1e-3), "batch": b} for b in (1, 4) for s in ("dopri5", "VODE") for loss in LOSSES]
    return {
        "batch": 32,
        "forward": [forward(*each) for each in product(("dopri5", "VODE"), TOLERANCES)],
        "backward": rows,
        "batches": batches,
    }


def markers(ax) -> dict[tuple[str, str], np.ndarray]:
    """The points of each solver and loss (empty markers: mean), all of a kind together."""
    found = {}
    for line in ax.lines:
        for solver, (colour, _, marker) in SOLVER_LOOK.items():
            if line.get_marker() == marker and to_rgba(line.get_color()) == to_rgba(colour):
                loss = "mean" if line.get_markerfacecolor() == "white" else "unit"
                found.setdefault((solver, loss), []).append(line.get_xydata())
    return {key: np.concatenate(parts) for key, parts in found.items()}


def overlaps(fig: Figure) -> list[tuple[str, str]]:
    """The pairs of labels in one axes that lie on one another, and those that leave the figure."""
    FigureCanvasAgg(fig).draw()
    renderer, bad = fig.canvas.get_renderer(), []  # type: ignore[attr-defined]
    for ax in fig.axes:
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in ax.texts]
        bad += [(a, b) for (a, box), (b, other) in combinations(boxes, 2) if box.overlaps(other)]
        bad += [(a, "outside") for a, box in boxes if box.x1 > fig.bbox.x1 or box.y1 > fig.bbox.y1]
    return bad


def test_figure_3_shows_its_numbers(numbers):
    fig = figure3(numbers, LOG)
    error, time, back, training = fig.axes
    for solver in ("dopri5", "VODE"):
        rows = [row for row in numbers["forward"] if row["solver"] == solver]
        np.testing.assert_array_equal(markers(error)[solver, "unit"], [[r["nfe"], r["error"]] for r in rows])
        np.testing.assert_allclose(markers(time)[solver, "unit"], [[r["nfe"], 1e3 * r["seconds"]] for r in rows])
    shown = markers(back)
    assert len(shown) == 6
    for (solver, loss), points in shown.items():
        rows = [row for row in numbers["backward"] if (row["solver"], row["loss"]) == (solver, loss)]
        np.testing.assert_array_equal(points, [[row["nfe_forward"], row["nfe_backward"]] for row in rows])
    for line, factor in zip(back.lines, (1, 0.5), strict=False):
        x, y = np.asarray(line.get_data())
        np.testing.assert_allclose(y, factor * x)
    for line, key in zip(training.lines, ("nfe_forward", "nfe_backward"), strict=True):
        np.testing.assert_array_equal(line.get_data(), [LOG["epoch"], LOG[key]])
    assert overlaps(fig) == []


def test_the_line_of_panel_b_has_the_time_of_an_evaluation(numbers):
    fitted = [line for line in figure3(numbers, LOG).axes[1].lines if line.get_marker() == "None"]
    for line in fitted:
        (x0, x1), (y0, y1) = np.asarray(line.get_data())
        assert (x0, y0) == (0, 0)
        assert y1 / x1 == pytest.approx(5)


def test_the_price_shows_its_numbers(numbers):
    fig = price_of_half(numbers)
    price, share = fig.axes
    tight = [row for row in numbers["backward"] if row["tol"] == 1e-3]
    shown = markers(price)
    assert len(shown) == len(tight) == 7
    for row in tight:
        np.testing.assert_array_equal(shown[row["solver"], row["loss"]], [[ratio(row), row["error"]]])
    for (solver, loss), points in markers(share).items():
        expected = ratio(backward(solver, loss, 1e-3))
        np.testing.assert_array_equal(points, [[batch, expected] for batch in (1, 4, 32)])
    half = [line for line in share.lines if np.all(np.asarray(line.get_ydata()) == 0.5)]
    assert len(half) == 1


def test_growth_names_each_curve_with_its_slope():
    depth = [4, 8, 16]
    powers = {"ResNet": (1, 1), "backprop": (1, 1.1), "checkpoint": (0.25, 1.05), "adjoint": (0, 1)}
    rows = {
        way: {"depth": depth, "bytes": [2e6 * n**p for n in depth], "seconds": [1e-3 * n**q for n in depth]}
        for way, (p, q) in powers.items()
    }
    fig = growth({"batch": 8, "shape": [4, 4, 4], "rows": rows})
    memory, time = fig.axes
    for ax, i, size in ((memory, 0, 2.0), (time, 1, 1.0)):
        names = [text.get_text() for text in ax.texts]
        assert [name.split("{")[1].split("}")[0] for name in names] == [f"{p[i]:.2f}" for p in powers.values()]
        for line, p in zip(ax.lines, powers.values(), strict=True):
            np.testing.assert_allclose(np.asarray(line.get_ydata()), [size * n ** p[i] for n in depth])
    assert names[0].startswith("ResNet")
    assert overlaps(fig) == []
