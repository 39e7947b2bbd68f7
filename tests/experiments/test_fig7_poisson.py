"""The script of Figure 7 runs from one end to the other, and a smoke run leaves nothing behind."""

import importlib.util
import sys
from pathlib import Path

import pytest

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
