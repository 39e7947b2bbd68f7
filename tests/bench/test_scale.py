"""Two processes: what is made of their times, and one process that goes all four ways. No time is asserted."""

import re
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from nodelib.data.images import Images
from nodelib.experiments import records
from nodelib.experiments.training import evaluations
from tests.bench import readme, scale
from tests.bench.scale import ALONE, HALF, ITERATIONS, NAME, ROUNDS, SIDE, TWO, measure, summary, table, timed, ways


@pytest.fixture
def group(tmp_path):
    dist.init_process_group("gloo", f"file://{tmp_path}/meet", world_size=1, rank=0)
    yield
    dist.destroy_process_group()


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return Images(torch.rand(60, 1, 28, 28, generator=generator), torch.arange(60))


@pytest.mark.filterwarnings("ignore:dL/dy has RMS")
def test_a_process_goes_all_four_ways(group, images):
    found = measure(Images(images.x, images.y % 10), 2, 1, 1)
    for name in (ALONE, SIDE, TWO, HALF):
        assert len(found[name]["seconds"]) == len(found[name]["nfe"]) == 1  # the first round is left out
        assert found[name]["seconds"][0] > 0
        assert found[name]["nfe"][0] > 8
    assert found["reduce"] > 0


def test_the_ways_differ_in_batch_and_averaging_and_the_processes_in_their_images(group, images, monkeypatch):
    seen = []
    monkeypatch.setattr(scale, "step", lambda model, x, y, optimizer: (seen.append(y.tolist()), model(x)))
    for rank, first in ((0, 0), (1, 20)):
        found = ways(images, 2, rank)
        assert {name: way.batch for name, way in found.items()} == {ALONE: 2, SIDE: 2, TWO: 2, HALF: 1}
        averaged = {name for name, way in found.items() if isinstance(way.model, DistributedDataParallel)}
        assert averaged == {TWO, HALF}
        way = found[SIDE]
        assert way()[1] + way()[1] == evaluations(way.net) > 0
        assert seen[-2:] == [[first, first + 1], [first + 2, first + 3]]


@pytest.mark.parametrize(("rank", "alone"), [(0, [2, 3, 4, 5]), (1, [])])
def test_all_ways_take_turns_and_the_first_round_does_not_count(rank, alone, monkeypatch):
    """With ways that count their calls: which take part, what is kept, and that as many numbers as parameters go."""

    class Pretended:
        def __init__(self, name):
            self.name, self.calls, self.net = name, 0, nn.Linear(2, 3)

        def __call__(self):
            order.append(self.name)
            self.calls += 1
            return self.calls - 1, 10 * (self.calls - 1)

    order: list[str] = []
    sent: list[int] = []
    group = SimpleNamespace(get_rank=lambda: rank, barrier=lambda: None, all_reduce=lambda x: sent.append(x.numel()))
    monkeypatch.setattr(scale, "dist", group)
    monkeypatch.setattr(scale, "ways", lambda *_: {name: Pretended(name) for name in (ALONE, SIDE, TWO, HALF)})
    found = measure(Images(torch.zeros(0), torch.zeros(0)), 2, 2, 2)
    assert found[ALONE]["seconds"] == alone
    for name in (SIDE, TWO, HALF):
        assert found[name] == {"seconds": [2, 3, 4, 5], "nfe": [20, 30, 40, 50]}
    mine = [name for name in (ALONE, SIDE, TWO, HALF) if name != ALONE or alone]
    assert order == 3 * [name for name in mine for _ in range(2)]
    assert set(sent) == {9}


def test_the_seconds_of_a_call_are_the_median(monkeypatch):
    clock = iter((0.0, 1.0, 10.0, 12.0, 20.0, 27.0))
    monkeypatch.setattr(scale, "time", SimpleNamespace(perf_counter=clock.__next__))
    assert timed(lambda: None, 3) == 2


def test_gain_and_efficiency_are_those_of_the_slower_process():
    """The slower of each iteration: with half a batch the first process is that twice, the second once."""
    first = {ALONE: [1.0, 0.5, 1.5], SIDE: [1.0] * 3, TWO: [1.0] * 3, HALF: [0.5, 0.8, 0.9]}
    second = {ALONE: [], SIDE: [1.25] * 3, TWO: [2.0] * 3, HALF: [0.8, 0.5, 0.5]}
    found = [
        {name: {"seconds": s, "nfe": [n] * len(s)} for name, s in seconds.items()} | {"reduce": reduce}
        for seconds, n, reduce in ((first, 40, 0.01), (second, 50, 0.02))
    ]
    made = summary(found)
    assert made["reduce"] == 0.02
    rows = made["rows"]
    assert {name: row["seconds"] for name, row in rows.items()} == {ALONE: 1.0, SIDE: 1.25, TWO: 2.0, HALF: 0.8}
    assert {name: row["gain"] for name, row in rows.items()} == {ALONE: 1.0, SIDE: 1.6, TWO: 1.0, HALF: 1.25}
    assert {name: row["efficiency"] for name, row in rows.items()} == {ALONE: 1.0, SIDE: 0.8, TWO: 0.5, HALF: 0.625}
    assert {name: row["nfe"] for name, row in rows.items()} == {ALONE: 40, SIDE: 50, TWO: 50, HALF: 50}
    assert [rows[name]["balance"] for name in (ALONE, HALF)] == pytest.approx([1.0, 0.8])


def test_the_readme_has_what_was_recorded():
    record = records.read(NAME)
    assert table(record) in readme.tables()
    assert len(table(record).splitlines()) == 2 + len(record["rows"]) == 6
    assert f"Measured on two cores ({readme.made(record)}) with the ODE-Net of Table 1" in readme.prose()


def test_the_readme_says_what_was_recorded():
    record, text = records.read(NAME), readme.prose()
    alone, two, half = (record["rows"][name] for name in (ALONE, TWO, HALF))
    assert f"One training with two batches keeps {100 * two['efficiency']:.0f} % of two processors." in text
    longer, averaging = (f"{1e3 * x:.0f}" for x in (two["seconds"] - alone["seconds"], record["reduce"]))
    assert f"Of the {longer} ms that it takes longer averaging alone is {averaging};" in text
    n, fewer, more = ROUNDS * ITERATIONS, 46, 52
    assert half["nfe"] == pytest.approx(((n - 1) * fewer + more) / n, rel=1e-5)
    assert half["balance"] == pytest.approx((n - 1 + fewer / more) / n, rel=1e-5)
    assert f"of {n} iterations with half a batch that happened in one, which" in text
    assert f"took {fewer} evaluations here and {more} there" in text
    assert {record["rows"][name]["nfe"] for name in (ALONE, SIDE, TWO)} == {fewer}


def test_the_twelve_trainings_of_the_readme_are_the_records():
    text, names = readme.prose(), records.names("mnist_")
    shared = [name for name in names if records.read(name)["provenance"]["device"] == "NVIDIA H200"]
    assert len(shared) == 12
    assert "twelve trainings shared one for the table above" in text
    nets = [run for run in map(records.read, shared) if run.get("model") == "odenet"]
    iterations = 12 * 60_000 / 128
    assert {(run["settings"]["epochs"], run["settings"]["batch"]) for run in nets} == {(12, 128)}
    fastest, slowest = sorted(f"{1e3 * run['provenance']['seconds'] / iterations:.0f}" for run in nets)
    (nfe,) = {run["log"]["nfe_forward"][-1] + run["log"]["nfe_backward"][-1] for run in nets}
    assert f"with {fastest} to {slowest} ms for an ODE-Net's iteration of {nfe:.0f} evaluations" in text
    (parameters,) = {run["parameters"] for run in nets}
    assert f"Averaging sends {parameters:,} numbers, {4 * parameters / 1e6:.1f} MB, once an iteration" in text


def test_the_plan_for_eight_follows_from_the_three_times_that_the_readme_gives():
    """The times themselves were measured once, and there is no record of them."""
    text = readme.prose()
    found = re.search(r"takes (\d+) ms with 128 images, (\d+) with 1,024 and (\d+) with 4,096", text)
    assert found
    few, more, most = (n / int(ms) for n, ms in zip((128, 1024, 4096), found.groups(), strict=True))
    assert f"128 a GPU | {8 * few / few:.1f}, where one GPU alone makes {more / few:.1f} |" in text
    assert f"1,024 a GPU | {8 * more / few:.0f}, where one GPU makes {most / few:.0f} with 4,096 |" in text
