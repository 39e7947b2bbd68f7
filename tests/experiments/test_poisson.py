# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (torch types the children of a Module as Tensor | Module)
"""Intensities learned from events: scores by hand, estimates, what is given and what is scored, resumed trainings."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nodelib.data.events import Bumps, Constant, Events, Sinusoid, draw, padded, side_by_side
from nodelib.experiments import poisson
from nodelib.experiments.optimize import Adam, Settings, train
from nodelib.experiments.poisson import GIVEN, LEARNED, TASKS, Histogram, Kernel, on_grid, relative_error
from nodelib.models.latent import kl_from_normal
from nodelib.models.poisson import BackwardGRU, LatentPoisson, Network, OneIntensity, PoissonODE

pytestmark = pytest.mark.usefixtures("one_thread")

END = 10.0


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def process(models: int | None = None, knots: int = 26) -> PoissonODE:
    field, rate = Network(3, 8, 3, models=models), Network(3, 8, 1, models=models, squeeze=True)
    return PoissonODE(field, rate, torch.linspace(0, END, knots), models=models, method="rk4")


def latent(models: int | None = None, knots: int = 26) -> LatentPoisson:
    return LatentPoisson(BackwardGRU(5, 6, models), process(models, knots))


def by_phase(n: int = 300) -> tuple[Sinusoid, Events]:
    family = Sinusoid(phase=2 * math.pi * torch.rand(n, 1, generator=seeded(), dtype=torch.float64))
    return family, draw(family, n, seeded(1))


# --- one intensity ----------------------------------------------------------------------------------------------------


def test_the_score_by_hand():
    """Three events at λ = 2 on two sequences of length 10: (2 · 20 - 3 log 2) / 3."""
    events = padded([torch.tensor([1.0, 4.0]).double(), torch.tensor([9.0]).double()])
    expected = (40 - 3 * math.log(2)) / 3
    assert float(poisson.score(Constant(2.0), events, END)) == pytest.approx(expected, abs=1e-12)
    rates = torch.full((2, 401), 2.0)
    assert poisson.nats(rates, events, (0, END)).tolist() == pytest.approx([20 - 2 * math.log(2), 20 - math.log(2)])
    late = events.keep(events.times >= 4)
    assert poisson.nats(rates, late, (4, END)).tolist() == pytest.approx([12 - math.log(2)] * 2)
    assert poisson.nats(rates, late, (0, END), 0.5).tolist() == pytest.approx([10.0] * 2)


def test_the_loss_is_the_score_of_the_events_trained_on():
    model = OneIntensity(process(2), 3)
    rows = [draw(Bumps(), 7, seeded(k)) for k in (0, 1)]
    with torch.no_grad():
        loss = poisson.unlikelihood_of(side_by_side(rows))(model, torch.zeros(1))
        scores = [poisson.score(model, row, END) for row in rows]
    for i in (0, 1):
        assert float(scores[i][i]) == pytest.approx(float(loss[i]), abs=1e-5)


@pytest.mark.parametrize(
    "make", [lambda e: Histogram(e, END, 20), lambda e: Kernel(e, END, 0.3)], ids=["bins", "kernel"]
)
def test_estimates_integrate_their_rate_and_come_near_the_truth(make):
    found = make(draw(Bumps(), 500, seeded()))
    t = (torch.arange(20_000, dtype=torch.float64) + 0.5) * END / 20_000
    summed = found.rate(t).cumsum(0) * END / 20_000
    assert (summed - found.integral(t + END / 40_000)).abs().max() < 1e-3
    per_sequence = found.events.counts.double().mean()
    assert float(found.integral(torch.tensor([END]).double())) == pytest.approx(float(per_sequence), abs=0.03)
    truth, test = Bumps(), draw(Bumps(), 500, seeded(1))
    assert relative_error(found.rate(on_grid(END)), truth.rate(on_grid(END))) < 0.15
    below = [poisson.score(x, test, END) for x in (truth, found, Histogram(found.events, END, 1))]
    assert below[0] < below[1] < below[2] - 0.2


def test_a_histogram_by_hand():
    """Two sequences, five bins of length 2: (count + ½) / 4."""
    found = Histogram(padded([torch.tensor([0.5, 1.0, 3.0]), torch.tensor([9.0])]), END, 5)
    assert found.levels.tolist() == pytest.approx([2.5 / 4, 1.5 / 4, 0.5 / 4, 0.5 / 4, 1.5 / 4])
    assert found.rate(torch.tensor([1.9, 2.1, 10.0])).tolist() == pytest.approx([0.625, 0.375, 0.375])
    assert found.integral(torch.tensor([3.0])).tolist() == pytest.approx([1.25 + 0.375])


def test_relative_error_by_hand():
    t = on_grid(END)
    assert float(relative_error(torch.full_like(t, 4.0), Sinusoid().rate(t))) == pytest.approx(
        math.sqrt(0.405 / 1.405), abs=1e-4
    )


# --- an intensity for each sequence -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_batches_are_the_sequences_with_what_each_event_is_for(name):
    _, events = by_phase(6)
    data = Events(*(x.reshape(2, 3, -1) for x in events))
    buffer, again = (torch.zeros(4, 2, 5, 3, data.times.shape[-1], dtype=torch.float64) for _ in range(2))
    poisson.parts_of(data, TASKS[name])(buffer, seeded(2))
    poisson.parts_of(data, TASKS[name])(again, seeded(2))
    assert torch.equal(buffer, again)
    times, marks, noise = buffer.unbind(-2)
    for k in range(2):  # each row is one of its model's own sequences
        same = (times[:, k, :, None] == data.times[k]).all(-1)
        assert same.any(-1).all()
        assert torch.equal(marks[:, k] > 0, data.mask[k][same.int().argmax(-1)])
    there = marks > 0
    if name == "past":
        assert torch.equal(marks[there] == GIVEN + LEARNED, times[there] < 5)
        assert set(marks[there].unique().tolist()) == {LEARNED, GIVEN + LEARNED}
    else:
        assert set(marks[there].unique().tolist()) == {GIVEN, LEARNED}
        assert float((marks[there] == GIVEN).double().mean()) == pytest.approx(0.5, abs=0.1)
    assert float(noise.std()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize("name", TASKS)
def test_the_loss_is_that_of_its_parts(name, weight):
    """The sequences one by one, from their events without padding."""
    task, model = TASKS[name], latent().double()
    _, events = by_phase(4)
    batch = torch.zeros(1, 4, 3, events.times.shape[-1], dtype=torch.float64)
    draw_into = poisson.parts_of(Events(events.times[None], events.mask[None]), task)
    draw_into(batch, seeded(3))
    total = torch.zeros(())
    for times, marks, noise in (row.unbind(0) for row in batch[0]):
        given, learned = (times[(marks == use) | (marks == 3)][None] for use in (GIVEN, LEARNED))
        mean, log_std = model.posterior(given, torch.ones_like(given).bool(), task.given)
        z0 = mean + (log_std.exp() * noise[:3] if weight else 0)
        path = model.process.path(z0)
        rate = task.share * model.process.log_rate(path, learned).exp()
        whole = task.share * path.at(torch.tensor([END]))[1]
        total = total + weight * kl_from_normal(mean, log_std).sum() + whole.sum() - rate.log().sum()
    loss = poisson.evidence(task, weight)(model, batch[0])
    assert float((loss - total / 4).abs().detach()) < 1e-10


def test_scores_on_the_grid_are_the_likelihoods_of_the_model():
    model = latent().double()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.5)
        _, events = by_phase(5)
        for name, task in TASKS.items():
            given, scored = task.split(events, seeded())
            rates = poisson.conditioned(model, given, task, on_grid(END), draws=0)
            mean, _ = model.posterior(*given, task.given)
            own = -model.process.log_likelihood(model.process.path(mean), *scored, task.scored, task.share)
            assert (poisson.nats(rates, scored, task.scored, task.share) - own).abs().max() < 2e-3, name


def test_many_models_see_the_same_sequences():
    model = latent(2)
    _, events = by_phase(5)
    found = poisson.conditioned(model, events, TASKS["half"], on_grid(END), draws=3)
    assert found.shape == (2, 5, 401)
    assert (found[0] - found[1]).abs().min() > 0
    assert torch.equal(found, poisson.conditioned(model, events, TASKS["half"], on_grid(END), draws=3))


@pytest.mark.parametrize("name", TASKS)
def test_nobody_scores_better_than_who_knows_all_but_the_phase(name):
    """Neither what is near it, nor the constant, nor a sequence's own histogram; but the true intensity."""
    task, (family, events), t = TASKS[name], by_phase(), on_grid(END)
    given, scored = task.split(events, seeded(4))
    best = poisson.phase_known(Sinusoid(), given, task, t)

    def score(rates: Tensor) -> float:
        return float(
            poisson.nats(rates.expand(len(best), -1), scored, task.scored, task.share).sum() / scored.counts.sum()
        )

    constant, own = torch.full_like(best, 4.0), poisson.own_histogram(given, task, t, 8)
    truth = family.rate(t.expand(len(best), -1))
    others = [0.8 * best, 1.2 * best, 0.8 * best + 0.2 * constant, best.roll(10, -1), best.square() / 4, constant, own]
    assert score(truth) < score(best) < min(map(score, others))
    assert float(relative_error(best, truth).mean()) < 0.17 < 0.3 < float(relative_error(own, truth).mean())
    nobody = poisson.phase_known(Sinusoid(), given.keep(torch.tensor(False)), task, t)
    assert (nobody - 4).abs().max() < 1e-9


def test_an_own_histogram_by_hand():
    """Half of the events given, five bins of length 2: (count + 1) / (½ · 2 + ¼); the past's mean goes on behind it."""
    given = padded([torch.tensor([1.0, 1.5, 9.0])])
    found = poisson.own_histogram(given, TASKS["half"], torch.tensor([0.5, 3.0, 9.5]), 5)
    assert found[0].tolist() == pytest.approx([3 / 1.25, 1 / 1.25, 2 / 1.25])
    early = given.keep(given.times < 5)
    found = poisson.own_histogram(early, TASKS["past"], torch.tensor([1.0, 4.0, 8.0]), 2)
    assert found[0].tolist() == pytest.approx([3 / 2.75, 1 / 2.75, 2 / 2.75])


# --- training ---------------------------------------------------------------------------------------------------------


def one_setup() -> tuple:
    model = OneIntensity(process(2, 6), 3).double()
    _, events = by_phase(4)
    data = Events(*(x.reshape(2, 2, -1) for x in events))
    return model, Adam(model, poisson.unlikelihood_of(data), (1,), chunk=2, clip=1.0), poisson.nothing


def latent_setup() -> tuple:
    model = latent(2, 6).double()
    _, events = by_phase(6)
    data = Events(*(x.reshape(2, 3, -1) for x in events))
    shape = (2, 3, 3, data.times.shape[-1])
    adam = Adam(model, poisson.evidence(TASKS["half"], 0.1), shape, chunk=2, clip=1.0)
    return model, adam, poisson.parts_of(data, TASKS["half"])


@pytest.mark.parametrize("setup", [one_setup, latent_setup], ids=["one", "latent"])
def test_a_training_resumes_to_the_same_numbers(setup, tmp_path):
    settings = Settings(8, lr=1e-2, logs=4)

    def trained(state: Path, stop: float) -> tuple[list[Any], list[Tensor]]:
        torch.manual_seed(1)
        model, adam, batches = setup()
        log = train(adam, batches, settings, state, stop=stop)
        return log.loss, [p.detach() for p in model.parameters()]

    whole = trained(tmp_path / "whole", math.inf)
    parts = [trained(tmp_path / "parts", stop) for stop in (0.0, 0.0, math.inf)]
    assert [len(part[0]) for part in parts] == [1, 2, 4]
    assert parts[-1][0] == whole[0]
    assert all(torch.equal(p, q) for p, q in zip(parts[-1][1], whole[1], strict=True))
    assert any(not torch.equal(p, q) for p, q in zip(parts[0][1], whole[1], strict=True))


def test_training_brings_an_intensity_nearer_to_the_truth():
    truth, model = Bumps(), OneIntensity(process(knots=11), 3)
    data = draw(truth, 50, seeded())
    loss = poisson.unlikelihood_of(Events(data.times.float(), data.mask))
    log = train(Adam(model, loss, (1,), clip=10.0), poisson.nothing, Settings(60, lr=3e-2, logs=4))
    best = float(poisson.score(truth, data, END))
    assert log.loss[-1][0] - best < 0.5 * (log.loss[0][0] - best)
