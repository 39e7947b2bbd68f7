"""The convergence test on the book's own trained models: rings, digits, MNIST, flows, latent ODEs and intensities.

    python figures/verdicts.py            some five minutes on one CPU core
    python figures/verdicts.py --resume   goes on with what was interrupted
    python figures/verdicts.py --smoke    a few of them, to see that it runs; leaves nothing behind

Judged are the networks of § 6.2 and all ODEs of chapters 3 to 5 that come with the book, but for those by flow
matching, which no solver trained; and chapter 3's small networks, which are trained for it, three seeds each. The
images of MNIST are the fifty of nodelib/data. Leaves figures/records/verdicts.json.
"""

import argparse
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nodelib.chapters.chapter3 import small
from nodelib.experiments import records
from nodelib.experiments.convergence import Convergence
from nodelib.experiments.costs import unresolved_adjoints
from nodelib.experiments.shipped import Trained, shipped
from nodelib.experiments.verdicts import NAME, of_digits

SMOKE = ("annuli, euler 2", "fig4_equal_gated_2", "bridge_2", "latent ODE, 30", "fig7_one_20", "fig7_past_0")
STATES = Path(__file__).parent / "states"  # of what is not finished; not in git


def small_net(name: str, seed: int) -> Convergence:
    """One of chapter 3's small networks, trained here."""
    with unresolved_adjoints():
        net: Any = small.run(name, seed)[0]
    return of_digits(net)


def everything() -> Iterator[Trained]:
    """Chapter 3's small networks, trained by Euler's method and by dopri5, and all that come with the book."""
    for by, name in small.SWAPPED.items():
        words = "dopri5, 1e-2" if by == "dopri5" else by.lower()
        yield Trained(f"small {name}", "chapter 3: small digits", words, 3, partial(small_net, name))
    yield from shipped()


def rows_of(group: Trained) -> dict[str, Any]:
    """The rows of a group of models, or those that were found before; and the seconds they took."""
    file = STATES / f"{NAME}_{group.name}.json"
    if not file.exists():
        began = time.perf_counter()
        rows = [group.row(i) for i in range(group.models)]
        file.write_text(json.dumps({"rows": rows, "seconds": time.perf_counter() - began}), encoding="utf-8")
        print(group.name, [row["verdict"] for row in rows], flush=True)
    return json.loads(file.read_text(encoding="utf-8"))


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted")
    parser.add_argument("--smoke", action="store_true", help="a few of them, to see that it runs")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if a.smoke:
        return {"rows": [group.row(0) for group in shipped() if group.name in SMOKE]}
    STATES.mkdir(exist_ok=True)
    if not a.resume:
        for file in STATES.glob(f"{NAME}_*.json"):
            file.unlink()
    found = [rows_of(group) for group in everything()]
    rows = [row for part in found for row in part["rows"]]
    records.write(NAME, {"rows": rows}, sum(part["seconds"] for part in found), records.describe_device("cpu"))
    return {"rows": rows}


if __name__ == "__main__":
    main()
