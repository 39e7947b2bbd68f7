"""Box 6.14's two toys: a Hamiltonian network on the pendulum, and a neural CDE on irregular series."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nodelib.torch_ode import odeint

Force = Callable[[Tensor], Tensor]


# --- Hamiltonian networks ---------------------------------------------------------------------------------------------


class Hamiltonian(nn.Module):
    """H(q, p) = T(p) + V(q), two networks of one hidden layer, for each of several models (Greydanus et al. 2019, with
    H separable as in Chen et al. 2020).

    q and p are (models, batch), in double precision. ``slope`` gives q' = T'(p), ``force`` p' = -V'(q), in closed form.
    """

    def __init__(self, seeds: Sequence[int], hidden: int = 32):
        super().__init__()
        draws = [torch.Generator().manual_seed(int(seed)) for seed in seeds]

        def normal(scale: float) -> nn.Parameter:
            each = [torch.randn(2, 1, hidden, generator=draw, dtype=torch.float64) for draw in draws]
            return nn.Parameter(scale * torch.stack(each, 1))  # (T and V, models, 1, hidden)

        self.w, self.b, self.a = normal(1.0), normal(1.0), normal(hidden**-0.5)

    def energy(self, q: Tensor, p: Tensor) -> Tensor:
        """H, like q."""
        return sum((self._layer(i, x) * self.a[i]).sum(-1) for i, x in enumerate((p, q)))  # type: ignore[return-value]

    def slope(self, p: Tensor) -> Tensor:
        """q' = ∂H/∂p."""
        return self._derivative(0, p)

    def force(self, q: Tensor) -> Tensor:
        """p' = -∂H/∂q."""
        return -self._derivative(1, q)

    def _layer(self, i: int, x: Tensor) -> Tensor:
        return torch.tanh(x[..., None] * self.w[i] + self.b[i])

    def _derivative(self, i: int, x: Tensor) -> Tensor:
        return ((1 - self._layer(i, x) ** 2) * (self.w[i] * self.a[i])).sum(-1)


def pendulum_models(seeds: Sequence[int] = range(10), iterations: int = 300, n: int = 100) -> Hamiltonian:
    """Hamiltonian networks trained by Adam on q' = p and p' = -sin q at n random states each, |q| < 2.5, |p| < 2."""
    models = Hamiltonian(seeds)
    draws = [torch.Generator().manual_seed(1000 + int(seed)) for seed in seeds]
    q, p = torch.stack([2 * torch.rand(2, n, generator=draw).double() - 1 for draw in draws], 1)
    q, p = 2.5 * q, 2 * p
    adam = torch.optim.Adam(models.parameters(), 2e-2)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, iterations)
    for _ in range(iterations):
        adam.zero_grad()
        ((models.slope(p) - p) ** 2 + (models.force(q) + torch.sin(q)) ** 2).mean(-1).sum().backward()
        adam.step()
        decay.step()
    return models.requires_grad_(False)


def leapfrog(force: Force, slope: Force, q: Tensor, p: Tensor, h: float) -> tuple[Tensor, Tensor]:
    """One step of leapfrog: half a kick, a drift, half a kick. Symplectic, of order 2, and its own inverse with -h."""
    p = p + h / 2 * force(q)
    q = q + h * slope(p)
    return q, p + h / 2 * force(q)


def rk4(force: Force, slope: Force, q: Tensor, p: Tensor, h: float) -> tuple[Tensor, Tensor]:
    """One step of RK4 for the same equations."""
    k1 = slope(p), force(q)
    k2 = slope(p + h / 2 * k1[1]), force(q + h / 2 * k1[0])
    k3 = slope(p + h / 2 * k2[1]), force(q + h / 2 * k2[0])
    k4 = slope(p + h * k3[1]), force(q + h * k3[0])
    q, p = (x + h / 6 * (a + 2 * b + 2 * c + d) for x, a, b, c, d in zip((q, p), k1, k2, k3, k4, strict=True))
    return q, p


STEPPERS = {"leapfrog": (leapfrog, 1), "rk4": (rk4, 4)}  # with their evaluations of the field a step


@torch.no_grad()
def drift(models: Hamiltonian, method: str, end: float, every: float = 0.2, q0: float = 1.5) -> Tensor:
    """|H - H(0)| of a solution from (q0, 0), at the end of each step, (steps, models). The field is evaluated once in
    ``every``, on average: leapfrog takes steps of that size, RK4 of four times that."""
    step, cost = STEPPERS[method]
    h = every * cost
    q = torch.full((len(models.w[0]), 1), q0, dtype=torch.float64)
    p, found = torch.zeros_like(q), []
    start = models.energy(q, p)
    for _ in range(round(end / h)):
        q, p = step(models.force, models.slope, q, p, h)
        found.append((models.energy(q, p) - start).abs()[:, 0])
    return torch.stack(found)


# --- neural CDEs ------------------------------------------------------------------------------------------------------


class Turns(NamedTuple):
    """Irregular series of a point that turns: values (models, series, observations, 3), the first being the time; and
    the sense, ±1, (models, series)."""

    x: Tensor
    sense: Tensor


def turns(seeds: Sequence[int], series: int, observations: int = 15) -> Turns:
    """Points on circles of any centre, radius and phase, one turn and a half, either way round, at random times, with
    noise. Where a series begins, ends and lies says nothing of its sense: the area that it runs round does."""
    parts = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        t = np.sort(rng.uniform(0, 1, (series, observations)), -1)
        sense = rng.choice([-1.0, 1.0], series)
        radius, phase = rng.uniform(0.5, 1.5, (series, 1)), rng.uniform(0, 2 * np.pi, (series, 1))
        centre = rng.normal(size=(2, series, 1))
        angle = phase + 3 * np.pi * sense[:, None] * t
        x = np.stack([t, centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], -1)
        x[..., 1:] += 0.1 * rng.normal(size=(series, observations, 2))
        parts.append((torch.tensor(x, dtype=torch.float32), torch.tensor(sense, dtype=torch.float32)))
    return Turns(*(torch.stack(part) for part in zip(*parts, strict=True)))


class CDE(nn.Module):
    """dz = f(z) dX, for each of several models (Kidger et al. 2020): the series' path X drives the state, by
    increments. f(z) = tanh(z W₁ + b) W₂ is a matrix (hidden, channels); a linear map of X's first value begins it, one
    of the last state is the logit."""

    def __init__(self, seeds: Sequence[int], hidden: int = 8, width: int = 32, channels: int = 3):
        super().__init__()
        draws = [torch.Generator().manual_seed(int(seed)) for seed in seeds]

        def normal(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.stack([torch.randn(*shape, generator=d) for d in draws]) / shape[0] ** 0.5)

        self.first, self.W1, self.b = normal(channels, hidden), normal(hidden, width), normal(1, width)
        self.W2, self.read = normal(width, hidden * channels), normal(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (observations, models, series), after each observation of x (models, series, observations, channels).

        The path is linear between observations, of which one comes in a unit of s; the midpoint rule takes a step for
        each piece."""
        pieces = x.diff(dim=2)
        times = torch.arange(0.0, x.shape[2], dtype=torch.float64)

        def field(s: Tensor, z: Tensor) -> Tensor:
            dX = pieces[:, :, min(int(s), pieces.shape[2] - 1)]
            matrix = torch.tanh(z @ self.W1 + self.b) @ self.W2
            return (matrix.unflatten(-1, (z.shape[-1], -1)) @ dX[..., None])[..., 0]

        z = odeint(field, x[:, :, 0] @ self.first, times, method="midpoint", options={"step_size": 1.0})
        return (z @ self.read)[..., 0]


def train_cde(models: CDE, data: Turns, iterations: int = 60, batch: int = 64, lr: float = 1e-2) -> list[float]:
    """Train in place by Adam on the logistic loss, batches in turn; the losses, the mean over models."""
    adam, log = torch.optim.Adam(models.parameters(), lr), []
    for i in range(iterations):
        rows = (torch.arange(batch) + i * batch) % data.x.shape[1]
        adam.zero_grad()
        loss = F.softplus(-data.sense[:, rows] * models(data.x[:, rows])[-1]).mean(-1)
        loss.sum().backward()
        adam.step()
        log.append(float(loss.detach().mean()))
    return log


@torch.no_grad()
def right(models: CDE, data: Turns) -> list[float]:
    """The share of series whose sense each model tells."""
    return (models(data.x)[-1] * data.sense > 0).float().mean(-1).tolist()
