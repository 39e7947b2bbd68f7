"""The plane's potentials and shapes: their floors by quadrature, and samples that match their densities."""

import math

import pytest
import torch

from nodelib.data import toy2d
from nodelib.data.toy2d import POTENTIALS, SHAPES, Mixture, drawn, floor_of, grid, potential

FLOORS = {"U1": -1.878, "U2": -2.082, "U3": -2.642}
SHAPE_FLOORS = {"circles": 0.788, "moons": 1.008}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- potentials -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", POTENTIALS)
def test_floors_are_those_of_the_potentials(name):
    assert floor_of(name, 0.02) == pytest.approx(FLOORS[name], abs=5e-4)
    assert floor_of(name, 0.02) == pytest.approx(floor_of(name, 0.03), abs=1e-4)


@pytest.mark.parametrize("name", POTENTIALS)
def test_the_wall_keeps_the_floors_of_the_strip(name, monkeypatch):
    """Without it, on |z1| <= 4: for U1, which ends by itself, and for the bands, whose ends it softens."""
    with_wall = floor_of(name, 0.02)
    monkeypatch.setattr(toy2d, "wall", torch.zeros_like)
    z, area = grid((-4.0, 4.0, -8.0, 6.0), 0.02)
    weight = torch.where(z[:, 0].abs() == 4, 0.5, 1.0).log()  # of the trapezoidal rule at the strip's edges
    strip = -float(torch.logsumexp(weight - potential(name, z), 0)) - math.log(area)
    assert with_wall == pytest.approx(strip, abs=2e-3)


@pytest.mark.parametrize("name", POTENTIALS)
def test_potentials_take_any_leading_axes(name):
    z = torch.randn(3, 4, 5, 2, generator=seeded(), dtype=torch.float64)
    u = potential(name, z)
    assert u.shape == (3, 4, 5)
    assert u[1, 2, 3] == potential(name, z[1, 2, 3])


def test_potentials_by_hand():
    """At the origin: ring 12.5, both bumps exp(-½(2/.6)²); the bands cross there, the fork 3 exp(-½/.36) below."""
    origin = torch.zeros(2, dtype=torch.float64)
    assert potential("U1", origin) == pytest.approx(12.5 + 0.5 * (2 / 0.6) ** 2 - math.log(2))
    assert potential("U2", origin) == 0
    fork = 3 * math.exp(-0.5 / 0.36)
    assert potential("U3", origin) == pytest.approx(-math.log(1 + math.exp(-0.5 * (fork / 0.35) ** 2)))
    assert potential("U2", torch.tensor([4.149, 0.0], dtype=torch.float64)) == pytest.approx(
        2.0 + 0.5 * (math.sin(math.pi / 2 * 4.149) / 0.4) ** 2
    )


# --- shapes -----------------------------------------------------------------------------------------------------------


def points() -> torch.Tensor:
    """A crooked line, as somebody might draw it."""
    s = torch.linspace(0, 1, 40, dtype=torch.float64)
    return torch.stack([100 + 300 * s, 50 + 80 * torch.sin(7 * s)], 1)


MAKERS = SHAPES | {"drawn": lambda: drawn(points())}


def masses(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Midpoints of small squares, and the mass in each."""
    shape = MAKERS[name]()
    left, right, bottom, top = shape.box
    z, area = grid((left + 0.025, right - 0.025, bottom + 0.025, top - 0.025), 0.05)
    return z, shape.log_prob(z).exp() * area


@pytest.mark.parametrize("name", MAKERS)
def test_densities_integrate_to_one(name):
    assert float(masses(name)[1].sum()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", MAKERS)
def test_samples_are_drawn_from_the_density(name):
    """The mean of -log p over them is the entropy, and into each quadrant falls the share of its mass."""
    shape, n = MAKERS[name](), 20_000
    x = shape.sample(n, seeded(), torch.float64)
    surprise = -shape.log_prob(x)
    error = float(surprise.std()) / n**0.5
    assert float(surprise.mean()) == pytest.approx(shape.entropy, abs=4 * error + 1e-9)
    z, mass = masses(name)
    for quadrant in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        inside = [(torch.tensor(quadrant) * y > 0).all(-1) for y in (x, z)]
        share, expected = float(inside[0].double().mean()), float(mass[inside[1]].sum())
        assert share == pytest.approx(expected, abs=4 * (expected / n) ** 0.5 + 0.005)


@pytest.mark.parametrize("name", SHAPE_FLOORS)
def test_entropies_of_the_authors_data(name):
    assert SHAPES[name]().entropy == pytest.approx(SHAPE_FLOORS[name], abs=1e-3)


def test_entropy_of_moons_with_half_the_noise():
    assert toy2d.moons(0.05).entropy == pytest.approx(0.289, abs=1e-3)


def test_entropy_of_gaussians_far_apart():
    """The choice's, and that of one Gaussian."""
    for k, shape in ((8, toy2d.eight_gaussians(noise=0.05)), (2, toy2d.two_gaussians(noise=0.05))):
        assert shape.entropy == pytest.approx(math.log(k) + math.log(2 * math.pi * math.e * 0.05**2), abs=1e-6)


def test_two_gaussians_stand_left_and_right():
    x = toy2d.two_gaussians(0.1, 2.0).sample(1000, seeded(), torch.float64)
    assert (x[:, 0].abs() - 2).abs().max() < 0.5
    assert x[:, 1].abs().max() < 0.5
    assert x.mean(0).abs().max() < 0.3


@pytest.mark.parametrize("name", ["circles", "moons", "spirals"])
def test_the_nodes_stand_for_the_whole_curve(name):
    """The density by a Monte Carlo mean over the curve's own centres."""
    shape = SHAPES[name]()
    assert isinstance(shape, Mixture)
    centres, x = shape.centres(200_000, seeded()), shape.sample(5, seeded(1), torch.float64)
    density = torch.exp(-torch.cdist(x, centres).square() / (2 * shape.noise**2)) / (2 * math.pi * shape.noise**2)
    mean, error = density.mean(1), density.std(1) / len(centres) ** 0.5
    assert ((shape.log_prob(x).exp() - mean).abs() < 4 * error).all()


def test_spirals_are_as_dense_outside_as_inside():
    """Half of the centres lie beyond π/√2, where half of the disk's area does."""
    radii = toy2d.spirals().centres(20_000, seeded()).norm(dim=1)
    assert float(radii.median()) == pytest.approx(math.pi / math.sqrt(2), abs=0.03)


def test_a_seed_settles_the_points():
    for name, make in MAKERS.items():
        assert torch.equal(make().sample(7, seeded()), make().sample(7, seeded())), name
        assert not torch.equal(make().sample(7, seeded()), make().sample(7, seeded(1))), name
        assert make().sample(7, seeded()).dtype == torch.float32


@pytest.mark.parametrize("t", [0.3, 0.8])
def test_a_mixed_density_is_that_of_noise_and_points_together(t):
    shape, z = toy2d.moons(), torch.tensor([[0.0, 0.4], [0.5, 0.0], [-0.6, 0.3]], dtype=torch.float64)
    x = shape.sample(200_000, torch.Generator().manual_seed(0), torch.float64)
    kernel = (-(z[:, None] - t * x).square().sum(-1) / (2 * (1 - t) ** 2)).exp() / (2 * math.pi * (1 - t) ** 2)
    torch.testing.assert_close(shape.mixed(t).log_prob(z).exp(), kernel.mean(1), rtol=0.02, atol=0)
    drawn_together = (1 - t) * torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype) + t * x
    own = shape.mixed(t).sample(200_000, torch.Generator().manual_seed(2), torch.float64)
    torch.testing.assert_close(own.mean(0), drawn_together.mean(0), rtol=0, atol=0.01)
    torch.testing.assert_close(own.T.cov(), drawn_together.T.cov(), rtol=0, atol=0.01)


def test_a_density_mixed_with_nothing_is_either():
    shape, z = toy2d.moons(), torch.tensor([[0.0, 0.4], [0.5, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(shape.mixed(1).log_prob(z), shape.log_prob(z))
    torch.testing.assert_close(shape.mixed(0).log_prob(z), -z.square().sum(1) / 2 - math.log(2 * math.pi))
    with pytest.raises(ValueError, match="t must be from 0 to 1"):
        shape.mixed(1.1)


def test_the_checkerboard_is_dark_where_its_points_fall():
    board = toy2d.Checkerboard()
    x = board.sample(2000, seeded(), torch.float64)
    assert board.log_prob(x).exp() == pytest.approx(1 / 8)
    assert board.log_prob(torch.tensor([[-1.5, -0.5], [2.5, 0.5]])).isinf().all()


def test_drawn_points_keep_their_proportions():
    x = points()
    nodes = drawn(x).nodes
    assert nodes.mean(0).abs().max() < 1e-12
    assert nodes.square().mean() == pytest.approx(1)
    ratio = (x[1:] - x[:-1]) / (nodes[1:] - nodes[:-1])
    assert ratio == pytest.approx(float(ratio[0, 0]))


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: potential("U4", torch.zeros(2)), "name must be one of U1, U2, U3, not 'U4'"),
        (lambda: potential("U1", torch.zeros(3)), r"z must have shape \(…, 2\), got \(3,\)"),
        (lambda: toy2d.moons().log_prob(torch.zeros(2, 3)), r"x must have shape \(…, 2\), got \(2, 3\)"),
        (lambda: toy2d.moons(0), "noise must be positive and finite, not 0"),
        (lambda: toy2d.circles(factor=math.nan), "factor must be positive and finite, not nan"),
        (lambda: toy2d.moons().sample(0, seeded()), "n must be positive and finite, not 0"),
        (lambda: drawn("abc"), "points must be numbers, n rows of two"),
        (lambda: drawn([[1, 2, 3]] * 9), r"points must have shape \(n, 2\), got \(9, 3\): give one row"),
        (lambda: drawn([[1, 2]] * 3), "points has 3 rows: draw 8 at least"),
        (lambda: drawn([[1, 2]] * 8 + [[math.nan, 0]]), "points contains nan or inf: remove these rows"),
        (lambda: drawn([[100.1, 200.2]] * 9), "points are all in one place: spread them out"),
        (lambda: drawn(points(), noise=-1), "noise must be positive"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
