"""Exercise 6.7: tests of a claim that are seldom wrong pass, those that people write first do not."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from nodelib.chapters.chapter6.design import DESIGN, ERRORS_IN_PAIRS, WORLDS_OF, runs_of, supported
from tests.workbook.graded import graded

pytestmark = pytest.mark.usefixtures("one_thread")


def both(run, seeds):
    """Evaluations and errors, with the penalty and without it: two arrays (seeds, 2)."""
    return (np.array([run(penalty, seed) for seed in seeds]) for penalty in (True, False))


def by_signs(run, seeds, fewest=9):
    """In how many pairs is it cheaper?"""
    a, b = both(run, seeds)
    return bool((a[:, 0] < b[:, 0]).sum() >= fewest and np.mean(a[:, 1] / b[:, 1]) < 1.1)


def by_t_tests(run, seeds):
    """Two one-sided tests of SciPy."""
    a, b = map(np.log, both(run, seeds))
    bound = np.log(1.1)
    fewer: Any = stats.ttest_rel(a[:, 0], b[:, 0], alternative="less")
    within: Any = stats.ttest_1samp((a - b)[:, 1], bound, alternative="less")
    return fewer.pvalue < 0.04 and within.pvalue < 0.05


def by_means(run, seeds):
    """Two averages, and nothing of chance."""
    a, b = both(run, seeds)
    return bool(np.nanmean(a[:, 0]) < np.nanmean(b[:, 0]) and np.nanmean(a[:, 1]) < 1.1 * np.nanmean(b[:, 1]))


def unpaired(run, seeds):
    """Two averages and their errors."""
    a, b = map(np.log, both(run, seeds))
    error = np.sqrt((a.var(0, ddof=1) + b.var(0, ddof=1)) / len(seeds))
    return bool(((a - b).mean(0) + 2 * error < [0, np.log(1.1)]).all())


def evaluations_alone(run, seeds):
    """Never looks at the error."""
    a, b = map(np.log, both(run, seeds))
    d = (a - b)[:, 0]
    return bool(d.mean() + 2 * d.std(ddof=1) / np.sqrt(len(d)) < 0)


def without_the_failed(run, seeds):
    """Leaves out what diverged."""
    a, b = map(np.log, both(run, seeds))
    d = (a - b)[np.isfinite(a[:, 0])]
    return bool((d.mean(0) + 2 * d.std(0, ddof=1) / np.sqrt(len(d)) < [0, np.log(1.1)]).all())


def with_bound(run, seeds, bound):
    """The error may grow by more than the claim says."""
    a, b = map(np.log, both(run, seeds))
    d = a - b
    return bool((d.mean(0) + 2 * d.std(0, ddof=1) / np.sqrt(len(d)) < [0, np.log(bound)]).all())


def by_margin(run, seeds):
    """In pairs, with a margin in the place of what chance does."""
    a, b = both(run, seeds)
    return bool(np.mean(a[:, 0] / b[:, 0]) < 0.9 and np.mean(a[:, 1] / b[:, 1]) < 1.1)


def two_sided(run, seeds):
    """Something has changed, in whichever direction."""
    a, b = map(np.log, both(run, seeds))
    return bool(stats.ttest_rel(a[:, 0], b[:, 0]).pvalue < 0.05 and np.mean((a - b)[:, 1]) < np.log(1.1))


def own_spread(run, seeds):
    """The spread of the seeds in place of that of their mean."""
    a, b = map(np.log, both(run, seeds))
    d = a - b
    return bool((d.mean(0) + 3 * d.std(0, ddof=1) < [0, np.log(1.1)]).all())


def test_right_and_wrong_designs():
    """Each wrong one is told in which worlds it is wrong."""
    graded(
        DESIGN,
        [
            supported,
            by_signs,
            by_t_tests,
            lambda run, seeds: np.array(supported(run, seeds)),
            lambda run, seeds: torch.tensor(supported(run, seeds)),
            lambda run, seeds: int(supported(run, seeds)),
        ],
        [
            (by_means, "nothing but chance differs"),
            (lambda run, seeds: by_signs(run, seeds[:3], 3), "nothing but chance differs"),
            (lambda run, seeds: run(True, seeds[0])[0] < run(False, seeds[0])[0], "nothing but chance differs"),
            (unpaired, "where the claim holds"),
            (lambda run, seeds: False, "where the claim holds"),
            (lambda run, seeds: True, "nothing but chance differs"),
            (evaluations_alone, "bought with a larger error"),
            (without_the_failed, "may diverge"),
            (lambda run, seeds: with_bound(run, seeds, 1.2), "bought with a larger error"),
            (lambda run, seeds: with_bound(run, seeds, 1.3), "bought with a larger error"),
            (lambda run, seeds: by_margin(run, seeds), "nothing but chance differs"),
            (lambda run, seeds: by_margin(run, range(60)), "only the ten seeds"),
            (two_sided, "makes it cost more"),
            (own_spread, "is your spread that of the mean?"),
            (lambda run, seeds: 0.3, "True or False is asked"),
            (lambda run, seeds: None, "not written yet"),
            (lambda run: True, "raises"),
        ],
    )


def test_the_worlds_are_what_they_say():
    """The same seed gives the same training, and pairs differ by what the world says, within what chance does."""
    for kind, world in enumerate(WORLDS_OF):
        run = runs_of(world, kind)
        np.testing.assert_equal(run(True, 3), run(True, 3))
        a, b = (np.log([run(penalty, seed) for seed in range(400)]) for penalty in (True, False))
        d = (a - b)[np.isfinite(a[:, 0])]
        assert abs(len(d) / 400 - 1 + world.diverges) < 0.1
        np.testing.assert_allclose(d.mean(0), [world.evaluations, world.error], atol=max(0.02, world.in_pairs / 8))
        np.testing.assert_allclose(d.std(0), [world.in_pairs, ERRORS_IN_PAIRS], rtol=0.15)
