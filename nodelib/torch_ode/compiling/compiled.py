"""``options={"compile": True}``: the solver's own loop compiled along with func, once, and used by every later call.

Small states: the whole loop is one program (``loops.py``); large ones, and all on a GPU: a step is, and Python controls
it. Whatever the programs cannot do is done as without the option, after a sentence that says why (``cases.py``); and
whatever goes wrong in one, a step too small or a state not finite, is solved again without it, which then raises the
right error. The numpy twin has no such file.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nodelib.common.solution import Solution, Stats, Step
from nodelib.torch_ode.compiling import loops
from nodelib.torch_ode.compiling.cases import Case, Request, case_of
from nodelib.torch_ode.compiling.loops import CAPACITY, F64
from nodelib.torch_ode.compiling.programs import Changed, Compiled, Stay, compiled_of, mark_batch
from nodelib.torch_ode.modules import module_of
from nodelib.torch_ode.problem import prepare
from nodelib.torch_ode.steps import Segment, why


def asked_for(options: Any) -> bool:
    """Do the options ask for compilation? Raises TypeError where that is no truth value."""
    wanted = options.get("compile", False) if isinstance(options, Mapping) else False
    if not isinstance(wanted, bool):
        raise TypeError(f"option 'compile' must be True or False, got {wanted!r}")
    return wanted


def left_aside(func: Any, options: Any, reason: str) -> Any:
    """The options without compile; where it is asked for, it is said why."""
    if asked_for(options):
        compiled_of(func).say(reason)
    return (
        {key: value for key, value in options.items() if key != "compile"} if isinstance(options, Mapping) else options
    )


def compiled_solve(
    func: Callable, y0: Any, t: Any, method: Any, rtol: Any, atol: Any, options: Any, dense: bool
) -> Solution | None:
    """``solve`` by compiled programs; None where the options do not ask for it, or where it cannot be."""
    if not asked_for(options):
        return None
    params = trained(func) if torch.is_grad_enabled() else {}
    found = attempted(Request(func, y0, t, method, rtol, atol, options, dense, params, strict=True))
    return found and found.solution(t)


def compiled_checkpoint(
    func: Callable, y0: Any, t: Any, params: tuple[Tensor, ...], method: Any, rtol: Any, atol: Any, options: Any
) -> Tensor | None:
    """The states of ``odeint_checkpoint`` by compiled programs; None as ``compiled_solve``."""
    if not asked_for(options):
        return None
    if (named := named_among(func, options, params)) is None:
        return None
    found = attempted(Request(func, y0, t, method, rtol, atol, options, False, named, strict=False))
    return found and found.ys


def named_among(func: Callable, options: Any, params: tuple[Tensor, ...]) -> dict[str, Tensor] | None:
    """The params by their names in func; None after a sentence where one has none."""
    names = {id(p): name for name, p in trained(func).items()}
    if any(id(p) not in names for p in params):
        left_aside(func, options, "adjoint_params has a tensor that is no parameter of func")
        return None
    return {names[id(p)]: p for p in params}


def trained(func: Any) -> dict[str, Tensor]:
    """The parameters of func that require a gradient, by name."""
    module = module_of(func)
    return {} if module is None else {name: p for name, p in module.named_parameters() if p.requires_grad}


def attempted(request: Request, differentiable: Callable[..., "Found"] | None = None) -> "Found | None":
    """What the programs found; None after the sentence that says why there are none. ``differentiable``: (compiled,
    case, request) -> what they found, with a gradient; by default that of the steps as they were taken."""
    if differentiable is None:
        from nodelib.torch_ode.compiling.compiled_gradients import differentiable  # imports this module
    compiled = compiled_of(request.func)
    try:
        case = case_of(compiled, request)
        if request.followed:
            return differentiable(compiled, case, request)
        return run(compiled, case, request.func, request.y0)
    except Changed:
        compiled.known.clear()
        return attempted(request, differentiable)
    except Stay as reason:
        if str(reason):
            compiled.say(str(reason))
        return None


class Piece(NamedTuple):
    """The accepted steps of one entry: their number, times (t, t1), states at the ends, and slopes if they are kept.

    ``outputs``: the indices of the output times that fall into them.
    """

    n: Tensor
    spans: Tensor
    states: Any
    slopes: Tensor | None
    outputs: range


@dataclass
class Found:
    """What a solve by programs found, and the pieces that it kept.

    f1: f(t[-1], y[-1]) where it is known.  look: is shown the first slope of an embedded pair.
    """

    case: Case
    ys: Tensor
    f1: Tensor | None = None
    look: Callable[[Tensor], None] | None = None
    log: list[Step] = field(default_factory=list)
    nfe: int = 0
    pieces: list[Piece] = field(default_factory=list)

    def take(self, read: list[float], done: bool, y: Tensor, func: Callable) -> None:
        """Take in what a program has told behind t and h. Raises ``Stay`` where the solve cannot go on, so that the
        eager one says why, and MaxStepsReached."""
        attempts, _, failed, finite, *log = read
        rows = zip(*[iter(log)] * 4, range(int(attempts)), strict=False)
        self.log += [Step(t, h, ratio, accepted > 0) for t, h, ratio, accepted, _ in rows]
        if failed or not finite:
            raise Stay
        if not done and len(self.log) >= self.case.limit:
            _, rtol, atol, *_ = self.case.limits
            problem = prepare(func, y, self.case.times, self.case.method.name, rtol, atol)
            problem.log = self.log
            raise why(problem, problem.y0).too_many(int(self.case.limit))

    def solution(self, t: Any) -> Solution:
        """All of it, as ``solve`` returns it."""
        from nodelib.torch_ode.solve import Interpolant  # imports this module

        accepted = sum(step.accepted for step in self.log)
        stats = Stats(self.nfe, accepted, len(self.log) - accepted)
        interpolant = Interpolant(self.segments(), self.case.form) if self.case.dense else None
        return Solution(t, self.ys, stats, tuple(self.log), interpolant)

    def segments(self) -> list[Segment]:
        """The accepted steps as those of ``steps.py``."""
        dense, found = np.array(self.case.rows.dense), []
        for n, spans, states, slopes, _ in self.pieces:
            assert slopes is not None
            for (t, t1), y, y1, k, _ in zip(spans.tolist(), states, states[1:], slopes, range(int(n)), strict=False):
                y, y1, h = y.reshape(-1), y1.reshape(-1), t1 - t
                found.append(Segment(t, h, y, y1, k.reshape(len(k), -1), dense, (t, h), t1, (None, None)))
        return found


@torch.no_grad()
def run(compiled: Compiled, case: Case, func: Callable, y0: Tensor) -> Found:
    """Solve by the programs of the case; raises ``Stay``."""
    before, programs, y = compiled.counts(), compiled.compiles(), y0.detach().contiguous()
    found = Found(case, y.new_empty(len(case.times), *y.shape))
    try:
        y1 = entered(compiled, case, func, (), y, found)
    except Stay:
        compiled.count(before, 0)
        raise
    if not case.inner:
        found.ys = torch.stack([y, y1])
    elif not case.whole:
        found.ys[0], found.ys[-1] = y, y1
    compiled.count(before, found.nfe)
    if compiled.compiles() > programs:
        raise Changed
    return found


def entered(compiled: Compiled, case: Case, func: Callable, params: Any, y: Tensor, found: Found) -> Tensor:
    """Take all steps by the programs of the case, params being those of its flow; returns the last state."""
    solver = (adaptive_entries if case.whole else adaptive_steps) if case.method.adaptive else fixed_entries
    return solver(compiled, case, func, params, y, found)


def adaptive_entries(compiled: Compiled, case: Case, func: Callable, params: Any, y: Tensor, found: Found) -> Tensor:
    """The steps of an embedded pair by its loop, entered again while some are left; returns the last state."""
    rows, norm, kept, flow = case.rows, case.norm, case.kept, case.flow
    (t_end, *_), t, h = case.limits, case.times[0], case.first_step

    def loop(func, params, numbers, y, k0, *outputs):
        told, y, k0, n, *buffers = loops.adaptive_loop(flow(func, params), rows, norm, kept, numbers, y, k0)
        return told, y, k0, n, *with_outputs(case, outputs, n, buffers)

    program = compiled.program((case.key, "there"), loop, case.what, y.device.type)
    shown, k0, found.nfe, first = compiled.shown(func), torch.empty_like(y), 1 + (h == 0), True
    while t != t_end:
        room = 0 if first and found.look else min(CAPACITY, case.limit - len(found.log))
        numbers = torch.tensor([t, h, *case.limits, room, first], dtype=F64)
        if case.any_batch:
            mark_batch((y, 0), (k0, 0), (found.ys, 1))
        outputs = (case.t, found.ys) if case.inner else ()
        told, y, k0, n, *buffers = program(shown, params, numbers, y, k0, *outputs)
        t0, (t, h, *read) = t, told.tolist()
        found.take(read, t == t_end, y, flow(func, params))
        if first and found.look:
            found.look(k0)
        keep_all(case, found, n, buffers, t0, t)
        first = False
    found.nfe += (len(rows.b) - rows.fsal) * len(found.log)
    found.f1 = k0
    return y


def with_outputs(case: Case, outputs: Any, n: Tensor, buffers: list[Tensor]) -> list[Tensor]:
    """The buffers of an entry, and, where there are outputs (t, ys), ys with those that fall into it."""
    if not outputs:
        return buffers
    (t, ys), (spans, states, *slopes) = outputs, buffers
    return [*buffers, loops.interpolate(case.rows, t, ys, n, spans, states, slopes[0] if slopes else None)]


def adaptive_steps(compiled: Compiled, case: Case, func: Callable, params: Any, y: Tensor, found: Found) -> Tensor:
    """The steps of an embedded pair, each by a program, which a GPU is asked about once; returns the last state."""
    rows, norm, kept, flow = case.rows, case.norm, case.kept, case.flow
    (t_end, *_), t, h, f = case.limits, case.times[0], case.first_step, case.flow(func, params)

    def step(func, params, numbers, y, k0):
        return loops.adaptive_step(flow(func, params), rows, norm, kept, numbers, y, k0)

    program = compiled.program((case.key, "there"), step, case.what, y.device.type)
    shown, found.nfe, k0 = compiled.shown(func), 1 + (h == 0), f(y.new_tensor(t), y).clone()
    numbers = torch.tensor([t, h, *case.limits], dtype=F64, device=y.device)
    if found.look:
        found.look(k0)
    if not h:
        now, _, end, *tolerances = numbers[:5]
        numbers[1] = loops.select_first_step(f, rows, norm, y, k0, now, end, tolerances)
    while t != t_end:
        if case.any_batch:
            mark_batch((y, 0), (k0, 0))
        told, y1, k0, numbers, spans, *slopes = program(shown, params, numbers, y, k0)
        t0, (t, _, *read) = t, told.tolist()
        found.take(read, t == t_end, y, f)
        if found.log[-1].accepted:
            keep_one(case, found, y, y1, spans, slopes, t0, t)
        y = y1
    found.nfe += (len(rows.b) - rows.fsal) * len(found.log)
    found.f1 = k0
    return y


def fixed_entries(compiled: Compiled, case: Case, func: Callable, params: Any, y: Tensor, found: Found) -> Tensor:
    """The steps from each time of the grid to the next, by the loop or each by a program; returns the last state."""
    rows, kept, flow, grid, at = case.rows, case.kept, case.flow, case.grid, 0

    def loop(func, params, times, n, y, *outputs):
        y, n, *buffers = loops.fixed_loop(flow(func, params), rows, kept, times, n, y)
        return y, n, *with_outputs(case, outputs, n, buffers)

    def step(func, params, times, y):
        return loops.fixed_step(flow(func, params), rows, kept, times, y)

    function = loop if case.whole else step
    program, shown = compiled.program((case.key, "there"), function, case.what, y.device.type), compiled.shown(func)
    for times, n, steps in case.pieces:
        t, t1 = grid[at], grid[at + steps]
        if case.any_batch:
            mark_batch((y, 0), (found.ys, 1))
        if case.whole:
            outputs = (case.t, found.ys) if case.inner else ()
            y, n, *buffers = program(shown, params, times, n, y, *outputs)
            keep_all(case, found, n, buffers, t, t1)
        else:
            y1, spans, *slopes = program(shown, params, times, y)
            keep_one(case, found, y, y1, spans, slopes, t, t1)
            y = y1
        at += steps
    if not bool(torch.isfinite(y).all()):
        raise Stay
    found.log = [Step(t, t1 - t, float("nan"), True) for t, t1 in pairwise(grid)]
    found.nfe = len(rows.b) * len(found.log)
    return y


def keep_all(case: Case, found: Found, n: Tensor, buffers: list[Tensor], t: float, t1: float) -> None:
    """Keep the steps of an entry of the loop, and its outputs."""
    if case.inner:
        *buffers, found.ys = buffers
    if case.kept.states:
        spans, states, *slopes = buffers
        found.pieces.append(Piece(n, spans, states, slopes[0] if slopes else None, between(case, t, t1)))


def keep_one(
    case: Case, found: Found, y: Tensor, y1: Tensor, spans: Tensor, slopes: list[Tensor], t: float, t1: float
) -> None:
    """Keep one accepted step, and its outputs."""
    if not case.kept.states:
        return
    indices, one = between(case, t, t1), torch.ones((), dtype=torch.int64, device=y.device)
    if indices:
        where = slice(indices.start, indices.stop)
        found.ys[where] = loops.interpolate(
            case.rows, case.t[where], found.ys[where], one, spans, torch.stack([y, y1]), *slopes
        )
    found.pieces.append(Piece(one, spans, (y, y1), slopes[0] if case.dense else None, indices))


def between(case: Case, t: float, t1: float) -> range:
    """The indices of the output times after t, up to t1."""
    sign = 1 if case.times[-1] > case.times[0] else -1
    ahead = [sign * s for s in case.times]
    return range(bisect_right(ahead, sign * t), bisect_right(ahead, sign * t1))
