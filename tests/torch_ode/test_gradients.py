"""The gradients of the torch twin with what torch adds: Modules, tuples, complex states, and the rest of a program."""

import copy
from collections.abc import Callable
from math import exp
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nodelib import numpy_ode, torch_ode
from nodelib.torch_ode import odeint, odeint_adjoint, odeint_checkpoint
from tests.twins.ways import THETA, Y0, Way, every_output, gap, swirl

SOLVERS = [odeint, odeint_adjoint, odeint_checkpoint]
MEMORYLESS = [odeint_adjoint, odeint_checkpoint]
TIGHT: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-11}
T = (0.0, 0.4, 1.0)


class Net(nn.Module):
    """A field with a buffer, a frozen parameter, one that nothing uses, and a count of its evaluations."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net: Any = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
        self.unused = nn.Parameter(torch.ones(3))
        self.register_buffer("scale", torch.tensor([1.0, -2.0]))
        self.net[0].bias.requires_grad_(False)
        self.nfe = 0
        self.to(dtype)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.nfe += 1
        return self.net(y**3 * self.get_buffer("scale")) + torch.sin(3 * t) * y


class Spiral(nn.Module):
    """The network of torchdiffeq's ode_demo.py."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(2, 50), nn.Tanh(), nn.Linear(50, 2)).double()
        self.nfe = 0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.nfe += 1
        return self.net(y**3)


def state(*values: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values or (0.3, -0.7), dtype=dtype, requires_grad=True)


def grad(x: Any) -> Tensor:
    """x.grad, which the type checker cannot know to be there."""
    return x.grad


def trained(f: nn.Module) -> list[Tensor]:
    return [p for p in f.parameters() if p.requires_grad]


def gradients(solver: Callable, f: Net, t: Any = T, **settings: Any) -> Tensor:
    """Every gradient of a loss of all outputs, in one vector: y0, t, parameters."""
    y0, t = state(), torch.tensor(t, dtype=torch.float64, requires_grad=True)
    y = solver(f, y0, t, **{**TIGHT, **settings})
    weights = torch.arange(1.0, 1 + y.numel(), dtype=torch.float64).view_as(y)
    found = torch.autograd.grad((weights * y * (1 + y)).sum(), (y0, t, *trained(f)), materialize_grads=True)
    return torch.cat([g.reshape(-1) for g in found])


def apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


# --- Modules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_module_gets_the_gradients_of_its_parameters(solver: Callable) -> None:
    f, y0 = Net(), state()
    solver(f, y0, T).sum().backward()
    assert grad(y0) is not None
    assert grad(f.net[0].bias) is None  # frozen
    assert grad(f.unused) is None if solver is odeint else not grad(f.unused).any()
    assert all(grad(p).abs().max() > 0 for p in trained(f) if p is not f.unused)


@pytest.mark.parametrize("solver", MEMORYLESS)
def test_adjoint_params_are_those_that_get_a_gradient(solver: Callable) -> None:
    f, y0 = Net(), state()
    weight = f.net[2].weight
    with pytest.warns(UserWarning, match="not among the parameters"):
        y = solver(f, y0, T, adjoint_params=(weight, f.net[0].bias), **TIGHT)
    y.sum().backward()
    assert grad(weight) is not None
    assert grad(f.net[0].weight) is None
    assert grad(f.net[0].bias) is None  # frozen, though it was given


@pytest.mark.parametrize("solver", MEMORYLESS)
def test_a_function_says_what_it_depends_on(solver: Callable) -> None:
    w, y0 = torch.tensor(0.7, dtype=torch.float64, requires_grad=True), state()

    def f(t: Tensor, y: Tensor) -> Tensor:
        return w * y

    with pytest.raises(ValueError, match=r"pass adjoint_params=\(…\), or \(\) if it has none"):
        solver(f, y0, T)
    solver(f, y0, T, adjoint_params=(p for p in [w]), **TIGHT).sum().backward()
    exact = sum(s * exp(0.7 * s) for s in T) * (0.3 - 0.7)
    assert float(grad(w)) == pytest.approx(exact, rel=1e-6)
    fixed = solver(lambda t, y: -y, y0, T, adjoint_params=())
    assert torch.autograd.grad(fixed[-1].sum(), y0)[0].tolist() == pytest.approx(2 * [exp(-1)], rel=1e-6)


@pytest.mark.parametrize("solver", MEMORYLESS)
def test_a_parameter_may_be_computed_from_others(solver: Callable) -> None:
    """The gradient goes on from the parameter that was given to what it was made of."""
    raw, y0 = torch.tensor(-0.4, dtype=torch.float64, requires_grad=True), state()
    w = raw.exp()
    solver(lambda t, y: w * y, y0, T, adjoint_params=(w,), **TIGHT)[-1].sum().backward()
    assert float(grad(raw)) == pytest.approx((0.3 - 0.7) * exp(-0.4) * exp(exp(-0.4)), rel=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_training_steps_change_the_result_and_lower_the_loss(solver: Callable) -> None:
    f, y0 = Net(), state().detach()
    optimiser = torch.optim.Adam(f.parameters(), lr=0.01)
    losses = []
    for _ in range(4):
        optimiser.zero_grad()
        loss = (solver(f, y0, T)[-1] ** 2).sum()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.98 * losses[0]


@pytest.mark.parametrize("solver", SOLVERS)
def test_twice_the_same(solver: Callable) -> None:
    """A second call, a second backward pass through the first, and a copy of the Module give the same gradient."""
    f, y0 = Net(), state()
    y = solver(f, y0, T)
    first, second = (torch.autograd.grad(y[-1].sum(), y0, retain_graph=True)[0] for _ in range(2))
    third = torch.autograd.grad(solver(f, y0, T)[-1].sum(), y0)[0]
    fourth = torch.autograd.grad(solver(copy.deepcopy(f), y0, T)[-1].sum(), y0)[0]
    assert torch.equal(first, second)
    assert torch.equal(first, third)
    assert torch.equal(first, fourth)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_inside_torchs_own_checkpoint(solver: Callable, use_reentrant: bool) -> None:
    from torch.utils.checkpoint import checkpoint

    def block(y0: Tensor) -> Any:
        return solver(f, y0, T)[-1]

    f, y0 = Net(), state()
    plain = torch.autograd.grad(block(y0).square().sum(), (y0, f.net[2].weight))
    checkpoint(block, y0, use_reentrant=use_reentrant).square().sum().backward()
    assert torch.allclose(grad(y0), plain[0], rtol=1e-12)
    assert torch.allclose(grad(f.net[2].weight), plain[1], rtol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_single_precision(solver: Callable) -> None:
    f, y0 = Net(torch.float32), state(dtype=torch.float32)
    t = torch.tensor(T, requires_grad=True)
    y = solver(f, y0, t)
    y.square().sum().backward()
    assert y.dtype == grad(y0).dtype == grad(t).dtype == grad(f.net[2].weight).dtype == torch.float32
    g, weight = Net(), state()
    solver(g, weight, T, **TIGHT).square().sum().backward()
    assert apart(grad(y0).double(), grad(weight)) < 1e-4
    assert apart(grad(f.net[2].weight).double(), grad(g.net[2].weight)) < 1e-4


@pytest.mark.parametrize("solver", SOLVERS)
def test_nothing_to_differentiate(solver: Callable) -> None:
    """A start, times and parameters without gradients give a result without one; under no_grad as well."""
    f = Net()
    y0 = state()
    with torch.no_grad():
        quiet = solver(f, y0, T)
    for p in f.parameters():
        p.requires_grad_(False)
    assert not quiet.requires_grad
    assert not solver(f, y0.detach(), T).requires_grad
    assert torch.equal(solver(f, y0.detach(), T), quiet)


@pytest.mark.parametrize("solver", SOLVERS)
def test_only_parameters_have_gradients(solver: Callable) -> None:
    f, y0 = Net(), state()
    with_start = torch.autograd.grad(solver(f, y0, T, **TIGHT).sum(), f.net[2].weight)[0]
    without = torch.autograd.grad(solver(f, y0.detach(), T, **TIGHT).sum(), f.net[2].weight)[0]
    assert torch.allclose(with_start, without, rtol=1e-12)


# --- tuples and complex states ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("t", [T, T[::-1]])
def test_a_tuple_has_the_gradients_of_its_parts_in_one(solver: Callable, t: tuple) -> None:
    f = Net()
    split = state(0.3, -0.7), state(1.1, 0.2, -0.4).detach()[:, None].requires_grad_()
    whole = torch.cat([split[0], split[1].flatten()]).detach().requires_grad_()

    def both(s: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return f(s, y[0]), y[1] * y[0].sum() - s

    def one(s: Tensor, y: Tensor) -> Tensor:
        position, rest = both(s, (y[:2], y[2:, None]))
        return torch.cat([position, rest.flatten()])

    params = () if solver is odeint else trained(f)
    settings: dict[str, Any] = TIGHT | ({} if solver is odeint else {"adjoint_params": params})
    times = [torch.tensor(t, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    ys = solver(both, split, times[0], **settings)
    assert isinstance(ys, tuple)
    assert [y.shape for y in ys] == [(3, 2), (3, 3, 1)]
    (ys[0].square().sum() + ys[1].sum()).backward()
    y = solver(one, whole, times[1], **settings)
    (y[:, :2].square().sum() + y[:, 2:].sum()).backward()
    assert torch.allclose(torch.cat([grad(split[0]), grad(split[1]).flatten()]), grad(whole), rtol=1e-7)
    assert torch.allclose(grad(times[0]), grad(times[1]), rtol=1e-7)


@pytest.mark.parametrize("solver", MEMORYLESS)
def test_a_part_of_the_tuple_that_the_loss_does_not_use(solver: Callable) -> None:
    a, b = state(), state(1.0)
    ys = solver(lambda t, y: (-y[0], y[1] * y[0].sum()), (a, b), T, adjoint_params=())
    ys[0].sum().backward()
    assert not grad(b).any()
    assert grad(a).abs().min() > 0


@pytest.mark.parametrize("solver", SOLVERS)
def test_complex_states_have_the_gradients_of_their_real_and_imaginary_parts(solver: Callable) -> None:
    """Here with a complex and a real parameter, and a field that is not holomorphic."""
    w, r = torch.tensor([0.3 + 1j, -0.5 + 0.4j], dtype=torch.complex128), torch.tensor(0.7, dtype=torch.float64)
    z = torch.tensor([0.3 + 0.2j, 0.7 - 1j], dtype=torch.complex128)

    def field(s: Tensor, y: Tensor, w: Tensor, r: Tensor) -> Tensor:
        return r * w * y + 0.3 * s * y.conj() + 0.1 * y * y

    def gradients_of(solver: Callable, as_real: bool) -> list[Tensor]:
        leaves = [torch.view_as_real(x) if as_real and x.is_complex() else x for x in (z, w, r, torch.tensor(T))]
        y0, omega, rate, t = leaves = [x.detach().clone().requires_grad_() for x in leaves]
        extra = {} if solver is odeint else {"adjoint_params": (omega, rate)}
        if as_real:
            complex_w = torch.view_as_complex
            y = solver(
                lambda s, y: torch.view_as_real(field(s, complex_w(y), complex_w(omega), rate)), y0, t, **TIGHT, **extra
            )
        else:
            y = torch.view_as_real(solver(lambda s, y: field(s, y, omega, rate), y0, t, **TIGHT, **extra))
        loss = (y[..., 0] * y[..., 1] + y[..., 1]).sum()
        found = torch.autograd.grad(loss, leaves)
        return [torch.view_as_real(g) if g.is_complex() else g for g in found]

    expected = gradients_of(odeint, True)
    for found, real in zip(gradients_of(solver, False), expected, strict=True):
        assert torch.allclose(found, real, rtol=1e-7, atol=1e-9)


# --- options ----------------------------------------------------------------------------------------------------------

OPTIONS: list[dict[str, Any]] = [
    {"options": {"max_step": 0.03}},
    {"options": {"min_step": 0.02}},
    {"options": {"first_step": 0.01}},
    {"options": {"controller": "PI"}},
    {"options": {"step_t": torch.tensor([0.3, 0.41])}},
    {"options": {"jump_t": [0.3]}},
    {"options": {"norm": lambda y: y.abs().max()}},
    {"method": "rk4", "options": {"step_size": 0.03}},
    {
        "method": "rk4_38",
        "options": {"grid_constructor": lambda f, y, t: torch.linspace(0, 1, 40).double() * (t[-1] - t[0]) + t[0]},
    },
]


@pytest.mark.parametrize("settings", OPTIONS, ids=lambda s: "-".join(s["options"]))
def test_every_option_goes_with_every_gradient(settings: dict[str, Any]) -> None:
    """Checkpoints give what backpropagation gives; the adjoint, which inherits the options, comes close."""
    times = {"t": (0.0, 0.4, 0.999)} if "method" in settings else {}
    f = Net()
    exact = gradients(odeint, f, **settings, **times)
    assert apart(gradients(odeint_checkpoint, f, **settings, **times), exact) < 1e-12
    assert apart(gradients(odeint_adjoint, f, **settings, **times), exact) < 1e-5


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("t", [(0.0, 0.25, 1.0), (1.0, 0.25, 0.0)])
def test_a_field_that_jumps(solver: Callable, t: tuple) -> None:
    """y' = c y with c = 2 before t = 1/2 and -1 after it: ln y is linear on either side."""

    def f(s: Tensor, y: Tensor) -> Tensor:
        return (2 * y if s < 0.5 else -y) * scale

    scale, y0 = torch.tensor(1.0, dtype=torch.float64, requires_grad=True), state(1.3)
    times = torch.tensor(t, dtype=torch.float64, requires_grad=True)
    extra = {} if solver is odeint else {"adjoint_params": (scale,)}
    options = {"options": {"jump_t": torch.tensor([0.5])}}
    end = solver(f, y0, times, **TIGHT, **options, **extra)[-1]
    dy, dt, dc = torch.autograd.grad(end.sum(), (y0, times, scale))
    growth = 0.5 if t[0] == 0 else -0.5  # 2 · 1/2 - 1 · 1/2
    slopes = (2.0, -1.0) if t[0] == 0 else (-1.0, 2.0)
    value = 1.3 * torch.e**growth
    assert float(dy) == pytest.approx(value / 1.3, rel=1e-8)
    assert float(dc) == pytest.approx(value * growth, rel=1e-8)
    assert dt.tolist() == pytest.approx([-slopes[0] * value, 0, slopes[1] * value], rel=1e-8, abs=1e-8)


# --- the norm of the adjoint ------------------------------------------------------------------------------------------


def test_a_norm_of_ones_own_sees_the_clock_the_state_its_adjoint_and_each_parameter() -> None:
    seen: dict[str, set[tuple]] = {"torch": set(), "tuple": set(), "numpy": set()}

    def norm(name: str) -> Callable:
        def largest(parts: Any) -> float:
            seen[name].add(tuple(tuple(part.shape) for part in parts))
            return max(float(abs(part).max()) for part in parts)

        return largest

    f, y0 = Net(), state()
    shapes = [tuple(p.shape) for p in trained(f)]
    full = torch.autograd.grad(odeint_adjoint(f, y0, T, **TIGHT)[-1].sum(), y0)[0]
    own = odeint_adjoint(f, y0, T, adjoint_options={"norm": norm("torch")}, **TIGHT)
    assert torch.allclose(torch.autograd.grad(own[-1].sum(), y0)[0], full, rtol=1e-7)
    assert seen["torch"] == {((), (2,), (2,), *shapes)}

    pair = odeint_adjoint(
        lambda t, y: (f(t, y[0]), y[1]),
        (y0, state(1.0)),
        T,
        adjoint_params=trained(f),
        adjoint_options={"norm": norm("tuple")},
    )
    pair[0].sum().backward()
    assert seen["tuple"] == {((), (2,), (1,), (2,), (1,), *shapes)}

    way, settings = Way("numpy", "odeint_adjoint"), {"rtol": 1e-9, "atol": 1e-9}
    plain = way.gradients(swirl, Y0, T, THETA, every_output, **settings)
    own = way.gradients(swirl, Y0, T, THETA, every_output, adjoint_options={"norm": norm("numpy")}, **settings)
    assert gap(own, plain) < 1e-6
    assert seen["numpy"] == {((), (3, 2), (3, 2), (2, 2), (2,), ())}


@pytest.mark.parametrize("twin", [numpy_ode, torch_ode])
def test_an_unknown_norm_is_refused(twin: Any) -> None:
    y0 = state() if twin is torch_ode else Y0
    with pytest.raises(ValueError, match='norm in adjoint_options must be "full", "seminorm" or a function'):
        twin.odeint_adjoint(lambda t, y: -y, y0, T, adjoint_params=(), adjoint_options={"norm": "semi"})
    settings = {"method": "rk4", "options": {"step_size": 0.1}, "adjoint_method": "dopri5"}
    with pytest.raises(ValueError, match="adjoint_options must be given when adjoint_method differs"):
        twin.odeint_adjoint(lambda t, y: -y, y0, T, adjoint_params=(), **settings)


@pytest.mark.parametrize("tol", [1e-3, 1e-5, 1e-7])
def test_the_seminorm_spares_a_third_of_the_backward_evaluations(tol: float, record_property) -> None:
    """Kidger, Chen & Lyons 2021: where the loss is a sum, the parameters' integral is large, and steers for nothing."""
    f = Spiral()
    y0 = torch.randn(20, 2, dtype=torch.float64)

    def solve(tol: float, norm: str) -> tuple[Tensor, int]:
        y = odeint_adjoint(f, y0, (0.0, 2.0), rtol=tol, atol=tol / 100, adjoint_options={"norm": norm})
        f.nfe = 0
        return torch.cat([g.reshape(-1) for g in torch.autograd.grad(y.sum(), trained(f))]), f.nfe

    exact, _ = solve(1e-10, "full")
    (full, most), (semi, fewer) = (solve(tol, norm) for norm in ("full", "seminorm"))
    errors = apart(full, exact), apart(semi, exact)
    line = f"tol {tol:.0e}: backward NFE {most} with the full norm, {fewer} with the seminorm; "
    record_property("measured", line + f"relative error {errors[0]:.0e}, {errors[1]:.0e}")
    assert fewer <= 0.75 * most
    assert errors[1] < max(3 * errors[0], tol)


# --- a program written for torchdiffeq --------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [T, T[::-1]])
@pytest.mark.parametrize("adjoint", [{}, {"adjoint_options": {"norm": "seminorm"}}, {"adjoint_rtol": 1e-9}])
def test_torchdiffeq_gives_the_same_gradients(t: tuple, adjoint: dict[str, Any]) -> None:
    torchdiffeq = pytest.importorskip("torchdiffeq")

    class Pair(Net):
        def forward(self, t: Tensor, y: Any) -> Any:
            return super().forward(t, y[0]), torch.sin(y[1]) * y[0].sum()

    f, found = Pair(), []
    for solver in (odeint_adjoint, torchdiffeq.odeint_adjoint):
        y0 = state(), state(1.0, 0.2, 0.5)
        times = torch.tensor(t, dtype=torch.float64, requires_grad=True)
        ys = solver(f, y0, times, rtol=1e-9, atol=1e-10, **adjoint)
        loss = ys[0].square().sum() + ys[1].sum()
        grads = torch.autograd.grad(loss, (*y0, times, *trained(f)), materialize_grads=True)
        found.append([*ys, *grads])
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-6, atol=1e-7)
