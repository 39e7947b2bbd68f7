"""The explorer of events: its numbers against direct computations, its picture and its sentence against its numbers."""

from typing import Any

import numpy as np
import pytest
import torch

from nodelib.chapters.chapter5 import poisson_explorer
from nodelib.chapters.chapter5.poisson_explorer import describe_surprise, surprise
from nodelib.chapters.chapter5.surprise import (
    CONSTANT,
    FAMILY,
    KNOWN,
    MODEL,
    SERIES,
    TRUE,
    Sequences,
    Surprise,
    expected,
    passing,
    sequences,
)
from nodelib.data.events import Sinusoid
from nodelib.experiments import records
from nodelib.experiments.poisson import TASKS, conditioned, nats, on_grid, phase_known
from nodelib.models.flows import one_of
from nodelib.models.trained_poisson import conditioned as untrained
from nodelib.models.trained_poisson import finely, trained_poisson

ALL = {MODEL, TRUE, KNOWN, CONSTANT}


@pytest.fixture(scope="module")
def trained() -> Sequences:
    return sequences()


@pytest.fixture(scope="module")
def numbers() -> Sequences:
    """Of models that know nothing."""
    torch.manual_seed(0)
    return Sequences({task: one_of(untrained(1), 0) for task in TASKS}, series=3)


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", TASKS)
def test_given_and_kept_are_all_the_events_of_a_poisson_process(what):
    """Over many sequences there are as many in each tenth of the time as the intensity says."""
    many, family, share = Sequences({}, series=400), Sinusoid(depth=0.6, phase=1.0), TASKS[what].share
    parts = [many.events(family, what, i) for i in range(many.series)]
    given, kept = (torch.cat([part[k].times[part[k].mask] for part in parts]) for k in (0, 1))
    edges = torch.linspace(0, 10, 11, dtype=torch.float64)
    whole = family.integral(edges).diff() * many.series
    shares = torch.full((10,), share) if what == "half" else (edges[:-1] < 5).double()
    for at, of in ((given, shares), (kept, shares if what == "half" else 1 - shares)):
        mean = whole * of
        assert ((torch.histc(at, 10, 0, 10) - mean).abs() <= 4.5 * mean.sqrt()).all()
    assert len(kept.unique()) + len(given.unique()) == len(torch.cat([kept, given]).unique())


def test_events_come_and_go_one_by_one(numbers):
    """A smaller depth or another phase moves no event that stays, and leaves it in its half."""
    sets = [
        [set(part.times[part.mask].tolist()) for part in numbers.events(Sinusoid(depth=d, phase=p), "half", 1)]
        for d, p in ((0.9, 1.0), (0.8, 1.0), (0.9, 1.1))
    ]
    for given, kept in sets[1:]:
        assert 0 < len(given ^ sets[0][0]) + len(kept ^ sets[0][1]) < 10
        assert not given & sets[0][1]
    past, later = numbers.events(Sinusoid(phase=1.0), "past", 1)
    assert set(past.times[past.mask].tolist()) | set(later.times[later.mask].tolist()) == set.union(*sets[0])
    assert past.times.max() < 5 <= later.times[later.mask].min()


@pytest.mark.parametrize("what", TASKS)
def test_what_is_expected_is_what_the_records_models_are_measured_by(trained, what):
    given, _ = trained.events(FAMILY, what, 4)
    model = trained.models[what]
    found = expected(model, given, TASKS[what], trained.t, draws=5)
    direct = conditioned(finely(model), given, TASKS[what], trained.t, draws=5)
    assert found.shape == direct.shape == (1, 401)
    assert (found - direct).abs().max() < 0.005


def test_the_model_is_the_one_in_the_middle(trained):
    """The seed of which the record says that its error is the median: on new sequences, all at once."""
    run = next(r for r in records.read("fig7_poisson")["each"] if (r["task"], r["weight"]) == ("half", 0.1))
    seed = int(np.argsort(run["error"])[2])
    model = one_of(trained_poisson("fig7_half_0.1"), seed)
    for p, q in zip(model.parameters(), trained.models["half"].parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("what", TASKS)
def test_scores_are_nats_per_event_by_the_integrals_closed_form(numbers, what):
    task, family = TASKS[what], Sinusoid(depth=0.7, phase=2 * np.pi * 0.15)
    s = numbers.at(what, 0.15, 0.7, 2)
    assert set(s.rates) == set(s.scores) == set(s.passed) == ALL
    at, window = torch.as_tensor(s.kept), torch.tensor(task.scored, dtype=torch.float64)
    logs = (task.share * family.rate(at)).log().mean()
    whole = task.share * family.integral(window).diff()[0]
    assert s.scores[TRUE] == pytest.approx(float(whole / len(at) - logs), abs=2e-3)
    width = task.scored[1] - task.scored[0]
    assert s.scores[CONSTANT] == pytest.approx(task.share * 4 * width / len(at) - np.log(task.share * 4), abs=1e-6)
    given, kept = numbers.events(family, what, 2)
    for name, rate in (
        (KNOWN, phase_known(Sinusoid(depth=0.7), given, task, numbers.t)),
        (MODEL, expected(numbers.models[what], given, task, numbers.t).detach()),
    ):
        np.testing.assert_allclose(s.rates[name], rate[0], rtol=1e-6)
        assert s.scores[name] == pytest.approx(float(nats(rate, kept, task.scored, task.share)) / len(at))
    assert s.low == pytest.approx(np.interp(s.worst, numbers.t, s.rates[MODEL]))
    assert s.low == pytest.approx(np.interp(s.kept, numbers.t, s.rates[MODEL]).min())


@pytest.mark.parametrize("what", TASKS)
def test_the_surprise_until_the_end_is_the_score(numbers, what):
    s = numbers.at(what, 0.4, 0.9, 0)
    for name in ALL:
        ahead = s.scores[name] - s.scores[CONSTANT]
        assert s.passed[name][-1] / len(s.kept) == pytest.approx(ahead, abs=1e-9)
        assert s.passed[name][0] == 0
    assert (s.passed[CONSTANT] == 0).all()
    assert (np.diff(s.t) >= 0).all()
    assert (s.t[0], s.t[-1]) == (s.task.scored[0], 10)


def test_an_event_makes_the_surprise_jump_by_the_logarithm_of_the_rates():
    """λ of 2 against the constant 4: a slope of -2, and log 2 up at each of the events."""
    rates = {name: torch.full((1, 401), rate, dtype=torch.float64) for name, rate in ((CONSTANT, 4.0), (MODEL, 2.0))}
    t, passed = passing(rates, torch.tensor([6.0, 7.51], dtype=torch.float64), TASKS["past"])
    count = np.searchsorted([6.0, 7.51], t, side="left")
    for moment in (6.0, 7.51):
        before, after = np.flatnonzero(t == moment)[[0, -1]]
        assert passed[MODEL][after] - passed[MODEL][before] == pytest.approx(np.log(2))
    inside = ~np.isin(t, [6.0, 7.51])
    np.testing.assert_allclose(passed[MODEL][inside], (-2 * (t - 5) + count * np.log(2))[inside], atol=1e-9)


def test_the_true_intensity_is_the_cheapest_in_the_mean_and_then_who_knows_all_but_the_phase(trained):
    for what in TASKS:
        each = [trained.at(what, 0.05 * k, 0.9, k).scores for k in range(trained.series)]
        mean = {name: np.mean([scores[name] for scores in each]) for name in ALL}
        assert mean[TRUE] < mean[KNOWN] < mean[MODEL] < mean[CONSTANT]


# --- the picture ------------------------------------------------------------------------------------------------------


def data(artist: Any) -> np.ndarray:
    return np.asarray(artist.get_xydata())


def test_the_picture_shows_the_numbers_at_every_end(trained):
    live: Any = surprise("5.10", trained)
    assert live.description.startswith("Figure 5.10. Given half of the events, 20 of 41: the others cost the latent ")
    assert not live.fig.stale
    left, right = live.fig.axes
    curves = {line.get_label(): line for line in left.lines}
    for what in ("past", "half"):
        for name, end in (
            ("phase", 0),
            ("phase", 1),
            ("depth", 0),
            ("depth", 0.9),
            ("number", 0),
            ("number", SERIES - 1),
        ):
            before = {key: control.value for key, control in live.controls.items()}
            live.controls["what"].value, live.controls[name].value = what, end
            assert live.error is None
            s = live.numbers
            for rate in ALL:
                np.testing.assert_array_equal(curves[rate].get_ydata(), s.rates[rate])
                assert left.get_ylim()[0] < s.rates[rate].min() <= s.rates[rate].max() < left.get_ylim()[1]
            _, *marks, ring = (line for line in left.lines if line.get_label() not in ALL)
            assert [data(mark)[:, 0].tolist() for mark in marks] == [s.given.tolist(), s.kept.tolist()]
            assert data(ring)[0, 0] == s.worst
            *_, known, true, model, ring = right.lines
            for line, rate in ((known, KNOWN), (true, TRUE), (model, MODEL)):
                np.testing.assert_array_equal(line.get_ydata(), s.passed[rate])
            assert data(ring)[0].tolist() == [s.worst, s.passed[MODEL][s.t <= s.worst][-1]]
            assert min(s.passed[rate].min() for rate in ALL) > right.get_ylim()[0]
            assert live.description == f"Figure 5.10. {describe_surprise(s)}"
            live.controls[name].value = before[name]
            assert not live.fig.stale


def test_a_surprise_beyond_the_axes_is_told(trained):
    live: Any = surprise("5.10", trained)
    (beyond,) = live.fig.axes[1].texts
    assert beyond.get_text() == ""
    for name, value in {"what": "past", "phase": 0.2, "number": 12}.items():
        live.controls[name].value = value
    assert live.numbers.passed[MODEL].max() > live.fig.axes[1].get_ylim()[1]
    assert beyond.get_text() == f"latent ODE: up to {live.numbers.passed[MODEL].max():.0f} nats"


# --- the sentence -----------------------------------------------------------------------------------------------------


def made(**changes: Any) -> Surprise:
    scores = {TRUE: -0.0049, KNOWN: 0.031, MODEL: 0.054, CONSTANT: 0.321}
    s = Surprise("half", TASKS["half"], 0.9, np.zeros(17), np.zeros(20), {}, scores, np.zeros(0), {}, 1.9949, 1.0)
    return s._replace(**changes)


def test_the_sentence():
    assert describe_surprise(made()) == (
        "Given half of the events, 17 of 37: the others cost the latent ODE 0.05 nats each, the true λ 0.00, who knows "
        "all but φ 0.03, the constant 0.32. What surprises the latent ODE most is the event at t = 1.99: its λ is 1.00 "
        "there, and the event costs it 1.39 nats more than the constant."
    )
    assert describe_surprise(made(what="past", low=5.0)).startswith("Given the events before t = 5, 17 of 37: ")
    assert describe_surprise(made(low=5.0)).endswith("costs it 0.22 nats less than the constant.")
    assert describe_surprise(made(depth=0.8)).endswith("It was trained on a depth of 0.9 alone.")


def test_the_sentence_says_when_the_truth_is_not_the_cheapest():
    cheaper = {TRUE: 0.1, KNOWN: 0.2, MODEL: 0.094, CONSTANT: 0.3}
    luck = "By luck, the true λ is not the cheapest here."
    assert luck in describe_surprise(made(scores=cheaper))
    assert luck not in describe_surprise(made(scores=cheaper | {MODEL: 0.0951}))  # the same, as it is written
    assert luck not in describe_surprise(made())


def test_without_arguments_it_is_the_trained_models(monkeypatch, numbers):
    monkeypatch.setattr(poisson_explorer, "sequences", lambda: numbers)
    assert surprise().description.startswith("Figure 5.10. Given half of the events, ")
    assert on_grid(10.0).equal(numbers.t)
