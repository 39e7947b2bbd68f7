"""Chapter 4's first pictures show what is said of them: densities of integral one, and sums of log-determinants."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from nodelib.chapters.chapter4 import basics
from nodelib.models.flow_fields import GatedField
from nodelib.models.flows import CNF, base_log_prob


@pytest.fixture
def flow() -> CNF:
    torch.manual_seed(0)
    return CNF(GatedField(8, scale=0.4), rtol=1e-5, atol=1e-5)


def test_a_grid_holds_the_density_and_its_integral(flow):
    density, mass = basics.on_grid(flow, 0.5, reach=5.0, side=81)
    line = torch.linspace(-5, 5, 81)
    point = torch.tensor([[float(line[50]), float(line[30])]])
    with torch.no_grad():
        assert density[30, 50] == pytest.approx(float(flow.pull(point, 0.5)[1].exp()), rel=1e-3)
    assert mass == pytest.approx(1, abs=1e-3)


def test_at_the_beginning_it_is_the_base(flow):
    density, mass = basics.on_grid(flow, 0, side=51)
    assert density[25, 25] == pytest.approx(1 / (2 * math.pi))
    assert mass == pytest.approx(math.erf(3.8 / math.sqrt(2)) ** 2, abs=1e-4)


def test_the_log_dets_of_a_linear_field_by_hand():
    a = torch.tensor([[0.3, 1.0], [0.0, -0.8]], dtype=torch.float64)
    z, total = basics.sum_of_log_dets(lambda t, z: a @ z, torch.tensor([1.0, 2.0], dtype=torch.float64), 4)
    assert float(total) == pytest.approx(4 * (math.log(1 + 0.3 / 4) + math.log(1 - 0.8 / 4)))
    torch.testing.assert_close(
        z, torch.linalg.matrix_power(torch.eye(2).double() + a / 4, 4) @ torch.tensor([1.0, 2.0]).double()
    )


def test_the_log_dets_take_each_step_at_its_own_time():
    _, total = basics.sum_of_log_dets(lambda t, z: t * z, torch.ones(2, dtype=torch.float64), 2)
    assert float(total) == pytest.approx(2 * math.log(1 + 0.5 / 2))


def test_the_sum_of_log_dets_approaches_the_integral_of_the_trace(flow):
    field, z = flow.field.double(), torch.tensor([0.3, -0.5], dtype=torch.float64)

    def velocity(t, z):
        return field(torch.tensor(t).double(), (z[None], z[None, 0]))[0][0]

    with torch.no_grad():
        log_p = flow.push(z[None])[1] - base_log_prob(z[None])
        errors = [abs(float(basics.sum_of_log_dets(velocity, z, n)[1] + log_p)) for n in (16, 32)]
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.15)


def test_the_formula_is_drawn_at_each_z():
    one = basics.Map(lambda z: 2 * z, lambda z: 2 + 0 * z, "y = 2 z")
    fig = basics.one_dimension([one, one], draws=50_000)
    y, density = (np.asarray(part) for part in fig.axes[2].lines[0].get_data())
    assert density == pytest.approx(np.exp(-(y**2) / 8) / np.sqrt(8 * np.pi))
    bars: Any = fig.axes[2].patches
    middle = min(bars, key=lambda bar: abs(bar.get_x()))
    assert middle.get_height() == pytest.approx(1 / np.sqrt(8 * np.pi), rel=0.1)


def test_the_line_beside_the_errors_halves():
    fig = basics.halving((4, 8, 16), {"z(1)": [0.4, 0.2, 0.1], "sum": [0.3, 0.1, 0.05]})
    first, second, halves = fig.axes[0].lines
    assert first.get_ydata() == pytest.approx([0.4, 0.2, 0.1])
    assert second.get_ydata() == pytest.approx([0.3, 0.1, 0.05])
    heights = np.asarray(halves.get_ydata())
    assert heights[:-1] == pytest.approx(2 * heights[1:])


def test_panels_show_what_they_are_given(flow):
    early, late = np.zeros((5, 5)), np.ones((5, 5))
    fig = basics.carried({0: early, 1: late})
    assert [ax.get_title("left") for ax in fig.axes] == ["t = 0", "t = 1"]
    assert [float(np.max(np.asarray(ax.images[0].get_array()))) for ax in fig.axes] == [0, 1]
    assert {ax.images[0].get_clim() for ax in fig.axes} == {(0, 1)}
    fig = basics.side_by_side({"base": base_log_prob, "flow": lambda x: flow.pull(x)[1]}, side=11)
    assert [ax.get_title("left") for ax in fig.axes] == ["base", "flow"]
    assert np.argmax(np.asarray(fig.axes[0].images[0].get_array())) == 60


def test_pairs_and_paths_end_where_they_end():
    pairs, paths = torch.tensor([[0.0, 1.0, 2.0, 3.0, 0.5]]), np.arange(6.0).reshape(3, 1, 2)
    left, right = basics.pairs_and_paths(pairs, paths).axes
    assert left.lines[0].get_xydata() == pytest.approx(np.array([[0, 1], [2, 3]]))
    assert right.lines[0].get_xydata() == pytest.approx(paths[:, 0])
    assert right.lines[2].get_xydata() == pytest.approx(paths[-1])
