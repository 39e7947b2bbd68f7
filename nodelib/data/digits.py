"""The 8 × 8 digits that come with scikit-learn: no download, and small enough to train on while one reads.

1,797 images by 43 writers, reduced from 32 × 32 (Alpaydin & Kaynak 1998, UCI Machine Learning Repository).
"""

import torch
from sklearn.datasets import load_digits

from nodelib.data.images import Images

TEST = 360  # of the 1,797


def digits(seed: int = 0) -> tuple[Images, Images]:
    """(1,437 to train on, 360 to test on), divided at random by ``seed``."""
    x, y = load_digits(return_X_y=True)
    x = torch.as_tensor(x, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16  # the set's grey levels are 0 to 16
    y = torch.as_tensor(y, dtype=torch.int64)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    return Images(x[order[TEST:]], y[order[TEST:]]), Images(x[order[:TEST]], y[order[:TEST]])
