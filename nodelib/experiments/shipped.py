"""The trained ODEs that come with the book, each with what puts it to the convergence test: ``verdicts.py``."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from nodelib.data.toy2d import circles, moons, two_gaussians
from nodelib.experiments import swap
from nodelib.experiments.convergence import Convergence
from nodelib.experiments.poisson import TASKS
from nodelib.experiments.verdicts import of_events, of_flow, of_intensity, of_latent, of_matching, of_mnist, of_rings
from nodelib.models.table1 import trained
from nodelib.models.trained_flows import trained_flow
from nodelib.models.trained_poisson import STEPS, trained_poisson
from nodelib.models.trained_series import trained_series

DOPRI5 = "dopri5, 1e-3"  # the solver of most trainings in chapters 3 and 4


class Trained(NamedTuple):
    """What was trained together: its name, no other has it; the kind of model in words; the training's solver; how many
    models there are; and what judges number i of them."""

    name: str
    model: str
    by: str
    models: int
    judge: Callable[[int], Convergence]

    def row(self, i: int) -> dict[str, Any]:
        """What the record keeps of number i."""
        found = self.judge(i)
        return {
            "model": self.model,
            "by": self.by,
            "name": self.name,
            "number": i,
            "verdict": found.verdict,
            "fit": found.fit,
            "solved": found.solved,
            "apart": found.apart,
        }


def shipped() -> Iterator[Trained]:
    """The networks of § 6.2, and every ODE of chapters 3 to 5 in ``figures/checkpoints``.

    But for the six flows by flow matching: no solver trained them, so that there is nothing to compare with.
    """
    yield from _of_section()
    yield from _images()
    yield from _flows()
    yield from _latents()
    yield from _processes()


def _of_section() -> Iterator[Trained]:
    points = {data: swap.points_of(data) for data in swap.ENDS}
    for name, models in swap.recorded().items():
        data, by = name.split(", ")
        end = swap.ENDS[data]
        judge = partial(of_rings, models, points=points[data], settings=swap.settings_of(by, end), end=end)
        yield Trained(name, data, by, models.models, judge)


def _images() -> Iterator[Trained]:
    for name in (*(f"mnist_odenet_12epochs_seed{seed}" for seed in range(3)), "mnist_rknet_12epochs_seed0"):
        yield Trained(name, "chapter 3: MNIST", DOPRI5, 1, partial(of_mnist, trained(name)))


def _flows() -> Iterator[Trained]:
    for part, field in (("equal", "gated"), ("gated", "gated"), ("equal", "timed")):
        for size in (2, 8, 32):
            name = f"fig4_{part}_{field}_{size}"
            judge = partial(of_matching, trained_flow(name))
            yield Trained(name, f"chapter 4: potentials, {field}", DOPRI5, 9, judge)
    for name, words, count, shape in (
        ("fig5_cnf_circles", "circles and moons", 3, circles()),
        ("fig5_cnf_moons", "circles and moons", 3, moons()),
        *((f"bridge_{ratio}", "two Gaussians", 10, two_gaussians(0.3, 0.3 * ratio)) for ratio in (2, 4, 6, 8)),
        *((f"regularised_flows_{w:g}", "moons, by energy", 10, moons()) for w in (0, 0.01, 0.03, 0.1, 0.3, 1)),
    ):
        yield Trained(name, f"chapter 4: {words}", DOPRI5, count, partial(of_flow, trained_flow(name), shape=shape))
    for seed in range(3):
        name = f"flow_matching_likelihood_{seed}"
        judge = partial(of_flow, trained_flow(name), shape=moons(), tol=1e-4)
        yield Trained(name, "chapter 4: moons, free field", "dopri5, 1e-4", 1, judge)


def _latents() -> Iterator[Trained]:
    for encoder, name in (("RNN", "latent ODE"), ("ODE-RNN", "latent ODE, ODE-RNN encoder")):
        for k in (30, 50, 100):
            judge = partial(of_latent, trained_series(name, k), k=k)
            words = f"chapter 5: spirals, {encoder} encoder"
            yield Trained(f"{name}, {k}", words, "rk4, 12 steps", 9, judge)


def _processes() -> Iterator[Trained]:
    words, by = "chapter 5: events", f"rk4, {STEPS} steps"
    for n in (20, 100, 500):
        name = f"fig7_one_{n}"
        yield Trained(name, words, by, 10, partial(of_intensity, trained_poisson(name), n=n))
    for name in ("fig7_half_0", "fig7_half_0.1", "fig7_half_1", "fig7_past_0", "fig7_past_0.1"):
        task = TASKS[name.split("_")[1]]
        yield Trained(name, words, by, 5, partial(of_events, trained_poisson(name), task=task))
