"""The table of peers: every workload once at its smallest, what a row holds, and that README says what was recorded.

No time is asserted. Of the peers only those are measured that the tests have, so that a missing one is seen as well.
"""

import importlib.util
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nodelib import numpy_ode, torch_ode
from nodelib.common.tableaus import TABLEAUS
from nodelib.experiments import records
from tests.bench.peers import growth, measure, ours, precision, races, scipy_peer, table
from tests.bench.peers.measure import Case, Limits, Outcome, compete, in_turn
from tests.bench.peers.workloads import PROBLEMS, DemoTask, end_of

ROOT = Path(__file__).parents[2]
MISSING = {"torchode", "torchdyn", "diffrax", "jax"}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def figures() -> Any:
    """figures/bench.py as a module."""
    spec = importlib.util.spec_from_file_location("figures_bench", ROOT / "figures" / "bench.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def smoke() -> Iterator[dict[str, Any]]:
    """The whole record at its smallest, without the peers that only the extra ``bench`` has, and without compiling."""
    version = metadata.version

    def without(package: str) -> str:
        if package in MISSING:
            raise metadata.PackageNotFoundError(package)
        return version(package)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "version", without)
        patch.setattr(ours, "COMPILED", False)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        record = import_module("tests.bench.peers.__main__").measure(smoke=True)
        torch.set_num_threads(threads)
        made = {"device": "a machine", "date": "2026-01-01"}
        yield record | {"cores": "one thread, one core", "provenance": made}


def rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for each in record["workloads"] for row in each["rows"]]


def test_every_workload_has_its_rows(smoke):
    assert len(smoke["workloads"]) == len(races.workloads(smoke=True)) == 12
    for row in rows(smoke):
        if row["package"] in MISSING:
            assert row["status"] == "not installed"
            assert "ratio" not in row
        else:
            assert row["status"] == "measured"
            assert row["nfe"] > 10
            assert min(row["ratio"]) > 0
            assert row["rounds"] == 1
            assert (row["ratio"] == [1, 1, 1]) == (row["solver"] == row["against"])
    assert {row["package"] for row in rows(smoke)} == {"nodelib", "torchdiffeq", "scipy"} | MISSING - {"jax"}
    assert smoke["peers"]["torchdiffeq"] == "0.2.5"
    assert smoke["peers"]["diffrax"] is None


def test_each_row_is_held_against_one_of_ours_that_is_there(smoke):
    for each in smoke["workloads"]:
        mine = {row["solver"] for row in each["rows"] if row["package"] == "nodelib"}
        assert {row["against"] for row in each["rows"]} <= mine


def test_every_solver_found_the_solution(smoke):
    """All but the adjoint's gradients: it solves backwards what has contracted."""
    for each in smoke["workloads"]:
        for row in each["rows"]:
            if row["status"] == "measured" and not row["solver"].endswith("adjoint"):
                assert (row["error"] is None) == (each["name"] == "ODE-Net, iteration")
                assert row["error"] is None or row["error"] < 0.05, row


def test_tolerances_mean_the_same():
    """torchdiffeq's estimate is 2/3 of Dormand and Prince's, weight by weight."""
    theirs = import_module("torchdiffeq._impl.dopri5")._DORMAND_PRINCE_SHAMPINE_TABLEAU.c_error
    mine = np.array(TABLEAUS["dopri5"].b_err, dtype=float)
    np.testing.assert_allclose(np.abs(theirs.numpy()) * ours.LOOSER, np.abs(mine), rtol=1e-6)


def test_each_is_handed_to_its_own_solver_at_the_tolerance_that_means_the_same(monkeypatch):
    """A solver that is called says which it is, and stops: its side, its way to the gradient, and rtol."""

    class Called(Exception):
        pass

    def stops(side: str, way: str) -> Any:
        def solver(*_: Any, rtol: float, **__: Any) -> Any:
            raise Called(side, way, rtol)

        return solver

    names = {"backprop": "odeint", "checkpoint": "odeint_checkpoint", "adjoint": "odeint_adjoint"}
    theirs = import_module("torchdiffeq")
    for way, name in names.items():
        monkeypatch.setitem(ours.WAYS, way, stops("nodelib", way))
        monkeypatch.setattr(torch_ode, name, stops("nodelib", way))
        monkeypatch.setattr(theirs, name, stops("torchdiffeq", way), raising=False)
    monkeypatch.setattr(numpy_ode, "solve", stops("nodelib", "numpy"))
    monkeypatch.setattr(scipy_peer, "solve_ivp", stops("scipy", "numpy"))
    monkeypatch.setattr(ours, "COMPILED", False)
    for each in races.workloads(smoke=True):
        cases = each.cases()
        tols = {case.solver: case.tol for case in cases}
        for case in cases:
            like_ours = case.package in ("nodelib", "scipy") or case.solver.endswith("Dopri8")
            looser = 1 if like_ours else ours.LOOSER
            assert case.tol * looser == pytest.approx(tols[case.against]), case
            kind = case.solver.split()[1].partition(",")[0]
            if case.package not in MISSING:
                way = "numpy" if "numpy dopri5" in tols else kind if kind in names else "backprop"
                with pytest.raises(Called) as called:
                    case.make()()
                assert called.value.args == (case.package, way, pytest.approx(case.tol)), case
            if case.package == "torchode":
                assert case.against.endswith(", per sample")
            elif kind in names:
                assert case.against == f"torch {kind}"
            elif case.solver != "torch dopri5, per sample":
                twin = {"diffrax Recursive": "torch checkpoint", "diffrax Backsolve": "torch adjoint"}
                gradient = next((mine for start, mine in twin.items() if case.solver.startswith(start)), None)
                first = next(iter(tols))  # numpy or torch dopri5, or backpropagation
                assert case.against == (gradient or first), case


@pytest.mark.parametrize("name", PROBLEMS)
def test_evaluations_are_those_that_the_field_sees(name, monkeypatch):
    seen = [0]
    problem = PROBLEMS[name]

    def counting(array: Any) -> Any:
        func = problem.field(array)

        def counted(t: Any, y: Any) -> Any:
            seen[0] += 1
            return func(t, y)

        return counted

    monkeypatch.setitem(PROBLEMS, name, problem._replace(field=counting))
    runs = [ours.numpy_solve(name, "dopri5", 1e-5), *(scipy_peer.solve(name, m, 1e-5) for m in ("RK45", "LSODA"))]
    for run in runs:
        seen[0] = 0
        assert run().nfe == seen[0] > 100


def test_the_orbit_of_the_three_bodies_closes():
    """The reference is 1e-9 off after a turn, where the solvers at 1e-9 are 1e-6."""
    assert np.linalg.norm(end_of("three bodies") - PROBLEMS["three bodies"].y0) < 1e-8


def test_the_gradient_that_is_compared_with_is_that_of_finite_differences():
    task = DemoTask(10, torch.float64)  # as in the record, for which its gradient is there
    func, y0, t = task.network(), task.start(), task.times()
    step = 1e-5 * torch.randn(len(torch.nn.utils.parameters_to_vector(func.parameters())), dtype=torch.float64)
    losses = []
    for sign in (1, -1):
        moved = task.network()
        vector = torch.nn.utils.parameters_to_vector(moved.parameters()).detach()
        torch.nn.utils.vector_to_parameters(vector + sign * step, moved.parameters())
        with torch.no_grad():
            losses.append(float(task.loss(ours.WAYS["backprop"](moved, y0, t, rtol=1e-9, atol=1e-9))))
    along = float(torch.from_numpy(DemoTask(10).gradient()) @ step)
    assert losses[0] - losses[1] == pytest.approx(2 * along, rel=1e-3)


def case(solver: str, package: str = "nodelib", y: Any = 1.0) -> Case:
    return Case(solver, package, lambda: lambda: Outcome(7, y), "ours", 1e-3)


def test_a_peer_that_is_not_there_or_fails_is_a_row_that_says_so():
    def fails() -> Any:
        raise TypeError("no such argument\nsecond line")

    cases = [case("ours"), case("other", "no-such-package"), case("broken", "scipy")._replace(make=fails)]
    found = compete(cases, 1.0, Limits(0, 1, 1, 0))
    assert [row["status"] for row in found] == ["measured", "not installed", "failed: TypeError: no such argument"]
    assert found[0]["ratio"] == [1, 1, 1]
    with pytest.raises(TypeError, match="no such argument"):
        compete([cases[2]._replace(package="nodelib")], 1.0, Limits(0, 1, 1, 0))


def test_the_error_is_relative_to_the_reference():
    found = compete([case("ours", y=torch.tensor([3.0, 5.0]))], np.array([3.0, 4.0]), Limits(0, 1, 1, 0))
    assert found[0]["error"] == pytest.approx(0.2)


def test_ratios_are_of_times_of_the_same_round_and_upside_up(monkeypatch):
    """The peer takes 2, 2.1 … 3 times as long by the processor, 7 times by the clock, in rounds that differ."""
    mine = np.array([1.0, 8, 1, 8, 1, 8, 1, 8, 1, 8, 1])
    cpu = np.stack([mine, mine * np.linspace(2, 3, 11)], 1)
    monkeypatch.setattr(measure, "in_turn", lambda runs, limits: (cpu, np.stack([10 * mine, 70 * mine], 1)))
    cases = [case("ours"), case("other", "scipy")._replace(make=lambda: lambda: Outcome(7, 1.0, 60.0))]
    own, other = compete(cases, 1.0, Limits(0, 1, 1, 0))
    assert own["ratio"] == [1, 1, 1]
    assert other["ratio"] == pytest.approx([2.5, 2.1, 2.9])
    assert (own["cpu_ms"], own["wall_ms"], own["rounds"]) == (1e3, 1e4, 11)
    assert (other["wall_ms"], other["nfe"], other["tol"]) == (7e4, 7, 1e-3)
    assert other["first_s"] == 60  # compiled for another row
    assert compete(cases, 1.0, Limits(0, 1, 1, 0), "cuda")[1]["ratio"] == pytest.approx([7, 7, 7])


def test_the_clocks_are_not_exchanged_and_the_time_allowed_begins_after_warming_up(monkeypatch):
    now = {"cpu": 0.0, "wall": 0.0}

    def run(cpu: float, wall: float) -> measure.Run:
        def once() -> Outcome:
            now["cpu"], now["wall"] = now["cpu"] + cpu, now["wall"] + wall
            return Outcome(0, None)

        return once

    clocks = SimpleNamespace(process_time=lambda: now["cpu"], perf_counter=lambda: now["wall"])
    for module in (measure, precision):
        monkeypatch.setattr(module, "time", clocks)
    cpu, wall = in_turn([run(1, 2), run(3, 5)], Limits(40, 100))
    assert (cpu == [1, 3]).all()
    assert (wall == [2, 5]).all()
    assert len(cpu) == 6  # 7 s a round: the sixth is the first to end after 40 s
    assert precision.times_of(run(3, 5), 0.0) == precision.times_of(run(3, 5), 20.0) == 3e3


def test_all_take_turns_and_warm_up_first():
    order: list[str] = []

    def run(name: str) -> measure.Run:
        return lambda: (order.append(name), Outcome(0, None))[1]

    cpu, wall = in_turn([run(name) for name in "abc"], Limits(60, 6))
    assert cpu.shape == wall.shape == (6, 3)
    rounds = ["".join(order[i : i + 3]) for i in range(0, len(order), 3)]
    assert len(rounds) == 8
    assert {each[0] for each in rounds[2:]} == set("abc")
    assert all(sorted(each) == list("abc") for each in rounds)
    in_turn([run("d")], Limits(0, 100))
    assert order.count("d") == 5  # two to warm up, and three whatever the time


def test_memory_grows_with_the_steps_by_backpropagation_alone(monkeypatch):
    monkeypatch.setattr(growth, "seconds", lambda jobs, rounds: [0.5] * len(jobs))
    found = growth.growth("steps", (5, 20), rounds=1)["rows"]
    rise = {name: row["bytes"][1] - row["bytes"][0] for name, row in found.items()}
    flat = rise["reversible"], rise["adjoint"], rise["torchdiffeq adjoint"]
    assert max(flat) <= 4 * 15  # a number for the time of each step, at most
    assert 4 * 40 * 15 <= rise["checkpoint"] < rise["backprop"] / 10  # a state of 40 numbers
    assert rise["torchdiffeq backprop"] > 10 * rise["checkpoint"]
    assert all(row["ms"] == [500, 500] for row in found.values())


def made_up(**ratios: tuple[float, float, float]) -> dict[str, Any]:
    """A record of one workload, with these peers of dopri5."""
    every: dict[str, Any] = {"solver": "torch dopri5", "package": "nodelib", "against": "torch dopri5"}
    every |= {"status": "measured", "nfe": 100, "error": 1e-3, "cpu_ms": 12.34, "first_s": 5.0}
    others = [
        every | {"solver": f"{name} dopri5", "package": name, "ratio": list(ratio), "nfe": 110, "error": 5e-4}
        for name, ratio in ratios.items()
    ]
    others.append({"solver": "torchode Dopri5", "package": "torchode", "against": "torch dopri5"})
    others[-1]["status"] = "not installed"
    made = {"device": "a machine", "date": "2026-01-01"}
    work = [{"name": "work", "what": "", "rows": [every | {"ratio": [1.0, 1.0, 1.0]}, *others]}]
    return {"workloads": work, "peers": {"torchode": None, "scipy": "1"}, "cores": "one core", "provenance": made}


def test_the_table_says_who_is_ahead_and_who_is_missing():
    record = made_up(torchdiffeq=(2.0, 1.5, 2.5), diffrax=(0.05, 0.04, 0.06), torchdyn=(0.9, 0.8, 1.1))
    made = table.table(record)
    assert made.header == ("", "eager, ms", "NFE", "torchdiffeq", "torchode ¹", "torchdyn", "diffrax")
    peers = ("2 (1.5–2.5)", "not installed", "0.9 (0.8–1.1)", "**0.05** (0.04–0.06)")
    assert made.rows == [("work", "12.3", "100", *peers)]
    assert "diffrax in 1 of its 1 rows, in 0.05 of our time" in table.ahead(record)
    assert "which takes 5.0 to 5 s first" in table.ahead(record)
    assert "torchdyn" not in table.ahead(record)  # not beyond the spread
    assert "1.10 to 1.10 times ours, their errors 0.5 to 0.5 times" in table.fairness(record)
    assert "Not installed: torchode." in table.conditions(record)


def test_a_row_per_sample_is_held_against_ours_per_sample_and_one_of_ours_alone_is_no_line():
    record = made_up(torchdiffeq=(2.0, 1.5, 2.5))
    rows = record["workloads"][0]["rows"]
    rows.append(rows[0] | {"solver": "torch checkpoint", "against": "torch checkpoint"})
    rows.append(rows[0] | {"solver": "torch dopri5, per sample", "nfe": 220})
    rows[-3] |= {"against": "torch dopri5, per sample", "status": "measured", "nfe": 242, "error": 1e-3}
    rows[-3] |= {"ratio": [0.5, 0.4, 0.6], "first_s": 1.0}
    assert [line.mine for line in table.lines(record)] == ["torch dopri5"]
    assert "1.10 to 1.10 times ours" in table.fairness(record)
    assert "torchode in 1 of its 1 rows, in 0.5 of our time" in table.ahead(record)


def test_methods_of_other_kinds_are_told_beside_their_like():
    record = made_up(torchdiffeq=(2.0, 1.5, 2.5))
    times = {"numpy dopri5": 10, "numpy dopri8": 20, "SciPy DOP853": 40, "SciPy LSODA": 5, "diffrax Dopri8": 1}
    status = {"status": "measured", "package": "", "against": "numpy dopri5"}
    record["workloads"][0]["rows"] += [{"solver": name, "cpu_ms": ms, **status} for name, ms in times.items()]
    said = "SciPy DOP853 takes 2 of our dopri8's time; diffrax Dopri8 takes 0.05 of our dopri8's time"
    assert table.others(record) == f"Other methods, in the figure: {said}; SciPy LSODA takes 0.5 of our dopri5's time."
    assert table.others(made_up()) == ""


def test_compiled_solves_are_held_against_diffrax():
    record = made_up(diffrax=(0.05, 0.04, 0.06))
    assert table.beside_diffrax(record) == ""  # where nothing was compiled
    rows = record["workloads"][0]["rows"]
    rows.append(rows[0] | {"solver": "torch dopri5, compiled", "ratio": [0.1, 0.1, 0.1]})
    assert table.beside_diffrax(record).endswith("as long as diffrax: 2.0 in work.")
    assert table.table(record).header[3] == "compiled"
    assert "1.10 to 1.10 times ours" in table.fairness(record)  # the peers' alone


def test_the_readme_is_written_between_its_marks_and_nowhere_else(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n\n{table.BEGIN}\nold\n{table.END}\n\nafter\n", encoding="utf-8")
    record = made_up(diffrax=(0.05, 0.04, 0.06))
    table.write(path, record)
    table.write(path, record)
    before, between, after = table.split(path.read_text(encoding="utf-8"))
    assert (before, after) == (f"before\n\n{table.BEGIN}", f"{table.END}\n\nafter\n")
    assert between == table.markdown(record)
    with pytest.raises(ValueError, match="marks"):
        table.split("no marks")


def test_the_readme_has_the_table_of_the_record():
    _, between, _ = table.split((ROOT / "README.md").read_text(encoding="utf-8"))
    assert between == table.markdown(records.read("bench"))


def test_the_figures_are_drawn_from_a_record(figures, smoke):
    drawn = figures.where(smoke)
    labels = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    assert labels == [table.title(line) for line in table.lines(smoke)]
    assert "torchdiffeq" in [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]
    assert [ax.get_title(loc="left") for ax in figures.precision(smoke).axes[:4]] == [*PROBLEMS, "ode_demo"]
    lines = figures.growth(smoke).axes[0].get_lines()
    assert [line.get_label() for line in lines] == list(growth.ways())


def test_the_figures_have_the_numbers_of_the_record(figures):
    """Each ratio of the first line, with its percentiles; evaluations above and times below; megabytes."""
    record = records.read("bench")
    drawn = figures.where(record).axes[0].get_lines()
    points = {(line.get_xdata()[0], line.get_ydata()[0]) for line in drawn if line.get_marker() == "P"}
    bars = {tuple(line.get_xdata()) for line in drawn if len(line.get_xdata()) == 2}
    for i, line in enumerate(table.lines(record)[:8]):  # the numpy twin's, each with SciPy's of the same order
        (scipy,) = (row for column, row in table.cells(record, line) if column == "scipy")
        assert scipy["ratio"][0] in [x for x, y in points if round(y) == i]
        assert tuple(scipy["ratio"][1:]) in bars
    axes = figures.precision(record).axes
    first = record["precision"][0]
    for ax, key in ((axes[0], "nfe"), (axes[len(axes) // 2], "ms")):
        assert list(ax.get_lines()[0].get_xdata()) == first[key]
        assert list(ax.get_lines()[0].get_ydata()) == first["error"]
    for above, below, each in zip(*np.reshape(figures.growth(record).axes, (2, -1)), record["growth"], strict=True):
        for row, upper, lower in zip(each["rows"].values(), above.get_lines(), below.get_lines(), strict=True):
            assert list(upper.get_ydata()) == [b / 1e6 for b in row["bytes"]]
            assert list(lower.get_ydata()) == row["ms"]


def test_the_record_is_of_all_the_workloads():
    record = records.read("bench")
    assert [each["name"] for each in record["workloads"]] == [each.name for each in races.workloads()]
    assert {name for name, version in record["peers"].items() if version} >= {"torchdiffeq", "scipy"}
