"""The networks that an ODE-Net is compared with: a perceptron, and a residual network in its parts.

Chen et al. (2018), Section 3, name two downsamplings and six residual blocks. The widths are those of the authors' own
example, odenet_mnist.py in torchdiffeq (MIT licence): with them the parameters come out as in their Table 1.
"""

from collections import OrderedDict

from torch import Tensor, nn

CHANNELS = 64


class MLP(nn.Sequential):
    """One hidden layer, (batch, 1, side, side) -> (batch, 10) logits: 238,510 parameters for MNIST, as in LeCun et al.
    (1998), from whom the paper's table takes its first row."""

    def __init__(self, side: int = 28, hidden: int = 300):
        super().__init__(nn.Flatten(), nn.Linear(side * side, hidden), nn.ReLU(), nn.Linear(hidden, 10))


class ResBlock(nn.Module):
    """h + g(h), with g = conv(relu(norm(conv(relu(norm(h)))))): the pre-activation block of He et al. (2016b).

    Nothing follows the sum, which makes the block a step of Euler's method. A block with ``stride`` 2 halves height and
    width, and its shortcut is a convolution of 1 × 1 instead of the identity.
    """

    def __init__(self, channels: int, stride: int = 1):
        super().__init__()
        self.norm1, self.norm2 = norm(channels), norm(channels)
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(channels, channels, 1, stride, bias=False) if stride > 1 else None

    def forward(self, h: Tensor) -> Tensor:
        x = self.relu(self.norm1(h))
        g = self.conv2(self.relu(self.norm2(self.conv1(x))))
        return g + (h if self.shortcut is None else self.shortcut(x))


class ResNet(nn.Sequential):
    """Stem, ``blocks`` residual blocks, head: (batch, 1, side, side) -> (batch, 10) logits.

    576,778 parameters with six blocks and the stem "conv", 601,482 with the stem "residual"; 132,874 with no block.
    """

    def __init__(self, blocks: int = 6, channels: int = CHANNELS, stem_kind: str = "conv"):
        body = nn.Sequential(*(ResBlock(channels) for _ in range(blocks)))
        super().__init__(OrderedDict(stem=stem(channels, stem_kind), body=body, head=head(channels)))


def stem(channels: int, kind: str = "conv") -> nn.Sequential:
    """Two downsamplings: (batch, 1, 28, 28) -> (batch, channels, 6, 6), or 7 × 7 for the kind "residual".

    ``kind`` is "conv" (two strided convolutions), "residual" (two strided residual blocks), or "small", for images of
    8 × 8, with a single convolution of stride 2. Raises ValueError for another.
    """
    if kind == "residual":
        return nn.Sequential(nn.Conv2d(1, channels, 3, 1), ResBlock(channels, 2), ResBlock(channels, 2))
    if kind == "small":
        return nn.Sequential(nn.Conv2d(1, channels, 4, 2, 1))
    if kind != "conv":
        raise ValueError(f'stem must be "conv", "residual" or "small", not {kind!r}')
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, 1),
        *(norm(channels), nn.ReLU(), nn.Conv2d(channels, channels, 4, 2, 1)),
        *(norm(channels), nn.ReLU(), nn.Conv2d(channels, channels, 4, 2, 1)),
    )


def head(channels: int) -> nn.Sequential:
    """(batch, channels, height, width) -> (batch, 10) logits: the average over the image, and one linear layer."""
    return nn.Sequential(
        norm(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)
    )  # fmt: skip


def norm(channels: int) -> nn.GroupNorm:
    """Group norm (Wu & He 2018) in up to 32 groups. It looks at one image at a time: a batch norm would make the
    derivative of one image depend on the others, and would update its averages at every evaluation of a solver."""
    return nn.GroupNorm(min(32, channels), channels)


def parameter_count(model: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
