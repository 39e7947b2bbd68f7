"""The tables say what the records have: errors by place, paired with those of the same data, in the strides chosen."""

import numpy as np
import pytest

from nodelib.chapters.chapter5 import tables

NINE = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
TABLE2 = {
    "data_seeds": [0, 1, 2],
    "runs": [
        {"model": name, "k": k, "clean": clean, "noisy": [x + 1 for x in clean]}
        for k in (30, 50, 100)
        for name, clean in (("latent ODE", NINE), ("rnn", [0.5] * 9))
    ],
}
STRIDES = {
    "runs": [{"model": "rnn", "k": 30, "stride": 3, "clean": {"1": [0.5] * 9, "3": [0.25] * 9}, "noisy": {"3": NINE}}]
}


def test_errors_are_by_data_seed_and_initialisation():
    assert tables.errors_of(TABLE2, "latent ODE", 30)[1].tolist() == [0.4, 0.5, 0.6]
    assert tables.errors_of(TABLE2, "latent ODE", 30, "noisy")[2, 0] == pytest.approx(1.7)
    assert tables.against(TABLE2, "rnn", 30) == pytest.approx([0.3, 0.0, -0.3])


def test_table_2_has_means_ranges_and_the_papers_numbers():
    header, rows = tables.table2(TABLE2).header, tables.table2(TABLE2).rows
    assert header == ("model", "30 observations", "50 observations", "100 observations")
    assert rows[0] == ("latent ODE", *["0.500, 0.100 to 0.900"] * 3)
    assert rows[1] == ("RNN", *["0.500, 0.500 to 0.500"] * 3)
    assert rows[2:] == [
        ("[P], RNN, other spirals", "0.394", "0.320", "0.181"),
        ("[P], latent ODE, other spirals", "0.164", "0.150", "0.135"),
    ]


def test_in_strides_the_chosen_ones_errors_are_compared_place_by_place():
    stride, errors = tables.in_best_strides(STRIDES, "rnn", 30)
    assert (stride, errors.shape) == (3, (3, 3))
    assert tables.in_best_strides(STRIDES, "rnn", 30, "noisy")[1].ravel().tolist() == NINE
    assert tables.strides(STRIDES, TABLE2).rows == [("RNN", "0.500, 0.250 in 0.03 (7)")]


def test_intensities_are_compared_seed_by_seed():
    error = {
        "ODE": [0.1, 0.2, 0.6],
        "kernel": [0.2, 0.1, 0.3],
        "histogram of 20 bins": [0.3] * 3,
        "constant": [1.0] * 3,
    }
    rows = tables.intensities({"one": [{"sequences": 20, "error": error}]}).rows
    assert rows == [("20", "0.200", "0.200 (1 of 3)", "0.300 (2 of 3)", "1.000 (3 of 3)")]


def test_paired_differences():
    mean, bar, above = tables.paired([1.0, 2.0, -0.5, 0.0])
    assert (mean, above) == (0.625, 2)
    assert bar == pytest.approx(np.std([1.0, 2.0, -0.5, 0.0], ddof=1) / 2)
