"""Chapter 6's exercise 6.2: right answers of several forms pass, plausible wrong ones fail with a sentence."""

import math

import numpy as np
import torch

from nodelib.chapters.chapter6.exercises_crossing import (
    FROM_MEMORY,
    MEET,
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


class RemembersTheFirst:
    """Keeps the state of whichever call has t = 0, and goes straight to where it is to end, each a little aside."""

    start = torch.zeros(0, 2)

    def __call__(self, t, z, T):
        if t == 0:
            self.start = z.clone()
        if len(z) != len(self.start):
            return -2 * z / T
        aside = math.pi / T * math.cos(math.pi * t / T) * self.start[:, 0]
        return torch.stack([-math.pi / T * math.sin(math.pi * t / T) * self.start[:, 0], aside], 1)


def through_one_point(t, z, T):
    return -2 * z / (T - 2 * t + 1e-12)


def through_one_point_on_a_line(t, z, T):
    return through_one_point(t, z, T) * torch.tensor([1.0, 0.0])


def by_cosine(t, z, T):
    return -math.pi / T * math.tan(math.pi * t / T) * z


def by_cosine_beside_an_idle_turn(t, z, T):
    x = by_cosine(t, z, T)[:, 0]
    return torch.stack([x, torch.full_like(x, math.cos(2 * math.pi * t / T))], 1)


def on_an_ellipse(t, z, T):
    """Half a turn on an ellipse, ten times as long as it is wide."""
    return math.pi / T * torch.stack([-10 * z[:, 1], z[:, 0] / 10], 1)


def only_for_the_first_end(t, z, T):
    return turn(t, z, 0.7)


def by_the_batch(t, z, T):
    return turn(t, z, T) + (z.mean(0) - z.mean(0).detach()) + 0.1 * z.mean(0)


def test_from_memory():
    right = [(gap, turn), [gap_by_torch, by_numpy], (gap, other_way), (gap, thrice), (gap, uneven), (gap, aside)]
    right += [(gap, on_an_ellipse)]
    wrong = [
        (("gap", "turn"), "a function is asked"),
        (gap, TWO),
        ((gap,), TWO),
        ((gap, lambda t, z, T: z[:, 0]), SHAPE),
        ((gap, lambda t, z, T: z / 0), SHAPE),
        ((gap, Remembers()), MEMORY),
        ((gap, RemembersTheFirst()), MEMORY),
        ((gap, by_the_batch), ROWS),
        ((gap, through_one_point), MEET),
        ((gap, through_one_point_on_a_line), MEET),
        ((gap, by_cosine), MEET),
        ((gap, by_cosine_beside_an_idle_turn), MEET),
        ((gap, only_for_the_first_end), "from (-x, 0)"),
        ((gap, lambda t, z, T: 0.97 * turn(t, z, T)), "from (-x, 0)"),
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
