# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportIncompatibleMethodOverride=false
# (torch types the children of a Module as Tensor | Module)
"""The sets of images: the digits, MNIST's files checked, fetched and missed, and the random shifts of training."""

import gzip
import hashlib
import struct
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import numpy as np
import pooch
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from nodelib.data import folders
from nodelib.data import mnist as module
from nodelib.data.digits import digits
from nodelib.data.images import Images, random_crop
from nodelib.data.mnist import SHA256, mnist

real_files = pytest.mark.skipif(folders.mnist_folder() is None, reason="MNIST is not on this machine: set NODELIB_DATA")


# --- digits -----------------------------------------------------------------------------------------------------------


def test_the_digits_are_divided_and_none_is_lost():
    train, test = digits()
    assert (train.x.shape, test.x.shape) == ((1437, 1, 8, 8), (360, 1, 8, 8))
    assert (train.x.dtype, train.y.dtype, train.side) == (torch.float32, torch.int64, 8)
    x = torch.cat([train.x, test.x])
    assert (x.min(), x.max()) == (0, 1)
    pictures = sorted(map(bytes, (x * 16).to(torch.uint8).reshape(1797, 64).numpy()))
    assert pictures == sorted(map(bytes, load_digits().data.astype(np.uint8)))
    assert torch.equal(torch.cat([train.y, test.y]).bincount(), torch.as_tensor(np.bincount(load_digits().target)))


def test_the_seed_divides_the_digits():
    assert all(torch.equal(a, b) for a, b in zip(sum(digits(1), ()), sum(digits(1), ()), strict=True))
    assert not torch.equal(digits(1)[1].y, digits(2)[1].y)


def test_labels_stay_with_their_images():
    (x, y), pictures = digits(3)[0], map(bytes, load_digits().data.astype(np.uint8))
    by_picture = dict(zip(pictures, load_digits().target, strict=True))
    for picture, label in zip((x * 16).to(torch.uint8).reshape(-1, 64).numpy(), y.tolist(), strict=True):
        assert by_picture[bytes(picture)] == label


# --- MNIST's files ----------------------------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    """A gzipped IDX file of bytes, as its authors describe the format."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


class Tiny(NamedTuple):
    """A made-up MNIST: what its two test files say, and the files."""

    x: np.ndarray
    y: np.ndarray
    files: dict[str, bytes]


@pytest.fixture
def tiny(monkeypatch, tmp_path) -> Tiny:
    """Its checksums stand for the published ones; neither folder has the files yet, and NODELIB_DATA is not set."""
    x, y = np.arange(3 * 4 * 5).reshape(3, 4, 5), np.array([7, 2, 1])
    files = {"t10k-images-idx3-ubyte.gz": idx(x), "t10k-labels-idx1-ubyte.gz": idx(y)}
    for name, content in files.items():
        monkeypatch.setitem(SHA256, name, hashlib.sha256(content).hexdigest())
    monkeypatch.delenv("NODELIB_DATA", raising=False)
    monkeypatch.setattr(folders.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache"))
    return Tiny(x, y, files)


@pytest.fixture
def server(tiny, monkeypatch) -> Iterator[HTTPServer]:
    """Serves the tiny files on this machine; ``server.spoil`` changes a file's bytes on their way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = tiny.files[self.path.strip("/")]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(self.server.spoil(content))  # type: ignore[attr-defined]

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.spoil = lambda content: content  # type: ignore[attr-defined]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "SOURCE", f"http://127.0.0.1:{server.server_port}/")
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def no_download(*_: object, **__: object) -> None:
    raise AssertionError("nothing may be downloaded")


def check_tiny(images: Images, tiny: Tiny) -> None:
    assert images.x.shape == (3, 1, 4, 5)
    assert torch.equal(images.x[:, 0], torch.as_tensor(tiny.x, dtype=torch.float32) / 255)
    assert images.y.tolist() == tiny.y.tolist()
    assert (images.x.dtype, images.y.dtype) == (torch.float32, torch.int64)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 3, 4)])
def test_an_idx_file_is_read_as_its_header_says(tmp_path, shape):
    array = np.random.default_rng(0).integers(0, 256, shape)
    (tmp_path / "some.gz").write_bytes(idx(array))
    np.testing.assert_array_equal(module._read(tmp_path / "some.gz"), array)


def test_files_are_read_from_the_folder_that_is_set(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(pooch, "retrieve", no_download)
    put(tmp_path / "mine" / "mnist", tiny.files)
    monkeypatch.setenv("NODELIB_DATA", str(tmp_path / "mine"))
    check_tiny(mnist("test"), tiny)


def test_files_are_read_from_the_cache(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(pooch, "retrieve", no_download)
    put(tmp_path / "cache" / "mnist", tiny.files)
    check_tiny(mnist("test"), tiny)


def test_a_changed_file_is_refused(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(pooch, "retrieve", no_download)
    name = "t10k-labels-idx1-ubyte.gz"
    put(tmp_path / "mine" / "mnist", tiny.files | {name: idx(np.array([7, 2, 3]))})
    monkeypatch.setenv("NODELIB_DATA", str(tmp_path / "mine"))
    with pytest.raises(ValueError, match=rf"{name} is not the published file: its SHA-256 is \w+ instead of"):
        mnist("test")


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match='split must be "train" or "test", not \'validation\''):
        mnist("validation")


def test_files_are_downloaded_once_into_the_cache(tiny, server, monkeypatch, tmp_path):
    check_tiny(mnist("test"), tiny)
    assert {p.name: p.read_bytes() for p in (tmp_path / "cache" / "mnist").iterdir()} == tiny.files
    monkeypatch.setattr(pooch, "retrieve", no_download)
    check_tiny(mnist("test"), tiny)


@pytest.mark.parametrize(
    "spoil",
    [lambda content: content[:20], lambda content: content[:-1] + b"?", lambda content: b"<html>" * 100],
    ids=["ends in the middle", "another content", "another file"],
)
def test_a_failed_download_leaves_nothing_behind(tiny, server, tmp_path, spoil):
    server.spoil = spoil
    with pytest.raises(FileNotFoundError, match=r"Two ways to get it: with a network, .*; without one, "):
        mnist("test")
    assert list((tmp_path / "cache" / "mnist").iterdir()) == []
    server.spoil = lambda content: content
    check_tiny(mnist("test"), tiny)


def test_a_download_has_its_name_only_when_it_is_whole(tiny, server, tmp_path):
    """What an interrupted process leaves has another name, and is not taken for the file."""
    folder, names = tmp_path / "cache" / "mnist", []

    def spoil(content: bytes) -> bytes:
        names.extend(p.name for p in folder.iterdir())
        return content

    server.spoil = spoil
    mnist("test")
    first = "t10k-images-idx3-ubyte.gz"
    assert names.count(first) == 1  # it is there when the second file is fetched, not before
    assert "t10k-labels-idx1-ubyte.gz" not in names


def test_without_a_network_the_error_names_both_ways(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "SOURCE", "http://127.0.0.1:1/")  # nobody listens
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(FileNotFoundError) as error:
        mnist("test")
    said = str(error.value)
    assert "t10k-images-idx3-ubyte.gz is in none of" in said
    assert str(tmp_path / "cache" / "mnist") in said
    assert "with a network, unset NODELIB_DATA" in said
    assert "without one, fetch" in said
    assert all(name in said for name in SHA256)
    assert "set NODELIB_DATA to the folder around it" in said


def test_a_folder_that_is_set_but_lacks_the_files_is_not_filled(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(pooch, "retrieve", no_download)
    monkeypatch.setenv("NODELIB_DATA", str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError, match="NODELIB_DATA is set, so nothing was downloaded"):
        mnist("test")
    assert not (tmp_path / "empty").exists()


@real_files
@pytest.mark.parametrize(
    ("split", "n", "labels"), [("train", 60_000, [5, 0, 4, 1, 9]), ("test", 10_000, [7, 2, 1, 0, 4])]
)
def test_the_real_files(split, n, labels):
    images = mnist(split)
    assert images.x.shape == (n, 1, 28, 28)
    assert (images.x.min(), images.x.max()) == (0, 1)
    assert images.y[:5].tolist() == labels
    assert images.y.bincount().min() > 0.08 * n


# --- random shifts ----------------------------------------------------------------------------------------------------


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("padding", "height", "width"), [(4, 28, 28), (1, 8, 8), (2, 5, 3)])
def test_a_crop_is_the_padded_image_cut(padding, height, width):
    x = torch.rand(50, 1, height, width, generator=seeded(1))
    places = torch.randint(2 * padding + 1, (2, 50), generator=seeded(2)).T.tolist()
    padded = F.pad(x, [padding] * 4)
    wanted = [p[:, i : i + height, j : j + width] for p, (i, j) in zip(padded, places, strict=True)]
    assert torch.equal(random_crop(x, padding, seeded(2)), torch.stack(wanted))


def test_shifts_are_uniform_over_all_places_and_reproducible():
    padding, n = 2, 5000
    x = torch.zeros(n, 1, 7, 7)
    x[:, 0, 3, 3] = 1  # where it ends up tells the shift
    found = random_crop(x, padding, seeded(0))
    counts = found.sum((0, 1)).int()
    assert counts.sum() == n  # a shift of up to 2 keeps the middle inside
    assert counts[1:6, 1:6].sum() == n
    assert counts[1:6, 1:6].min() > 0.8 * n / 25
    assert counts.max() < 1.2 * n / 25
    assert torch.equal(found, random_crop(x, padding, seeded(0)))
    assert not torch.equal(found, random_crop(x, padding, seeded(1)))


def test_no_padding_is_no_shift():
    x = torch.rand(4, 1, 8, 8)
    assert torch.equal(random_crop(x, 0, seeded(0)), x)
