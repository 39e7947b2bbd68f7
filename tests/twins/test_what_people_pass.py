"""What public reports of such libraries were about: parameters, times and states as people pass them, func that is not
on the way back what it was on the way there, writes into y, f(y, t), interrupts, a Solution at the end of a cell."""

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from math import exp, pi
from typing import Any, NamedTuple

import autograd
import autograd.numpy
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from nodelib import numpy_ode, torch_ode
from nodelib.common import scipy_solvers
from nodelib.common.arguments import METHODS
from nodelib.common.solution import AnotherFunction, StepSizeUnderflow
from nodelib.torch_ode import odeint, odeint_adjoint, odeint_checkpoint
from tests.twins.both import NUMPY, OWN, SCIPY, TORCH, TWINS, Watched, options
from tests.twins.ways import KINDS

anp: Any = autograd.numpy
grad: Any = autograd.grad
each_twin = pytest.mark.parametrize("twin", TWINS, ids=str)
each_kind = pytest.mark.parametrize("kind", KINDS)
rebuilding = pytest.mark.parametrize("solver", [odeint_adjoint, odeint_checkpoint], ids=lambda f: f.__name__)
T = torch.tensor([0.0, 1.0], dtype=torch.float64)
Y0 = torch.tensor([0.3, 0.7], dtype=torch.float64)
W = torch.tensor([[0.0, 1.0], [-1.0, 0.2]], dtype=torch.float64)

# --- parameters -------------------------------------------------------------------------------------------------------


def weight_gradient(solver: Callable, pack: Callable[[Tensor, Tensor], Any]) -> tuple[Tensor, Tensor]:
    w, b = W.clone().requires_grad_(), torch.zeros(2, dtype=torch.float64, requires_grad=True)
    extra = {} if solver is odeint else {"adjoint_params": pack(w, b)}
    solver(lambda t, y: torch.tanh(y @ w + b), Y0, T, **extra)[-1].square().sum().backward()
    return w.grad, b.grad  # type: ignore[return-value]


class Pair(NamedTuple):
    w: Any
    b: Any


PACKS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "a tuple": lambda w, b: (w, b),
    "a generator": lambda w, b: (p for p in (w, b)),
    "a dictionary": lambda w, b: {"w": w, "b": b},
    "nested": lambda w, b: [{"layers": [(w,)]}, b],
    "a NamedTuple": Pair,
    "one twice": lambda w, b: (w, b, w),
    "with a frozen one": lambda w, b: (w, b, torch.ones(3)),
}


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
@rebuilding
def test_torch_parameters_in_every_packing(solver, pack):
    for found, right in zip(weight_gradient(solver, pack), weight_gradient(odeint, pack), strict=True):
        assert torch.allclose(found, right, rtol=1e-6)


@rebuilding
def test_torch_parameters_as_one_tensor_a_module_or_by_a_method(solver):
    w = W.clone().requires_grad_()
    solver(lambda t, y: torch.tanh(y @ w), Y0, T, adjoint_params=w).sum().backward()
    layer = nn.Linear(2, 2, bias=False).double()
    layer.load_state_dict({"weight": W.T})
    solver(lambda t, y: torch.tanh(layer(y)), Y0, T, adjoint_params=layer).sum().backward()
    assert torch.allclose(layer.weight.grad.T, w.grad)  # type: ignore[union-attr, arg-type]
    field = Field()
    solver(field.forward, Y0, T).sum().backward()
    assert torch.allclose(field.w.grad, w.grad)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [3.0, "w", np.ones(2), [torch.ones(2), None]], ids=repr)
@rebuilding
def test_torch_parameters_that_are_none(solver, given):
    with pytest.raises(TypeError, match="adjoint_params must be a tensor or a sequence or dictionary of tensors, got"):
        solver(lambda t, y: -y, Y0, T, adjoint_params=given)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex128])
@rebuilding
def test_torch_parameters_of_another_dtype_than_the_state(solver, dtype):
    """The gradient comes in the parameter's dtype, as torch itself gives it."""

    def gradient(solver: Callable) -> Tensor:
        w = W.clone().to(dtype).requires_grad_()
        extra = {} if solver is odeint else {"adjoint_params": w}
        y = solver(lambda t, y: torch.tanh((y.to(w.dtype) @ (w * (1 + 0.5 * w))).real.double()), Y0, T, **extra)
        y[-1].square().sum().backward()
        return w.grad  # type: ignore[return-value]

    found, right = gradient(solver), gradient(odeint)
    assert found.dtype is dtype
    assert torch.allclose(found, right, rtol=1e-5, atol=1e-6)


def test_sparse_parameters_and_states():
    def gradient(solver: Callable) -> Tensor:
        a = W.to_sparse().requires_grad_()
        extra = {} if solver is odeint else {"adjoint_params": (a,)}
        solver(lambda t, y: torch.sparse.mm(a, y), Y0[:, None], T, **extra)[-1].square().sum().backward()
        return a.grad.to_dense() * (W != 0)  # type: ignore[union-attr]

    assert torch.allclose(gradient(odeint_checkpoint), gradient(odeint))
    with pytest.raises(TypeError, match=r"adjoint_params\[0\] must be a dense tensor, got layout torch\.sparse_coo"):
        gradient(odeint_adjoint)
    with pytest.raises(TypeError, match=r"y0 must be a dense tensor, got layout torch\.sparse_coo: pass y0\.to_dense"):
        odeint(lambda t, y: -y, torch.eye(2).to_sparse(), T)
    with pytest.raises(TypeError, match=r"func must return dense tensors, got layout"):
        odeint(lambda t, y: torch.eye(2).to_sparse(), torch.eye(2), T)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_numpy_parameters_nested_at_will(kind):
    rng = np.random.default_rng(0)
    layers = [(0.5 * rng.normal(size=(2, 3)), np.zeros(3)), {"W": 0.5 * rng.normal(size=(3, 2)), "scales": [1.0, 2.0]}]

    def f(t, y, layers, rate):
        (w, b), last = layers
        return rate * anp.tanh(anp.tanh(y @ w + b) @ last["W"] * last["scales"][1])

    def value(solver, layers, rate):
        extra = {} if solver is numpy_ode.odeint else {"adjoint_params": (layers, rate)}
        g = f if extra else lambda t, y: f(t, y, layers, rate)
        return anp.sum(solver(g, np.array([1.0, 0.0]), [0.0, 1.0], **extra)[-1])

    solvers = (getattr(numpy_ode, kind), numpy_ode.odeint)
    found, right = (grad(lambda both, by=by: value(by, *both))((layers, 0.7)) for by in solvers)
    flat = [autograd.misc.flatten(x)[0] for x in (found, right)]  # type: ignore[attr-defined]
    assert np.allclose(*flat, rtol=1e-6)


@pytest.mark.parametrize("given", ["w", {"w": "x"}, [[None]]], ids=repr)
def test_numpy_parameters_that_are_no_numbers(given):
    with pytest.raises(
        TypeError, match=r"adjoint_params\[0\] must be an array, or a list, tuple or dictionary of arrays"
    ):
        numpy_ode.odeint_adjoint(lambda t, y, *p: -y, np.ones(1), [0.0, 1.0], adjoint_params=given)


# --- times ------------------------------------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_times_put_together_from_numbers_and_traced_ones(kind, method):
    right = -exp(-1) if method == "dopri5" else pytest.approx(-exp(-1), abs=1e-2)
    extra = {} if kind == "odeint" else {"adjoint_params": ()}
    settings = {"method": method, "options": options(method, 0.1), **extra}
    end = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    start = torch.ones(1, dtype=torch.float64, requires_grad=True)
    getattr(torch_ode, kind)(lambda t, y: -y, start, [0.0, end], **settings)[-1].sum().backward()
    assert float(end.grad) == pytest.approx(right, abs=1e-6)  # type: ignore[arg-type]
    solver = getattr(numpy_ode, kind)
    found = grad(lambda s: solver(lambda t, y: -y, anp.ones(1), [0.0, s], **settings)[-1][0])(1.0)
    assert found == pytest.approx(right, abs=1e-6)


FORMS: dict[str, Any] = {
    "integers": [0, 1, 2],
    "a range": range(3),
    "a generator": lambda: (x for x in (0, 1, 2)),
    "backwards in memory": np.array([2.0, 1.0, 0.0])[::-1],
    "big-endian": np.array([0.0, 1.0, 2.0], ">f8"),
    "single precision": np.array([0, 1, 2], "f4"),
    "an integer tensor": torch.tensor([0, 1, 2]),
    "0-d tensors": [torch.tensor(0.0), torch.tensor(1.0), 2],
}


@pytest.mark.parametrize("form", FORMS, ids=str)
@each_twin
def test_times_in_every_form(twin, form):
    given = FORMS[form]() if callable(FORMS[form]) else FORMS[form]
    if twin is NUMPY and isinstance(given, Tensor):
        given = given.tolist()
    sol = twin.solve(lambda t, y: -y, twin.array([1.0]), given, dense=True)
    assert twin.numpy(sol.y)[:, 0] == pytest.approx(np.exp([0, -1, -2]), rel=1e-5)
    assert twin.numpy(sol(0.5))[0] == pytest.approx(exp(-0.5), rel=1e-5)


@pytest.mark.parametrize("given", [["a", "b"], [0j, 1j], {"t": 1}, [0, None], True], ids=repr)
@each_twin
def test_times_that_are_no_times(twin, given):
    with pytest.raises((TypeError, ValueError), match=r"^t must be"):
        twin.solve(lambda t, y: -y, twin.array([1.0]), given)


@each_twin
@pytest.mark.parametrize("method", ["dopri5", "rk4", "implicit_adams", "scipy:LSODA"])
def test_at_a_single_time_there_is_y0_alone(twin, method):
    sol = twin.solve(lambda t, y: -y, twin.array([1.0, 2.0]), [3.0], method=method)
    assert twin.numpy(sol.y).tolist() == [[1.0, 2.0]]
    assert sol.stats.accepted == len(sol.steps) == 0


@each_kind
def test_the_gradient_at_a_single_time(kind):
    y0, f = Y0.clone().requires_grad_(), Field()
    getattr(torch_ode, kind)(f, y0, [3.0])[-1].square().sum().backward()
    assert torch.equal(y0.grad, 2 * Y0)  # type: ignore[arg-type]
    solver, extra = getattr(numpy_ode, kind), {} if kind == "odeint" else {"adjoint_params": ()}
    found = grad(lambda y: anp.sum(solver(lambda t, y: -y, y, [3.0], **extra)[-1] ** 2))(Y0.numpy())
    assert np.allclose(found, 2 * Y0.numpy())


def test_times_that_single_precision_cannot_tell_apart():
    def end(t0: float, dtype: torch.dtype = torch.float32) -> float:
        t = torch.tensor([t0, t0 + pi / 2], dtype=torch.float64)
        return float(odeint(lambda t, y: torch.cos(t - t0) + 0 * y, torch.zeros(1, dtype=dtype), t)[-1])

    with pytest.raises(ValueError, match=r"t\[0\] = 1700000000 and t\[1\] = 1700000002 are one time in torch.float32"):
        end(1.7e9)
    with pytest.warns(UserWarning, match=r"t moves in jumps of 1\.2 in torch\.float32"):
        end(1e7)
    assert end(1e5) == pytest.approx(1, abs=2e-3)
    assert end(1.7e9, torch.float64) == pytest.approx(1, abs=1e-5)


# --- states -----------------------------------------------------------------------------------------------------------


class State(NamedTuple):
    q: Tensor
    p: Tensor


@pytest.mark.parametrize("method", ["dopri5", "rk4", "implicit_adams", "scipy:RK45"])
@each_kind
def test_a_namedtuple_stays_one_at_every_evaluation(kind, method):
    if kind == "odeint_checkpoint" and method.startswith("scipy"):
        pytest.skip("its steps cannot be taken again")
    extra = {} if kind == "odeint" else {"adjoint_params": ()}
    y0 = State(*(torch.tensor([x], dtype=torch.float64, requires_grad=method[0] != "s") for x in (1.0, 0.0)))
    y = getattr(torch_ode, kind)(
        lambda t, s: State(s.p, -s.q), y0, [0.0, 1.0], method=method,
        options=options(method, 0.01) if method[0] != "s" else None, **extra,
    )  # fmt: skip
    assert isinstance(y, State)
    assert float(y.q[-1].detach()) == pytest.approx(np.cos(1), abs=1e-2)
    if y.q.requires_grad:
        y.q[-1].sum().backward()
        assert float(y0.q.grad) == pytest.approx(np.cos(1), abs=1e-2)  # type: ignore[arg-type]


def test_a_dictionary_is_no_state():
    with pytest.raises(TypeError, match=r"y0 must be a tensor or a tuple of tensors, got dict: pass tuple\(y0\.values"):
        odeint(lambda t, y: y, {"q": torch.ones(1)}, T)


# --- the way back -----------------------------------------------------------------------------------------------------


class Field(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.scale = nn.Parameter(W.clone()), 1.0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.scale * torch.tanh(y @ self.w)


def swap_the_weight(f: Field) -> None:
    f.w = nn.Parameter(2 * W)


def swap_the_weight_for_an_equal_one(f: Field) -> None:
    f.w = nn.Parameter(W.clone())


def change_an_attribute(f: Field) -> None:
    f.scale = 1.001


@pytest.mark.parametrize("method", ["dopri5", "rk4", "heun_euler", "implicit_adams", "scipy:RK45"])
@pytest.mark.parametrize("change", [swap_the_weight, swap_the_weight_for_an_equal_one, change_an_attribute])
@rebuilding
def test_another_func_on_the_way_back_is_refused(solver, change, method):
    if solver is odeint_checkpoint and method.startswith("scipy"):
        pytest.skip("its steps cannot be taken again")
    f = Field()
    y = solver(f, Y0, T, method=method, rtol=1e-3, atol=1e-3)
    change(f)
    with pytest.raises(AnotherFunction, match="func is another function on the way back than it was on the way there"):
        y[-1].sum().backward()


@rebuilding
def test_weights_that_are_there_during_the_call_alone(solver):
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.field = Field()

        def forward(self, y: Tensor) -> Tensor:
            return solver(self.field, y, T)[-1]

    w = W.clone().requires_grad_()
    loss = functional_call(Block(), {"field.w": w}, (Y0,)).sum()
    with pytest.raises(AnotherFunction, match=r"depends no more on parameters that it depended on, of shape \(2, 2\)"):
        loss.backward()


@rebuilding
def test_weights_changed_in_place_are_torchs_own_error(solver):
    f = Field()
    y = solver(f, Y0, T)
    with torch.no_grad():
        f.w.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("kind", KINDS[1:])
def test_another_func_on_the_way_back_in_numpy(kind):
    scale = [1.0]

    def value(w):
        y = getattr(numpy_ode, kind)(
            lambda t, y, w: scale[0] * anp.tanh(y @ w), Y0.numpy(), [0.0, 1.0], adjoint_params=w
        )
        scale[0] = 1.001
        return anp.sum(y)

    with pytest.raises(AnotherFunction, match="another function on the way back"):
        grad(value)(W.numpy())


@pytest.mark.parametrize("method", ["dopri5", "rk4", "euler", "heun_euler", "adams_bashforth", "scipy:LSODA"])
@rebuilding
def test_a_change_that_the_first_slope_does_not_show(solver, method):
    """f(0, y) = 0 whatever k is."""
    if solver is odeint_checkpoint and method.startswith("scipy"):
        pytest.skip("its steps cannot be taken again")
    k, w = [1.0], torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    settings = {
        "method": method,
        "rtol": 1e-3,
        "atol": 1e-3,
        "options": options(method, 0.25) if method in OWN else None,
    }
    y = solver(lambda t, y: -w * k[0] * t * y, Y0, T, adjoint_params=w, **settings)
    k[0] = 3.0
    with pytest.raises(AnotherFunction):
        y[-1].sum().backward()


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_change_that_the_first_slope_does_not_show_in_numpy(kind):
    k = [1.0]

    def value(w):
        y = getattr(numpy_ode, kind)(lambda t, y, w: -w * k[0] * t * y, np.ones(1), [0.0, 1.0], adjoint_params=w)
        k[0] = 3.0
        return anp.sum(y)

    with pytest.raises(AnotherFunction):
        grad(value)(0.5)


@rebuilding
def test_a_change_of_a_small_part_beside_a_large_one(solver):
    k, w = [1.0], torch.tensor(1.0, requires_grad=True)
    y0 = (1e4 * torch.ones(3), torch.ones(3))
    y = solver(lambda t, y: (-y[0], -w * k[0] * y[1]), y0, [0.0, 1.0], adjoint_params=w)
    k[0] = 3.0
    with pytest.raises(AnotherFunction):
        y[1][-1].sum().backward()


@pytest.mark.parametrize("method", ["dopri5", "rk4", "implicit_adams"])
@each_twin
def test_a_func_that_meets_its_parameter_later(twin, method):
    """The first evaluation needs no gradient; the solve begins again once one does."""
    settings = {"method": method, "options": options(method, 0.1)}
    f = lambda c: lambda t, y: -y if t < 0.5 else -c * y  # noqa: E731
    if twin is NUMPY:
        found = grad(lambda c: anp.sum(numpy_ode.odeint(f(c), np.ones(2), [0.0, 1.0], **settings)[-1]))(0.7)
    else:
        c = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        odeint(f(c), torch.ones(2, dtype=torch.float64), [0.0, 1.0], **settings)[-1].sum().backward()
        found = float(c.grad)  # type: ignore[arg-type]
    assert found == pytest.approx(-exp(-0.85), rel=0.2)  # -2 · ½ e^(-½ - 0.35), but for the jump's own error


@rebuilding
def test_a_stranger_that_only_the_way_back_meets_is_warned_of(solver):
    a, c = (torch.tensor(1.0, dtype=torch.float64, requires_grad=True) for _ in range(2))
    y = solver(lambda t, y: -a * y if t < 0.5 else -c * y, Y0, T, adjoint_params=a)
    with pytest.warns(UserWarning, match="not among the parameters"):
        y.sum().backward()


@pytest.mark.parametrize("method", OWN)
@rebuilding
def test_a_func_in_pieces_is_the_same_on_the_way_back(solver, method):
    """One weight counts before t = 1/2, the other after: no false alarm, even where a method never looks there."""
    early, late = (torch.tensor(1.0, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def f(t: Tensor, y: Tensor) -> Tensor:
        return -(early if float(t) < 0.5 else late) * y

    y = solver(f, Y0, [0.0, 0.5, 1.0], method=method, rtol=1e-3, atol=1e-4, adjoint_params=(early, late))
    y[-1].sum().backward()
    assert late.grad


@pytest.mark.parametrize("twin", ["numpy", "torch"])
def test_an_error_of_the_way_back_says_so_and_names_the_remedies(twin):
    """y' = 5k (cos t - y - y³) is easy forwards and explodes backwards."""
    k = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    start, t = torch.tensor([2.0], dtype=torch.float64), [0.0, 4.0]

    def by_numpy() -> None:
        f = lambda t, y, k: 5 * k * (anp.cos(t) - y - y**3)  # noqa: E731
        grad(lambda k: numpy_ode.odeint_adjoint(f, start.numpy(), t, adjoint_params=(k,))[-1][0])(1.0)

    def by_torch() -> None:
        f = lambda t, y: 5 * k * (torch.cos(t) - y - y**3)  # noqa: E731
        odeint_adjoint(f, start, t, adjoint_params=k)[-1].sum().backward()

    words = r"on the way back .*from t = 4 to 0\): underflow in the step size.*Use odeint_checkpoint or odeint"
    with np.errstate(all="ignore"), pytest.raises(StepSizeUnderflow, match=words):
        by_numpy() if twin == "numpy" else by_torch()


# --- dense output -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["dopri5", "rk4", "implicit_adams", "scipy:RK45", "scipy:Radau"])
@pytest.mark.parametrize("sign", [1, -1])
@each_twin
def test_dense_output_at_many_times_in_any_order(twin, sign, method):
    sol = twin.solve(
        lambda t, y: -sign * y, twin.array([[1.0, 2.0]]), [0.0, sign * 1.0], method=method, dense=True,
        options=options(method, 0.01) if method[0] != "s" else None, rtol=1e-6, atol=1e-6,
    )  # fmt: skip
    s = sign * np.array([0.7, 0.0, 1.0, 0.2, 0.2])
    for times in (s, s.tolist(), torch.tensor(s)):
        y = twin.numpy(sol(times))
        assert y.shape == (5, 1, 2)
        assert np.allclose(y, np.exp(-abs(s))[:, None, None] * [1, 2], atol=1e-4)
    assert twin.numpy(sol(s[0])).shape == (1, 2)
    assert np.array_equal(twin.numpy(sol(s))[0], twin.numpy(sol(s[0])))
    with pytest.raises(ValueError, match="s is empty"):
        sol([])
    with pytest.raises(ValueError, match=r"s = 1\.5 lies outside the solved interval"):
        sol([0.5 * sign, 1.5])
    with pytest.raises(ValueError, match=r"s must be one time or a flat sequence of times, got shape \(1, 2\)"):
        sol([[0.1, 0.2]])


# --- f(y, t) ----------------------------------------------------------------------------------------------------------


class Scipys(nn.Module):
    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        return -y


def scipys(y, t):
    return -1.0 * y


@each_twin
def test_scipys_old_order_is_known_by_its_names(twin):
    for y0 in (twin.array(1.0), twin.array([1.0, 2.0])):
        for f in (scipys, lambda u, t: -u, lambda x, time: -x, Scipys(), Scipys().forward):
            with pytest.raises(
                TypeError, match=r"func must take \(t, y\), in this order.*pass lambda t, y: func\(y, t\)"
            ):
                twin.odeint(f, y0, [0.0, 1.0])


@each_twin
def test_other_names_are_no_reason(twin):
    for f in (lambda s, y: -y, lambda _, x: -x, lambda *args: -args[1], lambda a, b: -b, lambda t, t_: -t_):
        twin.odeint(f, twin.array([1.0]), [0.0, 1.0])


# --- writes into y ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", OWN + SCIPY)
@each_twin
def test_a_write_into_y_is_caught_at_every_evaluation(twin, method):
    """It happens where y is negative alone, long after the first evaluation."""

    def numpy_field(t, y):
        np.clip(y, 0, None, out=y) if (y < 0).any() else None
        return -1.0 - 0 * y

    def torch_field(t, y):
        y[y < 0] = 0.0 if bool((y < 0).any()) else y[y < 0]
        return -1.0 - 0 * y

    field = numpy_field if twin is NUMPY else lambda t, y: torch_field(t, y) if bool((y < 0).any()) else -1.0 - 0 * y
    with pytest.raises(ValueError, match="func changes y in place: return a new"):
        twin.odeint(field, twin.array([0.5]), [0.0, 1.0, 2.0], method=method, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", [m for m in OWN if m != "euler"])
def test_a_write_by_way_of_numpy_does_no_harm(method):
    """torch does not see it; the steps go on from states that func was not given."""

    def field(t: Tensor, y: Tensor) -> Tensor:
        x = y.detach().numpy()
        slope = torch.from_numpy(-x.copy())
        if float(t) > 0:  # the first evaluation is looked at in full
            x *= -1
        return slope

    settings = {"method": method, "options": options(method, 0.1)}
    y = odeint(field, torch.ones(1, dtype=torch.float64), T, **settings)
    assert torch.equal(y, odeint(lambda t, y: -y, torch.ones(1, dtype=torch.float64), T, **settings))


def test_y0_stays_writeable():
    y0 = np.array([0.5])
    numpy_ode.odeint(lambda t, y: -y, y0, [0.0, 1.0])
    y0[0] = 1.0
    sol = numpy_ode.solve(lambda t, y: -y, y0, [0.0, 1.0])
    sol.y[-1] = 0


# --- manners ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
@pytest.mark.parametrize("method", ["dopri5", "rk4", "scipy:RK45", "scipy:Radau", "scipy:LSODA", "scipy:VODE"])
@each_twin
def test_an_interrupt_stops_every_method_at_once(twin, method):
    calls = []

    def field(t, y):
        calls.append(t)
        if len(calls) == 20:
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()
        if len(calls) >= 20:
            time.sleep(0.01)
        return twin.xp.stack([y[1], -y[0]])

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            twin.odeint(
                field,
                twin.array([1.0, 0.0]),
                [0.0, 600.0],
                method=method,
                options=options(method, 0.01) if method == "rk4" else None,
            )
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(calls) < 60


@each_twin
def test_vode_is_given_no_error_of_func_again_and_again(twin, monkeypatch):
    """It calls on after an error, thousands of times, and each time raised, the error would grow."""
    calls, passed_on, watched = [], [], scipy_solvers.Watched.__call__

    def field(t, y):
        calls.append(t)
        if len(calls) == 20:
            raise LookupError("no data")
        return twin.xp.stack([y[1], -y[0]])

    monkeypatch.setattr(scipy_solvers.Watched, "__call__", lambda *args: passed_on.append(1) or watched(*args))
    with pytest.raises(LookupError, match="no data"):
        twin.odeint(field, twin.array([1.0, 0.0]), [0.0, 600.0], method="scipy:VODE")
    assert len(passed_on) <= len(calls) == 20


@each_twin
def test_a_solution_at_the_end_of_a_cell_is_a_line(twin):
    sol = twin.solve(lambda t, y: twin.xp.stack([y[1], -y[0]]), twin.array([2.0, 0.0]), np.linspace(0, 99, 400))
    assert len(repr(sol)) < 200
    assert "400 times from 0 to 99" in repr(sol)


def here() -> str:
    return __file__


@pytest.mark.parametrize("solver", [odeint, odeint_adjoint, odeint_checkpoint], ids=lambda f: f.__name__)
def test_a_warning_points_at_the_line_that_called(solver):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        solver(
            Field(), Y0, T, rtol=1e-17, atol=1e-17, options={"max_num_steps": 100_000}, method="dopri8"
        ) if False else None
        solver(Field(), Y0, torch.tensor([0.0, 1e-3]), rtol=1e-16, atol=1e-16)
    assert [w.filename for w in said] == [here()]


# --- the ends of t, and beyond ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [m for m in METHODS if not m.startswith("scipy")])
@each_twin
def test_f_is_evaluated_between_the_ends_of_t_alone(twin, method):
    rng = np.random.default_rng(3)
    for _ in range(40):
        t0, t1 = rng.normal(size=2) * 10.0 ** rng.integers(-3, 4)
        f = Watched(lambda t, y: 1 + 0 * y)
        twin.odeint(f, twin.array([1.0]), [t0, t1], method=method, rtol=1e-2, atol=1e-2)
        assert min(t0, t1) <= min(f.times)
        assert max(f.times) <= max(t0, t1)


@pytest.mark.parametrize("size", [1e150, 1e200, 1e290])
@each_twin
def test_a_very_large_f(twin, size):
    y = twin.odeint(lambda t, y: size * (1 + 0 * y), twin.array([1.0, 2.0]), [0.0, 1e-3])
    assert twin.numpy(y)[-1] == pytest.approx(size * 1e-3)


@each_twin
def test_a_step_size_that_t_cannot_resolve(twin):
    with pytest.raises(ValueError, match=r"option 'step_size' = 1e-10 is lost in the rounding of t"):
        twin.odeint(lambda t, y: -y, twin.array([1.0]), [1e7, 1e7 + 1], method="rk4", options={"step_size": 1e-10})


def test_the_shortest_step_of_lsoda():
    for twin in TWINS:
        twin.odeint(lambda t, y: -y, twin.array([1.0]), [0, 1], method="scipy:LSODA", options={"min_step": 1e-6})
        with pytest.raises(ValueError, match="option 'min_step' does not apply to scipy:RK45"):
            twin.odeint(lambda t, y: -y, twin.array([1.0]), [0, 1], method="scipy:RK45", options={"min_step": 1e-6})


def test_scipys_methods_say_where_no_gradient_is_wanted():
    with pytest.raises(TypeError, match=r"cannot be differentiated: use odeint_adjoint.*under torch\.no_grad"):
        TORCH.odeint(Field(), Y0, T, method="scipy:LSODA")


def test_steps_that_single_precision_cannot_tell_apart():
    t = torch.tensor([1e6, 1e6 + 100.25], dtype=torch.float64)
    with pytest.warns(UserWarning, match=r"too coarse for a span of 100 in steps of 0\.01"):
        odeint(lambda t, y: torch.cos(t) + 0 * y, torch.zeros(1), t, method="rk4", options={"step_size": 0.01})


@each_twin
def test_dense_output_at_ends_in_single_precision(twin):
    sol = twin.solve(lambda t, y: -y, twin.array([1.0]), [0.0, 0.1], dense=True)
    for s in (np.float32(0.1), torch.linspace(0, 0.1, 3), np.linspace(0, 0.1, 3, dtype="f4")):
        assert twin.numpy(sol(s)).ravel()[-1] == pytest.approx(exp(-0.1), rel=1e-6)
    with pytest.raises(ValueError, match="lies outside"):
        sol(0.1 + 1e-9)


@rebuilding
def test_an_empty_parameter(solver):
    w, none = W.clone().requires_grad_(), torch.zeros(0, dtype=torch.float64, requires_grad=True)
    solver(lambda t, y: torch.tanh(y @ w) + none.sum(), Y0, T, adjoint_params=(w, none)).sum().backward()
    assert w.grad is not None


@rebuilding
def test_a_weight_that_is_made_once_outside_of_func(solver):
    """Its graph serves every evaluation."""
    a = W.clone().requires_grad_()
    w = 2 * a
    solver(lambda t, y: torch.tanh(y @ w), Y0, T, adjoint_params=w).sum().backward()
    found, a.grad = a.grad, None
    v = 2 * a
    odeint(lambda t, y: torch.tanh(y @ v), Y0, T).sum().backward()
    assert torch.allclose(found, a.grad, rtol=1e-5)  # type: ignore[arg-type]
