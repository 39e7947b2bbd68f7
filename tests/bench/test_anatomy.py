"""A step taken apart: its operations are counted exactly, its pieces are those of the solver. No time is asserted."""

import pytest
import torch
import torchdiffeq

from nodelib import torch_ode
from tests.bench import anatomy
from tests.bench.anatomy import FEW, MANY, PIECES, Operations, case, operations, operations_of_func, per_call, solve


def test_a_step_hands_torch_as_many_operations_as_the_readme_says():
    """Two matrix products, two biases and powers come from func itself: 5 of them, six times a step."""
    assert operations_of_func() == 5
    assert operations(torch_ode.odeint) == 46
    assert operations(torchdiffeq.odeint) == 182


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


def test_the_pieces_and_the_rest_are_the_step(monkeypatch):
    once, slopes = 7.0, {"evaluations": 1.0, "around func": 2.0, "stages": 3.0, "error": 4.0, "ours": 12.0}
    slopes["torchdiffeq"] = 30.0

    def pretended(calls, seconds):
        for call in calls.values():
            call()
        return {name: once + slopes[name.rpartition(" ")[0]] * int(name.rpartition(" ")[2]) for name in calls}

    monkeypatch.setattr(anatomy, "per_call", pretended)
    row = anatomy.step(3, compiled=False)
    assert row["step"] == {"ours": 12.0, "torchdiffeq": 30.0}
    assert row["once"] == {"ours": once, "torchdiffeq": once}
    assert row["pieces"] == dict(zip(PIECES, [1.0, 2.0, 3.0, 4.0, 12.0 - 10.0], strict=True))


def test_calls_take_turns_and_the_first_round_does_not_count():
    order: list[str] = []
    found = per_call({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 0.0)
    assert "".join(order) == 6 * "ab"
    assert set(found) == {"a", "b"}
