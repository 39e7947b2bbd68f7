"""The methods by name, and the checks of arguments that both twins share: names, options and floats, no arrays."""

import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from itertools import pairwise
from math import ceil, isfinite, isinf
from pathlib import Path
from typing import Any

from nodelib.common.controller import CONTROLLERS
from nodelib.common.tableaus import TABLEAUS, Tableau

MAX_NUM_STEPS = 100_000
FAR = 1e30  # how far the end of an interval lies that has no end
PACKAGE = str(Path(__file__).parents[1])


def warn(message: str) -> None:
    """Warn at the line, outside this library, torch and autograd, that called it."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back and (frame.f_code.co_filename.startswith(PACKAGE) or _is_below(frame)):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def _is_below(frame: Any) -> bool:
    return frame.f_globals.get("__name__", "").startswith(("torch.", "autograd."))


@dataclass(frozen=True)
class Method:
    """A solver by name: what it is, its order p, whether it chooses its steps. One of ``kind`` rk, adams, scipy."""

    name: str
    kind: str
    order: int
    adaptive: bool
    description: str
    tableau: Tableau | None = None


def _runge_kutta(name: str, description: str) -> Method:
    tableau = TABLEAUS[name]
    return Method(name, "rk", tableau.order, tableau.b_err is not None, description, tableau)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        _runge_kutta("euler", "Euler's method: one evaluation a step"),
        _runge_kutta("midpoint", "explicit midpoint rule"),
        _runge_kutta("heun", "Heun's method, the explicit trapezoid"),
        _runge_kutta("rk4", "the classical Runge-Kutta method"),
        _runge_kutta("rk4_38", "Kutta's 3/8 rule (torchdiffeq calls this one rk4)"),
        Method("adams_bashforth", "adams", 4, False, "explicit Adams: extrapolates the last four slopes"),
        Method("implicit_adams", "adams", 4, False, "implicit Adams (Moulton): one nonlinear equation a step"),
        _runge_kutta("heun_euler", "Heun's method with Euler's as error estimate"),
        _runge_kutta("bosh3", "Bogacki-Shampine 3(2) pair"),
        _runge_kutta("dopri5", "Dormand-Prince 5(4) pair"),
        _runge_kutta("tsit5", "Tsitouras 5(4) pair"),
        _runge_kutta("dopri8", "Prince-Dormand 8(7) pair"),
        Method("scipy:RK23", "scipy", 3, True, "SciPy's Bogacki-Shampine pair"),
        Method("scipy:RK45", "scipy", 5, True, "SciPy's Dormand-Prince pair"),
        Method("scipy:DOP853", "scipy", 8, True, "Hairer's 8(5,3) pair in SciPy"),
        Method("scipy:Radau", "scipy", 5, True, "implicit Runge-Kutta for stiff problems, in SciPy"),
        Method("scipy:BDF", "scipy", 5, True, "backward differentiation for stiff problems, in SciPy"),
        Method(
            "scipy:LSODA",
            "scipy",
            12,
            True,
            "Adams, changing to BDF when stiff (ODEPACK); the code behind scipy.integrate.odeint",
        ),
        Method("scipy:VODE", "scipy", 12, True, "implicit Adams of variable order (VODE), named in the paper"),
    )
}

REVERSIBLE = ("reversible_heun", "reversible_rk4")  # a solver of their own has them: torch_ode.odeint_reversible

TORCHDIFFEQ_NAMES = {
    None: "dopri5",
    "heun2": "heun",
    "adaptive_heun": "heun_euler",
    "explicit_adams": "adams_bashforth",
    "fixed_adams": "implicit_adams",
}

OPTIONS = {  # by kind of method, or by its name
    "rk fixed": {"step_size"},
    "rk adaptive": {"first_step", "max_num_steps", "controller"},
    "adams fixed": {"step_size", "max_order", "max_iters"},
    "scipy adaptive": {"first_step", "max_step", "max_num_steps"},
    "scipy:LSODA": {"min_step"},
    "scipy:VODE": {"min_step"},
}
SIZES = ("step_size", "first_step", "min_step", "max_step")
COUNTS = ("max_num_steps", "max_order", "max_iters")


def check_method(name: Any, options: Any, more_options: Mapping[str, set[str]]) -> tuple[Method, dict[str, Any]]:
    """The method and a copy of its options; ``more_options`` are those that only one twin has, by kind."""
    options = {} if options is None else options
    if not isinstance(options, Mapping):
        raise TypeError(f"options must be a dict of option names and values, got {type(options).__name__}")
    options = dict(options)
    if name == "scipy_solver":
        name = f"scipy:{options.pop('solver', 'LSODA')}"
    name = TORCHDIFFEQ_NAMES.get(name, name) if isinstance(name, str | None) else name
    if name in REVERSIBLE:
        raise ValueError(f"method {name!r} carries two states, which only odeint_reversible of nodelib.torch_ode does")
    if name not in METHODS:
        raise ValueError(f"method {name!r} is unknown{_nearest(name, METHODS)} The methods are: {', '.join(METHODS)}")
    method = METHODS[name]
    kind = f"{method.kind} {'adaptive' if method.adaptive else 'fixed'}"
    known = OPTIONS[kind] | OPTIONS.get(name, set()) | more_options.get(kind, set())
    for key in options:
        if key == "compile" and key not in known:
            raise ValueError("option 'compile' needs torch.compile: only nodelib.torch_ode takes it")
        if key not in known:
            takes = ", ".join(sorted(known))
            raise ValueError(f"option {key!r} does not apply to {name}{_nearest(key, known)} It takes: {takes}")
    _check_numbers(options)
    return method, options


def _nearest(name: Any, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the known one that looks most like it, in whatever case."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.5)
    return f'; did you mean "{by_lower[near[0]]}"?' if near else "."


def _check_numbers(options: dict[str, Any]) -> None:
    """Check the numbers among the options, and make them Python's own: a tensor or a float32 would spread to t."""
    for key in (*SIZES, *COUNTS):
        if options.get(key) is None:
            options.pop(key, None)
            continue
        try:
            number = float(options[key])
        except (TypeError, ValueError):
            raise TypeError(f"option {key!r} must be a number, got {options[key]!r}") from None
        if not (number > 0 or key == "min_step") or (isinf(number) and key in ("step_size", "first_step")):
            raise ValueError(
                f"option {key!r} must be a positive number, got {options[key]}: it has no sign, t gives the direction"
            )
        options[key] = int(number) if key in COUNTS and number.is_integer() else number
    if not 0 <= options.get("min_step", 0) <= options.get("max_step", float("inf")):
        raise ValueError(f"option 'min_step' must lie between 0 and max_step, got {options['min_step']}")
    if options.get("max_order", 4) not in (1, 2, 3, 4):
        raise ValueError(f"option 'max_order' must be 1, 2, 3 or 4, got {options['max_order']}")
    if options.get("controller", "I") not in CONTROLLERS:
        raise ValueError(f"option 'controller' must be one of {', '.join(CONTROLLERS)}, got {options['controller']!r}")
    if options.get("step_size") is not None and options.get("grid_constructor") is not None:
        raise ValueError("options step_size and grid_constructor exclude each other: pass one of them")


TIMES, STATES = {"t", "time"}, {"y", "u", "x", "z", "h", "state"}


def check_order(func: Any) -> None:
    """Raise if the names of func's arguments say that it takes (y, t), SciPy's old order, instead of (t, y)."""
    while isinstance(func, partial) and not func.args:
        func = func.func
    method = func if hasattr(func, "__code__") or hasattr(func, "__func__") else getattr(func, "forward", None)
    code = getattr(getattr(method or type(func).__call__, "__func__", method or type(func).__call__), "__code__", None)
    names = [] if code is None else [n for n in code.co_varnames[: code.co_argcount] if n != "self"]
    if len(names) >= 2 and names[0] in STATES and names[1] in TIMES:
        raise TypeError(
            f"func must take (t, y), in this order, and its arguments are called ({names[0]}, {names[1]}), as for "
            "scipy.integrate.odeint: pass lambda t, y: func(y, t)"
        )


def check_times(times: Sequence[float], ndim: int, name: str = "t", fewest: int = 1) -> None:
    """Raise unless the times are a flat, finite, strictly monotone sequence of ``fewest`` or more."""
    if ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got {ndim} dimensions: pass the times as a flat sequence")
    if len(times) < fewest:
        raise ValueError(f"{name} needs at least {'a time' if fewest == 1 else 'a start and an end'}, got {len(times)}")
    if not all(map(isfinite, times)):
        raise ValueError(f"{name} must be finite, got {next(s for s in times if not isfinite(s))} in it")
    sign = 1 if times[-1] > times[0] else -1
    wrong = [i for i, (before, after) in enumerate(pairwise(times)) if not sign * (after - before) > 0]
    if wrong:
        raise ValueError(
            f"{name} must increase or decrease strictly, but {name}[{wrong[0]}] = {times[wrong[0]]:.6g} and "
            f"{name}[{wrong[0] + 1}] = {times[wrong[0] + 1]:.6g}: sort it and remove repeated times"
        )


def grid_of(times: Sequence[float], h: float) -> Iterator[float]:
    """t[0], t[0] + h, t[0] + 2h, … before t[-1], for a step_size h. Raises ValueError where t's rounding swallows h."""
    span = times[-1] - times[0]
    finest = 4 * sys.float_info.epsilon * max((abs(t) for t in times if abs(t) < FAR), default=0.0)
    if h < finest:
        raise ValueError(f"option 'step_size' = {h:.3g} is lost in the rounding of t, {finest:.2g}: take a longer one")
    signed = h if span > 0 else -h
    return (times[0] + m * signed for m in range(max(1, ceil(abs(span) / h * (1 - 1e-12)))))


def check_tolerances(smallest: Mapping[str, float], eps: float, dtype: str) -> None:
    """Check the smallest entries of rtol and atol; warn where they ask for more than the dtype can hold."""
    for name, value in smallest.items():
        if not value >= 0:
            raise ValueError(f"{name} must be zero or positive, got {value}")
    if max(smallest.values()) == 0:
        raise ValueError("rtol and atol are both zero: no step can meet that; give at least one of them")
    floor = 10 * eps
    if smallest["rtol"] < floor and smallest["atol"] < floor:
        warn(
            f"rtol = {smallest['rtol']:.2g} and atol = {smallest['atol']:.2g} lie below what {dtype} can resolve, "
            f"about {floor:.2g}: steps are spent on round-off. Loosen them or use a wider dtype"
        )


def default_tolerances(eps: float) -> tuple[float, float]:
    """(rtol, atol) by dtype: 1e-7, 1e-9 in double precision (torchdiffeq's), 1e-5, 1e-6 in single."""
    return (1e-7, 1e-9) if eps < 1e-10 else (1e-5, 1e-6)


def adjoint_settings(
    forward: Mapping[str, Any],
    method: str | None,
    rtol: Any,
    atol: Any,
    options: Mapping[str, Any] | None,
    more_options: Mapping[str, set[str]],
) -> tuple[dict[str, Any], Any]:
    """The arguments of the backward solve, those of the forward solve where not given; and its norm.

    A tolerance given for each entry of the state becomes the smallest of them, as the backward state is another one.
    """
    if options is None and set(forward["options"] or ()) - {"compile"} and method not in (None, forward["method"]):
        raise ValueError("adjoint_options must be given when adjoint_method differs from method and options are given")
    chosen = dict(forward["options"] or {}) if options is None else dict(options)
    norm = chosen.pop("norm", "full") if options is not None else "full"
    chosen.pop("norm", None)
    if norm not in ("full", "seminorm") and not callable(norm):
        raise ValueError(f'norm in adjoint_options must be "full", "seminorm" or a function, got {norm!r}')
    name = check_method(forward["method"] if method is None else method, chosen, more_options)[0].name
    tolerances = {"rtol": forward["rtol"] if rtol is None else rtol, "atol": forward["atol"] if atol is None else atol}
    return {"method": name, **{key: smallest(tol) for key, tol in tolerances.items()}, "options": chosen}, norm


def smallest(tol: Any) -> float | None:
    """The smallest entry of a tolerance: a number, an array or tensor, or a sequence of numbers."""
    if tol is None:
        return None
    return min(map(float, tol)) if isinstance(tol, tuple | list) else float(getattr(tol, "min", lambda: tol)())


def check_adjoint(size: float, atol: float) -> None:
    """Raise unless dL/dy, of this largest RMS, is finite; warn when it lies below what the backward solve resolves."""
    if not isfinite(size):
        raise ValueError("dL/dy contains nan or inf: check the loss, and what it does to the solution")
    if 0 < size < atol:
        warn(
            f"dL/dy has RMS {size:.2g}, below adjoint_atol = {atol:.2g}: the backward solve sees almost nothing of it. "
            "Scale the loss up (sum instead of mean), or set adjoint_atol well below that size"
        )
