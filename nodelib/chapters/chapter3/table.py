"""Table 1 of the paper beside what was measured here, from the records of ``figures/table1_mnist.py``."""

from math import sqrt
from typing import Any, NamedTuple

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


ROWS = (
    Row("mlp", "MLP, one hidden layer", 0.0160, 0.24),
    Row("resnet", "ResNet, six blocks", 0.0041, 0.60),
    Row("rknet", "RK-Net", 0.0047, 0.22),
    Row("odenet", "ODE-Net", 0.0042, 0.22),
    Row("resnet1", "one residual block"),
    Row("resnet0", "no block at all"),
)


def runs(model: str, epochs: int = EPOCHS, shifts: bool = True) -> list[dict[str, Any]]:
    """The records of one network, a seed each, in the order of the seeds."""
    stem = f"mnist_{model}_{epochs}epochs{'' if shifts else '_nocrop'}_seed"
    return [records.read(name) for name in sorted(records.names(stem), key=lambda name: int(name[len(stem) :]))]


def standard_error(p: float, n: int = TEST_IMAGES) -> float:
    """The standard deviation of an error rate p that was counted on n independent images: √(p (1 - p) / n)."""
    return sqrt(p * (1 - p) / n)


def table1(epochs: int = EPOCHS) -> Table:
    """Error and parameters, the paper's and those measured, a row a network that has a record."""
    rows = []
    for row in ROWS:
        if not (found := runs(row.model, epochs)):
            continue
        errors = ", ".join(f"{run['test_error']:.2%}" for run in found)
        bar = standard_error(sum(run["test_error"] for run in found) / len(found))
        paper = ("–", "–") if row.error is None else (f"{row.error:.2%}", f"{row.millions:.2f} M")
        rows.append((row.title, *paper, errors, f"± {bar:.2%}", f"{found[0]['parameters']:,}"))
    header = ("", "error [P]", "parameters [P]", "error here, a seed each", "standard error", "parameters here")
    return Table(header, rows)


def conditions(epochs: int = EPOCHS) -> str:
    """One paragraph: how the runs of ``table1`` were trained, on what, when."""
    found = [run for row in ROWS for run in runs(row.model, epochs)]
    s, p = found[0]["settings"], found[0]["provenance"]
    devices = sorted({run["provenance"]["device"] for run in found})
    dates = sorted({run["provenance"]["date"] for run in found})
    hours = sum(run["provenance"]["seconds"] for run in found) / 3600
    return (
        f"{epochs} epochs of 60,000 images, batches of {s['batch']}, {s['optimizer']} to {s['lr']}, random shifts of "
        f"up to {s['crop']} pixels; error on 10,000 test images after the last epoch. {len(found)} runs, {hours:.1f} "
        f"hours in all, {' and '.join(dates)}, on {' and '.join(devices)}; torch {p['versions']['torch']}."
    )
