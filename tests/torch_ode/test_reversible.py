"""Reversible solvers: order, there and back, the gradient and its memory, where they are stable, and what they say."""

import gc
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from math import log
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nodelib import numpy_ode, torch_ode
from nodelib.common.arguments import REVERSIBLE
from nodelib.common.solution import AnotherFunction, NonFiniteState, ReconstructionFailed
from nodelib.experiments.memory import PeakMemory
from nodelib.torch_ode import odeint, odeint_reversible
from nodelib.torch_ode.couplings import WayBack, stability
from nodelib.torch_ode.look import Look
from nodelib.torch_ode.problem import prepare
from nodelib.torch_ode.reversible import chosen, undone, walked

F64 = torch.float64
each = pytest.mark.parametrize("method", REVERSIBLE)
COARSE = pytest.mark.filterwarnings("ignore:at the end y and the second state differ")  # far too long steps, on purpose
ORDER = {"reversible_heun": 2, "reversible_rk4": 4}


class Net(nn.Module):
    """tanh(y W + b) W' + b' in 8 dimensions, a little of it turning with t; ``decay`` makes it contract."""

    def __init__(self, decay: float = 0.0, dtype: torch.dtype = F64) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 8)).to(dtype)
        for p in self.net.parameters():
            p.data = torch.randn(p.shape, generator=generator, dtype=F64).to(dtype) / 4
        self.decay, self.nfe = decay, 0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.nfe += 1
        return self.net(y) * (1 + 0.3 * torch.sin(2 * t)) - self.decay * y


def state(*shape: int, dtype: torch.dtype = F64) -> Tensor:
    return (
        torch.randn(shape or (3, 8), generator=torch.Generator().manual_seed(1), dtype=F64).to(dtype).requires_grad_()
    )


def apart(one: Tensor, other: Tensor) -> float:
    """The largest difference, relative to the largest entry."""
    return float((one - other).detach().abs().max() / other.detach().abs().max())


def steps_of(method: str, h: float, coupling: float | None = None) -> dict[str, Any]:
    return {"method": method, "options": {"step_size": h, **({"coupling": coupling} if coupling else {})}}


def plain(func: Callable, y: Tensor, t: Tensor, method: str, coupling: float = 0.99) -> Tensor:
    """The states at the times t, one step from each to the next, as the two papers have it."""
    ys, other = [y], y
    for s, s1 in pairwise(t):
        h = s1 - s
        if method == "reversible_heun":
            f, other = func(s, other), 2 * y - other + h * func(s, other)
            y = y + h / 2 * (f + func(s1, other))
        else:
            y = coupling * y + (1 - coupling) * other + increment(func, s, s1, other)
            other = other - increment(func, s1, s, y)
        ys.append(y)
    return torch.stack(ys)


def increment(func: Callable, t: Tensor, t1: Tensor, y: Tensor) -> Tensor:
    h, half = t1 - t, (t + t1) / 2
    k1 = func(t, y)
    k2 = func(half, y + h / 2 * k1)
    k3 = func(half, y + h / 2 * k2)
    return h / 6 * (k1 + 2 * k2 + 2 * k3 + func(t1, y + h * k3))


def loss_of(ys: Tensor) -> Tensor:
    """Every entry of every output, in its own way."""
    weights = torch.arange(1.0, 1 + ys.numel(), dtype=F64, device=ys.device).view_as(ys) / ys.numel()
    return (weights * ys * (1 + ys)).sum()


# --- the solution -----------------------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("times", [(0.0, 0.2, 0.5, 0.55, 1.0), (1.0, 0.7, 0.1)], ids=["increasing", "decreasing"])
def test_the_steps_are_those_of_the_papers(method, times):
    f, y0, t = Net(), state(), torch.tensor(times, dtype=F64)
    assert apart(odeint_reversible(f, y0, t, method=method), plain(f, y0, t, method)) < 1e-14


@each
@pytest.mark.parametrize("times", [(0.0, 1 / 3, 1.0), (1.0, 2 / 3, 0.0)], ids=["increasing", "decreasing"])
def test_the_order_also_of_an_output_inside_a_step(method, times, record_property):
    """From 8 steps to 32: the output lies two thirds into a step of both."""
    f, y0 = Net(), state()
    with torch.no_grad():
        exact = odeint(f, y0, times, method="dopri8", rtol=1e-13, atol=1e-13)
        few, many = (odeint_reversible(f, y0, times, **steps_of(method, h)) - exact for h in (1 / 8, 1 / 32))
    inside, end = (float((few[i].norm() / many[i].norm()).log2() / 2) for i in (1, 2))
    record_property("measured", f"{method}: order {end:.2f} at the end, {inside:.2f} inside a step")
    assert (inside, end) == pytest.approx((ORDER[method], ORDER[method]), abs=0.25)


@each
def test_step_size_and_grid_constructor_place_the_same_steps(method):
    f, y0, t = Net(), state(), torch.linspace(0, 1, 3, dtype=F64)
    grid = {"grid_constructor": lambda func, y, t: torch.linspace(0, 1, 9, dtype=F64)}
    made = odeint_reversible(f, y0, t, method=method, options=grid)
    assert apart(odeint_reversible(f, y0, t, **steps_of(method, 1 / 8)), made) < 1e-14


@each
def test_evaluations(method):
    """One a step and the first; on the way back as many, each with its graph."""
    f, n = Net(), 10
    a_step = {"reversible_heun": 1, "reversible_rk4": 8}[method]
    y = odeint_reversible(f, state(), [0.0, 1.0], **steps_of(method, 1 / n))
    assert f.nfe == a_step * n + 1
    f.nfe = 0
    y.sum().backward()
    assert f.nfe == a_step * n + (method == "reversible_heun")


@each
def test_without_gradients_the_values_are_the_same(method):
    f, y0, t = Net(), state(), [0.0, 0.4, 1.0]
    y = odeint_reversible(f, y0, t, **steps_of(method, 0.1))
    with torch.no_grad():
        assert torch.equal(odeint_reversible(f, y0, t, **steps_of(method, 0.1)), y)
    with torch.inference_mode():
        assert torch.equal(odeint_reversible(f, y0, t, **steps_of(method, 0.1)), y)


@each
def test_the_state_at_a_single_time_is_y0(method):
    y0 = state()
    y = odeint_reversible(Net(), y0, [0.3], method=method)
    y.sum().backward()
    assert torch.equal(y[0], y0)
    assert torch.equal(y0.grad, torch.ones_like(y0))  # type: ignore[arg-type]


@each
def test_a_func_may_return_the_same_tensor_every_time(method):
    held = torch.empty(2, dtype=F64)

    def func(t: Tensor, y: Tensor) -> Tensor:
        return torch.mul(y, -1.0, out=held)

    with torch.no_grad():
        y0 = torch.ones(2, dtype=F64)
        settings = {**steps_of(method, 0.1), "adjoint_params": ()}
        y, fresh = (odeint_reversible(f, y0, [0.0, 1.0], **settings) for f in (func, lambda t, y: -y))
    assert torch.equal(y, fresh)


# --- there and back ---------------------------------------------------------------------------------------------------


def back_again(f: Callable, y0: Tensor, method: str, n: int, coupling: float | None = None) -> float:
    """By how much of its size y0 changes in n steps over [0, 1] and back, in either of the two states."""
    options = steps_of(method, 1 / n, coupling)["options"]
    pair, places = chosen(method, options)
    with torch.no_grad():
        problem = prepare(f, y0, [0.0, 1.0], pair.base, options=places)
        _, points, ends = walked(pair, problem)
        look = Look((), problem.form)
        back = WayBack(problem, problem.t, (), torch.zeros(2, y0.numel(), dtype=y0.dtype), False, look)
        states, _ = undone(pair, back, points, ends)
    return max(apart(x, problem.y0) for x in states[:2])


@pytest.mark.parametrize("n", [10, 100, 1000])
@pytest.mark.parametrize(("method", "coupling"), [("reversible_heun", None), ("reversible_rk4", 0.999)])
def test_there_and_back_on_a_mild_field(method, coupling, n, record_property):
    change = back_again(Net(), state(), method, n, coupling)
    record_property("measured", f"{method}, {n} steps there and back: y0 changes by {change:.1e} of its size")
    assert change < 1e-14


def test_a_rounding_grows_by_the_inverse_of_the_coupling_a_step(record_property):
    """0.9^-120 = 300,000."""
    weak = lambda t, y: 0.1 * torch.sin(y)  # noqa: E731
    few, many = (back_again(weak, state(), "reversible_rk4", n, 0.9) for n in (120, 240))
    record_property("measured", f"λ = 0.9: there and back changes y0 by {few:.1e} in 120 steps, {many:.1e} in 240")
    assert log(many / few) / 120 == pytest.approx(-log(0.9), rel=0.15)  # the roundings differ, by e at most


# --- the gradient -----------------------------------------------------------------------------------------------------


def gradients(way: Callable, f: Net, y0: Tensor, t: Tensor) -> list[Tensor]:
    leaves = [y0, t, *f.parameters()]
    return list(torch.autograd.grad(loss_of(way()), leaves, materialize_grads=True))


@COARSE
@each
@pytest.mark.parametrize("n", [1, 7, 150])
@pytest.mark.parametrize("way", [1, -1], ids=["increasing", "decreasing"])
def test_the_gradient_is_that_of_backpropagation(method, n, way, record_property):
    """In y0, every time and every parameter, of steps of uneven length."""
    coupling = 0.999 if n == 150 else 0.95
    f, y0 = Net(), state()
    t = torch.linspace(0, 1, n + 1, dtype=F64) ** 2
    t = (t if way == 1 else t.flip(0)).requires_grad_()
    options = {"coupling": coupling} if method == "reversible_rk4" else None
    ours = gradients(lambda: odeint_reversible(f, y0, t, method=method, options=options), f, y0, t)
    theirs = gradients(lambda: plain(f, y0, t, method, coupling), f, y0, t)
    worst = max(map(apart, ours, theirs))
    record_property("measured", f"{method}, {n} steps: gradients differ by {worst:.1e} of their size")
    assert len(ours) == 6
    assert worst < 1e-12


@COARSE
@each
def test_the_gradient_agrees_with_central_differences(method):
    """Of outputs inside and at the end of steps that are far too long; in y0, t and a bias."""
    f, y0, t = Net(), state(8), torch.tensor([0.0, 0.4, 0.9, 1.7], dtype=F64, requires_grad=True)
    bias: Any = f.net[0].bias

    def loss() -> Tensor:
        return loss_of(odeint_reversible(f, y0, t, **steps_of(method, 0.6)))

    for x, found in zip((y0, t, bias), torch.autograd.grad(loss(), (y0, t, bias)), strict=True):
        for i in range(len(x)):
            values = []
            for nudge in (1e-5, -1e-5):
                x.data[i] += nudge
                values.append(float(loss().detach()))
                x.data[i] -= nudge
            assert float(found[i]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-7, abs=1e-8)


@each
@pytest.mark.parametrize("make", [tuple, list])
def test_tuple_states(method, make):
    """Parts of unlike shapes; the second one begins at 0 and is what the first one integrates to."""
    f, y0 = Net(), state()

    def pair(t: Tensor, y: Any) -> Any:
        return make((f(t, y[0]), y[0].sum(1)))

    def whole(t: Tensor, y: Tensor) -> Tensor:
        return torch.cat([f(t, y[:, :8]), y[:, :8].sum(1, keepdim=True)], 1)

    t, params = [0.0, 0.3, 1.0], tuple(f.parameters())
    start = make((y0, torch.zeros(3, dtype=F64)))
    parts = odeint_reversible(pair, start, t, **steps_of(method, 0.07), adjoint_params=params)
    joined = torch.cat([y0, torch.zeros(3, 1, dtype=F64)], 1)
    one = odeint_reversible(whole, joined, t, **steps_of(method, 0.07), adjoint_params=params)
    assert [tuple(part.shape) for part in parts] == [(3, 3, 8), (3, 3)]
    for ours, theirs in zip(
        torch.autograd.grad(loss_of(torch.cat([parts[0], parts[1][..., None]], -1)), (y0, *params)),
        torch.autograd.grad(loss_of(one), (y0, *params)),
        strict=True,
    ):
        assert apart(ours, theirs) < 1e-13


@each
def test_complex_states(method):
    rate = torch.tensor(0.3 + 2j, dtype=torch.complex128, requires_grad=True)
    y0, t = torch.tensor([1.0 + 1j, 0.5], dtype=torch.complex128), torch.linspace(0, 1, 9, dtype=F64)

    def f(t: Tensor, y: Tensor) -> Tensor:
        return rate * y * torch.cos(t)

    ours = odeint_reversible(f, y0, t, method=method, adjoint_params=rate)
    pairs = [torch.autograd.grad(ys.abs().square().sum(), rate)[0] for ys in (ours, plain(f, y0, t, method))]
    assert apart(*pairs) < 1e-13


@each
def test_frozen_parameters_and_autocast_and_batches_of_gradients(method):
    f, y0 = Net(), state()
    f.net[0].weight.requires_grad_(False)
    y = odeint_reversible(f, y0, [0.0, 1.0], **steps_of(method, 0.1))[-1]
    rows = torch.stack([torch.autograd.grad(y[0, i], y0, retain_graph=True)[0] for i in range(8)])
    basis = torch.eye(8, dtype=F64)[:, None] * torch.tensor([1.0, 0, 0], dtype=F64)[:, None]
    together = torch.autograd.grad(y, y0, basis, is_grads_batched=True, retain_graph=True)[0]
    assert apart(together, rows) < 1e-13
    with torch.autocast("cpu"):
        y.sum().backward()
    assert f.net[0].weight.grad is None
    assert y0.grad.dtype is F64  # type: ignore[union-attr]


def test_the_gradient_is_a_first_derivative_and_no_transform():
    f, y0 = Net(), state()
    y = odeint_reversible(f, y0, [0.0, 0.1])
    with pytest.raises(RuntimeError, match="first derivatives"):
        torch.autograd.grad(y.sum(), y0, create_graph=True)
    with pytest.raises(TypeError, match="odeint_reversible cannot be followed by"):
        torch.func.grad(lambda y: odeint_reversible(f, y, [0.0, 0.1]).sum())(y0)


@each
def test_modes_of_torch_change_nothing(method):
    """Another default device, where new tensors would have no numbers; autocast around all of it; torch.compile."""
    f, y0, settings = Net(dtype=torch.float32), state(dtype=torch.float32), steps_of(method, 0.1)

    def both(solver: Callable = odeint_reversible) -> list[Tensor]:
        y = solver(f, y0, [0.0, 0.55, 1.0], **settings)
        return [y, *torch.autograd.grad(y.square().sum(), (y0, *f.parameters()))]

    usual = both()
    with torch.device("meta"):
        assert all(map(torch.equal, both(), usual))
    assert all(map(torch.equal, both(torch.compile(odeint_reversible, backend="eager")), usual))
    loss = odeint_reversible(f, y0, [0.0, 0.55, 1.0], **settings).square().sum()
    with torch.autocast("cpu"):  # on the way back alone: as it was on the way there
        back = torch.autograd.grad(loss, (y0, *f.parameters()))
    assert all(map(torch.equal, back, usual[1:]))
    with torch.autocast("cpu"):  # func alone is cast
        cast = both()
    assert all(0 < apart(a, b) < 0.05 and a.dtype is torch.float32 for a, b in zip(cast, usual, strict=True))


@each
def test_what_is_kept_for_the_way_back_is_released_with_it(method):
    y0 = torch.ones(1003, dtype=F64, requires_grad=True)
    y = odeint_reversible(lambda t, y: -y, 2 * y0, [0.0, 1.0], **steps_of(method, 0.1), adjoint_params=())

    def kept() -> int:
        gc.collect()
        return sum(issubclass(type(x), Tensor) and x.numel() == 1003 for x in gc.get_objects())

    y.sum().backward()
    assert kept() <= 2  # y0, and y0.grad where Python has seen it
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@each
def test_on_a_cuda_device(method):
    found = []
    for device in ("cpu", "cuda"):
        f, y0 = Net().to(device), state().detach().to(device).requires_grad_()
        t = torch.tensor([0.0, 0.33, 1.0], dtype=F64, requires_grad=True)
        ys = odeint_reversible(f, y0, t, **steps_of(method, 0.1))
        found.append([g.cpu() for g in torch.autograd.grad(loss_of(ys), (y0, t, *f.parameters()))])
    assert max(map(apart, *found)) < 1e-12


# --- memory -----------------------------------------------------------------------------------------------------------


def train(method: str, n: int) -> None:
    f, y0 = Net(), state(1000, 8)
    odeint_reversible(f, y0, [0.0, 1.0], **steps_of(method, 1 / n))[-1].sum().backward()


@each
def test_memory_does_not_depend_on_the_number_of_steps(method, record_property):
    peaks = []
    for n in (5, 60):
        with PeakMemory() as memory:
            train(method, n)
        peaks.append(memory.peak)
    record_property("measured", f"{method}: {peaks[0]} bytes of tensors in 5 steps, {peaks[1]} in 60")
    assert peaks[1] == pytest.approx(peaks[0], rel=0.001)


@each
def test_what_python_keeps_of_a_step_is_small(method, record_property):
    """Its time on the grid, and the tuples that Python keeps for reuse."""
    train(method, 20)  # whatever is made once
    held = []
    for n in (20, 70):
        tracemalloc.start()
        train(method, n)
        held.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    record_property("measured", f"{method}: {(held[1] - held[0]) / 50:.0f} bytes of Python objects a step")
    assert (held[1] - held[0]) / 50 < 500


# --- stability --------------------------------------------------------------------------------------------------------


def reach(method: str, coupling: float = 0.99) -> float:
    """How far down the negative axis a step is stable, to 1e-5."""
    x = np.arange(1e-5, 3, 1e-5)
    unstable = stability(method, -x, coupling) > 1 + 1e-9
    return float(x[unstable.argmax()]) - 1e-5


@pytest.mark.parametrize("coupling", [0.9, 0.99, 0.999])
def test_reversible_rk4_is_stable_on_the_negative_axis_down_to_the_logarithm_of_its_coupling(coupling, record_property):
    found = reach("reversible_rk4", coupling)
    record_property("measured", f"reversible_rk4, λ = {coupling}: stable down to hμ = {-found:.5f}")
    assert found == pytest.approx(-log(coupling), abs=3e-5)
    assert found == pytest.approx(1 - coupling, rel=0.06)


def test_rk4_reaches_further_and_reversible_heun_nowhere():
    assert reach("rk4") == pytest.approx(2.785, abs=1e-3)
    assert reach("reversible_heun") == 0
    on_axis = 1j * np.array([-1.01, -0.99, 0.5, 0.99, 1.01])
    assert (stability("reversible_heun", on_axis) > 1 + 1e-9).tolist() == [True, False, False, False, True]


@pytest.mark.parametrize("hmu", [-0.05, -0.3, 0.2, 0.4j, 1.5j, -0.2 + 0.6j])
@pytest.mark.parametrize("coupling", [0.9, 0.99])
@each
def test_stability_is_that_of_the_solvers_own_step(method, coupling, hmu):
    """The matrix of a step from its columns: what becomes of (1, 0) and of (0, 1)."""
    pair, _ = chosen(method, {"coupling": coupling} if method == "reversible_rk4" else None)
    problem = prepare(lambda t, y: hmu * y, torch.ones(1, dtype=torch.complex128), [0.0, 1.0], pair.base)
    pair.start(problem)
    columns = []
    for y, other in torch.eye(2, dtype=torch.complex128)[:, :, None]:
        _, states = pair.step(problem, (0.0, 0), (1.0, 1), (y, other, hmu * other)[: len(pair.start(problem))])
        columns.append(torch.cat(states[:2]))
    largest = np.abs(np.linalg.eigvals(torch.stack(columns, 1).numpy())).max()
    assert stability(method, hmu, coupling) == pytest.approx(largest, rel=1e-12)


def test_stability_keeps_the_shape():
    z = np.zeros((2, 3)) - 0.1
    assert [stability(method, z).shape for method in ("rk4", *REVERSIBLE)] == [(2, 3)] * 3
    assert stability("reversible_rk4", -0.1).shape == ()


# --- where they fail, and say so --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "coupling"), [("reversible_heun", None), ("reversible_rk4", 0.99)])
def test_on_a_contractive_network_they_fail_where_rk4_does_not(method, coupling):
    """hμ = -0.3: RK4 is accurate; the reversible steps are unstable and y0 does not come back. Both are told."""
    f, y0 = Net(decay=30), state()
    settings = steps_of(method, 0.01, coupling)
    with torch.no_grad():
        exact = odeint(f, y0, [0.0, 1.0], rtol=1e-10, atol=1e-10)[-1]
        assert apart(odeint(f, y0, [0.0, 1.0], method="rk4", options={"step_size": 0.01})[-1], exact) < 1e-4
    with pytest.warns(UserWarning, match="at the end y and the second state differ by"):
        y = odeint_reversible(f, y0, [0.0, 1.0], **settings)[-1]
    assert apart(y, exact) > 1
    with pytest.raises(
        ReconstructionFailed, match=r"y0 back changed by .* no gradient; to mend it, take shorter steps"
    ):
        y.sum().backward()


def test_a_y0_that_comes_back_a_little_changed_is_warned_of_and_the_gradient_is_that_wrong(record_property):
    """λ = 0.96 in single precision: 250 steps magnify a rounding 27,000 times."""
    f, y0, t = Net(dtype=torch.float32), state(dtype=torch.float32), torch.linspace(0, 1, 251, dtype=F64)
    y = odeint_reversible(f, y0, t, method="reversible_rk4", options={"coupling": 0.96})[-1]
    with pytest.warns(
        UserWarning, match=r"y0 back changed by 0.0\d+ of its size, and the gradient may be as wrong"
    ) as seen:
        ours = torch.autograd.grad(y.square().sum(), list(f.parameters()))
    theirs = torch.autograd.grad(plain(f, y0, t, "reversible_rk4", 0.96)[-1].square().sum(), list(f.parameters()))
    worst = max(map(apart, ours, theirs))
    told = float(str(seen[0].message).split("changed by ")[1].split()[0])
    record_property(
        "measured", f"single precision, 250 steps, λ = 0.96: y0 back off by {told}, gradient {worst:.1e} wrong"
    )
    assert told / 100 < worst < told
    y = odeint_reversible(f, y0, t, method="reversible_rk4", options={"coupling": 0.999})[-1]
    y.sum().backward()  # no warning: the remedy that it names


@each
def test_a_state_that_begins_at_zero_raises_no_false_alarm(method):
    f = Net()
    odeint_reversible(f, torch.zeros(3, 8, dtype=F64), [0.0, 1.0], **steps_of(method, 0.01))[-1].sum().backward()
    with torch.no_grad():
        zero = torch.zeros(2)
        y = odeint_reversible(lambda t, y: 0 * y, zero, [0.0, 1.0], method=method, adjoint_params=())
    assert not y.any()


@each
def test_another_func_on_the_way_back_is_an_error_of_its_own(method):
    f = Net()
    y = odeint_reversible(f, state(), [0.0, 1.0], **steps_of(method, 0.1))[-1]
    f.decay = 0.5
    with pytest.raises(AnotherFunction, match="another function on the way back"):
        y.sum().backward()


@each
def test_a_state_that_overflows_is_an_error(method):
    with pytest.raises(NonFiniteState, match=r"becomes nan or inf in the step from t = \d.*take shorter steps"):
        odeint_reversible(
            lambda t, y: y**3, torch.full((2,), 3.0), [0.0, 9.0], **steps_of(method, 0.5), adjoint_params=()
        )


def test_tensors_that_are_no_parameters_are_warned_of():
    hidden = torch.ones(8, dtype=F64, requires_grad=True)
    with pytest.warns(UserWarning, match="its gradient will be missing"):
        odeint_reversible(lambda t, y: hidden * y, state(), [0.0, 0.1], adjoint_params=())
    late = lambda t, y: hidden * y if float(t) > 0.5 else -y  # noqa: E731
    y = odeint_reversible(late, state(), [0.0, 1.0], **steps_of("reversible_rk4", 0.1), adjoint_params=())
    with pytest.warns(UserWarning, match="its gradient will be missing"):
        y.sum().backward()


# --- what people pass -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["rk4", "dopri5", "reversible", None, "scipy:LSODA"])
def test_an_unknown_method_names_the_two(method):
    with pytest.raises(
        ValueError, match="is not reversible: odeint_reversible takes reversible_heun or reversible_rk4"
    ):
        odeint_reversible(Net(), state(), [0.0, 1.0], method=method)


@each
@pytest.mark.parametrize("twin", [numpy_ode, torch_ode])
@pytest.mark.parametrize("solver", ["odeint", "solve", "odeint_adjoint", "odeint_checkpoint"])
def test_the_other_solvers_of_both_twins_say_where_the_methods_are(twin, solver, method):
    y0 = np.ones(2) if twin is numpy_ode else torch.ones(2)
    settings = {"adjoint_params": ()} if solver.startswith("odeint_") else {}
    with pytest.raises(ValueError, match=f"method '{method}' .* only odeint_reversible of nodelib.torch_ode"):
        getattr(twin, solver)(lambda t, y: -y, y0, [0.0, 1.0], method=method, **settings)


@each
@pytest.mark.parametrize(
    "option", ["first_step", "max_num_steps", "controller", "norm", "perturb", "max_order", "stepsize"]
)
def test_options_of_other_methods_are_refused(method, option):
    with pytest.raises(ValueError, match=f"option '{option}' does not apply to {method}.* It takes: step_size"):
        odeint_reversible(Net(), state(), [0.0, 1.0], method=method, options={option: 1})


@pytest.mark.parametrize("coupling", [0, 1, 1.5, -0.5, float("nan"), "0.9", None])
def test_the_coupling_lies_between_0_and_1(coupling):
    with pytest.raises(ValueError, match="option 'coupling' must be a number λ with 0 < λ < 1, got"):
        odeint_reversible(Net(), state(), [0.0, 1.0], method="reversible_rk4", options={"coupling": coupling})


@pytest.mark.parametrize(("wrong", "error", "words"), [
    ({"options": {"coupling": 0.9}}, ValueError, "option 'coupling' does not apply to reversible_heun"),
    ({"options": [0.1]}, TypeError, "options must be a dict"),
    ({"options": {"step_size": -0.1}}, ValueError, "option 'step_size' must be a positive number"),
    ({"func": lambda t, y: -y}, ValueError, "pass adjoint_params"),
    ({"y0": [1.0, 2.0]}, TypeError, "y0 must be a tensor"),
    ({"t": [0.0, 1.0, 0.5]}, ValueError, "t must increase or decrease strictly"),
    ({"rtol": 1e-3}, TypeError, "rtol"),
])  # fmt: skip
def test_bad_arguments(wrong, error, words):
    with pytest.raises(error, match=words):
        odeint_reversible(**{"func": Net(), "y0": state(), "t": [0.0, 1.0], **wrong})


@each
def test_callback_step_is_called(method):
    class Told(Net):
        seen: list[float] = []  # noqa: RUF012  # one for the class is enough

        def callback_step(self, t: Tensor, y: Tensor, h: Tensor) -> None:
            self.seen.append(float(t))

    Told.seen.clear()
    odeint_reversible(Told(), state(), [0.0, 0.5, 1.0], method=method)
    assert Told.seen == [0.0, 0.5]
