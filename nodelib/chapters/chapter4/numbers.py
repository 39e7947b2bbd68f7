"""The numbers of chapter 4's explorers: densities matched, a flow's points on their way, and samples in a few steps."""

import copy
import itertools
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nodelib.data.toy2d import Shape, potential
from nodelib.experiments import records
from nodelib.models.flow_fields import FreeField
from nodelib.models.flows import CNF, base_log_prob, one_of
from nodelib.models.trained_flows import trained_flow
from nodelib.torch_ode import solve

SIDE = 56  # of a picture, in points: a slider waits for side² of them


def plane(reach: float, side: int = SIDE) -> Tensor:
    """The points (side², 2) of a grid over [-reach, reach]², row by row from below."""
    line = torch.linspace(-reach, reach, side)
    x, y = torch.meshgrid(line, line, indexing="xy")
    return torch.stack([x, y], -1).reshape(-1, 2)


def on_plane(values: Tensor) -> np.ndarray:
    """Values at the points of ``plane`` as a picture, (side, side), the lowest row first."""
    side = round(len(values) ** 0.5)
    return values.detach().double().reshape(side, side).numpy()


# --- densities matched ------------------------------------------------------------------------------------------------

FLOWS, SIZES = ("planar", "gated"), (2, 8, 32)
REACH = 4.0
FAINT = 0.1  # one density is faint where it is less than this share of the other


class Match(NamedTuple):
    """One model beside its target.

    p, q:     the densities of target and model, (SIDE, SIDE) over [-REACH, REACH]².
    gaps:     by (flow, size) KL(q‖p) in nats of each seed, (seeds,), for this target.
    error:    the standard error of this model's.
    """

    target: str
    flow: str
    size: int
    seed: int
    p: np.ndarray
    q: np.ndarray
    gaps: Mapping[tuple[str, int], np.ndarray]
    error: float

    @property
    def gap(self) -> float:
        """KL(q‖p) of this model, in nats."""
        return float(self.gaps[self.flow, self.size][self.seed])

    @property
    def missed(self) -> float:
        """The share of the target's mass that lies where the model is faint."""
        return share(self.p, self.q < FAINT * self.p)

    @property
    def spilled(self) -> float:
        """The share of the model's mass that lies where the target is faint."""
        return share(self.q, self.p < FAINT * self.q)


def share(density: np.ndarray, where: np.ndarray) -> float:
    """The share, from 0 to 1, of the mass in a picture that lies ``where`` is true."""
    return float(density[where].sum() / density.sum())


class Matched:
    """Flows that were matched to potentials: their densities on a grid, and how far they are from the targets.

    models:  by (flow, size) a module of all targets' models side by side, the seeds of the first target first.
    runs:    the runs of the records that belong to them, with "flow", "size", and "loss" and "standard_error" of
             [target][seed].
    floors:  by target the least loss that there can be.
    """

    def __init__(
        self, models: Mapping[tuple[str, int], Any], runs: Sequence[Mapping[str, Any]], floors: Mapping[str, float]
    ):
        self.models, self.targets, self.x = dict(models), list(floors), plane(REACH)
        self.seeds = len(runs[0]["loss"][0])
        losses = {(run["flow"], run["size"]): np.array(run["loss"]) for run in runs}
        self.gaps = {
            target: {key: loss[i] - floors[target] for key, loss in losses.items()}
            for i, target in enumerate(self.targets)
        }
        self.errors = {(run["flow"], run["size"]): run["standard_error"] for run in runs}
        self.p = {target: on_plane((floors[target] - potential(target, self.x)).exp()) for target in self.targets}
        each = list(itertools.product(self.models, self.targets, range(self.seeds)))  # before a slider waits for one
        self.q = {(target, *kind, seed): self._density(target, *kind, seed) for kind, target, seed in each}

    @torch.no_grad()
    def _density(self, target: str, flow: str, size: int, seed: int) -> np.ndarray:
        model = one_of(self.models[flow, size], self.targets.index(target) * self.seeds + seed)
        return on_plane(model.pull(self.x)[1].exp())

    def match(self, target: str, flow: str, size: int, seed: int) -> Match:
        """The numbers of the explorer at these values of its controls."""
        q = self.q[target, flow, size, seed]
        error = self.errors[flow, size][self.targets.index(target)][seed]
        return Match(target, flow, size, seed, self.p[target], q, self.gaps[target], error)


@cache
def matched(flows: tuple[str, ...] = FLOWS) -> Matched:
    """What ``figures/fig4_density_matching.py`` trained with the paper's iterations."""
    found = {flow: records.read(f"fig4_{flow}") for flow in flows}
    floors = found[flows[0]]["targets"]
    runs = [run for record in found.values() for run in record["runs"]]
    kinds = [(run["flow"], run["size"]) for run in runs]
    models = {(flow, size): trained_flow(f"fig4_{flow}_{flow}_{size}") for flow, size in kinds}
    return Matched(models, runs, floors)


# --- a flow's points on their way -------------------------------------------------------------------------------------

STOPS = np.linspace(0, 1, 21)  # the slider's times
BETWEEN = 5  # of the paths' times for one of the slider's
TIMES = np.linspace(0, 1, BETWEEN * (len(STOPS) - 1) + 1)


class Instant(NamedTuple):
    """A flow at one time.

    stop:     the time is STOPS[stop], TIMES[at].
    density:  of the model at that time, (SIDE, SIDE) over [-reach, reach]² of the ``Journey``.
    paths:    (times, points, 2), and log_p (times, points): all points at all TIMES.
    """

    stop: int
    picked: int
    density: np.ndarray
    paths: np.ndarray
    log_p: np.ndarray

    @property
    def t(self) -> float:
        return float(STOPS[self.stop])

    @property
    def at(self) -> int:
        """Where the time stands in TIMES."""
        return BETWEEN * self.stop

    @property
    def place(self) -> np.ndarray:
        """(2,): where the picked particle is."""
        return self.paths[self.at, self.picked]

    @property
    def stretch(self) -> float:
        """By how much a small area around the picked particle has grown since t = 0: the density's fall."""
        log_p = self.log_p[:, self.picked]
        return float(np.exp(log_p[0] - log_p[self.at]))


class Journey:
    """A trained flow and points of its base on their way to the data; the model is taken as it is now.

    model:      a CNF of one model, in the plane. target: the shape that it was trained on.
    particles:  how many points, drawn with ``seed``: those of 3 all lie near the middle, and so fill the picture.
    side:       of the density's picture, in points.

    Raises ValueError for many models side by side.
    """

    def __init__(self, model: CNF, target: Shape, particles: int = 300, seed: int = 3, side: int = SIDE):
        if model.models is not None:
            raise ValueError(f"model is {model.models} models side by side: choose one with one_of(model, i)")
        self.model, self.target = copy.deepcopy(model), target
        like = next(model.parameters())
        z = torch.randn(particles, 2, generator=torch.Generator().manual_seed(seed)).to(like)
        with torch.no_grad():
            # Tighter than the pictures, since numbers are read from it: at the 1e-3 of training areas are 16 % off.
            tight: dict[str, Any] = model.settings | {
                tol: min(1e-5, model.settings.get(tol, 1e-5)) for tol in ("rtol", "atol")
            }
            states, log_p = solve(self.model.field, (z, base_log_prob(z)), TIMES.tolist(), **tight).y
        self.paths, self.log_p = states.numpy(), log_p.numpy()
        self.reach = 1.02 * float(np.abs(self.paths).max())
        self.side, x = side, plane(self.reach, side).to(like)
        self.densities = [self._density(x, float(t)) for t in STOPS]  # before a slider waits for one

    @torch.no_grad()
    def _density(self, x: Tensor, t: float) -> np.ndarray:
        log_p = self.model.pull(x, t)[1] if t > 0 else base_log_prob(x)
        return on_plane(log_p.exp())

    def at(self, stop: int, picked: int) -> Instant:
        """The numbers of the explorer at these values of its controls."""
        return Instant(stop, picked, self.densities[stop], self.paths, self.log_p)


# --- samples in a few steps -------------------------------------------------------------------------------------------

WAYS = ("likelihood", "independent", "optimal")
METHODS, STEPS = ("euler", "midpoint", "rk4"), (1, 2, 4, 8, 16)
EXACT = {"method": "dopri5", "rtol": 1e-7, "atol": 1e-8}  # ends 5e-8 off, and no run here less than 8e-7
EXACT_TIMES = np.linspace(0, 1, 51)


class Sampled(NamedTuple):
    """Samples by a few steps of a method.

    path:   (steps + 1, points, 2), the states after each step.
    nfe:    the evaluations of f.
    error:  the root mean square distance of x(1) from the exact flow's.
    """

    path: np.ndarray
    nfe: int
    error: float


class Sampler:
    """The same draws of the base through fields of several trainings, exactly and by a few steps of each method.

    fields:  by way of training a FreeField.
    points:  how many draws; 1000 are those that ``figures/flow_matching.py`` measures with.

    exact:   by way, (times, points, 2) at EXACT_TIMES, in double precision.
    excess:  by way, the exact paths' length over that of their chords, each summed over all points.
    runs:    by (way, method, steps) what is ``Sampled``.
    """

    def __init__(self, fields: Mapping[str, FreeField], points: int = 1000):
        z = torch.randn(points, 2, generator=torch.Generator().manual_seed(1)).double()
        self.exact: dict[str, np.ndarray] = {}
        self.runs: dict[tuple[str, str, int], Sampled] = {}
        for way, field in fields.items():
            velocity = copy.deepcopy(field).double().velocity
            with torch.no_grad():
                self.exact[way] = solve(velocity, z, EXACT_TIMES.tolist(), **EXACT).y.numpy()  # type: ignore[arg-type]
                for method, steps in itertools.product(METHODS, STEPS):
                    sol = solve(velocity, z, np.linspace(0, 1, steps + 1).tolist(), method=method)
                    error = rms(sol.y[-1].numpy() - self.exact[way][-1])
                    self.runs[way, method, steps] = Sampled(sol.y.numpy(), sol.stats.nfe, error)
        self.excess = {way: length_over_chord(path) for way, path in self.exact.items()}

    def setting(self, way: str, method: str, steps: int) -> "Setting":
        """The numbers of the explorer at these values of its controls."""
        errors = {
            other: np.array([(run.nfe, run.error) for run in (self.runs[other, method, n] for n in STEPS)])
            for other in self.exact
        }
        run = self.runs[way, method, steps]
        return Setting(way, method, steps, run, self.exact[way], self.excess[way], errors)


class Setting(NamedTuple):
    """What the explorer shows; ``errors`` has by way (evaluations, error) at all STEPS of the method, (steps, 2)."""

    way: str
    method: str
    steps: int
    run: Sampled
    exact: np.ndarray
    excess: float
    errors: Mapping[str, np.ndarray]


def rms(x: np.ndarray) -> float:
    """The root mean square length of the rows of x (n, D)."""
    return float(np.sqrt(np.square(x).sum(1).mean()))


def length_over_chord(path: np.ndarray) -> float:
    """The length of paths (times, points, D) over that of their chords, both summed over the points."""
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=2).sum()
    return float(lengths / np.linalg.norm(path[-1] - path[0], axis=1).sum())


@cache
def sampled() -> Sampler:
    """What ``figures/flow_matching.py`` trained on the moons, the first seed of each way."""
    return Sampler({way: trained_flow(f"flow_matching_{way}_0").field for way in WAYS})


@torch.no_grad()
def paths_of(model: CNF, z: Tensor, times: int) -> np.ndarray:
    """The places of points z (n, 2) of the base at equal times from 0 to 1, (times, n, 2)."""
    t = torch.linspace(0, 1, times)
    return solve(model.field, (z, base_log_prob(z)), t, **model.settings).y[0].numpy()
