"""Training: resumed runs end where uninterrupted ones do, two processes train as one, states are whole, losses fall.

``python -m tests.experiments.test_training FOLDER`` is the second of two processes; the tests themselves are the first.
"""

import json
import subprocess
import sys
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from nodelib.data.digits import digits
from nodelib.data.images import Images
from nodelib.experiments import training
from nodelib.experiments.training import Log, Settings, batches, error, one_cycle, train
from nodelib.models.odenet import ODENet
from nodelib.models.resnet import ResNet

ROOT = Path(__file__).parents[2]
SHORT = Settings(epochs=2, batch=32, lr=0.05, crop=1, logs=2)
RK4 = {"gradient": "checkpoint", "method": "rk4", "options": {"step_size": 1.0}}

pytestmark = pytest.mark.usefixtures("one_thread")


def some(n: int = 128, dtype: torch.dtype = torch.float32) -> tuple[Images, Images]:
    """n digits to train on and 50 to test on."""
    (x, y), test = digits()
    return Images(x[:n].to(dtype), y[:n]), Images(test.x[:50].to(dtype), test.y[:50])


def resnet(seed: int = 0, **settings: Any) -> ResNet:
    torch.manual_seed(seed)
    return ResNet(**{"blocks": 1, "channels": 4, "stem_kind": "small"} | settings)


def odenet(seed: int = 0, **settings: Any) -> ODENet:
    torch.manual_seed(seed)
    return ODENet(**{"channels": 4, "stem_kind": "small"} | settings)


def run(model: nn.Module, settings: Settings = SHORT, state: Path | None = None) -> Log:
    return train(model, *some(), settings, state, progress=False)


# --- resuming ---------------------------------------------------------------------------------------------------------


class Interrupted(Exception):
    """As if the machine had been switched off."""


def interrupt(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """Stop the training in its iteration number ``call``, counted from 0."""
    calls, step = [0], training.step

    def stopping(*arguments: Any) -> Any:
        if calls[0] == call:
            raise Interrupted
        calls[0] += 1
        return step(*arguments)

    monkeypatch.setattr(training, "step", stopping)


@pytest.mark.parametrize("iteration", [2, 6, 9])
@pytest.mark.parametrize("make", [resnet, lambda seed=0: odenet(seed, **RK4)], ids=["resnet", "odenet"])
def test_an_interrupted_run_ends_bit_for_bit_as_an_uninterrupted_one(make, iteration, tmp_path, monkeypatch):
    """4 iterations an epoch: the run stops in the first, second or third of three epochs."""
    settings, state = SHORT._replace(epochs=3), tmp_path / "states" / "run.safetensors"
    whole = make()
    log = run(whole, settings)
    with monkeypatch.context() as patch:
        interrupt(patch, iteration)
        with pytest.raises(Interrupted):
            run(make(), settings, state)
    assert state.exists() == (iteration >= 4)
    resumed = make(seed=0 if iteration < 4 else 1)  # other parameters: those of the state count
    again = run(resumed, settings, state)
    assert again._replace(seconds=[]) == log._replace(seconds=[])
    assert again.seconds == sorted(again.seconds)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_finished_run_is_not_trained_again(tmp_path, monkeypatch):
    state = tmp_path / "run.safetensors"
    log = run(resnet(), SHORT, state)
    interrupt(monkeypatch, 0)
    assert run(resnet(1), SHORT, state) == log


@pytest.mark.parametrize("other", [{"lr": 0.1}, {"seed": 1}, {"epochs": 3}, {"batch": 16}, {"crop": 0}])
def test_a_state_of_other_settings_is_refused(other, tmp_path):
    state = tmp_path / "run.safetensors"
    run(resnet(), SHORT._replace(epochs=1), state)
    before = state.read_bytes()
    with pytest.raises(ValueError, match=r"was written under Settings\(.*\), not .*: give those, or delete it"):
        run(resnet(), SHORT._replace(epochs=1)._replace(**other), state)
    assert state.read_bytes() == before


def test_a_state_that_is_cut_short_does_not_replace_the_one_before(tmp_path, monkeypatch):
    state = tmp_path / "run.safetensors"
    tensors = {"x": torch.arange(3.0)}
    training.save_atomically(tensors, state, {"settings": "1"})
    before = state.read_bytes()

    def half(tensors: Any, path: Path, texts: Any) -> None:
        path.write_bytes(before[:20])
        raise Interrupted

    monkeypatch.setattr(training, "save_file", half)
    with pytest.raises(Interrupted):
        training.save_atomically(tensors, state, {"settings": "2"})
    assert state.read_bytes() == before
    monkeypatch.undo()
    training.save_atomically(tensors, state, {"settings": "2"})
    assert state.read_bytes() != before
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors"]


# --- one run ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [resnet, lambda **size: odenet(**RK4, **size)], ids=["resnet", "odenet"])
def test_the_loss_falls_and_digits_are_learned(make):
    model, ((x, y), test) = make(channels=16), digits()
    log = train(model, Images(x[:800], y[:800]), test, SHORT._replace(epochs=5, crop=0, lr=0.5), None, False)
    assert log.loss[-1] < 0.5 * log.loss[0]
    assert log.test_error[-1] < 0.3  # guessing is wrong in 9 of 10
    assert log.test_error[-1] == error(model, test)


@pytest.mark.filterwarnings("ignore:dL/dy has RMS")
def test_the_log_says_when_and_how_often_f_was_evaluated():
    log = run(odenet(method="rk4", options={"step_size": 0.5}, gradient="adjoint"))
    assert log.epoch == [0.5, 1.0, 1.5, 2.0]
    assert log.nfe_forward == [8.0] * 4
    assert log.nfe_backward == [9.0] * 4  # and one to see that f is what it was
    assert len(log.test_error) == len(log.seconds) == 2
    plain = run(resnet())
    assert plain.nfe_forward == plain.nfe_backward == [0.0] * 4


def test_runs_are_settled_by_their_seed():
    first, same, other = (run(resnet(), SHORT._replace(seed=seed)) for seed in (0, 0, 1))
    assert first.loss == same.loss
    assert first.loss != other.loss


def test_one_cycle_begins_low_peaks_and_ends_at_zero():
    assert one_cycle(0.0) == pytest.approx(0.04, abs=1e-15)
    assert one_cycle(0.3) == 1.0
    assert one_cycle(0.3 - 1e-9) == pytest.approx(1, abs=1e-9)
    assert one_cycle(1.0) == pytest.approx(0, abs=1e-15)
    rates = [one_cycle(i / 1000) for i in range(1001)]
    assert rates[:301] == sorted(rates[:301])
    assert rates[300:] == sorted(rates[300:], reverse=True)


def test_the_optimiser_follows_the_schedule(monkeypatch):
    rates, step = [], training.step

    def watched(model: nn.Module, x: Any, y: Any, optimizer: torch.optim.Optimizer) -> Any:
        rates.extend(group["lr"] for group in optimizer.param_groups)
        return step(model, x, y, optimizer)

    monkeypatch.setattr(training, "step", watched)
    run(resnet())
    assert rates == pytest.approx([0.05 * one_cycle(i / 8) for i in range(8)])


def numbered(n: int) -> Images:
    return Images(torch.arange(n).float().reshape(n, 1, 1, 1).expand(n, 1, 3, 3), torch.arange(n))


def test_an_epoch_takes_each_image_once_in_an_order_of_its_own():
    settings = Settings(batch=8, crop=0)
    epochs = [torch.cat([y for _, y in batches(numbered(30), settings, epoch)]) for epoch in (0, 0, 1)]
    assert all(len(seen.unique()) == len(seen) == 24 for seen in epochs)  # the last 6 make no batch
    assert torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[0], epochs[2])
    assert all(torch.equal(x[:, 0, 1, 1], y.float()) for x, y in batches(numbered(30), settings, 0))


def test_processes_share_each_batch():
    settings = Settings(batch=8, crop=1)
    whole = list(batches(numbered(30), settings, 2))
    shares = [list(batches(numbered(30), settings, 2, rank, 2)) for rank in (0, 1)]
    for (x, y), (x0, y0), (x1, y1) in zip(whole, *shares, strict=True):
        assert torch.equal(torch.stack([y0, y1], 1).reshape(-1), y)
        assert torch.equal(torch.stack([x0, x1], 1).reshape(x.shape), x)  # shifted alike


def test_a_batch_that_cannot_be_shared_or_filled_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"batch is 256: give a multiple of 1 .*, 128 at most"):
        run(resnet(), SHORT._replace(batch=256))
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_rank", lambda: 0)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    with pytest.raises(ValueError, match="batch is 33: give a multiple of 2"):
        run(resnet(), SHORT._replace(batch=33))


# --- two processes ----------------------------------------------------------------------------------------------------

TOL = 1e-3


def shared_runs() -> dict[str, Log]:
    """A ResNet and an ODE-Net, trained for 8 iterations in double precision."""
    sets = some(dtype=torch.float64)
    return {
        "resnet": train(resnet().double(), *sets, SHORT, None, False),
        "odenet": train(odenet(gradient="adjoint", tol=TOL).double(), *sets, SHORT, None, False),
    }


@pytest.fixture(scope="module")
def one_and_two(tmp_path_factory) -> tuple[dict[str, Log], dict[str, Log]]:
    """The logs of one process, and those of two that share each of its batches."""
    folder = tmp_path_factory.mktemp("ddp")
    command = [sys.executable, "-W", "ignore", "-m", "tests.experiments.test_training", str(folder)]
    second = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    torch.set_num_threads(1)
    with pytest.warns(UserWarning, match="dL/dy has RMS"):  # the tolerance is far above the adjoint: see chapter 3
        one = shared_runs()  # while the other starts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        worker(0, folder)
    _, said = second.communicate(timeout=200)
    assert second.returncode == 0, said
    found = json.loads((folder / "0.json").read_text())
    assert found == json.loads((folder / "1.json").read_text())
    return one, {name: Log(**log) for name, log in found.items()}


def far(one: list[float], two: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, two, strict=True))


def test_two_processes_train_a_resnet_as_one_does(one_and_two):
    """The mean of the shares' gradients is the batch's, but for round-off."""
    one, two = (runs["resnet"] for runs in one_and_two)
    assert one.loss[-1] < one.loss[0]
    assert far(one.loss, two.loss) < 1e-10
    assert one.test_error == two.test_error


def test_two_processes_train_an_ode_net_as_one_does_up_to_the_tolerance(one_and_two, record_property):
    """Each process chooses its steps by the images of its share, so that the solutions differ by their errors."""
    one, two = (runs["odenet"] for runs in one_and_two)
    assert one.loss[-1] < one.loss[0]
    found = far(one.loss, two.loss)
    record_property("measured", f"losses of one and of two processes, tolerance {TOL:g}: at most {found:.1e} apart")
    assert 0 < found < 10 * TOL
    assert far(one.nfe_forward, two.nfe_forward) <= 6  # a step


def worker(rank: int, folder: Path) -> None:
    """One of two processes; writes its logs."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=120)
    )
    logs = {name: log._replace(seconds=[])._asdict() for name, log in shared_runs().items()}
    (folder / f"{rank}.json").write_text(json.dumps(logs))
    dist.destroy_process_group()


if __name__ == "__main__":
    worker(1, Path(sys.argv[1]))
