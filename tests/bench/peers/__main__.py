"""Every peer in one table: `python run.py bench`, some ten minutes on one core.

    python run.py bench                    all of it; writes figures/records/bench.json, figures, README's table
    python run.py bench --only ode_demo    the workloads whose names have this in them; prints, and writes nothing
    python run.py bench --pairs 5          at most so many rounds of each workload
    python run.py bench --device cuda      what can run on a GPU; prints, and writes nothing
    python run.py bench --smoke            all of it at its smallest; prints, and writes nothing
    python run.py bench --targets          the races of tests/bench against their targets instead

The rules. One process on one core, one thread, XLA's too. All solvers of a workload take turns, and two rounds warm up
before any counts; what is compiled is compiled in the first run, which is told apart. Same weights, same dtype, same
outputs. Tolerances mean the same: the error estimate of dopri5 in torchdiffeq, torchode, torchdyn and diffrax is 2/3 of
Dormand and Prince's, which ours and SciPy's are, so theirs are asked for 2/3 of the tolerance. Beside each time stand
the evaluations and the error against a reference (SciPy's at 1e-13 for the small problems, our own in double precision
at a tighter tolerance for networks): who is faster because it does less shows there.
"""

import argparse
import runpy
import sys
import time
from typing import Any

from nodelib.experiments import records
from tests.bench.peers.measure import PACKAGES, Limits, compete, one_core, version

NAME, SECONDS, ROUNDS = "bench", 6.0, 200
SMALLEST = Limits(0.0, 1, 1, 0)


def measure(only: str = "", limits: Limits = SMALLEST, device: str = "cpu", smoke: bool = False) -> dict[str, Any]:
    """All that goes into the record; a line is printed for each row."""
    from tests.bench.peers.growth import AXES, growth
    from tests.bench.peers.precision import diagrams
    from tests.bench.peers.races import workloads

    record: dict[str, Any] = {"peers": {name: version(name) for name in PACKAGES}, "workloads": [], "parts_s": {}}
    begun = time.perf_counter()

    def done(part: str) -> None:
        nonlocal begun
        record["parts_s"][part] = time.perf_counter() - begun
        print(f"{part}: {record['parts_s'][part]:.0f} s", flush=True)
        begun = time.perf_counter()

    for each in workloads(device, smoke):
        if only in each.name:
            allowed = limits._replace(seconds=limits.seconds * each.part)
            rows = compete(each.cases(), each.reference(), allowed, device)
            record["workloads"].append({"name": each.name, "what": each.what, "rows": rows})
            print(*map(told, rows), sep="\n")
            done(each.name)
    if only in "precision" and device == "cpu":
        record["precision"] = diagrams(smoke=smoke)
        done("precision")
    if only in "growth":
        record["growth"] = []
        for axis, sizes in AXES.items():
            record["growth"].append(growth(axis, sizes[:1] if smoke else sizes, 1 if smoke else 3, device))
            done(f"growth, {axis}")
    return record


def told(row: dict[str, Any]) -> str:
    """A row of a workload in one line."""
    if row["status"] != "measured":
        return f"  {row['solver']:36} {row['status']}"
    middle, tenth, ninth = row["ratio"]
    error = "" if row["error"] is None else f"error {row['error']:.1e}"
    times = f"{row['cpu_ms']:10.3f} ms  {middle:8.3f} ({tenth:.3f} to {ninth:.3f}) × {row['against']}"
    return f"  {row['solver']:36} {times}  NFE {row['nfe']}  {error}  first {row['first_s']:.1f} s"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="the workloads with this in their names")
    parser.add_argument("--pairs", type=int, default=ROUNDS, help="rounds of each workload, at most")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--smoke", action="store_true", help="everything at its smallest")
    a = parser.parse_args(arguments)
    cores = one_core()
    begun = time.perf_counter()
    limits = SMALLEST if a.smoke else Limits(SECONDS, a.pairs)
    record = measure(a.only, limits, a.device, a.smoke) | {"cores": cores, "seconds": limits.seconds}
    if not (a.only or a.smoke or a.device != "cpu"):
        records.write(NAME, record, time.perf_counter() - begun, records.describe_device(a.device))
        runpy.run_path(str(records.ROOT / "figures" / "bench.py"), run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
