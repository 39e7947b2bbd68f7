"""Figure 7 of the paper, with scores: intensities of Poisson processes, learned from events by an ODE's likelihood.

    python figures/fig7_poisson.py              trains, measures and draws: some fifteen minutes of one CPU core
    python figures/fig7_poisson.py --resume     goes on with what was interrupted
    python figures/fig7_poisson.py --draw       only draws what is recorded
    python figures/fig7_poisson.py --smoke      everything in seconds, to see that it runs; leaves nothing

One: an intensity of two bumps, the same for all sequences, from 20, 100 and 500 of them; ten seeds, of data and of the
parameters. Beside it a constant, a histogram of 20 bins, and a histogram and a kernel estimate whose widths are chosen
as the ODE's iterations are: for each seed by the likelihood of as many sequences again.

Each: λ = 4 (1 + .9 sin(2π t/5 + φ)), with a phase of its own for each sequence; a latent ODE sees a part of a
sequence's events; five seeds, side by side in one module. The paper gives no settings; these are ours.

What is scored are events of unseen sequences that the model was not given. Given are the events before t = 5 ("past"),
or a half of all, by the toss of a coin ("half"). In either case the others are independent of those given once λ is
known, so that they can be foreseen through λ alone; scored on the events it was given, a model that remembers them
would do best. "phase known" is the mean of λ, after the same events, for someone who knows all but the phase: the best
there is. Leaves figures/records/fig7_poisson.json, the parameters in figures/checkpoints, and fig7_poisson.png.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from nodelib.data.events import Bumps, Events, Intensity, Sinusoid, draw, side_by_side
from nodelib.experiments import poisson, records
from nodelib.experiments.optimize import Adam, Settings, train
from nodelib.experiments.poisson import TASKS, Histogram, Kernel, on_grid, relative_error
from nodelib.experiments.training import save_atomically
from nodelib.models import trained_poisson
from nodelib.models.trained_poisson import DIM, END, FINE, STEPS, UNITS, WIDTH, finely

BINS, WIDTHS, OWN_BINS = (5, 10, 20, 40, 80), (0.1, 0.15, 0.2, 0.3, 0.4, 0.6), (4, 8, 16)
LR, CLIP, BATCH, LOGS = 2e-2, 10.0, 50, 10
VALIDATION, TEST = 10_000, 10_001  # seeds
NAME = "fig7_poisson"
HERE = Path(__file__).parent


class Size(NamedTuple):
    """How much of everything; ``place`` gets states and checkpoints."""

    place: Path
    sizes: tuple[int, ...] = (20, 100, 500)
    one_seeds: int = 10
    one_iterations: int = 400
    runs: tuple[tuple[str, float], ...] = (("half", 0.0), ("half", 0.1), ("past", 0.0), ("past", 0.1), ("half", 1.0))
    seeds: int = 5
    sequences: int = 500
    iterations: int = 1000
    test: int = 2000
    draws: int = 10  # of z0, over which λ is averaged

    @property
    def states(self) -> Path:
        return self.place / "states"  # of what is not finished; not in git

    @property
    def checkpoints(self) -> Path:
        return self.place / "checkpoints"


SMOKE = Size(HERE, (3,), 2, 10, (("half", 0.1), ("past", 0.0)), 2, 6, 10, 12, 1)


def sequences(intensity: Intensity, n: int, seed: int) -> Events:
    return draw(intensity, n, torch.Generator().manual_seed(seed))


def finished(name: str, s: Size, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``measure`` gives, or what it gave before it was interrupted."""
    done = s.states / f"{name}.json"
    if not done.exists():
        found = measure()
        done.write_text(json.dumps(found), encoding="utf-8")
        print(name, found, flush=True)
    return json.loads(done.read_text(encoding="utf-8"))


# --- one intensity for all sequences ----------------------------------------------------------------------------------


def one(n: int, s: Size) -> dict[str, Any]:
    """Train and measure what learns from n sequences."""
    truth, name = Bumps(end=END), f"fig7_one_{n}"
    data, validation = ([sequences(truth, n, 2 * seed + k) for seed in range(s.one_seeds)] for k in (0, 1))
    test, grid = sequences(truth, s.test, TEST), on_grid(END)
    model, row = trained_one(name, data, validation, s)
    pairs = list(zip(data, validation, strict=True))
    chosen = {
        "histogram": [best(BINS, lambda bins, d=d: Histogram(d, END, bins), v) for d, v in pairs],
        "kernel": [best(WIDTHS, lambda width, d=d: Kernel(d, END, width), v) for d, v in pairs],
    }
    rivals: dict[str, list[Any]] = {
        "constant": [Histogram(d, END, 1) for d in data],
        "histogram of 20 bins": [Histogram(d, END, 20) for d in data],
        "histogram": [Histogram(d, END, bins) for d, bins in zip(data, chosen["histogram"], strict=True)],
        "kernel": [Kernel(d, END, width) for d, width in zip(data, chosen["kernel"], strict=True)],
    }
    rate, floor = truth.rate(grid), float(poisson.score(truth, test, END))
    with torch.no_grad():
        error = {"ODE": relative_error(model.rate(grid.float()), rate).tolist()}
        excess = {"ODE": (poisson.score(model, test, END) - floor).tolist()}
    for rival, each in rivals.items():
        error[rival] = [float(relative_error(x.rate(grid), rate)) for x in each]
        excess[rival] = [float(poisson.score(x, test, END)) - floor for x in each]
    return {"sequences": n, **row, "chosen": chosen, "truth": floor, "error": error, "excess": excess}


def best(settings: tuple[Any, ...], make: Callable[[Any], Any], validation: Events) -> Any:
    """The setting under which the validation events are likeliest."""
    return min(settings, key=lambda setting: float(poisson.score(make(setting), validation, END)))


def trained_one(name: str, data: list[Events], validation: list[Events], s: Size) -> tuple[Any, dict[str, Any]]:
    torch.manual_seed(0)
    model = trained_poisson.one_intensity(s.one_seeds)
    optimizer = Adam(model, poisson.unlikelihood_of(side_by_side(data)), (1,), clip=CLIP)

    def scores() -> Tensor:
        return torch.stack([poisson.score(model, v, END)[i] for i, v in enumerate(validation)])

    return model, run(name, model, optimizer, poisson.nothing, s.one_iterations, scores, s)


def run(
    name: str, model: Any, optimizer: Adam, batches: Any, iterations: int, scores: Callable[[], Tensor], s: Size
) -> dict[str, Any]:
    """Train, or go on with it; each seed gets the parameters of that entry of the log at which ``scores``, of each
    seed on validation events by finer steps, are the least."""

    def show(line: str) -> None:
        print(name, line, flush=True)
        step = int(next(iter(optimizer.adam.state.values()))["step"])
        save_atomically(model.state_dict(), s.states / f"{name}_at_{step}.safetensors")

    settings = Settings(iterations, lr=LR, logs=LOGS)
    log = train(optimizer, batches, settings, s.states / f"{name}.safetensors", show=show)
    kept = [load_file(s.states / f"{name}_at_{step}.safetensors") for step in log.iteration]
    finely(model)
    found = []
    for state in kept:
        model.load_state_dict(state)
        with torch.no_grad():
            found.append(scores())
    pick = torch.stack(found).nan_to_num(math.inf).argmin(0)
    model.load_state_dict({key: torch.stack([kept[k][key][i] for i, k in enumerate(pick)]) for key in kept[0]})
    save_atomically(model.state_dict(), s.checkpoints / f"{name}.safetensors")
    last = found[-1].tolist()  # where a seed's end is much worse than its best
    validation = [float(x) for x in torch.stack(found).nan_to_num(math.inf).amin(0)]
    best_at = [log.iteration[k] for k in pick]
    return {"seconds": log.seconds[-1], "iterations": best_at, "validation": validation, "validation_at_end": last}


# --- an intensity for each sequence -----------------------------------------------------------------------------------


def of_phases(n: int, seed: int) -> tuple[Sinusoid, Events]:
    """A phase for each of n sequences, and the sequences."""
    generator = torch.Generator().manual_seed(seed)
    family = Sinusoid(phase=2 * math.pi * torch.rand(n, 1, generator=generator, dtype=torch.float64), end=END)
    return family, draw(family, n, generator)


def each(task: str, weight: float, s: Size) -> dict[str, Any]:
    """Train and measure the latent ODEs of one task with one weight of the KL term."""
    name, part = f"fig7_{task}_{weight:g}", TASKS[task]
    data = side_by_side([of_phases(s.sequences, 1 + seed)[1] for seed in range(s.seeds)])
    torch.manual_seed(0)
    model = trained_poisson.conditioned(s.seeds)
    optimizer = Adam(model, poisson.evidence(part, weight), (s.seeds, BATCH, 3, data.times.shape[-1]), clip=CLIP)

    def found(seed: int, draws: int) -> dict[str, Any]:
        family, given, scored = unseen(task, seed, s)
        rates = poisson.conditioned(model, given, part, on_grid(END), draws)
        return measured(rates, family, scored, task)

    def scores() -> Tensor:
        return torch.tensor(found(VALIDATION, 0)["excess"])

    log = run(name, model, optimizer, poisson.parts_of(data, part), s.iterations, scores, s)
    return {"task": task, "weight": weight, **log, **found(TEST, s.draws if weight else 0)}


def unseen(task: str, seed: int, s: Size) -> tuple[Sinusoid, Events, Events]:
    """New sequences: what their λ are, the events that are given, and those to be predicted."""
    family, events = of_phases(s.test // 4, seed)
    return family, *TASKS[task].split(events, torch.Generator().manual_seed(seed))


def measured(rates: Tensor, family: Sinusoid, scored: Events, task: str) -> dict[str, Any]:
    """Of each model (or the one): the mean over sequences of λ's relative error, and the nats per event above those of
    the true λ, with the standard error of that for the first."""
    part, grid = TASKS[task], on_grid(END)
    truth = family.rate(grid.expand(len(scored.times), -1))
    rates = rates.expand(*rates.shape[:-2], len(truth), -1)
    above = poisson.nats(rates, scored, part.scored, part.share) - poisson.nats(truth, scored, part.scored, part.share)
    above, events = above.reshape(-1, len(truth)), float(scored.counts.double().mean())
    return {
        "error": relative_error(rates, truth).mean(-1).reshape(-1).tolist(),
        "excess": (above.mean(-1) / events).tolist(),
        "standard_error": float(above[0].std()) / len(truth) ** 0.5 / events,
    }


def beside(task: str, s: Size) -> dict[str, Any]:
    """What the latent ODEs of a task are compared with, from the first seed's data; the same test sequences."""
    part, grid = TASKS[task], on_grid(END)
    data = of_phases(s.sequences, 1)[1]

    def rivals(given: Events, bins: int) -> dict[str, Tensor]:
        return {
            "constant": Histogram(data, END, 1).rate(grid)[None],
            "histogram of 20 bins": Histogram(data, END, 20).rate(grid)[None],
            "own histogram": poisson.own_histogram(given, part, grid, bins),
            "phase known": poisson.phase_known(Sinusoid(end=END), given, part, grid),
        }

    family, given, scored = unseen(task, VALIDATION, s)
    tried = {b: measured(rivals(given, b)["own histogram"], family, scored, task)["excess"][0] for b in OWN_BINS}
    bins = min(tried, key=lambda b: tried[b])
    family, given, scored = unseen(task, TEST, s)
    truth = poisson.nats(family.rate(grid.expand(len(given.times), -1)), scored, part.scored, part.share)
    found = {name: measured(rate, family, scored, task) for name, rate in rivals(given, bins).items()}
    return {"task": task, "truth": float(truth.sum() / scored.counts.sum()), "own_bins": bins, "rivals": found}


# --- all of it --------------------------------------------------------------------------------------------------------


def measure(s: Size) -> dict[str, Any]:
    ones = [finished(f"fig7_one_{n}", s, lambda n=n: one(n, s)) for n in s.sizes]
    eaches = [finished(f"fig7_{t}_{w:g}", s, lambda t=t, w=w: each(t, w, s)) for t, w in s.runs]
    tasks = [finished(f"fig7_{task}_beside", s, lambda task=task: beside(task, s)) for task in TASKS]
    return {
        "end": END,
        "dim": DIM,
        "width": WIDTH,
        "units": UNITS,
        "steps": {"training": STEPS, "measuring": FINE},
        "lr": LR,
        "clip": CLIP,
        "batch": BATCH,
        "one_seeds": s.one_seeds,
        "iterations": {"one": s.one_iterations, "each": s.iterations},
        "seeds": s.seeds,
        "sequences": s.sequences,
        "draws": s.draws,
        "test": {"one": s.test, "each": s.test // 4},
        "one": ones,
        "each": eaches,
        "tasks": tasks,
    }


def draw_it(numbers: dict[str, Any], s: Size) -> None:
    from nodelib.chapters.chapter5.poisson_figures import best_run, fig7
    from nodelib.workbook.style import save

    def load(model: Any, name: str) -> Any:
        model.load_state_dict(load_file(s.checkpoints / f"{name}.safetensors"))
        return finely(model)

    ones = {n: load(trained_poisson.one_intensity(s.one_seeds), f"fig7_one_{n}") for n in s.sizes}
    shown = {}
    for task in TASKS:
        name = f"fig7_{task}_{best_run(numbers, task)['weight']:g}"
        shown[task] = (load(trained_poisson.conditioned(s.seeds), name), *unseen(task, TEST, s))
    save(fig7(numbers, ones, shown), s.place / f"{NAME}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted")
    parser.add_argument("--draw", action="store_true", help="only draw what is recorded")
    parser.add_argument("--smoke", action="store_true", help="everything in seconds, in a folder that is thrown away")
    a = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if a.smoke:
        with tempfile.TemporaryDirectory() as place:
            s = SMOKE._replace(place=Path(place))
            s.states.mkdir()
            draw_it(measure(s), s)
        return
    s = Size(HERE)
    if not a.draw:
        s.states.mkdir(exist_ok=True)
        if not a.resume:
            for state in s.states.glob("fig7_*"):
                state.unlink()
        numbers = measure(s)
        seconds = sum(row["seconds"] for row in numbers["one"] + numbers["each"])
        records.write(NAME, numbers, seconds, records.describe_device("cpu"))
    draw_it(records.read(NAME), s)


if __name__ == "__main__":
    main()
