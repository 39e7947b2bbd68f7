"""Chapter 3's pictures of costs show the numbers they are given, and their labels stand clear."""

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from nodelib.chapters.chapter3.figures import SOLVER_LOOK, WAY_LOOK, apart, figure3, growth, price_of_half
from nodelib.experiments.nfe import LOSSES, ratio, together
from nodelib.workbook.style import INK

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
    diagonals = [line for line in back.lines if to_rgba(line.get_color()) == to_rgba(INK)]
    for line, factor in zip(diagonals, (1, 0.5), strict=True):
        x, y = np.asarray(line.get_data())
        np.testing.assert_allclose(y, factor * x)
    for line, key in zip(training.lines, ("nfe_forward", "nfe_backward"), strict=True):
        np.testing.assert_array_equal(line.get_data(), [LOG["epoch"], LOG[key]])
    assert overlaps(fig) == []


def test_the_line_of_panel_b_has_the_time_of_an_evaluation(numbers):
    fitted = [line for line in figure3(numbers, LOG).axes[1].lines if line.get_xdata()[0] == 0]  # type: ignore[index]
    assert len(fitted) == 2
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


def test_growth_names_each_line_with_what_one_more_adds():
    depth = [4, 8, 16]
    added = {"ResNet": (2, 1), "backprop": (3, 1.5), "checkpoint": (0.25, 2), "adjoint": (0, 3)}
    rows = {
        way: {"depth": depth, "bytes": [1e6 * (5 + b * n) for n in depth], "seconds": [1e-3 * s * n for n in depth]}
        for way, (b, s) in added.items()
    }
    fig = growth({"batch": 8, "shape": [4, 4, 4], "rows": rows})
    for i, ax in enumerate(fig.axes):
        names = [text.get_text() for text in ax.texts]
        assert [name.split("+ ")[1] for name in names] == [f"{each[i]:.2g} each" for each in added.values()]
        for line, way in zip(ax.lines, WAY_LOOK, strict=True):
            expected = [(5 if i == 0 else 0) + added[way][i] * n for n in depth]
            np.testing.assert_allclose(np.asarray(line.get_ydata()), expected)
        assert ax.get_xlim()[1] == depth[-1]
        assert names[0].startswith("ResNet")
    assert overlaps(fig) == []


def test_means_have_a_bar_from_the_least_to_the_most(numbers):
    def doubled(row):
        return {key: 2 * value if key in ("error", "nfe", "seconds") else value for key, value in row.items()}

    other = {key: [doubled(row) for row in numbers[key]] for key in ("forward", "backward", "batches")}
    same = {"state": 1, "parameters": 1, "reference": {}}
    both = together([{**numbers, **same}, {**numbers, **other, **same}])
    ax = figure3(both, LOG).axes[0]
    bars = [np.asarray(line.get_xydata()) for line in ax.lines if line.get_marker() == "None"]
    row = numbers["forward"][0]
    upright = [bar for bar in bars if bar[0, 0] == bar[1, 0] == 1.5 * row["nfe"]]
    np.testing.assert_allclose(upright[0][:, 1], [row["error"], 2 * row["error"]])
    assert overlaps(figure3(both, LOG)) == overlaps(price_of_half(both)) == []


def test_heights_are_kept_apart():
    assert apart([0.1, 0.5], 0.2) == [0.1, 0.5]
    moved = apart([0.5, 0.5, 0.9, 0.52], 0.1)
    assert np.all(np.diff(sorted(moved)) > 0.0999)
    assert moved[2] == 0.9
