"""The picture of the price on energy shows the record."""

import numpy as np
import pytest

from nodelib.chapters.chapter4.regularised import regularised
from nodelib.experiments import records


def test_panels_are_the_records_numbers():
    runs = [
        {
            "weight": weight,
            "nats": [1.3, 1.1 + weight],
            "energy": [2.0, 1.0],
            "nfe": [{"0.001": 20, "1e-05": 50}, {"0.001": 26, "1e-05": 44}],
            "euler": [{"4": 0.2, "8": 9.0}, {"4": 0.4, "8": 9.0}],
        }
        for weight in (0.0, 0.1)
    ]
    record = {"test_entropy": 1.0, "least_energy": {"500": [0.9], "1000": [0.6, 0.8]}, "runs": runs}
    fig = regularised(record, {0.0: np.zeros((5, 3, 2)), 0.1: np.ones((5, 3, 2))})
    first, second, euler, nats, evaluations, energy = fig.axes
    assert [ax.get_title("left") for ax in (first, second)] == ["weight 0", "weight 0.1"]
    assert euler.lines[0].get_ydata() == pytest.approx([0.3, 0.3])
    assert nats.lines[0].get_ydata() == pytest.approx([0.2, 0.25])  # the mean
    assert nats.lines[2].get_ydata() == pytest.approx([0.3, 0.2])  # the seeds at 0.1
    assert evaluations.lines[0].get_ydata() == pytest.approx([47, 47])  # at 1e-5
    assert evaluations.lines[3].get_ydata() == pytest.approx([23, 23])  # at 1e-3
    assert [tick.get_text() for tick in nats.get_xticklabels()] == ["0", "0.1"]
    assert energy.lines[-1].get_ydata() == pytest.approx([0.7, 0.7])  # of the largest samples


def paired(run, without, of) -> tuple[float, float]:
    """Mean and standard error, over the seeds, of the difference to weight 0."""
    differences = np.array(of(run)) - of(without)
    return float(differences.mean()), float(differences.std(ddof=1) / len(differences) ** 0.5)


def test_what_the_record_says_of_the_price():
    """Fewer evaluations at 1e-5 from the first weight on; from 0.1 on, nats are lost at every seed."""
    without, *runs = records.read("regularised_flows")["runs"]
    assert without["weight"] == 0
    for run in runs:
        mean, error = paired(run, without, lambda row: [nfe["1e-05"] for nfe in row["nfe"]])
        assert mean + 3 * error < 0
        if run["weight"] >= 0.1:
            assert min(np.array(run["nats"]) - without["nats"]) > 0
    mean, error = paired(runs[0], without, lambda row: row["nats"])
    assert abs(mean) < 3 * error
    assert mean + 2 * error < 0.01
    energies = [np.mean(run["energy"]) for run in (without, *runs)]
    assert energies == sorted(energies, reverse=True)
