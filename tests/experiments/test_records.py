"""Records: what is written is read back, with where it comes from, and never half of it."""

import json
import sys
from datetime import UTC, datetime
from importlib import metadata
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
import torch

from nodelib.experiments import records


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(sys, "argv", [str(records.ROOT / "figures" / "some.py"), "--seed", "1"])
    return tmp_path / "records"


def test_numbers_come_back_with_their_provenance(folder):
    before = datetime.now(UTC).date().isoformat()
    path = records.write("a", {"error": 0.004, "log": {"loss": [1.0, 1 / 3]}, "n": 3, "name": "x"}, 12.345, "a GPU")
    assert path == folder / "a.json"
    found = records.read("a")
    provenance = found.pop("provenance")
    assert found == {"error": 0.004, "log": {"loss": [1.0, 0.333333]}, "n": 3, "name": "x"}
    assert set(provenance) == {"command", "device", "seconds", "date", "commit", "versions"}
    assert provenance["command"] == "python figures/some.py --seed 1"
    assert (provenance["device"], provenance["seconds"]) == ("a GPU", 12.3)
    assert before <= provenance["date"] <= datetime.now(UTC).date().isoformat()
    assert provenance["versions"]["torch"] == metadata.version("torch")
    assert {"python", "numpy"} <= set(provenance["versions"])


def test_a_record_that_fails_leaves_the_one_before(folder):
    records.write("a", {"n": 1}, 1.0, "cpu")
    with pytest.raises(TypeError, match="not JSON serializable"):
        records.write("a", {"n": object()}, 1.0, "cpu")
    assert records.read("a")["n"] == 1
    records.write("a", {"n": 2}, 1.0, "cpu")
    assert records.read("a")["n"] == 2
    assert [path.name for path in folder.iterdir()] == ["a.json"]


def test_the_record_stands_under_its_name_only_when_it_is_whole(folder, monkeypatch):
    records.write("a", {"n": 1}, 1.0, "cpu")

    def interrupted(draft, path):
        assert json.loads(draft.read_text(encoding="utf-8"))["n"] == 2  # all of it, under another name
        raise KeyboardInterrupt

    monkeypatch.setattr(records.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        records.write("a", {"n": 2}, 1.0, "cpu")
    assert records.read("a")["n"] == 1
    assert records.names() == ["a"]


def test_names_are_sorted_and_a_missing_one_is_told():
    for name in ("b_2", "b_1", "a"):
        records.write(name, {}, 0.0, "cpu")
    assert records.names() == ["a", "b_1", "b_2"]
    assert records.names("b") == ["b_1", "b_2"]
    with pytest.raises(FileNotFoundError, match=r"there is no record 'c' in .*; there are: a, b_1, b_2"):
        records.read("c")


def test_a_command_outside_of_the_repository_is_told_without_its_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "secret" / "mine.py")])
    records.write("a", {}, 0.0, "cpu")
    assert records.read("a")["provenance"]["command"] == "python mine.py"


def test_a_module_that_was_started_is_told_as_one(monkeypatch):
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    for name, command in (
        ("tests.bench.scale", "tests.bench.scale"),
        ("tests.bench.peers.__main__", "tests.bench.peers"),
    ):
        module.__spec__ = ModuleSpec(name, None)
        records.write("a", {}, 0.0, "cpu")
        assert records.read("a")["provenance"]["command"] == f"python -m {command} --seed 1"


def test_the_commit_is_twelve_digits_or_unknown(tmp_path, monkeypatch):
    found = records.commit().rstrip("+")
    assert found == "unknown" or (len(found) == 12 and int(found, 16) >= 0)
    monkeypatch.setattr(records, "ROOT", tmp_path)  # no repository
    assert records.commit() == "unknown"


def test_the_device_in_words(monkeypatch):
    monkeypatch.setattr(records, "_processor", lambda: "A Processor")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert records.describe_device("cpu") == "A Processor, 1 CPU thread"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert records.describe_device("cpu") == "A Processor, 4 CPU threads"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU of {device}")
    assert records.describe_device("cuda:1") == "GPU of cuda:1"
