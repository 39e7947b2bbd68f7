"""A gradient that would be missing or wrong is said so, by a warning or an error; what is right says nothing.

Every warning is an error in this test suite, so that the calls outside ``pytest.warns`` are the good cases.
"""

from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nodelib import numpy_ode, torch_ode
from nodelib.torch_ode import odeint, odeint_adjoint, odeint_checkpoint

anp: Any = autograd.numpy  # autograd has no stubs
grad: Any = autograd.grad
hessian: Any = autograd.hessian

SOLVERS = [odeint, odeint_adjoint, odeint_checkpoint]
MEMORYLESS = [odeint_adjoint, odeint_checkpoint]
NUMPY = [numpy_ode.odeint_adjoint, numpy_ode.odeint_checkpoint]
T = [0.0, 0.5, 1.0]
Y0 = np.array([0.3, 0.7])


def state() -> Tensor:
    return torch.tensor(Y0, requires_grad=True)


def number(value: float = 1.2) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


class Field(nn.Module):
    """A linear layer followed by ``after`` of (y, what the layer returns)."""

    def __init__(self, after: Callable[[Tensor, Tensor], Tensor] = lambda y, f: f, *more: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(2, 2), *more).double()
        self.after = after

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.after(y, self.layers(y))


# --- tensors that the adjoint does not reach --------------------------------------------------------------------------


@pytest.mark.parametrize("solver", MEMORYLESS)
@pytest.mark.parametrize("made", ["leaf", "computed"])
def test_a_tensor_in_funcs_closure_is_not_among_the_parameters(solver: Callable, made: str) -> None:
    raw, known, y0 = number(), number(0.3), state()
    hidden = raw if made == "leaf" else raw.exp().reshape(1)

    def f(t: Tensor, y: Tensor) -> Tensor:
        return known * torch.sin(hidden * y)

    with pytest.warns(
        UserWarning, match=r"shape \(\) that requires a gradient but is not among the parameters.*Pass it"
    ):
        y = solver(f, y0, T, adjoint_params=(known,))
    y.sum().backward()
    lacking = [x.grad for x in (known, y0)]
    assert raw.grad is None
    known.grad = y0.grad = None
    solver(f, y0, T, adjoint_params=(known, hidden)).sum().backward()  # the good case
    assert raw.grad is not None
    for found, x in zip(lacking, (known, y0), strict=True):  # the others were right all along
        torch.testing.assert_close(found, x.grad, rtol=1e-6, atol=0)


@pytest.mark.parametrize("solver", MEMORYLESS)
def test_the_start_in_funcs_closure_counts_as_such_a_tensor(solver: Callable) -> None:
    y0 = state()
    with pytest.warns(UserWarning, match="not among the parameters"):
        solver(lambda t, y: y - y0, y0, T, adjoint_params=())
    solver(lambda t, y: y - y0.detach(), y0, T, adjoint_params=())


@pytest.mark.parametrize("solver", NUMPY)
def test_an_array_that_autograd_traces_must_be_among_the_parameters(solver: Callable) -> None:
    """Its box would belong to a trace that has ended when the adjoint evaluates func on the way back."""

    def hidden(theta: float) -> Any:
        return anp.sum(solver(lambda t, y: theta * anp.sin(y), Y0, T))

    def given(theta: float) -> Any:
        return anp.sum(solver(lambda t, y, theta: theta * anp.sin(y), Y0, T, adjoint_params=theta))

    with pytest.raises(ValueError, match="not among adjoint_params, so that its gradient would be missing: pass it"):
        grad(hidden)(1.2)
    direct = grad(lambda theta: anp.sum(numpy_ode.odeint(lambda t, y: theta * anp.sin(y), Y0, T)))(1.2)
    assert grad(given)(1.2) == pytest.approx(direct, rel=1e-6)
    assert hidden(1.2) == pytest.approx(given(1.2), rel=1e-12)  # without autograd nothing can be missing


# --- fields that are cut off from their parameters --------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("cut", ["no_grad", "detach", "item"])
def test_a_field_that_cuts_its_own_graph(solver: Callable, cut: str) -> None:
    def without_grad(y: Tensor, f: Tensor) -> Tensor:
        with torch.no_grad():
            return f * 1

    cuts = {
        "no_grad": without_grad,
        "detach": lambda y, f: f.detach(),
        "item": lambda y, f: torch.tensor([x.item() for x in f], dtype=torch.float64),
    }
    with pytest.warns(UserWarning, match=r"is there a .*no_grad\(\).*detach\(\).* in it"):
        solver(Field(cuts[cut]), state(), T)
    solver(Field(), state(), T).sum().backward()


@pytest.mark.parametrize("solver", MEMORYLESS)
def test_a_field_whose_parameters_alone_are_cut_off(solver: Callable) -> None:
    """What it returns has a gradient, by way of y; that of the layer is lost all the same."""
    with pytest.warns(UserWarning, match=r"does not depend on its parameters: is there a torch\.no_grad\(\)"):
        solver(Field(lambda y, f: y * f.detach()), state(), T)
    solver(Field(lambda y, f: y * f), state(), T)


@pytest.mark.parametrize("solver", SOLVERS)
def test_evaluating_without_gradients_says_nothing(solver: Callable) -> None:
    with torch.no_grad():
        solver(Field(), state(), T)
        solver(Field(lambda y, f: f.detach()), state(), T) if solver is odeint else None
    frozen = Field().requires_grad_(False)
    solver(frozen, state(), T).sum().backward()


# --- layers that make func another function each time -----------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_batch_normalisation_in_training_mode(solver: Callable) -> None:
    f, y0 = Field(lambda y, f: f, nn.BatchNorm1d(2)), torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    with pytest.warns(UserWarning, match=r"BatchNorm in training mode \(layers\.1\).*Use GroupNorm, or func\.eval\(\)"):
        solver(f, y0, T)
    solver(f.eval(), y0, T).sum().backward()
    solver(Field(lambda y, f: f, nn.GroupNorm(1, 2)), y0, T).sum().backward()
    solver(Field(lambda y, f: f, nn.BatchNorm1d(2, track_running_stats=False)), y0, T).sum().backward()


@pytest.mark.parametrize("solver", SOLVERS)
def test_dropout_that_is_active(solver: Callable) -> None:
    f, y0 = Field(lambda y, f: f, nn.Dropout(0.1)), state()
    settings: dict[str, Any] = {"method": "rk4", "options": {"step_size": 0.25}}
    with pytest.warns(UserWarning, match=r"active Dropout \(layers\.1\).*Use func\.eval\(\)"):
        solver(f, y0, T, **settings)
    solver(f.eval(), y0, T, **settings).sum().backward()
    solver(Field(lambda y, f: f, nn.Dropout(0.0)), y0, T, **settings).sum().backward()


# --- tolerances and scales --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_tolerances_below_what_single_precision_holds(solver: Callable) -> None:
    f, y0 = Field().float(), state().detach().float().requires_grad_()
    with pytest.warns(UserWarning, match=r"lie below what torch\.float32 can resolve"):
        solver(f, y0, T, rtol=1e-7, atol=1e-9)
    with pytest.warns(UserWarning, match="below what float32 can resolve"):
        numpy_ode.odeint(lambda t, y: -y, Y0.astype("float32"), T, rtol=1e-7, atol=1e-9)
    solver(f, y0, T).sum().backward()


def test_a_tolerance_below_single_precision_on_the_way_back_alone() -> None:
    f, y0 = Field().float(), state().detach().float().requires_grad_()
    y = odeint_adjoint(f, y0, T, adjoint_rtol=1e-9, adjoint_atol=1e-9)
    with pytest.warns(UserWarning, match=r"lie below what torch\.float32 can resolve"):
        y.sum().backward()


def torch_gradient(unit: float, **settings: Any) -> np.ndarray:
    y0 = state()
    y = odeint_adjoint(lambda t, y: torch.sin(y), y0, T, adjoint_params=(), **settings)
    return torch.autograd.grad(unit * y.sum(), y0)[0].numpy()


def numpy_gradient(unit: float, **settings: Any) -> Any:
    def loss(y0: Any) -> Any:
        return unit * anp.sum(numpy_ode.odeint_adjoint(lambda t, y: anp.sin(y), y0, T, **settings))

    return grad(loss)(Y0)


@pytest.mark.parametrize("gradient", [torch_gradient, numpy_gradient])
def test_a_loss_so_small_that_the_tolerance_hides_its_gradient(gradient: Callable) -> None:
    settings = {"rtol": 1e-3, "atol": 1e-6}
    with pytest.warns(UserWarning, match=r"dL/dy has RMS 1e-08, below adjoint_atol = 1e-06.*Scale the loss up"):
        gradient(1e-8, **settings)
    with pytest.warns(UserWarning, match="below adjoint_atol = 1e-09"):  # the default in double precision
        gradient(1e-10)
    gradient(1e-8, **settings, adjoint_atol=1e-12)
    gradient(0.0, **settings)  # the loss does not look at the solution: nothing is lost
    assert gradient(1.0, **settings) == pytest.approx(gradient(1.0, rtol=1e-9, atol=1e-9), rel=1e-2)


@pytest.mark.parametrize("gradient", [torch_gradient, numpy_gradient])
@pytest.mark.parametrize("unit", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite(gradient: Callable, unit: float) -> None:
    with pytest.raises(ValueError, match="dL/dy contains nan or inf: check the loss"):
        gradient(unit)


# --- what these gradients are not for ---------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", MEMORYLESS)
def test_second_derivatives_are_refused_in_torch(solver: Callable) -> None:
    """torch's own guard lets them pass when dL/dy itself has no gradient: they would come out as missing terms."""
    y0 = state()
    y = solver(lambda t, y: torch.sin(y), y0, T, adjoint_params=())
    with pytest.raises(RuntimeError, match=r"give first derivatives: for second ones .* differentiate odeint"):
        torch.autograd.grad(y.sum(), y0, create_graph=True)
    direct = odeint(lambda t, y: torch.sin(y), y0, T)
    (slope,) = torch.autograd.grad(direct.sum(), y0, create_graph=True)
    assert torch.autograd.grad(slope.sum(), y0)[0].abs().min() > 0.1


@pytest.mark.parametrize("solver", NUMPY)
def test_second_derivatives_are_refused_in_numpy(solver: Callable) -> None:
    def loss(solver: Callable) -> Callable:
        return lambda y0: anp.sum(solver(lambda t, y: anp.sin(y), y0, T))

    with pytest.raises(TypeError, match="give first derivatives: for second ones differentiate odeint"):
        hessian(loss(solver))(Y0)
    assert np.abs(np.diag(hessian(loss(numpy_ode.odeint))(Y0))).min() > 0.1


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_start_or_a_parameter_changed_in_place_before_the_way_back(solver: Callable) -> None:
    """torch sees it and refuses; the adjoint, which starts from the solution, needs no start any more."""
    w, leaf = number(), state()
    y0 = leaf * 1
    extra = {} if solver is odeint else {"adjoint_params": (w,)}
    y = solver(lambda t, y: torch.sin(w * y), y0, T, **extra)
    right = torch.autograd.grad(y.sum(), leaf, retain_graph=True)[0]
    y0.data.add_(0)  # unseen, but unchanged
    y0.add_(1)
    if solver is odeint_adjoint:
        assert torch.equal(torch.autograd.grad(y.sum(), leaf, retain_graph=True)[0], right)
    else:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(y.sum(), leaf, retain_graph=True)
    y = solver(lambda t, y: torch.sin(w * y), leaf, T, **extra)
    with torch.no_grad():
        w.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("twin", [numpy_ode, torch_ode])
def test_scipys_steps_cannot_be_taken_again(twin: Any) -> None:
    y0: Any = Y0 if twin is numpy_ode else state()
    with pytest.raises(TypeError, match=r"scipy:LSODA does not let its steps be taken again: use odeint_adjoint"):
        twin.odeint_checkpoint(lambda t, y: -y, y0, T, method="scipy:LSODA", adjoint_params=())

    def solve(y0: Any) -> Any:
        return twin.odeint(lambda t, y: -y, y0, T, method="scipy:LSODA")

    backpropagate = grad(lambda y0: anp.sum(solve(y0))) if twin is numpy_ode else solve
    with pytest.raises(TypeError, match="scipy:LSODA cannot be differentiated: use odeint_adjoint"):
        backpropagate(y0)


def test_complex_states_are_refused_by_numpys_adjoint() -> None:
    with pytest.raises(TypeError, match="y0 must be real for the adjoint: stack its real and imaginary parts"):
        numpy_ode.odeint_adjoint(lambda t, y: 1j * y, np.array([1 + 0j]), T)
