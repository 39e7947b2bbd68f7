"""Two processes: what is made of their times, and one process that goes all four ways. No time is asserted."""

import pytest
import torch
import torch.distributed as dist

from nodelib.data.images import Images
from nodelib.experiments import records
from tests.bench.scale import ALONE, HALF, NAME, SIDE, TWO, measure, summary, table


@pytest.fixture
def group(tmp_path):
    dist.init_process_group("gloo", f"file://{tmp_path}/meet", world_size=1, rank=0)
    yield
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore:dL/dy has RMS")
def test_a_process_goes_all_four_ways(group):
    generator = torch.Generator().manual_seed(0)
    images = Images(torch.rand(20, 1, 28, 28, generator=generator), torch.arange(20) % 10)
    found = measure(images, 2, 1, 1)
    for name in (ALONE, SIDE, TWO, HALF):
        assert len(found[name]["seconds"]) == len(found[name]["nfe"]) == 1  # the first round is left out
        assert found[name]["seconds"][0] > 0
        assert found[name]["nfe"][0] > 8
    assert found["reduce"] > 0


def test_gain_and_efficiency_are_those_of_the_slower_process():
    first = {ALONE: 1.0, SIDE: 1.0, TWO: 1.0, HALF: 0.5}
    second = {ALONE: 0.0, SIDE: 1.25, TWO: 2.0, HALF: 0.8}
    found = [
        {name: {"seconds": [s] * 3, "nfe": [n] * 3} for name, s in seconds.items()} | {"reduce": reduce}
        for seconds, n, reduce in ((first, 40, 0.01), (second, 50, 0.02))
    ]
    found[1][ALONE] = {"seconds": [], "nfe": []}
    rows = summary(found)
    assert rows["reduce"] == 0.02
    assert {name: row["gain"] for name, row in rows["rows"].items()} == {ALONE: 1.0, SIDE: 1.6, TWO: 1.0, HALF: 1.25}
    assert rows["rows"][TWO]["efficiency"] == 0.5
    assert [rows["rows"][name]["balance"] for name in (ALONE, HALF)] == pytest.approx([1.0, 0.8])


def test_the_readme_has_what_was_recorded():
    text = (records.ROOT / "README.md").read_text(encoding="utf-8")
    assert table(records.read(NAME)) in text
