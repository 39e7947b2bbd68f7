"""A check of the reader's machine: versions against those the tests passed with, the device, and MNIST.

Versions are read from the packages' metadata, so nothing heavy is imported until `device` is asked for.
"""

from __future__ import annotations

import os
import platform
import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from nodelib.data.folders import mnist_folder

ROOT = Path(__file__).parents[2]


class Package(NamedTuple):
    """One package: the version that is here and the one that the tests passed with, None where there is none."""

    name: str
    here: str | None
    tested: str | None

    @property
    def verdict(self) -> str:
        if self.here is None:
            return "missing"
        # "2.13.0+cpu" and "2.13.0" are one version, built for two kinds of machine
        return "as tested" if self.here.partition("+")[0] == self.tested else "another version than tested"


class Report(NamedTuple):
    """What `check` found; prints as a table."""

    python: str
    packages: tuple[Package, ...]
    mnist: Path | None

    @property
    def missing(self) -> list[str]:
        """What has to be installed before a chapter can run."""
        return [package.name for package in self.packages if package.here is None]

    def __str__(self) -> str:
        lines = [f"{'package':<14}{'here':<16}{'tested':<12}"]
        lines += [f"{p.name:<14}{p.here or '–':<16}{p.tested or '–':<12}{p.verdict}" for p in self.packages]
        machine = f"Python {self.python} on {platform.system()} with {_cores()} CPU cores"
        mnist = "here" if self.mnist else "not here (chapter 3 says how to get it, and what it shows without)"
        return "\n".join([machine, *lines, f"MNIST: {mnist}"])


class Device(NamedTuple):
    """Where torch can compute: ``name`` is "cuda" or "cpu"; ``text`` says it in words."""

    name: str
    text: str


def check() -> Report:
    """The versions here and those tested, and MNIST's folder where it is found. Imports none of the packages, and
    downloads nothing."""
    pins = pinned(ROOT / "constraints.txt")
    packages = tuple(Package(name, _installed(name), pins.get(name)) for name in needed())
    return Report(platform.python_version(), packages, mnist_folder())


def needed() -> list[str]:
    """The packages that the chapters need, in the order of pyproject.toml, extras aside."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [_normal(re.split(r"[^\w.-]", line)[0]) for line in project["dependencies"]]


def pinned(path: Path) -> dict[str, str]:
    """The ``name==version`` lines of a constraints file, by normalised name; empty where there is no such file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {_normal(match[1]): match[2] for line in lines if (match := re.match(r"([\w.-]+)==([^\s;#]+)", line))}


def device() -> Device:
    """The device that torch offers, after it has multiplied two matrices as the CPU does. Imports torch.

    Raises RuntimeError when the device computes something else.
    """
    import torch  # here, since it takes seconds and only this check needs it

    version = f"torch {torch.__version__}, {torch.get_num_threads()} CPU threads"
    if not torch.cuda.is_available():
        return Device("cpu", f"{version}, no CUDA device: everything runs on the CPU")
    a = torch.linspace(-1, 1, 64 * 64, dtype=torch.float64).reshape(64, 64)
    if not torch.allclose(a @ a, (a.cuda() @ a.cuda()).cpu(), rtol=1e-12, atol=1e-12):
        raise RuntimeError("the CUDA device multiplies wrongly: set CUDA_VISIBLE_DEVICES='' to work without it")
    return Device("cuda", f"{version}, CUDA on {torch.cuda.get_device_name()}")


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _cores() -> int:
    """The cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
