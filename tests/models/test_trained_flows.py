"""Trained flows are loaded by name, as what they were."""

import pytest
import torch
from safetensors.torch import save_file

from nodelib.models import checkpoints
from nodelib.models.flow_fields import FreeField, GatedField, TimedField
from nodelib.models.flows import CNF, PlanarFlow
from nodelib.models.trained_flows import trained_flow


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("fig4_planar_planar_2", lambda: PlanarFlow(2, models=9)),
        ("fig4_equal_gated_8", lambda: CNF(GatedField(8, models=9))),
        ("fig4_equal_timed_2", lambda: CNF(TimedField(2, models=9))),
        ("fig5_planar_moons", lambda: PlanarFlow(64, models=3, towards="base")),
        ("fig5_cnf_circles", lambda: CNF(GatedField(64, models=3))),
        ("bridge_6", lambda: CNF(GatedField(64, models=10))),
        ("regularised_flows_0.1", lambda: CNF(GatedField(64, models=10))),
        ("flow_matching_optimal_1", lambda: CNF(FreeField(64))),
    ],
)
def test_a_flow_is_loaded_by_its_name(name, model, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINTS", tmp_path)
    torch.manual_seed(0)
    trained = model()
    save_file(trained.state_dict(), tmp_path / f"{name}.safetensors")
    loaded = trained_flow(name, rtol=1e-4)
    assert type(loaded) is type(trained)
    assert getattr(loaded, "towards", None) == getattr(trained, "towards", None)
    if isinstance(loaded, CNF):
        assert type(loaded.field) is type(trained.field)
        assert (loaded.settings["rtol"], loaded.settings["atol"]) == (1e-4, 1e-4)
    for key, value in trained.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value)


def test_a_name_without_parameters_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="no parameters of 'fig5_cnf_stars'"):
        trained_flow("fig5_cnf_stars")
