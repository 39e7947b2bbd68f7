"""One step for all: the numbers of the explorer against whole batches, steps per sample against separate solves."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from nodelib.chapters.chapter6 import batch
from nodelib.chapters.chapter6.batch_explorer import coupling, describe_coupling
from nodelib.chapters.chapter6.exercises_batch import controlled

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def numbers():
    return batch.Coupling()


@pytest.mark.parametrize("rate", [1.0, 30.0])
def test_the_truth_is_that_of_a_tight_solve(rate):
    assert batch.relaxing([rate], tol=1e-9).worst[0] < 1e-7
    assert batch.truth(torch.tensor([rate]))[0, 0] == 0


@pytest.mark.parametrize(("rate", "odd", "size"), [(50.0, 1, 10), (50.0, 1, 1000), (2.0, 5, 10)])
def test_two_samples_with_weights_are_the_whole_batch(rate, odd, size):
    whole, two = batch.relaxing([rate] * odd + [1.0] * (size - odd)), batch.two_kinds(rate, odd / size)
    assert two.nfe == whole.nfe
    np.testing.assert_allclose(two.error, whole.error[:, [0, -1]], rtol=1e-6, atol=1e-12)


def test_the_explorer_caps_the_odd_ones_and_counts_the_work(numbers):
    c = numbers.at(50.0, 1000, 10)
    assert (c.odd, c.batch) == (10, 10)
    assert c.work == pytest.approx(1.0, abs=0.03)
    c = numbers.at(50.0, 1, 100)
    assert c.work == pytest.approx(100 * c.joint.nfe / (c.alone[0].nfe + 99 * c.alone[1].nfe))


def test_the_odd_ones_error_grows_with_the_batch_and_nothing_happens_where_all_are_alike(numbers):
    worst = [numbers.at(50.0, 1, size).joint.worst[0] for size in numbers.odds]
    assert all(2 < b / a < 6 for a, b in pairwise(worst))  # about √10 each
    alike = numbers.at(1.0, 1, 10000)
    assert alike.joint.nfe == alike.alone[1].nfe
    assert alike.work == 1


def test_the_sentence_is_true_at_every_setting(numbers):
    live = coupling(numbers=numbers)
    for rate in numbers.rates:
        for odd in numbers.odds:
            for size in numbers.odds:
                c = numbers.at(rate, odd, size)
                said = describe_coupling(c)
                assert f"takes {c.joint.nfe} evaluations" in said
                assert ("all are odd" in said) == (odd >= size)
                assert f"times {c.work:.2g}. An odd" in said
    live.controls["odd"].value = 10_000
    live.controls["rate"].value = 200.0
    assert live.error is None
    assert live.description.startswith("Figure 6.4. 10,000 samples, all are odd; odd ones have λ = 200.")


def test_steps_per_sample_are_those_of_separate_solves():
    starts = batch.phases(20)
    each = batch.oscillating(starts, per_sample=True)
    alone = [batch.oscillating(one[None]) for one in starts]
    assert each.stats.nfe.tolist() == [one.stats.nfe for one in alone]
    ends = torch.stack([one.y[-1, 0] for one in alone])
    assert (each.y[-1] - ends).abs().max() < 1e-2 * batch.TOLERANCE


def test_steps_per_sample_save_evaluations_only_where_hard_moments_differ():
    starts = batch.phases(100)
    assert batch.oscillating(starts).stats.nfe > 1.5 * batch.oscillating(starts, per_sample=True).calls
    rates = 10 ** np.linspace(0, 2, 30)
    joint, each = batch.relaxing(rates), batch.relaxing(rates, per_sample=True)
    assert each.nfe > 0.9 * joint.nfe
    assert each.worst.max() < 0.5 * joint.worst.max()
    assert each.alone.mean() < 0.5 * joint.nfe


def test_a_masked_solve_by_the_reference_holds_the_tolerance_and_one_without_growth_does_not_end():
    _, missed = batch.masked(controlled, [50.0, 1.0, 1.0])
    assert missed.max() < 1.5e-3
    _, missed = batch.masked(controlled, [20.0, 5.0, 1.0], tol=1e-7)
    assert missed.max() < 2e-7

    def frozen(err, y0, y1, rtol, atol, h):
        return controlled(err, y0, y1, rtol, atol, h)[0], h

    with pytest.raises(RuntimeError, match="3 samples are still under way after 100 steps"):
        batch.masked(frozen, [50.0, 1.0, 1.0], most=100)
