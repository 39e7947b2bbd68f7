"""What may be amiss with a neural ODE, each as one finding: what was seen, what it means, what to try.

``diagnose.py`` makes the ``Case`` and asks; ``probes.py`` asks func. Thresholds are rules of thumb.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nodelib.common.arguments import Method, smallest
from nodelib.common.solution import MaxStepsReached, Solution, SolverError, Step
from nodelib.experiments import probes
from nodelib.experiments.convergence import MEANING, Convergence, convergence
from nodelib.experiments.gradients import Gradients
from nodelib.torch_ode import solve
from nodelib.torch_ode.forms import Form

LOOKS = 10  # steps at which the Jacobian is looked at, and intervals in which jumps and kinks are looked for
STABLE = {"euler": 2.0, "midpoint": 2.0, "heun": 2.0, "rk4": 2.785, "rk4_38": 2.785, "adams_bashforth": 0.3}  # λ < 0
WARNINGS = {  # a part of a solver's warning -> the finding that says it already, or the finding it becomes
    "active Dropout": ("noise", "each evaluation is another function", "func.eval()"),
    "can resolve": ("precision", "steps are spent on round-off", "looser tolerances, or a float64 state"),
    "not among the parameters": ("closure", "their gradients will be missing", "adjoint_params=(…)"),
    "output no gradient": ("unused parameters", "they are not trained", "a look for no_grad() or detach() in func"),
    "not depend on its parameters": ("unused parameters", "they are not trained", "a look for detach() in func"),
    "BatchNorm in training": (
        "training mode",
        "its running statistics change at every evaluation, and func.eval() is another function",
        "GroupNorm, or func.eval()",
    ),
    "spectral_norm in training": ("training mode", "func changes a little at every evaluation", "func.eval()"),
    "t moves in jumps": ("time", "func cannot tell the times inside a step apart", "t from 0 on, or a float64 state"),
    "dL/dy has RMS": (
        "small loss",
        "the adjoint's solve sees almost nothing of it",
        "a loss scaled up (a sum in place of a mean), or a smaller adjoint_atol",
    ),
}


class Finding(NamedTuple):
    """One thing that is not as it should be: a name; what was seen; what it means; what to try."""

    name: str
    seen: str
    means: str
    advice: str

    def __str__(self) -> str:
        return f"{self.name}: {self.seen}; {self.means}. Try {self.advice}."


class Case(NamedTuple):
    """A problem that was solved, or not: then ``solution`` is None.

    f is func on flat states; ``tolerances`` are rtol and atol; ``steps`` all attempted steps; ``states`` some of them,
    each with the state it began at, (n,), and the largest |λ| of ∂f/∂y there.
    """

    f: probes.Flat
    func: Any
    y0: Any
    t: Tensor
    method: Method
    settings: dict[str, Any]
    tolerances: tuple[Any, Any]
    form: Form
    solution: Solution | None
    nfe: int
    steps: tuple[Step, ...]
    states: tuple[tuple[Step, Tensor, float], ...]

    @property
    def span(self) -> float:
        """|t[-1] - t[0]|."""
        return abs(float(self.t[-1]) - float(self.t[0]))

    @property
    def eps(self) -> float:
        """The rounding of the state's dtype."""
        return torch.finfo(self.states[0][1].dtype).eps

    @property
    def eigenvalue(self) -> float:
        """The largest |λ| seen on the path; nan where f has no gradient."""
        return max(value for _, _, value in self.states)

    @property
    def stiffness(self) -> float:
        """The median of |hλ| over accepted steps."""
        return float(np.median([abs(step.h) * value for step, _, value in self.states if step.accepted] or [math.nan]))

    @property
    def rejected(self) -> list[Step]:
        """The rejected steps."""
        return [step for step in self.steps if not step.accepted]

    def path(self, s: float) -> Tensor:
        """The solution at s, flat."""
        return self.form.flatten(self.solution(s))  # type: ignore[misc]


def noise(case: Case) -> list[Finding]:
    """Is f the same function twice?"""
    size = max(probes.noise(case.f, step.t, y) for step, y, _ in case.states[:3])
    if size == 0:
        return []
    seen = f"f at the same time and state changes by {size:.2g} of its size from one evaluation to the next"
    means = "step control takes that for error, and the way back sees another function; nothing else was looked at"
    return [Finding("noise", seen, means, "func.eval() where there is Dropout, or random numbers drawn once a solve")]


def stiff(case: Case) -> list[Finding]:
    """Stability or accuracy: which limits the steps? If stability, looser tolerances do not make them longer."""
    if case.method.kind == "scipy" or not math.isfinite(case.stiffness):
        return []
    if not case.method.adaptive:
        return _too_long(case)
    accepted = len(case.steps) - len(case.rejected)
    if case.stiffness < 1 or accepted < 20:
        return []
    fewer = accepted
    if case.solution is not None:
        looser = {name: _times(tol, 100) for name, tol in zip(("rtol", "atol"), case.tolerances, strict=True)}
        with torch.no_grad():
            fewer = solve(case.func, case.y0, case.t, **{**case.settings, **looser}).stats.accepted or 0
    if fewer < 0.6 * accepted:
        return []
    seen = f"|λ| times the span is {case.eigenvalue * case.span:.2g}, |hλ| is {case.stiffness:.2g} in the median step, "
    seen += f"and of {accepted} steps {fewer} remain at a tolerance 100 times looser"
    advice = 'method="scipy:Radau" or "scipy:LSODA", or training that keeps ∂f/∂y small'
    return [Finding("stiff", seen, "stability, not accuracy, limits the step", advice)]


def _too_long(case: Case) -> list[Finding]:
    """Are fixed steps longer than the method is stable for?"""
    longest, limit = case.eigenvalue * max(abs(s.h) for s in case.steps), STABLE.get(case.method.name, math.inf)
    if longest <= limit:
        return []
    seen = f"|hλ| is up to {longest:.2g}, and {case.method.name} is stable up to {limit:.3g} where λ < 0"
    means = "errors may grow from step to step"
    return [Finding("steps too long", seen, means, "shorter steps, or an adaptive method")]


def _times(tol: Any, factor: float) -> Any:
    return tuple(factor * x for x in tol) if isinstance(tol, tuple | list) else factor * tol


def precision(case: Case) -> list[Finding]:
    """Does the tolerance ask for more than the dtype holds?"""
    rtol, atol = (smallest(tol) or 0.0 for tol in case.tolerances)
    size = max(probes.floor(y, rtol, atol) for _, y, _ in case.states)
    if size < 0.3 or not case.method.adaptive:
        return []
    dtype = case.states[0][1].dtype
    seen = f"rounding y to {dtype} costs {size:.2g} times the tolerance (rtol {rtol:.2g}, atol {atol:.2g})"
    means = "the accuracy asked for cannot be had, and steps are spent on round-off"
    return [Finding("precision", seen, means, f"rtol of {10 * case.eps:.0e} or more, or a float64 state")]


def breaks(case: Case) -> list[Finding]:
    """Jumps of f along the path; where there are none, kinks: jumps of its derivative."""
    if case.solution is None or case.solution.interpolant is None or not case.steps:
        return []
    low, high = min(case.t.tolist()), max(case.t.tolist())
    rejected = case.rejected[:: math.ceil(len(case.rejected) / LOOKS) or 1]
    longest = sorted((step for step in case.steps if step.accepted), key=lambda step: -abs(step.h))[:LOOKS]
    ends = [(step.t, min(max(step.t + step.h, low), high)) for step in (*rejected, *longest)]
    finest = max(1e-9 * case.span, 64 * case.eps * max(abs(low), abs(high)))
    jumps = unknown(case, probes.breaks(lambda s: case.f(s, case.path(s)), ends, finest, 1e-3), finest)
    if jumps:
        return [_jump(case, max(jumps, key=lambda place: place.size), finest)]
    if not math.isfinite(case.eigenvalue):
        return []
    along = probes.slope_along(case.f, case.path)
    kinks = sorted(unknown(case, probes.breaks(along, ends, finest, 1e-4 if case.eps < 1e-10 else 3e-3), finest))
    if not kinks:
        return []
    where = ", ".join(f"{place.t:.4g}" for place in kinks[:3]) + (" …" if len(kinks) > 3 else "")
    seen = f"∂f/∂y jumps on the path at t = {where}, as a ReLU's does"
    means = "each kink costs steps, more of them at tighter tolerances"
    return [Finding("kinks", seen, means, "tanh or softplus in place of ReLU, or a looser tolerance")]


def unknown(case: Case, places: list[probes.Break], finest: float) -> list[probes.Break]:
    """The breaks at other times than those that the solver was told of."""
    told = torch.as_tensor(case.settings["options"].get("jump_t", ()), dtype=torch.float64).reshape(-1).tolist()
    return [place for place in places if all(abs(place.t - t) > 2 * finest for t in told)]


def _jump(case: Case, jump: probes.Break, finest: float) -> Finding:
    """A jump in t, at any state; or one in the state, which comes at another time for another start."""
    y, spans = case.path(jump.t), [sorted((step.t, step.t + step.h)) for step in case.rejected]
    near = sum(a - finest <= jump.t <= b + finest for a, b in spans)
    seen = f"f jumps by {jump.size:.2g} of its size at t = {jump.t:.6g}"
    seen += f", and {near} of {len(spans)} rejected steps reach over it" if spans else ""
    in_t = probes.bisect(lambda s: case.f(s, y), jump.t - 100 * finest, jump.t + 100 * finest, finest)
    means = "no step is short enough there, and the solver finds the place by failing"
    if in_t.size > 0.3 * jump.size:
        exactly = probes.place_of(lambda s: case.f(s, y), jump.t - 2 * finest, jump.t + 2 * finest, case.eps > 1e-10)
        return Finding("jump", seen, means, f'options={{"jump_t": [{exactly!r}]}}')
    return Finding("jump", seen, means, "odeint_event, to stop where the state reaches it, or a func without the jump")


def batch(case: Case) -> list[Finding]:
    """One step size for all samples: are a few of them much faster than the rest?"""
    samples = len(case.y0) if isinstance(case.y0, Tensor) and case.y0.ndim > 1 else 1
    if not (samples >= 4 and case.method.adaptive and case.eigenvalue * case.span > 10):
        return []
    step, y, largest = max(case.states, key=lambda state: state[2])
    each = probes.eigenvalues(case.f, step.t, y, samples)
    top, middle = float(each.max()), float(each.median())
    if not (0.5 < top / largest < 2 and top > 10 * middle):
        return []
    seen = f"{int((each > top / 3).sum())} of {samples} samples have |λ| up to {top:.2g}, the median one {middle:.2g}"
    means = "all take the steps of the fastest, whose error is averaged over the batch"
    advice = 'options={"per_sample": True}, or solving such samples apart'
    return [Finding("uneven batch", seen, means, advice)]


def rejections(case: Case) -> list[Finding]:
    """Many rejected steps."""
    times = [step.t for step in case.rejected]
    if len(times) < 5 or len(times) < 0.35 * len(case.steps):
        return []
    low, high = np.quantile(times, [0.1, 0.9])
    seen = f"{len(times)} of {len(case.steps)} steps were rejected, most of them from t = {low:.3g} to {high:.3g}"
    advice = 'options={"controller": "PI"}, or a smoother func'
    return [Finding("rejections", seen, "f is rougher there than the error estimate expects", advice)]


def gradients(case: Case, found: Gradients) -> list[Finding]:
    """Gradients that are missing, that differ, or that cost too much."""
    out = []
    if found.closure:
        seen = f"func uses tensors that require a gradient and are not its parameters, {found.closure} in number"
        means = "odeint_adjoint and odeint_checkpoint give them none"
        out.append(Finding("closure", seen, means, "adjoint_params=(…), or Parameters of a Module"))
    if found.unused:
        seen = f"f does not depend on {', '.join(found.unused[:3])}{' …' if len(found.unused) > 3 else ''}"
        advice = "a look for detach(), no_grad() or a layer left out, unless they are the loss's"
        out.append(Finding("unused parameters", seen, "no solve gives them a gradient", advice))
    if found.checkpoint > max(1e-8, 1e4 * case.eps) or "checkpoint" in found.failed:
        seen = f"backpropagation and checkpoints differ by {found.checkpoint:.2g} of the gradient"
        seen = _reason(found.failed["checkpoint"]) if "checkpoint" in found.failed else seen
        means = "func is another function on the way back"
        out.append(Finding("checkpoint", seen, means, "func.eval(), and a func that changes nothing as it runs"))
    return [*out, *_adjoint(case, found), *_costs(case, found)]


def _adjoint(case: Case, found: Gradients) -> list[Finding]:
    """Is the adjoint's gradient right?"""
    tol = max(smallest(tol) or 0.0 for tol in case.tolerances) if case.method.adaptive else 1e-3
    error = found.failed.get("adjoint")
    grows = case.method.adaptive and not found.back < max(1e-2, 100 * tol)  # fixed steps may be coarse, no more
    if isinstance(error, MaxStepsReached) or (error is None and not found.adjoint > max(1e-3, min(0.3, 30 * tol))):
        return []
    seen = _reason(error) if error else f"the adjoint's gradient is off by {found.adjoint:.2g} of its size"
    seen += f", and y solved backwards misses y0 by {found.back:.2g} of its size" if found.back < 1e3 else ""
    seen += "" if found.back < 1e3 else ", and y solved backwards does not come back to y0"
    means = "what contracts on the way there grows on the way back, errors with it"
    means = means if grows else "it is the gradient of the flow, not that of the steps as computed"
    return [Finding("adjoint", seen, means, "odeint_checkpoint, exact at the memory of one step, or more output times")]


def _costs(case: Case, found: Gradients) -> list[Finding]:
    """Does the adjoint's way back cost much more than the way there?"""
    nfe, outputs, error = found.nfe.get("adjoint", 0), len(case.t) - 1, found.failed.get("adjoint")
    if not isinstance(error, MaxStepsReached) and (nfe <= 3 * case.nfe or nfe <= 50):
        return []
    seen = _reason(error) if error else f"the adjoint's way back takes {nfe} evaluations, the way there {case.nfe}"
    many = outputs > 4 and nfe > 6 * outputs
    means = (
        f"each of {outputs} intervals is a solve of its own" if many else "a and dL/dθ are harder to solve for than y"
    )
    advice = "odeint_checkpoint" + ("" if many else ', or adjoint_options={"norm": "seminorm"}')
    return [Finding("costly adjoint", seen, means, advice)]


def _reason(error: Exception) -> str:
    return str(getattr(error, "what", error)).partition("\n")[0]


def convergence_test(case: Case, loss: Callable[[Any], Any]) -> tuple[Convergence | None, list[Finding]]:
    """Is the network an ODE? None where func cannot be evaluated in double precision or solved accurately."""
    try:
        found = convergence(case.func, case.y0, case.t, loss, **case.settings)
    except (TypeError, ValueError, SolverError) as error:
        means, advice = "whether this is an ODE is open", 'convergence(…) with reference="scipy:Radau" if it is stiff'
        return None, [Finding("not judged", f"the convergence test fails {_reason(error)}", means, advice)]
    if found.verdict == "ODE":
        return found, []
    seen = f"the loss is {found.fit:.3g} with this solver and {found.solved:.3g} solved accurately, the states "
    seen += f"{found.apart:.2g} of the way apart"
    advice = "smaller steps or tolerances"
    advice = f"this solver with these steps wherever the network is used, or training with {advice}"
    advice = advice if found.verdict == "discrete" else "smaller steps or tolerances"
    return found, [Finding(found.verdict, seen, MEANING[found.verdict].partition(", ")[2], advice)]


def warned(heard: Sequence[warnings.WarningMessage], names: Sequence[str]) -> list[Finding]:
    """What solvers and func warned of, each once, unless a finding has said it with a number."""
    out: dict[str, Finding] = {}
    for text in dict.fromkeys(str(one.message) for one in heard):
        known = next((value for part, value in WARNINGS.items() if part in text), None)
        name, means, advice = known or ("warning", "this was warned of", "what it says")
        if name not in names:
            seen = text.partition(": ")[0] if known else text.partition("\n")[0]
            out.setdefault(name if known else text, Finding(name, seen, means, advice))
    return list(out.values())
