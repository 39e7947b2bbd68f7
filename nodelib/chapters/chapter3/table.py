"""Table 1 of the paper beside what was measured here, from the records of ``figures/table1_mnist.py``; and its rows
compared image by image, from that of ``figures/table1_predictions.py``."""

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import mean, stdev
from typing import Any, NamedTuple

from scipy.stats import binomtest

from nodelib.experiments import records
from nodelib.workbook.table import Table

TEST_IMAGES = 10_000
EPOCHS = 12


class Row(NamedTuple):
    """A network of the table: its name among the records, and what [P] Table 1 says of it, None where it has no row."""

    model: str
    title: str
    error: float | None = None
    millions: float | None = None
    orders: str = "–"


ROWS = (
    Row("mlp", "MLP, one hidden layer", 0.0160, 0.24),
    Row("resnet", "ResNet, six blocks", 0.0041, 0.60, "O(L), O(L)"),
    Row("rknet", "RK-Net", 0.0047, 0.22, "O(L̃), O(L̃)"),
    Row("odenet", "ODE-Net", 0.0042, 0.22, "O(1), O(L̃)"),
    Row("resnet1", "one residual block"),
    Row("resnet0", "no block at all"),
)
PAIRS = (
    ("resnet", "rknet"),
    ("resnet", "odenet"),
    ("resnet", "resnet1"),
    ("rknet", "odenet"),
    ("rknet", "resnet1"),
    ("odenet", "resnet1"),
    ("resnet", "resnet0"),
    ("odenet", "resnet0"),
    ("resnet0", "mlp"),
)


def runs(model: str, epochs: int = EPOCHS, shifts: bool = True) -> list[dict[str, Any]]:
    """The records of one network, a seed each, in the order of the seeds."""
    stem = f"mnist_{model}_{epochs}epochs{'' if shifts else '_nocrop'}_seed"
    return [records.read(name) for name in sorted(records.names(stem), key=lambda name: int(name[len(stem) :]))]


def errors(model: str, epochs: int = EPOCHS) -> list[float]:
    """The test errors of one network, a seed each."""
    return [run["test_error"] for run in runs(model, epochs)]


def standard_error(p: float, n: int = TEST_IMAGES) -> float:
    """The standard deviation of an error rate p that was counted on n independent images: √(p (1 - p) / n)."""
    return sqrt(p * (1 - p) / n)


def paired(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """The mean of the differences a - b, seed by seed, and its standard error."""
    differences = [x - y for x, y in zip(a, b, strict=True)]
    return mean(differences), stdev(differences) / sqrt(len(differences))


def table1(epochs: int = EPOCHS) -> Table:
    """Error and parameters, the paper's and those measured, a row a network that has a record.

    "±" in the column of the errors is the standard deviation over the seeds; "counting" what the number of test images
    alone leaves uncertain.
    """
    rows = []
    for row in ROWS:
        if not (found := errors(row.model, epochs)):
            continue
        spread = f" ± {100 * stdev(found):.2f}" if len(found) > 1 else ""
        each = ", ".join(f"{100 * error:.2f}" for error in found)
        paper = ("–", "–") if row.error is None else (f"{100 * row.error:.2f}", f"{row.millions:.2f} M")
        parameters = f"{runs(row.model, epochs)[0]['parameters']:,}"
        counting = f"± {100 * standard_error(mean(found)):.2f}"
        rows.append((row.title, *paper, f"{100 * mean(found):.2f}{spread}", each, counting, parameters))
    header = ("", "% wrong [P]", "parameters [P]", "% wrong here", "each seed", "counting", "parameters here")
    return Table(header, rows)


def conditions(epochs: int = EPOCHS) -> str:
    """One paragraph: how the runs of ``table1`` were trained, on what, when."""
    found = [run for row in ROWS for run in runs(row.model, epochs)]
    s, made = found[0]["settings"], {}
    for run in found:
        p = run["provenance"]
        made.setdefault((p["device"], p["versions"]["torch"], p["date"]), []).append(p["seconds"])
    how = "; ".join(
        f"{len(seconds)} of {sum(seconds) / 3600:.1f} hours in all on {device}, torch {version}, {date}"
        for (device, version, date), seconds in made.items()
    )
    return (
        f"{epochs} epochs of 60,000 images, batches of {s['batch']}, {s['optimizer']} to {s['lr']}, random shifts of "
        f"up to {s['crop']} pixels; error on 10,000 test images after the last epoch. {len(found)} runs: {how}."
    )


def only_wrong(a: str, b: str, labels: str) -> tuple[int, int]:
    """How many images only a gets wrong, and how many only b: each string has a digit an image."""
    pairs = [(x != label, y != label) for x, y, label in zip(a, b, labels, strict=True)]
    return pairs.count((True, False)), pairs.count((False, True))


def mcnemar(only_a: int, only_b: int) -> float:
    """McNemar's test, exact and two-sided: how likely so uneven a split is, or a worse one, if both err alike.

    Only the images on which the two disagree say which one is better.
    """
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def pairs(record: Mapping[str, Any] | None = None, seed: int = 0) -> list[tuple[str, str, int, int, float]]:
    """For each of ``PAIRS``: both names, what only the first and only the second gets wrong, the p of ``mcnemar``."""
    record = record or records.read("table1_predictions")
    said = {model: record["said"][f"mnist_{model}_{EPOCHS}epochs_seed{seed}"] for model, *_ in ROWS}
    counts = [(a, b, *only_wrong(said[a], said[b], record["labels"])) for a, b in PAIRS]
    return [(a, b, x, y, mcnemar(x, y)) for a, b, x, y in counts]


def pairs_table(found: Sequence[tuple[str, str, int, int, float]]) -> Table:
    """``pairs`` as a table."""
    titles = {row.model: row.title for row in ROWS}
    rows = [(titles[a], titles[b], str(x), str(y), f"{p:.1g}") for a, b, x, y, p in found]
    return Table(("first", "second", "only the first wrong", "only the second wrong", "p"), rows)


def costs_table(cost: Mapping[str, Any], held: Mapping[str, Mapping[str, int]]) -> Table:
    """The record ``table1_cost`` beside the bytes of ``costs.held``, a row a network."""
    rows = []
    for row in ROWS:
        of, now = cost["models"][row.model], held[row.model]
        evaluations = f"{of['nfe_forward']} + {of['nfe_backward']}" if of["nfe_forward"] else "–"
        memory = [f"{now[key] / 1e6:.0f} MB" for key in ("stored", "peak")]
        rows.append((row.title, row.orders, *memory, f"{1000 * of['seconds']:.0f} ms", evaluations))
    return Table(("", "memory, time in [P]", "stored", "peak", "time", "evaluations"), rows)


def gradients_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Panel c's rows of ``nfe.together`` at one tolerance: evaluations, their ratio and the gradient's errors, with the
    least and the most of the sets of images."""
    shown = []
    for row in rows:
        each = row["all"]
        ratios = [b / f for b, f in zip(each["nfe_backward"], each["nfe_forward"], strict=True)]
        shown.append((
            row["solver"],
            {"mean": "as in training", "unit": "scaled to RMS 1"}[row["loss"]],
            f"{row['nfe_forward']:.0f} + {row['nfe_backward']:.0f}",
            f"{mean(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            *(_range(each[key]) if key in each else "–" for key in ("error", "from_computed")),
        ))  # fmt: skip
    flow, computed = "from the flow's gradient", "from the computed loss's"
    return Table(("gradient by", "loss", "evaluations", "back / forward", flow, computed), shown)


def _range(shares: Sequence[float]) -> str:
    return f"{mean(shares):.1%} ({100 * min(shares):.1f} to {100 * max(shares):.1f})"
