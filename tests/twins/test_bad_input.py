"""Bad input gets an error that names the argument, what it was and what is right, before func is evaluated."""

import re
import warnings

import numpy as np
import pytest
import torch

from nodelib.common.arguments import METHODS
from nodelib.common.solution import FixedPointFailed, MaxStepsReached, NonFiniteState, SolverError, StepSizeUnderflow
from tests.twins.both import FIXED, NUMPY, OWN, PAIRS, SCIPY, TORCH, TWINS, options

each_twin = pytest.mark.parametrize("twin", TWINS, ids=str)
NAN, INF = float("nan"), float("inf")


def never(t, y):
    raise AssertionError("func was evaluated although an argument is bad")


def refuse(twin, error, message, **changes):
    """solve raises this error with this text in it, and has not called func."""
    arguments = {"func": never, "y0": twin.array([1.0, 2.0]), "t": (0.0, 1.0), **changes}
    with pytest.raises(error, match=re.escape(message)):
        twin.solve(**arguments)
    with pytest.raises(error, match=re.escape(message)):
        twin.odeint(**arguments)


# --- t ---------------------------------------------------------------------------------------------------------------

BAD_TIMES = {
    "a scalar": (0.5, "t must be one-dimensional, got 0 dimensions: pass the times as a flat sequence"),
    "a matrix": ([[0.0, 1.0]], "t must be one-dimensional, got 2 dimensions"),
    "empty": ([], "t needs at least a time, got 0"),
    "nan": ([0.0, NAN], "t must be finite, got nan in it"),
    "inf": ([0.0, 1.0, INF], "t must be finite, got inf in it"),
    "there and back": ([0.0, 2.0, 1.0], "t must increase or decrease strictly, but t[1] = 2 and t[2] = 1: sort it"),
    "back and there": ([2.0, 0.0, 1.0], "t must increase or decrease strictly, but t[1] = 0 and t[2] = 1: sort it"),
    "a repeated time": ([0.0, 1.0, 1.0, 2.0], "but t[1] = 1 and t[2] = 1: sort it and remove repeated times"),
    "a repeated start": ([3.0, 3.0], "but t[0] = 3 and t[1] = 3"),
}


@pytest.mark.parametrize(("t", "message"), BAD_TIMES.values(), ids=BAD_TIMES)
@each_twin
def test_times(twin, t, message):
    refuse(twin, ValueError, message, t=t)
    refuse(twin, ValueError, message, t=twin.array(t))
    refuse(twin, ValueError, message, t=t, method="rk4")
    refuse(twin, ValueError, message, t=t, method="scipy:LSODA")


# --- y0 --------------------------------------------------------------------------------------------------------------


@each_twin
def test_integer_start(twin):
    kind = "int64" if twin is NUMPY else "torch.int64"
    refuse(
        twin, TypeError, f"y0 must be float32, float64 or complex, got {kind}: pass e.g.", y0=twin.array([1], "int64")
    )


@pytest.mark.parametrize("dtype", ["bool", "float16"])
@each_twin
def test_other_dtypes_of_the_start(twin, dtype):
    refuse(twin, TypeError, "y0 must be float32, float64 or complex, got", y0=twin.array([1], dtype))


@each_twin
def test_empty_start(twin):
    refuse(
        twin, ValueError, "y0 is empty (shape (0, 3)): there is nothing to solve for", y0=twin.array(np.zeros((0, 3)))
    )


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@each_twin
def test_start_that_is_not_finite(twin, value):
    refuse(twin, ValueError, "y0 contains nan or inf: the solution needs a finite start", y0=twin.array([1.0, value]))


@pytest.mark.parametrize("y0", [None, "1.0", [[1.0], "x"]], ids=str)
def test_starts_that_are_no_numbers(y0):
    with pytest.raises((TypeError, ValueError)):
        NUMPY.solve(never, y0, (0.0, 1.0))
    refuse(TORCH, TypeError, "y0 must be a tensor or a tuple of tensors, got", y0=y0)


def test_torch_starts():
    one = torch.ones(1)
    refuse(
        TORCH, TypeError, "y0 must be a tensor or a tuple of tensors, got ndarray: use torch.as_tensor", y0=np.ones(2)
    )
    refuse(TORCH, TypeError, "y0 must be a tensor or a tuple of tensors, got float", y0=(one, 1.0))
    refuse(TORCH, TypeError, "got tuple", y0=(one, (one, one)))
    refuse(TORCH, ValueError, "y0 is an empty tuple: there is nothing to solve for", y0=())
    refuse(
        TORCH,
        TypeError,
        "must share dtype and device, got torch.float32 on cpu and torch.float64 on cpu",
        y0=(one, one.double()),
    )
    refuse(TORCH, TypeError, "must share dtype and device", y0=(one, one.to("meta")))
    refuse(TORCH, ValueError, "y0 contains nan or inf", y0=(one, one / 0))


# --- what func returns -----------------------------------------------------------------------------------------------


def refuse_func(twin, error, message, func, **changes):
    """The same for what func returns: known after one evaluation."""
    evaluations = []

    def counted(t, y):
        evaluations.append(t)
        return func(t, y)

    y0 = changes.pop("y0", twin.array([1.0, 2.0]))
    for method in ("dopri5", "euler", "scipy:LSODA"):
        evaluations.clear()
        with pytest.raises(error, match=re.escape(message)):
            twin.solve(counted, y0, (0.25, 1.0), method=method, **changes)
        assert len(evaluations) == 1


@each_twin
def test_shape_of_what_func_returns(twin):
    message = "func must return an array of y0's shape (2,), got shape (2, 1)"
    message = message if twin is NUMPY else message.replace("an array of ", "").replace("got shape", "got")
    refuse_func(twin, ValueError, message, lambda t, y: y.reshape(2, 1))
    refuse_func(twin, ValueError, "(2,), got ", lambda t, y: y[:1])  # it would broadcast
    refuse_func(twin, ValueError, "(2,), got ", lambda t, y: y.sum())


@each_twin
def test_dtype_of_what_func_returns(twin):
    names = ("float64", "complex128") if twin is NUMPY else ("torch.float64", "torch.complex128")
    message = f"func must return y0's dtype {names[0]}, got {names[1]}: cast y0 or what func returns"
    refuse_func(twin, TypeError, message, lambda t, y: 1j * y)
    single = twin.array([1.0, 2.0], "float32")
    refuse_func(twin, TypeError, "got ", lambda t, y: twin.array([1.0, 2.0]), y0=single)


@each_twin
def test_kind_of_what_func_returns(twin):
    words = (
        "func must return an array, got {}" if twin is NUMPY else "func must return the structure of y0, Tensor, got {}"
    )
    refuse_func(twin, TypeError, words.format("list" if twin is NUMPY else "a tuple of 2"), lambda t, y: [y[1], y[0]])
    refuse_func(twin, TypeError, words.format("NoneType"), lambda t, y: None)
    refuse_func(twin, TypeError, words.format("float"), lambda t, y: 1.0)


def test_structure_of_what_func_returns():
    one = torch.ones(2)
    message = "func must return the structure of y0, a tuple of 2, got {}"
    refuse_func(TORCH, TypeError, message.format("Tensor"), lambda t, y: y[0], y0=(one, one))
    refuse_func(TORCH, TypeError, message.format("a tuple of 3"), lambda t, y: (one, one, one), y0=(one, one))
    refuse_func(
        TORCH, TypeError, "func must return tensors, got ndarray", lambda t, y: (one, np.ones(2)), y0=(one, one)
    )
    refuse_func(
        TORCH, ValueError, "func must return y0's shape (2,), got (1,)", lambda t, y: (one, one[:1]), y0=(one, one)
    )


def test_device_of_what_func_returns():
    message = "func must return tensors on y0's device cpu, got meta: move func or y0"
    refuse_func(TORCH, TypeError, message, lambda t, y: y.to("meta"))


@each_twin
def test_func_that_changes_its_argument(twin):
    def negate(t, y):
        y *= -1
        return y

    refuse_func(twin, ValueError, "func changes y in place: return a new ", negate)


def test_func_that_changes_a_part_of_a_tuple():
    def negate(t, y):
        return y[0], y[1].neg_()

    parts = (torch.ones(1), torch.ones(2, 2))
    refuse_func(TORCH, ValueError, "func changes y in place: return a new tensor", negate, y0=parts)


@each_twin
def test_first_value_that_is_not_finite(twin):
    refuse_func(
        twin, NonFiniteState, "func returns nan or inf at its first evaluation, t = 0.25: check func and y0",
        lambda t, y: y * NAN,
    )  # fmt: skip


# --- method, options, tolerances -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "nearest"),
    [
        ("dopri55", "dopri5"),
        ("RK4", "rk4"),
        ("Dopri5", "dopri5"),
        ("adams", "implicit_adams"),
        ("lsoda", "scipy:LSODA"),
    ],
)
@each_twin
def test_unknown_method(twin, method, nearest):
    words = f'method {method!r} is unknown; did you mean "{nearest}"? The methods are: {", ".join(METHODS)}'
    refuse(twin, ValueError, words, method=method)


@each_twin
def test_method_like_no_other(twin):
    refuse(twin, ValueError, "method 'zzz' is unknown. The methods are: euler, ", method="zzz")
    refuse(twin, ValueError, "method 5 is unknown", method=5)
    refuse(twin, ValueError, "method 'scipy:Euler' is unknown", method="scipy_solver", options={"solver": "Euler"})


@pytest.mark.parametrize("method", OWN + SCIPY)
@each_twin
def test_unknown_option(twin, method):
    refuse(
        twin,
        ValueError,
        f"option 'zzz' does not apply to {method}. It takes: ",
        method=method,
        options={"zzz": 1},
    )


@each_twin
def test_misspelt_and_misplaced_options(twin):
    refuse(
        twin,
        ValueError,
        "option 'frist_step' does not apply to dopri5; did you mean \"first_step\"?",
        options={"frist_step": 1},
    )
    refuse(twin, ValueError, "option 'step_size' does not apply to dopri5", options={"step_size": 0.1})
    refuse(twin, ValueError, "option 'first_step' does not apply to rk4", method="rk4", options={"first_step": 0.1})
    refuse(twin, TypeError, "options must be a dict of option names and values, got list", options=["step_size"])
    refuse(NUMPY, ValueError, "option 'jump_t' does not apply to dopri5", options={"jump_t": [0.5]})


@pytest.mark.parametrize("value", [0, -0.1, NAN, INF, -INF])
@each_twin
def test_step_sizes_are_positive_numbers(twin, value):
    remedy = f"must be a positive number, got {value}: it has no sign, t gives the direction"
    for method in FIXED:
        refuse(twin, ValueError, f"option 'step_size' {remedy}", method=method, options={"step_size": value})
    for method in PAIRS:
        refuse(twin, ValueError, f"option 'first_step' {remedy}", method=method, options={"first_step": value})


@each_twin
def test_numbers_among_the_options(twin):
    refuse(
        twin,
        TypeError,
        "option 'step_size' must be a number, got 'small'",
        method="rk4",
        options={"step_size": "small"},
    )
    refuse(twin, TypeError, "option 'first_step' must be a number, got [0.1, 0.2]", options={"first_step": [0.1, 0.2]})
    refuse(twin, ValueError, "option 'max_num_steps' must be a positive number, got 0", options={"max_num_steps": 0})
    for wrong in (5, 2.5):
        refuse(
            twin, ValueError, f"option 'max_order' must be 1, 2, 3 or 4, got {wrong}",
            method="adams_bashforth", options={"max_order": wrong},
        )  # fmt: skip
    refuse(twin, ValueError, "option 'controller' must be one of I, PI, got 'PID'", options={"controller": "PID"})


def test_options_of_torch():
    grid = {"step_size": 0.1, "grid_constructor": lambda func, y0, t: t}
    refuse(TORCH, ValueError, "options step_size and grid_constructor exclude each other", method="rk4", options=grid)
    for shortest in (-0.1, 0.3, NAN):
        bounds = {"min_step": shortest, "max_step": 0.2}
        refuse(TORCH, ValueError, "option 'min_step' must lie between 0 and max_step, got", options=bounds)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([0.0, 0.5], "grid_constructor must return a grid from t[0] to t[-1], got 0.0 to 0.5"),
        ([0.1, 1.0], "grid_constructor must return a grid from t[0] to t[-1], got 0.1 to 1.0"),
        ([0.0, 0.7, 0.5, 1.0], "grid must increase or decrease strictly, but grid[1] = 0.7 and grid[2] = 0.5"),
        ([0.0], "grid needs at least a start and an end, got 1"),
        ([[0.0, 1.0]], "grid must be one-dimensional, got 2 dimensions"),
    ],
)
def test_what_grid_constructor_returns(made, message):
    def constructor(func, y0, t):
        return torch.tensor(made, dtype=torch.float64)

    with pytest.raises(ValueError, match=re.escape(message)):
        TORCH.solve(lambda t, y: -y, torch.ones(1), (0, 1), method="rk4", options={"grid_constructor": constructor})


@pytest.mark.parametrize("name", ["rtol", "atol"])
@pytest.mark.parametrize("value", [-1e-6, NAN])
@each_twin
def test_negative_tolerances(twin, name, value):
    refuse(twin, ValueError, f"{name} must be zero or positive, got {value}", **{name: value})
    refuse(twin, ValueError, f"{name} must be zero or positive, got {value}", **{name: twin.array([1e-6, value])})


@each_twin
def test_tolerances_that_cannot_be_met(twin):
    refuse(twin, ValueError, "rtol and atol are both zero: no step can meet that", rtol=0.0, atol=0.0)
    refuse(twin, ValueError, "rtol and atol are both zero: no step can meet that", rtol=0, atol=0)


@each_twin
def test_no_tolerance_for_an_entry_that_is_zero(twin):
    message = "atol = 0 leaves no tolerance to the entries of y0 that are zero: give a positive atol"
    y0 = twin.array([1.0, 0.0])
    refuse(twin, ValueError, message, y0=y0, atol=0.0)
    refuse(twin, ValueError, message, y0=y0, atol=twin.array([1e-6, 0.0]))
    assert twin.odeint(lambda t, y: -y, y0, (0.0, 1.0), rtol=1e-6, atol=twin.array([0.0, 1e-6]))[-1, 1] == 0


@each_twin
def test_shape_of_tolerances(twin):
    refuse(twin, ValueError, "rtol must be a number or a", rtol=twin.array([1e-6] * 3))
    refuse(twin, ValueError, "got shape (3,)", atol=twin.array([1e-6] * 3))


def test_tolerances_for_the_parts_of_a_tuple():
    refuse(
        TORCH, ValueError, "rtol has 2 entries: give a number, or for a tuple y0 one for each part", rtol=(1e-3, 1e-4)
    )
    pair = (torch.ones(1), torch.ones(1))
    refuse(TORCH, ValueError, "atol has 3 entries", y0=pair, atol=(1e-3, 1e-4, 1e-5))


@pytest.mark.parametrize(("dtype", "tol", "floor"), [("float32", 1e-7, "1.2e-06"), ("float64", 1e-16, "2.2e-15")])
@each_twin
def test_a_tolerance_below_round_off_warns(twin, dtype, tol, floor):
    words = f"rtol = {tol:.2g} and atol = {tol:.2g} lie below what .*{dtype} can resolve, about {floor}: .*wider dtype"
    with pytest.warns(UserWarning, match=words) as caught:
        twin.odeint(lambda t, y: -y, twin.array([1.0], dtype), (0.0, 1e-3), rtol=tol, atol=tol)
    assert len(caught) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@each_twin
def test_one_tolerance_above_round_off_is_enough(twin, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for tols in ({"rtol": 0.0, "atol": 1e-4}, {"rtol": 1e-4, "atol": 0.0}, {}):
            twin.odeint(lambda t, y: -y, twin.array([1.0], dtype), (0.0, 1.0), **tols)


# --- while solving ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", PAIRS)
@each_twin
def test_a_singularity_is_an_underflow_of_the_step(twin, method):
    """u' = u² from 1 ends at t = 1."""
    words = r"underflow in the step size at t = 1(.000\d+)?: a step of .* times the tolerance; the solution blows up"
    with np.errstate(all="ignore"), pytest.raises(StepSizeUnderflow, match=words):
        twin.solve(lambda t, u: u * u, twin.array([1.0]), (0.0, 2.0), method=method, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", PAIRS)
@each_twin
def test_stiffness_exhausts_the_steps(twin, method):
    """y' = -10⁴ (y - cos t): the message says stiff, and names a method for it; that method solves it."""
    problem = (lambda t, y: -1e4 * (y - twin.xp.cos(t + 0 * y)), twin.array([1.0]), (0.0, 100.0))
    words = r'^500 steps .* only at t = .*the problem looks stiff, \|hλ\| is about .*Try method="scipy:Radau"'
    with pytest.raises(MaxStepsReached, match=words):
        twin.solve(*problem, method=method, rtol=1e-4, atol=1e-4, options={"max_num_steps": 500})
    assert float(twin.odeint(*problem, method="scipy:Radau")[-1, 0]) == pytest.approx(np.cos(100), abs=1e-3)


@pytest.mark.parametrize("method", PAIRS)
@each_twin
def test_noise_is_recognised(twin, method):
    generator = np.random.default_rng(0)
    problem = (lambda t, y: twin.array(generator.normal(size=1)), twin.array([1.0]), (0.0, 1.0))
    words = r"func returns something else each time \(Dropout, fresh random numbers\): make it deterministic"
    with pytest.raises((StepSizeUnderflow, MaxStepsReached), match=words):
        twin.solve(*problem, method=method, rtol=1e-9, atol=1e-9, options={"max_num_steps": 1000})


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("method", PAIRS)
@each_twin
def test_a_region_of_nan_is_named(twin, method, sign):
    """f is nan beyond t = ±0.5; every step into it is refused, however short."""
    problem = (lambda t, y: y * (1.0 if sign * t < 0.5 else NAN), twin.array([1.0]), (0.0, sign * 1.0))
    with pytest.raises(NonFiniteState, match=f"func returns nan or inf near t = {sign * 0.5}, however small the step"):
        twin.solve(*problem, method=method, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", PAIRS)
@each_twin
def test_nan_beside_the_path_is_stepped_around(twin, method):
    """√y is nan for y < 0, where a first step too long looks; y' = -√y ends in y = 1/4 without going there."""
    problem = (lambda t, y: -twin.xp.sqrt(y), twin.array([1.0]), (0.0, 1.0))
    with np.errstate(all="ignore"):
        sol = twin.solve(*problem, method=method, rtol=1e-6, atol=1e-6, options={"first_step": 3.0})
    assert float(sol.y[-1, 0]) == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize("method", FIXED)
@each_twin
def test_fixed_steps_that_blow_up_name_the_first_evaluation(twin, method):
    """y' = y³ from 2 is over at t = 1/8. The message has the place where f, not y, first overflows."""
    calls = []

    def cube(t, y):
        f = y * y * y
        calls.append((float(t), float(y[0]), bool(np.isfinite(twin.numpy(f)).all())))
        return f

    problem = (cube, twin.array([2.0]), (0.0, 1.0))
    chosen = {"step_size": 1 / 64} | ({"max_iters": 3} if method == "implicit_adams" else {})
    with np.errstate(all="ignore"), pytest.raises(SolverError) as caught:
        twin.solve(*problem, method=method, rtol=1.0, atol=1.0, options=chosen)
    if isinstance(caught.value, FixedPointFailed):
        return
    t, y, _ = next(call for call in calls if not call[2])
    words = f"func first returns nan or inf at t = {t:.6g}, where the largest entry of y is {y:.3g}. If that is large"
    assert isinstance(caught.value, NonFiniteState)
    assert words in str(caught.value)


@each_twin
def test_a_state_that_overflows_at_the_end(twin):
    problem = (lambda t, y: 1.0 * y, twin.array([1e308]), (0.0, 1.0))
    with np.errstate(all="ignore"), pytest.raises(NonFiniteState, match="the state overflows between evaluations"):
        twin.solve(*problem, method="euler")


@each_twin
def test_an_implicit_step_that_does_not_converge(twin):
    words = (
        r"implicit_adams did not solve the equation of its step at t = .* in 20 iterations. They converge while "
        r"h L < 2.\d, L the Lipschitz constant of func: shorten step_size, or for a stiff problem use .*scipy:Radau"
    )
    problem = (lambda t, y: -2000.0 * y, twin.array([1.0]), (0.0, 1.0))
    with np.errstate(all="ignore"), pytest.raises(FixedPointFailed, match=words):
        twin.solve(*problem, method="implicit_adams", options={"step_size": 0.01})


@pytest.mark.filterwarnings("ignore:vode")
@pytest.mark.parametrize("method", SCIPY)
@each_twin
def test_nan_in_scipy_methods(twin, method):
    """LSODA goes on with nan in silence; Radau's linear algebra speaks of "infs or NaNs" only."""
    problem = (lambda t, y: y * (1.0 if t < 0.5 else NAN), twin.array([1.0]), (0.0, 1.0))
    with pytest.raises(SolverError, match=f"{method} .* t = 0.5") as caught:
        twin.solve(*problem, method=method, options={"max_num_steps": 1000})
    assert isinstance(caught.value, NonFiniteState) or method == "scipy:VODE"


@pytest.mark.parametrize("method", OWN + SCIPY)
@each_twin
def test_an_exception_in_func_comes_through(twin, method):
    """Also through VODE, which calls on and then complains of a tuple."""

    def failing(t, y):
        if t > 0.5:
            raise KeyError("my own")
        return -y

    with pytest.raises(KeyError, match="my own"):
        twin.solve(failing, twin.array([1.0]), (0.0, 1.0), method=method, options=options(method, 0.1))


@pytest.mark.filterwarnings("ignore:vode")
@pytest.mark.parametrize("method", SCIPY)
@each_twin
def test_max_num_steps_in_scipy_methods(twin, method):
    problem = (lambda t, y: -1e3 * (y - twin.xp.cos(t + 0 * y)), twin.array([1.0]), (0.0, 30.0))
    with pytest.raises(MaxStepsReached, match=f"{method} .* t = "):
        twin.solve(*problem, method=method, options={"max_num_steps": 10})
