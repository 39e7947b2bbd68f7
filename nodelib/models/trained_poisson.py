"""The Poisson processes that ``figures/fig7_poisson.py`` trains, and those it has trained, by name."""

from typing import Any

import torch

from nodelib.models.checkpoints import parameters
from nodelib.models.poisson import BackwardGRU, LatentPoisson, Network, OneIntensity, PoissonODE

END, DIM, WIDTH, UNITS = 10.0, 4, 24, 24
STEPS, FINE = 25, 100  # of rk4: to train with; to measure with


def process(models: int) -> PoissonODE:
    """z' = f(z) of DIM dimensions on [0, END], λ = exp(g(z)), both networks of one hidden layer; by rk4."""
    field = Network(DIM, WIDTH, DIM, models=models)
    log_rate = Network(DIM, WIDTH, 1, models=models, squeeze=True)
    return PoissonODE(field, log_rate, torch.linspace(0, END, STEPS + 1), models=models, method="rk4")


def one_intensity(models: int) -> OneIntensity:
    """One intensity for all sequences, ``models`` of them side by side."""
    return OneIntensity(process(models), DIM)


def conditioned(models: int) -> LatentPoisson:
    """An intensity for each sequence, from a part of its events."""
    return LatentPoisson(BackwardGRU(UNITS, 2 * DIM, models), process(models))


def finely(model: Any) -> Any:
    """The same model, from now on solved with FINE steps: a training can find an intensity that only its own coarse
    steps integrate wrongly, with peaks at events and between knots, and that would score well by these steps alone."""
    model.process.knots = torch.linspace(0, END, FINE + 1, dtype=torch.float64)
    return model


def trained_poisson(name: str) -> Any:
    """The module ``figures/checkpoints/NAME.safetensors``, on the CPU: "fig7_one_N", from N sequences, or
    "fig7_TASK_WEIGHT", a ``LatentPoisson``; all seeds side by side, solved with FINE steps. Raises
    FileNotFoundError, with the names there are.
    """
    state = parameters(name)
    one = name.startswith("fig7_one_")
    model = (one_intensity if one else conditioned)(len(state["z0" if one else "encoder.out.bias"]))
    model.load_state_dict(state)
    return finely(model)
