"""MNIST (LeCun, Cortes & Burges): 60,000 digits to train on and 10,000 to test on, each of 28 × 28 pixels.

The four original files are read from ``$NODELIB_DATA/mnist`` where that is set, else from the user's cache, into which
they are downloaded once (11 MB).
"""

import gzip
import os
from pathlib import Path

import numpy as np
import pooch
import torch

from nodelib.data.folders import mnist_folders
from nodelib.data.images import Images

SOURCE = "https://ossci-datasets.s3.amazonaws.com/mnist/"
SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


def mnist(split: str = "train") -> Images:
    """The images and labels of "train" (60,000) or "test" (10,000).

    A file is used when its SHA-256 is right, and downloaded under another name first, so that an interrupted download
    leaves nothing behind. Raises ValueError for another split or a file with another content, and FileNotFoundError,
    which says both ways to get the files, where they are missing and cannot be downloaded.
    """
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test", not {split!r}')
    part = "train" if split == "train" else "t10k"
    x, y = (_read(file(f"{part}-{kind}-ubyte.gz")) for kind in ("images-idx3", "labels-idx1"))
    return Images(torch.from_numpy(x)[:, None].float() / 255, torch.from_numpy(y).long())


def file(name: str) -> Path:
    """The path of one of the four files, checked; downloads it into the user's cache where it is in no folder."""
    for folder in mnist_folders():
        if (folder / name).is_file():
            return _checked(folder / name)
    if os.environ.get("NODELIB_DATA"):  # whoever names a folder does not expect a download into another
        raise FileNotFoundError(_missing(name, "NODELIB_DATA is set, so nothing was downloaded"))
    try:
        found = pooch.retrieve(SOURCE + name, f"sha256:{SHA256[name]}", name, mnist_folders()[-1])
    except (OSError, ValueError) as error:  # no network, or a file that is not the one published
        raise FileNotFoundError(_missing(name, f"{type(error).__name__}: {error}")) from error
    return Path(found)


def _checked(path: Path) -> Path:
    found = pooch.file_hash(str(path))
    if found != SHA256[path.name]:
        raise ValueError(
            f"{path} is not the published file: its SHA-256 is {found} instead of {SHA256[path.name]}. "
            "Delete it, and it will be downloaded again"
        )
    return path


def _missing(name: str, why: str) -> str:
    return (
        f"MNIST: {name} is in none of {', '.join(map(str, mnist_folders()))} ({why}). Two ways to get it: with a "
        f"network, unset NODELIB_DATA and call mnist() again, which downloads 11 MB; without one, fetch "
        f"{', '.join(SHA256)} from {SOURCE} elsewhere, put them into a folder called mnist, and set NODELIB_DATA to "
        "the folder around it"
    )


def _read(path: Path) -> np.ndarray:
    """An IDX file of bytes: two zeros, the type (8: unsigned byte), the number of axes, their lengths, the entries."""
    data = gzip.decompress(path.read_bytes())
    lengths = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(lengths).copy()
