"""The workloads, each with its solvers and the one that each is held against."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from tests.bench.peers import jax_peer, networks, ours, scipy_peer, torch_peers
from tests.bench.peers.measure import Case, Run
from tests.bench.peers.workloads import PROBLEMS, DemoTask, end_of

TOLERANCES = (1e-3, 1e-6, 1e-9)  # of the small problems; at the first, three bodies are off by all of their orbit
TOL = 1e-5  # of ode_demo, relative; the absolute one is a tenth of it
LOOSER = ours.LOOSER
TUPLES = ("CNF",)  # whose states are tuples, for which nothing is compiled


class Workload(NamedTuple):
    """What is timed: the cases, made when it is their turn, and what their outcomes are compared with.

    ``what`` says it in words; ``part`` is the time allowed, as a share of that of the others.
    """

    name: str
    what: str
    cases: Callable[[], list[Case]]
    reference: Callable[[], Any]
    part: float = 1.0
    devices: tuple[str, ...] = ("cpu",)


def small(name: str, tol: float) -> Workload:
    """One of the small problems at one tolerance: all at ``tol``, but diffrax's dopri5 at what means the same."""

    def cases() -> list[Case]:
        mine, theirs = "numpy dopri5", tol / LOOSER

        def scipy(method: str) -> Case:
            return Case(f"SciPy {method}", "scipy", partial(scipy_peer.solve, name, method, tol), mine, tol)

        return [
            *(
                Case(f"numpy {method}", "nodelib", partial(ours.numpy_solve, name, method, tol), mine, tol)
                for method in ("dopri5", "dopri8")
            ),
            *(scipy(method) for method in ("RK45", "DOP853", "LSODA")),
            Case("diffrax Dopri5", "diffrax", partial(jax_peer.solve, name, "Dopri5", theirs), mine, theirs),
            Case("diffrax Dopri8", "diffrax", partial(jax_peer.solve, name, "Dopri8", tol), mine, tol),
        ]

    what = f"{name}, rtol {tol:.0e}, from start to end, double precision"
    return Workload(f"{name}, {tol:.0e}", what, cases, partial(end_of, name), 0.5)


def demo(outputs: int, device: str) -> Workload:
    """The solve of ode_demo without a gradient."""
    task = DemoTask(outputs, device=device)

    def cases() -> list[Case]:
        return [
            *solvers(partial(ours.forward, task), "backprop"),
            Case("diffrax Dopri5", "diffrax", partial(jax_peer.forward, task, TOL), "torch dopri5", TOL),
        ]

    what = f"ode_demo, 2-50-2, batch 20, t 0 to 25, {outputs} outputs, single precision"
    return Workload(f"ode_demo, {outputs} outputs", what, cases, task.solution, 1.5, ("cpu", "cuda"))


def demo_iteration(device: str) -> Workload:
    """Its loss and gradient, by all ways; each is held against ours of the same kind."""
    task = DemoTask(10, device=device)

    def diffrax(adjoint: str, against: str) -> Case:
        make = partial(jax_peer.iteration, task, TOL, adjoint)
        return Case(f"diffrax {adjoint}", "diffrax", make, f"torch {against}", TOL)

    def cases() -> list[Case]:
        return [
            *solvers(partial(ours.iteration, task), "backprop", "checkpoint", "adjoint"),
            diffrax("RecursiveCheckpointAdjoint", "checkpoint"),
            diffrax("BacksolveAdjoint", "adjoint"),
        ]

    what = "ode_demo, 10 outputs, mean square and its gradient, single precision"
    return Workload("ode_demo, iteration", what, cases, task.gradient, 3, ("cpu", "cuda"))


def solvers(make: Callable[..., Run], *ways: str) -> Iterator[Case]:
    """Ours by each way, compiled and per sample too, torchdiffeq's, and backpropagation through the others' steps."""
    one = len(ways) == 1
    for way in ways:
        mine = "torch dopri5" if one else f"torch {way}"
        name, tol = ours.WAYS[way], LOOSER * TOL
        yield Case(mine, "nodelib", partial(make, name, tol), mine, tol)
        if ours.COMPILED:
            yield Case(f"{mine}, compiled", "nodelib", partial(make, name, tol, **ours.COMPILE), mine, tol)
        if way == "backprop":
            rows = f"{mine}, per sample"
            yield Case(rows, "nodelib", partial(make, name, tol, options={"per_sample": True}), mine, tol)
            yield Case("torchode Dopri5", "torchode", partial(make, torch_peers.torchode, TOL), rows, TOL)
            yield Case("torchdyn dopri5", "torchdyn", partial(make, torch_peers.torchdyn, TOL), mine, TOL)
        if way != "checkpoint":
            theirs = "torchdiffeq dopri5" if one else f"torchdiffeq {way}"
            yield Case(theirs, "torchdiffeq", partial(later, make, way), mine, TOL)


def later(make: Callable[..., Run], way: str) -> Run:
    """torchdiffeq's, looked up when it is its turn."""
    return make(torch_peers.torchdiffeq(way), TOL)


def network(name: str, what: str, make: Callable[..., Run], reference: Callable[[], Any], tol: float) -> Workload:
    """A solve of one of the chapters' networks; ``make`` takes the side and its tolerance, or its share of ``tol``."""

    def cases() -> list[Case]:
        return [
            Case("torch dopri5", "nodelib", partial(make, "nodelib", LOOSER), "torch dopri5", LOOSER * tol),
            Case("torchdiffeq dopri5", "torchdiffeq", partial(make, "torchdiffeq", 1.0), "torch dopri5", tol),
        ]

    return Workload(f"{name}, forward", what, cases, reference, 1.0)


def network_iteration(
    name: str, what: str, make: Callable[..., Run], reference: Callable[[], Any], tol: float, part: float
) -> Workload:
    """An iteration of one of them, by each way."""

    def cases() -> list[Case]:
        found = []
        for way in ours.WAYS:
            mine = f"torch {way}"
            found.append(Case(mine, "nodelib", partial(make, "nodelib", way), mine, LOOSER * tol))
            if ours.COMPILED and way != "backprop" and name not in TUPLES:
                found.append(Case(f"{mine}, compiled", "nodelib", partial(make, "compiled", way), mine, LOOSER * tol))
            if way != "checkpoint":
                found.append(Case(f"torchdiffeq {way}", "torchdiffeq", partial(make, "torchdiffeq", way), mine, tol))
        return found

    return Workload(f"{name}, iteration", what, cases, reference, part)


def of_chapters(smoke: bool) -> list[Workload]:
    """ODE-Net, continuous flow and latent ODE: forward and iteration."""
    images, points, series = (4, 32, 10) if smoke else (128, 512, 1000)

    def odenet(side: str, share: float) -> Run:
        return networks.odenet_forward(side, images, share * 1e-3)

    def cnf(side: str, share: float) -> Run:
        return networks.cnf_forward(side, points, share * 1e-5)

    def decoder(side: str, share: float) -> Run:
        return networks.latent_forward(side, series, share)

    tight = partial(networks.exact, networks.odenet_forward, images, 1e-4 if smoke else 1e-7)
    flow = partial(networks.exact, networks.cnf_forward, points, 1e-10)
    curve = partial(networks.exact, networks.latent_forward, series, 1e-5)
    return [
        network("ODE-Net", f"chapter 3's block, {images} images, tolerance 1e-3", odenet, tight, 1e-3),
        network_iteration(
            "ODE-Net", "the same network, SGD included", lambda s, w: networks.odenet_iteration(s, w, images),
            lambda: None, 1e-3, 4,
        ),
        network("CNF", f"chapter 4's flow, {points} points, tolerance 1e-5", cnf, flow, 1e-5),
        network_iteration(
            "CNF", "the same flow, Adam included", lambda s, w: networks.cnf_iteration(s, w, points),
            partial(networks.cnf_gradient, points), 1e-5, 2,
        ),
        network("latent ODE", f"chapter 5's decoder, {series} series, 100 outputs, 1e-4", decoder, curve, 1e-4),
        network_iteration(
            "latent ODE", "the same decoder and its gradient", lambda s, w: networks.latent_iteration(s, w, series),
            partial(networks.latent_gradient, series), 1e-4, 4,
        ),
    ]  # fmt: skip


def workloads(device: str = "cpu", smoke: bool = False) -> list[Workload]:
    """All that is timed on this device."""
    tolerances = TOLERANCES[1:2] if smoke else TOLERANCES
    every = [
        *(small(name, tol) for name in PROBLEMS for tol in tolerances if (name, tol) != ("three bodies", 1e-3)),
        demo(2, device),
        demo(20 if smoke else 200, device),
        demo_iteration(device),
        *of_chapters(smoke),
    ]
    return [each for each in every if device.partition(":")[0] in each.devices]
