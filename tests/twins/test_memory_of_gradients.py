"""Memory against steps: the adjoint's stays, checkpoints add one state a step, backpropagation adds a graph a step.

In torch every byte of every tensor is counted. In numpy the peak is that of Python's allocator, where the log of the
steps counts as well: less than a kilobyte a step, which next to a state of half a megabyte is little.
"""

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nodelib import numpy_ode, torch_ode
from nodelib.experiments.memory import PeakMemory
from tests.twins.ways import KINDS

anp: Any = autograd.numpy  # autograd has no stubs
N = 1000  # entries of the state in torch
STATE = 8 * N
LARGE = 70_000  # entries of the state in numpy


class Field(nn.Module):
    def __init__(self, device: str = "cpu") -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.linspace(0.1, 1, N, dtype=torch.float64, device=device))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.sin(self.rate * y)


def settings(method: str, steps: int) -> dict[str, Any]:
    """A solve over [0, 1] in that many steps: what the tolerance would allow is far longer."""
    h = 1 / steps
    if method == "dopri5":
        return {"method": method, "rtol": 1e-3, "atol": 1e-3, "options": {"max_step": h, "first_step": h}}
    return {"method": method, "options": {"step_size": h}}


def train(kind: str, method: str, steps: int, device: str = "cpu", outputs: int = 2) -> None:
    f, y0 = Field(device), torch.ones(N, dtype=torch.float64, device=device, requires_grad=True)
    t = torch.linspace(0, 1, outputs, dtype=torch.float64)
    getattr(torch_ode, kind)(f, y0, t, **settings(method, steps))[-1].sum().backward()


def torch_peak(kind: str, method: str, steps: int) -> int:
    with PeakMemory() as memory:
        train(kind, method, steps)
    return memory.peak


def numpy_peak(kind: str, steps: int) -> int:
    solver = getattr(numpy_ode, kind)

    def loss(y0: Any, rate: Any) -> Any:
        if kind == "odeint":
            return anp.sum(solver(lambda t, y: anp.sin(rate * y), y0, [0.0, 1.0], **settings("midpoint", steps))[-1])
        func = lambda t, y, rate: anp.sin(rate * y)  # noqa: E731
        return anp.sum(solver(func, y0, [0.0, 1.0], adjoint_params=rate, **settings("midpoint", steps))[-1])

    gradient: Any = autograd.grad(loss, (0, 1))  # type: ignore[arg-type]
    return python_peak(lambda: gradient(np.ones(LARGE), np.array(0.5)))


def python_peak(work: Callable[[], Any]) -> int:
    """The most bytes that Python objects and arrays held while ``work`` ran, beyond those held before."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# --- torch ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "most"), [("rk4", 1000), ("dopri5", 300), ("adams_bashforth", 300)])
def test_the_adjoints_tensors_are_the_same_from_10_steps_on(method: str, most: int, record_property) -> None:
    few, many = (torch_peak("odeint_adjoint", method, steps) for steps in (10, most))
    record_property("measured", f"torch adjoint, {method}: {few} bytes in 10 steps, {many} in {most}")
    assert many == pytest.approx(few, rel=0.001)


@pytest.mark.parametrize(("method", "states"), [("rk4", 1), ("dopri5", 1), ("adams_bashforth", 2)])
def test_checkpoints_add_one_state_a_step(method: str, states: int, record_property) -> None:
    """The state alone; an Adams method also hands on the slope there, so that it need not be computed again."""
    few, many = (torch_peak("odeint_checkpoint", method, steps) for steps in (20, 120))
    record_property("measured", f"torch checkpoints, {method}: {(many - few) / 100 / STATE:.3f} states a step")
    assert (many - few) / 100 == pytest.approx(states * STATE, rel=0.01)


def test_a_step_is_let_go_of_before_the_one_before_it_is_taken_again() -> None:
    one, two, three = (torch_peak("odeint_checkpoint", "rk4", steps) for steps in (1, 2, 3))
    assert two - one < 2.5 * STATE  # one more state, and one more slope; not a second graph
    assert three - two == pytest.approx(STATE, rel=0.1)


@pytest.mark.parametrize(("method", "evaluations"), [("rk4", 4), ("dopri5", 6)])
def test_backpropagation_adds_a_graph_a_step(method: str, evaluations: int, record_property) -> None:
    """Of each evaluation at least y, what sin needs, and the slope remain."""
    few, many = (torch_peak("odeint", method, steps) for steps in (20, 120))
    record_property("measured", f"torch backpropagation, {method}: {(many - few) / 100 / STATE:.1f} states a step")
    assert (many - few) / 100 >= 2 * evaluations * STATE


@pytest.mark.parametrize(("kind", "most"), [("odeint_adjoint", 1500), ("odeint_checkpoint", 2500)])
def test_what_python_keeps_of_a_step_is_small(kind: str, most: int, record_property) -> None:
    """The log of the steps; with checkpoints also what says how to take the step again. Tensors are not in this."""
    train(kind, "rk4", 10)  # whatever is made once
    few, many = (python_peak(lambda steps=steps: train(kind, "rk4", steps)) for steps in (50, 350))
    record_property("measured", f"torch {kind}: {(many - few) / 300:.0f} bytes of Python objects a step")
    assert (many - few) / 300 < most


def test_the_adjoint_stores_its_outputs_and_no_more() -> None:
    """The solution at the times asked for is the caller's; a loss on 100 of them also has a gradient for each."""

    def peak(outputs: int) -> int:
        with PeakMemory() as memory:
            train("odeint_adjoint", "dopri5", 10, outputs=outputs)
        return memory.peak

    assert peak(100) - peak(10) < 90 * 4 * STATE


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("kind", KINDS)
def test_memory_on_a_cuda_device(kind: str, record_property) -> None:
    def peak(steps: int) -> int:
        train(kind, "rk4", 5, "cuda")
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        train(kind, "rk4", steps, "cuda")
        return torch.cuda.max_memory_allocated() - held

    few, many = peak(10), peak(1000 if kind == "odeint_adjoint" else 110)
    a_step = (many - few) / 100 / STATE
    record_property("measured", f"CUDA {kind}: {few} bytes in 10 steps, {many} in the most, {a_step:.2f} states a step")
    if kind == "odeint_adjoint":
        assert many == pytest.approx(few, rel=0.05)
    else:
        assert a_step == pytest.approx(1, rel=0.05) if kind == "odeint_checkpoint" else a_step > 8


# --- numpy ------------------------------------------------------------------------------------------------------------


def test_numpys_adjoint_grows_by_less_than_2_percent_in_300_steps(record_property) -> None:
    few, many = (numpy_peak("odeint_adjoint", steps) for steps in (10, 310))
    record_property("measured", f"numpy adjoint, midpoint: {few / 1e6:.2f} MB in 10 steps, {many / 1e6:.2f} MB in 310")
    assert many == pytest.approx(few, rel=0.02)  # what grows is the log of the steps


@pytest.mark.parametrize(("kind", "least", "most"), [("odeint_checkpoint", 1.0, 1.02), ("odeint", 4, 100)])
def test_numpys_memory_grows_by_a_state_or_by_a_graph(kind: str, least: float, most: float, record_property) -> None:
    few, many = (numpy_peak(kind, steps) for steps in (10, 60))
    states = (many - few) / 50 / (8 * LARGE)
    record_property("measured", f"numpy {kind}, midpoint: {states:.3f} states a step")
    assert least * 0.99 < states < most
