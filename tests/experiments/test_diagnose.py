"""Fields with one thing planted in them: the diagnosis names it; of healthy fields it says nothing."""

import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from nodelib.common.solution import AnotherFunction, MaxStepsReached
from nodelib.experiments.diagnose import Diagnosis, Watched, diagnose, histogram
from nodelib.experiments.gradients import Gradients
from nodelib.torch_ode import METHODS, odeint_adjoint, odeint_checkpoint, solve

DOUBLE = torch.float64
START = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)


class Field(nn.Module):
    """gain · (2 → 32 → 2), the same at all times, with a hidden layer in between."""

    def __init__(self, activation: Any = nn.Tanh, gain=1.0, dim=2, dtype=DOUBLE, between=()):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(dim, 32), activation(), *between, nn.Linear(32, dim)).to(dtype)
        self.gain, self.nfe = gain, 0
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, t, y):
        self.nfe += 1
        self.seen += 1
        return self.gain * self.net(y)


class Contractive(nn.Module):
    """f = -tanh(yW + b) Wᵀ, of gain 2 in eight dimensions: what it contracts grows on the adjoint's way back."""

    def __init__(self):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.W = nn.Parameter(2 * torch.randn(8, 8, generator=draw, dtype=DOUBLE))
        self.b = nn.Parameter(torch.randn(8, generator=draw, dtype=DOUBLE))

    def forward(self, t, y):
        return -torch.tanh(y @ self.W + self.b) @ self.W.T


class HalfUsed(Field):
    """With a layer that is left out."""

    def __init__(self):
        super().__init__()
        self.spare = nn.Linear(2, 2).double()


class Detached(Field):
    """Whose output has no gradient."""

    def forward(self, t, y):
        return super().forward(t, y).detach()


def stiff(t, y):
    return -torch.tensor([1.0, 300.0], dtype=DOUBLE) * (y - torch.cos(t))


def in_state(t, y):
    return torch.where(y > 0.5, -y, -3 * y)


def van_der_pol(t, y):
    return torch.stack([y[1], 5 * (1 - y[0] ** 2) * y[1] - y[0]])


def bumps(t, y):
    return -y + 20 * torch.exp(-(((t - torch.linspace(0.1, 0.9, 5)) / 0.01) ** 2)).sum()


LAYER = nn.Linear(2, 2).double()
RATES = torch.ones(100, 1, dtype=DOUBLE)
RATES[3] = 50
TOL: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-6}
ONES, EIGHT = torch.ones(2, dtype=DOUBLE), torch.randn(16, 8, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)


def bn():
    return Field(between=(nn.BatchNorm1d(32, dtype=DOUBLE),))


PLANTED = {  # what is called with which arguments, and the findings that it must get, no others but those in brackets
    "stiff": (lambda: diagnose(stiff, ONES, [0, 1], **TOL), {"stiff"}, {"adjoint", "costly adjoint"}),
    "jump": (lambda: diagnose(lambda t, y: -y + 3.0 * (t > 0.5), ONES, [0, 1]), {"jump"}, set()),
    "jump in the state": (lambda: diagnose(in_state, ONES[:1], [0, 2]), {"jump"}, set()),
    "relu": (lambda: diagnose(Field(nn.ReLU, 3), START, [0, 1], **TOL), {"kinks"}, {"adjoint", "costly adjoint"}),
    "dropout": (
        lambda: diagnose(Field(between=(nn.Dropout(0.1),)), START, [0, 1], rtol=1e-3, atol=1e-3),
        {"noise"},
        set(),
    ),
    "dropout, tight": (
        lambda: diagnose(Field(between=(nn.Dropout(0.1),)), START, [0, 1], options={"max_num_steps": 200}),
        {"noise", "failed"},
        set(),
    ),
    "float32": (
        lambda: diagnose(Field(dtype=torch.float32), START.float(), [0, 1], rtol=1e-9, atol=1e-9),
        {"precision"},
        {"costly adjoint"},
    ),
    "contractive": (lambda: diagnose(Contractive(), EIGHT, [0, 1], **TOL), {"adjoint"}, set()),
    "van der Pol": (lambda: diagnose(van_der_pol, ONES * torch.tensor([2, 0]), [0, 5], **TOL), {"adjoint"}, set()),
    "closure": (lambda: diagnose(lambda t, y: torch.tanh(LAYER(y)), START, [0, 1]), {"closure"}, set()),
    "a layer left out": (lambda: diagnose(HalfUsed(), START, [0, 1]), {"unused parameters"}, set()),
    "detached": (lambda: diagnose(Detached(), START, [0, 1]), {"unused parameters"}, set()),
    "blow-up": (lambda: diagnose(lambda t, y: y**2, ONES, [0, 2]), {"failed"}, set()),
    "one stiff sample": (
        lambda: diagnose(lambda t, y: -RATES * (y - torch.cos(t)), RATES, [0, 2], rtol=1e-3, atol=1e-3),
        {"uneven batch"},
        {"stiff", "adjoint"},
    ),
    "many outputs": (lambda: diagnose(Field(), START, torch.linspace(0, 1, 40)), {"costly adjoint"}, set()),
    "batch norm": (lambda: diagnose(bn(), START, [0, 1]), {"training mode"}, {"costly adjoint"}),
    "bumps": (
        lambda: diagnose(bumps, ONES, [0, 1], rtol=1e-5, atol=1e-5),
        {"rejections"},
        {"adjoint", "costly adjoint"},
    ),
    "euler": (
        lambda: diagnose(lambda t, y: -30 * y, ONES, [0, 1], method="euler", options={"step_size": 0.1}),
        {"steps too long"},
        set(),
    ),
    "a small loss": (
        lambda: diagnose(Field(), START, [0, 1], rtol=1e-3, atol=1e-3, loss=lambda z: 1e-6 * z[-1].mean()),
        {"small loss"},
        set(),
    ),
    "a coarse solver": (
        lambda: diagnose(Field(gain=5), START, [0, 1], method="euler", loss=lambda z: (z[-1] - 1).square().mean()),
        {"not converged"},
        {"adjoint", "steps too long"},
    ),
}
HEALTHY = {
    "by default": lambda: diagnose(Field(), START, [0, 1]),
    "with a gain": lambda: diagnose(Field(gain=4), START, [0, 1], rtol=1e-5, atol=1e-5),
    "backwards": lambda: diagnose(Field(), START, [1, 0]),
    "loosely": lambda: diagnose(Field(nn.Softplus, 4), START, [0, 1], rtol=1e-3, atol=1e-3),
    "in single precision": lambda: diagnose(Field(dtype=torch.float32), START.float(), [0, 1]),
    "with some outputs and a loss": lambda: diagnose(
        Field(), START, [0, 0.3, 1], rtol=1e-4, atol=1e-4, loss=lambda z: z.square().mean()
    ),
    "by rk4": lambda: diagnose(Field(), START, [0, 1], method="rk4", options={"step_size": 0.1}),
    "by LSODA": lambda: diagnose(Field(), START, [0, 1], method="scipy:LSODA"),
    "by VODE": lambda: diagnose(Field(), START, [0, 1], method="scipy:VODE"),
    "an oscillator": lambda: diagnose(lambda t, y: torch.stack([y[1], -y[0]]), ONES, [0, 6]),
    "a tuple": lambda: diagnose(lambda t, z: (-z[0], z[0].sum(-1)), (START, torch.zeros(20, dtype=DOUBLE)), [0, 1]),
    "no motion": lambda: diagnose(lambda t, y: 0 * y, ONES, [0, 1]),
    "a jump that is known": lambda: diagnose(
        lambda t, y: -y + 3.0 * (t > 0.5), ONES, [0, 1], options={"jump_t": [0.5]}
    ),
}


@pytest.fixture(scope="module")
def seen() -> Any:
    """The diagnosis of each planted case, made once."""
    made: dict[str, Any] = {}

    def of(name: str) -> Any:
        if name not in made:
            torch.manual_seed(0)
            made[name] = PLANTED[name][0]()
        return made[name]

    return of


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_named(seen, name):
    _, must, may = PLANTED[name]
    found = seen(name)
    assert must <= set(found.names) <= must | may, found
    assert len(set(found.names)) == len(found.names)
    for i, finding in enumerate(found.findings, 1):
        assert f"\n{i}. {finding.name}: {finding.seen}; {finding.means}. Try {finding.advice}." in repr(found)
        assert "\n" not in str(finding)


@pytest.mark.parametrize("name", HEALTHY)
def test_of_the_healthy_nothing_is_said(name):
    found = HEALTHY[name]()
    assert found.names == (), found
    assert repr(found).endswith("\nNothing found.")


def finding(found, name):
    return found.findings[found.names.index(name)]


def test_a_finding_says_the_numbers(seen):
    assert seen("stiff").eigenvalue == pytest.approx(300)
    assert 2 < seen("stiff").stiffness < 3.6  # where dopri5 ceases to be stable
    assert "|λ| times the span is 3e+02" in finding(seen("stiff"), "stiff").seen
    jump, state = finding(seen("jump"), "jump"), finding(seen("jump in the state"), "jump")
    assert jump.advice == 'options={"jump_t": [0.5]}'
    rejected = seen("jump").solution.stats.rejected
    assert f"{rejected} of {rejected} rejected steps reach over it" in jump.seen
    assert float(re.search(r"t = ([\d.]+)", state.seen)[1]) == pytest.approx(math.log(2), abs=1e-5)  # type: ignore[index]
    assert "odeint_event" in state.advice
    assert "costs 53 times the tolerance" in finding(seen("float32"), "precision").seen
    assert finding(seen("closure"), "closure").seen.endswith("2 in number")
    assert "spare.weight, spare.bias" in finding(seen("a layer left out"), "unused parameters").seen
    assert (
        "1 of 100 samples have |λ| up to 50, the median one 1" in finding(seen("one stiff sample"), "uneven batch").seen
    )
    assert "underflow in the step size at t = 1" in finding(seen("blow-up"), "failed").seen
    assert "39 intervals" in finding(seen("many outputs"), "costly adjoint").means
    assert "|hλ| is up to 3, and euler is stable up to 2" in finding(seen("euler"), "steps too long").seen
    assert "grows on the way back" in finding(seen("contractive"), "adjoint").means
    rejected = seen("bumps").solution.stats.rejected
    assert f"{rejected} of {len(seen('bumps').steps)} steps were rejected" in finding(seen("bumps"), "rejections").seen
    coarse = seen("a coarse solver")
    assert coarse.convergence.verdict == "not converged"
    assert "the gradient of the flow, not that of the steps" in finding(coarse, "adjoint").means
    assert f"{coarse.convergence.apart:.2g} of the way apart" in finding(coarse, "not converged").seen


def test_the_advice_helps(seen):
    jumping = diagnose(lambda t, y: -y + 3.0 * (t > 0.5), ONES, [0, 1], options={"jump_t": [0.5]})
    assert jumping.nfe < seen("jump").nfe / 3
    assert jumping.names == ()
    assert "stiff" not in diagnose(stiff, ONES, [0, 1], method="scipy:Radau", **TOL).names
    assert diagnose(Field(between=(nn.Dropout(0.1),)).eval(), START, [0, 1]).names == ()
    assert diagnose(lambda t, y: torch.tanh(LAYER(y)), START, [0, 1], adjoint_params=LAYER).names == ()


def test_the_numbers_are_those_of_the_solvers(seen):
    field = Contractive()
    found = seen("contractive")
    with torch.no_grad():  # as it is solved there; the arithmetic with a graph is another in the last bit
        sol: Any = solve(field, EIGHT, [0, 1], **TOL)
    assert (found.nfe, found.steps) == (sol.stats.nfe, sol.steps)
    assert torch.equal(found.solution.y, sol.y)
    weights = torch.randn(1, 16, 8, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    gradients = []
    for way in (odeint_checkpoint, odeint_adjoint):
        start = EIGHT.clone().requires_grad_()
        loss = (way(field, start, [0, 1], **TOL)[1:] * weights).sum()
        gradients.append(torch.autograd.grad(loss, [start, *field.parameters()]))
    true, other = ([g[0], torch.cat([part.reshape(-1) for part in g[1:]])] for g in gradients)
    for name, a, b in zip(("y0", "θ"), true, other, strict=True):
        assert found.gradients.each["adjoint", name] == pytest.approx(float((b - a).norm() / a.norm()), rel=1e-6)
        assert found.gradients.each["checkpoint", name] < 1e-12
    assert found.gradients.adjoint > 0.03
    assert found.gradients.back > 1
    assert f"{found.nfe} there, back {6 * sol.stats.accepted} by checkpoint" in repr(found)


def test_the_model_and_the_random_numbers_are_left_as_they_were():
    field = Field(between=(nn.BatchNorm1d(32, dtype=DOUBLE),))
    before = {key: value.clone() for key, value in field.state_dict().items()}
    noisy = Field(between=(nn.Dropout(0.1),))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    diagnose(field, START, [0, 1], loss=lambda z: z[-1].square().mean())
    diagnose(noisy, START, [0, 1], rtol=1e-2, atol=1e-2)
    diagnose(field.forward, START, [0, 1])
    assert torch.equal(torch.rand(3), expected)
    assert field.nfe == 0
    assert field.training
    assert all(torch.equal(before[key], value) for key, value in field.state_dict().items())
    assert all(p.grad is None for p in field.parameters())


def test_a_way_back_that_is_given_up_is_a_costly_one():
    found = diagnose(Field(nn.ReLU, 3), START[:6], [0, 1])
    assert isinstance(found.gradients.failed["adjoint"], MaxStepsReached)  # type: ignore[union-attr]
    assert f"{200 + 4 * len(found.steps)} steps attempted" in finding(found, "costly adjoint").seen
    assert "adjoint" not in found.names


def test_a_func_that_is_another_one_on_the_way_back_is_noticed():
    class Torn(Field):
        def forward(self, t, y):
            return self.net(y) * (1.1 if torch.is_grad_enabled() else 1.0)

    found = diagnose(Torn(), START, [0, 1])
    assert "another function" in finding(found, "checkpoint").means
    assert isinstance(found.gradients.failed["checkpoint"], AnotherFunction)  # type: ignore[union-attr]


def test_every_method_can_be_looked_at():
    for method in METHODS:
        options = {"step_size": 0.05} if not METHODS[method].adaptive else {}
        found = diagnose(lambda t, y: -y, ONES, [0, 1], method=method, rtol=1e-4, atol=1e-4, options=options)
        assert isinstance(found, Diagnosis)
        assert set(found.names) <= {"costly adjoint", "adjoint"}, found  # Euler's steps: another gradient
        assert repr(found).startswith(f"{method}{', rtol 0.0001' if METHODS[method].adaptive else ''}")


def test_watching_changes_nothing():
    watched = Watched(in_state, METHODS["dopri5"])
    sol = solve(watched, START, [0, 1])
    assert sol.stats.rejected
    assert watched.nfe == sol.stats.nfe
    assert [step[::3] for step, _ in watched.seen] == [step[::3] for step in sol.steps]
    assert torch.equal(watched.seen[0][1], START)


def test_bars_count_the_steps():
    assert histogram([]) == []
    assert histogram([0.1] * 7) == [f"h = 1.0e-01  {'█' * 30} 7"]
    lines = histogram([1e-3, 1e-3, 2e-3, 1.0], bins=3, width=4)
    assert lines == [
        "h from 1.0e-03 to 1.0e-02  ████ 3",
        "h from 1.0e-02 to 1.0e-01  0",
        "h from 1.0e-01 to 1.0e+00  ██ 1",
    ]


def test_gradients_say_where_there_is_nothing_to_compare():
    assert str(Gradients({}, {}, 0.0)) == "not compared"
    assert math.isnan(Gradients({}, {}, 0.0).adjoint)


def test_gradients_are_compared_in_tensors_of_a_closure_too(seen):
    found = seen("closure").gradients
    assert 0 < found.each["adjoint", "θ"] < 1e-6
    assert 0 < found.back < 1e-6  # there and back again


def test_bad_input_gets_a_clear_error():
    with pytest.raises(ValueError, match="t must have two times"):
        diagnose(Field(), START, [0])
    with pytest.raises(ValueError, match=r"loss must return a tensor of one number, got shape \(20,\)"):
        diagnose(Field(), START, [0, 1], loss=lambda z: z[-1].mean(-1))
    with pytest.raises(ValueError, match="loss must return a tensor of one number, got float"):
        diagnose(Field(), START, [0, 1], loss=lambda z: z.mean().item())
    with pytest.raises(ValueError, match="method 'dopri' is unknown"):
        diagnose(Field(), START, [0, 1], method="dopri")
    with pytest.raises(TypeError, match=r"func must take \(t, y\), in this order"):
        diagnose(lambda y, t: -y, START, [0, 1])
    with pytest.raises(TypeError, match="y0 must be"):
        diagnose(Field(), 1.0, [0, 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("at", [0.6, 1 / 3])
def test_the_advice_on_a_jump_mends_it(at, dtype):
    """jump_t is a number that the state's dtype has, just where f jumps: next to it, steps would creep as before."""

    def func(t, y):
        return torch.sin(y) + (1.0 if t > at else 0.0)

    y0, t = torch.ones(2, dtype=dtype), torch.tensor([0.0, 1.0], dtype=dtype)
    jump = finding(diagnose(func, y0, t), "jump")
    options = eval(jump.advice.removeprefix("options="))  # a dict of one number
    with_it, without = (solve(func, y0, t, options=more).steps for more in (options, None))
    assert sum(not step.accepted for step in with_it) <= 3 < 7 <= sum(not step.accepted for step in without)
