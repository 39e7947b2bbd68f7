"""Bytes and seconds against depth: backpropagation holds a graph that grows, the adjoint the same bytes always."""

import numpy as np
import pytest
import torch

from nodelib.experiments import costs
from nodelib.experiments.costs import growth, held, iteration_cost, middle, peak_bytes, seconds, slope
from nodelib.models.odenet import ODENet, RKNet
from nodelib.models.resnet import MLP, ResNet, parameter_count

DEPTHS = (8, 12, 16, 32)
Z = torch.randn(3, 4, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture(scope="module")
def grown():
    return growth(Z, DEPTHS, repeats=1)


def test_memory_grows_by_a_graph_by_a_state_or_not_at_all(grown):
    assert (grown["batch"], grown["shape"]) == (3, [4, 4, 4])
    by_way = {way: np.diff(row["bytes"]) / np.diff(row["depth"]) for way, row in grown["rows"].items()}
    norms = 2 * 2 * 3 * 4 * 8  # bytes: two norms keep mean and deviation of 3 images in 4 groups
    np.testing.assert_array_equal(by_way["ResNet"], 4 * Z.nbytes + norms)  # what each norm and convolution is given
    assert np.all(by_way["backprop"] > 5 * Z.nbytes)
    np.testing.assert_allclose(by_way["backprop"], by_way["backprop"][0], rtol=0.1)
    np.testing.assert_array_equal(by_way["checkpoint"], Z.nbytes / 4)  # a state for a step of four evaluations
    np.testing.assert_array_equal(by_way["adjoint"][1:], 0)


def test_a_slope_tells_linear_from_constant(grown):
    rows = grown["rows"]
    assert slope(rows["adjoint"], "bytes") == 0
    assert slope(rows["checkpoint"], "bytes") == Z.nbytes / 4
    assert slope(rows["ResNet"], "bytes") > 4 * Z.nbytes
    assert slope({"depth": [1, 2, 4], "bytes": [5, 3, 12]}, "bytes") == 4.5


def test_what_is_stored_is_what_the_way_back_needs():
    torch.manual_seed(0)
    x, y = torch.rand(4, 1, 8, 8), torch.tensor([1, 2, 3, 4])
    none, two, four = (held(ResNet(blocks, 4, "small"), x, y) for blocks in (0, 2, 4))
    assert none["stored"] < two["stored"] < four["stored"]
    assert four["stored"] - two["stored"] == two["stored"] - none["stored"]
    assert all(each["stored"] < each["peak"] for each in (none, two, four))
    assert four["peak"] == iteration_cost(ResNet(4, 4, "small"), x, y, repeats=1)["bytes"]


def test_a_block_of_rk4_evaluates_as_often_as_its_depth_says():
    for way in ("backprop", "checkpoint", "adjoint"):
        block = middle(way, 4, 12).double()
        block(Z)
        assert block.field.nfe == 12  # type: ignore[union-attr]


def test_only_depths_of_whole_steps_are_taken():
    rows = growth(Z[:1], (1, 4, 6), repeats=1)["rows"]
    assert rows["ResNet"]["depth"] == [1, 4, 6]
    assert rows["adjoint"]["depth"] == rows["backprop"]["depth"] == rows["checkpoint"]["depth"] == [4]
    assert all(len(row["bytes"]) == len(row["seconds"]) == len(row["depth"]) for row in rows.values())


def test_one_iteration():
    torch.manual_seed(0)
    x, y = torch.rand(4, 1, 8, 8), torch.tensor([1, 2, 3, 4])
    net, twin, residual = (
        make(channels=4, stem_kind="small") for make in (ODENet, RKNet, lambda **kw: ResNet(blocks=2, **kw))
    )
    twin.load_state_dict(net.state_dict())
    adjoint, backprop, none = (iteration_cost(model, x, y, repeats=1) for model in (net, twin, residual))
    assert adjoint["nfe_forward"] == backprop["nfe_forward"] >= 8
    assert adjoint["nfe_backward"] >= 8
    assert backprop["nfe_backward"] == none["nfe_forward"] == none["nfe_backward"] == 0
    assert adjoint["bytes"] < backprop["bytes"]
    assert none["parameters"] == parameter_count(residual)
    assert all(p.grad is None for p in net.parameters())
    assert iteration_cost(MLP(8, 5), torch.rand(10_000, 1, 8, 8)[:4], y, repeats=1)["bytes"] < 10_000


def test_bytes_are_those_held_at_once():
    def job():
        for _ in range(3):
            torch.zeros(100, dtype=torch.float64).add(1)

    assert peak_bytes(job) == 1600


def test_jobs_take_turns_and_the_shortest_time_counts(monkeypatch):
    calls, clock = [], iter([0, 3, 10, 11, 20, 22, 30, 35])
    monkeypatch.setattr(costs, "_now", lambda: next(clock))
    assert seconds([lambda: calls.append("a"), lambda: calls.append("b")], 2) == [2, 1]
    assert calls == ["a", "b", "a", "b"]


def test_without_repeats_bytes_are_counted_and_nothing_is_timed(grown):
    rows = growth(Z, DEPTHS[:1], repeats=0)["rows"]
    for way, row in rows.items():
        assert row["bytes"] == grown["rows"][way]["bytes"][:1]
        assert np.isnan(row["seconds"]).all()


def test_one_thread_is_timed_by_the_processor(one_thread, monkeypatch):
    monkeypatch.setattr(costs.time, "process_time", lambda: 7.0)
    monkeypatch.setattr(costs.torch.cuda, "is_initialized", lambda: False)
    assert costs._now() == 7
    monkeypatch.setattr(costs.torch, "get_num_threads", lambda: 2)
    assert costs._now() != 7
