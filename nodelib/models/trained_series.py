"""The models of series whose trained parameters come with the repository, from ``figures/table2_spirals.py``."""

from typing import Any

from nodelib.models.checkpoints import parameters
from nodelib.models.latent import LatentODE
from nodelib.models.recurrent import KINDS, Forecaster

DATA_SEEDS, STARTS = 3, 3  # model number m was trained on the spirals of seed m // 3, and is their start number m % 3


def trained_series(name: str, k: int, sigma: float = 0.1) -> Any:
    """The nine models of a row of Table 2 side by side, on the CPU: ``name`` is "latent ODE", "latent ODE, ODE-RNN
    encoder", or a kind of ``Forecaster``; k = 30, 50 or 100 is how many observations a series had.

    sigma is that of the latent ODE's likelihood, which no forecast depends on. Raises FileNotFoundError, with the names
    there are.
    """
    state = parameters(f"table2_spirals_{name.replace(',', '').replace(' ', '_')}_{k}")
    models, gap = DATA_SEEDS * STARTS, 1 / k
    if name in KINDS:
        model: Any = Forecaster(name, models=models, gap=gap)
    else:
        encoder = "ode-rnn" if "ODE-RNN" in name else "rnn-dt"
        model = LatentODE(models=models, encoder=encoder, gap=gap, sigma=sigma)
    model.load_state_dict(state)
    return model.requires_grad_(False)
