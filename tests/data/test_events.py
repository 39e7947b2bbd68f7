"""Event sequences: integrals are those of the rates, draws have the intensity they claim, padding and seeds hold."""

import math

import pytest
import torch

from nodelib.data.events import Bumps, Constant, Sinusoid, Steps, draw, padded, rescaled

INTENSITIES = {
    "constant": Constant(3.0),
    "bumps": Bumps(),
    "sinusoid": Sinusoid(phase=1.0),
    "steps": Steps((1.0, 6.0, 0.0, 2.0), (2.5, 5.0, 7.0)),
}
N = 400


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def exponential_ks(gaps: torch.Tensor) -> float:
    """√n times the largest gap between the distribution of ``gaps`` and that of Exp(1); 1.63 is its 1 % point."""
    u = (-torch.expm1(-gaps)).sort().values
    n = len(u)
    i = torch.arange(n, dtype=u.dtype)
    return math.sqrt(n) * float(torch.maximum((i + 1) / n - u, u - i / n).max())


@pytest.mark.parametrize("name", INTENSITIES)
def test_the_integral_is_that_of_the_rate(name):
    """By the midpoint rule, whose nodes avoid the jumps; from 0 to each of some times."""
    intensity, k = INTENSITIES[name], 100_000
    t = (torch.arange(k, dtype=torch.float64) + 0.5) * intensity.end / k
    summed = torch.cat([torch.zeros(1, dtype=torch.float64), intensity.rate(t).cumsum(0) * intensity.end / k])
    at = torch.arange(0, k + 1, k // 40)
    exact = intensity.integral(at.double() * intensity.end / k)
    assert (summed[at] - exact).abs().max() < 1e-7
    assert float(intensity.rate(t).max()) <= intensity.bound
    assert exact[0] == 0


@pytest.mark.parametrize("name", INTENSITIES)
def test_counts_are_poisson_with_the_mean_of_the_integral(name):
    intensity = INTENSITIES[name]
    counts = draw(intensity, N, seeded()).counts.double()
    mean = float(intensity.integral(torch.tensor(intensity.end, dtype=torch.float64)))
    assert float(counts.mean()) == pytest.approx(mean, abs=4 * math.sqrt(mean / N))
    assert float(counts.var()) == pytest.approx(mean, rel=4 * math.sqrt(2 / N))


@pytest.mark.parametrize("name", INTENSITIES)
def test_in_the_time_of_the_integral_gaps_are_exponential(name):
    intensity = INTENSITIES[name]
    events = draw(intensity, N, seeded(1))
    gaps = rescaled(events, intensity)
    assert gaps.shape == (int(events.counts.sum()),)
    assert exponential_ks(gaps) < 1.63
    other = Constant(float(intensity.integral(torch.tensor(10.0))) / 10)
    if name != "constant":  # of the same mean count: the statistic sees the shape
        assert exponential_ks(rescaled(events, other)) > 5


def test_each_sequence_may_have_a_phase_of_its_own():
    phase = 2 * math.pi * torch.rand(N, 1, generator=seeded(), dtype=torch.float64)
    intensity = Sinusoid(phase=phase)
    events = draw(intensity, N, seeded(1))
    assert exponential_ks(rescaled(events, intensity)) < 1.63
    assert exponential_ks(rescaled(events, Sinusoid(phase=phase.flip(0)))) > 5


@pytest.mark.parametrize("name", INTENSITIES)
def test_a_seed_settles_the_sequences(name):
    first, again, other = (draw(INTENSITIES[name], 5, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first.times, again.times)
    assert torch.equal(first.mask, again.mask)
    assert first.times.shape != other.times.shape or not torch.equal(first.times, other.times)


@pytest.mark.parametrize("name", INTENSITIES)
def test_events_increase_and_stand_before_the_padding(name):
    events = draw(INTENSITIES[name], 50, seeded())
    assert events.mask.any(-1).all()
    assert not (events.mask.int().diff(dim=-1) > 0).any()
    both = events.mask[:, 1:]
    assert (events.times.diff(dim=-1)[both] > 0).all()
    assert float(events.times.min()) >= 0
    assert float(events.times.max()) <= 10
    assert int(events.counts.max()) == events.times.shape[1]  # no wider than need be
    assert draw(INTENSITIES[name], 2, seeded(), torch.float32).times.dtype is torch.float32


def test_halves_have_every_event_once_and_half_the_intensity():
    intensity = Sinusoid()
    events = draw(intensity, N, seeded(1))
    one, other = events.halves(seeded(2))
    for row in range(20):
        together = torch.cat([one.times[row][one.mask[row]], other.times[row][other.mask[row]]]).sort().values
        assert torch.equal(together, events.times[row][events.mask[row]])
    for half in (one, other):
        assert exponential_ks(rescaled(half, Sinusoid(mean=2.0))) < 1.63
    rows = torch.stack([half.counts.double() - half.counts.double().mean() for half in (one, other)])
    correlation = float((rows[0] * rows[1]).mean() / rows[0].std() / rows[1].std())
    assert abs(correlation) < 4 / math.sqrt(N)


def test_apart_is_before_and_after():
    events = draw(Sinusoid(), 20, seeded())
    before, after = events.apart(5.0)
    assert float(before.times[before.mask].max()) < 5 <= float(after.times[after.mask].min())
    assert torch.equal(before.counts + after.counts, events.counts)


def test_padded_by_hand():
    events = padded([torch.tensor([1.0, 2.0]), torch.tensor([]), torch.tensor([3.0])], 3)
    assert events.times.tolist() == [[1, 2, 2], [0, 0, 0], [3, 3, 3]]
    assert events.mask.tolist() == [[True, True, False], [False] * 3, [True, False, False]]
    assert events.counts.tolist() == [2, 0, 1]
    assert events.rows(slice(1, None)).counts.tolist() == [0, 1]
    kept = events.keep(events.times > 1.5)
    assert kept.times.tolist() == [[2], [0], [3]]
    assert kept.counts.tolist() == [1, 0, 1]


class Liar(Constant):
    def rate(self, t: torch.Tensor) -> torch.Tensor:
        return 2 * super().rate(t)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Constant(0.0), "level must be positive"),
        (lambda: Bumps(heights=(1.0,)), "one of each for every bump"),
        (lambda: Bumps(widths=(1.0, -1.0)), "widths must be positive"),
        (lambda: Sinusoid(depth=1.5), "depth must be from 0 to 1"),
        (lambda: Steps((1.0,), (4.0,)), "give one more"),
        (lambda: Steps((1.0, -2.0), (4.0,)), "levels must be zero or positive"),
        (lambda: Steps((1.0, 2.0), (40.0,)), "jumps must increase"),
        (lambda: draw(Constant(), 0, seeded()), "n must be 1 at least"),
        (lambda: draw(Liar(), 3, seeded()), "its bound"),
        (lambda: padded([torch.tensor([2.0, 1.0])]), "sort it"),
        (lambda: padded([torch.tensor([1.0, 2.0])], 1), "longest sequence has 2"),
    ],
)
def test_bad_input_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
