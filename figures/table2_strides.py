"""Table 2 once more, with the recurrent networks asked in strides: is it they that fail, or how they are asked?

    python figures/table2_strides.py       measures what figures/table2_spirals.py trained: a minute of one CPU core

A recurrent network foretells by feeding on its own forecasts. The table asks for each of 100 further steps of 0.01;
with 30 observations a window it was trained on gaps of 0.033 in the mean. Here it goes in strides of 1, 2, 3, 5
or 10 steps, as often as it takes to have all points (``experiments.forecasts.in_strides``). For each model and number
of observations the stride is chosen by the noisy further points of the validation series. Leaves
figures/records/table2_strides.json.
"""

import argparse
import time
from pathlib import Path

import torch

from nodelib.data.spirals import make_spirals
from nodelib.experiments import records
from nodelib.experiments.forecasts import further_errors
from nodelib.models.recurrent import KINDS
from nodelib.models.trained_series import DATA_SEEDS, STARTS, trained_series

STRIDES = (1, 2, 3, 5, 10)
NAME = "table2_strides"
HERE = Path(__file__).parent


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(arguments)
    begun = time.perf_counter()
    torch.set_num_threads(1)
    which = [i // STARTS for i in range(DATA_SEEDS * STARTS)]
    runs = []
    for row in records.read("table2_spirals")["runs"]:
        name, k = row["model"], row["k"]
        if name not in KINDS:
            continue
        model, sets = trained_series(name, k), [make_spirals(k, seed) for seed in range(DATA_SEEDS)]
        validation = {s: further_errors(model, sets, which, "validation", s).noisy for s in STRIDES}
        test = {s: further_errors(model, sets, which, "test", s) for s in STRIDES}
        best = min(STRIDES, key=lambda s: sum(validation[s]))
        runs.append(
            {
                "model": name,
                "k": k,
                "stride": best,
                "validation": {str(s): errors for s, errors in validation.items()},
                "clean": {str(s): errors.clean for s, errors in test.items()},
                "noisy": {str(s): errors.noisy for s, errors in test.items()},
            }
        )
        print(f"{name}, {k}: stride {best}, " + " ".join(f"{x:.3f}" for x in test[best].clean), flush=True)
    numbers = {"strides": STRIDES, "runs": runs}
    records.write(NAME, numbers, time.perf_counter() - begun, records.describe_device("cpu"))


if __name__ == "__main__":
    main()
