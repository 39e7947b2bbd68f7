"""Chapter 2's explorers: the adjoint foretells a nudge to first order, and three gradients agree where they must."""

from typing import Any

import numpy as np
import pytest
import torch

from nodelib import numpy_ode, torch_ode
from nodelib.chapters.chapter2.explorers import adjoint_arrow, describe_gradients, describe_nudge, laboratory
from nodelib.chapters.chapter2.numbers import (
    LEVELS,
    SHAPES,
    SOLVERS,
    SPAN,
    START,
    T1,
    TARGET,
    Network,
    arguments,
    backward,
    differences,
    nudge,
    pendulum,
    row,
    settings,
    split,
    three_gradients,
)
from nodelib.gradcheck import check_gradient

FIXED = SOLVERS[:3]
ORDER = {"euler": 1, "midpoint": 2, "rk4": 4}


def test_the_adjoint_is_the_gradient_of_the_loss():
    def loss(y):
        return ((y[-1] - TARGET) ** 2).sum() / 2

    def ours(func, y0, t, params, g):
        a = backward()(0.0)[1]
        return a, np.array([-a @ pendulum(0.0, START), g[-1] @ pendulum(T1, backward()(T1)[0])]), []

    times = np.array([0.0, T1])
    assert check_gradient(numpy_ode.odeint, pendulum, START, times, loss=loss, gradient=ours).worst < 1e-7


@pytest.mark.parametrize("time", [0.0, 1.0, 2.6, T1])
@pytest.mark.parametrize("direction", [-90, 60, 130])
def test_the_prediction_is_off_by_the_square_of_the_nudge(time, direction):
    gaps = [nudge(time, direction, size).measured - nudge(time, direction, size).predicted for size in (0.02, 0.01)]
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.05)
    assert abs(gaps[1]) < 0.03 * np.linalg.norm(backward()(time)[1]) * 0.01 + 1e-4


@pytest.mark.parametrize("direction", [0, 45, 170])
def test_at_the_end_only_the_loss_is_curved(direction):
    n = nudge(T1, direction, 0.4)
    assert n.measured - n.predicted == pytest.approx(0.4**2 / 2, rel=1e-8)
    np.testing.assert_allclose(n.path, n.path[[0] * len(n.path)])


def test_a_times_f_stays_the_same():
    flow = [a @ pendulum(t, z) for t in np.linspace(0, T1, 41) for z, a in [backward()(t)]]
    np.testing.assert_allclose(flow, flow[-1], rtol=1e-8)


def test_checkpoint_is_backprop_and_both_are_the_gradient_of_the_loss_as_computed():
    for method in SOLVERS:
        for level in LEVELS:
            r = row(method, level)
            backprop, checkpoint = (r.gradients[way].value for way in ("backprop", "checkpoint"))
            assert (checkpoint - backprop).norm() < 1e-12 * backprop.norm()
            assert max(r.to_loss["backprop"], r.to_loss["checkpoint"]) < 1e-10, (method, level)


@pytest.mark.parametrize("method", FIXED)
def test_the_adjoint_comes_closer_with_the_methods_order(method):
    coarse, fine = (row(method, level) for level in LEVELS[-2:])
    for errors in ("to_loss", "to_flow"):
        slope = np.log2(getattr(coarse, errors)["adjoint"] / getattr(fine, errors)["adjoint"])
        assert slope == pytest.approx(ORDER[method], abs=0.25)


def test_the_adjoint_comes_closer_with_the_tolerance():
    errors = [row("dopri5", level).to_loss["adjoint"] for level in LEVELS]
    assert np.all(np.diff(errors) < 0)
    assert errors[-1] < 1e-5 * errors[0]


def test_optimise_then_discretise_is_not_discretise_then_optimise():
    """The numbers that the chapter quotes: a third with four Euler steps, 2e-6 with sixteen of Runge and Kutta."""
    assert row("euler", 2).to_loss["adjoint"] == pytest.approx(0.32, abs=0.01)
    assert row("rk4", 4).to_loss["adjoint"] == pytest.approx(2.0e-6, rel=0.05)


def test_against_the_flow_all_are_about_as_wrong():
    for method in SOLVERS:
        for level in LEVELS:
            to_flow = row(method, level).to_flow
            assert 1 / 5 < to_flow["adjoint"] / to_flow["backprop"] < 5


@pytest.mark.parametrize("method", FIXED)
def test_memory_grows_by_a_graph_by_a_state_or_not_at_all(method):
    rows = [row(method, level) for level in LEVELS[1:]]
    steps = np.array([r.steps for r in rows])
    peaks = {way: np.array([r.gradients[way].peak for r in rows]) for way in rows[0].gradients}
    evaluations = rows[0].gradients["backprop"].forward // rows[0].steps
    hidden, state = 8 * 8, 2 * 8  # bytes: tanh keeps its result, and the product with W its input
    assert np.all(np.diff(peaks["backprop"]) == np.diff(steps) * evaluations * (hidden + state))
    assert np.all(np.diff(peaks["checkpoint"]) == np.diff(steps) * state)
    assert np.all(np.diff(peaks["adjoint"]) == 0)


@pytest.mark.parametrize(("method", "stages"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_backprop_evaluates_once_the_others_twice(method, stages):
    r = row(method, 5)
    n = stages * 32
    work = {way: (g.forward, g.back, g.products) for way, g in r.gradients.items()}
    assert work == {"backprop": (n, 0, n), "checkpoint": (n, n, n), "adjoint": (n, n + 1, n)}  # and f once at the start


def test_all_shifted_solves_take_the_steps_of_the_one_that_is_not_shifted():
    chosen = settings("dopri5", 4)
    z0, *params = split(arguments())
    alone = torch_ode.solve(Network(*params), z0, SPAN, **chosen)
    _, together = differences(**chosen)
    np.testing.assert_allclose([s.h for s in together.steps], [s.h for s in alone.steps], rtol=1e-8)
    torch.testing.assert_close(together.y[:, 0], alone.y, rtol=1e-9, atol=0)
    assert [part.shape for part in split(arguments())] == [torch.Size(shape) for shape in SHAPES]


def test_dopri5_needs_nine_steps_at_most():
    assert max(row("dopri5", level).steps for level in LEVELS) == 9


def test_the_sentences():
    assert describe_nudge(nudge(1.0, -90, 0.4)) == (
        "A pendulum's adjoint at t = 1.0 s is a = (1.433, -0.757). A nudge δ of size 0.40 there changes L by +0.4650; "
        "a · δ predicts +0.3027."
    )
    assert describe_gradients(three_gradients("dopri5", 3)).startswith("dopri5, 4 steps at tolerance 1e-4. From the ")
    assert "adjoint is 0.32 away, the other two" in describe_gradients(three_gradients("euler", 2))


def test_the_arrow_follows_its_controls():
    live = adjoint_arrow(number="2.9")
    assert live.description.startswith("Figure 2.9. ")
    for name, values in {"time": (0.0, T1), "direction": (-170, 180), "size": (0.05, 0.8)}.items():
        for value in values:
            before = live.png
            live.controls[name].value = value
            assert live.error is None
            assert live.png != before
    last = live.numbers
    assert (last.t, np.linalg.norm(last.delta)) == (T1, pytest.approx(0.8))
    axes: list[Any] = live.fig.axes
    plane, curves, bars = axes
    np.testing.assert_array_equal(plane.lines[-1].get_xydata(), [last.z])
    arrow = plane.transData.inverted().transform(plane.patches[0].get_window_extent())
    assert arrow[0, 0] == pytest.approx(last.z[0] + last.a[0] / 2, abs=0.06)  # to the left, less its pen's width
    assert list(curves.lines[-2].get_xdata()) == [T1, T1]
    widths = [patch.get_width() for patch in bars.patches]
    np.testing.assert_allclose(widths, np.array([last.measured, last.predicted, last.measured - last.predicted]) / 0.8)


def test_the_laboratory_follows_its_controls():
    live = laboratory()
    for method in SOLVERS[::-1]:
        live.controls["method"].value = method
        for level in (LEVELS[0], LEVELS[-1]):
            before = live.png
            live.controls["level"].value = level
            assert live.error is None
            assert live.png != before
            shown = np.asarray(live.fig.axes[1].lines[4].get_xydata())
            r = row(method, level)
            np.testing.assert_array_equal(shown[LEVELS.index(level)], [r.steps, r.to_loss["adjoint"]])
            adjoint: Any = live.fig.axes[3].patches[8]  # the last bar of the last kind
            g = r.gradients["adjoint"]
            assert adjoint.get_x() * g.forward == pytest.approx(g.forward + g.back)
            assert adjoint.get_width() * g.forward == pytest.approx(g.products)


def test_everything_lies_inside_the_axes():
    plane, _, bars = adjoint_arrow().fig.axes
    for time in np.linspace(0, T1, 5):
        for direction in range(-170, 181, 50):
            n = nudge(time, direction, 0.8)
            for i, (low, high) in enumerate((plane.get_xlim(), plane.get_ylim())):
                assert low < min(n.path[:, i].min(), n.z[i] + n.a[i] / 2)
                assert high > max(n.path[:, i].max(), n.z[i] + n.a[i] / 2)
            assert abs(n.measured) / 0.8 < bars.get_xlim()[1]
