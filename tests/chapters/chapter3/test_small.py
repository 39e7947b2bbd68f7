"""Chapter 3's small networks, and the pictures and numbers that it makes of their record."""

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from torch.nn import functional as F

from nodelib.chapters.chapter3 import curves, small, table
from nodelib.chapters.chapter3.exercises_blocks import ode_block
from nodelib.chapters.chapter3.questions import QUESTIONS
from nodelib.data.digits import digits
from nodelib.data.images import Images
from nodelib.data.sample import mnist_sample
from nodelib.experiments import records
from nodelib.experiments.training import Log, error
from nodelib.models.odenet import ODENet
from nodelib.models.resnet import ResNet, parameter_count
from nodelib.models.table1 import trained
from nodelib.workbook.style import LOOKS


@pytest.fixture(scope="module")
def net() -> Any:
    torch.manual_seed(0)
    return ODENet(4, "small", "backprop", **small.SOLVERS["Euler 4"])


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return small.recorded()


def test_a_readers_block_gives_the_losses_of_the_network_by_eulers_method(net):
    images = digits()[1]
    expected = small.losses(net, images)
    assert expected.shape == images.y.shape
    torch.testing.assert_close(small.refined(ode_block, net, 4, images), expected)
    with torch.no_grad():
        assert float(expected.mean()) == pytest.approx(float(F.cross_entropy(net(images.x), images.y)))


def test_a_fit_is_the_mean_loss_by_each_solver(net):
    images, own = Images(*(part[:40] for part in digits()[1])), net.body.settings
    found = small.fit(net, images)
    assert found["own"] == found["euler"][small.STEPS.index(4)] == float(small.losses(net, images).mean())
    assert len(found["euler"]) == len(small.STEPS)
    errors = [abs(loss - found["fine"]) for loss in found["euler"]]
    assert errors[-1] == min(errors) < 0.1 * max(errors)
    assert net.body.settings is own


def test_another_solver_is_taken_and_put_back(net):
    images, own = digits()[1], net.body.settings
    assert small.tested(net, "Euler 4", images) == 1 - error(net, images)
    other = ODENet(4, "small", "backprop", **small.SOLVERS["Euler 1"])
    other.load_state_dict(net.state_dict())
    assert small.tested(net, "Euler 1", images) == 1 - error(other, images)
    assert net.body.settings is own


def test_differences_are_paired():
    def log(*errors: float) -> list[dict[str, Any]]:
        return [{"test_error": [0.9, e]} for e in errors]

    made_up = {"logs": {"a": log(0.03, 0.05, 0.01), "b": log(0.01, 0.02, 0.02)}}
    mean, bar, more = small.difference(made_up, "a", "b")
    assert (mean, more) == (pytest.approx(4 / 3), 2)
    assert bar == pytest.approx(np.std([2, 3, -1], ddof=1) / 3**0.5)


def test_the_record_has_ten_seeds_of_everything(record):
    assert set(record["logs"]) == set(small.NETWORKS)
    assert set(record["swapped"]) == set(small.SWAPPED)
    assert record["solvers"] == list(small.SOLVERS)
    assert set(record["fits"]) == set(small.SWAPPED)
    assert record["steps"] == list(small.STEPS)
    kept = [runs for key in ("logs", "swapped", "fits") for runs in record[key].values()]
    assert {len(runs) for runs in kept} == {record["seeds"]} == {10}
    for name, steps in (("Euler 1", 1), ("Euler 2", 2)):
        for run in record["fits"][name]:
            assert run["own"] == run["euler"][small.STEPS.index(steps)]
    for solver, name in small.SWAPPED.items():  # a network is right on what it does not get wrong
        own = [accuracies[record["solvers"].index(solver)] for accuracies in record["swapped"][solver]]
        np.testing.assert_allclose(own, [1 - log["test_error"][-1] for log in record["logs"][name]], atol=1e-5)


def test_a_net_is_moved_by_so_much_before_its_training(monkeypatch):
    monkeypatch.setattr(small, "train", lambda net, *rest, **more: None)
    (still, _), (moved, _) = (small.run.__wrapped__("MLP", 3, by) for by in (0.0, 1e-3))
    shifts = [(b / a - 1) / 1e-3 for a, b in zip(still.parameters(), moved.parameters(), strict=True)]
    found = torch.cat([shift.flatten() for shift in shifts]).detach()
    assert float(found.std()) == pytest.approx(1, abs=0.05)
    assert float(found.mean()) == pytest.approx(0, abs=0.05)


def test_nets_a_millionth_apart_part_as_rknet_and_odenet_do(record):
    """Over ten seeds no difference shows between how far the two come apart in the end."""
    moved = small.moved()
    assert (moved["moved"], moved["seeds"], moved["settings"]) == (1e-6, record["seeds"], record["settings"])
    last = {name: np.array([log["loss"][-1] for log in record["logs"][name]]) for name in ("RK-Net", "ODE-Net")}
    again = np.array([log["loss"][-1] for log in moved["logs"]])
    gaps = abs(last["ODE-Net"] / last["RK-Net"] - 1) - abs(again / last["RK-Net"] - 1)
    assert abs(gaps.mean()) < gaps.std(ddof=1) / np.sqrt(len(gaps))


def test_curves_show_the_record_and_the_readers_run(record):
    logs = {name: Log(seconds=[], **record["logs"][name][3]) for name in curves.NETWORK_LOOK}
    left, right = curves.training(record, logs).axes
    for i, name in enumerate(logs):
        median, crosses = right.lines[2 * i : 2 * i + 2]
        runs = 100 * np.array([log["test_error"] for log in record["logs"][name]])
        np.testing.assert_allclose(np.asarray(median.get_ydata()), np.median(runs, 0))
        np.testing.assert_allclose(np.asarray(crosses.get_ydata()), runs[3])
        assert to_rgba(median.get_color()) == to_rgba(LOOKS[curves.NETWORK_LOOK[name]].colour)
    assert left.get_xlim() == (0, 5)
    assert [text.get_text() for text in right.texts] == list(logs)


def test_the_swapped_solvers_are_those_of_the_record(record):
    live = {name: accuracies[0] for name, accuracies in record["swapped"].items()}
    (ax,) = curves.swapped(record, live).axes
    for i, (name, accuracies) in enumerate(record["swapped"].items()):
        median, crosses = ax.lines[2 * i : 2 * i + 2]
        np.testing.assert_allclose(np.asarray(median.get_ydata()), 100 * np.median(accuracies, 0))
        np.testing.assert_allclose(np.asarray(crosses.get_ydata()), 100 * np.array(live[name]))


def test_an_order_is_named_beside_its_line():
    steps = [4, 8, 16]
    errors = {name: [n**-p for n in steps] for name, p in zip("abcd", (4.0, 4.0, 3.0, 2.0), strict=True)}
    (ax,) = curves.orders(steps, errors).axes
    assert [text.get_text() for text in ax.texts] == ["a: order 4.0", "b: order 4.0", "c: order 3.0", "d: order 2.0"]
    assert ax.get_xlim() == (4, 16)


def test_z_has_a_root_mean_square_of_one_to_within_a_factor_of_two():
    """Beside which § 3.5 scales the adjoint."""
    net: Any = trained("mnist_odenet_12epochs_seed0")
    with torch.no_grad():
        start = net.stem(mnist_sample().x)
        for z in (start, net.body(start)):
            assert 0.5 < float(z.square().mean().sqrt()) < 2


def test_what_the_questions_say_is_what_is_recorded():
    seconds = {name: row["seconds"] for name, row in records.read("table1_cost")["models"].items()}
    assert seconds["odenet"] > max(seconds["mlp"], seconds["resnet"], seconds["rknet"])
    assert QUESTIONS.questions["3.1"].right == parameter_count(ResNet(blocks=0))
    assert QUESTIONS.questions["3.3"].right == pytest.approx(100 * np.mean(table.errors("resnet0")), abs=0.005)
