"""The implicit solve: second order, L-stable, honest about its costs, and steps are rejected where Newton fails."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor, nn

from nodelib.common.solution import FixedPointFailed, MaxStepsReached, NonFiniteState, StepSizeUnderflow
from nodelib.torch_ode import implicit, solve
from nodelib.torch_ode.implicit import ERROR, GAMMA, D, W, solve_implicit

F64 = torch.float64
pytestmark = pytest.mark.usefixtures("one_thread")


def pendulum(t: Tensor, y: Tensor) -> Tensor:
    angle, speed = y.unbind(-1)
    return torch.stack([speed, -torch.sin(angle) + 0.3 * torch.cos(2 * t)], -1)


def van_der_pol(t: Tensor, y: Tensor, mu: float = 1000.0) -> Tensor:
    x, v = y.unbind(-1)
    return torch.stack([v, mu * (1 - x * x) * v - x], -1)


START = torch.tensor([2.0, 0.0], dtype=F64)


def test_the_method_is_of_order_2_and_its_estimate_of_order_3():
    """The conditions of order on the tableau: b and b̂ sum to 1, b·c = 1/2, b̂·c² = 1/3, b̂·A·c = 1/6."""
    a = np.array([[0, 0, 0], [D, D, 0], [W, W, D]])
    c, b = a.sum(1), a[-1]
    other = b + ERROR
    assert c == pytest.approx([0, GAMMA, 1], abs=1e-15)
    assert [b.sum(), b @ c] == pytest.approx([1, 1 / 2], abs=1e-15)
    assert [other.sum(), other @ c, other @ c**2, other @ a @ c] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 6], abs=1e-15)


def test_the_error_falls_fourfold_when_steps_are_halved(monkeypatch):
    """Steps of 2/n: one to each output time, at a tolerance that none exceeds, with Newton's error far below."""
    monkeypatch.setattr(implicit, "CLOSE", 1e-8)
    exact = solve(pendulum, START, [0.0, 2.0], rtol=1e-11, atol=1e-11).y[-1]
    errors = []
    for n in (20, 40, 80):
        sol = solve_implicit(pendulum, START, torch.linspace(0, 2, n + 1, dtype=F64), rtol=1e-2, atol=1e-2,
                             options={"first_step": 1.0, "max_iters": 50})  # fmt: skip
        assert [step.accepted for step in sol.steps] == [True] * n
        errors.append(float((sol.y[-1] - exact).norm()))
    assert 3.6 < errors[0] / errors[1] < 4.4
    assert 3.6 < errors[1] / errors[2] < 4.4


@pytest.mark.parametrize("rate", [-1e3, -1e6, -1e9])
def test_no_ringing_where_the_trapezoid_rule_rings(rate):
    """z' = λ(z - cos t) off its slow solution: a step far longer than 1/|λ| lands on it, and stays there."""
    stiff = lambda t, z: rate * (z - torch.cos(t))  # noqa: E731
    t = torch.linspace(0, 3, 31, dtype=F64)
    settings = {"rtol": 1e-2, "atol": 1e-2, "options": {"first_step": 1.0}}
    slow = solve_implicit(stiff, torch.ones(1, dtype=F64), t, **settings)
    assert len(slow.steps) == 30
    assert float((slow.y[:, 0] - torch.cos(t)).abs().max()) < 2e-3
    z, rings = 1.5, []
    for a, b in zip(t[:-1].tolist(), t[1:].tolist(), strict=True):
        h = (b - a) * rate / 2
        z = (z + h * (z - np.cos(a)) - h * np.cos(b)) / (1 - h)
        rings.append(z - np.cos(b))
    assert abs(rings[-1]) > 0.03
    assert rings[-1] * rings[-2] < 0
    off = solve_implicit(stiff, torch.full((1,), 1.5, dtype=F64), [0.0, 0.5, 3.0], rtol=1e-4, atol=1e-4)
    assert abs(float(off.y[1, 0]) - np.cos(0.5)) < 1e-3
    assert off.stats.nfe < 300


def test_van_der_pol_beside_scipys_implicit_methods_and_an_explicit_one(record_property):
    sol = solve_implicit(van_der_pol, START, [0.0, 1000.0], rtol=1e-4, atol=1e-4)
    theirs = {
        method: solve_ivp(lambda t, y: van_der_pol(t, torch.tensor(y)).numpy(), (0, 1000), START.numpy(), method,
                          rtol=1e-4, atol=1e-4)
        for method in ("Radau", "BDF")
    }  # fmt: skip
    exact = solve_ivp(lambda t, y: van_der_pol(t, torch.tensor(y)).numpy(), (0, 1000), START.numpy(), "Radau",
                      rtol=1e-8, atol=1e-8).y[:, -1]  # fmt: skip
    assert sol.y[-1].numpy() == pytest.approx(exact, rel=1e-2)
    assert sol.stats.jacobians > 24  # dozens, where the field bends
    assert sol.stats.nfe < 4 * max(found.nfev for found in theirs.values())
    with pytest.raises(MaxStepsReached, match="stiff"):
        solve(van_der_pol, START, [0.0, 1000.0], rtol=1e-4, atol=1e-4, options={"max_num_steps": 2000})
    seen = {name: found.nfev for name, found in theirs.items()}
    record_property("measured", f"van der Pol, 1e-4: {sol.stats}, {seen}; dopri5 over 12,000")


def test_a_batch_of_one_is_the_vector_and_a_batch_has_a_jacobian_each():
    one = solve_implicit(van_der_pol, START, [0.0, 3.0], rtol=1e-5, atol=1e-6)
    two = solve_implicit(van_der_pol, START.expand(3, 1, 2), [0.0, 3.0], rtol=1e-5, atol=1e-6)
    assert two.y.shape == (2, 3, 1, 2)
    assert two.stats == one.stats
    assert torch.allclose(two.y, one.y[:, None, None].expand(2, 3, 1, 2), rtol=1e-12)
    gain = torch.tensor([[1.0], [3.0]], dtype=F64)
    mixed = solve_implicit(lambda t, y: -gain * y**3, torch.ones(2, 2, dtype=F64), [0.0, 2.0], rtol=1e-7, atol=1e-9)
    assert mixed.y[-1].numpy() == pytest.approx((1 + 4 * gain.expand(2, 2)).rsqrt().numpy(), rel=1e-4)


class Counting(nn.Module):
    """A stiff network, which counts."""

    calls = 0

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 3)).double()

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.calls += 1
        return self.net(y) - 1000 * (y - torch.sin(t))


def test_the_account_is_exact_and_a_jacobian_serves_many_steps():
    f = Counting()
    sol = solve_implicit(f, torch.zeros(4, 3, dtype=F64), [0.0, 1.0], rtol=1e-5, atol=1e-5)
    assert sol.stats.nfe == f.calls
    assert sol.stats.accepted + sol.stats.rejected == len(sol.steps) == sol.stats.factorizations
    assert sol.stats.accepted == sum(step.accepted for step in sol.steps)
    assert 1 <= sol.stats.jacobians < sol.stats.accepted / 5
    assert not sol.y.requires_grad
    assert sum(step.h for step in sol.steps if step.accepted) == pytest.approx(1.0, abs=1e-12)
    explicit = solve(f, torch.zeros(4, 3, dtype=F64), [0.0, 1.0], rtol=1e-5, atol=1e-5)
    assert torch.allclose(sol.y[-1], explicit.y[-1], atol=1e-4)
    assert explicit.stats.nfe > 5 * sol.stats.nfe


def test_backward_in_time():
    there = solve_implicit(pendulum, START, [0.0, 1.0, 2.0], rtol=1e-6, atol=1e-6)
    back = solve_implicit(pendulum, there.y[-1], [2.0, 1.0, 0.0], rtol=1e-6, atol=1e-6)
    assert torch.allclose(back.y.flip(0), there.y, atol=1e-3)
    assert solve_implicit(pendulum, START, [1.0]).y.tolist() == [START.tolist()]


def test_where_newton_fails_the_step_is_rejected_and_a_shorter_one_taken():
    """A front that moves: Newton's method from afar does not find the root of a step across it."""
    f = lambda t, y: -200 * torch.tanh(50 * (y - torch.sin(5 * t)))  # noqa: E731
    sol = solve_implicit(f, torch.ones(1, dtype=F64), [0.0, 1.0], rtol=1e-4, atol=1e-4, options={"first_step": 0.1})
    assert sol.stats.unsolved > 0
    assert not sol.steps[0].accepted
    assert sol.steps[1].h <= 0.1 / 4
    exact = solve(f, torch.ones(1, dtype=F64), [0.0, 1.0], rtol=1e-6, atol=1e-6).y[-1]
    assert torch.allclose(sol.y[-1], exact, atol=1e-3)


def prepared(func, y0, h, tol=1e-3):
    """A solve of y' = func(t, y) from 0 to 10, at its first step, which is h long."""
    times = torch.tensor([0.0, 10.0], dtype=F64)
    return implicit._Implicit(
        implicit.prepare(func, y0, times, "dopri5", tol, tol, {"first_step": h}), y0.shape[-1], 60
    )


def test_a_step_and_its_estimate_by_hand(monkeypatch):
    """z' = λ(t) z, a rate for each sample: the end, and the RMS of errors in units of both ends' larger size."""
    rates = torch.tensor([[-0.5], [3.0], [-4.0]], dtype=F64)
    y0, h, tol = torch.tensor([[1.0], [2.0], [0.5]], dtype=F64), 0.4, 1e-3
    one = prepared(lambda t, y: (1 + t) * rates * y, y0, h, tol=tol)
    one.form(0.0, y0)
    monkeypatch.setattr(implicit, "CLOSE", 1e-10)
    y1, k1, ratio, _ = one.attempt(0.0, h)
    z, lam = y0.numpy(), rates.numpy()
    slope = [lam * z]
    for t, known in ((GAMMA * h, lambda k: D * k[0]), (h, lambda k: W * (k[0] + k[1]))):
        rate = (1 + t) * lam
        slope.append(rate * (z + h * known(slope)) / (1 - h * D * rate))
    end = z + h * (W * (slope[0] + slope[1]) + D * slope[2])
    error = h * sum(w * k for w, k in zip(ERROR, slope, strict=True)) / (1 - h * D * lam)
    scaled = error / (tol + tol * np.maximum(abs(z), abs(end)))
    assert y1.numpy() == pytest.approx(end, rel=1e-8)
    assert k1.numpy() == pytest.approx(slope[2], rel=1e-6)
    assert ratio == pytest.approx(np.sqrt(np.mean(scaled**2)), rel=1e-6)


def test_slopes_are_those_of_the_stages_and_no_further_evaluation(monkeypatch):
    """y' = -y³ with one correction a stage, by hand: func at a stage that is not yet solved is another slope."""
    monkeypatch.setattr(implicit, "CLOSE", 1e9)
    y, h = 1.0, 0.8
    one = prepared(lambda t, y: -(y**3), torch.full((1, 1), y, dtype=F64), h)
    one.form(0.0, one.y)
    found = [float(x) for x in one.attempt(0.0, h)[:2]]

    def corrected(known, guess):
        return guess + (known - h * D * guess**3 - guess) / (1 + h * D * 3 * y**2)

    k = -(y**3)
    known = y + h * D * k
    k2 = (corrected(known, y + GAMMA * h * k) - known) / (h * D)
    known = y + h * W * (k + k2)
    y1 = corrected(known, known + h * D * k2)
    assert found == pytest.approx([y1, (y1 - known) / (h * D)], rel=1e-12)


def test_what_follows_from_a_step_that_newton_does_not_solve():
    """With a new Jacobian the step is a quarter; with an old one it is tried again, with a new one."""
    one = prepared(lambda t, y: -200 * torch.tanh(50 * y), torch.ones(1, 1, dtype=F64), 0.1)
    one.advance(10.0)
    assert (one.h, one.fresh, one.t) == (0.1 / 4, True, 0.0)
    one.fresh, one.h, before = False, 0.1, one.jacobians
    one.advance(10.0)
    assert (one.h, one.jacobian, one.t) == (0.1, None, 0.0)
    one.advance(10.0)
    assert (one.h, one.jacobians) == (0.1 / 4, before + 1)


def test_what_follows_from_an_error_ratio(monkeypatch):
    """The next step is of order 3 in the ratio, no longer after a rejection, and a last short step does not shorten it;
    a Jacobian stays while Newton's method is fast."""
    y0 = torch.ones(1, 1, dtype=F64)
    for ratio, rate, end, h, keeps in (
        (0.125, 0.1, 10.0, 0.1 * 0.9 * 2, True), (0.125, 0.5, 10.0, 0.1 * 0.9 * 2, False),
        (8.0, 0.1, 10.0, 0.1 * 0.9 / 2, True), (0.125, 0.1, 0.02, 0.1, True),
    ):  # fmt: skip
        one = prepared(lambda t, y: -y, y0, 0.1)
        monkeypatch.setattr(one, "attempt", lambda t, t1, ratio=ratio, rate=rate: (y0 / 2, -y0, ratio, rate))
        one.advance(end)
        assert one.h == pytest.approx(h, rel=1e-12)
        assert (one.jacobian is not None) is keeps
        assert one.t == (0.0 if ratio > 1 else min(end, 0.1))


def test_a_singular_step_is_rejected():
    """1 - h d λ = 0 for a λ > 0: no step of that length exists."""
    sol = solve_implicit(lambda t, y: 10 * y, torch.ones(2, dtype=F64), [0.0, 1.0], rtol=1e-6, atol=1e-6,
                         options={"first_step": 1 / (10 * D)})  # fmt: skip
    assert not sol.steps[0].accepted
    assert sol.y[-1, 0] == pytest.approx(np.exp(10), rel=1e-3)


def test_errors_say_what_failed():
    with pytest.raises(MaxStepsReached, match=r"20 steps attempted and only at t = "):
        solve_implicit(pendulum, START, [0.0, 9.0], rtol=1e-9, atol=1e-9, options={"max_num_steps": 20})
    with pytest.raises((FixedPointFailed, StepSizeUnderflow), match=r"at t = 0\.5\S* a step of"):
        solve_implicit(lambda t, y: torch.where(t > 0.5, torch.nan, -y), START, [0.1, 1.0], rtol=1e-5, atol=1e-5)
    with pytest.raises((FixedPointFailed, StepSizeUnderflow)):
        solve_implicit(lambda t, y: y**2, torch.ones(1, dtype=F64), [0.0, 2.0], rtol=1e-5, atol=1e-5)
    with pytest.raises(NonFiniteState, match="first evaluation"):
        solve_implicit(lambda t, y: y / 0, START, [0.0, 1.0])


@pytest.mark.parametrize(("wrong", "error", "words"), [
    ({"options": {"step_size": 0.1}}, ValueError, "'step_size' does not apply to solve_implicit. It takes: first_step"),
    ({"options": [0.1]}, TypeError, "options must be a dict"),
    ({"options": {"max_iters": 0}}, ValueError, "'max_iters' must be a positive integer, got 0"),
    ({"options": {"first_step": -1}}, ValueError, "'first_step' must be a positive number"),
    ({"y0": (START, START)}, TypeError, "y0 must be a real tensor"),
    ({"y0": START.to(torch.complex128)}, TypeError, "y0 must be a real tensor"),
    ({"y0": torch.tensor(1.0)}, TypeError, "y0 must be a real tensor"),
    ({"t": [0.0, 1.0, 0.5]}, ValueError, "t must increase or decrease strictly"),
    ({"rtol": torch.ones(2)}, TypeError, "rtol must be a number, got Tensor"),
    ({"func": lambda t, y: y.sum()}, ValueError, "func must return y0's shape"),
])  # fmt: skip
def test_bad_arguments(wrong, error, words):
    with pytest.raises(error, match=words):
        solve_implicit(**{"func": pendulum, "y0": START, "t": [0.0, 1.0], **wrong})
