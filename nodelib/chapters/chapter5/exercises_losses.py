"""Exercises of chapter 5 on a loss with padding, and on the likelihood of events."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib.workbook.check import Exercise

from .differentiated import Differentiated


# 5.5 ------------------------------------------------------------------------------------------------------------------
def masked_error(predicted: Tensor, x: Tensor, mask: Tensor) -> Tensor:
    return ((predicted[mask] - x[mask]) ** 2).mean()


JUNK = (np.nan, np.inf, -np.inf, 1e200, 0.7)  # numbers that look like observations, too


def _padded(rng: np.random.Generator) -> tuple:
    b, n, dim = (int(k) for k in rng.integers(2, 6, size=3))
    mask = rng.uniform(size=(b, n)) < rng.uniform(0.1, 0.9, size=(b, 1))
    mask[0], mask[1, 1:], mask[1, 0] = True, False, True  # a series with all, and one with one: not alike in length
    x = np.where(mask[..., None], rng.normal(size=(b, n, dim)), rng.choice(JUNK, size=(b, n, dim)))
    x[1, 1:] = np.nan
    return torch.tensor(rng.normal(size=(b, n, dim))), torch.tensor(x), torch.tensor(mask)


def _squares(p: Tensor, x: Tensor, mask: Tensor) -> Tensor:
    """Squared errors, with 0 in the padding, so that no gradient is nan: (b, n, D)."""
    return torch.where(mask[..., None], p - torch.where(mask[..., None], x, 0), 0) ** 2


PADDING = Differentiated(
    (0,),
    "5.5 Padding",
    masked_error,
    _padded,
    [
        ("0 · nan is nan: a mask that multiplies lets nan and inf through.",
         lambda p, x, mask: (mask[..., None] * (p - x) ** 2).sum() / (mask.sum() * x.shape[-1])),
        ("0 · nan is nan: a mask that multiplies lets nan and inf through.",
         lambda p, x, mask: (mask[..., None] * (p - x) ** 2).mean()),
        ("What stands in the padding is in it. Nothing there was observed.", lambda p, x, mask: ((p - x) ** 2).mean()),
        ("The sum is right. It is divided by the number of all places, padding among them.",
         lambda p, x, mask: _squares(p, x, mask).mean()),
        ("The sum is right. Each observation has D numbers: divide by how many those are.",
         lambda p, x, mask: _squares(p, x, mask).sum() / mask.sum()),
        ("That is a mean of the series' means: an observation counts more where there are few.",
         lambda p, x, mask: (_squares(p, x, mask).mean(-1).sum(-1) / mask.sum(-1)).mean()),
        ("That is a mean of the series' means: an observation counts more where there are few.",
         lambda p, x, mask: (_squares(p, x, mask).mean(-1).sum(-1) / mask.sum(-1).clamp_min(1)).mean()),
        ("That is a mean of the series' means: an observation counts more where there are few.",
         lambda p, x, mask: (_squares(p, x, mask).mean(-1).sum(-1) / mask.sum(-1))[mask.any(-1)].mean()),
        ("That is the sum. The mean is asked.", lambda p, x, mask: _squares(p, x, mask).sum()),
        ("That is the root of it. The mean square is asked.",
         lambda p, x, mask: masked_error(p, x, mask).sqrt()),
        ("Those are absolute errors. Square them.", lambda p, x, mask: (p[mask] - x[mask]).abs().mean()),
        ("Each number of the padding is compared with 0, and counts. It must not.",
         lambda p, x, mask: ((p - torch.where(mask[..., None], x, 0)) ** 2).mean()),
        ("That takes out what is not finite. What is no observation may be any number: the mask says which.",
         lambda p, x, mask: ((p - x)[x.isfinite()] ** 2).mean()),
        ("That takes out what is nan. What is no observation may be any number: the mask says which.",
         lambda p, x, mask: ((p - x)[~x.isnan()] ** 2).mean()),
    ],
    ("Padding must not be computed with, not even times 0: 0 · nan is nan, in the gradient of torch.where(mask, "
     "(predicted - x)², 0) as well. Choose first, then subtract.",
     "predicted[mask] and x[mask] hold what is observed, (number of observations, D). Take the mean of their squared "
     "difference."),
    cases=5,
)  # fmt: skip


# 5.8 ------------------------------------------------------------------------------------------------------------------
def log_likelihood(times: Any, a: float, b: float, T: float) -> Any:
    return np.sum(np.log(a) - b * np.asarray(times)) - _expected(a, b, T)


def _expected(a: float, b: float, T: float) -> float:
    """The integral of a e^(-bt) from 0 to T."""
    return a * (1 - np.exp(-b * T)) / b


def _events(rng: np.random.Generator) -> tuple:
    a, b, T = rng.uniform(0.5, 6), rng.uniform(0.2, 1.5), rng.uniform(1, 5)
    n = int(rng.choice([0, 3, 4, 6, 7, 3000]))  # of so many the product of rates is no number any more
    return np.sort(rng.uniform(size=n) * T), float(a), float(b), float(T)


def _last(times: np.ndarray) -> float:
    return float(times[-1]) if len(times) else 0.0


def _log_rates(times: np.ndarray, a: float, b: float) -> float:
    return float(np.sum(np.log(a) - b * times))


def _factorial(times: np.ndarray) -> float:
    return float(np.sum(np.log(np.arange(1, len(times) + 1))))


EVENTS = Exercise(
    "5.8 How likely are these events?",
    log_likelihood,
    _events,
    [
        ("That an event did not happen, all the time between, has a probability as well: the integral is missing.",
         lambda t, a, b, T: _log_rates(t, a, b)),
        ("That is the log probability of no event at all. Each event brings log λ at its time.",
         lambda t, a, b, T: -_expected(a, b, T)),
        ("More events expected than seen make it less likely: the integral is subtracted.",
         lambda t, a, b, T: _log_rates(t, a, b) + _expected(a, b, T)),
        ("Each event brings the logarithm of λ, not λ.",
         lambda t, a, b, T: np.sum(a * np.exp(-b * t)) - _expected(a, b, T)),
        ("The integral ends at the last event. That none came after it, until T, was seen as well.",
         lambda t, a, b, T: _log_rates(t, a, b) - _expected(a, b, _last(t))),
        ("The integral goes on for ever. What happens after T was not seen.",
         lambda t, a, b, T: _log_rates(t, a, b) - a / b),
        ("In the place of the integral is λ(T) T. The intensity changes on the way.",
         lambda t, a, b, T: _log_rates(t, a, b) - a * np.exp(-b * T) * T),
        ("In the place of the integral is a T, as if the intensity stayed at a.",
         lambda t, a, b, T: _log_rates(t, a, b) - a * T),
        ("The integral of e^(-bt) brings the factor 1/b.",
         lambda t, a, b, T: _log_rates(t, a, b) - _expected(a, b, T) * b),
        ("The integral of e^(-bt) brings the factor 1/b, not b.",
         lambda t, a, b, T: _log_rates(t, a, b) - _expected(a, b, T) * b**2),
        ("The antiderivative is taken at T alone. Subtract it at 0.",
         lambda t, a, b, T: _log_rates(t, a, b) + a * np.exp(-b * T) / b),
        ("That is the mean over the events. Their logarithms add up, and the integral comes once.",
         lambda t, a, b, T: (_log_rates(t, a, b) - _expected(a, b, T)) / max(len(t), 1)),
        ("The integral comes once, not with each event.",
         lambda t, a, b, T: np.sum(np.log(a) - b * t - _expected(a, b, T))),
        ("The factor a belongs to each event: log a is there n times.",
         lambda t, a, b, T: np.log(a) - b * np.sum(t) - _expected(a, b, T)),
        ("The logarithm of a is missing in the sum.", lambda t, a, b, T: -b * np.sum(t) - _expected(a, b, T)),
        ("That is the log probability of so many events, whenever they come. The times say more.",
         lambda t, a, b, T: len(t) * np.log(_expected(a, b, T)) - _expected(a, b, T) - _factorial(t)),
        ("The n! counts orders. These times are in order, and nothing is to be divided by it.",
         lambda t, a, b, T: log_likelihood(t, a, b, T) - _factorial(t)),
        ("That is the log density of the times where their number is known. The number is a matter of chance as well.",
         lambda t, a, b, T: _log_rates(t, a, b) - len(t) * np.log(_expected(a, b, T))),
        ("No event is an observation, too: its log probability is less than 0.",
         lambda t, a, b, T: log_likelihood(t, a, b, T) if len(t) else 0.0),
        ("That is the likelihood; its logarithm is asked.",
         lambda t, a, b, T: np.exp(log_likelihood(t, a, b, T))),
    ],
    ("Two parts: what each event brings, and that nothing happened all the time between.",
     "The sum of log λ(t_i) = log a - b t_i, less the integral of λ from 0 to T. An antiderivative of a e^(-bt) is "
     "-(a/b) e^(-bt)."),
    cases=8,
)  # fmt: skip
