"""Small networks on two rings, trained here and now: what they were trained by decides the convergence test."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nodelib.common.solution import SolverError
from nodelib.experiments import convergence as module
from nodelib.experiments.convergence import MEANING, Convergence, convergence, judge
from nodelib.torch_ode import odeint

SPAN = torch.tensor([0.0, 2.0])
TRAININGS = {  # solver, iterations, and the verdict
    "euler-2": ({"method": "euler", "options": {"step_size": 1.0}}, 150, "discrete"),
    "rk4-8": ({"method": "rk4", "options": {"step_size": 0.25}}, 90, "ODE"),
    "dopri5": ({"method": "dopri5", "rtol": 1e-3, "atol": 1e-3}, 90, "ODE"),
    "euler-8, briefly": ({"method": "euler", "options": {"step_size": 0.25}}, 40, "not converged"),
}
SEEDS = {"euler-2": 5, "rk4-8": 5, "dopri5": 5, "euler-8, briefly": 5}


class Fields(nn.Module):
    """Several networks 2-32-2 with tanh, each on its own batch: states (networks, batch, 2); and their linear heads."""

    def __init__(self, seeds):
        super().__init__()
        draws = [torch.Generator().manual_seed(seed) for seed in seeds]

        def uniform(fan_in, *shape):
            each = [torch.rand(*shape, generator=draw, dtype=torch.float64) for draw in draws]
            return nn.Parameter((2 * torch.stack(each) - 1) / fan_in**0.5)

        self.W1, self.b1 = uniform(2, 2, 32), uniform(2, 1, 32)
        self.W2, self.b2 = uniform(32, 32, 2), uniform(32, 1, 2)
        self.head = uniform(2, 2, 1)
        self.register_buffer("seen", torch.zeros(()))
        self.nfe = 0

    def forward(self, t, z):
        self.nfe += 1
        self.seen += 1
        return torch.tanh(z @ self.W1 + self.b1) @ self.W2 + self.b2

    def loss(self, zs, y):
        return F.softplus(-y * (zs[-1] @ self.head)[..., 0]).mean(-1)


def rings(n=100):
    """Points within radius 0.5 (y = 1) and between 1 and 1.5 (y = -1)."""
    draw = torch.Generator().manual_seed(0)
    u, turn = torch.rand(2, n, generator=draw, dtype=torch.float64)
    inner = torch.arange(n) % 2 == 0
    radius = torch.where(inner, u.sqrt() / 2, (1 + 1.25 * u).sqrt())
    angle = 2 * math.pi * turn
    return torch.stack([radius * angle.cos(), radius * angle.sin()], -1), torch.where(inner, 1.0, -1.0).double()


def trained(seeds, settings, iterations):
    fields, (x, y) = Fields(seeds), rings()
    start = x.expand(len(seeds), -1, -1)
    adam = torch.optim.Adam(fields.parameters(), 1e-2)
    for _ in range(iterations):
        adam.zero_grad()
        fields.loss(odeint(fields, start, SPAN, **settings), y).sum().backward()
        adam.step()
    return fields


def single(fields, i):
    """The network number i alone."""
    one = Fields([0])
    one.load_state_dict({key: x if key == "seen" else x[i : i + 1] for key, x in fields.state_dict().items()})
    return one


def test_of(field, settings, **more):
    x, y = rings()
    return convergence(field, x[None], SPAN, lambda zs: field.loss(zs, y), **settings, **more)


test_of.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def networks():
    return {name: trained(range(SEEDS[name]), *TRAININGS[name][:2]) for name in TRAININGS}


@pytest.mark.parametrize("name", TRAININGS)
def test_the_verdict_tells_what_a_network_was_trained_by(networks, name):
    settings, _, verdict = TRAININGS[name]
    for i in range(SEEDS[name]):
        found = test_of(single(networks[name], i), settings)
        assert found.verdict == verdict, f"seed {i}: {found}"
        assert MEANING[verdict] in str(found)
        assert str(found).startswith(f"{verdict}: loss {found.fit:.3g} with {settings['method']}")
        if verdict == "discrete":
            assert found.solved > 100 * found.fit
        if verdict == "ODE":
            assert found.solved < 1.05 * found.fit
            assert found.apart < 0.02


def test_rows_are_solutions_ever_finer(networks):
    net = single(networks["rk4-8"], 0)
    found = test_of(net, TRAININGS["rk4-8"][0], refinements=3)
    assert [row.factor for row in found.rows] == [1, 2, 4, 8, math.inf]
    assert [row.nfe for row in found.rows[:-1]] == [32, 64, 128, 256]
    assert [row.solver for row in found.rows] == [*(f"rk4, {n} steps" for n in (8, 16, 32, 64)), "dopri5, 1e-09"]
    errors = [row.apart for row in found.rows[:-1]]
    assert all(8 < a / b < 24 for a, b in pairwise(errors))  # order 4, roughly
    assert found.rows[-1].apart == 0
    assert not found.adaptive
    x, y = rings()
    with torch.no_grad():
        z = odeint(net, x[None], torch.linspace(0, 2, 17).double(), method="rk4")[::16]
        truth = odeint(net, x[None], SPAN, rtol=1e-9, atol=1e-9)
        assert found.rows[1].loss == pytest.approx(float(net.loss(z, y)), rel=1e-12)
        assert found.rows[1].apart == pytest.approx(float((z[1] - truth[1]).norm() / (truth[1] - truth[0]).norm()))


def test_adaptive_solvers_are_refined_by_their_tolerance(networks):
    net = single(networks["dopri5"], 0)
    settings = {"method": "bosh3", "rtol": 1e-3, "atol": 1e-4}
    found = test_of(net, settings, refinements=9, tol=1e-7)
    assert [row.factor for row in found.rows] == [1, 10, 100, 1000, math.inf]
    assert [row.solver for row in found.rows[:2]] == [
        "bosh3, rtol 0.001, atol 0.0001",
        "bosh3, rtol 0.0001, atol 1e-05",
    ]
    assert found.rows[-1].solver == "dopri5, 1e-07"
    assert found.adaptive
    assert sorted(row.nfe for row in found.rows[:-1]) == [row.nfe for row in found.rows[:-1]]
    tight = test_of(net, {"method": "dopri5", "rtol": 1e-9, "atol": 1e-10})
    assert [row.factor for row in tight.rows] == [1, 10, math.inf]
    assert tight.rows[-1].solver == "dopri5, 1e-11"  # finer than what it judges


@pytest.mark.parametrize(
    "options", [{"step_size": 0.4}, {}, {"grid_constructor": lambda f, z, t: torch.tensor([0, 0.3, 2])}]
)
@pytest.mark.parametrize("method", ["midpoint", "adams_bashforth"])
def test_any_grid_is_halved(method, options):
    t = torch.tensor([0.0, 0.5, 2.0])
    found = convergence(
        lambda t, z: -z, torch.ones(3).double(), t, lambda z: z[-1].mean(), method=method, options=options
    )
    steps = {"step_size": 5, "grid_constructor": 2}.get(next(iter(options), ""), 2)
    assert [row.solver for row in found.rows[:3]] == [f"{method}, {steps * k} steps" for k in (1, 2, 4)]
    assert found.rows[4].apart < found.rows[1].apart / 20


def test_the_model_is_left_as_it_was(networks):
    settings = TRAININGS["rk4-8"][0]
    net, (x, y) = single(networks["rk4-8"], 0).float(), rings()
    net.nfe, before = 7, {key: value.clone() for key, value in net.state_dict().items()}
    kinds = []

    def loss(zs):
        kinds.append(zs.dtype)
        return net.loss(zs, y.float())

    found = convergence(net, x[None].float(), SPAN, loss, **settings)
    assert net.nfe == 7
    assert net.training
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert set(kinds) == {torch.float32}
    exact = test_of(single(networks["rk4-8"], 0), settings)
    assert found.fit == pytest.approx(exact.fit, rel=1e-5)
    assert found.rows[3].apart == pytest.approx(
        exact.rows[3].apart, rel=1e-2
    )  # 1e-7: single precision could not see it
    by_method = convergence(net.forward, x[None].float(), SPAN, loss, **settings)
    assert by_method == found
    assert net.nfe == 7


def test_states_may_be_tuples():
    z0 = (torch.ones(2).double(), torch.zeros(3).double())
    found = convergence(lambda t, z: (-z[0], 0 * z[1] + t), z0, (0, 1), lambda z: z[0][-1].mean() + z[1][-1].mean())
    assert found.verdict == "ODE"
    assert found.solved == pytest.approx(math.exp(-1) + 0.5)


def test_the_rule_is_that_of_its_numbers():
    assert judge(0.1, 0.151, 0) == "discrete"
    assert judge(0.1, 0.149, 0) == "ODE"
    assert judge(0.001, 0.0109, 0.06) == "not converged"  # ten times the loss, but the margin is 0.01
    assert judge(0.001, 0.0111, 0.06) == "discrete"
    assert judge(-1.2, -1.1, 0) == "discrete"  # a likelihood
    assert judge(0.1, math.nan, 0) == "discrete"
    assert judge(0.1, 0.3, 0, worse=4) == "ODE"
    assert judge(0.1, 0.1, 0.06, close=0.1) == "ODE"
    assert isinstance(module.convergence(lambda t, z: 0 * z, torch.ones(1), (0, 1), lambda z: 1.0), Convergence)


def test_bad_input_gets_a_clear_error():
    z0, decay, mean = torch.ones(4, 2), lambda t, z: -z, lambda zs: zs[-1].mean()
    with pytest.raises(ValueError, match=r"loss must return one number, got shape \(4, 2\)"):
        convergence(decay, z0, (0, 1), lambda zs: zs[-1])
    with pytest.raises(ValueError, match=r"loss is nan with euler, 1 step, the training's solver"):
        convergence(decay, z0, (0, 1), lambda zs: math.nan, method="euler")
    with pytest.raises(ValueError, match="t must have two times"):
        convergence(decay, z0, (0,), mean)
    with pytest.raises(ValueError, match="reference must be an adaptive method, not rk4"):
        convergence(decay, z0, (0, 1), mean, reference="rk4")
    with pytest.raises(ValueError, match="refinements must be 0 or more"):
        convergence(decay, z0, (0, 1), mean, refinements=-1)
    with pytest.raises(TypeError, match="z0 must be a tensor of real"):
        convergence(decay, torch.ones(2, dtype=torch.complex64), (0, 1), mean)
    with pytest.raises(TypeError, match=r"func must take \(t, y\), in this order"):
        convergence(lambda y, t: -y, z0, (0, 1), mean)
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"cannot be evaluated in double precision.*pass the Module itself"):
        convergence(lambda t, z: layer(z), z0, (0, 1), mean)
    with pytest.raises(TypeError, match=r"func returns torch.float32 for a state in double.*pass the Module itself"):
        convergence(lambda t, z: -z.float(), z0, (0, 1), mean)
    with pytest.raises(ValueError, match=r"something else each time.*pass func.eval\(\)"):
        convergence(lambda t, z: z * torch.rand(()), z0, (0, 1), mean)
    with pytest.raises(SolverError, match=r"with dopri5, 1e-09: .*blows up"):
        convergence(lambda t, z: z**2, z0, (0, 2), mean, method="euler")
