"""Chapter 6's exercise 6.2: right answers of several forms pass, plausible wrong ones fail with a sentence."""

import math

import numpy as np
import torch

from nodelib.chapters.chapter6.exercises_crossing import (
    FROM_MEMORY,
    MEMORY,
    ROWS,
    SHAPE,
    TWO,
    WILD,
    gap,
    turn,
)
from tests.workbook.graded import graded, line


def by_numpy(t, z, T):
    return math.pi / T * (np.asarray(z) @ np.array([[0, 1], [-1, 0]]))


def other_way(t, z, T):
    return torch.stack([z[:, 1], -z[:, 0]], 1) * math.pi / T


def thrice(t, z, T):
    return 3 * turn(t, z, T)


def uneven(t, z, T):
    """Faster in the middle: the angle is π (1 - cos(π t / T)) / 2."""
    return turn(t, z, T) * math.pi / 2 * math.sin(math.pi * t / T)


def aside(t, z, T):
    """Three shears: a += x, x -= 2 a, a += x, a third of the time each."""
    x, a = z.unbind(1)
    third = min(int(3 * t / T), 2)
    return torch.stack([-2 * a, 0 * a] if third == 1 else [0 * x, x], 1) * 3 / T


def gap_by_torch(start, L, T):
    rate = torch.tensor([-L, L])
    return tuple(start * (rate * T).exp())


class Remembers:
    """Keeps the first state of each solve, and goes straight to where it is to end."""

    def __init__(self):
        self.first = {}

    def __call__(self, t, z, T):
        start = self.first.setdefault((T, len(z)), z.clone())
        return -2 * start / T


def by_the_batch(t, z, T):
    return turn(t, z, T) + (z.mean(0) - z.mean(0).detach()) + 0.1 * z.mean(0)


def test_from_memory():
    right = [(gap, turn), [gap_by_torch, by_numpy], (gap, other_way), (gap, thrice), (gap, uneven), (gap, aside)]
    wrong = [
        (("gap", "turn"), "a function is asked"),
        (gap, TWO),
        ((gap,), TWO),
        ((gap, lambda t, z, T: z[:, 0]), SHAPE),
        ((gap, lambda t, z, T: z / 0), SHAPE),
        ((gap, Remembers()), MEMORY),
        ((gap, by_the_batch), ROWS),
        ((gap, lambda t, z, T: -2 * z / T), "the order stays"),
        ((gap, lambda t, z, T: torch.stack([-2 * z[:, 0].sign(), 0 * z[:, 0]], 1) / T), "the order stays"),
        ((gap, lambda t, z, T: z**3), "the order stays"),
        ((gap, lambda t, z, T: 2 * turn(t, z, 1.7)), "Which linear field turns?"),
        ((gap, lambda t, z, T: 1e4 * z.abs() ** 3 + 1), WILD),
        ((gap, lambda t, z: z), "it raises"),
        ((lambda start, L, T: start, turn), "gap: "),
        ((lambda start, L, T: (start / (1 + L * T), start * (1 + L * T)), turn), "What are the extreme solutions?"),
        ((lambda start, L, T: (start / math.exp(T), start * math.exp(T)), turn), "gap: "),
    ]
    wrong = [(answer, sentence.removeprefix("turn: ")) for answer, sentence in wrong]
    graded(FROM_MEMORY, right, wrong)


def test_nothing_is_said_of_what_is_not_written():
    for answer in (None, ..., (..., ...), (lambda start, L, T: ..., turn), (gap, lambda t, z, T: None)):
        assert "not written yet" in line(FROM_MEMORY, answer)
