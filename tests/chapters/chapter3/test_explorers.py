"""Chapter 3's explorer shows what the network does: checked on an untrained one, which needs no checkpoint."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nodelib.chapters.chapter3 import numbers
from nodelib.chapters.chapter3.explorers import architecture, describe, other_solvers
from nodelib.chapters.chapter3.numbers import (
    LEVELS,
    SOLVERS,
    STEPS,
    STOPS,
    TIGHT,
    TIMES,
    Digits,
    Moment,
    Path,
    measure,
    moment,
    principal,
    settings,
)
from nodelib.data.images import Images
from nodelib.data.sample import mnist_sample
from nodelib.models.odenet import ODENet
from nodelib.models.resnet import ResNet, parameter_count
from nodelib.workbook.style import LOOKS

IMAGES = Images(*(part[::4] for part in mnist_sample()))  # 13 of the fifty


@pytest.fixture(scope="module")
def net() -> ODENet:
    """A small one, with a field that is strong enough, and a head that is sensitive enough, for solvers to disagree."""
    torch.manual_seed(0)
    net = ODENet(channels=4)
    with torch.no_grad():
        net.get_parameter("body.field.norm3.weight").mul_(2)
        stem, body, head = net
        *layers, linear = head  # type: ignore[misc]
        middle = nn.Sequential(*layers)(body(stem(IMAGES.x))).mean(0)
        linear.weight.mul_(100)
        linear.bias.copy_(-linear.weight @ middle)
    return net


@pytest.fixture(scope="module")
def digits(net: ODENet) -> Digits:
    return Digits(net, IMAGES)


@pytest.fixture(scope="module")
def record(net: ODENet) -> dict[str, Any]:
    return measure(net, IMAGES, batch=7)


@pytest.fixture
def live(digits: Digits, record: dict[str, Any]) -> Any:
    return other_solvers("3.9", digits, record)


@pytest.fixture(scope="module")
def by(net: ODENet) -> Callable[..., torch.Tensor]:
    """The network's probabilities with another solver in the place of its own."""

    def scores(x: torch.Tensor, **chosen: Any) -> torch.Tensor:
        block: Any = net.body
        own, block.settings = block.settings, chosen
        with torch.no_grad():
            found = net(x).softmax(1)
        block.settings = own
        return found

    return scores


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_path_ends_where_the_network_ends(by, digits, solver):
    for level in LEVELS:
        path = digits.path(solver, level)
        torch.testing.assert_close(
            torch.tensor(path.says[-1]), by(IMAGES.x, **settings(solver, level)).double(), atol=1e-5, rtol=0
        )
        assert (path.t[0], path.t[-1]) == (0, 1)
        assert np.all(np.diff(path.t) > 0)
        assert path.plane.shape == (len(path.t), len(IMAGES.y), 2)
        if solver != "dopri5":
            assert len(path.t) == STEPS[level] + 1


@pytest.mark.parametrize("solver", SOLVERS)
def test_paths_begin_at_the_stem_and_approach_the_exact_ones(digits, solver):
    errors = [digits.path(solver, level).error.mean() for level in LEVELS]
    assert np.all(np.diff(errors) < 0)
    assert errors[-1] < errors[0] / 5
    first, last = digits.path(solver, 0), digits.path(solver, LEVELS[-1])
    np.testing.assert_allclose(first.says[0], digits.exact.says[0], atol=1e-5)
    times = [(i, int(np.argmin(abs(TIMES - t)))) for i, t in enumerate(last.t)]
    ours, exact = np.array([(i, j) for i, j in times if abs(TIMES[j] - last.t[i]) < 1e-3]).T
    assert len(ours) > 2  # on the way, too
    assert np.abs(last.says[ours] - digits.exact.says[exact]).mean() < 0.04
    assert np.abs(last.plane[ours] - digits.exact.plane[exact]).mean() < 0.04 * np.ptp(digits.exact.plane)


def test_the_plane_shows_the_scores_where_they_vary_most():
    x = torch.randn(200, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = x * torch.tensor([1.0, 5, 1, 1, 9, 1, 1, 1, 1, 1], dtype=torch.float64)
    axes = principal(x - x.mean(0))
    torch.testing.assert_close(axes.T @ axes, torch.eye(2, dtype=torch.float64))
    assert axes.abs().argmax(0).tolist() == [4, 1]
    assert axes[4, 0] > 0.9
    assert axes[1, 1] > 0.9


def test_the_record_counts_evaluations(record):
    for row in record["rows"]:
        if row["solver"] == "dopri5":
            assert row["nfe"] >= 14
        else:
            stages = {"euler": 1, "midpoint": 2, "rk4": 4}[row["solver"]]
            assert row["nfe"] == stages * STEPS[row["level"]]
    assert record["exact"]["nfe"] > max(row["nfe"] for row in record["rows"] if row["solver"] == "dopri5")


def test_the_record_counts_right_answers_and_changed_ones(by, record):
    exact = torch.cat([by(x, **TIGHT).argmax(1) for x in IMAGES.x.split(7)])
    assert record["exact"]["accuracy"] == float((exact == IMAGES.y).double().mean())
    changes = set()
    for row in record["rows"]:
        chosen = settings(row["solver"], row["level"])
        said = torch.cat([by(x, **chosen).argmax(1) for x in IMAGES.x.split(7)])
        assert row["accuracy"] == float((said == IMAGES.y).double().mean())
        assert row["changed"] == float((said != exact).double().mean())
        changes.add(row["changed"])
    assert len(changes) > 1  # the solvers do disagree


def test_the_record_stops_on_the_way(record, digits):
    assert record["stopped"]["t"] == STOPS.tolist()
    assert record["stopped"]["accuracy"][-1] == record["exact"]["accuracy"]
    at = [int(np.argmin(abs(TIMES - t))) for t in STOPS]
    right = (digits.exact.says[at].argmax(2) == IMAGES.y.numpy()).mean(1)
    np.testing.assert_allclose(record["stopped"]["accuracy"], right)


def test_the_decision_is_taken_where_it_stays():
    classes = [3, 5, 5, 3, 5, 5]
    says = np.eye(10)[classes][:, None]
    exact = Path(np.linspace(0, 1, 6), np.zeros((6, 1, 2)), says, np.zeros(1))
    assert Moment("euler", 0, 0, 5, exact, exact, np.array([5]), {}).settled == pytest.approx(0.8)
    always = exact._replace(says=says[[1] * 6])
    assert Moment("euler", 0, 0, 5, always, always, np.array([5]), {}).settled == 0


def test_the_sentence_says_what_the_record_and_the_network_say():
    says = np.eye(10)[[0, 2, 2, 2, 2]][:, None]
    path = Path(np.linspace(0, 1, 5), np.zeros((5, 1, 2)), says, np.zeros(1))
    row = {"nfe": 1.0, "accuracy": 0.97514, "changed": 0.02}
    assert describe(Moment("euler", 0, 0, 7, path, path, np.array([4]), row)) == (
        "euler with 1 step, 1 evaluation: 97.51% of the test images right; 2.00% get another class than by a tight "
        "solve. This 7 is read as 4; the tight solve says 2, from t = 0.25 on."
    )
    row = {"nfe": 25.4, "accuracy": 0.99, "changed": 0.0}
    text = describe(Moment("dopri5", 2, 0, 7, path, path, np.array([4]), row))
    assert text.startswith("dopri5 at tolerance 1e-3, 25 evaluations: ")


def test_the_explorer_follows_its_controls(live, digits, record):
    assert live.description.startswith("Figure 3.9. ")
    errors, digit, sheet, plane, says = live.fig.axes
    for solver in SOLVERS[::-1]:
        for level in (LEVELS[0], LEVELS[-1]):
            for image in (0, 12):
                before = live.png
                for name, value in (("solver", solver), ("level", level), ("image", image)):
                    live.controls[name].value = value
                assert live.error is None
                assert live.png != before
                m = moment(digits, record, solver, level, image)
                np.testing.assert_allclose(
                    errors.lines[-1].get_xydata(), [[m.row["nfe"], 100 * (1 - m.row["accuracy"])]]
                )
                np.testing.assert_array_equal(digit.images[0].get_array(), IMAGES.x[image, 0])
                wrong = [stroke.get_visible() for stroke in sheet.lines]
                assert wrong == (m.said != IMAGES.y.numpy()).tolist()
                assert sheet.patches[-1].get_xy() == (image % 5, image // 5)
                lines = dict(zip(SOLVERS, plane.lines[-len(SOLVERS) :], strict=True))
                assert [line.get_color() for line in lines.values()] == [LOOKS[name].colour for name in SOLVERS]
                own = {name: np.asarray(line.get_xydata()) for name, line in lines.items()}
                np.testing.assert_array_equal(own.pop(solver), m.path.plane[:, image])
                assert all(len(points) == 0 for points in own.values())
                np.testing.assert_array_equal(says.lines[1].get_ydata(), m.exact.says[:, image, m.label])
                np.testing.assert_array_equal(says.lines[3].get_ydata(), m.path.says[:, image, m.label])


def test_everything_lies_inside_the_axes(live, digits):
    *_, plane, _ = live.fig.axes
    paths = [digits.path(solver, level) for solver in SOLVERS for level in LEVELS]
    for path in [*paths, digits.exact]:
        for i, (low, high) in enumerate((plane.get_xlim(), plane.get_ylim())):
            assert low < path.plane[..., i].min()
            assert high > path.plane[..., i].max()


def test_without_arguments_it_is_the_trained_network(monkeypatch, net, record):
    monkeypatch.setattr(numbers, "trained", {numbers.RUN: net}.__getitem__)
    monkeypatch.setattr(numbers.records, "read", {"mnist_test_time": record}.__getitem__)
    numbers.sample_digits.cache_clear()
    live: Any = other_solvers()
    assert not live.fig.stale  # or the first control that moves would wait for the whole figure
    numbers.sample_digits.cache_clear()
    assert live.controls["image"].max == 49
    assert live.description.startswith("Figure 3.7. euler with 2 steps, 2 evaluations: ")


def test_the_architecture_counts_what_the_models_have():
    texts = " ".join(text.get_text() for text in architecture().axes[0].texts)
    resnet, odenet = ResNet(), ODENet()
    for part in (resnet, odenet, resnet.stem, odenet.head, odenet.body, ResNet(1).body):
        assert f"{parameter_count(part):,}" in texts  # type: ignore[arg-type]
    assert f"{len(resnet.body)} blocks" in texts  # type: ignore[arg-type]
    assert texts.count("$g_") == len(resnet.body)  # type: ignore[arg-type]
