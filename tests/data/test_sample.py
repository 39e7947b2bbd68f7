"""The fifty digits that come with the package: a valid PNG, the images of MNIST that it says, and chosen as it says."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nodelib.data import folders, sample
from nodelib.data.images import Images
from nodelib.data.mnist import mnist
from nodelib.data.sample import COLUMNS, PLAIN, SHEET, SIDE, mnist_sample, mnist_sample_numbers

SCRIPT = Path(__file__).parents[2] / "figures" / "mnist_sample.py"
spec = importlib.util.spec_from_file_location("mnist_sample_script", SCRIPT)
assert spec is not None
assert spec.loader is not None
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)

real_files = pytest.mark.skipif(folders.mnist_folder() is None, reason="MNIST is not on this machine: set NODELIB_DATA")


def test_five_of_each_digit_in_the_order_of_the_sheet():
    x, y = mnist_sample()
    assert (x.shape, x.dtype, y.dtype) == ((10 * COLUMNS, 1, SIDE, SIDE), torch.float32, torch.int64)
    assert (x.amin(), x.amax()) == (0, 1)
    assert y.tolist() == [digit for digit in range(10) for _ in range(COLUMNS)]
    assert len(set(mnist_sample_numbers())) == len(x.flatten(1).unique(dim=0)) == len(y)


def test_another_reader_of_png_sees_the_same():
    with Image.open(SHEET) as picture:
        assert (picture.size, picture.mode) == ((COLUMNS * SIDE, 10 * SIDE), "L")
        pixels = np.asarray(picture)
    for i, x in enumerate((mnist_sample().x[:, 0] * 255).round().byte().numpy()):
        row, column = divmod(i, COLUMNS)
        np.testing.assert_array_equal(
            x, pixels[SIDE * row : SIDE * (row + 1), SIDE * column : SIDE * (column + 1)], str(i)
        )


@real_files
def test_the_images_are_the_test_sets_unchanged():
    images, numbers = mnist("test"), torch.tensor(mnist_sample_numbers())
    assert torch.equal(mnist_sample().x, images.x[numbers])
    assert torch.equal(mnist_sample().y, images.y[numbers])
    for digit, row in enumerate(numbers.reshape(10, COLUMNS)):
        assert torch.equal(row[:PLAIN], torch.nonzero(images.y == digit)[:PLAIN, 0])


def test_what_is_written_is_read_back(monkeypatch, tmp_path):
    x = torch.randint(256, (10 * COLUMNS, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).float() / 255
    monkeypatch.setattr(sample, "SHEET", tmp_path / "sheet.png")
    sample.SHEET.write_bytes(script.encode(x, list(range(100, 150))))
    assert torch.equal(mnist_sample.__wrapped__().x, x)
    assert mnist_sample_numbers.__wrapped__() == tuple(range(100, 150))
    with Image.open(sample.SHEET) as picture:
        picture.verify()  # the checks of its parts


def test_another_picture_in_its_place_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(sample, "SHEET", tmp_path / "sheet.png")
    Image.new("L", (COLUMNS * SIDE, 10 * SIDE)).save(sample.SHEET)
    for read in (mnist_sample, mnist_sample_numbers):
        with pytest.raises(ValueError, match="restore it from the repository"):
            read.__wrapped__()


def test_hard_is_what_lies_near_another_digit():
    known = Images(torch.tensor([[0.0, 0.0], [4.0, 0.0]]).reshape(2, 1, 1, 2), torch.tensor([0, 1]))
    points = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 3.0]]).reshape(3, 1, 1, 2)
    hardness = script.hardness(Images(points, torch.tensor([0, 0, 1])), known, batch=2)
    torch.testing.assert_close(hardness, torch.tensor([1 / 3, 3.0, 5 / 3]))


def test_first_come_the_first_then_the_hardest(monkeypatch):
    y = torch.arange(10).repeat(7)  # seven of each digit; image n is a digit n % 10
    hard = torch.arange(70.0).roll(5)
    monkeypatch.setattr(script, "hardness", lambda images, known: hard)
    images = Images(torch.zeros(70, 1, 1, 1), y)
    chosen = torch.tensor(script.choose(images, images)).reshape(10, COLUMNS)
    assert torch.equal(y[chosen], torch.arange(10)[:, None].expand(10, COLUMNS))
    for row in chosen.tolist():
        there = [n for n in range(70) if n % 10 == row[0] % 10]
        assert row[:PLAIN] == there[:PLAIN]
        assert row[PLAIN:] == sorted(sorted(there[PLAIN:], key=hard.__getitem__)[-2:])
