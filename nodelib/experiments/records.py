"""Measured results with their provenance: ``figures/records/NAME.json``, written by the script that measured, read by
chapters and README."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "figures" / "records"


def write(name: str, numbers: dict[str, Any], seconds: float, device: str) -> Path:
    """Write the record ``name`` atomically, and return its path.

    numbers:  what was measured, and the settings it depends on; goes into JSON, with 6 significant digits.
    seconds:  the wall time of the measurement.
    device:   in words, as ``describe_device`` gives it.

    Command, versions, commit and date are added here.
    """
    provenance = {
        "command": " ".join(["python", _program(), *sys.argv[1:]]),
        "device": device,
        "seconds": round(seconds, 1),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "versions": {"python": platform.python_version()} | {p: metadata.version(p) for p in ("torch", "numpy")},
    }
    RECORDS.mkdir(parents=True, exist_ok=True)
    path = RECORDS / f"{name}.json"
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(_rounded({**numbers, "provenance": provenance}), indent=1) + "\n", encoding="utf-8")
    os.replace(draft, path)
    return path


def read(name: str) -> dict[str, Any]:
    """The record ``name``: the numbers, and under "provenance" where they come from. Raises FileNotFoundError, with the
    names there are."""
    path = RECORDS / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"there is no record {name!r} in {RECORDS}; there are: {', '.join(names())}")
    return json.loads(path.read_text(encoding="utf-8"))


def names(prefix: str = "") -> list[str]:
    """The names of the records that begin with ``prefix``, sorted."""
    return sorted(path.stem for path in RECORDS.glob(f"{prefix}*.json"))


def describe_device(device: str) -> str:
    """The machine in words: the GPU's name, or the processor's with the threads that torch uses."""
    import torch  # here, since records are read without it

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} CPU thread{'s' if threads > 1 else ''}"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(x) for key, x in value.items()}
    return [_rounded(x) for x in value] if isinstance(value, list | tuple) else value


def commit() -> str:
    """The commit that HEAD stands at, with "+" where files differ from it; "unknown" outside of a repository."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "nodelib", "figures/*.py")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return " ".join(next(named, platform.processor() or platform.machine()).split())


def _program() -> str:
    """What Python was started with: a file, or ``-m`` and a module."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.name.startswith("tests."):
        return f"-m {spec.name.removesuffix('.__main__')}"
    return _relative(sys.argv[0])


def _relative(path: str) -> str:
    file = Path(path).resolve()
    return file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else file.name
