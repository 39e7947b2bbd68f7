"""States and times of every kind: shapes, dtypes, views, what func gets and what it may return."""

import numpy as np
import pytest
import torch

from tests.twins.both import NUMPY, OSCILLATOR, OWN, SCIPY, SWING, TORCH, TWINS, log, options, tol

each_twin = pytest.mark.parametrize("twin", TWINS, ids=str)


@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 3), (1, 2, 3), (6, 1)], ids=str)
@pytest.mark.parametrize("method", [*OWN, "scipy:LSODA", "scipy:VODE"])
@each_twin
def test_shapes(twin, method, shape):
    start = np.linspace(0.5, 1.5, int(np.prod(shape))).reshape(shape)
    dense = method != "scipy:VODE"

    def func(t, y):
        assert tuple(y.shape) == shape
        return -y

    settings = {"method": method, "options": options(method, 0.02), **tol(method, 1e-6)}
    sol = twin.solve(func, twin.array(start), (0.0, 0.5, 1.0), dense=dense, **settings)
    assert tuple(sol.y.shape) == (3, *shape)
    assert twin.numpy(sol.y[-1]) == pytest.approx(start / np.e, abs=1e-2)
    if dense:
        assert tuple(sol(0.7).shape) == shape


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("method", [*OWN, "scipy:RK45"])
@each_twin
def test_dtypes(twin, method, dtype):
    """y0's dtype is that of what func gets, of the result and of dense output. y' = λy, with λ = i if y is complex."""
    rate = 1j if dtype.startswith("complex") else -1.0
    seen = set()

    def func(t, y):
        seen.add(str(y.dtype).removeprefix("torch."))
        return rate * y

    settings = {"method": method, "options": options(method, 0.01), **tol(method, 1e-5)}
    sol = twin.solve(func, twin.array([1.0, 2.0], dtype), (0.0, 0.6, 1.0), dense=True, **settings)
    assert seen == {dtype} or method == "scipy:RK45"  # SciPy computes in double precision
    assert twin.numpy(sol.y).dtype == twin.numpy(sol(0.6)).dtype == dtype
    error = {"euler": 3e-2, "midpoint": 1e-4, "heun": 1e-4, "heun_euler": 1e-3}.get(method, 5e-5)
    assert twin.numpy(sol.y[-1]) == pytest.approx(np.exp(rate) * np.array([1, 2]), abs=error)
    assert twin.numpy(sol(0.6)) == pytest.approx(twin.numpy(sol.y[1]), rel=1e-5)


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [("float32", 1e-5, 1e-6), ("complex64", 1e-5, 1e-6), ("float64", 1e-7, 1e-9)]
)
@each_twin
def test_default_tolerances_follow_the_dtype(twin, dtype, rtol, atol):
    problem = (OSCILLATOR.func(twin.xp), twin.array([1.0, 0.0], dtype), (0.0, 5.0))
    default, told = twin.solve(*problem), twin.solve(*problem, rtol=rtol, atol=atol)
    assert default.steps == told.steps
    assert default.steps != twin.solve(*problem, rtol=rtol, atol=2 * atol).steps


@pytest.mark.parametrize("dtype", ["float32", "complex64", "float64"])
@each_twin
def test_time_is_kept_in_double_precision(twin, dtype):
    sol = twin.solve(lambda t, y: -y, twin.array([1.0], dtype), (0.0, 10.0), method="rk4", options={"step_size": 1e-2})
    assert [step.t for step in sol.steps] == [i * 1e-2 for i in range(1000)]


@pytest.mark.parametrize("method", [*OWN, "scipy:LSODA", "scipy:VODE"])
def test_numpy_func_gets_t_as_a_float(method):
    def func(t, y):
        assert type(t) is float
        return -y

    NUMPY.odeint(func, np.ones(2), (0, 1), method=method, options=options(method, 0.1), **tol(method, 1e-6))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", [*OWN, "scipy:LSODA", "scipy:VODE"])
def test_torch_func_gets_t_as_a_tensor_of_the_states_precision(method, dtype):
    def func(t, y):
        assert isinstance(t, torch.Tensor)
        assert t.ndim == 0
        assert t.dtype == y.dtype == dtype
        return -y

    settings = {"method": method, "options": options(method, 0.1), **tol(method, 1e-5)}
    TORCH.odeint(func, torch.ones(2, dtype=dtype), (0, 1), **settings)


@pytest.mark.parametrize("method", [*OWN, "scipy:LSODA"])
@each_twin
def test_starts_that_are_views(twin, method):
    """Strided, transposed and broadcast starts are read in their own order, and left as they were."""
    block = twin.array(np.arange(12.0).reshape(3, 4) / 12)
    spread = np.broadcast_to(np.float64(0.5), 3) if twin is NUMPY else torch.tensor(0.5).double().expand(3)
    settings = {"method": method, "options": options(method, 0.05), **tol(method, 1e-6)}
    for y0 in (block[:, 1], block[::2, ::3], block.T, spread):
        before = twin.numpy(y0).copy()
        y = twin.odeint(lambda t, y: -y * t, y0, (0.0, 1.0), **settings)
        plain = twin.odeint(lambda t, y: -y * t, twin.array(before), (0.0, 1.0), **settings)
        assert np.array_equal(twin.numpy(y), twin.numpy(plain))
        assert np.array_equal(twin.numpy(y0), before)


@pytest.mark.parametrize("method", OWN + SCIPY)
@each_twin
def test_func_may_return_the_same_memory_every_time(twin, method):
    """One buffer, filled anew at each evaluation: the solvers must have copied what they keep of it."""
    buffer = twin.array([0.0, 0.0])

    def fresh(t, y):
        return 5.0 * OSCILLATOR.func(twin.xp)(t, y)

    def reusing(t, y):
        buffer[:] = fresh(t, y)
        return buffer

    dense = method != "scipy:VODE"
    settings = {"method": method, "options": options(method, 0.05), "dense": dense, **tol(method, 1e-6)}
    y0, t = OSCILLATOR.exact(0.0), np.linspace(0, 2, 5)
    ours, plain = (twin.solve(func, twin.array(y0), t, **settings) for func in (reusing, fresh))
    assert np.array_equal(twin.numpy(ours.y), twin.numpy(plain.y))
    assert np.array_equal(log(ours), log(plain), equal_nan=True)
    if dense:
        assert np.array_equal(twin.numpy(ours(0.77)), twin.numpy(plain(0.77)))


@pytest.mark.parametrize("method", OWN)
@each_twin
def test_func_may_return_its_own_argument(twin, method):
    y0 = twin.array([1.0, -2.0])
    settings = {"method": method, "options": options(method, 0.01), **tol(method, 1e-6)}
    y = twin.odeint(lambda t, y: y, y0, (0.0, 1.0), **settings)
    copied = twin.odeint(lambda t, y: 1.0 * y, y0, (0.0, 1.0), **settings)
    assert np.array_equal(twin.numpy(y), twin.numpy(copied))
    assert np.array_equal(twin.numpy(y0), [1.0, -2.0])


@pytest.mark.parametrize("method", [*OWN, "scipy:RK45", "scipy:VODE"])
@each_twin
def test_odeint_is_the_y_of_solve(twin, method):
    problem = (SWING.func(twin.xp), twin.array([1.0]), [0.0, 0.5, 2.0])
    settings = {"method": method, "rtol": 1e-4, "atol": 1e-4, "options": options(method, 0.1)}
    sol = twin.solve(*problem, **settings)
    assert np.array_equal(twin.numpy(twin.odeint(*problem, **settings)), twin.numpy(sol.y))
    assert sol.t is problem[2]


TIMES = [(0, 1, 2), [0.0, 1.0, 2.0], range(3), np.arange(3), np.arange(3, dtype=np.float32), torch.arange(3)]


@pytest.mark.parametrize("t", TIMES, ids=lambda t: f"{type(t).__name__} {getattr(t, 'dtype', '')}")
@each_twin
def test_kinds_of_t(twin, t):
    y = twin.odeint(lambda t, y: -y, twin.array([1.0]), t)
    assert twin.numpy(y)[:, 0] == pytest.approx(np.exp(-np.arange(3.0)), abs=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.array, torch.tensor, str], ids=lambda kind: kind.__name__)
@each_twin
def test_kinds_of_numbers_among_the_options(twin, kind):
    """Whatever they come as, times and steps stay Python floats."""
    for method, chosen in (("rk4", {"step_size": kind(0.25)}), ("dopri5", {"first_step": kind(0.25)})):
        sol = twin.solve(lambda t, y: -y, twin.array([1.0]), (0.0, 1.0), method=method, options=chosen)
        assert sol.steps[0].h == 0.25
        assert all(type(step.t) is type(step.h) is float for step in sol.steps)
