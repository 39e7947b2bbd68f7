"""Fields to solve with the option compile, and what holds such a solve against one without it."""

import warnings
from typing import Any

import pytest
import torch
from torch import nn

from nodelib.torch_ode import solve
from nodelib.torch_ode.compiling import programs

F64 = torch.float64
COMPILE = {"compile": True}
ENDS, NINE = [0.0, 3.0], torch.linspace(0, 3, 9, dtype=F64)


class Field(nn.Module):
    """A small network that counts its evaluations, and has an attribute."""

    def __init__(self, seed=0, dtype=F64):
        super().__init__()
        torch.manual_seed(seed)
        self.net: Any = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 2)).to(dtype)
        self.nfe, self.pull = 0, 0.1

    def forward(self, t, y):
        self.nfe += 1
        return self.net(y**3) - self.pull * y * torch.sin(t)


class Small(nn.Module):
    """A field with two parameters that is traced in no time, counts its evaluations, and has an attribute."""

    def __init__(self, dtype=F64):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.4, -1.3], dtype=dtype))
        self.b = nn.Parameter(torch.tensor(0.7, dtype=dtype))
        self.nfe, self.pull = 0, 0.1

    def forward(self, t, y):
        self.nfe += 1
        return torch.tanh(self.w * y.flip(-1)) - self.pull * y + self.b * torch.sin(3 * t)


class Line(nn.Module):
    """A linear field with parameters."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.net = nn.Linear(2, 2, dtype=F64)

    def forward(self, t, y):
        return self.net(y)


class Moody(nn.Module):
    """Another function in training mode, by its kind of sign, and by a tensor it holds."""

    def __init__(self):
        super().__init__()
        self.sign, self.w = -1.0, torch.tensor(1.0, dtype=F64)

    def forward(self, t, y):
        return self.sign * self.w * (torch.sin(y) if self.training else y)


def start(batch=3, dtype=F64):
    return torch.randn(batch, 2, dtype=dtype, generator=torch.Generator().manual_seed(1))


def van_der_pol(t, y):
    return torch.stack([y[1], 2 * (1 - y[0] ** 2) * y[1] - y[0]])


def quiet(call, *args, **settings):
    """The call, without the sentence that something was compiled; any other warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "compiled")
        return call(*args, **settings)


def with_option(settings):
    """These settings, and the option compile."""
    return {**settings, "options": {**settings.get("options", {}), **COMPILE}}


def both(func, y0, t, options=None, **settings):
    """The solution without the option, and with it."""
    plain = solve(func, y0, t, options=options, **settings)
    return plain, quiet(solve, func, y0, t, options={**(options or {}), **COMPILE}, **settings)


def both_cheap(func, y0, t):
    """The same by a method that is traced in no time."""
    return both(func, y0, t, {"step_size": 0.1}, method="euler")


def same(plain, fast, atol=1e-12):
    assert fast.y.shape == plain.y.shape
    assert torch.allclose(fast.y, plain.y, rtol=0, atol=atol)
    assert [step.accepted for step in fast.steps] == [step.accepted for step in plain.steps]
    assert [step.t for step in fast.steps] == pytest.approx([step.t for step in plain.steps], rel=1e-5)


def gradients(solver, func, t, y0, **settings):
    y0 = y0.clone().requires_grad_()
    y = solver(func, y0, t, **settings)
    weights = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(2))
    return torch.autograd.grad((y * weights).sum(), (y0, *func.parameters()))


def programs_of(func):
    return list(programs.compiled_of(func).programs.values())
