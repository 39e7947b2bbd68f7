"""Why does a latent ODE's training fail, and what helps? One recipe, and others that differ from it in a thing or two.

    python figures/latent_training.py                  trains and measures: some fifteen minutes of one CPU core
    python figures/latent_training.py --observed 100   the same with 100 observations a series, other recipes
    python figures/latent_training.py --resume         goes on with what was interrupted
    python figures/latent_training.py --draw           only draws what is recorded
    python figures/latent_training.py --smoke          the whole way in seconds, on little data; leaves nothing behind

Spirals with 30 observations each, 1,000 to train on. Ten seeds, each with data, initial parameters and batches of its
own, the same under every recipe, side by side in one module. Measured on test series without noise, in the plane's
units: the root mean square error in the observed window, and on the 100 further points. A seed has failed where the
latter is more than half of what the mean of the training series gives. Leaves figures/records/latent_training.json and
latent_training.png, or latent_training_100.json.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from nodelib.data.spirals import STEPS, SpiralSet, make_spirals
from nodelib.experiments import records
from nodelib.experiments.forecasts import chosen, further_errors, series_of
from nodelib.experiments.latent import LATENT, Recipe, fit

BASE = "base"
RATE = 0.02
# By name, what differs from the base, and the rate.
RECIPES: dict[str, tuple[dict[str, Any], float]] = {
    BASE: ({}, RATE),
    "whole window": ({"growth": 0.0}, RATE),
    "shooting": ({"growth": 0.0, "segments": 4}, RATE),
    "sigma 0.5": ({"sigma": 0.5}, RATE),
    "sigma 1": ({"sigma": 1.0}, RATE),
    "sigma 5": ({"sigma": 5.0}, RATE),
    "sigma 0.5, whole window": ({"sigma": 0.5, "growth": 0.0}, RATE),
    "no KL": ({"kl": 0.0}, RATE),
    "KL annealed": ({"annealed": 0.5}, RATE),
    "KL x 10": ({"kl": 10.0}, RATE),
    "no times": ({"encoder": "rnn"}, RATE),
    "t": ({"encoder": "rnn-t"}, RATE),
    "low rate": ({}, 0.003),
    "low rate, whole window": ({"growth": 0.0}, 0.003),
    "rate 0.01": ({}, 0.01),
    "rate 0.01, whole window": ({"growth": 0.0}, 0.01),
    "rate 0.01, KL x 10": ({"kl": 10.0}, 0.01),
    "rate 0.01, sigma 5": ({"sigma": 5.0}, 0.01),
    "rate 0.005": ({}, 0.005),
    "rate 0.005, KL x 10": ({"kl": 10.0}, 0.005),
}
# By number of observations, the recipes that are compared.
COMPARED = {
    30: list(RECIPES)[:14],
    100: [BASE, "whole window", "sigma 5", "KL x 10", *list(RECIPES)[14:]],
}
SEEDS = 10
NAME = "latent_training"
HERE = Path(__file__).parent
STATES = HERE / "states"  # of what is not finished; not in git


def name_of(observed: int) -> str:
    """The record's name, by how many observations a series has."""
    return NAME if observed == 30 else f"{NAME}_{observed}"


def run(name: str, sets: list[SpiralSet], a: argparse.Namespace) -> dict[str, Any]:
    """Train ten seeds by one recipe, and measure them; or read what was measured before."""
    stem = f"{name_of(a.observed)}_{name.replace(' ', '_').replace(',', '')}"
    done, state = a.states / f"{stem}.json", a.states / f"{stem}.safetensors"
    if not a.resume:
        done.unlink(missing_ok=True)
        state.unlink(missing_ok=True)
    if not done.exists():
        change, rate = RECIPES[name]
        recipe: Recipe = LATENT._replace(iterations=a.iterations, **change)
        which = list(range(len(sets)))
        model, log = fit(
            "latent ODE",
            sets,
            which,
            [rate] * len(sets),
            recipe,
            state=state,
            show=lambda line: print(name, line, flush=True),
        )
        further = further_errors(model, sets, which)
        row = {
            "recipe": name,
            "rate": rate,
            "change": change,
            "seconds": log.seconds[-1],
            "window": window_errors(model, sets),
            "further": further.clean,
            "further_noisy": further.noisy,
            "loss": log.loss[-1],
        }
        done.write_text(json.dumps(row), encoding="utf-8")
        print(name, " ".join(f"{x:.3f}" for x in further.clean), flush=True)
    return json.loads(done.read_text(encoding="utf-8"))


def window_errors(model: Any, sets: list[SpiralSet]) -> list[float]:
    """Root mean squares over the observed window of the test series, without noise, in the plane's units."""
    parts = [each.test for each in sets]
    rows, grid = torch.arange(len(sets)), sets[0].grid
    found = model.forecast(chosen(series_of(parts, grid), rows), grid[:STEPS])
    errors = found - torch.stack([part.clean for part in parts])[:, :, :STEPS]
    scale = torch.tensor([each.scale for each in sets])
    return (errors.double().square().mean((1, 2, 3)).sqrt() * scale).tolist()


def mean_alone(sets: list[SpiralSet]) -> list[float]:
    """The error on the further points of foretelling the mean of the training series."""
    further = [each.test.clean[:, STEPS:].double().square().mean().sqrt() for each in sets]
    return [float(x) * each.scale for x, each in zip(further, sets, strict=True)]


def everything(a: argparse.Namespace) -> dict[str, Any]:
    """All recipes: what goes into the record."""
    sets = [make_spirals(a.observed, seed, sizes=a.sizes) for seed in range(a.seeds)]
    return {
        "observed": a.observed,
        "seeds": a.seeds,
        "series": a.sizes,
        "iterations": a.iterations,
        "base": LATENT._replace(iterations=a.iterations)._asdict(),
        "mean_alone": mean_alone(sets),
        "runs": [run(name, sets, a) for name in a.recipe or COMPARED[a.observed]],
    }


def draw_it(name: str) -> None:
    from nodelib.chapters.chapter5.training import recipes
    from nodelib.workbook.style import save

    save(recipes(records.read(name)), HERE / f"{name}.png")


def main(arguments: list[str] | None = None) -> dict[str, Any] | None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observed", type=int, choices=COMPARED, default=30, help="observations a series")
    parser.add_argument("--iterations", type=int, default=2000, help="of each training")
    parser.add_argument("--recipe", nargs="+", choices=RECIPES, help="all, if none is named")
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted")
    parser.add_argument("--draw", action="store_true", help="only draw what is recorded")
    parser.add_argument("--smoke", action="store_true", help="little data and few iterations, to see that it runs")
    a = parser.parse_args(arguments)
    if a.draw:
        draw_it(name_of(a.observed))
        return None
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # vanishing gradients make the encoder several times slower
    if a.smoke:
        with tempfile.TemporaryDirectory() as folder:
            a.states, a.sizes, a.seeds, a.iterations = Path(folder), (20, 2, 10), 2, 10
            return everything(a)
    a.states, a.sizes, a.seeds = STATES, (1000, 2, 200), SEEDS
    STATES.mkdir(exist_ok=True)
    numbers = everything(a)
    seconds = sum(row["seconds"] for row in numbers["runs"])
    records.write(name_of(a.observed), numbers, seconds, records.describe_device("cpu"))
    draw_it(name_of(a.observed))
    return numbers


if __name__ == "__main__":
    main()
