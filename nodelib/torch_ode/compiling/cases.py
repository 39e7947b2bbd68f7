"""What can be compiled, and for what: a first look at the arguments of a solve with the option compile.

The numpy twin has no such file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nodelib.common.arguments import MAX_NUM_STEPS, Method, grid_of
from nodelib.torch_ode.compiling.loops import CAPACITY, F64, Kept, Norm, Rows, rms, rows_of
from nodelib.torch_ode.compiling.programs import Compiled, Stay, counters_between, integers_of, missing, parts_of
from nodelib.torch_ode.forms import Form
from nodelib.torch_ode.inputs import as_times
from nodelib.torch_ode.look import Look
from nodelib.torch_ode.modes import Cast, transformed
from nodelib.torch_ode.modules import CALLBACKS, modes_of, module_of
from nodelib.torch_ode.problem import Problem, prepare

# Entries of a state above which a step is compiled, and not the loop, which has room for 64 states. What either takes
# of the eager solve's time, for a tanh network 2-width-2 in batches (float32, bosh3, rtol 1e-4, processor time of one
# thread, shared AVX-512 CPU, torch 2.13; medians of runs in turn; loop / step, – where it was not tried):
#
#     entries                   40        512         4,096       16,384       32,768       65,536
#     forward, width 16      0.43 / –       –       0.55 / –    0.67 / 0.86  0.74 / 0.87   – / 0.96
#     forward, width 64         –      0.42 / 0.82  0.57 / 0.91      –            –       0.77 / 0.89
#     forward, width 256     0.38 / –       –       0.71 / –    0.99 / 1.04  1.10 / 0.91     – / 0.82
#     iteration, width 16    0.28 / –       –       0.49 / –    0.90 / 0.67  1.13 / 0.86   – / 0.75
#     iteration, width 64       –      0.29 / 0.50  0.48 / 0.63      –            –       0.90 / 0.91
#     iteration, width 256   0.27 / –       –       0.62 / –    0.78 / 0.80  0.85 / 0.84     – / 0.73
LARGE = 16_384
SIZES = 2  # batch sizes that have programs of their own; a third one makes one for all others
LENGTHS = 4  # numbers of output times that have programs; with a further one a solve stays as it is
TAKEN = {"compile", "first_step", "min_step", "max_step", "max_num_steps", "step_size", "controller"}


class Request(NamedTuple):
    """What was asked for. ``params``: the tensors whose gradients are wanted, by their names in func; ``strict``: a
    tensor that func uses and that requires a gradient must be among them; ``tape``: the gradient is that of the steps
    as they were taken, which are kept for it."""

    func: Callable
    y0: Any
    t: Any
    method: Any
    rtol: Any
    atol: Any
    options: Mapping
    dense: bool
    params: Mapping[str, Tensor]
    strict: bool
    tape: bool = True

    @property
    def followed(self) -> bool:
        """Is a gradient wanted?"""
        return torch.is_grad_enabled() and (bool(self.params) or self.y0.requires_grad)


def itself(func: Callable, params: Any) -> Callable:
    """What a solve integrates, unless its ``Case`` says otherwise."""
    return func


@dataclass(eq=False)
class Case:
    """All that a solve of this kind needs but y0.

    key:     what its programs are made for; ``any_batch``: whatever the size of the first axis.
    whole:   is the loop compiled, or a step of it?
    t:       the output times, float64; ``inner``: more than the two ends.
    limits:  t_end, rtol, atol, min_step, max_step; ``limit``: of attempts; first_step: 0 where none is given.
    pieces:  of the grid of fixed steps, each entry's times with their number of steps; ``grid``: all of it.
    flow:    (func, params) -> what is integrated; ``norm``: of its error ratios; ``names``: of its loop and its step.
    backs:   the cases of the adjoint's solves from each output time to the one before, by what they are made for.
    """

    key: tuple
    any_batch: bool
    method: Method
    rows: Rows
    kept: Kept
    whole: bool
    times: list[float]
    t: Tensor
    limits: list[float]
    limit: float
    first_step: float
    grid: list[float]
    pieces: list[tuple[Tensor, Tensor, int]]
    dense: bool
    form: Form
    flow: Callable[[Callable, Any], Callable] = itself
    norm: Norm = rms
    names: tuple[str, str] = ("the solve", "a step")
    backs: dict[Any, list["Case"]] = field(default_factory=dict)

    @property
    def inner(self) -> bool:
        """Are there outputs between the ends?"""
        return len(self.times) > 2

    @property
    def what(self) -> str:
        """What its program is called."""
        return self.names[not self.whole]


def case_of(compiled: Compiled, asked: Request) -> Case:
    """The case of these arguments, after a first look at them where they are new; raises ``Stay`` with the reason."""
    y0, t = asked.y0, asked.t if isinstance(asked.t, Tensor) else as_times(asked.t)
    if reason := unfit_tensors(asked.func, y0, t):
        raise Stay(reason)
    settings = (asked.method, asked.rtol, asked.atol, *asked.options.items(), asked.dense, asked.strict, asked.tape)
    graph, bound = torch.is_grad_enabled(), unwatched(asked.func)
    try:
        key = (
            *t.tolist(),
            t.ndim,
            y0.shape,
            y0.dtype,
            y0.device,
            graph,
            y0.requires_grad,
            bound,
            *settings,
            *asked.params,
        )
        case = compiled.known.get(key)
    except TypeError:  # something that is no number, or not flat
        raise Stay(unfit_options(asked.rtol, asked.atol, asked.options)) from None
    if case is None:
        if len(compiled.known) > 1000:
            compiled.known.clear()
        case = compiled.known[key] = first_look(compiled, asked)
    if isinstance(case, str):
        raise Stay(case)
    return case


def unwatched(func: Any) -> tuple[Any, ...]:
    """What a call of func runs and torch does not watch: the functions of its classes, and the hooks of its Modules."""
    found = [getattr(func, "__func__", None)]
    for part in parts_of(func):
        found.append(getattr(type(part), "forward", None) or type(part).__call__)
        if isinstance(part, nn.Module) and (part._forward_hooks or part._forward_pre_hooks):
            found += (*part._forward_hooks.values(), *part._forward_pre_hooks.values())
    return tuple(found)


def unfit_tensors(func: Any, y0: Any, t: Tensor) -> str:
    """Why a solve with this state and these times stays as it is, if so."""
    if not isinstance(y0, Tensor):
        return "the state is a tuple, and programs are made for one tensor"
    if y0.is_complex():
        return "the state is complex"
    if transformed():
        return "torch.func or forward-mode differentiation follows it"
    if isinstance(func, Cast):
        return "autocast is on"
    if t.requires_grad and torch.is_grad_enabled():
        return "a gradient of the times t is wanted"
    return missing(y0.device.type)


def unfit_options(rtol: Any, atol: Any, options: Mapping) -> str:
    """Why a solve with these settings stays as it is, if so."""
    if others := sorted(set(options) - TAKEN):
        return f"option {others[0]!r} is not compiled"
    if options.get("controller", "I") != "I":
        return "the PI controller is not compiled"
    numbers = all(x is None or isinstance(x, int | float) for x in (rtol, atol))
    return "" if numbers else "tolerances for each entry of y are not compiled"


def unfit_method(method: Method) -> str:
    """Why a solve by this method stays as it is, if so."""
    return "" if method.kind == "rk" else f"{method.name} is no Runge-Kutta method"


def first_look(compiled: Compiled, asked: Request) -> Case | str:
    """The case of arguments that are new, or why there is none; raises what ``solve`` raises for bad ones."""
    func, followed, module = asked.func, asked.followed, module_of(asked.func)
    if module is not None and any(modes_of(module)):  # raised, not remembered: func.eval() may come
        raise Stay("func has layers in training mode that are another function at each evaluation")
    before, hidden, buffers = integers_of(func), [], buffers_of(module)

    def look(f: Tensor, y: Tensor) -> None:
        seen = Look(tuple(asked.params.values()), Form(asked.y0))
        if asked.strict:
            seen.meet(f, (y,))
            hidden.extend(seen.strangers or ())
        else:
            seen.first(f, y)

    settings = (asked.method, asked.rtol, asked.atol, asked.options)
    problem = prepare(func, asked.y0, asked.t, *settings, look=look if followed else None)
    changed = put_back(buffers)
    if not compiled.counters:
        compiled.counters = counters_between(before, integers_of(func))
        compiled.read = compiled.counters != [] and not changed and reads_counters(compiled, asked)
    compiled.count({key: value for key, (_, value) in before.items()}, 0)
    if changed or compiled.read:
        return f"func changes {'a buffer' if changed else 'and uses a counter'} at each evaluation"
    if len(problem.times) == 1:
        return ""
    if hidden or (problem.graph and not followed):
        return "func uses a tensor that requires a gradient and is not among its parameters"
    if reason := unfit_options(asked.rtol, asked.atol, asked.options) or unfit_method(problem.method):
        return reason
    if any(hasattr(func, name) for name in CALLBACKS):
        return "func has callbacks"
    return made(compiled, problem, asked, unwatched(func))


@torch.no_grad()
def reads_counters(compiled: Compiled, asked: Request) -> bool:
    """Is func another function after an evaluation, or with its counters at 0?"""
    t = asked.y0.new_tensor(float(asked.t[0]))
    first, *others = (f(t, asked.y0) for f in (asked.func, asked.func, compiled.shown(asked.func)))
    return not all(torch.equal(first, other) for other in others)


def buffers_of(module: nn.Module | None) -> list[tuple[Tensor, int, Tensor]]:
    """The buffers of a Module, with their versions and copies."""
    return [] if module is None else [(x, x._version, x.clone()) for x in module.buffers() if not x.is_inference()]


@torch.no_grad()
def put_back(buffers: list[tuple[Tensor, int, Tensor]]) -> bool:
    """Have buffers changed? If so, they are put back."""
    changed = [(x, was) for x, version, was in buffers if x._version != version]
    for x, was in changed:
        x.copy_(was)
    return changed != []


def made(compiled: Compiled, problem: Problem, asked: Request, bound: Any) -> Case | str:
    """The case of a checked problem, or why there is none; ``bound``: as ``unwatched``."""
    y0, options, method, times, form = problem.y0, problem.options, problem.method, problem.times, problem.form
    inner, whole, grid = len(times) > 2, as_loop(y0.device, y0.numel()), grid_in(times, method, options)
    taped = asked.followed and asked.tape
    kept = Kept(inner or asked.dense or taped, asked.dense or (inner and grid != times))
    batch, *shape = form.shapes[0] or (0,)
    if whole and inner:
        compiled.lengths.add(len(times))
        if len(compiled.lengths) > LENGTHS:
            return "the number of output times keeps changing, and each would have a program: give equally many"
    sizes = compiled.sizes.setdefault(tuple(shape), [])
    if batch not in sizes and len(sizes) < SIZES:
        sizes.append(batch)
    any_batch = batch not in sizes and batch > 1
    outputs = len(times) if inner and whole else 2
    key = ("any" if any_batch else batch, *shape, y0.dtype, str(y0.device), method.name, kept, whole, outputs, bound)
    tols = (problem.rtol, problem.atol)
    return assembled(key, any_batch, method, kept, whole, times, grid, tols, options, y0.device, asked.dense, form)


def as_loop(device: torch.device, entries: int) -> bool:
    """Is the loop compiled for a state of so many entries, or a step of it?"""
    return device.type == "cpu" and entries <= LARGE


def grid_in(times: list[float], method: Method, options: Mapping) -> list[float]:
    """The ends of fixed steps."""
    if method.adaptive:
        return []
    return [*grid_of(times, options["step_size"]), times[-1]] if "step_size" in options else times


def assembled(
    key: tuple,
    any_batch: bool,
    method: Method,
    kept: Kept,
    whole: bool,
    times: list[float],
    grid: list[float],
    tols: tuple[float, float],
    options: Mapping,
    device: torch.device,
    dense: bool,
    form: Form,
) -> Case:
    """The case with these settings, that have been checked."""
    return Case(
        key,
        any_batch,
        method,
        rows_of(method.tableau, method.order),  # type: ignore[arg-type]
        kept,
        whole,
        times,
        torch.tensor(times, dtype=F64, device=device),
        [times[-1], *tols, options.get("min_step", 0.0), options.get("max_step", inf)],
        options.get("max_num_steps", MAX_NUM_STEPS),
        options.get("first_step", 0.0),
        grid,
        pieces_of(grid, CAPACITY if whole else 1, device),
        dense,
        form,
    )


def pieces_of(grid: list[float], steps: int, device: torch.device) -> list[tuple[Tensor, Tensor, int]]:
    """The grid in pieces of that many steps, the last filled up, each with the number of its steps, twice."""
    found = []
    for start in range(0, len(grid) - 1, steps):
        part = grid[start : start + steps + 1]
        full = part + part[-1:] * (steps + 1 - len(part))
        count = torch.tensor(len(part) - 1, device=device)
        found.append((torch.tensor(full, dtype=F64, device=device), count, len(part) - 1))
    return found
