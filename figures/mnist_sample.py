"""The sheet of fifty MNIST test images that comes with the package, nodelib/data/mnist_sample.png.

    python figures/mnist_sample.py

One row a digit: its first three images of the test set, then its two hardest. Hardest are those whose nearest training
image of another digit is nearest by comparison with that of their own: the ratio of the two Euclidean distances is
smallest. No network is asked, so the choice does not depend on one. MNIST: see nodelib/data/mnist.py.
"""

import os
import struct
import zlib

import torch
from torch import Tensor

from nodelib.data.images import Images
from nodelib.data.mnist import mnist
from nodelib.data.sample import COLUMNS, KEYWORD, PLAIN, SHEET, SIDE


def hardness(images: Images, known: Images, batch: int = 500) -> Tensor:
    """For each image the distance to the nearest of ``known`` with its own digit, over that to the nearest other."""
    points, parts = known.x.flatten(1), []
    for x, y in zip(images.x.flatten(1).split(batch), images.y.split(batch), strict=True):
        distance = torch.cdist(x, points)
        own = y[:, None] == known.y
        to_own = distance.masked_fill(~own, torch.inf).amin(1)
        parts.append(to_own / distance.masked_fill(own, torch.inf).amin(1))
    return torch.cat(parts)


def choose(images: Images, known: Images) -> list[int]:
    """The numbers of the images for the sheet, row by row."""
    hard, chosen = hardness(images, known), []
    for digit in range(10):
        (there,) = torch.nonzero(images.y == digit, as_tuple=True)
        first, rest = there[:PLAIN], there[PLAIN:]
        hardest = rest[hard[rest].argsort(descending=True)[: COLUMNS - PLAIN]]
        chosen += [*first.tolist(), *hardest.sort().values.tolist()]
    return chosen


def encode(x: Tensor, numbers: list[int]) -> bytes:
    """The (50, 1, 28, 28) images as one grey PNG, unfiltered, with their numbers as a text in it."""
    tiles = (x * 255).round().byte().reshape(10, COLUMNS, SIDE, SIDE).swapaxes(1, 2).reshape(10 * SIDE, -1)
    rows = torch.nn.functional.pad(tiles, (1, 0))  # a leading 0: this row has no filter
    header = struct.pack(">IIBBBBB", COLUMNS * SIDE, 10 * SIDE, 8, 0, 0, 0, 0)  # 8 bits, grey
    text = KEYWORD + b"\0" + " ".join(map(str, numbers)).encode()
    parts = ((b"IHDR", header), (b"tEXt", text), (b"IDAT", zlib.compress(rows.numpy().tobytes(), 9)), (b"IEND", b""))
    tail = (struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(tail)


def main() -> None:
    test = mnist("test")
    numbers = choose(test, mnist("train"))
    draft = SHEET.with_suffix(".new")
    draft.write_bytes(encode(test.x[numbers], numbers))
    os.replace(draft, SHEET)
    print(f"{SHEET.name}: {len(numbers)} images, {SHEET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
