"""Chapter 4's pictures show the numbers that they are given."""

import numpy as np
import pytest
import torch

from nodelib.chapters.chapter4 import figures
from nodelib.models.flow_fields import GatedField
from nodelib.models.flows import CNF, PlanarFlow


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def planar(models: int, **settings) -> PlanarFlow:
    return PlanarFlow(20, models=models, **settings)


def gated(models: int) -> CNF:
    return CNF(GatedField(2, models=models), rtol=1e-2, atol=1e-2)


def test_a_picture_shows_the_density_the_right_way_up():
    """A bump up and right of the middle is bright there: row and column of the image count from below and from left."""
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    figures.picture(ax, lambda x: -10 * (x - torch.tensor([2.0, 3.0])).square().sum(1), side=81)
    image = np.asarray(ax.images[0].get_array())
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert (column, row) == (60, 70)
    assert ax.images[0].origin == "lower"


def test_densities_stand_beside_their_targets():
    fig = figures.density_matching({("planar", 2): planar(6), ("gated", 8): gated(6)}, seeds=2, side=8)
    assert [ax.get_title("left") for ax in fig.axes[:3]] == ["target", "flow K = 2", "CNF M = 8"]
    assert [ax.get_ylabel() for ax in fig.axes[::3]] == ["U1", "U2", "U3"]


def test_gaps_are_losses_above_floors():
    runs = [{"flow": "gated", "size": size, "loss": [[1.5, 1.3], [3.0, 3.0]]} for size in (2, 8)]
    fig = figures.gaps(runs, {"U1": 1.0, "U2": 2.0}, "Nothing")
    assert fig.axes[0].lines[0].get_ydata() == pytest.approx([0.4, 0.4])  # the mean
    assert fig.axes[0].lines[1].get_ydata() == pytest.approx([0.5, 0.3])  # the seeds
    assert fig.axes[1].lines[0].get_xdata() == pytest.approx([2, 8])


def test_likelihood_shows_the_seed_in_the_middle_part_of_the_way():
    runs = [{"flow": flow, "shape": "moons", "test": [3.0, 1.0, 2.0]} for flow in ("cnf", "planar")]
    record = {"runs": runs, "shapes": {"moons": {"test_entropy": 0.75}}}
    models = {"cnf": gated(3), "planar": planar(3, towards="base")}
    fig = figures.likelihood(record, models, "moons", side=8)
    assert [ax.get_ylabel() for ax in fig.axes[::7]] == ["CNF", "+1.250 nats", "planar flow", "+1.250 nats"]
    assert [ax.get_title("left") for ax in fig.axes[1:7]] == ["5%", "20%", "40%", "60%", "80%", "100%"]
    part, _ = figures.part_of(planar(3), 0.2)
    assert part.w.shape == (3, 4, 2)


def test_paths_and_errors():
    euler = {"1": 1.0, "2": 0.5, "4": 0.3, "8": 0.1}
    ways = ("likelihood", "independent", "optimal")
    fig = figures.matching_paths(
        {"runs": [{"way": way, "euler": euler} for way in ways]}, {way: np.zeros((5, 3, 2)) for way in ways}
    )
    assert [ax.get_title("left") for ax in fig.axes[:3]] == list(ways)
    assert fig.axes[3].lines[0].get_ydata() == pytest.approx(list(euler.values()))


def test_costs_are_milliseconds():
    row = {"deviation": {"gauss": 1.0, "rademacher": 0.5}, "trace": -0.2}
    seconds = {"f": 0.001, "hutchinson": 0.002, "exact": 0.01, "log-det": 0.02}
    fig = figures.trace_cost({"rows": [{"dim": dim, "seconds": seconds, **row} for dim in (2, 4)]})
    assert fig.axes[0].lines[0].get_ydata() == pytest.approx([1, 1])
    assert fig.axes[1].lines[2].get_ydata() == pytest.approx([0.2, 0.2])
