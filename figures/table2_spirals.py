"""Table 2 of the paper: how far off are 100 further points of a spiral, foretold from 30, 50 or 100 noisy ones?

    python figures/table2_spirals.py              tunes, trains and measures: some 65 minutes of one CPU core
    python figures/table2_spirals.py --resume     goes on with what was interrupted
    python figures/table2_spirals.py --smoke      the whole way in seconds, on little data; leaves nothing behind

Every model gets the same: four rates (three where the fourth overflows), each trained on three data seeds for --tuning
iterations and judged by the root mean square on the further points of validation series, which are noisy as what is
observed; then the best rate for --iterations, on three data seeds × three initialisations, and the further points of
test series, without noise and with it. Twelve and nine trainings side by side in one module. Leaves
figures/records/table2_spirals.json, and the parameters in figures/checkpoints.
"""

import argparse
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from nodelib.data.spirals import STEPS, SpiralSet, make_spirals
from nodelib.experiments import records
from nodelib.experiments.forecasts import further_errors
from nodelib.experiments.latent import LATENT, RECURRENT, Recipe, fit
from nodelib.experiments.training import save_atomically

NAMES = (
    "latent ODE",
    "rnn",
    "rnn-dt",
    "rnn-decay",
    "gru-dt",
    "gru-decay",
    "ode-rnn",
    "latent ODE, ODE-RNN encoder",
)
OBSERVED, RATES, SEEDS, STARTS = (30, 50, 100), (0.01, 0.02, 0.04, 0.08), (0, 1, 2), 3
OVERFLOWS = {"latent ODE, ODE-RNN encoder": 0.08}  # a rate at which a model's state overflows: not tried again
PAPER = {"rnn": (0.3937, 0.3202, 0.1813), "latent ODE": (0.1642, 0.1502, 0.1346)}
# Milliseconds an iteration of nine, at 30 and 100 observations: to foretell how long the rest takes.
COST = {
    "latent ODE": (21, 57),
    "rnn": (6, 24),
    "rnn-dt": (6, 27),
    "rnn-decay": (8, 42),
    "gru-dt": (19, 71),
    "gru-decay": (24, 81),
    "ode-rnn": (37, 120),
    "latent ODE, ODE-RNN encoder": (53, 169),
}
NAME = "table2_spirals"
HERE = Path(__file__).parent
STATES = HERE / "states"  # of what is not finished; not in git


class Progress:
    """Lines with the share of the whole that is done, and the time that the rest takes at the pace so far."""

    def __init__(self, jobs: list[tuple[str, int, str, int]]):
        self.costs = {job[:3]: self.cost(*job) for job in jobs}
        self.done, self.paced, self.begun = 0.0, 0.0, time.perf_counter()

    @staticmethod
    def cost(name: str, k: int, what: str, iterations: int) -> float:
        few, many = COST[name]
        models = len(SEEDS) * (len(RATES) if what == "tuning" else STARTS)
        return (few + (many - few) * (k - 30) / 70) * iterations * models / 9

    def skip(self, job: tuple[str, int, str]) -> None:
        self.done += self.costs[job]

    def finish(self, job: tuple[str, int, str]) -> None:
        self.done += self.costs[job]
        self.paced += self.costs[job]

    def line(self, job: tuple[str, int, str], text: str) -> str:
        """``text`` begins with the share of the job in per cent, as lines of ``train`` do."""
        part = self.costs[job] * float(text.split("%")[0]) / 100
        whole, done, paced = sum(self.costs.values()), self.done + part, self.paced + part
        left = (whole - done) * (time.perf_counter() - self.begun) / max(paced, 1e-9) / 60
        return f"[{done / whole:4.0%}, {left:3.0f} min left] {job[0]}, {job[1]} points, {job[2]}: {text}"


def file_of(name: str, k: int) -> str:
    return f"{NAME}_{name.replace(',', '').replace(' ', '_')}_{k}"


def trained(job: tuple[str, int, str], sets: list[SpiralSet], rates: list[float], recipe: Recipe, a: Any) -> Any:
    """Models side by side: of each data seed one at each of these rates."""
    name, k, what = job
    which = [i for i in range(len(SEEDS)) for _ in rates]
    state = a.states / f"{file_of(name, k)}_{what}.safetensors"
    model, log = fit(
        name,
        sets,
        which,
        rates * len(SEEDS),
        recipe,
        seed=("tuning", "final").index(what),
        state=state,
        show=lambda text: print(a.progress.line(job, text), flush=True),
    )
    return model, which, log.seconds[-1]


def measured(name: str, k: int, sets: list[SpiralSet], a: Any) -> dict[str, Any]:
    """Tune, train and test one model at one number of observations; or read what was measured before."""
    done = a.states / f"{file_of(name, k)}.json"
    if done.exists():
        for what in ("tuning", "final"):
            a.progress.skip((name, k, what))
        return json.loads(done.read_text(encoding="utf-8"))
    recipe = (LATENT if name.startswith("latent") else RECURRENT)._replace(iterations=a.tuning)
    rates = [rate for rate in RATES if rate != OVERFLOWS.get(name)]
    model, which, tuning = trained((name, k, "tuning"), sets, rates, recipe, a)
    a.progress.finish((name, k, "tuning"))
    found = further_errors(model, sets, which, "validation").noisy
    validation = {str(rate): found[i :: len(rates)] for i, rate in enumerate(rates)}
    rate = min(rates, key=lambda rate: sum(validation[str(rate)]))
    recipe = recipe._replace(iterations=a.iterations)
    model, which, final = trained((name, k, "final"), sets, [rate] * STARTS, recipe, a)
    a.progress.finish((name, k, "final"))
    clean, noisy = further_errors(model, sets, which, "test")
    if a.checkpoints:
        save_atomically(model.state_dict(), a.checkpoints / f"{file_of(name, k)}.safetensors")
    row = {
        "model": name,
        "k": k,
        "rate": rate,
        "validation": validation,
        "recipe": recipe._asdict(),
        "parameters": sum(p[0].numel() for p in model.parameters()),
        "seconds": {"tuning": tuning, "final": final},
        "clean": clean,
        "noisy": noisy,
    }
    done.write_text(json.dumps(row), encoding="utf-8")
    print(f"{name}, {k} points: rate {rate}, without noise {rounded(clean)}, with it {rounded(noisy)}", flush=True)
    return row


def differences(runs: list[dict[str, Any]], target: str) -> list[dict[str, Any]]:
    """Each model's errors less those of the latent ODE on the same data seed: of each training, and of the means over
    initialisations."""
    against = {row["k"]: row[target] for row in runs if row["model"] == "latent ODE"}
    rows = []
    for row in runs:
        each = [x - y for x, y in zip(row[target], against.get(row["k"], []), strict=False)]
        if each and row["model"] != "latent ODE":
            means = [sum(each[i : i + STARTS]) / STARTS for i in range(0, len(each), STARTS)]
            rows.append({"model": row["model"], "k": row["k"], "each": each, "data_seeds": means})
    return rows


def mean_alone(sets: list[SpiralSet]) -> dict[str, list[float]]:
    """The same error of foretelling the mean of the training series, on each test set."""
    targets = {"clean": [each.test.clean for each in sets], "noisy": [each.test.noisy for each in sets]}
    return {
        target: [
            float(x[:, STEPS:].double().square().mean().sqrt()) * each.scale
            for x, each in zip(found, sets, strict=True)
        ]
        for target, found in targets.items()
    }


def rounded(values: list[float]) -> str:
    return " ".join(f"{x:.3f}" for x in values)


def table(numbers: dict[str, Any]) -> str:
    """Mean and range over nine trainings, without noise, in brackets the mean with it; and the paper's numbers."""
    lines = []
    for name in dict.fromkeys(row["model"] for row in numbers["runs"]):
        cells = []
        for row in numbers["runs"]:
            if row["model"] == name:
                clean, noisy = row["clean"], row["noisy"]
                mean, with_noise = (sum(x) / len(x) for x in (clean, noisy))
                cells.append(f"{mean:.3f} [{min(clean):.3f}, {max(clean):.3f}] ({with_noise:.3f})")
        lines.append(f"{name:30}" + "   ".join(cells))
    lines += [f"{'paper, ' + name:30}" + "   ".join(map(str, found)) for name, found in PAPER.items()]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--k", nargs="+", type=int, choices=OBSERVED, default=list(OBSERVED))
    parser.add_argument("--tuning", type=int, default=800, help="iterations at each of the four rates")
    parser.add_argument("--iterations", type=int, default=2000, help="of the training at the best of them")
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted")
    parser.add_argument("--smoke", action="store_true", help="little data and few iterations, to see that it runs")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # vanishing gradients make the encoder several times slower
    if a.smoke:
        with tempfile.TemporaryDirectory() as folder:
            a.states, a.checkpoints, a.sizes, a.k = Path(folder), None, (20, 10, 10), [30]
            a.tuning = a.iterations = 10
            return everything(a)
    a.states, a.checkpoints, a.sizes = STATES, HERE / "checkpoints", (1000, 200, 200)
    STATES.mkdir(exist_ok=True)
    if not a.resume:
        for state in STATES.glob(f"{NAME}_*"):
            state.unlink()
    numbers = everything(a)
    seconds = sum(sum(row["seconds"].values()) for row in numbers["runs"])
    records.write(NAME, numbers, seconds, records.describe_device("cpu"))
    return numbers


def everything(a: argparse.Namespace) -> dict[str, Any]:
    """All models at all numbers of observations: what goes into the record."""
    every = [(name, k) for k in a.k for name in a.model]
    lengths = {"tuning": a.tuning, "final": a.iterations}
    a.progress = Progress([(name, k, what, n) for name, k in every for what, n in lengths.items()])
    runs, alone = [], {}
    for k in a.k:
        sets = [make_spirals(k, seed, sizes=a.sizes) for seed in SEEDS]
        alone = mean_alone(sets)  # the same at every k
        runs += [measured(name, k, sets, a) for name in a.model]
    numbers = {
        "rates": RATES,
        "data_seeds": SEEDS,
        "initialisations": STARTS,
        "tuning_iterations": a.tuning,
        "iterations": a.iterations,
        "series": a.sizes,
        "noise": 0.1,
        "mean_alone": alone,
        "paper": PAPER,
        "runs": runs,
        "against_latent_ode": {target: differences(runs, target) for target in ("clean", "noisy")},
    }
    assert all(math.isfinite(x) for row in runs for x in row["clean"])
    print(table(numbers))
    return numbers


if __name__ == "__main__":
    main()
