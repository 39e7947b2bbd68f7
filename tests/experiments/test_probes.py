"""Probes of fields whose eigenvalues, jumps and kinks are known."""

import math

import pytest
import torch

from nodelib.experiments import probes
from nodelib.experiments.probes import bisect, breaks, eigenvalue, eigenvalues, growth, noise, slope_along
from nodelib.torch_ode.forms import Form

DOUBLE = torch.float64


def linear(n, values):
    """A field y' = A y with these eigenvalues (pairs for complex ones), in a skew basis."""
    basis = (
        torch.eye(n, dtype=DOUBLE)
        + 0.3 * torch.randn(n, n, generator=torch.Generator().manual_seed(n), dtype=DOUBLE) / n**0.5
    )
    A = (
        basis
        @ torch.block_diag(
            *[torch.as_tensor(v, dtype=DOUBLE).reshape(-1, 2 if isinstance(v, list) else 1) for v in values]
        )
        @ basis.inverse()
    )
    return lambda t, y: A @ y


@pytest.mark.parametrize("n", [4, 60])  # exact, and by power iteration
def test_the_largest_eigenvalue_is_found(n):
    y = torch.ones(n, dtype=DOUBLE)
    assert eigenvalue(linear(n, [-7.0] + [-1.0] * (n - 1)), 0.0, y) == pytest.approx(7, rel=1e-3)
    pair = [[-3.0, 4.0, -4.0, -3.0]]  # -3 ± 4i
    assert eigenvalue(linear(n, pair + [1.0] * (n - 2)), 0.0, y) == pytest.approx(5, rel=0.02)
    assert eigenvalue(lambda t, y: 0 * y, 0.0, y) == 0
    assert math.isnan(eigenvalue(lambda t, y: y.detach(), 0.0, y))


def test_each_sample_has_its_own():
    rates = torch.tensor([1.0, 50.0, 3.0, 0.5], dtype=DOUBLE)

    def f(t, y):
        return (-rates[:, None] * y.reshape(4, 3)).reshape(-1)

    assert torch.allclose(eigenvalues(f, 0.0, torch.ones(12, dtype=DOUBLE), 4), rates)
    assert torch.equal(growth(lambda v: 0 * v, torch.ones(2, 3, dtype=DOUBLE)), torch.zeros(2, dtype=DOUBLE))


def test_noise_is_what_changes():
    assert noise(lambda t, y: -y, 0.0, torch.ones(3)) == 0
    values = iter((torch.ones(4), 1.1 * torch.ones(4)))
    assert noise(lambda t, y: next(values), 0.0, torch.ones(4)) == pytest.approx(0.1, rel=1e-5)


def test_the_floor_is_the_rounding_over_the_tolerance():
    y = torch.ones(5)
    assert probes.floor(y, 0.0, 1e-7) == pytest.approx(2.0**-23 / 1e-7, rel=1e-5)
    assert probes.floor(y, 1e-5, 1e-5) == pytest.approx(2.0**-23 / 2e-5, rel=1e-5)
    assert probes.floor(y.double(), 1e-7, 1e-9) < 1e-8


def test_a_jump_is_found_and_a_steep_slope_is_none():
    jump = bisect(lambda s: torch.tensor([1.0 + (s > 0.3)], dtype=DOUBLE), 0.0, 1.0, 1e-9)
    assert tuple(jump) == pytest.approx((0.3, 0.5), abs=1e-9)
    assert bisect(lambda s: torch.tensor([math.tanh(1e4 * (s - 0.3))], dtype=DOUBLE), 0.0, 1.0, 1e-9).size == 0
    backwards = bisect(lambda s: torch.tensor([float(s > 0.3)], dtype=DOUBLE), 1.0, 0.0, 1e-9)
    assert backwards.t == pytest.approx(0.3, abs=1e-9)


def test_breaks_are_counted_once_and_against_the_whole():
    def g(s):
        return torch.tensor([10.0 + (s > 0.3) + 0.001 * (s > 0.7)], dtype=DOUBLE)

    intervals = [(0.0, 0.5), (0.2, 0.4), (0.5, 1.0)]
    assert [place.t for place in breaks(g, intervals, 1e-9, 1e-3)] == pytest.approx([0.3])
    assert [place.t for place in breaks(g, intervals, 1e-9, 1e-6)] == pytest.approx([0.3, 0.7])
    small = breaks(
        lambda s: torch.tensor([100.0 * s if s < 0.1 else 1e-4 * (s > 0.3)]), [(0.09, 0.09), (0.2, 0.4)], 1e-6, 1e-3
    )
    assert small == []  # 1e-4, beside a size of 9


def test_a_kink_is_a_jump_of_the_derivative():
    def path(s):
        return torch.tensor([s - 0.25, 1.0], dtype=DOUBLE)

    for f, expected in ((lambda t, y: y.relu(), [0.25]), (lambda t, y: y.tanh(), []), (lambda t, y: y * 0 + t, [])):
        found = breaks(slope_along(f, path), [(0.0, 0.6), (0.6, 1.0)], 1e-9, 1e-4)
        assert [place.t for place in found] == pytest.approx(expected)


def test_a_field_on_flat_states_is_func():
    form = Form((torch.ones(2, 3), torch.ones(4)))
    f = probes.flat(lambda t, z: (t * z[0], -z[1]), form)
    assert torch.equal(f(2.0, torch.ones(10)), torch.tensor([2.0] * 6 + [-1.0] * 4))
