"""Checks of exercises 6.1, 6.3, 6.4 and 6.5: right answers of several forms pass, and plausible wrong ones fail."""

import numpy as np
import pytest
import torch

from nodelib.chapters.chapter6 import reverse
from nodelib.chapters.chapter6.break_reversible import BREAK_IT
from nodelib.chapters.chapter6.exercises_batch import CONTROL
from nodelib.chapters.chapter6.exercises_reverse import UNDO
from nodelib.chapters.chapter6.exercises_scale import SCALE, VANISHES
from tests.workbook.graded import graded, line

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_step_for_each_sample():
    def by_loop(err, y0, y1, rtol, atol, h):
        accepted, new = [], []
        for e, a, b, step in zip(err, y0, y1, h, strict=True):
            terms = [(x / (atol + rtol * max(abs(u), abs(v)))) ** 2 for x, u, v in zip(e, a, b, strict=True)]
            ratio = (sum(terms) / len(terms)) ** 0.5
            accepted.append(ratio <= 1)
            new.append(step * min(10, max(0.2, 0.9 / ratio**0.2)))
        return accepted, new

    def by_torch(*args):
        err, y0, y1, rtol, atol, h = (torch.as_tensor(x) for x in args)
        ratio = (err / (atol + rtol * torch.maximum(y0.abs(), y1.abs()))).square().mean(1).sqrt()
        return ratio <= 1, h * (0.9 * ratio ** (-1 / 5)).clamp(0.2, 10)

    def by_norm(err, y0, y1, rtol, atol, h):
        scaled = err / (atol + rtol * np.where(abs(y0) > abs(y1), abs(y0), abs(y1)))
        ratio = np.linalg.norm(scaled, axis=1) / scaled.shape[1] ** 0.5
        return np.array(ratio <= 1, dtype=int), np.maximum(np.minimum(0.9 * ratio**-0.2, 10), 0.2) * h

    def altered(**change):
        def answer(err, y0, y1, rtol, atol, h):
            scale = change.get("scale", lambda a, b: atol + rtol * np.maximum(abs(a), abs(b)))(y0, y1)
            ratio = np.sqrt(np.mean((err / scale) ** 2, axis=change.get("axis", 1)))
            factor = np.clip(0.9 * ratio ** change.get("power", -0.2), 0.2, change.get("high", 10))
            return change.get("accept", lambda r: r <= 1)(ratio), h * factor

        return answer

    wrong = [
        altered(axis=None),
        altered(axis=0),
        (altered(power=-0.25), "-1/5"),
        (altered(power=0.2), "The wrong way"),
        altered(high=5),
        altered(accept=lambda r: r < 0.5),
        altered(accept=lambda r: r <= 0.9),
        altered(accept=lambda r: r <= 1.2),
        altered(accept=lambda r: 0.9 * r**-0.2 >= 1),  # only steps that grow
        altered(accept=lambda r: r > 1),
        altered(scale=lambda a, b: 1e-3 * np.maximum(abs(a), abs(b))),
        lambda err, y0, y1, rtol, atol, h: altered()(err, y0, y1, rtol, atol, h)[::-1],
        lambda err, y0, y1, rtol, atol, h: altered()(err * h[:, None], y0, y1, rtol, atol, h),
        lambda err, y0, y1, rtol, atol, h: altered()(err, y0, y1, rtol, atol, abs(h)),
        (lambda err, y0, y1, rtol, atol, h: altered()(err, y1, y1, rtol, atol, h), "the larger of |y|"),
    ]
    graded(CONTROL, [by_loop, by_torch, by_norm], wrong)


def test_the_losss_unit():
    def rms(g):
        return float(np.sqrt(np.mean(g**2)))

    right = [
        lambda g, rtol, atol: (rtol, atol * rms(g)),
        lambda g, rtol, atol: [rtol, atol * np.abs(g).max()],
        lambda g, rtol, atol: torch.tensor([rtol, atol * np.linalg.norm(g)]),
        lambda g, rtol, atol: (rtol / 2, atol * np.abs(g).mean()),
    ]
    wrong = [
        (lambda g, rtol, atol: (rtol, atol), "it still knows the unit"),
        (lambda g, rtol, atol: (rtol * rms(g), atol * rms(g)), "it still knows the unit"),
        (lambda g, rtol, atol: (rtol, atol / rms(g)), "it still knows the unit"),
        (lambda g, rtol, atol: (rtol, atol * rms(g) ** 2), "it still knows the unit"),
        (lambda g, rtol, atol: (0, atol * rms(g)), "it still knows the unit"),
        (lambda g, rtol, atol: (rtol, atol * 1e-8 * rms(g)), "too tight"),
        (lambda g, rtol, atol: (1e-3 * rtol, 3e-3 * atol * rms(g)), "too tight"),  # for the second network alone
        (lambda g, rtol, atol: (0.1, 0.1 * rms(g)), "too loose"),
        (lambda g, rtol, atol: (rtol, atol * rms(g) ** 0.5), "it still knows the unit"),
        (lambda g, rtol, atol: (20 * rtol, 20 * atol * rms(g)), "too loose"),
        (lambda g, rtol, atol: (rtol, -atol), "two positive numbers"),
        (lambda g, rtol, atol: (rtol, 0), "two positive numbers"),
        (lambda g, rtol, atol: (rtol, atol * abs(g.mean())), VANISHES),
        (lambda g, rtol, atol: (rtol, atol * abs(g.sum())), VANISHES),
        (lambda g, rtol, atol: (rtol, atol * abs(g[0, 0])), VANISHES),
        (lambda g, rtol, atol: (rtol, atol * abs(g[-1, -1])), VANISHES),
        (lambda g, rtol, atol: atol * rms(g), "two positive numbers"),
        (lambda g, rtol, atol: None, "not written yet"),
        (lambda g: (1e-3, 1e-3), "TypeError"),
    ]
    graded(SCALE, right, wrong)


def test_undo_a_step():
    def solved(psi, t, h, y1, z1, coupling):
        z = np.asarray(z1) + psi(t + h, -h, y1)
        y = z + (y1 - z - psi(t, h, z)) / coupling
        return y, z

    def by_loop(psi, t, h, y1, z1, coupling):
        z = [a + b for a, b in zip(z1, psi(t + h, -h, y1), strict=True)]
        change = psi(t, h, np.array(z))
        return [(a - (1 - coupling) * b - c) / coupling for a, b, c in zip(y1, z, change, strict=True)], z

    def altered(psi, t, h, y1, z1, coupling, *, swap=False, at=None, minus=1.0):
        z = z1 + minus * psi(t + h, -h, y1)
        mix = coupling if swap else 1 - coupling
        return (y1 - mix * z - psi(t if at is None else at, h, z)) / (1 - mix), z

    wrong = [
        lambda *x: altered(*x, swap=True),
        lambda *x: altered(*x, at=0.0),
        (lambda *x: altered(*x, minus=-1.0), "taken to the other side"),
        (lambda psi, t, h, y1, z1, c: reverse.coupled(psi, t + h, -h, y1, z1, c), "does not undo"),
        (lambda *x: altered(*x)[::-1], "y is asked first"),
        lambda *x: altered(*x)[0],
        lambda psi, t, h, y1, z1, c: (y1 - psi(t, h, y1), z1 - psi(t, h, z1)),
        lambda psi, t, h, y1, z1, c: altered(psi, t, h, y1, z1, 0.99),
    ]
    graded(UNDO, [reverse.uncoupled, solved, by_loop], wrong)


def test_the_arguments_of_undo_come_from_a_step():
    psi, t, h, y1, z1, coupling = UNDO.arguments()[0]
    back = reverse.uncoupled(psi, t, h, y1, z1, coupling)
    for found, given in zip(reverse.coupled(psi, t, h, *back, coupling), (y1, z1), strict=True):
        np.testing.assert_allclose(found, given, rtol=1e-10)


def decaying(mu, start=(1.0, 1.0), t1=1.0):
    return lambda: (lambda t, z: torch.stack((-mu * z[0], z[1])), list(start), t1)


def test_break_the_reversible_solver():
    def chasing():
        return lambda t, z: torch.stack((-40 * (z[0] - z[1]), torch.tanh(3 * z[0]))), [1.0, 0.1], 1.0

    def turning():
        return lambda t, z: torch.stack((-25 * z[0] + torch.sin(t), -z[2], z[1])), torch.tensor([0.0, 1.0, 1.0]), 1.5

    def out_of_phase():
        """The end is right, since what turns is small; its part of the gradient is not."""
        return lambda t, z: torch.stack((-60 * z[0], -60 * z[2], 60 * z[1], 0 * z[3])), [1.0, 1e-3, 0.0, 1.0], 1.0

    wrong = [
        (out_of_phase, "the checkpointed gradient"),
        (decaying(5), "at least 0.5 is asked"),
        (lambda: (lambda t, z: torch.stack((z[1], -100 * z[0])), [1.0, 0.0], 6.0), "off by more than 1 %"),
        (lambda: (lambda t, z: -40 * z, [1.0], 1.0), "next to nothing"),
        (lambda: (lambda t, z: torch.stack((z[1], -z[0])), [1.0, 0.0], 5.0), "at least 0.5 is asked"),
        (decaying(30, t1=-1.0), "t1 is to be from 0 to 20"),
        (lambda: (lambda t, z: -z, [1.0]), "three results"),
        (lambda: (lambda t, z: np.sin(z), [1.0], 1.0), "raises"),
        (lambda: (None, ..., None), "not written yet"),
        (lambda: (lambda t, z: z**2, [1.0], 2.0), "fails already"),
    ]
    graded(BREAK_IT, [decaying(30), chasing, turning], wrong)
    assert line(BREAK_IT, decaying(30)()).startswith("✓")  # called already
