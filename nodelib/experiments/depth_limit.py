"""Does a deep ResNet approach an ODE? N layers z ← z + f(z, θ_k)/N, and the ODE whose weights go through theirs.

The ODE's weights are linear between the layers': θ(t) = θ_k at the middle of layer k. With weights that are constant
within a layer instead, any network is close to Euler's method on a field in jumps, and nothing is learnt from that.
Sander, Ablin & Peyré (2022), "Do residual neural networks discretize neural ordinary differential equations?".
``figures/depth_limit.py`` records it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nodelib.experiments.rings import Points, annuli
from nodelib.models.rings import uniform
from nodelib.torch_ode import odeint

DEPTHS = (4, 8, 16, 32, 64)
INITS = ("independent", "tied")
NAME = "depth_limit"


class DeepResNets(nn.Module):
    """ResNets of N layers, several at once: z ← z + tanh(z W₁ + b₁) W₂ + b₂ over N, weights (models, layers, …).

    init:  "independent", each layer draws its own initial weights; or "tied", all begin with those of the first. In
           training all layers are free.
    """

    def __init__(self, seeds: Sequence[int], layers: int, init: str, dim: int = 2, hidden: int = 32):
        super().__init__()
        if init not in INITS:
            raise ValueError(f"init must be one of {', '.join(INITS)}, not {init!r}")
        draws = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        drawn = layers if init == "independent" else 1

        def weights(fan_in: int, *shape: int) -> nn.Parameter:
            return nn.Parameter(uniform(draws, fan_in, drawn, *shape).detach().repeat(1, layers // drawn, 1, 1))

        self.layers = layers
        self.W1, self.b1 = weights(dim, dim, hidden), weights(dim, 1, hidden)
        self.W2, self.b2 = weights(hidden, hidden, dim), weights(hidden, 1, dim)
        self.head = uniform(draws, dim, dim, 1)

    def branch(self, z: Tensor, *weights: Tensor) -> Tensor:
        w1, b1, w2, b2 = weights
        return torch.tanh(z @ w1 + b1) @ w2 + b2

    def forward(self, z: Tensor) -> Tensor:
        """The last layer's states of (models, batch, dim)."""
        for weights in zip(*(w.unbind(1) for w in (self.W1, self.b1, self.W2, self.b2)), strict=True):
            z = z + self.branch(z, *weights) / self.layers
        return z

    def field(self, t: Tensor, z: Tensor) -> Tensor:
        """f(z, θ(t)): the weights are those of layer k at t = (k + ½)/N, linear in between, constant at the ends."""
        at = float((t * self.layers - 0.5).clamp(0, self.layers - 1))
        k = min(int(at), self.layers - 2)
        share = at - k
        weights = ((1 - share) * w[:, k] + share * w[:, k + 1] for w in (self.W1, self.b1, self.W2, self.b2))
        return self.branch(z, *weights)

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        """The logistic loss of each model, (models,), for labels ±1."""
        return F.softplus(-y * (z @ self.head)[..., 0]).mean(-1)


def train(models: DeepResNets, points: Points, iterations: int = 200, lr: float = 1e-2) -> Tensor:
    """Train all models in place, and return their last losses."""
    adam = torch.optim.Adam(models.parameters(), lr)
    for _ in range(iterations):
        adam.zero_grad()
        models.losses(models(points.x), points.y).sum().backward()
        adam.step()
    with torch.no_grad():
        return models.losses(models(points.x), points.y)


@torch.no_grad()
def apart(models: DeepResNets, x: Tensor, steps: int = 4) -> Tensor:
    """How far the last layer is from the ODE's end, as a part of the ODE's way: (models,). By RK4, ``steps`` from one
    layer's middle to the next, so that no step crosses a kink of θ(t)."""
    n = models.layers
    inner = (torch.arange((n - 1) * steps + 1, dtype=torch.float64) / steps + 0.5) / n
    ends = torch.linspace(0, 0.5 / n, steps + 1, dtype=torch.float64)
    grid = torch.cat([ends[:-1], inner, 1 - ends.flip(0)[1:]])
    solved = odeint(models.field, x, grid, method="rk4")[-1]
    return (models(x) - solved).flatten(1).norm(dim=1) / (solved - x).flatten(1).norm(dim=1)


def measure(seeds: int = 10, iterations: int = 200, depths: Sequence[int] = DEPTHS) -> dict[str, Any]:
    """For each initialisation, a list over depths of lists over seeds: "apart" before and after training, "loss"."""
    points = annuli(range(seeds))
    found: dict[str, Any] = {what: {init: [] for init in INITS} for what in ("apart", "apart_untrained", "loss")}
    for init in INITS:
        for layers in depths:
            models = DeepResNets(range(seeds), layers, init)
            found["apart_untrained"][init].append(apart(models, points.x).tolist())
            found["loss"][init].append(train(models, points, iterations).tolist())
            found["apart"][init].append(apart(models, points.x).tolist())
    return found
