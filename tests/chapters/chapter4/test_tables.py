"""Chapter 4's tables say what the records say; its verdicts come from paired differences."""

import numpy as np
import pytest

from nodelib.chapters.chapter4 import tables

RUNS = [
    {"flow": "planar", "size": 2, "loss": [[1.0, 1.2, 1.4], [3.0, 3.0, 3.0]]},
    {"flow": "gated", "size": 2, "loss": [[0.9, 1.0, 1.5], [3.5, 3.5, 3.5]]},
    {"flow": "planar", "size": 8, "loss": [[0.5, 0.5, 0.5], [2.0, 2.0, 2.0]]},
]


def test_differences_are_of_the_same_seed_and_size():
    found = tables.differences(RUNS)
    assert set(found) == {(0, 2), (1, 2)}  # the size 8 has one flow only
    assert found[0, 2] == pytest.approx([-0.1, -0.2, 0.1])
    assert tables.differences(RUNS, "planar", "gated")[1, 2] == pytest.approx([-0.5] * 3)


def test_paired_differences_by_hand():
    middle, bar, below = tables.paired(np.array([-0.1, -0.2, 0.1]))
    assert middle == pytest.approx(-0.2 / 3)
    assert bar == pytest.approx(np.std([-0.1, -0.2, 0.1], ddof=1) / 3**0.5)
    assert below == 2


def test_a_verdict_a_target_and_size():
    table = tables.verdicts(RUNS, ["U1", "U2"])
    assert table.header[1:] == ("K = M = 2",)
    assert table.rows == [("U1", "-0.067 ± 0.088 (2 of 3)"), ("U2", "+0.500 ± 0.000 (0 of 3)")]


def test_nats_are_above_the_entropy_of_the_same_points():
    record = {
        "shapes": {"moons": {"test_entropy": 1.0}},
        "runs": [
            {"flow": "planar", "shape": "moons", "test": [1.1, 1.3], "lr": 0.01, "scale": 0.3, "iterations": 1234}
        ],
    }
    (row,) = tables.likelihood_table(record).rows
    assert row == ("moons", "planar flow", "0.01, 0.3", "1,234", "0.200", "0.100, 0.300")


def test_the_ways_to_train_one_network():
    run = {"nfe": {"1e-3": 20, "1e-5": 40}, "euler": {"1": 0.5, "2": 0.25}, "path_over_chord": 1.1, "iterations": 1000}
    runs = [
        {"way": way, "nats": 1.0 + 0.1 * i + 0.05 * seed, **run}
        for i, way in enumerate(tables.WAY_NAME)
        for seed in (0, 2)
    ]
    rows = tables.matching_table({"test_entropy": 1.0, "runs": runs}).rows
    assert rows[1] == (
        "flow matching, independent pairs",
        "1,000",
        "0.150 (0.100 to 0.200)",
        "20, 40",
        "0.50 / 0.25",
        "1.100",
    )
