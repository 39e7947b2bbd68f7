"""The fifty digits that come with the package are MNIST's own."""

import pytest
import torch

from nodelib.data import sample
from nodelib.data.mnist import mnist
from nodelib.data.sample import mnist_sample, mnist_sample_numbers
from nodelib.machine import MNIST_FILES, mnist_folders


def test_there_are_five_of_each_digit_and_no_image_twice():
    images, numbers = mnist_sample(), mnist_sample_numbers()
    assert images.x.shape == (50, 1, 28, 28)
    assert images.x.dtype == torch.float32
    assert images.x.min() == 0
    assert images.x.max() == 1
    assert images.y.tolist() == [digit for digit in range(10) for _ in range(5)]
    assert len(set(numbers)) == 50
    assert len(images.x.flatten(1).unique(dim=0)) == 50


@pytest.mark.skipif(
    not any((folder / MNIST_FILES[2]).is_file() for folder in mnist_folders()), reason="MNIST is not on this machine"
)
def test_they_are_the_images_of_the_test_set_that_their_numbers_say():
    test, chosen = mnist("test"), list(mnist_sample_numbers())
    assert torch.equal(test.x[chosen], mnist_sample().x)
    assert torch.equal(test.y[chosen], mnist_sample().y)


def test_another_picture_is_refused(monkeypatch, tmp_path):
    other = tmp_path / "other.png"
    other.write_bytes(sample.SHEET.read_bytes().replace(b"MNIST test images", b"MNIST best images"))
    monkeypatch.setattr(sample, "SHEET", other)
    mnist_sample_numbers.cache_clear()
    with pytest.raises(ValueError, match="is not the sheet"):
        mnist_sample_numbers()
    mnist_sample_numbers.cache_clear()
