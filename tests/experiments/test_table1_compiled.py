"""``figures/table1_mnist.py --compile``: which networks it compiles, under which names, and how they are built."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from nodelib.models.table1 import COMPILED, MODELS

SCRIPT = Path(__file__).parents[2] / "figures" / "table1_mnist.py"


@pytest.fixture
def script(monkeypatch, tmp_path) -> Any:
    spec: Any = importlib.util.spec_from_file_location("table1_mnist", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "STATES", tmp_path)
    return module


def test_only_networks_with_an_ode_are_compiled_and_named_so(script, monkeypatch):
    asked = []
    monkeypatch.setattr(script.records, "names", lambda: ["mnist_rknet_1epochs_seed0"])  # not compiled: no hindrance
    monkeypatch.setattr(script, "run", lambda model, s, device, compiled: asked.append((model, compiled)))
    monkeypatch.setattr(sys, "argv", ["x", "--compile", "--epochs", "1", "--model", "resnet", "rknet", "odenet"])
    script.main()
    assert asked == [("resnet", False), ("rknet", True), ("odenet", True)]
    names = [script.name_of(model, script.Settings(epochs=1), compiled) for model, compiled in asked]
    assert names == ["mnist_resnet_1epochs_seed0", *(f"mnist_{m}_1epochs_compiled_seed0" for m in ("rknet", "odenet"))]


def test_what_is_trained_is_built_for_it(script, monkeypatch):
    found: dict[str, Any] = {}

    class Trained(Exception):
        pass

    def train(network, train, test, s, state):
        found["body"], found["state"] = network.body, state.name
        raise Trained

    monkeypatch.setattr(script, "mnist", lambda part: None)
    monkeypatch.setattr(script, "train", train)
    with pytest.raises(Trained):
        script.run("odenet", script.Settings(epochs=1), "cpu", compiled=True)
    assert found["body"].settings["options"] == {"compile": True}
    assert found["body"].gradient == "adjoint"
    assert "_compiled_" in found["state"]


@pytest.mark.parametrize("model", COMPILED)
def test_the_networks_are_the_same_but_for_their_solves(model):
    plain, compiled = MODELS[model](), MODELS[model](**COMPILED[model])
    shapes = [{name: x.shape for name, x in network.state_dict().items()} for network in (plain, compiled)]
    assert shapes[0] == shapes[1]
