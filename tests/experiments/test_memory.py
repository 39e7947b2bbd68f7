"""Bytes held by tensors: counted once, given back, graphs included."""

import torch

from nodelib.experiments.memory import PeakMemory


def test_a_tensor_counts_while_it_is_held():
    with PeakMemory() as memory:
        x = torch.zeros(1000, dtype=torch.float64)
        assert memory.now == memory.peak == 8000
        y = x + 1
        assert memory.now == memory.peak == 16000
        del x
        assert (memory.now, memory.peak) == (8000, 16000)
    del y
    assert memory.now == 0


def test_views_share_their_bytes():
    with PeakMemory() as memory:
        x = torch.zeros(10, 10)
        views = x.T, x[3], x.reshape(-1)
        del x
        assert memory.now == memory.peak == 400
        del views
        assert memory.now == 0


def test_a_graph_holds_what_its_backward_pass_needs():
    x = torch.ones(100, requires_grad=True)
    with PeakMemory() as memory:
        y = x
        for _ in range(5):
            y = torch.tanh(y)  # keeps its result
        assert memory.now == 5 * 400
        y = y.detach()
        assert memory.now == 400


def test_the_backward_pass_is_counted_too():
    x = torch.ones(100, requires_grad=True)
    with PeakMemory() as memory:
        (gradient,) = torch.autograd.grad((x * x).sum(), x)
    assert memory.peak >= 2 * 400
    assert memory.now == gradient.nbytes
