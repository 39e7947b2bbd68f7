"""Where MNIST's files are looked for. Imports nothing heavy, so that the check of the machine can ask, too."""

import os
from pathlib import Path

import platformdirs

MNIST_FILES = tuple(f"{part}-ubyte.gz" for part in (
    "train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"))  # fmt: skip


def mnist_folders() -> list[Path]:
    """``$NODELIB_DATA/mnist`` where that is set, then the user's cache."""
    given = os.environ.get("NODELIB_DATA")
    return [Path(folder) / "mnist" for folder in (given, platformdirs.user_cache_dir("nodelib")) if folder]


def mnist_folder() -> Path | None:
    """The first of these folders that holds all four files; None where none does."""
    return next((path for path in mnist_folders() if all((path / name).is_file() for name in MNIST_FILES)), None)
