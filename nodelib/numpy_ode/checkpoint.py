"""The checkpointed gradient: exact for the solution as computed, storing one state per step.

On the way forward only the accepted steps are kept: when each began, and from which state. On the way back each is
taken again, now with a graph, and differentiated; then its graph is dropped. So the gradient is that of backpropagation
through the solver, to round-off, for the memory of one step's graph. Zhuang et al., "Adaptive checkpoint adjoint
method" (ICML 2020). The adjoint of ``adjoint.py`` needs not even the states, but solves for another gradient.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import make_vjp
from autograd.extend import defvjp_argnums, primitive

from nodelib.numpy_ode.adjoint import first_order_only, must_be_the_same, without_box
from nodelib.numpy_ode.inputs import as_array, as_params, as_times
from nodelib.numpy_ode.multistep import adams_segment
from nodelib.numpy_ode.problem import Array, Counted, Problem, prepare
from nodelib.numpy_ode.solve import check_end, outputs, steps
from nodelib.numpy_ode.steps import Segment, Stages, rk_segment

Tape = list[tuple[Segment, int]]  # accepted steps, each with the index of the first output that may fall into it


def odeint_checkpoint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    *,
    method: str = "dopri5",
    rtol=None,
    atol=None,
    options=None,
    adjoint_params: Any = (),
    event_fn: Callable[[Any, Any], Any] | None = None,
) -> Any:
    """As ``odeint``, differentiable by autograd in y0, t and adjoint_params; each step is taken again on the way back.

    func:            (t, y, *adjoint_params) -> array like y0, in operations that autograd knows.
    adjoint_params:  the arrays that func depends on, as for ``odeint_adjoint``.
    event_fn:        solve until an event, as ``odeint`` does.

    The gradient is that of the discrete solution, equal to backpropagation through ``odeint`` up to round-off. It is
    a first derivative. Raises what ``odeint_adjoint`` raises, and TypeError for SciPy's methods, whose steps cannot be
    taken again.
    """
    if str(method).startswith("scipy"):
        raise TypeError(f"{method} does not let its steps be taken again: use odeint_adjoint, or another method")
    forward = {"method": method, "rtol": rtol, "atol": atol, "options": options}
    if event_fn is not None:
        from nodelib.numpy_ode.events import odeint_until  # imports this module

        return odeint_until(odeint_checkpoint, func, y0, t, event_fn, adjoint_params=adjoint_params, **forward)
    params, func = as_params(adjoint_params, func)
    return _solution(as_array(y0), as_times(t), *params, func=func, forward=forward, kept={})


@primitive
def _solution(y0: Array, t: Array, *params: Array, func: Callable, forward: dict, kept: dict) -> Array:
    problem = prepare(lambda s, y: func(s, y, *params), y0, t, **forward)
    problem.boxed = True  # the arithmetic of backpropagation, so that each step can be taken again bit for bit
    tape: Tape = []
    ys: list[Any] = []

    def recorded() -> Iterator[Segment]:
        for segment in steps(problem):
            tape.append((segment._replace(k=None), len(ys)))
            yield segment

    ys.extend(y for _, y in outputs(problem, recorded() if len(problem.times) > 1 else ()))
    check_end(problem, ys)
    kept |= {"problem": problem, "tape": tape}
    return without_box(anp.stack(ys)).reshape((len(ys), *problem.shape))


def _gradient_maker(argnums: tuple[int, ...], ys: Array, args: tuple, settings: dict) -> Callable[[Array], list]:
    """What autograd calls on the way back: g = dL/dys -> the gradients of the arguments in ``argnums``."""
    _, t, *params = args
    kept = settings["kept"]

    def gradients(g: Array) -> list[Array]:
        first_order_only(g, *args)
        a, dt, dparams = checkpoint_gradients(settings["func"], kept["problem"], kept["tape"], t, params, g)
        every = (a.reshape(ys[0].shape), dt, *dparams)
        return [every[i] for i in argnums]

    return gradients


defvjp_argnums(_solution, _gradient_maker)


def checkpoint_gradients(
    func: Callable, problem: Problem, tape: Tape, t: Array, params: list[Array], g: Array
) -> tuple[Array, Array, list[Array]]:
    """(dL/dy0, dL/dt, [dL/dθ]) from g = dL/dys: the steps of the tape, last first, each taken again with a graph."""
    g = g.reshape((len(g), -1))
    a, dt, dparams = np.zeros_like(g[0]), np.zeros(len(t)), [np.zeros_like(p) for p in params]
    later = np.zeros((0, a.size))  # gradients of the slopes that an Adams method carried into the steps after this one
    stops = [*(first for _, first in tape[1:]), *([len(t)] if tape else [])]
    for (segment, first), stop in zip(reversed(tape), reversed(stops), strict=True):
        carried = np.array([slope for _, slope in segment.past[1:]]).reshape(-1, a.size)

        def again(y, carried, t, *params, segment=segment, inside=range(first, stop)):
            """The step's results as one vector: its end, the outputs inside it, its own slope."""
            new = replace(problem, func=Counted(lambda s, y: func(s, y, *params), problem.shape), t=t, boxed=True)
            taken, slope = take_again(new, segment, y, carried)
            ys = [taken.at(problem.times[i], new.time(problem.times[i], i), i) for i in inside]
            return anp.concatenate([taken.y1, *ys, slope])

        product, results = make_vjp(again, tuple(range(3 + len(params))))(segment.y, carried, t, *params)  # type: ignore
        must_be_the_same(segment.y1, results[: a.size], segment.t)
        own = later[0] if len(later) else np.zeros_like(a)
        a, dcarried, dt_part, *parts = product(np.concatenate([a, *g[first:stop], own]))
        later = dcarried + np.pad(later[1:], ((0, len(carried) - len(later[1:])), (0, 0)))
        dt, dparams = dt + dt_part, [d + part for d, part in zip(dparams, parts, strict=True)]
    return a + g[0], dt, dparams


def take_again(problem: Problem, segment: Segment, y: Any, carried: Any) -> tuple[Segment, Any]:
    """The step of ``segment`` from the state y and the slopes it was handed; and its own first slope."""
    slope = problem.func(problem.time(segment.t, segment.ends[0]), y)
    if problem.method.kind == "adams":
        known = enumerate(point for point, _ in segment.past[1:])
        past = (((segment.t, segment.ends[0]), slope), *((point, carried[j]) for j, point in known))
        return adams_segment(problem, y, segment.t, segment.t1, segment.ends, past), slope
    stages = Stages(problem.method.tableau, problem)  # type: ignore[arg-type]
    stages.k[0] = slope
    return rk_segment(problem, stages, y, segment.t, segment.t1, segment.ends), slope
