"""Trained models of series are loaded by name, as what they were."""

import pytest
import torch
from safetensors.torch import save_file

from nodelib.data.spirals import make_spirals
from nodelib.experiments.forecasts import further_errors
from nodelib.experiments.latent import LATENT, RECURRENT, make
from nodelib.models import checkpoints
from nodelib.models.latent import LatentODE
from nodelib.models.trained_series import DATA_SEEDS, STARTS, trained_series

SETS = [make_spirals(8, seed, sizes=(4, 1, 3)) for seed in range(DATA_SEEDS)]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("latent ODE", "latent_ODE"),
        ("latent ODE, ODE-RNN encoder", "latent_ODE_ODE-RNN_encoder"),
        ("rnn-decay", "rnn-decay"),
        ("gru-dt", "gru-dt"),
        ("ode-rnn", "ode-rnn"),
    ],
)
def test_a_model_is_loaded_by_its_name_as_it_was_trained(name, stem, tmp_path, monkeypatch):
    """It foretells what the model of the experiment does: the same gap, the same encoder, the same order of models."""
    monkeypatch.setattr(checkpoints, "CHECKPOINTS", tmp_path)
    torch.manual_seed(0)
    models = DATA_SEEDS * STARTS
    trained = make(name, SETS, models, LATENT if "latent" in name else RECURRENT)
    save_file(trained.state_dict(), tmp_path / f"table2_spirals_{stem}_8.safetensors")
    loaded = trained_series(name, 8, sigma=0.3)
    assert type(loaded) is type(trained)
    assert not any(p.requires_grad for p in loaded.parameters())
    which = [m // STARTS for m in range(models)]
    expected, found = (further_errors(model, SETS, which) for model in (trained, loaded))
    assert len(found.clean) == models
    assert found == expected
    if isinstance(loaded, LatentODE):
        assert loaded.sigma == 0.3


def test_a_name_without_parameters_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="no parameters of 'table2_spirals_gru-dt_31'"):
        trained_series("gru-dt", 31)
