"""A step taken apart: its operations are counted exactly, its pieces are those of the solver. No time is asserted."""

import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchdiffeq
from matplotlib.patches import Rectangle

from nodelib import torch_ode
from nodelib.experiments import records
from tests.bench import anatomy, readme
from tests.bench.anatomy import (
    BATCHES,
    FEW,
    MANY,
    NAME,
    PIECES,
    Decay,
    Demo,
    Operations,
    case,
    operations,
    operations_of_func,
    per_call,
    pieces,
    repeated,
    solve,
)


@pytest.fixture(scope="module")
def drawing() -> Any:
    """figures/step_anatomy.py as a module."""
    path = records.ROOT / "figures" / "step_anatomy.py"
    spec = importlib.util.spec_from_file_location("figures_step_anatomy", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_step_hands_torch_as_many_operations_as_the_readme_says():
    """A power, two products with their biases and a tanh come from func itself: 4 of them, six times a step."""
    assert operations_of_func() == 4
    assert operations(torch_ode.odeint) == 46
    assert operations(torchdiffeq.odeint) == 182
    recorded = records.read(NAME)["operations"]
    assert (recorded["ours"], recorded["torchdiffeq"], recorded["func"]) == (46, 182, 4)
    text = readme.prose()
    assert "Of the 46 operations that it hands to torch, 24 are func's own, in six evaluations" in text
    assert "torchdiffeq's step hands it 182." in text


def test_views_are_no_operations():
    x = torch.ones(4)
    with Operations() as seen:
        (x.view(2, 2).t() + 1).reshape(-1)[0].detach()
    assert seen.count == 1 + 1  # the sum, and the copy that reshaping a transposed tensor needs


@pytest.mark.parametrize("steps", [FEW, MANY])
def test_both_solvers_take_the_steps_they_are_asked_for(steps):
    for odeint in (torch_ode.odeint, torchdiffeq.odeint):
        func, y0 = case(3)
        func.nfe = 0
        solve(odeint, func, y0, steps)()
        assert func.nfe - 6 * steps in (1, 2)  # and the first slope, for torchdiffeq twice


def test_each_piece_is_what_it_is_called():
    """By its operations: all of the step's 46 but one, the last slope that becomes the first."""
    func, y0 = case(20)
    found = pieces(func, y0)
    func.nfe, counts = 0, {}
    for name, piece in found.items():
        with Operations() as seen, torch.no_grad():
            piece()
        counts[name] = seen.count
        assert func.nfe == 6  # those of the evaluations, which come first
    assert counts == {"evaluations": 6 * 4, "around func": 6, "stages": 8, "error": 7}


def test_a_call_is_repeated_without_a_gradient():
    seen: list[bool] = []
    repeated(lambda: seen.append(torch.is_grad_enabled()), 3)()
    assert seen == 3 * [False]


def test_the_pieces_and_the_rest_are_the_step(monkeypatch):
    once, slopes = 7.0, {"evaluations": 1.0, "around func": 2.0, "stages": 3.0, "error": 4.0, "ours": 12.0}
    slopes |= {"torchdiffeq": 30.0, "compiled": 9.0, "loop": 5.0}
    solves = {}

    def pretended(calls, seconds):
        for name, call in calls.items():
            solves[name] = call()
        return {name: once + slopes[name.rpartition(" ")[0]] * int(name.rpartition(" ")[2]) for name in calls}

    def asked(odeint, func, y0, steps, **options):
        return lambda: (odeint, type(func), steps, options)

    monkeypatch.setattr(anatomy, "per_call", pretended)
    monkeypatch.setattr(anatomy, "solve", asked)
    row = anatomy.step(3)
    assert (row["batch"], row["entries"]) == (3, 6)
    assert row["step"] == {"ours": 12.0, "torchdiffeq": 30.0, "compiled": 9.0, "loop": 5.0}
    assert row["once"] == {"ours": once, "torchdiffeq": once, "compiled": once}
    assert row["pieces"] == dict(zip(PIECES, [1.0, 2.0, 3.0, 4.0, 12.0 - 10.0], strict=True))
    for steps in (FEW, MANY):
        assert solves[f"ours {steps}"] == (torch_ode.odeint, Demo, steps, {})
        assert solves[f"torchdiffeq {steps}"] == (torchdiffeq.odeint, Demo, steps, {})
        assert solves[f"compiled {steps}"] == (torch_ode.odeint, Demo, steps, {"compile": True})
        assert solves[f"loop {steps}"] == (torch_ode.odeint, Decay, steps, {"compile": True})
    solves.clear()
    assert set(anatomy.step(3, compiled=False)["step"]) == {"ours", "torchdiffeq"}
    assert not {name for name in solves if name.startswith(("compiled", "loop"))}


def test_calls_take_turns():
    order: list[str] = []
    found = per_call({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 0.0)
    assert "".join(order) == 6 * "ab"
    assert set(found) == {"a", "b"}


def test_the_first_round_counts_neither_for_the_median_nor_for_the_time_spent(monkeypatch):
    """The processor's clock is moved by the calls: by 100 s at first, then by 1, 2, 3 …"""
    now, calls = [0.0], [0]

    def call():
        now[0] += calls[0] or 100
        calls[0] += 1

    monkeypatch.setattr(anatomy, "time", SimpleNamespace(thread_time=lambda: now[0]))
    assert per_call({"a": call}, 20.0) == {"a": 3.5}
    assert calls[0] == 1 + 6  # 1 to 6 make 21


def test_the_bars_are_the_pieces_in_milliseconds(drawing):
    parts = dict(zip(PIECES, [1.0, 2.0, 3.0, 4.0, 2.0], strict=True))
    step = {"ours": 12.0, "torchdiffeq": 30.0, "compiled": 9.0, "loop": 5.0}
    row = {"batch": 1_000, "step": step, "pieces": parts}
    found = drawing.bars(row)
    assert list(found) == ["torchdiffeq", "ours", "compiled"]
    assert found["torchdiffeq"] == {"evaluations": 1e3, "control": 29e3}
    assert found["ours"] == {name: 1e3 * seconds for name, seconds in parts.items()}
    assert found["compiled"] == {"evaluations": 4e3, "control": 5e3}
    assert list(drawing.bars({**row, "step": {"ours": 12.0, "torchdiffeq": 30.0}})) == ["torchdiffeq", "ours"]


def test_the_figure_has_each_step_of_the_record(drawing):
    """Each bar is as long as its step, made of pieces that touch, and says how long."""
    record = records.read(NAME)
    panels = drawing.figure(record).axes
    for ax, row in zip(panels, record["rows"], strict=True):
        assert ax.get_title(loc="left") == f"{row['batch']:,} states of 2 entries"
        names = [label.get_text() for label in ax.get_yticklabels()]
        assert names == ["torchdiffeq", "ours", "compiled"]
        for i, name in enumerate(names):
            bars = [p for p in ax.patches if isinstance(p, Rectangle) and p.get_width()]
            bars = [p for p in bars if round(p.get_center()[1]) == i]
            starts, ends = [p.get_x() for p in bars], [p.get_x() + p.get_width() for p in bars]
            assert starts == pytest.approx([0, *ends[:-1]])
            assert ends[-1] == pytest.approx(1e3 * row["step"][name], rel=1e-4)
            assert ax.texts[i].get_text() == f" {ends[-1]:.3g}"
    assert [row["batch"] for row in record["rows"]] == list(BATCHES)
    labels = [text.get_text() for text in drawing.figure(record).legends[0].get_texts()]
    assert labels == [drawing.WORDS[name] for name in PIECES]


def test_the_readme_says_what_was_recorded():
    record, text = records.read(NAME), readme.prose()
    assert f"on a small network, without a gradient ({readme.made(record)})" in text
    large = record["rows"][-1]
    func, theirs, ours = large["pieces"]["evaluations"], large["step"]["torchdiffeq"], large["step"]["ours"]
    said = f"func has {1e3 * func:.0f} of torchdiffeq's {1e3 * theirs:.0f} ms and of our {1e3 * ours:.0f};"
    assert f"Where it is large, {said}" in text
