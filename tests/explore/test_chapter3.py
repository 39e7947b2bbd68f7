"""Chapter 3's explorer shows what the network does: checked on an untrained one, which needs no checkpoint."""

import numpy as np
import pytest
import torch

from nodelib.data.sample import mnist_sample
from nodelib.explore import chapter3, chapter3_numbers
from nodelib.explore.chapter3_numbers import SOLVERS, STEPS, Digits, measure, settings
from nodelib.models.odenet import ODENet
from nodelib.models.resnet import ResNet, parameter_count


@pytest.fixture(scope="module")
def net() -> ODENet:
    torch.manual_seed(0)
    return ODENet(channels=8)


@pytest.fixture(scope="module")
def digits(net) -> Digits:
    return Digits(net, mnist_sample())


@pytest.fixture(scope="module")
def rows(net):
    return measure(net, mnist_sample(), batch=50)


@pytest.fixture(scope="module")
def live(digits, rows):
    return chapter3.other_solvers("3.7", digits, rows)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_path_ends_where_the_network_ends(net, digits, solver):
    path = digits.path(solver, 2)
    with torch.no_grad():
        net.body.settings, before = settings(solver, 2), net.body.settings
        expected = net(mnist_sample().x).softmax(1)
        net.body.settings = before
    assert np.allclose(path.says[-1], expected, atol=1e-5)
    assert path.t[0] == 0
    assert path.t[-1] == pytest.approx(1)
    assert np.all(np.diff(path.t) > 0)


def test_the_paths_begin_where_the_stem_ends_and_approach_the_exact_ones(digits):
    errors = [digits.path("euler", level).error.mean() for level in range(len(STEPS))]
    assert errors == sorted(errors, reverse=True)
    assert digits.path("dopri5", 4).error.max() < 3e-3
    for solver in SOLVERS:
        assert np.allclose(digits.path(solver, 0).plane[0], digits.exact.plane[0], atol=1e-4)


def test_evaluations_are_those_of_the_method(digits):
    stages = {"euler": 1, "midpoint": 2, "rk4": 4}
    for solver, each in stages.items():
        assert [digits.path(solver, level).nfe for level in range(len(STEPS))] == [each * n for n in STEPS]
    assert (digits.path("dopri5", 0).nfe - 2) % 6 == 0


def test_the_plane_holds_the_most_of_the_variance(digits):
    spread = digits.exact.plane.reshape(-1, 2)
    assert np.abs(spread.mean(0)).max() < 1e-3 * np.abs(spread).max()
    assert spread[:, 0].var() >= spread[:, 1].var()
    assert abs(np.corrcoef(spread.T)[0, 1]) < 1e-2


def test_the_record_counts_right_answers_and_changed_ones(net, rows):
    images = mnist_sample()
    exact, coarse = rows[0], next(row for row in rows if (row["solver"], row["level"]) == ("euler", 0))
    with torch.no_grad():
        before = net.body.settings
        said = []
        for how in (chapter3_numbers.TIGHT, settings("euler", 0)):
            net.body.settings = how
            said.append(torch.cat([net(x).argmax(1) for x in images.x.split(50)]))
        net.body.settings = before
    assert exact["accuracy"] == pytest.approx(float((said[0] == images.y).float().mean()))
    assert exact["changed"] == exact["error"] == 0
    assert coarse["accuracy"] == pytest.approx(float((said[1] == images.y).float().mean()))
    assert coarse["changed"] == pytest.approx(float((said[1] != said[0]).float().mean()))


def test_each_control_changes_the_picture_and_the_sentence(live):
    for name, value in (("solver", "rk4"), ("level", 3), ("image", 20)):
        before = live.png, live.description
        live.controls[name].value = value
        assert live.error is None
        assert live.png != before[0]
        assert live.description != before[1]
    assert live.numbers.label == int(mnist_sample().y[20])


def test_the_sentence_says_what_the_record_and_the_network_say(live, rows):
    live.controls["solver"].value, live.controls["level"].value, live.controls["image"].value = "euler", 0, 7
    row = next(row for row in rows if (row["solver"], row["level"]) == ("euler", 0))
    says = live.numbers.path.says[-1, 7].argmax()
    assert f"euler, 1 step, 1 evaluation: of 10,000 test images {row['accuracy']:.2%} are right" in live.description
    assert live.description.endswith(f"the head says {says}.")


def test_the_architecture_counts_what_the_models_have():
    texts = " ".join(text.get_text() for text in chapter3.architecture().axes[0].texts)
    assert f"{parameter_count(ResNet().stem):,}" in texts
    assert f"{parameter_count(ODENet().body):,}" in texts
    assert f"{parameter_count(ResNet(1)) - parameter_count(ResNet(0)):,}" in texts
    assert texts.count("$g_") == 6
