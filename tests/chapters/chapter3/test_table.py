"""Table 1 is what the records say, in the chapter and in the README."""

import json
from pathlib import Path

import numpy as np
import pytest

from nodelib.chapters.chapter3 import table
from nodelib.chapters.chapter3.exercises_counts import deepest
from nodelib.chapters.chapter3.table import conditions, mcnemar, only_wrong, paired, pairs, runs, standard_error, table1
from nodelib.experiments import records

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    """Two runs of one network and one of another, out of order."""
    monkeypatch.setattr(records, "RECORDS", tmp_path)
    for model, seed, error in (("resnet", 10, 0.006), ("resnet", 2, 0.004), ("mlp", 0, 0.02)):
        run = {
            "test_error": error,
            "parameters": 1234,
            "settings": {"epochs": 12, "batch": 128, "lr": 0.1, "crop": 4, "seed": seed, "optimizer": "SGD"},
            "provenance": {"device": "a machine", "date": "2026-01-01", "seconds": 1800, "versions": {"torch": "2"}},
        }
        (tmp_path / f"mnist_{model}_12epochs_seed{seed}.json").write_text(json.dumps(run))


def test_runs_come_in_the_order_of_their_seeds(made_up):
    assert [run["settings"]["seed"] for run in runs("resnet")] == [2, 10]
    assert runs("odenet") == []
    assert runs("resnet", epochs=160) == []


def test_a_network_without_a_record_has_no_row(made_up):
    rows = table1().rows
    assert [row[0] for row in rows] == ["MLP, one hidden layer", "ResNet, six blocks"]
    assert rows[1][3:] == ("0.50 ± 0.14", "0.40, 0.60", "± 0.07", "1,234")
    assert rows[0][3:] == ("2.00", "2.00", "± 0.14", "1,234")


def test_the_conditions_count_runs_and_hours(made_up):
    assert "3 runs: 3 of 1.5 hours in all on a machine, torch 2, 2026-01-01" in conditions()


def test_the_standard_error_is_that_of_a_count():
    counted = np.random.default_rng(0).binomial(10_000, 0.005, 100_000) / 10_000
    assert standard_error(0.005) == pytest.approx(counted.std(), rel=0.01)


def test_the_readme_has_the_table_and_its_conditions():
    rows = table1().rows
    assert len(rows) == len(table.ROWS)
    for row in rows:
        assert f"| {' | '.join(map(str, row))} |" in README
    assert conditions() in " ".join(README.split())


def test_pairs_count_what_only_one_gets_wrong():
    assert only_wrong("01230", "01111", "01211") == (2, 1)
    assert only_wrong("00", "00", "11") == (0, 0)


def test_the_memory_of_mnists_field_is_what_the_solution_says():
    """Of exercise 3.5: 12 MB before the first evaluation, 6.0 MB for each, and about 1,300 of them in 8 GB."""
    row = records.read("table1_cost")["growth"]["rows"]["backprop"]
    each = deepest(row["depth"], row["bytes"], 8e9)
    assert each == pytest.approx(1300, rel=0.03)
    b = (row["bytes"][-1] - row["bytes"][0]) / (row["depth"][-1] - row["depth"][0])
    assert b == pytest.approx(6.0e6, abs=0.05e6)
    assert row["bytes"][0] - b * row["depth"][0] == pytest.approx(12e6, abs=0.5e6)


def test_mcnemar_is_a_toss_of_coins():
    assert mcnemar(0, 0) == mcnemar(7, 7) == 1
    assert mcnemar(0, 5) == mcnemar(5, 0) == pytest.approx(2 / 32)
    rng = np.random.default_rng(0)
    heads = rng.binomial(64, 0.5, 400_000)
    assert mcnemar(20, 44) == pytest.approx(np.mean(abs(heads - 32) >= 12), rel=0.1)


def test_the_predictions_are_those_of_the_records():
    record = records.read("table1_predictions")
    for run, said in record["said"].items():
        wrong = sum(a != b for a, b in zip(said, record["labels"], strict=True))
        assert wrong / 10_000 == pytest.approx(records.read(run)["test_error"], abs=4e-4)
    counts = {(a, b): (x, y) for a, b, x, y, _ in pairs(record)}
    x, y = counts["resnet", "resnet0"]
    assert y - x == 76 - 44


def test_differences_are_taken_seed_by_seed():
    assert paired([3, 5, 7], [1, 2, 3]) == (3, pytest.approx(1 / 3**0.5))
