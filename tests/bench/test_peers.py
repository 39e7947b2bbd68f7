"""The table of peers: every workload once at its smallest, what a row holds, and that README says what was recorded.

No time is asserted. Of the peers only those are measured that the tests have, so that a missing one is seen as well.
"""

import importlib.util
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nodelib.common.tableaus import TABLEAUS
from nodelib.experiments import records
from tests.bench.peers import growth, measure, ours, races, scipy_peer, table
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


def test_memory_grows_with_the_steps_by_backpropagation_alone():
    found = growth.growth("steps", (5, 20), rounds=1)["rows"]
    rise = {name: row["bytes"][1] - row["bytes"][0] for name, row in found.items()}
    flat = rise["reversible"], rise["adjoint"], rise["torchdiffeq adjoint"]
    assert max(flat) <= 4 * 15  # a number for the time of each step, at most
    assert 4 * 40 * 15 <= rise["checkpoint"] < rise["backprop"] / 10  # a state of 40 numbers
    assert rise["torchdiffeq backprop"] > 10 * rise["checkpoint"]


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
    assert "torchdyn" not in table.ahead(record)  # not beyond the spread
    assert "1.10 to 1.10 times ours, their errors 0.5 to 0.5 times" in table.fairness(record)
    assert "Not installed: torchode." in table.conditions(record)


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


def test_the_record_is_of_all_the_workloads():
    record = records.read("bench")
    assert [each["name"] for each in record["workloads"]] == [each.name for each in races.workloads()]
    assert {name for name, version in record["peers"].items() if version} >= {"torchdiffeq", "scipy"}
