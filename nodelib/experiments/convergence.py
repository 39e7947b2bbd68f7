"""The convergence test: is a trained network an ODE, or a discrete network that knows its solver's steps?

*Solve the trained field ever more finely, until the answer stays. If it fits the data about as well as in training, the
network is an ODE. If it fits worse, the weights belong to the training's step: discrete.* Refining alone does not tell,
since any network settles in the end, on some equation; and the order that is seen in settling does not either.

Ott, Katiyar, Hennig & Tiemann, "ResNet after all: neural ODEs and their numerical solution" (ICLR 2021); see also
Queiruga et al. (2020) and Krishnapriyan et al. (2023). ``nodelib.chapters.chapter6.convergence`` has its table and
picture.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nodelib.common.arguments import METHODS, check_method, check_order, default_tolerances, smallest
from nodelib.common.solution import Solution, SolverError
from nodelib.torch_ode import solve
from nodelib.torch_ode.modules import module_of
from nodelib.torch_ode.problem import MORE_OPTIONS

WORSE, MARGIN, CLOSE = 1.5, 0.01, 0.05  # rules of thumb; networks trained on two rings lie well apart
FINEST = 1e-13  # no tolerance below it: double precision cannot resolve that
MEANING = {
    "discrete": "solved accurately, the field fits worse than in training: the weights belong to the training's steps",
    "not converged": "solved accurately, the field fits as in training, but its states are others: refine before use",
    "ODE": "solved accurately, the field fits as in training and gives the same states: any accurate solver will do",
}


class Row(NamedTuple):
    """One solution: its solver in words; how many times finer than the training's (inf: the reference); the loss; how
    far its states are from the reference's, as a part of the way; and its evaluations."""

    solver: str
    factor: float
    loss: float
    apart: float
    nfe: int


@dataclass(frozen=True)
class Convergence:
    """What ``convergence`` found.

    verdict:  "ODE", "discrete" or "not converged"; what each means is in ``MEANING``.
    rows:     the training's solver first, then ever finer ones, the reference last.
    adaptive: whether refining means smaller tolerances, or else shorter steps.
    limit:    the loss above which the reference counts as worse than the training's.
    close:    the distance of states above which they count as others.
    """

    verdict: str
    rows: tuple[Row, ...]
    adaptive: bool
    limit: float
    close: float

    @property
    def fit(self) -> float:
        """The loss with the training's solver."""
        return self.rows[0].loss

    @property
    def solved(self) -> float:
        """The loss of the field's own solution."""
        return self.rows[-1].loss

    @property
    def apart(self) -> float:
        """How far the training's states are from the field's own, as a part of the way."""
        return self.rows[0].apart

    def __str__(self) -> str:
        return (
            f"{self.verdict}: loss {self.fit:.3g} with {self.rows[0].solver}, {self.solved:.3g} with "
            f"{self.rows[-1].solver}; states {self.apart:.2g} of the way apart. {MEANING[self.verdict]}"
        )


def judge(
    fit: float, solved: float, apart: float, worse: float = WORSE, margin: float = MARGIN, close: float = CLOSE
) -> str:
    """The verdict: "discrete" if solved > max(worse · fit, fit + margin), or is nan; else "not converged" if
    apart > close; else "ODE"."""
    if not solved <= max(worse * fit, fit + margin):
        return "discrete"
    return "ODE" if apart <= close else "not converged"


@torch.no_grad()
def convergence(
    func: Callable[[Any, Any], Any],
    z0: Any,
    t: Any,
    loss: Callable[[Any], Any],
    *,
    method: str = "dopri5",
    rtol: Any = None,
    atol: Any = None,
    options: Any = None,
    refinements: int = 4,
    reference: str = "dopri5",
    tol: float = 1e-9,
    worse: float = WORSE,
    margin: float = MARGIN,
    close: float = CLOSE,
) -> Convergence:
    """Solve z' = func(t, z) as in training, ever more finely, and accurately; compare the losses and the states.

    func, z0, t: as for ``nodelib.torch_ode.solve``: the trained field, a batch of states, two or more times.
    loss:        the states at t, (len(t), *z0.shape) and in z0's dtype, or a tuple of such -> one number, as in
                 training. ``margin`` is in its units.
    method, rtol, atol, options: the solver of the training, with the defaults of z0's dtype.
    refinements: how many finer solutions: each step halved again, or tolerances divided by 10 as long as they stay
                 above ``tol``.
    reference, tol: method and tolerance, relative and absolute, of the accurate solution; a tenth of the training's if
                 that is smaller. A stiff field needs "scipy:Radau".
    worse, margin, close: those of ``judge``.

    All is solved in double precision. A func that is a Module, or a method of one, is copied, so that its dtype, mode,
    buffers and counters stay as they are. Raises ValueError for a loss that is no finite number in training, a func
    that is not the same twice, or fewer than two times; TypeError for a func that cannot be evaluated in double
    precision; and what ``solve`` raises, with the solver's name before it.
    """
    if refinements < 0:
        raise ValueError(f"refinements must be 0 or more, not {refinements}")
    if len(t) < 2:
        raise ValueError(f"t must have two times at least, a start and an end, not {len(t)}")
    parts = z0 if isinstance(z0, tuple | list) else (z0,)
    if not all(isinstance(part, Tensor) and part.is_floating_point() for part in parts):
        raise TypeError("z0 must be a tensor of real floating-point numbers, or a tuple of such")
    check_order(func)
    chosen, options = check_method(method, options, MORE_OPTIONS)
    if not METHODS[check_method(reference, None, MORE_OPTIONS)[0].name].adaptive:
        raise ValueError(f"reference must be an adaptive method, not {reference}: it is given a tolerance")
    z, field = _map(lambda part: part.double(), z0), double(func, z0, t)

    def solved(**settings: Any) -> Solution:
        try:
            return solve(field, z, t, **settings)
        except SolverError as error:
            raise type(error)(f"with {settings['method']}, {_setting(settings)}: {error.what}", error.advice) from error

    if chosen.adaptive:
        defaults = default_tolerances(torch.finfo(parts[0].dtype).eps)
        given = [default if tol is None else tol for default, tol in zip(defaults, (rtol, atol), strict=True)]
        tol = max(FINEST, min(tol, 0.1 * min(size for size in map(_least, given) if size > 0)))
        plans = _tolerances(method, given, options, refinements, tol)
        found = [(factor, settings, solved(**settings)) for factor, settings in plans]
    else:
        first = solved(method=method, options=options)
        found = [(1.0, {"method": method}, first)]
        plans = _grids(method, first, options, refinements)
        found += [(factor, settings, solved(**settings)) for factor, settings in plans]
    settings = {"method": reference, "rtol": tol, "atol": tol}
    found.append((math.inf, settings, solved(**settings)))
    return _judged(found, chosen.adaptive, loss, z0, worse, margin, close)


def _judged(found: list, adaptive: bool, loss: Any, z0: Any, worse: float, margin: float, close: float) -> Convergence:
    truth = _flat(found[-1][2].y)
    way = float((truth - truth[0]).norm())
    rows = []
    for factor, settings, sol in found:
        gap = float((_flat(sol.y) - truth).norm())
        steps = f"{len(sol.steps)} step{'s' * (len(sol.steps) > 1)}"
        solver = f"{settings['method']}, {_setting(settings) if 'rtol' in settings else steps}"
        rows.append(
            Row(solver, factor, _number(loss, sol.y, z0), gap / way if way else gap and math.inf, sol.stats.nfe)
        )
    fit, solved, apart = rows[0].loss, rows[-1].loss, rows[0].apart
    if not math.isfinite(fit):
        raise ValueError(f"loss is {fit} with {rows[0].solver}, the training's solver: check the loss and the solver")
    limit = max(worse * fit, fit + margin)
    return Convergence(judge(fit, solved, apart, worse, margin, close), tuple(rows), adaptive, limit, close)


def double(func: Any, z0: Any, t: Any) -> Any:
    """A copy of func in double precision, seen to be a function; one that is no Module and no object is itself."""
    twin = copy.deepcopy(func)
    if (module := module_of(twin)) is not None:
        module.double()
    z, start = _map(lambda part: part.double(), z0), torch.as_tensor(t[0]).detach().double()
    try:
        first, again = (_parts(twin(start, z)) for _ in range(2))
    except RuntimeError as error:
        raise TypeError(
            f"func cannot be evaluated in double precision ({error}): pass the Module itself, which is copied and made "
            "double, or a function that follows the dtype of z"
        ) from error
    if any(part.dtype != torch.float64 for part in first):
        raise TypeError(
            f"func returns {first[0].dtype} for a state in double precision: pass the Module itself, which is copied "
            "and made double, or a function that follows the dtype of z"
        )
    if not all(torch.equal(a, b) for a, b in zip(first, again, strict=True)):
        raise ValueError(
            "func returns something else each time (Dropout, fresh random numbers): no solver's steps can be told from "
            "that; pass func.eval(), or draw the numbers once"
        )
    return twin


def _tolerances(method: str, given: list, options: Any, refinements: int, tol: float) -> Iterator[tuple[float, dict]]:
    """The training's settings and ever smaller tolerances, the largest of which stays above ``tol``."""
    for k in range(refinements + 1):
        rtol, atol = (_scaled(x, 10.0**-k) for x in given)
        if k == 0 or max(_least(rtol), _least(atol)) > 1.001 * tol:
            yield 10.0**k, {"method": method, "rtol": rtol, "atol": atol, "options": options}


def _grids(method: str, sol: Solution, options: dict[str, Any], refinements: int) -> Iterator[tuple[float, dict]]:
    """The training's own steps, each cut into 2, 4, 8 … equal ones."""
    rest = {key: value for key, value in options.items() if key not in ("step_size", "grid_constructor")}
    coarse = [*(step.t for step in sol.steps), float(sol.t[-1])]
    for k in range(1, refinements + 1):
        parts = 2**k
        inner = [a + (b - a) * i / parts for a, b in pairwise(coarse) for i in range(parts)]
        grid = torch.tensor([*inner, coarse[-1]], dtype=torch.float64)
        yield float(parts), {"method": method, "options": {**rest, "grid_constructor": lambda f, z, t, grid=grid: grid}}


def _setting(settings: dict[str, Any]) -> str:
    """Tolerances or "fixed steps", in words."""
    if "rtol" not in settings:
        return "fixed steps"
    rtol, atol = (_least(settings[name]) for name in ("rtol", "atol"))
    return f"{rtol:.3g}" if rtol == atol else f"rtol {rtol:.3g}, atol {atol:.3g}"


def _number(loss: Callable[[Any], Any], y: Any, z0: Any) -> float:
    """The loss of states given in z0's dtype."""
    like = z0 if isinstance(z0, Tensor) else z0[0]
    value = loss(_map(lambda part: part.to(like.dtype), y))
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(f"loss must return one number, got shape {tuple(value.shape)}: take its mean")
    return float(value)


def _scaled(tol: Any, factor: float) -> Any:
    return tuple(factor * x for x in tol) if isinstance(tol, tuple | list) else tol * factor


def _least(tol: Any) -> float:
    return smallest(tol) or 0.0


def _parts(z: Any) -> tuple[Tensor, ...]:
    return tuple(z) if isinstance(z, tuple | list) else (z,)


def _map(function: Callable[[Tensor], Tensor], z: Any) -> Any:
    """The function of a tensor, or of each part of a tuple, a NamedTuple staying one."""
    return getattr(z, "_make", tuple)([function(part) for part in z]) if isinstance(z, tuple | list) else function(z)


def _flat(y: Any) -> Tensor:
    """The states at all times, (len(t), n)."""
    return torch.cat([part.reshape(len(part), -1) for part in _parts(y)], 1)
