"""Chapter 3's checks: right answers in several forms pass, plausible wrong ones fail and are told why."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from nodelib.chapters.chapter3.exercises import EXERCISES, usable
from nodelib.chapters.chapter3.exercises_solvers import PRIMES, fools
from nodelib.models.odenet import ConvField
from nodelib.models.resnet import norm, parameter_count
from nodelib.numpy_ode import odeint as numpy_odeint
from nodelib.torch_ode import odeint
from tests.workbook.graded import every_exercise_is_graded, graded, line

GRADED = {}


def field_a(c, k):
    return 2 * ((c + 1) * c * k * k + c), 6 * c


GRADED["3.1 Count"] = (
    [
        lambda c, k: 2 * ((c + 1) * c * k**2 + c) + 6 * c,
        lambda c, k: 2 * c * (k * k * (c + 1) + 1) + 3 * (c + c),
        lambda c, k: float(sum([(c + 1) * c * k * k, c, c, c] * 2) + 2 * c),
        lambda c, k: np.int64(2 * c * c * k * k + 2 * c * k * k + 8 * c),
        lambda c, k: sum(p.numel() for p in torch.nn.Conv2d(c + 1, c, k).parameters()) * 2 + 6 * c,
        lambda c, k: 2 * parameter_count(torch.nn.Conv2d(c + 1, c, k)) + 3 * parameter_count(norm(c)),
    ],
    [
        (field_a, "array of shape"),
        (lambda c, k: 2 * (c * c * k * k + c) + 6 * c, "The clock is a channel"),
        (lambda c, k: 2 * (c + 1) * c * k * k + 6 * c, "2 c too few"),
        (lambda c, k: 2 * ((c + 1) * c * 9 + c) + 6 * c, "does not depend on k"),
        (lambda c, k: 4160 + 74_112, ""),
        (lambda c, k: 2 * ((c + 1) * c * k * k + c) + 6 * min(32, c), ""),
        (lambda c, k: 2 * ((c + 1) * c * k * k + c) + 4 * c, "2 c too few"),
        (lambda c, k: 2 * ((c + 1) * c * k * k + c) + 4 * c + 2 * (c + 1), "2 too many"),
        (lambda c, k: 2 * ((c + 1) * c * k * k + c), "norms are missing"),
    ],
)

GRADED["3.2 A block as a field"] = (
    [
        lambda block, n, t, z: n * (block(z) - z),
        lambda block, n, t, z: (block(z) - z) / (1 / n),
        lambda block, n, t, z: n * block(z) - n * z,
        lambda block, n, t, z: (n * (block(z) - z)).numpy(),
        lambda block, n, t, z: torch.tensor(n) * (block(z) - z),
        lambda block, n, t, z: (block(z) - z) / (torch.tensor(1.0) / n),
        lambda block, n, t, z: [n * (led - at) for led, at in zip(block(z), z, strict=True)],
    ],
    [
        (lambda block, n, t, z: block(z) - z, "undoes"),
        (lambda block, n, t, z: (z - block(z)) * n, "sign"),
        (lambda block, n, t, z: (block(z) - z) / n, ""),
        (lambda block, n, t, z: block(z), "where the block leads"),
        (lambda block, n, t, z: z + n * (block(z) - z), "z is in it as well"),
        (lambda block, n, t, z: z + (block(z) - z) / n, ""),
        (lambda block, n, t, z: n * (block(z) - z).abs(), ""),
        (lambda block, n, t, z: n * (block(block(z)) - block(z)), ""),
        (lambda block, n, t, z: lambda t, z: block(z) - z, ""),
        (lambda block: lambda t, z: block(z) - z, "4 arguments"),
        (lambda block, n, t, z: 6 * (block(z) - z), ""),
    ],
)


def while_loop(field, z, n):
    t = 0.0
    while t < 1 - 1e-9:
        z = z + field(t, z) * (1 / n)
        t += 1 / n
    return z


def until_one(field, z, n):
    t = 0
    while t < 1:
        z = z + field(t, z) / n
        t += 1 / n
    return z


def at(times):
    """Steps of Euler's method that ask the field at ``times(n)``."""

    def answer(field, z, n):
        for t in times(n):
            z = z + field(t, z) / n
        return z

    return answer


def rows(field, z, n):
    z = list(z)
    for k in range(n):
        z = [row + slope / n for row, slope in zip(z, field(k / n, torch.stack(z)), strict=True)]
    return z


def in_place(field, z, n):
    for t in np.linspace(0, 1, n + 1)[:-1]:
        z += np.diff(np.linspace(0, 1, n + 1))[0] * field(t, z)
    return z


def with_tensor_times(field, z, n):
    for t in torch.arange(n) / n:
        z = z + field(t.double(), z) / n
    return z


def with_a_torch_step(field, z, n):
    h = torch.tensor(1 / n)
    for k in range(n):
        z = z + h * field(k * h, z)
    return z


def with_a_step_of_an_array(field, z, n):
    for a, b in pairwise(np.linspace(0, 1, n + 1)):
        z = z + (b - a) * field(np.array(a), z)
    return z


def in_numpy(field, z, n):
    z = np.asarray(z)
    for k in range(n):
        z = z + np.asarray(field(k / n, z)) / n
    return z


def recursive(field, z, n, k=0):
    return z if k == n else recursive(field, z + field(k / n, z) / n, n, k + 1)


def library(field, z, n):
    return odeint(field, z, torch.tensor([0.0, 1.0]), method="euler", options={"step_size": 1 / n})[-1]


def numpy_library(field, z, n):
    def in_arrays(t, z):
        return np.asarray(field(t, z))

    return numpy_odeint(in_arrays, np.asarray(z), [0.0, 1.0], method="euler", options={"step_size": 1 / n})[-1]


def runge_kutta(field, z, n):
    for k in range(n):
        half = z + field(k / n, z) / (2 * n)
        z = z + field((k + 0.5) / n, half) / n
    return z


def path(field, z, n):
    states = [z]
    for k in range(n):
        states.append(states[-1] + field(k / n, states[-1]) / n)
    return torch.stack(states)


GRADED["3.3 From memory"] = (
    [
        while_loop,
        in_place,
        with_tensor_times,
        with_a_torch_step,
        with_a_step_of_an_array,
        in_numpy,
        recursive,
        rows,
        at(lambda n: np.arange(0, 1, 1 / n)),
        at(lambda n: torch.linspace(0, 1, n + 1)[:-1]),
        lambda field, z, n: path(field, z, n)[-1],
    ],
    [
        (library, "Write its steps yourself"),
        (numpy_library, "Write its steps yourself"),
        (path, "where"),
        (runge_kutta, "n blocks"),
        (until_one, "a hair below 1"),
        (at(lambda n: np.linspace(0, 1, n)), "not at 1"),
        (at(lambda n: np.linspace(0, 1, n + 1)), "a step past 1"),
        (at(lambda n: (np.arange(n) + 0.5) / n), "in the middle of each step"),
        (at(lambda n: np.arange(1, n) / n), ""),
        (at(lambda n: (np.arange(n) / n)[::-1]), ""),
        (lambda field, z, n: at(lambda n: np.arange(n) / n)(field, z, 1000 * n), ""),
        (lambda field, z, n: z + field(0, z), ""),
        (lambda field, z, n: [z := z + field(k, z) for k in range(n)][-1], ""),
        (lambda field, z, n: [z := z + field(0, z) / n for _ in range(n)][-1], "time 0 again"),
        (lambda field, z, n: [z := z + field((k + 1) / n, z) / n for k in range(n)][-1], "end of each step"),
        (lambda field, z, n: [z := z + field(k / 6, z) / 6 for k in range(6)][-1], ""),
        (lambda z, field, n: z + field / n, ""),
    ],
)

GRADED["3.4 Is it a difference?"] = (
    [
        lambda p, q, n: abs(p - q) / np.sqrt(p * (1 - p) / n + q * (1 - q) / n),
        lambda p, q, n: abs(p - q) / np.hypot(np.sqrt(p * (1 - p) / n), np.sqrt(q * (1 - q) / n)),
        lambda p, q, n: np.sqrt(n) * np.abs(q - p) / (p - p**2 + q - q**2) ** 0.5,
        lambda p, q, n: torch.tensor(abs(p - q), dtype=torch.float64) / ((p * (1 - p) + q * (1 - q)) / n) ** 0.5,
    ],
    [
        (lambda p, q, n: abs(p - q) / np.sqrt((p + q) / n), "1 - p"),
        (lambda p, q, n: (p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / n), "absolute"),
        (lambda p, q, n: abs(p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / 10_000), "not every test set"),
        (lambda p, q, n: abs(p - q) / (np.sqrt(p * (1 - p) / n) + np.sqrt(q * (1 - q) / n)), "add the variances"),
        (lambda p, q, n: abs(p - q) / np.sqrt(p * (1 - p) / n), "not the first alone"),
        (lambda p, q, n: abs(p - q) / np.sqrt(p * (1 - p) + q * (1 - q)), ""),
        (lambda p, q, n: abs(p - q), ""),
        (lambda p, q, n: abs(p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / (n - 1)), ""),
        (lambda p, q, n: abs(p - q) / np.sqrt(abs(p * (1 - p) - q * (1 - q)) / n), "variances of independent"),
        (lambda p, q, n: (p - q) ** 2 * n / (p * (1 - p) + q * (1 - q)), "the square"),
        (lambda p, q, n: abs(round(n * p) - round(n * q)) / np.sqrt(n * (p * (1 - p) + q * (1 - q))), ""),
    ],
)


def through(depth, held, limit):
    """By the line through two pairs, or the one nearest to many."""
    b, a = np.polyfit(depth, held, 1)
    return (limit - a) / b


def ends(depth, held, limit):
    return through(depth[:: len(depth) - 1], held[:: len(held) - 1], limit)


GRADED["3.5 How deep does it fit?"] = (
    [
        ends,
        lambda d, h, limit: d[0] + (limit - h[0]) * (d[-1] - d[0]) / (h[-1] - h[0]),
        lambda d, h, limit: d[-1] + (limit - h[-1]) * (d[-1] - d[0]) / (h[-1] - h[0]),
        lambda d, h, limit: np.polyval(np.polyfit([h[0], h[-1]], [d[0], d[-1]], 1), limit),
        lambda d, h, limit: np.array(ends(d, h, limit)),
        lambda d, h, limit: torch.tensor(ends(d, h, limit), dtype=torch.float64),
    ],
    [
        (through, "fits a line to all pairs"),
        (lambda d, h, limit: through(d[:2], h[:2], limit), "first two pairs"),
        (lambda d, h, limit: d[0] + (limit - h[0]) * (d[1] - d[0]) / (h[1] - h[0]), "first two pairs"),
        (lambda d, h, limit: through(d[-2:], h[-2:], limit), "last two pairs"),
        (lambda d, h, limit: through([d[0], d[2]], [h[0], h[2]], limit), "Two points fix a line"),
        (lambda d, h, limit: limit * (d[-1] - d[0]) / (h[-1] - h[0]), "a, is missing"),
        (lambda d, h, limit: (limit - h[0]) * (d[-1] - d[0]) / (h[-1] - h[0]), "not measured at depth 0"),
        (lambda d, h, limit: (limit - h[0]) * (d[-1] - d[0]) / (h[-1] - h[0]) - d[0], "sign of b"),
        (lambda d, h, limit: int(ends(d, h, limit)), "Do not round"),
        (lambda d, h, limit: (limit - h[-1]) * (d[-1] - d[0]) / (h[-1] - h[0]), "The last pair has its depth"),
        (lambda d, h, limit: np.interp(limit, h, d), ""),
        (lambda d, h, limit: np.polyval(np.polyfit(h, d, 1), limit), ""),
        (lambda d, h, limit: d[0] + (limit - h[0]) / np.mean(np.diff(h) / np.diff(d)), ""),
        (lambda d, h, limit: 1.02 * ends(d, h, limit), "times what is asked"),
        (lambda d, h, limit: ends(d, h, 8e9), "does not depend on limit"),
    ],
)


def by_the_loss(middle, z, parameters, g, s):
    loss = s * (middle(z) * g).sum()
    return [part / s for part in torch.autograd.grad(loss, parameters)]


def by_backward(middle, z, parameters, g, s):
    for p in parameters:
        p.grad = None
    middle(z).backward(s * g)
    return tuple(p.grad / s for p in parameters)


def gradient(middle, z, parameters, g):
    return torch.autograd.grad(middle(z), parameters, g)


GRADED["3.6 Make the solver see"] = (
    [
        by_the_loss,
        by_backward,
        lambda m, z, p, g, s: [part.numpy() / s for part in gradient(m, z, p, g * s)],
        lambda m, z, p, g, s: [part * (1 / s) for part in gradient(m, z, p, s * g)],
        lambda m, z, p, g, s: (part / s for part in gradient(m, z, p, s * g)),
        lambda m, z, p, g, s: iter([part / s for part in gradient(m, z, p, s * g)]),
        lambda m, z, p, g, s: {k: part / s for k, part in enumerate(gradient(m, z, p, torch.tensor(s) * g))},
        lambda m, z, p, g, s: {k: part / s for k, part in enumerate(gradient(m, z, p, s * g))}.values(),
    ],
    [
        (lambda m, z, p, g, s: gradient(m, z, p, g), "below its tolerance"),
        (lambda m, z, p, g, s: gradient(m, z, p, s * g), "not scaled back"),
        (lambda m, z, p, g, s: (part for part in gradient(m, z, p, s * g)), "not scaled back"),
        (lambda m, z, p, g, s: dict(enumerate(gradient(m, z, p, g))), "below its tolerance"),
        (lambda m, z, p, g, s: (part / s for part in gradient(m, z, p, s * g)[::-1]), "shape"),
        (lambda m, z, p, g, s: torch.stack(list(map(torch.sum, gradient(m, z, p, s * g)))) / s, "single number"),
        (lambda m, z, p, g: gradient(m, z, p, g), "5 arguments"),
        (lambda m, z, p, g, s: [part / 1e6 for part in gradient(m, z, p, 1e6 * g)], "not always a million"),
        (lambda m, z, p, g, s: [part * s for part in gradient(m, z, p, g / s)], "below its tolerance"),
        (lambda m, z, p, g, s: [part / s for part in gradient(m, s * z, p, g)], ""),
        (lambda m, z, p, g, s: torch.cat([part.flatten() / s for part in gradient(m, z, p, s * g)]), "results"),
        (lambda m, z, p, g, s: [... for part in gradient(m, z, p, ...)], "TypeError"),
        (lambda m, z, p, g, s: [part / s for part in gradient(m, z, p, s * g)][:1], "1 result"),
    ],
)


def by_sums(loss, own, n):
    return abs(float(loss(2 * n).sum() / loss(n).sum()) - 1), float(loss(2 * n).sum() / own.sum())


def in_lists(loss, own, n):
    coarse, fine, trained = (sum(each.tolist()) / len(each) for each in (loss(n), loss(n + n), own))
    return [abs(fine - coarse) / coarse, fine / trained]


def made_of(change, worse):
    """An answer made of two functions of the mean losses: with n steps, with 2 n, and the training's own."""

    def answer(loss, own, n):
        means = loss(n).mean(), loss(2 * n).mean(), own.mean()
        return change(*means), worse(*means)

    return answer


def change(coarse, fine, own):
    return abs(fine / coarse - 1)


def worse(coarse, fine, own):
    return fine / own


GRADED["3.7 Is it an ODE?"] = (
    [
        made_of(change, worse),
        by_sums,
        in_lists,
        lambda loss, own, n: np.array(in_lists(loss, own, n)),
        lambda loss, own, n: torch.stack(made_of(change, worse)(loss, own, n)),
        lambda loss, own, n: tuple(np.float64(value) for value in by_sums(loss, own, torch.tensor(n))),
    ],
    [
        (lambda loss, own, n: (by_sums(loss, own, n)[0], loss(2 * n).sum() / 60 / own.mean()), ""),
        (lambda loss, own, n: (change(loss(n).sum() / 60, loss(2 * n).mean(), 0), by_sums(loss, own, n)[1]), ""),
        (lambda loss, own, n: by_sums(loss, own, n)[::-1], "other way round"),
        (lambda loss, own, n: by_sums(loss, own, n)[0], "2 are asked"),
        (made_of(change, lambda coarse, fine, own: own / fine), "upside down"),
        (made_of(change, lambda coarse, fine, own: coarse / own), "with n steps"),
        (made_of(change, lambda coarse, fine, own: fine), ""),
        (made_of(change, lambda coarse, fine, own: fine / coarse), ""),
        (made_of(lambda coarse, fine, own: fine / coarse - 1, worse), "has a sign"),
        (made_of(lambda coarse, fine, own: abs(fine - coarse) / own, worse), "not of the training's own"),
        (made_of(change, lambda coarse, fine, own: fine / own - 1), "not how much more"),
        (made_of(change, lambda coarse, fine, own: max(fine / own, torch.tensor(1.0))), ""),
        (made_of(lambda coarse, fine, own: abs(torch.log(fine / coarse)), worse), ""),
        (
            lambda loss, own, n: (abs(loss(2 * n) - loss(n)).mean() / loss(n).mean(), by_sums(loss, own, n)[1]),
            "what each image moves",
        ),
        (lambda loss, own, n: (by_sums(loss, own, n)[0], loss(2 * n).median() / own.median()), ""),
        (made_of(lambda coarse, fine, own: abs(fine - coarse) / fine, worse), "not with 2 n"),
        (made_of(lambda coarse, fine, own: abs(fine - coarse), worse), "is a loss"),
        (lambda loss, own, n: (by_sums(loss, own, n)[0], (loss(2 * n) / own).mean()), "mean of ratios"),
        (lambda loss, own, n: ((loss(2 * n) / loss(n) - 1).abs().mean(), by_sums(loss, own, n)[1]), "means first"),
        (
            lambda loss, own, n: (change(loss(n).mean(), loss(n + 1).mean(), 0), loss(n + 1).mean() / own.mean()),
            "n + 1",
        ),
        (lambda loss, own, n: (change(loss(n).mean(), loss(2).mean(), 0), loss(2).mean() / own.mean()), ""),
        (lambda loss, own, n: by_sums(loss, own, 16), "does not depend on n"),
        (lambda loss, own, n: (abs(loss(2 * n) / loss(n) - 1), loss(2 * n) / own), "array of shape"),
    ],
)


def pulses(n, t):
    return float(abs(2 * n * t - round(2 * n * t)) > 1e-9)


GRADED["3.8 Fool the test"] = (
    [
        lambda n, t: np.sin(2 * np.pi * n * t) ** 2,
        lambda n, t: 1 - np.cos(4 * np.pi * n * t),
        lambda n, t: abs(float(torch.sin(torch.tensor(2 * torch.pi * n * t)))),
        pulses,
        lambda n, t: 3 + t * 0 + 5 * np.sin(4 * np.pi * n * t) ** 2,
        lambda n, t: 1e7 * np.sin(2 * np.pi * n * t) ** 2,
        lambda n, t: [np.sin(2 * np.pi * n * t) ** 2],
        lambda n, t: np.array([np.sin(2 * np.pi * n * t) ** 2]),
        lambda n, t: np.array(pulses(n, t)),
        lambda n, t: torch.tensor([[pulses(n, t)]]),
        lambda n, t: int(pulses(n, t)),
        lambda n, t: np.sin(2 * np.pi * n * np.array([t])) ** 2,
        lambda n, t: np.cos(4 * np.pi * n * t),  # 1 wherever they look, and its integral is 0
        lambda n, t: 12 * (2 * n * t - round(2 * n * t)) ** 2,
        lambda n, t: 48 * n**3 * t * (1 / (2 * n) - t) if t < 1 / (2 * n) else 0,
        lambda n, t: 0.3 * np.sin(2 * np.pi * n * t) ** 2,
    ],
    [
        (lambda n, t: 1e7 * np.sin(2 * np.pi * n * t) ** 2 + t, "it is seen"),
        (lambda n, t: 1e7 * (1 + np.sin(2 * np.pi * n * t) ** 2) + t, "it is seen"),
        (lambda n, t: np.random.default_rng().uniform(), "Asked twice"),
        (lambda n, t: pulses(n, t) * np.random.default_rng().uniform(), "Asked twice"),
        (lambda n, t, asked=[]: len(asked.append(t) or asked) % 7919, "Asked twice"),
        (lambda n, t: np.sin(27720 * np.pi * t) ** 2, "for some n only"),
        (lambda n, t: np.sin(2 * np.pi * 360360 * t) ** 2, ""),
        (lambda n, t: np.sin(2 * np.pi * np.prod(PRIMES) * t) ** 2, ""),
        (lambda n, t: np.sin(2 * np.pi * n * t) ** 2 if n % 2 else 1.0, ""),
        (lambda n, t: np.sin(np.pi * n * (n + 1) * t) ** 2, ""),
        (lambda n, t: np.sin(2 * np.pi * n * t) ** 2 if n > 4 else 1.0, ""),
        (lambda n, t: 0.1 * np.sin(2 * np.pi * n * t) ** 2, "and rightly"),
        (lambda n, t: (2 * n * t) % 1, "where they look"),
        (lambda n, t: (2 * n * t) % 1 > 0.5, "where they look"),
        (lambda n, t: 0 if int(2 * n * t) == 2 * n * t else 1, "One point left out"),
        (lambda n, t: np.cos(2 * np.pi * n * t), ""),
        (lambda n, t: 1j * np.sin(2 * np.pi * n * t) ** 2, "a complex number"),
        (lambda n, t: np.nan, "nan or infinity"),
        (lambda n, t: 1 / np.sin(2 * np.pi * n * t) ** 2, ""),
        (lambda n, t: 1.0, "and rightly"),
        (lambda n, t: np.sin(2 * np.pi * n * t), "and rightly"),  # its integral is 0, too
        (lambda n, t: np.sin(np.pi * n * t) ** 2, "right to a tenth"),
        (lambda n, t: -9 * t, ""),
        (lambda n, t: t, ""),
        (lambda n, t: np.sin(8 * np.pi * t) ** 2, ""),
        (lambda n, t: [1.0, 2.0], "array of shape (2,)"),
        (lambda n, t: "no", "a text"),
        (lambda t, n: np.sin(2 * np.pi * n * t), ""),
        (lambda n: 1.0, "TypeError"),
    ],
)


def by_differences(f, t, z, w):
    change = torch.zeros_like(z[1])
    for i in range(len(change)):
        moved = [z.clone(), z.clone()]
        moved[0][1, i] += 1e-5
        moved[1][1, i] -= 1e-5
        up, down = ((w * f(t, state)[0]).sum() for state in moved)
        change[i] = (up - down) / 2e-5
    return change.norm()


def by_a_product(f, t, z, w):
    z = z.clone().requires_grad_()
    weights = torch.zeros_like(z)
    weights[0] = w
    return float(torch.linalg.norm(torch.autograd.grad(f(t, z), z, weights)[0][1]))


def by_backward_of_z(f, t, z, w):
    z.requires_grad_()
    (w @ f(t, z)[0]).backward()
    return z.grad[1].norm().item()


def of_z(f, t, z, w):
    z = z.detach().requires_grad_()
    return torch.autograd.grad((w * f(t, z)[0]).sum(), z)[0]


GRADED["3.9 Who sees whom"] = (
    [
        by_differences,
        by_a_product,
        by_backward_of_z,
        lambda f, t, z, w: torch.func.grad(lambda z: (w * f(t, z)[0]).sum())(z)[1].norm(),
        lambda f, t, z, w: (w @ torch.func.jacrev(lambda z: f(t, z)[0])(z)[:, 1]).norm(),
    ],
    [
        (lambda f, t, z, w: of_z(f, 1e-3, z, w)[1].norm(), ""),
        (lambda f, t, z, w: of_z(f, 0, z, w)[1].norm(), "another time"),
        (lambda f, t, z, w: of_z(f, t, z, w)[0].norm(), "image 0 itself"),
        (lambda f, t, z, w: of_z(f, t, z, w).norm(), "the whole batch"),
        (lambda f, t, z, w: of_z(lambda t, z: f(t, z)[1:], t, z, w)[0].norm(), "other way round"),
        (lambda f, t, z, w: of_z(lambda t, z: f(t, z)[1:], t, z, w)[1].norm(), ""),
        (lambda f, t, z, w: of_z(f, t, z, w)[1].abs().sum(), ""),
        (lambda f, t, z, w: torch.func.jacrev(lambda z: f(t, z)[0])(z)[:, 1].norm(), "on w"),
        (lambda f, t, z, w: of_z(f, t, z, torch.ones_like(w))[1].norm(), "weights w are missing"),
        (lambda f, t, z, w: f(0, z), ""),
        (lambda f, t, z, w: torch.autograd.grad((w * f(t, z)[0]).sum(), z)[0][1].norm(), "RuntimeError"),
    ],
)


@pytest.mark.parametrize("name", GRADED)
def test_right_answers_pass_and_wrong_ones_are_told_why(name):
    graded(EXERCISES[name], *GRADED[name])


def each(form):
    """``form`` of a result, or of each of several."""
    return lambda result: [form(part) for part in result] if isinstance(result, tuple) else form(result)


FORMS = {
    "arrays": each(np.asarray),
    "lists": each(lambda part: np.asarray(part).tolist()),
    "tensors": each(lambda part: torch.as_tensor(part, dtype=torch.float64)),
    "single precision": each(lambda part: torch.as_tensor(part).float()),
    "scalars of numpy": each(lambda part: np.asarray(part)[()]),
}


@pytest.mark.parametrize("form", FORMS)
def test_it_does_not_count_what_numbers_are_made_of(form):
    for exercise in EXERCISES.exercises.values():

        def answer(*arguments, right=exercise.right):
            return FORMS[form](right(*arguments))

        if exercise.name != "3.8 Fool the test":  # whose answers are rates
            assert line(exercise, answer).startswith("✓"), line(exercise, answer)


def test_every_exercise_is_tried():
    every_exercise_is_graded(EXERCISES, GRADED)


@pytest.mark.parametrize("name", GRADED)
def test_what_is_not_written_is_not_an_error(name):
    def stub(*arguments):
        """What the notebook has."""
        ...

    assert line(EXERCISES[name], stub).startswith(f"✗ {name}: not written yet")


def test_what_later_cells_run_on_is_the_readers_where_it_is_right():
    def mine(field, z, n):
        return with_tensor_times(field, z, n)

    assert usable("3.3 From memory", mine) is mine
    assert usable("3.3 From memory", path) is EXERCISES["3.3 From memory"].right
    assert usable("3.3 From memory", lambda field, z, n: None) is EXERCISES["3.3 From memory"].right


def test_a_rate_fools_only_if_both_solves_are_wrong_alike():
    assert fools(lambda n, t: np.sin(2 * np.pi * n * t) ** 2, 3) == "fooled"
    assert fools(lambda n, t: 2.0, 3) == "right"
    assert fools(lambda n, t: 10 * t, 3) == "seen"
    assert fools(lambda n, t: 0.1 * t, 3) == "near"
    assert fools(lambda n, t: None, 3) is None


def test_a_rate_that_jumps_where_eulers_method_looks_is_told_apart_from_one_that_is_seen():
    assert fools(lambda n, t: (2 * n * t) % 1, 37) == "jumps"
    assert fools(lambda n, t: float(t >= 0.5), 37) == "jumps"  # 37 steps do not look at 0.5, but 74 do
    assert fools(lambda n, t: float(t >= 0.49), 7) == "near"  # its jump is where neither looks


def test_the_steps_that_a_rate_is_tried_with_are_odd_and_even_many_and_few():
    tried = [n for (n,) in EXERCISES["3.8"].arguments()]
    assert min(tried) <= 4
    assert max(tried) == max(PRIMES)
    assert sum(n % 2 == 0 for n in tried) >= 2


@pytest.mark.parametrize("steps", [1, 5])
def test_the_books_solution_runs_on_the_books_fields(steps):
    """With times that are numbers and times that are tensors, and as the library's own Euler does."""
    torch.manual_seed(0)
    field, z = ConvField(4), torch.randn(2, 4, 3, 3)
    mine = EXERCISES["3.3"].right(field, z, steps)
    torch.testing.assert_close(mine, library(field, z, steps))
    torch.testing.assert_close(mine, with_tensor_times(field, z, steps))
