"""torch's modes: compile, inference_mode, autocast, torch.func, default devices; and what outlives its use."""

import copy
import gc
import math
import warnings
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacfwd, jacrev, jvp

from nodelib.torch_ode import METHODS, odeint, odeint_adjoint, odeint_checkpoint, odeint_event, solve
from tests.twins.both import FIXED, OWN, options

SOLVERS = (odeint, odeint_adjoint, odeint_checkpoint)
REBUILDING = (odeint_adjoint, odeint_checkpoint)
T = torch.tensor([0.0, 1.0], dtype=torch.float64)
each = pytest.mark.parametrize("solver", SOLVERS, ids=lambda f: f.__name__)
each_rebuilding = pytest.mark.parametrize("solver", REBUILDING, ids=lambda f: f.__name__)


class Decay(nn.Module):
    """y' = -k y."""

    def __init__(self, k: float = 1.0, n: int = 1):
        super().__init__()
        self.k = nn.Parameter(torch.full((n,), k, dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return -self.k * y


class Net(nn.Module):
    """tanh(y W + b) W', float32."""

    def __init__(self, cast: bool = False):
        super().__init__()
        torch.manual_seed(0)
        self.net, self.cast = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 4)), cast

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        f = self.net(y)
        return f.float() if self.cast else f


def ones(n: int = 1, **kwargs: Any) -> Tensor:
    return torch.ones(n, dtype=torch.float64, **kwargs)


# --- compile ----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["rk4", "dopri5"])
@each
def test_inside_torch_compile_output_and_gradient_are_the_same(solver, method):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.field = Net()

        def forward(self, x: Tensor) -> Tensor:
            return (
                2
                * solver(self.field, 1 * x, torch.tensor([0.0, 1.0]), method=method, options=options(method, 0.25))[-1]
            )

    plain, compiled = Model(), Model()
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    outputs = [model(x) for model in (plain, torch.compile(compiled, backend="eager"))]
    assert torch.equal(*outputs)
    for y in outputs:
        y.sum().backward()
    assert torch.equal(plain.field.net[0].weight.grad, compiled.field.net[0].weight.grad)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore")
@each
def test_a_compiled_func_a_compiled_train_step_and_both_under_autocast(solver):
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0.0, 1.0])

    def step(f: Any) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = solver(f, 1 * x, t, method="rk4")[-1].square().mean()
        loss.backward()
        return loss.detach()

    plain, other, compiled = Net(), Net(), Net()
    losses = [step(plain), torch.compile(step, backend="eager")(other), step(torch.compile(compiled, backend="eager"))]
    assert max(losses) - min(losses) < 1e-6
    for f in (other, compiled):
        assert torch.allclose(plain.net[0].weight.grad, f.net[0].weight.grad, atol=1e-3)  # type: ignore[arg-type]


# --- inference_mode ---------------------------------------------------------------------------------------------------


@each
def test_inference_mode_leaves_nothing_behind_and_warns_of_nothing(solver):
    for method in ("dopri5", "implicit_adams", "bosh3"):
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("error")
            y = solver(Decay(), ones(), T, method=method, options=options(method, 0.1))
            assert not y.requires_grad
        t = T.clone().requires_grad_()
        solver(Decay(), ones(), t, method=method, options=options(method, 0.1))[-1].sum().backward()
        assert float(t.grad[1]) == pytest.approx(-math.exp(-1), abs=1e-4)  # type: ignore[index]


# --- autocast ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
@each
def test_under_autocast_the_state_keeps_its_dtype_and_its_arithmetic(solver, method):
    """The solver's own sums stay in single precision: for y' = y, which nothing casts, the result is that without."""
    y0, t = torch.linspace(1, 2, 7), torch.tensor([0.0, 1.0])
    extra = {} if solver is odeint else {"adjoint_params": ()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = solver(lambda t, y: 1 * y, y0, t, method=method, options=options(method, 0.1), **extra)
        assert solver(Net(), torch.ones(3, 4), t, method="rk4").dtype is torch.float32
    assert torch.equal(y, solver(lambda t, y: 1 * y, y0, t, method=method, options=options(method, 0.1), **extra))


@pytest.mark.parametrize("backward_inside", [False, True])
@pytest.mark.parametrize("cast", [False, True])
@pytest.mark.parametrize("solver", REBUILDING, ids=lambda f: f.__name__)
def test_the_way_back_is_cast_as_the_way_there(solver, cast, backward_inside):
    def gradient(solver: Any) -> Tensor:
        f = Net(cast)
        y0 = torch.randn(16, 4, generator=torch.Generator().manual_seed(1))
        with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):  # which sums gradients in bfloat16
            y = solver(f, y0, torch.tensor([0.0, 1.0]), method="rk4", options={"step_size": 0.1})
            if backward_inside:
                y[-1].square().sum().backward()
        if not backward_inside:
            y[-1].square().sum().backward()
        return f.net[0].weight.grad  # type: ignore[return-value]

    right, found = gradient(odeint), gradient(solver)
    error = float((found - right).norm() / right.norm())
    assert error < (1e-6 if solver is odeint_checkpoint else 2e-2)  # the adjoint takes other steps, in 2 to 3 digits


def test_weights_cast_on_the_way_there_do_not_lose_their_gradient_afterwards():
    """autocast keeps the cast weights of a solve without a graph; a use of the same weights after it needs its own."""
    f = Net()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        odeint_checkpoint(f, torch.ones(2, 4), torch.tensor([0.0, 1.0]), method="rk4")
        f.net(torch.ones(2, 4)).sum().backward()
    assert f.net[2].weight.grad is not None


# --- torch.func -------------------------------------------------------------------------------------------------------

A = torch.tensor([[0.0, 1.0], [-2.0, -0.3]], dtype=torch.float64)


@pytest.mark.parametrize("method", ["dopri5", "rk4", "adams_bashforth"])
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_jacobians_of_a_flow(method):
    def flow(y: Tensor) -> Tensor:
        return odeint(lambda t, y: A @ y, y, T, rtol=1e-9, atol=1e-9, method=method, options=options(method, 0.01))[-1]

    right, y0 = torch.linalg.matrix_exp(A), torch.tensor([1.0, 0.5], dtype=torch.float64)
    for jacobian in (jacrev(flow)(y0), jacfwd(flow)(y0)):
        assert torch.allclose(jacobian, right, atol=1e-6)
    tangent = jvp(flow, (y0,), (torch.tensor([1.0, 0.0], dtype=torch.float64),))[1]
    assert torch.allclose(tangent, right[:, 0], atol=1e-6)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_jacobians_in_the_times():
    def end(t: Tensor) -> Tensor:
        return odeint(lambda t, y: -y, ones(), t, rtol=1e-9, atol=1e-9)[-1].sum()

    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    right = torch.tensor([math.exp(-1), 0.0, -math.exp(-1)], dtype=torch.float64)
    for jacobian in (jacrev(end)(t), jacfwd(end)(t), grad(end)(t)):
        assert torch.allclose(jacobian, right, atol=1e-6)


def test_many_gradients_at_once():
    y0 = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
    y = odeint_adjoint(lambda t, y: A @ y, y0, T, adjoint_params=())[-1]
    with pytest.raises(TypeError, match=r"odeint_adjoint takes one dL/dy at a time"):
        torch.autograd.grad(y, y0, torch.eye(2, dtype=torch.float64), is_grads_batched=True)


def test_the_gradient_of_parameters_by_torch_func():
    f = Decay()

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        return odeint(lambda t, y: functional_call(f, parameters, (t, y)), ones(), T)[-1].sum()

    found = grad(loss)(dict(f.named_parameters()))
    assert float(found["k"].detach()) == pytest.approx(-math.exp(-1), rel=1e-6)


@pytest.mark.parametrize("method", [m for m in FIXED if m != "implicit_adams"])
def test_vmap_over_fixed_steps_is_a_loop_over_the_rows(method):
    def end(y: Tensor) -> Tensor:
        return odeint(
            lambda t, y: torch.stack([y[1], -torch.sin(y[0])]), y, T, method=method, options=options(method, 0.1)
        )[-1]

    rows = torch.rand(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(torch.vmap(end)(rows), torch.stack([end(row) for row in rows]), rtol=1e-12)


@pytest.mark.parametrize("method", [m for m in OWN if METHODS[m].adaptive or m == "implicit_adams"])
def test_vmap_over_steps_that_depend_on_y_is_refused_with_the_remedy(method):
    with pytest.raises(TypeError, match=r"odeint with .* cannot run under torch.vmap.*put the batch into y0"):
        torch.vmap(lambda y: odeint(lambda t, y: -y, y, T, method=method, options=options(method, 0.1)))(
            ones(3)[:, None]
        )


@each_rebuilding
def test_gradients_of_our_own_refuse_torch_func(solver):
    with pytest.raises(TypeError, match=r"cannot be followed by torch\.func or forward-mode.*use odeint"):
        jacrev(lambda y: solver(Decay(), y, T)[-1])(ones())


# --- default device ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", list(METHODS))
@each
def test_no_tensor_of_ours_follows_the_default_device(solver, method):
    """Under another default device, where tensors made without one would have no numbers, all is as without."""
    if solver is odeint_checkpoint and method.startswith("scipy"):
        pytest.skip("its steps cannot be taken again")
    f, t = Decay(), [0.0, 0.5, 1.0]
    y0, given = ones(), torch.tensor(t, dtype=torch.float64)
    settings: dict[str, Any] = {"method": method, "rtol": 1e-4, "atol": (1e-6 * y0)}
    if solver is odeint and method.startswith("scipy"):
        f.requires_grad_(False)
    with torch.device("meta"):
        for times in (t, given):
            y = solver(f, y0, times, options=options(method, 0.1) if "scipy" not in method else None, **settings)
            if y.requires_grad:
                y.sum().backward()
    assert float(y[-1].detach()) == pytest.approx(math.exp(-1), abs=2e-2)


def test_stops_tuples_dense_output_and_events_under_another_default_device():
    y0, leaf = ones(), ones(requires_grad=True)
    with torch.device("meta"):
        sol = solve(lambda t, y: (-y[0], y[0]), (y0, y0), [0, 1], dense=True, rtol=(1e-5, 1e-6),
                    options={"jump_t": [0.25], "step_t": [0.5]})  # fmt: skip
        assert float(sol(0.3)[0]) == pytest.approx(math.exp(-0.3), rel=1e-4)
        t, _ = odeint_event(lambda t, y: -y, leaf, 0.0, event_fn=lambda t, y: y[0] - 0.5)
        t.backward()
        assert float(t.detach()) == pytest.approx(math.log(2), rel=1e-6)
        assert float(odeint(lambda t, y: -y, y0, [0, 1], method="rk4", options={"perturb": True, "step_size": 0.1})[-1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.filterwarnings("ignore")
def test_on_a_gpu_a_step_waits_for_it_once():
    f = Net().cuda()
    y0, t = torch.randn(20, 4, device="cuda"), torch.tensor([0.0, 10.0])
    with torch.no_grad():
        steps = len(solve(f, y0, t, rtol=1e-6, atol=1e-7).steps)
        longer = len(solve(f, y0, 3 * t, rtol=1e-6, atol=1e-7).steps)
        waits = []
        for span in (t, 3 * t, t, 3 * t):
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                torch.cuda.set_sync_debug_mode("warn")
                odeint(f, y0, span, rtol=1e-6, atol=1e-7)
                torch.cuda.set_sync_debug_mode("default")
            waits.append(sum("synchroniz" in str(w.message) for w in said))
    assert waits[3] - waits[2] <= longer - steps
    assert waits[3] <= longer + 12  # and a dozen a solve


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@each
def test_under_default_device_cuda(solver):
    with torch.device("cuda"):
        y = solver(Decay(), torch.ones(1, dtype=torch.float64), torch.tensor([0.0, 1.0]))
        y.sum().backward()
    assert float(y[-1].detach()) == pytest.approx(math.exp(-1), rel=1e-5)


# --- what outlives its use --------------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("method", ["rk4", "dopri5", "adams_bashforth"])
def test_a_module_that_keeps_its_own_solution_can_be_collected(solver, method):
    class Owner(Decay):
        def __init__(self):
            super().__init__(n=50)
            self.solution = solver(self, ones(50), T, method=method)

    model = Owner()
    ghost = weakref.ref(model.k)
    del model
    gc.collect()
    gc.collect()
    assert ghost() is None


@each_rebuilding
def test_what_is_kept_for_the_way_back_is_released_with_it(solver):
    y0 = ones(1000, requires_grad=True)
    y = solver(Decay(), y0, T, method="rk4", options={"step_size": 0.1})

    def kept() -> int:
        gc.collect()
        return sum(x.numel() for x in gc.get_objects() if issubclass(type(x), Tensor) and x.numel() == 1000)

    before = kept()
    y.sum().backward()
    assert kept() <= before + 1000  # y0.grad alone is new
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


@each
def test_backward_twice_with_retain_graph(solver):
    f = Decay()
    loss = solver(f, ones(), T)[-1].sum()
    loss.backward(retain_graph=True)
    first = f.k.grad.clone()  # type: ignore[union-attr]
    loss.backward()
    assert torch.equal(f.k.grad, 2 * first)  # type: ignore[arg-type]


def test_a_module_that_was_solved_can_be_copied():
    f = Decay()
    odeint_adjoint(f, ones(), T).sum().backward()
    assert torch.equal(copy.deepcopy(f).k, f.k)


def test_a_replica_of_data_parallel_has_its_parameters():
    f = Decay()
    copied: Any = f._replicate_for_data_parallel()
    copied._former_parameters = {"k": f.k * 1}
    copied.k = copied._former_parameters["k"]
    odeint_adjoint(copied, ones(), T)[-1].sum().backward()
    assert float(f.k.grad) == pytest.approx(-math.exp(-1), rel=1e-6)  # type: ignore[arg-type]
