"""Step-size control on plain floats: how long the first step is, and the next one after a step has been judged.

Source: Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I* (1993), II.4, "HNW" below. A step is
judged by its error ratio, the RMS norm of the estimated local error over the tolerance atol + rtol |y|: up to 1 it is
accepted.
"""

from collections.abc import Sequence

from nodelib.common.solution import Step

SAFETY = 0.9  # aim below the tolerance, so that the next step is probably accepted
SHRINK, GROW = 0.2, 10.0  # a step changes by at most these factors at a time
CONTROLLERS = ("I", "PI")
TINY = 1e-300  # a step is never zero, however large f is


def trial_step(d0: float, d1: float) -> float:
    """First guess h₀ at the first step, which moves y by about 1 %. HNW II.4, steps a and b.

    d0, d1: norms of y₀ and f(t₀, y₀), both in units of the tolerance.
    """
    return 1e-6 if d0 < 1e-5 or d1 < 1e-5 else max(0.01 * d0 / d1, TINY)


def first_step(h0: float, d1: float, d2: float, order: int) -> float:
    """The first step, from the second derivative seen over the trial step h0. HNW II.4, steps d to f.

    d1, d2: norms of f and of y'' ≈ (f(t₀ + h₀, y₀ + h₀ f) - f) / h₀, both in units of the tolerance.
    """
    if max(d1, d2) <= 1e-15:
        return max(1e-6, h0 * 1e-3)
    return min(100 * h0, (0.01 / max(d1, d2)) ** (1 / order))


def step_factor(ratio: float, order: int, accepted: bool, previous: float | None = None) -> float:
    """h_new / h from the error ratio of the step just tried.

    The local error of the pair's lower-order method behaves as h^order (5 for dopri5), so the step that just meets the
    tolerance is h · ratio^(-1/order). This is the "I" controller. With ``previous``, the error ratio of the accepted
    step before this one, it is the "PI" controller, which answers more calmly (Gustafsson 1991; Hairer & Wanner,
    *Solving Ordinary Differential Equations II* (1996), IV.2). A ratio of inf or nan shrinks the step the most.
    """
    if not ratio < float("inf"):
        return SHRINK
    if ratio == 0:
        return GROW
    if accepted and previous:
        wish = SAFETY * ratio ** (-0.7 / order) * previous ** (0.4 / order)
    else:
        wish = SAFETY * ratio ** (-1 / order)
    return min(GROW, max(SHRINK, wish))


def next_first_step(steps: Sequence[Step], order: int) -> dict[str, float]:
    """The option first_step that begins a further interval as these steps ended; none for fixed steps and SciPy's."""
    if not (steps and steps[-1].error_ratio >= 0):
        return {}
    return {"first_step": abs(steps[-1].h) * step_factor(steps[-1].error_ratio, order, True)}
