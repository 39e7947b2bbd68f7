"""The convergence test on the book's own trained models: rings, digits, MNIST, flows and latent ODEs.

    python figures/verdicts.py            three minutes on one CPU core
    python figures/verdicts.py --smoke    a few of them, to see that it runs; leaves nothing behind

Chapter 3's small networks are trained for it, three seeds each; all others come with the book. The images of MNIST are
the fifty of nodelib/data. Leaves figures/records/verdicts.json.
"""

import argparse
import time
from itertools import islice
from typing import Any

import torch

from nodelib.chapters.chapter3 import small
from nodelib.experiments import records
from nodelib.experiments.costs import unresolved_adjoints
from nodelib.experiments.verdicts import NAME, of_digits, recorded_models, row_of


def trained_here(seeds: int) -> list[dict[str, Any]]:
    """Chapter 3's small networks, trained by Euler's method and by dopri5."""
    rows = []
    for by, name in small.SWAPPED.items():
        for seed in range(seeds):
            with unresolved_adjoints():
                net: Any = small.run(name, seed)[0]
            words = "dopri5, 1e-2" if by == "dopri5" else by.lower()
            rows.append(row_of("chapter 3: small digits", words, of_digits(net)))
            print(rows[-1], flush=True)
    return rows


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="the first three only, to see that it runs")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    started = time.perf_counter()
    rows = [] if a.smoke else trained_here(3)
    for model, by, found in islice(recorded_models(), 3 if a.smoke else None):
        rows.append(row_of(model, by, found))
        if not a.smoke:
            print(rows[-1], flush=True)
    if not a.smoke:
        records.write(NAME, {"rows": rows}, time.perf_counter() - started, records.describe_device("cpu"))
    return {"rows": rows}


if __name__ == "__main__":
    main()
