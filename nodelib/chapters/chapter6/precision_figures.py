"""The figure of box 6.10: evaluations and errors of fields in low precision."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from nodelib.workbook.style import BLUE, GREY, INK, PURPLE, book, label

Record = Mapping[str, Any]
DRAWN = {  # colour by what is rounded: nothing, weights, operations
    "double": (INK, "-", "*"),
    "weights in int8": (GREY, "--", "P"),
    "TF32 products": (BLUE, "-.", "D"),
    "bfloat16 output": (PURPLE, ":", "v"),
    "all bfloat16": (PURPLE, "--", "^"),
}


def row_of(record: Record, precision: str, tol: float, kind: str = "mlp") -> dict[str, Any]:
    """The recorded solves in this precision, at this tolerance."""
    return next(
        row
        for row in record["rows"]
        if row["precision"] == precision and row["kind"] == kind and np.isclose(row["tol"], tol)
    )


def precision(record: Record) -> Figure:
    """By tolerance, evaluations and errors, the median over ten seeds, in five precisions."""
    tols = sorted(record["tols"], reverse=True)
    with book():
        fig = Figure(figsize=(7.6, 3.7))
        left, right = fig.subplots(1, 2)
        for name, (colour, dashes, marker) in DRAWN.items():
            rows = [row_of(record, name, tol) for tol in tols]
            nfe, error = ([float(np.median(row[key])) for row in rows] for key in ("nfe", "error"))
            for ax, values in ((left, nfe), (right, error)):
                ax.plot(tols, values, color=colour, linestyle=dashes, marker=marker, label=name)
        marks = {"all bfloat16": (3, (-8, 4), "right"), "bfloat16 output": (3, (-9, 0), "right"),
                 "TF32 products": (3, (8, -3), "left"), "double": (3, (-14, -13), "left")}  # fmt: skip
        for name, (i, shift, ha) in marks.items():
            at = float(np.median(row_of(record, name, tols[i])["nfe"]))
            words = "double, weights in int8" if name == "double" else name
            label(left, words, (tols[i], at), DRAWN[name][0], shift=shift, ha=ha)
        for name, (colour, *_) in DRAWN.items():
            at = float(np.median(row_of(record, name, tols[-1])["error"]))
            below = name in ("bfloat16 output", "double")
            label(right, name, (tols[-1], at), colour, shift=(0, -9 if below else 8), ha="right")
        for ax in (left, right):
            ax.set(xscale="log", yscale="log", xlabel="tolerance")
            ax.invert_xaxis()
            ax.margins(y=0.09)
        left.set(title="evaluations")
        right.set(title="error at $t$ = 1")
    return fig
