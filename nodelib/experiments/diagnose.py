"""A look at a neural ODE from outside: what it costs, what makes it cost that, and which of its gradients to trust.

    print(diagnose(func, y0, t, rtol=1e-6, atol=1e-6))

It names what users of ODE solvers ask about again and again: a solve that does not end, stiffness, jumps and kinks,
noise inside func, tolerances below what single precision resolves, an adjoint whose gradient is another one or that
costs more than backpropagation, parameters that get no gradient, one step size for a batch of unlike samples; and,
given the loss, whether the network is an ODE at all.
"""

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodelib.common.arguments import Method, check_method, check_order, default_tolerances, smallest
from nodelib.common.solution import Solution, SolverError, Step
from nodelib.experiments import findings, probes
from nodelib.experiments.convergence import Convergence
from nodelib.experiments.findings import Case, Finding
from nodelib.experiments.gradients import Counted, Gradients, gradients
from nodelib.torch_ode import solve
from nodelib.torch_ode.forms import Form
from nodelib.torch_ode.inputs import as_times
from nodelib.torch_ode.problem import MORE_OPTIONS

MOST_STEPS = 2_000  # attempted, unless options say otherwise: a diagnosis should end


@dataclass(frozen=True)
class Diagnosis:
    """What ``diagnose`` saw. Its repr is the report.

    findings:    one ``Finding`` for each thing that is amiss, none for a healthy field; ``names`` are their names.
    nfe:         evaluations on the way there; those of the way back are in ``gradients``.
    solution:    the ``Solution``, None where the solve failed; ``steps`` are all attempted steps, also then.
    eigenvalue:  the largest |λ| of ∂f/∂y that was seen along the path; ``stiffness`` the median of |hλ|.
    gradients:   ``Gradients``, None where they were not compared.
    convergence: ``Convergence``, None without a loss.
    """

    title: str
    findings: tuple[Finding, ...]
    nfe: int
    span: float
    solution: Solution | None
    steps: tuple[Step, ...]
    eigenvalue: float
    stiffness: float
    gradients: Gradients | None
    convergence: Convergence | None
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(finding.name for finding in self.findings))

    def __repr__(self) -> str:
        listed = [f"{i}. {finding}" for i, finding in enumerate(self.findings, 1)] or ["Nothing found."]
        return "\n".join([self.title, *self._numbers(), "", *listed])

    def _numbers(self) -> Iterator[str]:
        yield f"  evaluations  {self.nfe} there{'' if self.gradients is None else self.gradients.costs()}"
        sizes = [abs(step.h) for step in self.steps if step.accepted]
        yield f"  steps        {len(sizes)} accepted, {len(self.steps) - len(sizes)} rejected"
        yield from ("               " + line for line in histogram(sizes))
        if math.isfinite(self.eigenvalue):
            more = f", |hλ| {self.stiffness:.2g} in the median step" if math.isfinite(self.stiffness) else ""
            more = f"{self.eigenvalue * self.span:.2g} over the span{more}"
            yield f"  eigenvalues  |λ| up to {self.eigenvalue:.3g}, {more}"
        if self.gradients is not None:
            yield f"  gradients    {self.gradients}"
        if self.convergence is not None:
            yield f"  convergence  {self.convergence}"


def histogram(sizes: Sequence[float], bins: int = 6, width: int = 30) -> list[str]:
    """The sizes of steps as lines of text: a bar for each of some bins, equally wide on a logarithmic scale."""
    if not sizes:
        return []
    low, high = min(sizes), max(sizes)
    if high < 1.01 * low:
        return [f"h = {low:.1e}  {'█' * width} {len(sizes)}"]
    edges = np.geomspace(low, high, bins + 1)
    places = np.clip(np.searchsorted(edges, sizes, side="right") - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    bars = ["█" * math.ceil(width * count / counts.max()) for count in counts]
    rows = zip(pairwise(edges), bars, counts, strict=True)
    return [f"h from {a:.1e} to {b:.1e}  {bar + ' ' if bar else ''}{count}" for (a, b), bar, count in rows]


class Watched(Counted):
    """func with a record of the steps that a method of our own tries, each with the state that it begins at."""

    def __init__(self, func: Callable[[Any, Any], Any], method: Method):
        super().__init__(func)
        self.seen: list[tuple[Step, Any]] = []
        if method.kind != "scipy" and method.adaptive:
            self.callback_accept_step = lambda t, y, h: self.note(t, y, h, True)
            self.callback_reject_step = lambda t, y, h: self.note(t, y, h, False)
        elif method.kind != "scipy":
            self.callback_step = lambda t, y, h: self.note(t, y, h, True)

    def note(self, t: Tensor, y: Any, h: Any, accepted: bool) -> None:
        """Put a step down."""
        self.seen.append((Step(float(t), float(h), math.nan, accepted), y))


def diagnose(
    func: Callable[[Any, Any], Any],
    y0: Any,
    t: Any,
    *,
    method: str = "dopri5",
    rtol: Any = None,
    atol: Any = None,
    options: Any = None,
    adjoint_params: Any = None,
    loss: Callable[[Any], Tensor] | None = None,
) -> Diagnosis:
    """Solve y' = func(t, y) as ``nodelib.torch_ode.solve`` would, look at it from all sides, and say what is amiss.

    func, y0, t, method, rtol, atol, options: as for ``solve``; y0 real, two or more times. Without "max_num_steps"
                    among the options the solve ends after ``MOST_STEPS`` attempts.
    adjoint_params: as for ``odeint_adjoint``.
    loss:           the states at t -> one number. With it the gradients compared are its gradients, else those of a sum
                    of the states with random weights; and the convergence test is made.

    A func that is a Module, or a method of one, is copied; torch's random numbers go on as if none had been drawn.
    Raises ValueError or TypeError for bad arguments, as ``solve`` does. A solve that fails is a finding.
    """
    if len(t) < 2:
        raise ValueError(f"t must have two times at least, a start and an end, not {len(t)}")
    check_order(func)
    chosen, options = check_method(method, options, MORE_OPTIONS)
    options = {"max_num_steps": MOST_STEPS, **options} if chosen.adaptive else options
    settings = {"method": method, "rtol": rtol, "atol": atol, "options": options}
    with torch.random.fork_rng(), warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        case, found = solved(copy.deepcopy(func), y0, t, chosen, settings)
        compared = judged = None
        found += (noisy := findings.noise(case))
        if not noisy:
            found += [*findings.stiff(case), *findings.precision(case), *findings.breaks(case), *findings.batch(case)]
            found += [] if found else findings.rejections(case)
        if not noisy and case.solution is not None:
            check_loss(loss, case.solution.y)
            compared = gradients(case.func, y0, t, adjoint_params, loss, chosen, settings, len(case.steps))
            found += findings.gradients(case, compared)
        if compared is not None and loss is not None:
            judged, more = findings.convergence_test(case, loss)
            found += more
    found += findings.warned(heard, [finding.name for finding in found])
    numbers = (case.nfe, case.span, case.solution, case.steps, case.eigenvalue, case.stiffness)
    return Diagnosis(title(case), tuple(found), *numbers, compared, judged)


@torch.no_grad()
def solved(func: Any, y0: Any, t: Any, method: Method, settings: dict[str, Any]) -> tuple[Case, list[Finding]]:
    """The problem solved and looked at along the path; and what there is to say where the solve fails."""
    watched, solution, found = Watched(func, method), None, []
    try:
        solution = solve(watched, y0, t, dense=method.name != "scipy:VODE", **settings)
    except SolverError as error:
        means, _, advice = error.advice.partition(": ")
        means, advice = means or "the solve cannot go on", advice or 'a looser tolerance, or method="scipy:Radau"'
        found.append(Finding("failed", error.what, means, advice))
    form, nfe = Form(y0), watched.nfe
    seen, steps = watched.seen, tuple(step for step, _ in watched.seen)
    if solution is not None:
        steps = solution.steps
        if not seen and solution.interpolant is not None:  # SciPy tells of no step while it solves
            seen = [(step, solution(step.t)) for step in steps]
    seen = seen or [(Step(float(t[0]), math.nan, math.nan, True), y0)]
    f = probes.flat(func, form)
    states = []
    for step, y in some(seen):
        flat = form.flatten(y)
        states.append((step, flat, probes.eigenvalue(f, step.t, flat)))
    defaults = default_tolerances(torch.finfo(states[0][1].dtype).eps)
    given = zip(defaults, (settings["rtol"], settings["atol"]), strict=True)
    rtol, atol = (default if tol is None else tol for default, tol in given)
    times = as_times(t).detach()
    return Case(f, func, y0, times, method, settings, (rtol, atol), form, solution, nfe, steps, tuple(states)), found


def some(seen: list[tuple[Step, Any]]) -> list[tuple[Step, Any]]:
    """``LOOKS`` of the accepted steps, evenly spread, and the last step of all."""
    accepted = [pair for pair in seen if pair[0].accepted] or seen
    places = sorted({round(x) for x in np.linspace(0, len(accepted) - 1, findings.LOOKS)})
    return [accepted[i] for i in places] + ([seen[-1]] if seen[-1] is not accepted[-1] else [])


def check_loss(loss: Any, y: Any) -> None:
    """Raise ValueError unless the loss of these states is a tensor of one number."""
    value = None if loss is None else loss(y)
    if loss is not None and not (isinstance(value, Tensor) and value.numel() == 1):
        what = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"loss must return a tensor of one number, got {what}: take its mean, and no item()")


def title(case: Case) -> str:
    """What was solved, and how, in a line."""
    pairs = zip(("rtol", "atol"), case.tolerances, strict=True)
    tolerances = "".join(f", {name} {smallest(tol):.3g}" for name, tol in pairs) if case.method.adaptive else ""
    shapes = ", ".join(str(shape) for shape in case.form.shapes)
    times = f"t from {float(case.t[0]):.4g} to {float(case.t[-1]):.4g} ({len(case.t)} times)"
    return f"{case.method.name}{tolerances}; y0 {shapes}, {case.states[0][1].dtype}; {times}"
