"""Exercises of chapter 5 on the bound that is maximised."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib.workbook.check import Exercise

from .differentiated import Differentiated

LOG_2PI = float(np.log(2 * np.pi))
Decode = Callable[[Any], Any]


# 5.3 ------------------------------------------------------------------------------------------------------------------
def kl(mean: Any, log_std: Any) -> Any:
    mean, log_std = np.asarray(mean), np.asarray(log_std)
    return np.sum(mean**2 + np.exp(2 * log_std) - 1 - 2 * log_std, axis=-1) / 2


def _posterior(rng: np.random.Generator) -> tuple:
    shape = tuple(rng.integers(2, 6, size=int(rng.integers(1, 4))))
    return rng.normal(size=shape), 0.7 * rng.normal(size=shape)


KL = Exercise(
    "5.3 From memory",
    kl,
    _posterior,
    [
        ("That is KL(N(0, 1) ‖ q), the other way round: the mean is taken over q.",
         lambda m, s: np.sum(np.exp(-2 * s) * (1 + m**2) - 1 + 2 * s, axis=-1) / 2),
        ("The variance is the square of std, the exponential of 2 log_std.",
         lambda m, s: np.sum(m**2 + np.exp(s) - 1 - 2 * s, axis=-1) / 2),
        ("The logarithm of the variance is 2 log_std.",
         lambda m, s: np.sum(m**2 + np.exp(2 * s) - 1 - s, axis=-1) / 2),
        ("Here log_std is the logarithm of the deviation, not of the variance.",
         lambda m, s: np.sum(m**2 + np.exp(s) - 1 - s, axis=-1) / 2),
        ("Where q is N(0, 1) it must be 0.", lambda m, s: np.sum(m**2 + np.exp(2 * s) - 2 * s, axis=-1) / 2),
        ("A narrow q must cost as well: the logarithm of the deviation is subtracted.",
         lambda m, s: np.sum(m**2 + np.exp(2 * s) - 1 + 2 * s, axis=-1) / 2),
        ("Where is the spread of q? At mean 0 it costs as well, if std is not 1.",
         lambda m, s: np.sum(m**2, axis=-1) / 2),
        ("Where is the mean of q? At std 1 it costs as well, if it is not 0.",
         lambda m, s: np.sum(np.exp(2 * s) - 1 - 2 * s, axis=-1) / 2),
        ("The mean costs by its square.",
         lambda m, s: np.sum(np.abs(m) + np.exp(2 * s) - 1 - 2 * s, axis=-1) / 2),
        ("That is the cross-entropy of q and N(0, 1). Subtract the entropy of q.",
         lambda m, s: np.sum(m**2 + np.exp(2 * s) + LOG_2PI, axis=-1) / 2),
        ("That is the mean over the dimensions. They are independent, so that theirs add up.",
         lambda m, s: np.mean(m**2 + np.exp(2 * s) - 1 - 2 * s, axis=-1) / 2),
        ("Each dimension stands alone. They are independent, so that theirs add up.",
         lambda m, s: (m**2 + np.exp(2 * s) - 1 - 2 * s) / 2),
        ("That is one number for all series. Sum over the last axis alone.", lambda m, s: np.sum(kl(m, s))),
        ("That is one number for all series. Sum over the last axis alone.", lambda m, s: np.mean(kl(m, s))),
    ],
    ("In one dimension first: the mean over z from q of log q(z) - log p(z). What is the mean of z² under q?",
     "The mean of z² is mean² + std², that of ((z - mean)/std)² is 1. So it is half of mean² + std² - 1 - 2 log_std in "
     "each dimension."),
)  # fmt: skip


# 5.4 ------------------------------------------------------------------------------------------------------------------
def elbo(x: Tensor, mean: Tensor, log_std: Tensor, eps: Tensor, decode: Decode, sigma: float) -> Tensor:
    return _elbo(x, decode(mean + log_std.exp() * eps), mean, log_std, sigma)


def _elbo(x: Tensor, decoded: Tensor, mean: Tensor, log_std: Tensor, sigma: float) -> Tensor:
    return _log_p((x - decoded) / sigma, sigma).sum((-2, -1)) - _kl(mean, log_std)


def _log_p(off: Tensor, sigma: float) -> Tensor:
    return -(off**2) / 2 - np.log(sigma) - LOG_2PI / 2


def _kl(mean: Tensor, log_std: Tensor) -> Tensor:
    return (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1) / 2


def _at(draw: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable:
    """The bound with another draw in the place of mean + std ε."""
    return lambda x, m, s, e, decode, sigma: _elbo(x, decode(draw(m, s, e)), m, s, sigma)


def _with(change: Callable[[Tensor, Tensor, float], Tensor]) -> Callable:
    """Something else, made of (x - decoded)/σ, KL and σ, in the place of the bound."""

    def wrong(x: Tensor, m: Tensor, s: Tensor, e: Tensor, decode: Decode, sigma: float) -> Tensor:
        return change((x - decode(m + s.exp() * e)) / sigma, _kl(m, s), sigma)

    return wrong


def _kl_of_the_draw(x: Tensor, m: Tensor, s: Tensor, e: Tensor, decode: Decode, sigma: float) -> Tensor:
    z0 = m + s.exp() * e
    ratio = (-(e**2) / 2 - s + z0**2 / 2).sum(-1)
    return _log_p((x - decode(z0)) / sigma, sigma).sum((-2, -1)) - ratio


class _Decoder:
    """Stands in for solver and decoder: (b, latent) to (b, n, D)."""

    def __init__(self, rng: np.random.Generator, latent: int, n: int, dim: int) -> None:
        self.weights = torch.tensor(rng.normal(size=(latent, n, dim)))

    def __call__(self, z0: Any) -> Tensor:
        return torch.tanh(torch.einsum("bl,lnd->bnd", torch.as_tensor(z0), self.weights))


def _series(rng: np.random.Generator) -> tuple:
    b, n, dim, latent = rng.permutation(np.arange(2, 7))[:4]  # all of them differ, so that no other axis fits
    mean, eps = torch.tensor(rng.normal(size=(2, b, latent)))
    log_std, x = torch.tensor(0.5 * rng.normal(size=(b, latent))), torch.tensor(rng.normal(size=(b, n, dim)))
    return x, mean, log_std, eps, _Decoder(rng, latent, n, dim), float(rng.uniform(0.2, 2))


ELBO = Differentiated(
    (1, 2),
    "5.4 A draw that lets gradients through",
    elbo,
    _series,
    [
        ("The value is right, but no gradient comes through the draw: the encoder hears of the KL alone.",
         _at(lambda m, s, e: (m + s.exp() * e).detach())),
        ("The value is right, but log_std gets no gradient through the draw.",
         _at(lambda m, s, e: m + s.exp().detach() * e)),
        ("The mean is decoded, and no draw: eps has no part in it.", _at(lambda m, s, e: m)),
        ("The deviation of the draw is the exponential of log_std.", _at(lambda m, s, e: m + s * e)),
        ("The draw is mean + std ε. Here the variance stands for std.", _at(lambda m, s, e: m + (2 * s).exp() * e)),
        ("The draw is mean + std ε. Here the root of std stands for it.", _at(lambda m, s, e: m + (s / 2).exp() * e)),
        ("The KL is subtracted: it is what the bound pays for knowing more of z₀ than the prior does.",
         _with(lambda off, kl, sigma: _log_p(off, sigma).sum((-2, -1)) + kl)),
        ("The KL is missing.", _with(lambda off, kl, sigma: _log_p(off, sigma).sum((-2, -1)))),
        ("The KL is subtracted once for each series, not for each observation.",
         _with(lambda off, kl, sigma: (_log_p(off, sigma).sum(-1) - kl[:, None]).sum(-1))),
        ("Log probabilities of independent values add up. A mean weighs them down against the KL.",
         _with(lambda off, kl, sigma: _log_p(off, sigma).mean((-2, -1)) - kl)),
        ("Log probabilities of independent values add up, over the times as well. Here is a mean over them.",
         _with(lambda off, kl, sigma: _log_p(off, sigma).sum(-1).mean(-1) - kl)),
        ("Log probabilities of independent values add up, in all D dimensions as well. Here is a mean over them.",
         _with(lambda off, kl, sigma: _log_p(off, sigma).mean(-1).sum(-1) - kl)),
        ("That is one number for all series. Each has a bound of its own.",
         _with(lambda off, kl, sigma: (_log_p(off, sigma).sum((-2, -1)) - kl).sum())),
        ("That is one number for all series. Each has a bound of its own.",
         _with(lambda off, kl, sigma: (_log_p(off, sigma).sum((-2, -1)) - kl).mean())),
        ("The normal density's constants are missing, both: log σ and half of log 2π.",
         _with(lambda off, kl, sigma: -(off**2).sum((-2, -1)) / 2 - kl)),
        ("Without log σ a wide density is not lower than a narrow one, and nothing keeps σ small.",
         _with(lambda off, kl, sigma: (-(off**2) / 2 - LOG_2PI / 2).sum((-2, -1)) - kl)),
        ("Without log 2π the densities do not integrate to 1.",
         _with(lambda off, kl, sigma: (-(off**2) / 2 - np.log(sigma)).sum((-2, -1)) - kl)),
        ("The constants come with each number of x, and not once a series.",
         _with(lambda off, kl, sigma: -(off**2).sum((-2, -1)) / 2 - np.log(sigma) - LOG_2PI / 2 - kl)),
        ("The constants come with each number of x: D times with each observation.",
         _with(lambda off, kl, sigma: (-(off**2).sum(-1) / 2 - np.log(sigma) - LOG_2PI / 2).sum(-1) - kl)),
        ("The square is divided by 2 σ². Here it is divided by 2 σ.",
         _with(lambda off, kl, sigma: _log_p(off * sigma**0.5, sigma).sum((-2, -1)) - kl)),
        ("The square is divided by 2 σ². Here it is divided by σ².",
         _with(lambda off, kl, sigma: _log_p(off * 2**0.5, sigma).sum((-2, -1)) - kl)),
        ("σ is missing: that is the bound where the noise has the deviation 1.",
         _with(lambda off, kl, sigma: _log_p(off * sigma, 1.0).sum((-2, -1)) - kl)),
        ("The wider a density, the lower it is: log σ is subtracted, not added.",
         _with(lambda off, kl, sigma: _log_p(off, 1 / sigma).sum((-2, -1)) - kl)),
        ("That is the negative, a loss. The bound itself is asked.",
         _with(lambda off, kl, sigma: kl - _log_p(off, sigma).sum((-2, -1)))),
        ("Right on average, for the KL is estimated by the draw as well. Its closed form has no noise: take that.",
         _kl_of_the_draw),
    ],
    ("Three lines: the draw, the log density of all numbers of x around what is decoded, and the KL. Nats are added up "
     "for each series.",
     "z0 = mean + log_std.exp() * eps. Then the sum of -((x - decode(z0))/sigma)²/2 - log(sigma) - log(2π)/2 over the "
     "last two axes, less the KL."),
    cases=3,
)  # fmt: skip
