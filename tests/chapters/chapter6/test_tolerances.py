"""What a tolerance promises, which gradient trains, and the seminorm: the numbers and pictures of three sections."""

import numpy as np
import pytest
import torch

from nodelib.chapters.chapter6 import tolerances, which, which_figures
from nodelib.chapters.chapter6.tolerances_figures import promises
from nodelib.experiments import records

pytestmark = pytest.mark.usefixtures("one_thread")


def test_one_solution_three_fields():
    errors = {rate: tolerances.of_span(rate, 1e-6)[1] for rate in (-1.0, 0.0, 1.0)}
    assert errors[-1.0][-1] < 3
    assert errors[0.0][-1] < 20
    assert errors[1.0][-1] > 1e4
    rise = np.log(errors[1.0][-1] / errors[1.0][60]) / 6
    assert rise == pytest.approx(1.0, abs=0.1)  # e^t
    assert all((np.diff(error) >= 0).all() for error in errors.values())


def test_neither_tolerance_mends_the_other():
    grid = tolerances.two_tolerances(0, (1e-2, 1e-6))
    (both_loose, loose_there), (loose_back, both_tight) = grid.error
    assert loose_there > 0.9 * both_loose
    assert min(loose_there, loose_back) > 1e3 * both_tight
    assert grid.backward[0, 1] > 2 * grid.backward[0, 0]


def test_single_precision_has_a_floor_and_double_has_none_here():
    single, double = (tolerances.in_precision(dtype) for dtype in (torch.float32, torch.float64))
    assert 1e-7 < single.error.min() < 1e-6
    assert double.error[-1] < 1e-8
    np.testing.assert_allclose(single.error[:3], double.error[:3], rtol=1e-2)
    assert single.nfe[-1] > 2 * single.nfe[5]


def test_the_figure_of_promises_draws_them():
    levels = (1e-2, 1e-4)
    fig = promises(tolerances.two_tolerances(0, levels))
    spans, heat, floor = fig.axes
    assert len(spans.lines) == 4
    assert [text.get_text() for text in heat.texts] == [
        f"{e:.0e}".replace("e-0", "e-") for e in tolerances.two_tolerances(0, levels).error.ravel()
    ]
    assert len(floor.lines) == 2


def test_half_is_in_no_row_of_the_record_and_a_loose_way_back_makes_it():
    found = tolerances.recorded_ratios()
    assert len(found) == 30
    assert 0.65 < found.min() < found.max() < 1.2
    assert tolerances.back_over_forward(1e-7, 1e-2) < 0.5 < tolerances.back_over_forward(1e-4, 1e-4)


def test_evaluations_back_know_the_unit_of_the_loss():
    plain = [which.scaled(unit)[1] for unit in (1e-4, 1e4)]
    mended = [which.scaled(unit, adjoint_atol=1e-3 * unit)[1] for unit in (1e-4, 1e4)]
    assert plain[1] > 3 * plain[0]
    assert mended[0] == mended[1]


def test_the_target_turns_points_and_keeps_their_distance():
    x = torch.tensor([[np.pi / 2, 0.0], [0.0, 1.0]], dtype=torch.float64)
    y = which.turned(x)
    torch.testing.assert_close(y.norm(dim=1), x.norm(dim=1))
    torch.testing.assert_close(y[0], torch.tensor([-np.pi / 2, 0.0], dtype=torch.float64))


def test_a_seed_is_trained_as_if_it_were_alone():
    both, one = (which.train("OtD", "euler", 4, seeds, iterations=5) for seeds in (2, 1))
    np.testing.assert_allclose(both.losses[:, 0], one.losses[:, 0], rtol=1e-9)
    assert both.losses.shape == (5, 2)


def test_dto_goes_down_where_otd_does_not():
    dto, otd = (which.train(way, "euler", 4, seeds=3, iterations=60) for way in ("DtO", "OtD"))
    np.testing.assert_array_equal(dto.losses[0], otd.losses[0])
    assert (dto.own < dto.losses[0]).all()
    assert (dto.own < otd.own).all()


def test_the_picture_of_two_trainings_draws_the_record():
    record = records.read(which.RECORD)
    assert {(row["method"], row["steps"]) for row in record["rows"]} == set(which.SOLVERS)
    left, right = which_figures.two_trainings(record).axes
    for ax, what in ((left, "own"), (right, "solved")):
        drawn = [np.asarray(line.get_ydata()) for line in ax.lines if np.size(line.get_ydata()) == 10]
        assert sorted(np.concatenate(drawn)) == sorted(np.concatenate([row[what] for row in record["rows"]]))
        low, high = ax.get_ylim()
        assert all(low < y.min() <= y.max() < high for y in drawn)


def test_the_seminorm_saves_with_a_sum_and_not_with_a_mean():
    added, mean = (which.seminorm(loss, 1.0, seeds=3) for loss in ("sum", "mean"))
    assert added.share.min() > 0.1
    assert mean.share.max() == 0
    assert max(added.error_semi.max(), mean.error_semi.max()) < 1e-3
