"""The scripts that record chapter 6's gradients run from one end to the other, and a smoke run leaves nothing."""

import importlib.util
import sys
from pathlib import Path

import pytest

from nodelib.experiments import records

FIGURES = Path(__file__).parents[3] / "figures"
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("name", ["lost_gradients", "which_gradient"])
def test_a_smoke_run_measures_and_leaves_nothing(monkeypatch, name):
    spec = importlib.util.spec_from_file_location(f"{name}_script", FIGURES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--smoke"])
    before = {path: path.stat().st_mtime_ns for path in FIGURES.rglob("*.json")}
    script.main()
    assert {path: path.stat().st_mtime_ns for path in FIGURES.rglob("*.json")} == before


def test_the_records_have_ten_seeds_and_say_where_they_come_from():
    for name in ("lost_gradients", "which_gradient"):
        record = records.read(name)
        assert record["seeds"] == 10
        assert record["provenance"]["command"] == f"python figures/{name}.py"
