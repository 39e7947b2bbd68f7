# pyright: reportOptionalMemberAccess=false, reportArgumentType=false
"""The script that compares recipes runs from one end to the other; what it measures is what it says."""

import argparse
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nodelib.chapters.chapter5.training import recipes, recipes_table
from nodelib.data.spirals import STEPS, make_spirals
from nodelib.models.series import Series

FIGURES = Path(__file__).parents[2] / "figures"
spec = importlib.util.spec_from_file_location("latent_training_script", FIGURES / "latent_training.py")
script: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)

SETS = [make_spirals(8, seed, sizes=(12, 2, 5)) for seed in (0, 1)]

pytestmark = pytest.mark.usefixtures("one_thread")


def left() -> list[Path]:
    """What a run leaves for good; ``states`` may be another run's."""
    return sorted(path for name in ("records", "checkpoints") for path in (FIGURES / name).iterdir())


def test_a_smoke_run_goes_all_the_way_and_leaves_nothing(capsys):
    some, before = ["base", "shooting", "low rate"], left()
    numbers = script.main(["--smoke", "--recipe", *some])
    assert left() == before
    assert [run["recipe"] for run in numbers["runs"]] == some
    assert [run["rate"] for run in numbers["runs"]] == [0.02, 0.02, 0.003]
    assert numbers["seeds"] == 2
    further = [run["further"] for run in numbers["runs"]]
    assert len({tuple(each) for each in further}) == len(some)  # each recipe is another training
    assert "100%" in capsys.readouterr().out
    assert len(recipes_table(numbers).rows) == len(some)
    assert len(recipes(numbers).axes[0].get_yticks()) == len(some)


class Oracle(torch.nn.Module):
    """Knows the spirals, and is 0.2 too high in one coordinate of the first set's."""

    def forecast(self, series: Series, times: Tensor) -> Tensor:
        assert torch.equal(times, SETS[0].grid[:STEPS])
        found = torch.stack([each.test.clean[:, :STEPS] for each in SETS])
        found[0, ..., 1] += 0.2
        return found


def test_errors_in_the_window_are_root_mean_squares_in_the_planes_units():
    found = script.window_errors(Oracle(), SETS)
    assert found == pytest.approx([0.2 / 2**0.5 * SETS[0].scale, 0.0], abs=1e-6)


def test_the_mean_alone_is_the_spirals_own_size():
    for each, found in zip(SETS, script.mean_alone(SETS), strict=True):
        x = each.test.curves.at(each.grid[STEPS:].double()) - each.mean
        assert found == pytest.approx(float(x.square().mean().sqrt()), rel=1e-5)


def test_a_recipe_that_was_measured_is_read_and_one_begun_anew_is_not(tmp_path, monkeypatch):
    asked = []

    def fit(name, sets, which, rates, recipe, **settings):
        asked.append((rates, recipe, settings["state"].name))
        return torch.nn.Identity(), argparse.Namespace(seconds=[1.0], loss=[[0.5, 0.25]])

    monkeypatch.setattr(script, "fit", fit)
    monkeypatch.setattr(script, "further_errors", lambda *_: argparse.Namespace(clean=[0.1, 0.2], noisy=[0.3, 0.4]))
    monkeypatch.setattr(script, "window_errors", lambda *_: [0.01, 0.02])
    a = argparse.Namespace(states=tmp_path, iterations=7, resume=True, observed=30)
    row = script.run("low rate, whole window", SETS, a)
    ((rates, recipe, state),) = asked
    assert (rates, recipe.growth, recipe.iterations) == ([0.003, 0.003], 0.0, 7)
    assert state == "latent_training_low_rate_whole_window.safetensors"
    assert row == script.run("low rate, whole window", SETS, a)
    assert len(asked) == 1
    assert json.loads((tmp_path / "latent_training_low_rate_whole_window.json").read_text(encoding="utf-8")) == row
    a.resume = False
    script.run("low rate, whole window", SETS, a)
    assert len(asked) == 2
    a.observed = 100
    script.run("low rate, whole window", SETS, a)  # another record's
    assert (tmp_path / "latent_training_100_low_rate_whole_window.json").exists()


def test_what_is_compared_is_known():
    for compared in script.COMPARED.values():
        assert compared[0] == script.BASE
        assert set(compared) <= set(script.RECIPES)
