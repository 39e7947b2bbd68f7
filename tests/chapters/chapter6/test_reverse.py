"""The way back: couplings against the library's, the explorer's sentences, gradients and their pictures."""

import numpy as np
import pytest
import torch

from nodelib.chapters.chapter6 import reverse, reverse_figures
from nodelib.chapters.chapter6.fields import exact, forced, gradient, mild, relative
from nodelib.chapters.chapter6.reverse import METHODS, RATES, REMEDIES, TOLERANCES, Trips, trip
from nodelib.chapters.chapter6.reverse_explorer import describe_reverse
from nodelib.chapters.chapter6.reverse_explorer import reverse as explorer
from nodelib.experiments import records
from nodelib.torch_ode import odeint_reversible

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def numbers():
    return Trips()


@pytest.mark.parametrize("method", ["reversible_heun", "reversible_rk4"])
def test_the_explorers_steps_are_the_librarys(method):
    s = trip(2.0, 1e-6, method)
    y0 = torch.tensor([2.0], dtype=torch.float64)
    ends = odeint_reversible(
        lambda t, y: 2.0 * (torch.cos(t) - y),
        y0,
        torch.from_numpy(s.t),
        method=method,
        options={"step_size": s.t[1]},
        adjoint_params=(),
    )
    np.testing.assert_allclose(s.there, ends[:, 0].numpy(), rtol=1e-9)


@pytest.mark.parametrize("rate", RATES)
def test_the_truth_solves_the_equation(rate):
    t, h = np.linspace(0.1, 0.9, 9), 1e-5
    slope = (reverse.truth(rate, t + h) - reverse.truth(rate, t - h)) / (2 * h)
    np.testing.assert_allclose(slope, rate * (np.cos(t) - reverse.truth(rate, t)), rtol=1e-4, atol=1e-4)
    assert reverse.truth(rate, 0.0) == pytest.approx(2)


def test_what_dopri5_loses_is_the_ends_error_times_the_growth(numbers):
    for rate in (10.0, 20.0):
        s = numbers.at(rate, 1e-6, "dopri5")
        assert 0.1 < s.missed / (s.off * np.exp(rate)) < 10


def test_reversible_steps_come_back_and_may_be_wrong_all_the_same(numbers):
    s = numbers.at(10.0, 1e-3, "reversible_rk4")
    assert s.missed < 1e-9 < 100 < s.off
    mild_one = numbers.at(1.0, 1e-9, "reversible_rk4")
    assert max(mild_one.missed, mild_one.off) < 1e-6


def test_the_sentence_is_true_at_every_setting(numbers):
    live = explorer(numbers=numbers)
    for rate in RATES:
        for tol in TOLERANCES:
            for method in METHODS:
                s = numbers.at(rate, tol, method)
                said = describe_reverse(s)
                good = s.off < 0.01 and s.missed < 0.01
                assert ("Both ways are good" in said) == good
                assert f"{s.nfe} evaluations" in said
                assert np.isfinite(s.there).all()
    for control, value in (("rate", 40.0), ("method", "reversible_heun"), ("tol", 1e-9)):
        live.controls[control].value = value
        assert live.error is None
    assert "Neither way is good." in live.description


def test_a_way_back_that_is_given_up_is_said_so():
    t = np.linspace(0, 1, 3)
    s = reverse.Trip(1.0, 1e-3, "dopri5", t, reverse.truth(1.0, t), np.full(3, np.nan), 14, True)
    assert "the way back was given up" in describe_reverse(s)
    assert "the way back is not" in describe_reverse(s)


def test_round_trips_and_the_gradient_of_coupled_steps():
    start = np.array([0.3, -1.0])
    end, home = reverse.round_trip(lambda t, y: np.sin(t - y), start, 1.5, 100)
    assert abs(home - start).max() < 1e-13 < 0.1 < abs(end - start).max()

    def back(psi, t, h, y1, z1, coupling):
        """A step of -h, which is no undoing."""
        return reverse.coupled(psi, t + h, -h, y1, z1, coupling)

    _, missed = reverse.round_trip(lambda t, y: np.sin(t - y), start, 1.5, 5, undo=back)
    assert abs(missed - start).max() > 1e-7
    assert reverse.coupled_against_backprop(20) < 1e-13


def test_what_waits_for_the_way_back():
    held = {way: [reverse.held(way, n) for n in (4, 40)] for way in ("backprop", "checkpoint", "adjoint", "reversible")}
    assert held["adjoint"][0] == held["adjoint"][1]
    assert held["reversible"][0] == held["reversible"][1]
    assert 7 < held["backprop"][1] / held["backprop"][0] < 11
    assert held["checkpoint"][1] > 2 * held["checkpoint"][0]


def test_lost_states_with_a_right_gradient_and_without():
    field = forced(0)
    assert reverse.returned(field, 1e-6) > 100
    assert reverse.tried(field, 1e-6, "adjoint").error < 1e-5
    make, tol = reverse.KINDS["contractive network"]
    field = make(0)
    truth = exact(field, tol=1e-9)
    error = {way: reverse.tried(field, tol, way, truth).error for way in REMEDIES}
    assert error["checkpoint"] < 1e-4 < 0.02 < error["adjoint"]
    assert error["adjoint, ten outputs"] < 1e-4
    assert min(error["reversible Heun"], error["reversible RK4"]) > 0.5


def test_the_gradient_counts_and_a_unit_goes_out_again():
    field = mild(1)
    plain, scaled = (gradient(field, "checkpoint", scale=s, rtol=1e-4, atol=1e-4) for s in (1.0, 1e3))
    assert relative(scaled.value, plain.value) < 1e-12
    assert plain.forward > plain.backward > 0
    assert relative(plain.value, exact(field, tol=1e-9)) < 1e-2


def test_the_picture_draws_the_record():
    record = records.read(reverse.RECORD)
    fig = reverse_figures.ways_back(record)
    left, right = fig.axes
    errors = reverse_figures.all_errors(record)
    drawn = np.concatenate(
        [np.asarray(line.get_xdata(), float) for line in left.lines if np.size(line.get_xdata()) == 10]
    )
    low, high = left.get_xlim()
    assert sorted(drawn) == pytest.approx(sorted(np.concatenate(list(errors.values()))))
    assert low < drawn.min() < drawn.max() < high
    assert len(right.lines) == 4
    assert set(errors) == {(kind, way) for kind in reverse.KINDS for way in REMEDIES}
