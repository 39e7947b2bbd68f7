"""A program written for torchdiffeq.odeint gives the same results when only its import line changes."""

import numpy as np
import pytest
import torch
from torch import nn

from nodelib import torch_ode
from nodelib.common.tableaus import TABLEAUS
from tests.twins.both import OSCILLATOR, SPIN, lotka_volterra

torchdiffeq = pytest.importorskip("torchdiffeq")
F64 = torch.float64
T = torch.linspace(0, 2, 9, dtype=F64)
START = torch.tensor([1.0, 0.0], dtype=F64)
SPIRAL = OSCILLATOR.func(torch)


def both(*arguments, **settings):
    """The result here and there."""
    return torch_ode.odeint(*arguments, **settings), torchdiffeq.odeint(*arguments, **settings)


def assert_close(pair, abs=1e-6):
    ours, theirs = pair
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert ours.detach().numpy() == pytest.approx(theirs.detach().numpy(), abs=abs)


# torchdiffeq's "rk4" is the 3/8 rule; its Adams methods start and iterate in other ways
FIXED = {"euler": 1e-12, "midpoint": 1e-12, "heun2": 1e-12, "rk4": 1e-8, "explicit_adams": 1e-6}
FIXED |= {"implicit_adams": 1e-6, "fixed_adams": 1e-6}
# inside its steps, where t ends too, it interpolates bosh3 and dopri8 with the fourth order that suits dopri5
ADAPTIVE = {None: 1e-6, "dopri5": 1e-6, "dopri8": 1e-4, "bosh3": 1e-4, "adaptive_heun": 1e-4}
SPANS = pytest.mark.parametrize("t", [T, T.flip(0), T.float()], ids=["forward", "backward", "single"])


@pytest.mark.parametrize(("method", "gap"), FIXED.items())
@SPANS
def test_fixed_methods_by_torchdiffeqs_names(method, gap, t):
    chosen = {"step_size": 1 / 128} | ({"max_order": 4} if "adams" in method else {})
    assert_close(both(SPIRAL, START, t, method=method, rtol=1e-8, atol=1e-8, options=chosen), gap)


@pytest.mark.parametrize(("method", "gap"), ADAPTIVE.items(), ids=str)
@SPANS
def test_adaptive_methods_by_torchdiffeqs_names(method, gap, t):
    tight = 1e-6 if method == "adaptive_heun" else 1e-7
    ours, theirs = both(SPIRAL, START, t, method=method, rtol=tight, atol=tight)
    assert_close((ours, theirs), gap)
    exact = torch.as_tensor(OSCILLATOR.exact((t - t[0]).numpy()))
    assert (ours - exact).abs().max() <= max((theirs - exact).abs().max(), 2e-6)


@pytest.mark.parametrize(
    ("theirs", "ours"), [("rk4", "rk4_38"), ("euler", "euler"), ("midpoint", "midpoint"), ("heun2", "heun")]
)
def test_fixed_methods_that_are_the_same_formula(theirs, ours):
    """To round-off: and so torchdiffeq's rk4 is the 3/8 rule, not the classical method."""
    func, y0 = SPIN.func(torch), torch.as_tensor(SPIN.exact(0.0))
    there = torchdiffeq.odeint(func, y0, T[:5], method=theirs, options={"step_size": 1 / 32})
    here = torch_ode.odeint(func, y0, T[:5], method=ours, options={"step_size": 1 / 32})
    assert here.numpy() == pytest.approx(there.numpy(), rel=1e-13)
    if theirs == "rk4":
        classical = torch_ode.odeint(func, y0, T[:5], method="rk4", options={"step_size": 1 / 32})
        assert classical.numpy() != pytest.approx(there.numpy(), rel=1e-9)


@pytest.mark.filterwarnings("ignore:The following arguments have no effect")  # torchdiffeq's own min_step
@pytest.mark.parametrize("solver", ["LSODA", "RK45", "Radau", "BDF", None])
def test_scipy_solver(solver):
    chosen = {"solver": solver} if solver else {}
    pair = both(SPIRAL, START, T, method="scipy_solver", rtol=1e-8, atol=1e-8, options=chosen)
    assert_close(pair, 1e-5)
    name = f"scipy:{solver or 'LSODA'}"
    assert torch.equal(pair[0], torch_ode.odeint(SPIRAL, START, T, method=name, rtol=1e-8, atol=1e-8))


@pytest.mark.parametrize(
    "options",
    [
        {"first_step": 0.01},
        {"first_step": torch.tensor(0.01)},
        {"min_step": 0.01},
        {"max_step": 0.1},
        {"min_step": 0.0, "max_step": float("inf"), "max_num_steps": 2**31 - 1},
        {"step_t": torch.tensor([0.3, 1.7], dtype=F64)},
        {"jump_t": torch.tensor([0.3], dtype=F64)},
        {"norm": lambda error: error.abs().max()},
    ],
    ids=lambda options: ", ".join(options),
)
@pytest.mark.parametrize("method", ["dopri5", "bosh3", "dopri8"])
def test_options_of_adaptive_methods(method, options):
    assert_close(both(SPIRAL, START, T, method=method, rtol=1e-7, atol=1e-7, options=options), 1e-4)


def test_grid_constructor():
    def constructor(func, y0, t):
        return torch.linspace(float(t[0]), float(t[-1]), 201, dtype=t.dtype)

    for t in (T, T.flip(0)):
        assert_close(both(SPIRAL, START, t, method="rk4", options={"grid_constructor": constructor}), 1e-8)


@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_tuple_states_and_tolerances(method):
    def func(t, y):
        return -y[0] * t, y[1].cos()

    y0 = (torch.ones(2, 3, dtype=F64), torch.zeros(4, dtype=F64))
    more = {"rtol": (1e-8, 1e-6), "atol": (1e-7, 1e-9)} if method == "dopri5" else {"options": {"step_size": 0.01}}
    ours, theirs = both(func, y0, T, method=method, **more)
    assert isinstance(ours, tuple)
    for pair in zip(ours, theirs, strict=True):
        assert_close(pair, 1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.complex128])
def test_dtypes(dtype):
    rate = -1.0 + (1j if dtype.is_complex else 0)
    assert_close(both(lambda t, y: rate * y, torch.ones(2, 2, dtype=dtype), T.float(), rtol=1e-5, atol=1e-5), 1e-4)


@pytest.mark.parametrize(("method", "steps", "gap"), [("dopri5", 8, 1e-5), ("rk4", 64, 1e-4)])
def test_gradients_of_start_times_and_parameters(method, steps, gap):
    def gradients(odeint):
        torch.manual_seed(0)
        net = nn.Linear(2, 2).double()
        y0, t = START.clone().requires_grad_(), torch.linspace(0, 2, steps + 1, dtype=F64, requires_grad=True)
        y = odeint(lambda t, y: torch.tanh(net(y)) * t, y0, t, method=method, rtol=1e-8, atol=1e-8)
        return torch.autograd.grad(y[:: steps // 4].square().sum(), (y0, t, net.weight, net.bias))

    for ours, theirs in zip(gradients(torch_ode.odeint), gradients(torchdiffeq.odeint), strict=True):
        assert ours.numpy() == pytest.approx(theirs.numpy(), abs=gap)


def test_error_estimate_of_its_dopri5_is_two_thirds_of_dormand_and_princes():
    """Shampine's b̂ (1986) instead of the one of 1980. So at tolerance tol it takes the steps taken here at 1.5 tol."""
    theirs = torchdiffeq._impl.dopri5.Dopri5Solver.tableau.c_error
    ours = np.array(TABLEAUS["dopri5"].b_err, float)
    assert theirs.numpy() == pytest.approx(2 / 3 * ours, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("tol", [1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("problem", ["spiral", "lotka_volterra"])
def test_evaluations_of_dopri5_at_the_tolerance_that_means_the_same(problem, tol):
    func, y0 = (SPIRAL, START) if problem == "spiral" else (lotka_volterra(torch), torch.tensor([4.0, 2.0], dtype=F64))
    calls = {}
    for name, odeint, scale in (("ours", torch_ode.odeint, 1.5), ("theirs", torchdiffeq.odeint, 1.0)):
        times = calls.setdefault(name, [])
        odeint(lambda t, y, times=times: times.append(t) or func(t, y), y0, 5 * T, rtol=scale * tol, atol=scale * tol)
    # not the same to the last one: it does not shorten a step after one that was accepted, and steps beyond the end
    assert len(calls["ours"]) == pytest.approx(len(calls["theirs"]), rel=0.1, abs=6)


# --- callbacks and perturbed times ------------------------------------------------------------------------------------


class Told(torch.nn.Module):
    """y' = -k y³, which writes down what it is told."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.k, self.told = torch.nn.Parameter(torch.ones(1, dtype=torch.float64)), []
        for name in names:
            setattr(self, name, lambda t, y, h, name=name: self.told.append((name, float(t), float(h), structure(y))))

    def forward(self, t, y):
        return -self.k * y**3


def structure(y):
    return tuple(tuple(part.shape) for part in y) if isinstance(y, tuple) else tuple(y.shape)


STEP, ACCEPT, REJECT = "callback_step", "callback_accept_step", "callback_reject_step"


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("dopri5", {"options": {"first_step": 0.5}}),
        ("bosh3", {"options": {"first_step": 0.5}}),
        ("euler", {"options": {"step_size": 0.25}}),
        ("explicit_adams", {"options": {"step_size": 0.25}}),
    ],
)
def test_callbacks_are_called_as_torchdiffeq_calls_them(method, settings):
    names = (STEP, ACCEPT, REJECT) if method in ("dopri5", "bosh3") else (STEP,)
    y0, t = torch.full((2, 3), 3.0, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    ours, theirs = Told(names), Told(names)
    with torch.no_grad():
        torchdiffeq.odeint(theirs, y0, t, method=method, rtol=1e-4, atol=1e-4, **settings)
        tol = 1.5e-4 if method == "dopri5" else 1e-4  # torchdiffeq takes 2/3 of Dormand and Prince's error
        torch_ode.odeint(ours, y0, t, method=method, rtol=tol, atol=tol, **settings)
    kinds = [[what for what, *_ in f.told] for f in (ours, theirs)]
    if method in ("dopri5", "bosh3"):  # two libraries need not take the same steps, but tell of them alike
        assert {REJECT, ACCEPT} <= set(kinds[0])
        for kind in kinds:
            assert kind[::2] == [STEP] * (len(kind) // 2)
        assert ours.told[0][1:] == theirs.told[0][1:] == (0.0, 0.5, (2, 3))
    else:
        assert ours.told == theirs.told


def test_callbacks_of_the_way_back():
    f = Told(tuple(f"{name}_adjoint" for name in (STEP, ACCEPT)))
    torch_ode.odeint_adjoint(f, torch.ones(2, dtype=torch.float64), [0.0, 1.0]).sum().backward()
    assert {what for what, *_ in f.told} == {"callback_step_adjoint", "callback_accept_step_adjoint"}
    assert all(h > 0 for _, _, h, _ in f.told)  # a size, whatever the direction
    assert {shape for *_, shape in f.told} == {((), (2,), (2,), (1,))}  # time's adjoint, z, a, dL/dk


def test_callbacks_that_a_method_would_not_call_are_refused():
    y0, t = torch.ones(2, dtype=torch.float64), [0.0, 1.0]
    with pytest.raises(ValueError, match="func has callback_accept_step, which euler would never call"):
        torch_ode.odeint(Told((ACCEPT,)), y0, t, method="euler")
    with pytest.raises(ValueError, match="func has callback_step, which scipy:LSODA would never call"):
        torch_ode.odeint(Told((STEP,)), y0, t, method="scipy:LSODA")


@pytest.mark.parametrize(("ours", "theirs"), [("euler", "euler"), ("midpoint", "midpoint"), ("rk4_38", "rk4")])
def test_perturbed_times_look_at_the_side_of_a_jump_that_the_step_is_on(ours, theirs):
    """f jumps at t = 1/2, a point of the grid: with perturb no stage sees the other side, as in torchdiffeq."""

    def field(t, y):
        return torch.where(t < 0.5, 1.0, 3.0).to(y) + 0 * y

    y0, t = torch.zeros(1, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    options = {"step_size": 0.5, "perturb": True}
    y = torch_ode.odeint(field, y0, t, method=ours, options=options)
    assert float(y[-1]) == pytest.approx(float(torchdiffeq.odeint(field, y0, t, method=theirs, options=options)[-1]))
    assert float(y[-1]) == pytest.approx(2.0, abs=1e-12)
    plain = torch_ode.odeint(field, y0, t, method="rk4", options={"step_size": 0.5})
    assert abs(float(plain[-1]) - 2) > 0.1
