"""The check of the reader's machine: what it says of a good one, of a bad one, and what it does not import."""

import subprocess
import sys
from importlib import metadata

import pytest

from nodelib.data import folders
from nodelib.data.folders import MNIST_FILES
from nodelib.workbook import machine
from nodelib.workbook.machine import Package


@pytest.mark.parametrize(
    ("here", "verdict"),
    [("2.13.0", "as tested"), ("2.13.0+cpu", "as tested"), ("2.13", "another version than tested"), (None, "missing")],
)
def test_a_version_is_as_tested_whatever_it_was_built_for(here, verdict):
    assert Package("torch", here, "2.13.0").verdict == verdict


def test_a_missing_package_is_named(monkeypatch):
    def version(name: str) -> str:
        if name == "autograd":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    report = machine.check()
    assert report.missing == ["autograd"]
    assert [line.split()[-1] for line in str(report).splitlines() if line.startswith("autograd")] == ["missing"]


def test_each_package_that_a_chapter_needs_is_here_and_pinned():
    report = machine.check()
    assert {"numpy", "scipy", "torch", "autograd", "ipywidgets"} <= {package.name for package in report.packages}
    assert not report.missing
    assert all(package.tested for package in report.packages)


def test_pins_are_read_by_normalised_name(tmp_path):
    pins = tmp_path / "constraints.txt"
    pins.write_text("# tested\nJinja2==3.1\nruamel_yaml.clib==0.2 ; python_version < '3.13'\n-e .\n", encoding="utf-8")
    assert machine.pinned(pins) == {"jinja2": "3.1", "ruamel-yaml-clib": "0.2"}


def test_mnist_is_found_only_when_all_four_files_are_there(monkeypatch, tmp_path):
    monkeypatch.setenv("NODELIB_DATA", str(tmp_path))
    monkeypatch.setattr(folders.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache"))
    assert machine.check().mnist is None
    assert "MNIST: not here" in str(machine.check())
    for folder in (tmp_path / "cache" / "mnist", tmp_path / "mnist"):
        folder.mkdir(parents=True)
        for name in MNIST_FILES:
            assert machine.check().mnist != folder
            (folder / name).touch()
        assert machine.check().mnist == folder
        assert str(machine.check()).endswith("MNIST: here")  # and not where: a stored notebook would tell it


def test_the_check_imports_nothing_heavy():
    code = "import sys; from nodelib.workbook import machine; machine.check(); print(*sys.modules)"
    imported = subprocess.run(
        [sys.executable, "-c", code], cwd=machine.ROOT, capture_output=True, text=True, check=True
    )
    assert not {"torch", "numpy", "scipy", "matplotlib", "autograd"} & set(imported.stdout.split())


def test_the_device_without_cuda_is_the_cpu(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    device = machine.device()
    assert device.name == "cpu"
    assert device.text.startswith(f"torch {torch.__version__}, ")
    assert "everything runs on the CPU" in device.text


def test_a_device_that_computes_wrongly_is_refused(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a good one")
    monkeypatch.setattr(torch.Tensor, "cuda", lambda tensor: tensor)
    device = machine.device()
    assert device.name == "cuda"
    assert device.text.endswith(", CUDA on a good one")
    monkeypatch.setattr(torch.Tensor, "cuda", lambda tensor: tensor + 1e-6)
    with pytest.raises(RuntimeError, match="multiplies wrongly: set CUDA_VISIBLE_DEVICES=''"):
        machine.device()
