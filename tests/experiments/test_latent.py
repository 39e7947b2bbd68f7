# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
"""Training on spirals: models side by side are as alone, an interrupted run ends as a whole one."""

import argparse
import importlib.util
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nodelib.data.spirals import STEPS, make_spirals
from nodelib.experiments import latent
from nodelib.experiments.forecasts import Errors, series_of
from nodelib.experiments.latent import MODELS, RatedAdam, Recipe, SpiralLoss, fit, horizon
from nodelib.models.series import Series

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[2]
SETS = [make_spirals(8, seed, sizes=(12, 4, 6), dtype=torch.float64) for seed in (0, 1)]
SHORT = Recipe(40, batch=5, growth=0.5)


def vector(model: torch.nn.Module) -> Tensor:
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach()


# --- the optimizer ----------------------------------------------------------------------------------------------------


def optimizer(name: str, which: list[int], rates: list[float], recipe: Recipe = SHORT) -> RatedAdam:
    torch.manual_seed(0)
    model = latent.make(name, SETS, len(which), recipe).double()
    loss = SpiralLoss(series_of([each.train for each in SETS], SETS[0].grid), torch.tensor(which))
    found = RatedAdam(model, loss, torch.tensor(rates, dtype=torch.float64), recipe, (len(which), 5, 5))
    found.prepare()
    found.lr.fill_(1.0)
    latent.rows_and_noise(12)(found.batch, torch.Generator().manual_seed(0))
    return found


@pytest.mark.parametrize("name", ["latent ODE", "gru-dt"])
def test_models_train_side_by_side_as_alone(name):
    """Of its own set, at its own rate, clipped alone."""
    recipe = SHORT._replace(clip=0.01)
    many, one = optimizer(name, [0, 1, 1], [0.01, 0.02, 0.04], recipe), optimizer(name, [1], [0.04], recipe)
    one.model.load_state_dict({key: x[2:] for key, x in many.model.state_dict().items()})
    one.batch.copy_(many.batch[:, 2:])
    assert (many.run()[:, 2] - one.run()[:, 0]).abs().max() < 1e-12
    for key, x in one.model.state_dict().items():
        assert (many.model.state_dict()[key][2:] - x).abs().max() < 1e-12, key


def test_at_one_rate_the_step_is_torchs():
    ours = optimizer("rnn-dt", [0, 1], [0.02, 0.02], SHORT._replace(clip=1e9))
    twin = optimizer("rnn-dt", [0, 1], [0.02, 0.02])
    theirs = torch.optim.Adam(twin.model.parameters(), lr=0.02)
    for batch in ours.batch[:4]:
        ours.spirals.horizon = twin.spirals.horizon = 1.0
        for each in (ours, twin):
            each.adam.zero_grad()
            each.loss(each.model, batch).sum().backward()
        ours.step()
        theirs.step()
    assert (vector(ours.model) - vector(twin.model)).abs().max() < 1e-12


def test_a_gradient_that_overflows_stops_one_model_for_one_step():
    ours, twin = (optimizer("rnn-dt", [0, 1], [0.02, 0.02]) for _ in range(2))
    for each in (ours, twin):
        each.adam.zero_grad()
        each.loss(each.model, each.batch[0]).sum().backward()
    next(ours.model.parameters()).grad[0, 0, 0] = torch.inf
    before = {key: x.clone() for key, x in ours.model.state_dict().items()}
    ours.step()
    twin.step()
    for key, x in ours.model.state_dict().items():
        assert torch.equal(x[0], before[key][0])
        assert torch.equal(x[1], twin.model.state_dict()[key][1])


def test_the_horizon_grows_to_the_window_and_is_in_the_loss():
    shares = [horizon(share, SHORT) for share in (0.0, 0.25, 0.5, 1.0)]
    assert shares == pytest.approx([0.1, 0.55, 1.0, 1.0])
    assert horizon(0.0, Recipe(10)) == 1.0
    loss, batch = optimizer("latent ODE", [0], [0.1]), torch.zeros(1, 5, 5, dtype=torch.float64)
    whole = loss.spirals(loss.model, batch)
    loss.spirals.horizon = 0.5
    assert (loss.spirals(loss.model, batch) - whole).abs() > 1e-3


def test_a_model_sees_the_rows_of_its_own_set():
    seen = []

    class Watching(torch.nn.Module):
        def loss(self, series: Series, noise: Tensor) -> Tensor:
            seen.append((series, noise))
            return noise.sum((1, 2))

    loss = SpiralLoss(series_of([each.train for each in SETS], SETS[0].grid), torch.tensor([1, 0]))
    batch = torch.tensor([[[3.0, 7.0], [11.0, 8.0]], [[0.0, 9.0], [4.0, 6.0]]], dtype=torch.float64)
    assert loss(Watching(), batch).tolist() == [15.0, 15.0]
    series = seen[0][0]
    assert torch.equal(series.x[0], SETS[1].train.x[[3, 11]])
    assert torch.equal(series.step[1], SETS[0].train.step[[0, 4]])
    assert len(series.grid) == STEPS


# --- runs -------------------------------------------------------------------------------------------------------------


class Interrupted(Exception):
    """As if the machine had been switched off."""


@pytest.mark.parametrize("name", ["latent ODE", "rnn-decay"])
def test_an_interrupted_run_ends_bit_for_bit_as_an_uninterrupted_one(name, tmp_path, monkeypatch):
    recipe = SHORT if name == "latent ODE" else SHORT._replace(growth=0.0)
    settings = (name, SETS, [0, 1], [0.01, 0.04], recipe)
    whole, log = fit(*settings, state=tmp_path / "whole")
    run, calls = RatedAdam.run, [0]

    def interrupted(self: RatedAdam) -> Tensor:
        calls[0] += 1
        if calls[0] == 3:
            raise Interrupted
        return run(self)

    path = tmp_path / "parts"
    monkeypatch.setattr(RatedAdam, "run", interrupted)
    with monkeypatch.context() as patched:
        patched.setattr(latent, "train", lambda *a, **k: train_saving_each_time(*a, **k))
        with pytest.raises(Interrupted):
            fit(*settings, state=path)
    assert path.exists()
    monkeypatch.setattr(RatedAdam, "run", run)
    again, second = fit(*settings, state=path)
    assert torch.equal(vector(whole), vector(again))
    assert second.iteration == log.iteration
    assert second.loss == log.loss
    torch.manual_seed(1)  # what is drawn elsewhere changes nothing
    assert torch.equal(vector(fit(*settings)[0]), vector(whole))


def train_saving_each_time(*arguments, **settings):
    from nodelib.experiments.optimize import train

    return train(*arguments, **settings, every=0.0)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_learns(name):
    """On two series, until its loss is well below what it began with."""
    few = [make_spirals(8, 0, sizes=(2, 1, 1), dtype=torch.float64)]
    _, log = fit(name, few, [0], [0.02], Recipe(60, batch=4, decay=0.0))
    assert log.loss[-1][0] < 0.7 * log.loss[0][0]


def test_unknown_models_are_refused():
    with pytest.raises(ValueError, match="name must be one of latent ODE, "):
        latent.make("transformer", SETS, None, SHORT)


# --- the script -------------------------------------------------------------------------------------------------------


def left() -> list[Path]:
    """What a run leaves for good; ``states`` may be another run's."""
    return sorted(path for name in ("records", "checkpoints") for path in (ROOT / "figures" / name).iterdir())


def script():
    place = ROOT / "figures" / "table2_spirals.py"
    spec = importlib.util.spec_from_file_location("table2_spirals", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_rate_is_the_best_on_validation_series(monkeypatch, tmp_path):
    """Errors that are known functions of rate and data seed, in the place of trainings."""
    module, asked = script(), []

    def fit(name, sets, which, rates, recipe, **settings):
        asked.append((which, rates, recipe.iterations))
        return torch.nn.Linear(1, 1), latent.Log([1], [0.0], [[0.0]], [0.0])

    def errors(model, sets, which, split):
        assert split == ("validation" if len(asked) == 1 else "test")
        found = [abs(rate - 0.04) + seed for seed, rate in zip(which, asked[-1][1], strict=True)]
        return Errors([9.0] * len(found), found)

    monkeypatch.setattr(module, "fit", fit)
    monkeypatch.setattr(module, "further_errors", errors)
    jobs = [("rnn", 30, what, 10) for what in ("tuning", "final")]
    settings = {
        "states": tmp_path,
        "checkpoints": None,
        "tuning": 7,
        "iterations": 8,
        "progress": module.Progress(jobs),
    }
    row = module.measured("rnn", 30, SETS, argparse.Namespace(**settings))
    assert row["rate"] == 0.04
    assert row["validation"]["0.04"] == [0, 1, 2]
    assert row["validation"]["0.01"] == pytest.approx([0.03, 1.03, 2.03])
    assert asked[1] == ([0, 0, 0, 1, 1, 1, 2, 2, 2], [0.04] * 9, 8)
    assert module.measured("rnn", 30, SETS, argparse.Namespace(**settings)) == row  # as it was recorded
    assert len(asked) == 2


def test_the_script_goes_all_the_way_and_leaves_nothing(capsys):
    before = left()
    numbers = script().main(["--smoke", "--model", "latent ODE", "rnn-dt"])
    assert left() == before
    for row in numbers["runs"]:
        means = {rate: sum(errors) for rate, errors in row["validation"].items()}
        assert means[str(row["rate"])] == min(means.values())
        assert len(row["clean"]) == len(row["noisy"]) == 9
    ode, rnn = (row["clean"] for row in numbers["runs"])
    (compared,) = numbers["against_latent_ode"]["clean"]
    assert compared["each"] == pytest.approx([b - a for a, b in zip(ode, rnn, strict=True)])
    assert compared["data_seeds"][1] == pytest.approx(sum(compared["each"][3:6]) / 3)
    printed = capsys.readouterr().out
    assert "100%,   0 min left] rnn-dt, 30 points, final: 100%" in printed
    assert "paper, latent ODE" in printed
