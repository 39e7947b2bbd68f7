"""Fifty images of MNIST's test set that come with the package, so that a chapter shows real digits without a network.

MNIST is by Yann LeCun, Corinna Cortes and Christopher Burges; LeCun and Cortes hold the copyright of this derivative of
NIST's databases and made it available under CC BY-SA 3.0. ``mnist_sample.png`` is under that licence too. It is a sheet
of unchanged images, one row a digit, written by ``figures/mnist_sample.py``, which says how they were chosen.
"""

import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch

from nodelib.data.images import Images

SHEET = Path(__file__).with_name("mnist_sample.png")
SIDE, COLUMNS = 28, 5
PLAIN = 3  # the columns before are a digit's first images, those from here on are hard ones
KEYWORD = b"MNIST test images"


@cache
def mnist_sample() -> Images:
    """The images in the sheet's order: digit 0's five, then digit 1's, … The last two of each five are hard to tell."""
    pixels = _parts()[b"IDAT"]
    rows = np.frombuffer(zlib.decompress(pixels), np.uint8).reshape(10 * SIDE, 1 + COLUMNS * SIDE)
    tiles = rows[:, 1:].reshape(10, SIDE, COLUMNS, SIDE).swapaxes(1, 2)  # [:, 0] says how a row is filtered: not at all
    x = torch.from_numpy(tiles.reshape(-1, 1, SIDE, SIDE).copy()).float() / 255
    return Images(x, torch.arange(10).repeat_interleave(COLUMNS))


@cache
def mnist_sample_numbers() -> tuple[int, ...]:
    """The place of each image among MNIST's 10,000 test images, counted from 0."""
    _, _, text = _parts()[b"tEXt"].partition(b"\0")
    return tuple(int(number) for number in text.split())


def _parts() -> dict[bytes, bytes]:
    """The PNG's parts by name: of each, four bytes of length, a name of four, the content, and four bytes of check."""
    data, parts, at = SHEET.read_bytes(), {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        parts[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + length]
        at += length + 12
    if not parts.get(b"tEXt", b"").startswith(KEYWORD + b"\0"):  # another program's PNG may be filtered, too
        raise ValueError(f"{SHEET} is not the sheet of figures/mnist_sample.py: restore it from the repository")
    return parts
