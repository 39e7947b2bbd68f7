"""The script of Figure 7 runs from one end to the other, and a smoke run leaves nothing behind."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from nodelib.experiments import records

FIGURES = Path(__file__).parents[2] / "figures"
spec = importlib.util.spec_from_file_location("fig7_poisson_script", FIGURES / "fig7_poisson.py")
assert spec is not None
assert spec.loader is not None
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)

pytestmark = pytest.mark.usefixtures("one_thread")


def what_is_there() -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in FIGURES.rglob("*") if "__pycache__" not in path.parts}


def test_a_smoke_run_measures_and_draws_everything_and_leaves_nothing(monkeypatch, capsys):
    drawn = []
    draw_it = script.draw_it

    def look(numbers, size):
        draw_it(numbers, size)
        drawn.append((numbers, (size.place / "fig7_poisson.png").stat().st_size))

    monkeypatch.setattr(script, "draw_it", look)
    monkeypatch.setattr(sys, "argv", ["fig7_poisson.py", "--smoke"])
    before = what_is_there()
    script.main()
    assert what_is_there() == before
    ((numbers, size),) = drawn
    assert size > 10_000
    assert [row["sequences"] for row in numbers["one"]] == list(script.SMOKE.sizes)
    assert {row["task"] for row in numbers["each"]} == {"half", "past"}
    for row in numbers["one"]:
        assert (
            set(row["error"])
            == set(row["excess"])
            == {"ODE", "constant", "histogram of 20 bins", "histogram", "kernel"}
        )
        assert len(row["error"]["ODE"]) == script.SMOKE.one_seeds
    assert "100%" in capsys.readouterr().out


def test_an_interrupted_run_goes_on_from_what_it_has(tmp_path, monkeypatch):
    """What was measured is read; what was trained is not trained again."""
    size = script.SMOKE._replace(place=tmp_path, runs=(("past", 0.0),), sizes=(3,))
    size.states.mkdir()
    first = script.measure(size)
    monkeypatch.setattr(script, "train", None)
    assert script.measure(size) == first


def test_the_record_has_what_a_run_makes():
    record = records.read(script.NAME)
    assert [row["sequences"] for row in record["one"]] == list(script.Size(FIGURES).sizes)
    assert [(row["task"], row["weight"]) for row in record["each"]] == list(map(tuple, script.Size(FIGURES).runs))


@pytest.mark.parametrize("name", ["fig7_one_100", "fig7_half_0.1"])
def test_the_checkpoints_are_the_models_that_the_record_is_of(name):
    """The first seed's relative error, measured again on its own."""
    record, model, t = (
        records.read(script.NAME),
        script.trained_poisson.trained_poisson(name),
        script.on_grid(script.END),
    )
    if "one" in name:
        row = next(row for row in record["one"] if row["sequences"] == 100)
        with torch.no_grad():
            rate, truth = model.rate(t.float())[0], script.Bumps().rate(t)
        assert float(script.relative_error(rate, truth)) == pytest.approx(row["error"]["ODE"][0], rel=1e-2)
    else:
        row = next(row for row in record["each"] if (row["task"], row["weight"]) == ("half", 0.1))
        family, given, _ = script.unseen("half", script.TEST, script.Size(FIGURES))
        rates = script.poisson.conditioned(model, given, script.TASKS["half"], t, 0)[0]
        truth = family.rate(t.expand(len(rates), -1))
        found = float(script.relative_error(rates, truth).mean())
        assert found == pytest.approx(row["error"][0], abs=0.02)  # by the mean of q, not by draws
