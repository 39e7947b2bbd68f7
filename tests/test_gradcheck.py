"""The check of gradients finds what is wrong with one: each planted error shows in the row that it belongs to."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from nodelib.gradcheck import GradientTable, Row, check_gradient
from nodelib.numpy_ode.adjoint import adjoint_gradients
from tests.twins.ways import THETA, WAYS, Y0, Way, every_output, swirl

Gradients = tuple[np.ndarray, np.ndarray, list[np.ndarray]]
T = np.array([0.1, 0.4, 0.7, 1.2])
SETTINGS = {"method": "dopri5", "rtol": 1e-9, "atol": 1e-10, "options": {}}
NUMPY = Way("numpy", "odeint")


def algorithm_2(func: Callable, y0: Any, t: Any, params: list, g: Any) -> Gradients:
    ys = NUMPY.solver(lambda s, y: func(s, y, *params), y0, t, rtol=1e-9, atol=1e-10)
    return adjoint_gradients(func, ys, t, params, g, SETTINGS)


def negated(gradient: Gradients, which: int) -> Gradients:
    parts: list[Any] = list(gradient)
    parts[which] = [-x for x in parts[which]] if which == 2 else -parts[which]
    return parts[0], parts[1], parts[2]


def without_jumps(func: Callable, y0: Any, t: Any, params: list, g: Any) -> Gradients:
    last = g.copy()
    last[1:-1] = 0
    return algorithm_2(func, y0, t, params, last)


def without_the_first_jump(func: Callable, y0: Any, t: Any, params: list, g: Any) -> Gradients:
    a, dt, dparams = algorithm_2(func, y0, t, params, g)
    return a - g[0], dt, dparams


def start_time_after_the_jump(func: Callable, y0: Any, t: Any, params: list, g: Any) -> Gradients:
    a, dt, dparams = algorithm_2(func, y0, t, params, g)
    dt[0] = -np.sum(a * func(t[0], y0, *params))
    return a, dt, dparams


def slopes_of_the_output_before(func: Callable, y0: Any, t: Any, params: list, g: Any) -> Gradients:
    a, dt, dparams = algorithm_2(func, y0, t, params, g)
    dt[2] = dt[2] * np.sum(func(t[1], y0, *params)) / np.sum(func(t[2], y0, *params))
    return a, dt, dparams


def without_a_parameter(func: Callable, y0: Any, t: Any, params: list, g: Any) -> Gradients:
    a, dt, dparams = algorithm_2(func, y0, t, params, g)
    return a, dt, [dparams[0], 0 * dparams[1], dparams[2]]


def with_sign(which: int) -> Callable[..., Gradients]:
    return lambda *args: negated(algorithm_2(*args), which)


ALL = {"z0", "θ1", "θ2", "θ3", "t0", "t1", "t2", "t3"}
ERRORS: dict[str, tuple[Callable[..., Gradients], set[str]]] = {
    "none": (algorithm_2, set()),
    "sign of a": (with_sign(0), {"z0"}),
    "sign of dL/dt": (with_sign(1), {"t0", "t1", "t2", "t3"}),
    "sign of dL/dθ": (with_sign(2), {"θ1", "θ2", "θ3"}),
    "no jump at inner outputs": (without_jumps, ALL - {"t3"}),
    "no jump at t0": (without_the_first_jump, {"z0"}),
    "a·f at t0 after the jump": (start_time_after_the_jump, {"t0"}),
    "f of the output before": (slopes_of_the_output_before, {"t2"}),
    "a parameter forgotten": (without_a_parameter, {"θ2"}),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_shows_in_its_rows_alone(name: str) -> None:
    gradient, wrong = ERRORS[name]
    table = check_gradient(
        NUMPY.solver, swirl(NUMPY.xp), Y0, T, THETA, loss=every_output, gradient=gradient, rtol=1e-9, atol=1e-10
    )
    assert {row.name for row in table.rows} == ALL
    assert {row.name for row in table.rows if row.error > 1e-6} == wrong
    assert all(row.error > 1e-2 for row in table.rows if row.name in wrong)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_field_with_a_wrong_derivative_shows(way: Way) -> None:
    """sin y whose gradient claims to be 1.01 cos y, as a hand-written derivative might be."""

    class WrongSine(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, y: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(y)
            return torch.sin(y)

        @staticmethod
        def backward(ctx: Any, *g: torch.Tensor) -> torch.Tensor:
            return 1.01 * g[0] * torch.cos(ctx.saved_tensors[0])

    from autograd.extend import defvjp, primitive

    wrong_sine = primitive(np.sin)
    defvjp(wrong_sine, lambda ans, y: lambda g: 1.01 * g * np.cos(y))
    sine = wrong_sine if way.twin == "numpy" else WrongSine.apply
    y0, t = way.array([0.3, 0.8]), way.array([0.0, 1.0])
    right = check_gradient(way.solver, lambda s, y: way.xp.sin(y), y0, t)
    wrong = check_gradient(way.solver, lambda s, y: sine(y), y0, t)
    assert right.worst < 1e-8
    assert wrong.rows[0].name == "z0"
    assert 1e-3 < wrong.rows[0].error < 1e-1


def test_the_table_reads() -> None:
    table = check_gradient(NUMPY.solver, swirl(NUMPY.xp), Y0, T[:2], THETA, loss=every_output)
    lines = str(table).split("\n")
    assert lines[0].split("  ")[-1] == "relative error"
    assert [line.split()[0] for line in lines[1:]] == ["z0", "θ1", "θ2", "θ3", "t0", "t1"]
    assert "…" in lines[1]  # six entries, of which two are shown
    assert all("< 1e-" in line for line in lines[1:])
    assert table.worst == max(row.error for row in table.rows)
    one = check_gradient(NUMPY.solver, lambda t, y, p: p * y, np.array(1.0), T[:2], (np.array(0.5),))
    assert [row.name for row in one.rows] == ["z0", "θ", "t0", "t1"]


@pytest.mark.parametrize(("error", "shown"), [(0.25, "25.0%"), (3e-4, "< 1e-3"), (0.0, "< 1e-9"), (1e-17, "< 1e-9")])
def test_an_error_is_shown_as_a_bound_or_as_a_percentage(error: float, shown: str) -> None:
    table = GradientTable((Row("z0", np.ones(1), np.ones(1), error),))
    assert str(table).endswith(f" {shown}")


def test_a_gradient_that_is_nan_is_the_worst() -> None:
    rows = [Row(name, np.ones(1), np.ones(1), error) for name, error in (("z0", 0.1), ("θ", float("nan")), ("t0", 2.0))]
    for order in (rows, rows[::-1]):
        table = GradientTable(tuple(order))
        assert np.isnan(table.worst)
        assert "nan" in str(table)
    exploding = check_gradient(
        NUMPY.solver,
        lambda t, y: -y,
        np.ones(2),
        T,
        gradient=lambda func, y0, t, params, g: (np.full(2, np.nan), np.zeros(4), []),
    )
    assert np.isnan(exploding.worst)


def test_settings_reach_the_solver_and_a_step_of_ones_own_the_differences() -> None:
    check = partial(check_gradient, NUMPY.solver, lambda t, y: -y, np.ones(1), np.array([0.0, 1.0]))
    euler = check(method="euler", options={"step_size": 0.25})
    assert euler.rows[0].differences[0] == pytest.approx(0.75**4 * 0.5 + 0.25, rel=1e-9)  # weights 1/4 and 2/4
    assert check(step=0.1).worst < 1e-3
    with pytest.raises(ValueError, match="option 'stepsize' does not apply"):
        check(options={"stepsize": 0.1})


@pytest.mark.parametrize("way", [w for w in WAYS if w.kind != "odeint"], ids=str)
def test_the_adjoints_settings_stay_with_the_adjoint(way: Way) -> None:
    y0, t = way.array([0.3, 0.8]), way.array([0.0, 1.0])
    settings: Any = {"adjoint_rtol": 1e-2, "adjoint_atol": 1e-2} if way.kind == "odeint_adjoint" else {}
    table = check_gradient(way.solver, lambda s, y: way.xp.sin(3 * y), y0, t, **settings)
    assert (table.worst > 1e-5) == bool(settings)
