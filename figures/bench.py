"""Every peer beside this library, from the record of `python run.py bench`: who is ahead where, and at what error.

    python figures/bench.py     draws what is recorded; measuring is the command above

Leaves bench.png, the ratios of times; bench_precision.png, error against evaluations and time; and bench_growth.png,
memory and time of a gradient as steps, state and parameters grow. Puts the record's table into the README.
"""

import sys
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # for the tests' package, which is not installed

from nodelib.experiments import records  # noqa: E402
from nodelib.workbook.style import BLUE, GREY, INK, ORANGE, PURPLE, RED, VIOLET, book, look, save  # noqa: E402
from tests.bench.peers.table import lines, title, write  # noqa: E402

NAME = "bench"

# Here a colour is a library: ours is the blue of an adaptive solver, as in the book. Filled is dopri5.
LIBRARIES = {
    "nodelib": ("ours", BLUE, "D", "-"),
    "torchdiffeq": ("torchdiffeq", RED, "o", ":"),
    "torchode": ("torchode", PURPLE, "^", "--"),
    "torchdyn": ("torchdyn", GREY, "s", "-."),
    "diffrax": ("diffrax", ORANGE, "v", "-"),
    "scipy": ("SciPy", VIOLET, "P", "--"),
}


def where(record: dict[str, Any]) -> Figure:
    """Each peer's time as a multiple of ours, a row a line of the table, with the 10th to 90th percentile; of ours what
    is compiled."""
    shown = lines(record)
    with book():
        fig = Figure((9, 0.34 * len(shown) + 1.3))
        ax = fig.subplots()
        ax.axvline(1, color=INK, linewidth=1)
        seen: set[str] = set()
        for i, line in enumerate(shown):
            rows = [
                row
                for row in next(w["rows"] for w in record["workloads"] if w["name"] == line.workload)
                if row["against"] in (line.mine, f"{line.mine}, per sample")
                and row["status"] == "measured"
                and (row["package"] != "nodelib" or row["solver"].endswith("compiled"))
            ]
            libraries = list(dict.fromkeys(row["package"] for row in rows))
            for row in rows:
                ratio(ax, row, i + 0.2 * (libraries.index(row["package"]) - (len(libraries) - 1) / 2), seen)
        ax.set_yticks(range(len(shown)), [title(line) for line in shown])
        ax.set_ylim(len(shown) - 0.4, -0.6)
        ax.grid(visible=False, axis="y")
        for i in range(len(shown) - 1):
            ax.axhline(i + 0.5, color=GREY, alpha=0.3, linewidth=0.6)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        low, high = ax.get_xlim()
        ax.axvspan(low, 1, color=GREY, alpha=0.12, linewidth=0)
        ax.set_xlim(low, high)
        ax.set_xlabel("time as a multiple of ours, eager\n(grey: faster than ours; hollow: another method than dopri5)")
        ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=len(seen), fontsize=9, handletextpad=0.2)
    return fig


def ratio(ax: Axes, row: dict[str, Any], i: float, seen: set[str]) -> None:
    """One point with its bar, hollow where it is not dopri5."""
    name, colour, marker, _ = LIBRARIES[row["package"]]
    name = "ours, compiled" if row["package"] == "nodelib" else name
    other = row["solver"].endswith(("LSODA", "DOP853", "Dopri8"))
    middle, tenth, ninth = row["ratio"]
    ax.plot([tenth, ninth], [i, i], color=colour, linestyle="-", linewidth=1.2)
    ax.plot(
        middle, i, marker=marker, color=colour, markerfacecolor="white" if other else colour, linestyle="",
        label=None if name in seen or other else name,
    )  # fmt: skip
    if not other:
        seen.add(name)


def precision(record: dict[str, Any]) -> Figure:
    """Error against evaluations and against time: lower left is better."""
    problems = list(dict.fromkeys(curve["problem"] for curve in record["precision"]))
    with book():
        fig = Figure((11, 6))
        axes = fig.subplots(2, len(problems), sharey="col", squeeze=False)
        named: dict[str, Any] = {}
        for column, problem in zip(axes.T, problems, strict=True):
            for curve in record["precision"]:
                if curve["problem"] == problem and curve["tol"]:
                    for ax, key in zip(column, ("nfe", "ms"), strict=True):
                        named.setdefault(curve_name(curve), work(ax, curve, key))
            column[0].set_title(problem)
            column[0].set_xlabel("evaluations")
            column[1].set_xlabel("ms")
            for ax in column:
                ax.set_xscale("log")
                ax.set_yscale("log")
                ax.xaxis.set_minor_formatter(NullFormatter())
        for ax in axes[:, 0]:
            ax.set_ylabel("error at the end")
        fig.legend(named.values(), named.keys(), loc="outside lower center", ncols=5, fontsize=9)
    return fig


def curve_name(curve: dict[str, Any]) -> str:
    """The library and, where it is not dopri5, the method; numpy and torch twin are both ours."""
    name = LIBRARIES[curve["package"]][0]
    method = curve["solver"].partition(" ")[2]
    return name if method in ("dopri5", "Dopri5") else f"{name}, {method.removeprefix('dopri5, ')}"


def work(ax: Axes, curve: dict[str, Any], key: str) -> Any:
    """One curve; methods of other orders, and compiled, are hollow."""
    _, colour, marker, _ = LIBRARIES[curve["package"]]
    plain = curve["solver"].endswith(("dopri5", "Dopri5", "RK45"))
    second = curve["solver"].endswith("LSODA")
    (line,) = ax.plot(
        curve[key], curve["error"], color=colour, linestyle="-" if plain else ":" if second else "--", linewidth=1.3,
        marker="x" if second else marker, markersize=4, markerfacecolor=colour if plain else "white",
    )  # fmt: skip
    return line


def growth(record: dict[str, Any]) -> Figure:
    """Bytes and time of a gradient against steps, state and parameters."""
    looks = {
        "backprop": look("backprop", points=True),
        "checkpoint": look("checkpoint", points=True),
        "adjoint": look("adjoint", points=True),
        "reversible": {"color": BLUE, "linestyle": "-.", "marker": "D"},
        "torchdiffeq backprop": {"color": RED, "linestyle": ":", "marker": "s", "markerfacecolor": "white"},
        "torchdiffeq adjoint": {"color": RED, "linestyle": ":", "marker": "o"},
    }
    with book():
        fig = Figure((10, 5.6))
        axes = fig.subplots(2, len(record["growth"]), sharex="col", squeeze=False)
        for column, each in zip(axes.T, record["growth"], strict=True):
            for name, row in each["rows"].items():
                column[0].plot(each["sizes"], [b / 1e6 for b in row["bytes"]], label=name, markersize=4, **looks[name])
                column[1].plot(each["sizes"], row["ms"], markersize=4, **looks[name])
            for ax in column:
                ax.set_xscale("log")
                ax.set_yscale("log")
            column[1].set_xlabel("size of the state" if each["axis"] == "state" else each["axis"])
        axes[0, 0].set_ylabel("MB held at most")
        axes[1, 0].set_ylabel("ms for a gradient")
        fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=9)
    return fig


def main() -> None:
    record = records.read(NAME)
    for suffix, drawn in (("", where(record)), ("_precision", precision(record)), ("_growth", growth(record))):
        save(drawn, HERE / f"{NAME}{suffix}.png")
    write(HERE.parent / "README.md", record)


if __name__ == "__main__":
    main()
