"""What is said of the recipes is what the record has: which seeds failed, and which were worse than under the base."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nodelib.chapters.chapter5 import training

RECORD = {
    "mean_alone": [0.8, 0.6],
    "runs": [
        {"recipe": "whole window", "window": [0.3, 0.1], "further": [0.4, 0.31]},
        {"recipe": "base", "window": [0.1, 0.2], "further": [0.3, 0.35]},
    ],
}


def test_a_seed_fails_beyond_half_of_its_own_mean():
    assert [training.failed(run, RECORD) for run in RECORD["runs"]] == [1, 1]
    assert training.failed({"further": [0.41, 0.2]}, RECORD) == 1


def test_a_recipe_is_compared_seed_by_seed():
    other, base = RECORD["runs"]
    assert training.against_base(other, RECORD) == pytest.approx([0.1, -0.04])
    assert training.against_base(other, RECORD, "window") == pytest.approx([0.2, -0.1])
    assert (training.against_base(base, RECORD) == 0).all()


def test_the_table_of_recipes():
    table = training.recipes_table(RECORD)
    assert table.rows == [
        ("whole window from the start", "0.200", "0.355", "1 of 2", "1 of 2"),
        ("horizon grows, σ 2 ×, KL 1, Δt, rate 0.02", "0.150", "0.325", "1 of 2", ""),
    ]


def test_the_picture_of_recipes():
    ax: Any
    (ax,) = training.recipes(RECORD).axes
    first, median, second, _, mean, half = (np.asarray(line.get_xydata()) for line in ax.lines)
    assert first.tolist() == [[0.4, 0], [0.31, 0]]
    assert second.tolist() == [[0.3, 1], [0.35, 1]]
    assert median[0] == pytest.approx([0.355, 0])
    assert [line[0, 0] for line in (mean, half)] == pytest.approx([0.7, 0.35])
    assert [text.get_text() for text in ax.texts] == ["the mean", "half of it"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [row[0] for row in training.recipes_table(RECORD).rows]
    assert ax.get_xlim()[1] > 0.7


def test_every_recipe_of_the_script_has_words_and_the_base_is_the_same():
    place = Path(__file__).parents[3] / "figures" / "latent_training.py"
    spec = importlib.util.spec_from_file_location("latent_training_recipes", place)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert list(training.WORDS) == list(script.RECIPES)
    assert training.BASE == script.BASE
