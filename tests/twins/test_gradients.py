"""The three gradients of both twins: against differences, a closed form and each other, and as tolerances go to 0."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from autograd import grad
from scipy.integrate import solve_ivp

from nodelib import numpy_ode
from nodelib.common.arguments import METHODS
from nodelib.gradcheck import check_gradient
from tests.twins.ways import DISCRETE, KINDS, THETA, TWINS, WAYS, Y0, Way, every_output, gap, later_outputs, swirl

OWN = [name for name, method in METHODS.items() if method.kind != "scipy"]
FIXED = [name for name in OWN if not METHODS[name].adaptive]
ADAPTIVE = [name for name in OWN if METHODS[name].adaptive]
TIMES = {"increasing": np.array([0.1, 0.3, 0.45, 0.8]), "decreasing": np.array([0.8, 0.45, 0.3, 0.1])}


def tight(method: str) -> dict:
    """Settings that bring a method's adjoint within 1e-8 or so of its discrete gradient."""
    if METHODS[method].adaptive:
        tol = {"bosh3": 1e-8}.get(method, 1e-11)
        return {"method": method, "rtol": tol, "atol": tol}
    return {"method": method, "options": {"step_size": 0.011}}


def loose(method: str) -> dict:
    """Settings with which a solve takes about ten steps."""
    if METHODS[method].adaptive:
        tol = {"heun_euler": 1e-3, "bosh3": 1e-5}.get(method, 1e-7)
        return {"method": method, "rtol": tol, "atol": tol}
    return {"method": method, "options": {"step_size": 0.07}}


# --- against central differences --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("direction", "loss"), [("increasing", every_output), ("decreasing", later_outputs)])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_dopri5_agrees_with_central_differences(way: Way, direction: str, loss: Callable) -> None:
    y0, t = map(way.array, (Y0, TIMES[direction]))
    table = check_gradient(way.solver, swirl(way.xp), y0, t, [way.array(p) for p in THETA], loss=loss)
    assert len(table.rows) == 4 + len(TIMES[direction])
    assert table.worst < 1e-7


@pytest.mark.parametrize("method", ["rk4", "adams_bashforth", "implicit_adams", "bosh3", "tsit5", "dopri8"])
@pytest.mark.parametrize("way", [Way("numpy", "odeint"), Way("torch", "odeint_adjoint")], ids=str)
def test_every_method_agrees_with_central_differences(way: Way, method: str) -> None:
    settings = tight(method)
    if way.kind == "odeint" and not METHODS[method].adaptive:
        settings["options"] = {"step_size": 0.09}  # the differences are those of the discrete loss, at any step
    y0, t = map(way.array, (Y0[:1], [0.1, 0.38, 0.8]))
    params = [way.array(p) for p in THETA]
    table = check_gradient(way.solver, swirl(way.xp), y0, t, params, loss=every_output, **settings)
    assert table.worst < 1e-6


@pytest.mark.parametrize("method", FIXED)
@pytest.mark.parametrize("direction", TIMES)
@pytest.mark.parametrize("way", [Way("numpy", "odeint"), Way("torch", "odeint_checkpoint")], ids=str)
def test_the_discrete_gradient_of_a_coarse_grid_is_exact(way: Way, direction: str, method: str) -> None:
    """One step an output, of uneven length: far from the exact flow, yet differentiated to the last digits.

    Each time of t is a point of the grid, so for Adams methods it also moves the weights of later steps.
    """
    t = np.array([0.1, 0.2, 0.45, 0.5, 0.7, 0.8, 1.1])[:: 1 if direction == "increasing" else -1]
    y0, t = map(way.array, (Y0[:1], t))
    params = [way.array(p) for p in THETA]
    table = check_gradient(way.solver, swirl(way.xp), y0, t, params, loss=every_output, method=method, rtol=1e-14)
    assert table.worst < 1e-8


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_differences_of_another_solver(kind: str) -> None:
    """Central differences of SciPy's DOP853 know nothing of this library."""
    way, t = Way("numpy", kind), TIMES["increasing"]
    f = swirl(np)

    def value(y0: np.ndarray, t: np.ndarray, *params: np.ndarray) -> float:
        def flat(s: float, y: np.ndarray) -> np.ndarray:
            return f(s, y.reshape(Y0.shape), *params).reshape(-1)

        ys = [solve_ivp(flat, (t[0], s), y0.reshape(-1), "DOP853", rtol=1e-13, atol=1e-14).y[:, -1] for s in t[1:]]
        return float(every_output([y0, *(y.reshape(Y0.shape) for y in ys)]))

    args = [Y0, t, *THETA]
    found = way.gradients(swirl, Y0, t, THETA, every_output, rtol=1e-11, atol=1e-12)
    for k, arg in enumerate(args):
        for index in np.ndindex(arg.shape):
            nudge = np.zeros(arg.shape)
            nudge[index] = 1e-4
            up, down = (value(*(a + sign * nudge if j == k else a for j, a in enumerate(args))) for sign in (1, -1))
            assert (up - down) / 2e-4 == pytest.approx(found[k][index], rel=1e-6, abs=1e-6)


# --- against a closed form --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", TIMES)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_agrees_with_a_closed_form(way: Way, direction: str) -> None:
    """y' = θ y cos t has y(t) = y0 exp(θ (sin t - sin t0)), for a state of any shape; here one number, of none."""
    t, y0, theta = TIMES[direction], 1.3, -0.8
    weights = np.array([0.7, -1.0, 2.0, 0.5])
    got = way.gradients(
        lambda xp: lambda s, y, p: p * y * xp.cos(s),
        *(y0, t, [theta]),
        lambda ys: sum(w * y for w, y in zip(weights, ys, strict=True)),
        **{"rtol": 1e-11, "atol": 1e-12},
    )
    span = np.sin(t) - np.sin(t[0])
    ys = y0 * np.exp(theta * span)
    dt = weights * ys * theta * np.cos(t)
    dt[0] = -(weights[1:] @ ys[1:]) * theta * np.cos(t[0])
    assert got[0] == pytest.approx(weights @ ys / y0, rel=1e-8)
    assert got[1] == pytest.approx(dt, rel=1e-8)
    assert got[2] == pytest.approx(weights @ (ys * span), rel=1e-8)


# --- against each other -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", OWN)
@pytest.mark.parametrize("direction", TIMES)
def test_twins_and_ways_agree(method: str, direction: str) -> None:
    """numpy = torch to 1e-10 for each way; backpropagation = checkpoints to 1e-12 for each twin."""
    args = (swirl, Y0, TIMES[direction], THETA, every_output)
    found = {way: way.gradients(*args, **loose(method)) for way in WAYS}
    for kind in KINDS:
        assert gap(found[Way("numpy", kind)], found[Way("torch", kind)]) < 1e-10, kind
    for twin in TWINS:
        assert gap(found[Way(twin, "odeint")], found[Way(twin, "odeint_checkpoint")]) < 1e-12, twin


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("way_back", ["dopri8", "scipy:LSODA", "scipy:VODE"])
def test_the_adjoint_takes_scipys_methods_and_another_method_back(twin: str, way_back: str) -> None:
    adjoint, direct = Way(twin, "odeint_adjoint"), Way(twin, "odeint")
    t = TIMES["increasing"]
    exact = direct.gradients(swirl, Y0, t, THETA, every_output, rtol=1e-12, atol=1e-12)
    both = adjoint.gradients(swirl, Y0, t, THETA, every_output, **tight(way_back))
    back = {"adjoint_method": way_back, "adjoint_rtol": 1e-10, "adjoint_atol": 1e-11, "adjoint_options": {}}
    mixed = adjoint.gradients(swirl, Y0, t, THETA, every_output, **tight("rk4"), **back)
    assert gap(both, exact) < 1e-7
    assert gap(mixed, exact) < 1e-7


@pytest.mark.parametrize("method", FIXED)
def test_the_adjoint_of_fixed_steps_nears_the_discrete_gradient_with_the_methods_order(
    method: str, record_property
) -> None:
    """One twin is enough here and below: the other is the same to 1e-10, as just seen."""
    steps = np.array([20, 40, 80])
    args = (swirl, Y0, [0.0, 1.2], THETA, every_output)
    ways = [Way("numpy", kind) for kind in ("odeint_adjoint", "odeint_checkpoint")]
    gaps = [gap(*(way.gradients(*args, method=method, options={"step_size": 1.2 / n}) for way in ways)) for n in steps]
    slope = -np.polyfit(np.log(steps), np.log(gaps), 1)[0]
    record_property("measured", f"{method}: |adjoint - checkpoint| falls as h^{slope:.2f}, to {gaps[-1]:.1e}")
    assert slope == pytest.approx(METHODS[method].order, abs=0.3)


@pytest.mark.parametrize("method", ["bosh3", "dopri5", "tsit5", "dopri8"])
def test_the_adjoint_nears_the_discrete_gradient_with_the_tolerance(method: str, record_property) -> None:
    tolerances = 10.0 ** -np.arange(3, 8 if method == "bosh3" else 11)
    args = (swirl, Y0[:1], [0.0, 1.2], THETA, every_output)
    ways = [Way("numpy", kind) for kind in ("odeint_adjoint", "odeint_checkpoint")]
    gaps = [gap(*(way.gradients(*args, method=method, rtol=tol, atol=tol) for way in ways)) for tol in tolerances]
    slope = np.polyfit(np.log(tolerances), np.log(gaps), 1)[0]
    record_property("measured", f"{method}: |adjoint - checkpoint| falls as tol^{slope:.2f}, to {gaps[-1]:.1e}")
    assert slope == pytest.approx(1, abs=0.25)


# --- what the mathematics says ----------------------------------------------------------------------------------------


def still_swirl(xp):
    """The swirl without its clock: an autonomous field."""
    return lambda t, y, a, b: xp.tanh(y @ a + b)


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("kind", KINDS)
def test_times_of_an_autonomous_field_have_gradients_that_sum_to_zero(twin: str, kind: str) -> None:
    """A shift of all times changes nothing. This holds a·f at both ends to each other, across jumps."""
    way = Way(twin, kind)
    _, dt, *_ = way.gradients(still_swirl, Y0, TIMES["increasing"], THETA[:2], later_outputs, rtol=1e-9, atol=1e-9)
    assert abs(dt).min() > 0.1
    assert abs(dt.sum()) < 1e-7 * abs(dt).max()


def test_the_adjoint_times_f_is_constant_along_an_autonomous_solve() -> None:
    """a(s) is the gradient of the solve begun at y(s), a state that dense output gives."""
    f = still_swirl(np)
    sol = numpy_ode.solve(lambda t, y: f(t, y, *THETA[:2]), Y0, [0.0, 1.5], rtol=1e-11, atol=1e-12, dense=True)
    products = []
    for s in (0.0, 0.2, 0.7, 1.1, 1.4):
        way = Way("numpy", "odeint_adjoint")
        a, *_ = way.gradients(still_swirl, sol(s), [s, 1.5], THETA[:2], later_outputs, rtol=1e-11, atol=1e-12)
        products.append(np.sum(a * f(s, sol(s), *THETA[:2])))
    assert np.ptp(products) < 1e-8 * abs(np.mean(products))


@pytest.mark.parametrize("twin", TWINS)
def test_a_loss_in_other_units_gives_the_gradient_in_other_units(twin: str) -> None:
    """The discrete gradients are linear in the loss; the adjoint is, to the last digits, once its atol scales along."""
    unit = 2.0**-20  # a power of two, so that scaling by it rounds nothing

    def scaled(ys):
        return unit * later_outputs(ys)

    def both(kind: str, **scaled_settings) -> float:
        way, args = Way(twin, kind), (swirl, Y0, TIMES["increasing"], THETA)
        tolerances = {"rtol": 1e-4, "atol": 1e-6}
        one = way.gradients(*args, later_outputs, **tolerances)
        other = way.gradients(*args, scaled, **tolerances, **scaled_settings)
        return gap([g / unit for g in other], one)

    def in_units(parts) -> float:
        """The largest part but for the clock and z: what scales with the loss."""
        return max(float(abs(x).max()) for x in parts[2:])

    for kind in DISCRETE:
        assert both(kind) < 1e-12
    without_z = {"adjoint_options": {"norm": in_units}}
    way, args = Way(twin, "odeint_adjoint"), (swirl, Y0, TIMES["increasing"], THETA)
    one = way.gradients(*args, later_outputs, rtol=1e-4, atol=1e-6, **without_z)
    other = way.gradients(*args, scaled, rtol=1e-4, atol=1e-6, adjoint_atol=1e-6 * unit, **without_z)
    assert gap([g / unit for g in other], one) < 1e-10
    assert both("odeint_adjoint") > 1e-6  # with atol as it was, the backward solve is another one


@pytest.mark.parametrize("twin", TWINS)
def test_what_the_loss_or_func_does_not_use_has_a_gradient_of_zero(twin: str) -> None:
    """An unused parameter, a parameter that only the state multiplies by zero, and g only at t0."""
    for kind in KINDS:
        way = Way(twin, kind)
        found = way.gradients(
            lambda xp: lambda t, y, a, b, c: xp.tanh(y @ a + b), Y0, TIMES["increasing"], THETA, lambda ys: ys[0].sum()
        )
        assert np.array_equal(found[0], np.ones_like(Y0))
        assert all(not g.any() for g in found[1:]), kind


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("twin", TWINS)
def test_one_output_at_a_time(twin: str, n: int) -> None:
    """dL/dt_i = g_i f(t_i, y_i) for the output that the loss looks at, zero for the others: no index is off by one."""
    t = np.linspace(0.2, 1.0, n)
    for kind, i in product(KINDS, range(1, n)):
        way = Way(twin, kind)
        _, dt, *_ = way.gradients(swirl, Y0, t, THETA, lambda ys, i=i: ys[i][..., 0].sum(), rtol=1e-7, atol=1e-8)
        state = numpy_ode.odeint(lambda s, y: swirl(np)(s, y, *THETA), Y0, t, rtol=1e-9, atol=1e-9)[i]
        assert dt[i] == pytest.approx(swirl(np)(t[i], state, *THETA)[..., 0].sum(), rel=1e-5)
        assert not dt[[j for j in range(1, n) if j != i]].any()


@pytest.mark.parametrize("twin", TWINS)
def test_the_seminorm_needs_fewer_evaluations(twin: str) -> None:
    """Kidger, Chen & Lyons 2021: the parameters' integral feeds nothing back, so its error need not shorten steps."""
    start = np.random.default_rng(0).standard_normal((40, 2))

    def solve(norm: str) -> tuple[int, list[np.ndarray]]:
        calls = []

        def counted(xp):
            f = swirl(xp)
            return lambda t, y, *params: calls.append(t) or f(t, y, *params)

        settings: dict = {"rtol": 1e-5, "atol": 1e-5, "adjoint_options": {"norm": norm}}
        found = Way(twin, "odeint_adjoint").gradients(counted, start, [0.0, 2.0], THETA, later_outputs, **settings)
        return len(calls), found

    (most, full), (fewer, semi) = solve("full"), solve("seminorm")
    assert fewer <= most - 24  # at least four steps of dopri5
    assert gap(semi, full) < 1e-4


def test_parameters_may_be_one_traced_tuple():
    """autograd traces a tuple of weights as a whole; both solvers take it apart."""
    weights = (np.array([[-0.1, 2.0], [-2.0, -0.1]]), np.array([0.3, -0.2]))

    def loss(weights, solver):
        y = solver(lambda t, y, W, b: W @ y + b, np.ones(2), [0.0, 0.5], adjoint_params=weights)[-1]
        return y[0] + 2 * y[1]

    gradient: Callable = grad(loss)  # type: ignore[assignment]
    by_adjoint = gradient(weights, numpy_ode.odeint_adjoint)
    by_steps = gradient(weights, numpy_ode.odeint_checkpoint)
    for one, other in zip(by_adjoint, by_steps, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
