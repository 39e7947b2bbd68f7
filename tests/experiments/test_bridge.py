# pyright: reportArgumentType=false
"""The pass between two modes: found where it is, along a path that may wind; and the area's stretching there."""

import math

import numpy as np
import pytest
import torch

from nodelib.data.toy2d import two_gaussians
from nodelib.experiments.bridge import between, log_det, saddle, share_between
from nodelib.models.flow_fields import GatedField
from nodelib.models.flows import CNF, base_log_prob

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_pass_lies_where_a_winding_path_is_lowest():
    """Each row has a high point, but those of the third and the fourth row are not neighbours: the path is an S."""
    height = np.array(
        [
            [0.0, 9.0, 0.0, 0.0],
            [0.0, 8.0, 0.0, 0.0],
            [7.0, 0.0, 0.0, 1.0],
            [2.0, 3.0, 4.0, 5.0],
            [0.0, 0.0, 0.0, 6.0],
        ]
    )
    assert saddle(height) == (3, 1)
    height[3, 1] = -1.0  # the way through column 1 is gone: by way of row 2's last entry there is none
    assert height[saddle(height)] == 0


def test_the_pass_between_two_gaussians_is_the_midpoint():
    target, x = two_gaussians(0.3, 1.2), between(1.2, 1.5)
    assert x.shape == (61, 61, 2)
    at = saddle(target.log_prob(x.double()).numpy())
    assert x[at].abs().max() < 1e-6
    # Both Gaussians give the midpoint half of exp(-½ 4²) / (2 π 0.3²).
    assert float(target.log_prob(torch.zeros(2, dtype=torch.float64))) == pytest.approx(
        -8 - math.log(2 * math.pi * 0.09)
    )


@pytest.mark.parametrize("distance", [0.6, 1.2])
def test_the_exact_share_is_that_of_draws(distance):
    x = two_gaussians(0.3, distance).sample(100_000, torch.Generator().manual_seed(0))
    share = share_between(distance, 0.3)
    assert float((x[:, 0].abs() < distance / 2).double().mean()) == pytest.approx(share, abs=4 * math.sqrt(share / 1e5))


def test_the_traces_integral_is_the_determinant():
    """Theorem 1, at one point of an untrained flow that stretches."""
    torch.manual_seed(0)
    model = CNF(GatedField(8, scale=1.0), rtol=1e-8, atol=1e-8).double()
    z = torch.tensor([0.3, -0.8], dtype=torch.float64)
    with torch.no_grad():
        log_p = model.push(z[None])[1]
    assert log_det(model, z) == pytest.approx(float(base_log_prob(z) - log_p), abs=1e-5)
    assert abs(log_det(model, z)) > 0.1
