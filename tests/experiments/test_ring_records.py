"""What chapter 6 records of small networks: the scripts run, and what they wrote is what the parameters give."""

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nodelib.data.events import Bumps, draw
from nodelib.experiments import augment, depth_limit, enough, records, shipped, swap, verdicts
from nodelib.experiments.convergence import judge
from nodelib.experiments.enough import BUDGETS, METHODS, Case
from nodelib.experiments.poisson import score
from nodelib.experiments.rings import COUNTED, EXACT, Points, accuracy, annuli, evaluations, losses
from nodelib.experiments.verdicts import EVENT_STEPS
from nodelib.models.rings import NeuralODEs, alone
from nodelib.models.trained_flows import trained_flow
from nodelib.models.trained_poisson import END, trained_poisson
from nodelib.models.trained_rings import packed, unpacked
from nodelib.torch_ode import odeint

FIGURES = Path(__file__).parents[2] / "figures"
pytestmark = pytest.mark.usefixtures("one_thread")


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"{name}_script", FIGURES / f"{name}.py")
    module: Any = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def left() -> list[Path]:
    return sorted(path for name in ("records", "checkpoints") for path in (FIGURES / name).iterdir())


@pytest.mark.parametrize("name", ["solver_swap", "augmentation", "depth_limit", "verdicts", "rk4_enough"])
def test_a_smoke_run_goes_all_the_way_and_leaves_nothing(name):
    before = left()
    found = script(name).main(["--smoke"])
    assert left() == before
    recorded = records.read(name)
    assert set(found) <= set(recorded) | set(recorded.get("models", ()))
    if name in ("solver_swap", "augmentation"):
        for what, numbers in found.items():
            assert set(numbers) == set(recorded[what])


def test_the_parameters_come_back_from_a_file_as_they_were():
    models = {"a": NeuralODEs(range(2), augment=1), "b": NeuralODEs(range(2), 1, classify=False, time=True)}
    kinds = {"a": {"augment": 1}, "b": {"dim": 1, "classify": False, "time": True}}
    back = unpacked(packed(models), kinds)
    for name, one in models.items():
        for key, value in one.state_dict().items():
            assert torch.equal(value.float().double(), back[name].state_dict()[key])
    with pytest.raises(KeyError, match="there are a, b"):
        unpacked(packed(models), {"c": {}})


def test_the_record_of_swaps_is_what_the_parameters_give():
    record, models = records.read(swap.NAME), swap.recorded()
    for data, by, to in (("annuli", "euler 2", "euler 4"), ("circles", "rk4 4", "dopri5")):
        key, end = swap.key(data, by), swap.ENDS[data]
        found = accuracy(models[key], swap.points_of(data), swap.settings_of(to, end), end)
        assert found.tolist() == pytest.approx(record["accuracy"][key][to], abs=0.011)
    with pytest.raises(KeyError, match="there are euler 2"):
        swap.settings_of("euler 3", 1.0)


def test_the_record_of_augmentation_is_what_the_parameters_give():
    record, models = records.read(augment.NAME), augment.recorded()
    for data, more in (("x → −x", "start"), ("annuli", "1")):
        key, (x, y) = augment.key(data, more), augment.points_of(data)
        one, own = alone(models[key], 3), Points(x[3:4], y[3:4])
        assert float(losses(one, own, EXACT)) == pytest.approx(record["loss"][key][3], rel=1e-3)
        assert abs(evaluations(one, own, COUNTED)[0] - record["nfe"][key][3]) <= 6


def test_the_ode_goes_through_the_layers_weights():
    models = depth_limit.DeepResNets([0, 1], 5, "independent")
    z = annuli([0, 1], 4).x
    for k in range(5):
        weights = [w[:, k] for w in (models.W1, models.b1, models.W2, models.b2)]
        assert torch.allclose(models.field(torch.tensor((k + 0.5) / 5).double(), z), models.branch(z, *weights))
    halfway = [(w[:, 1] + w[:, 2]) / 2 for w in (models.W1, models.b1, models.W2, models.b2)]
    assert torch.allclose(models.field(torch.tensor(0.4).double(), z), models.branch(z, *halfway))
    assert not torch.equal(models.W1[:, 0], models.W1[:, 1])
    tied = depth_limit.DeepResNets([0, 1], 5, "tied")
    assert torch.equal(tied.W1[:, 0], tied.W1[:, 4])
    assert torch.equal(tied.W1[:, 0], models.W1[:, 0])
    with torch.no_grad():
        end = odeint(tied.field, z, torch.tensor([0.0, 1.0]).double(), rtol=1e-9, atol=1e-9)[-1]
        expected = (tied(z) - end).flatten(1).norm(dim=1) / (end - z).flatten(1).norm(dim=1)
    assert torch.allclose(depth_limit.apart(tied, z), expected, rtol=1e-3)
    with pytest.raises(ValueError, match="independent, tied"):
        depth_limit.DeepResNets([0], 2, "alike")


def test_tied_layers_come_nearer_to_their_ode_with_depth_and_independent_ones_do_not():
    """Before any training, already."""
    x = annuli(range(4)).x
    for init, low, high in (("tied", 3.5, 4.5), ("independent", 0.4, 2.5)):
        four, sixteen = (depth_limit.apart(depth_limit.DeepResNets(range(4), n, init), x) for n in (4, 16))
        ratio = (four / sixteen).log().mean().exp()
        assert low < ratio < high


def test_verdicts_are_those_of_the_record():
    rows = records.read(verdicts.NAME)["rows"]
    models, points, end = swap.recorded(), swap.points_of("circles"), swap.ENDS["circles"]
    for by in ("euler 8", "dopri5"):
        own = [row for row in rows if (row["model"], row["by"]) == ("circles", by)]
        found = verdicts.of_rings(models[swap.key("circles", by)], 4, points, swap.settings_of(by, end), end)
        assert found.verdict == own[4]["verdict"]
        assert found.apart == pytest.approx(own[4]["apart"], rel=1e-2)


def test_every_trained_ode_of_chapters_3_to_5_is_judged():
    """Of the files of parameters, all are judged but for those of what is no ODE, or was trained without a solver."""
    every = list(shipped.shipped())
    names = [group.name for group in every]
    assert len(set(names)) == len(names)
    series = ("latent ODE", "latent ODE, ODE-RNN encoder")
    files = [f"table2_spirals_{name.replace(',', '').replace(' ', '_')}_{k}" for name in series for k in (30, 50, 100)]
    there = {path.stem for path in (FIGURES / "checkpoints").glob("*.safetensors")}
    others = {
        name
        for name in there
        if "planar" in name  # layers
        or name.startswith(("mnist_mlp", "mnist_resnet", "table2_"))  # none, or recurrent networks
        or name.startswith(("flow_matching_independent", "flow_matching_optimal"))
        or name in ("augmentation", "solver_swap")  # chapter 6's own
    }
    assert {name for name in names if name in there} == there - others
    assert set(files) <= there
    assert sum(name.startswith("latent ODE") for name in names) == len(files)
    rows = records.read(verdicts.NAME)["rows"]
    small = [row for row in rows if row["model"] == "chapter 3: small digits"]
    assert [(row["name"], row["number"]) for row in rows if row not in small] == [
        (group.name, i) for group in every for i in range(group.models)
    ]
    assert len(small) == 9
    assert all(row["verdict"] == judge(row["fit"], row["solved"], row["apart"]) for row in rows)


ROWS = [
    ("fig4_gated_gated_2", 4),
    ("bridge_8", 9),
    ("latent ODE, ODE-RNN encoder, 100", 6),
    ("fig7_one_20", 3),
    ("fig7_past_0.1", 2),
    ("fig7_half_0", 0),
]


@pytest.mark.parametrize(("name", "number"), ROWS)
def test_a_row_is_what_the_parameters_give(name, number):
    group = next(group for group in shipped.shipped() if group.name == name)
    row = next(r for r in records.read(verdicts.NAME)["rows"] if (r["name"], r["number"]) == (name, number))
    found = group.row(number)
    for key, value in row.items():
        assert found[key] == (pytest.approx(value, rel=1e-2, abs=1e-6) if isinstance(value, float) else value)


def test_the_sharp_fields_were_trained_too_coarsely_for_them():
    """At the tolerance that chapter 4 measures with, three that are discrete at the training's are as they are."""
    model = trained_flow("fig4_gated_gated_32")
    coarse, fine = (verdicts.of_matching(model, 2, tol, 500) for tol in (1e-3, 1e-5))
    assert coarse.verdict == "discrete"
    assert fine.verdict == "ODE"
    assert fine.apart < 0.01 < 0.2 < coarse.apart


def test_of_events_the_score_is_the_models_own():
    """Nats per event as chapter 5 scores them, with the training's steps and from the mean of q."""
    model = trained_poisson("fig7_one_100")
    model.process.knots = torch.linspace(0, END, EVENT_STEPS + 1, dtype=torch.float64)
    events = draw(Bumps(end=END), 100, torch.Generator().manual_seed(4))
    with torch.no_grad():
        own = score(model, events, END)[2]
    assert verdicts.of_intensity(model, 2, 100).fit == pytest.approx(float(own), abs=1e-3)


def test_within_measures_against_the_longest_way():
    """z' = i z over three quarters of a turn: the ends are √2 from the start, and the way goes out to 2."""
    turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]]).double()
    start = torch.tensor([[1.0, 0.0]]).double()
    found = enough.within(Case(lambda t, z: z @ turn, start, (0.0, 1.5 * math.pi), lambda z: 0.25), (4, 16, 64))
    step = 1.5 * math.pi / 4
    end = (1 + 1j * step) ** 4
    assert found.apart[0, 0] == pytest.approx(abs(end - np.exp(1.5j * math.pi)) / 2, rel=1e-2)
    assert np.nanmax(found.nfe / np.array([4, 16, 64])) <= 1
    assert found.nfe[:3].tolist() == [[4, 16, 64]] * 3
    assert math.isnan(found.apart[3, 0])
    assert found.nfe[3, 2] > 50
    rk4, dopri5 = found.apart[METHODS.index("rk4")], found.apart[METHODS.index("dopri5")]
    assert 100 < rk4[1] / rk4[2] < 500  # order 4
    assert dopri5[2] < 0.01
    assert found.right[0].tolist() == [0.25] * 3


def test_what_is_recorded_of_rk4_is_what_it_gives():
    found = enough.within(next(iter(enough.rings(1))))
    recorded = records.read(enough.NAME)["models"]["rings, one dimension more"]["apart"][0]
    for i in range(3):
        assert found.apart[i] == pytest.approx(recorded[i], rel=1e-3)
    assert len(recorded[0]) == len(BUDGETS)
