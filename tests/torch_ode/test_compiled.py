"""options={"compile": True}: the same numbers as without it, in the traps that compilers set, and what it leaves aside.

Most tests trace the programs as always and run them as traced (``programs.BACKEND``), which builds nothing; those at
the end build them.
"""

import gc
import warnings
import weakref
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from nodelib import numpy_ode
from nodelib.common.solution import AnotherFunction, MaxStepsReached, NonFiniteState, StepSizeUnderflow
from nodelib.torch_ode import odeint, odeint_adjoint, odeint_checkpoint, odeint_event, solve
from nodelib.torch_ode.compiling import building, cases, programs

F64 = torch.float64
COMPILE = {"compile": True}
ENDS, NINE = [0.0, 3.0], torch.linspace(0, 3, 9, dtype=F64)

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.filterwarnings("ignore:compiled")]


@pytest.fixture(autouse=True)
def traced(request, monkeypatch):
    """Programs run as traced, unless a test is marked; and none is left from another test."""
    if "built" not in request.fixturenames:
        monkeypatch.setattr(programs, "BACKEND", "eager")
    programs.ALL.clear()
    yield
    programs.ALL.clear()


@pytest.fixture
def built():
    """Programs are built as for everybody."""
    if programs.missing("cpu"):
        pytest.skip(programs.missing("cpu"))


@pytest.fixture(params=["loop", "step"])
def size(request, monkeypatch):
    """Small states, whose loop is compiled, and large ones, of which a step is."""
    if request.param == "step":
        monkeypatch.setattr(cases, "LARGE", 0)
    return request.param


class Field(nn.Module):
    """A small network that counts its evaluations, and has an attribute."""

    def __init__(self, seed=0, dtype=F64):
        super().__init__()
        torch.manual_seed(seed)
        self.net: Any = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 2)).to(dtype)
        self.nfe, self.pull = 0, 0.1

    def forward(self, t, y):
        self.nfe += 1
        return self.net(y**3) - self.pull * y * torch.sin(t)


class Line(nn.Module):
    """A linear field with parameters."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.net = nn.Linear(2, 2, dtype=F64)

    def forward(self, t, y):
        return self.net(y)


class Moody(nn.Module):
    """Another function in training mode, by its kind of sign, and by a tensor it holds."""

    def __init__(self):
        super().__init__()
        self.sign, self.w = -1.0, torch.tensor(1.0, dtype=F64)

    def forward(self, t, y):
        return self.sign * self.w * (torch.sin(y) if self.training else y)


def start(batch=3, dtype=F64):
    return torch.randn(batch, 2, dtype=dtype, generator=torch.Generator().manual_seed(1))


def van_der_pol(t, y):
    return torch.stack([y[1], 2 * (1 - y[0] ** 2) * y[1] - y[0]])


def quiet(call, *args, **settings):
    """The call, without the sentence that something was compiled; any other warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "compiled")
        return call(*args, **settings)


def both(func, y0, t, options=None, **settings):
    """The solution without the option, and with it."""
    plain = solve(func, y0, t, options=options, **settings)
    return plain, quiet(solve, func, y0, t, options={**(options or {}), **COMPILE}, **settings)


def both_cheap(func, y0, t):
    """The same by a method that is traced in no time."""
    return both(func, y0, t, {"step_size": 0.1}, method="euler")


def same(plain, fast, atol=1e-12):
    assert fast.y.shape == plain.y.shape
    assert torch.allclose(fast.y, plain.y, rtol=0, atol=atol)
    assert [step.accepted for step in fast.steps] == [step.accepted for step in plain.steps]
    assert [step.t for step in fast.steps] == pytest.approx([step.t for step in plain.steps], rel=1e-5)


# --- the same numbers ------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize(("method", "t"), [("bosh3", ENDS), ("bosh3", NINE.flip(0))], ids=["ends", "inside, backward"])
def test_an_embedded_pair_takes_the_same_steps(method, t, size):
    plain, fast = both(Field(), start(), t, method=method, rtol=1e-6, atol=1e-6)
    same(plain, fast)
    assert fast.stats == plain.stats


@torch.no_grad()
def test_a_pair_that_is_not_fsal_counts_a_slope_more_for_each_attempt():
    plain, fast = both(Field(), start(), NINE, method="heun_euler", rtol=1e-4, atol=1e-4)
    same(plain, fast)
    assert fast.stats.nfe == 2 + 2 * len(fast.steps)


@torch.no_grad()
@pytest.mark.parametrize(
    ("t", "options"),
    [(NINE.flip(0), {"step_size": 0.07}), (NINE, None)],
    ids=["backward", "steps of t"],
)
def test_fixed_steps(t, options, size):
    plain, fast = both(Field(), start(), t, options, method="midpoint")
    same(plain, fast)
    assert fast.stats == plain.stats


@torch.no_grad()
def test_a_loop_is_entered_again_until_the_end():
    t = torch.linspace(0, 10, 50, dtype=F64)
    plain, fast = both(van_der_pol, torch.tensor([2.0, 0.0], dtype=F64), t, rtol=1e-8, atol=1e-10)
    assert len(plain.steps) > 3 * 64
    assert sum(not step.accepted for step in plain.steps) > 3
    same(plain, fast, atol=1e-11)
    assert fast.stats == plain.stats


@torch.no_grad()
def test_options_that_bound_the_steps(size):
    func = Moody()
    same(*both(func, start(), ENDS, {"first_step": 0.01, "max_step": 0.2}, method="heun_euler"))
    same(*both(func, start(), ENDS, {"min_step": 0.4}, method="heun_euler"))


@torch.no_grad()
def test_dense_output(size):
    plain, fast = both(Moody(), start(), NINE, method="bosh3", dense=True)
    s = torch.linspace(0, 3, 40, dtype=F64)
    assert torch.allclose(fast(s), plain(s), rtol=0, atol=1e-12)


@torch.no_grad()
def test_single_precision_to_its_floor():
    func = Field(dtype=torch.float32)
    plain, fast = both(func, start(dtype=torch.float32), [0.0, 2.0], method="bosh3", rtol=1e-4, atol=1e-5)
    assert torch.allclose(fast.y, plain.y, rtol=1e-5, atol=2e-6)


def gradients(solver, func, t, y0, **settings):
    y0 = y0.clone().requires_grad_()
    y = solver(func, y0, t, **settings)
    weights = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(2))
    return torch.autograd.grad((y * weights).sum(), (y0, *func.parameters()))


@pytest.mark.parametrize(
    ("solver", "method", "t", "options"),
    [
        (odeint_checkpoint, "bosh3", ENDS, {}),
        (odeint, "heun_euler", NINE.flip(0), {"first_step": 0.1, "max_step": 0.2}),
        (odeint, "midpoint", NINE, {"step_size": 0.3}),
    ],
    ids=["checkpoint-ends", "odeint-backward", "odeint-fixed"],
)
def test_gradients_are_those_without_it(solver, method, t, options, size):
    func = Field()
    plain = gradients(solver, func, t, start(), method=method, options=options)
    fast = quiet(gradients, solver, func, t, start(), method=method, options={**options, **COMPILE})
    for a, b in zip(plain, fast, strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-13)


def test_parameters_are_not_forgotten_where_y0_needs_no_gradient():
    """Where autograd looks through a loop itself, they are given wrong, in silence."""
    func, settings = Field(), {"method": "euler", "options": {"step_size": 0.1}}
    (odeint_checkpoint(func, start(), ENDS, **settings) ** 2).sum().backward()
    plain: list[Any] = [p.grad for p in func.parameters()]
    func.zero_grad()
    settings["options"].update(COMPILE)
    (quiet(odeint_checkpoint, func, start(), ENDS, **settings) ** 2).sum().backward()
    for a, b in zip(plain, [p.grad for p in func.parameters()], strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-13)  # type: ignore[arg-type]


def test_frozen_parameters_and_chosen_ones():
    func = Field()
    func.net[0].weight.requires_grad_(False)
    chosen = {"adjoint_params": (func.net[2].bias,), "options": {"step_size": 0.5, **COMPILE}}
    with pytest.warns(UserWarning, match="its gradient will be missing"):
        y = odeint_checkpoint(func, start(), ENDS, method="euler", **chosen)
    y.sum().backward()
    assert func.net[2].bias.grad is not None
    assert func.net[0].bias.grad is None


def test_second_derivatives_are_refused():
    y0 = start().requires_grad_()
    y = quiet(odeint, Line(), y0, ENDS, method="euler", options={"step_size": 0.5, **COMPILE})
    with pytest.raises(RuntimeError, match="first derivatives"):
        torch.autograd.grad(y.sum(), y0, create_graph=True)


# --- traps -----------------------------------------------------------------------------------------------------------


def programs_of(func):
    return list(programs.compiled_of(func).programs.values())


@torch.no_grad()
def test_a_program_is_made_once_and_said_once():
    func = Moody()
    with pytest.warns(UserWarning, match=r"compiled the solve in \d+\.\d s"):
        odeint(func, start(), ENDS, method="heun_euler", rtol=1e-3, atol=1e-3, options=COMPILE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for end, tol in ((1.0, 1e-3), (2.5, 1e-4), (-1.0, 1e-4)):  # Python floats make no other program
            odeint(func, start(), [0.0, end], method="heun_euler", rtol=tol, atol=tol, options=COMPILE)
    assert [program.compiles for program in programs_of(func)] == [1]


class Outer(nn.Module):
    """A Module around one that counts."""

    def __init__(self):
        super().__init__()
        self.inner, self.scale = Field(), 2.0

    def forward(self, t, y):
        return self.scale * self.inner(t, y)


@torch.no_grad()
def test_counters_count_as_without_it(size):
    for func, counted in ((Field(), lambda f: f), (Outer(), lambda f: f.inner)):
        for _ in range(2):
            counted(func).nfe = 5
            sol = quiet(solve, func, start(), ENDS, method="heun_euler", rtol=1e-3, atol=1e-3, options=COMPILE)
            assert counted(func).nfe == 5 + sol.stats.nfe
        assert [program.compiles for program in programs_of(func)] == [1]


def test_counters_count_the_way_back(size):
    func, counted = Field(), []
    for options in ({}, COMPILE):
        func.nfe, y0 = 0, start().requires_grad_()
        quiet(odeint_checkpoint, func, y0, ENDS, method="heun", rtol=1e-3, atol=1e-3, options=options).sum().backward()
        counted.append(func.nfe)
    assert counted[1] - counted[0] in (0, 1)  # eager takes the last step's slope, too, where it is compared


class Watch:
    """A reader's own callable, with a counter, and a Module beside it."""

    def __init__(self):
        self.calls, self.net = 0, Field()

    def __call__(self, t, y):
        self.calls += 1
        return -y + torch.sin(t)

    def rate(self, t, y):
        self.calls += 1
        return -2 * y


@torch.no_grad()
def test_counters_of_a_readers_own_callable_and_of_its_method():
    watch = Watch()
    for func in (watch, watch.rate):
        watch.calls = 0
        settings = {"method": "heun_euler", "rtol": 1e-3, "atol": 1e-3}
        plain = solve(func, start(), ENDS, **settings)
        watch.calls = 0
        sol = quiet(solve, func, start(), ENDS, options=COMPILE, **settings)
        assert watch.calls == sol.stats.nfe
        assert torch.allclose(sol.y, plain.y, rtol=0, atol=1e-12)


@torch.no_grad()
def test_batches_of_many_sizes_share_a_program():
    func = Moody()
    for batch in (4, 7, 5, 6, 9, 1):
        same(*both_cheap(func, start(batch), NINE))
    assert [program.compiles for program in programs_of(func)] == [1] * 4  # for 4, for 7, for 1, for all others


def test_gradients_of_batches_of_many_sizes():
    func = Line()
    settings = {"method": "euler", "options": {"step_size": 0.4}}
    for batch in (4, 7, 5, 6):
        plain = gradients(odeint_checkpoint, func, NINE, start(batch), **settings)
        settings["options"].update(COMPILE)
        fast = quiet(gradients, odeint_checkpoint, func, NINE, start(batch), **settings)
        assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-13) for a, b in zip(plain, fast, strict=True))
    assert [program.compiles for program in programs_of(func)] == [1] * (2 * 3)


@torch.no_grad()
def test_parameters_updated_replaced_and_loaded():
    func, other = Field(), Field(seed=5)
    same(*both_cheap(func, start(), ENDS))
    func.net[0].weight.mul_(0.5)
    same(*both_cheap(func, start(), ENDS))
    func.net[0].weight = nn.Parameter(func.net[0].weight + 0.1)
    same(*both_cheap(func, start(), ENDS))
    func.net[2] = nn.Linear(6, 2, dtype=F64)
    same(*both_cheap(func, start(), ENDS))
    func.load_state_dict(other.state_dict())
    plain, fast = both_cheap(func, start(), ENDS)
    same(plain, fast)
    assert torch.allclose(fast.y, both_cheap(other, start(), ENDS)[0].y)
    assert [program.compiles for program in programs_of(func)] == [1]


@torch.no_grad()
def test_modes_and_attributes_that_change_later():
    func = Moody()
    ends = []
    for change in (lambda: None, func.eval, func.train, lambda: setattr(func, "sign", 0.5), func.w.neg_):
        change()
        plain, fast = both_cheap(func, start(), ENDS)
        same(plain, fast)
        ends.append(fast.y[-1])
    assert not any(torch.allclose(ends[0], end) for i, end in enumerate(ends) if i in (1, 3, 4))


class Counting(nn.Module):
    """Another function after each evaluation, by a counter or by a buffer."""

    def __init__(self, which):
        super().__init__()
        self.which, self.n, self.seen = which, 0, nn.Buffer(torch.zeros((), dtype=F64))

    def forward(self, t, y):
        self.n += 1
        if self.which == "counter":
            return -y if self.n % 2 else -2 * y
        self.seen += 1
        return -y * self.seen


@torch.no_grad()
@pytest.mark.parametrize("which", ["counter", "buffer"])
def test_func_that_looks_at_what_it_counts_is_left_aside(which):
    func, ends = Counting(which), []
    for options in ({}, COMPILE):
        func.n = 0
        func.seen.zero_()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            ends.append(odeint(func, start(), ENDS, method="euler", options={"step_size": 0.5, **options}))
    assert f"a {which} at each evaluation" in str(said[0].message)
    assert torch.equal(*ends)


def doubled(module, args, f: Any) -> Any:
    return 2 * f


@torch.no_grad()
def test_hooks_and_another_forward_that_come_later():
    class Own(Line):
        pass

    func, ends = Own(), []
    for change in (
        lambda: None,
        lambda: func.net.register_forward_hook(doubled),
        lambda: func.register_forward_pre_hook(lambda module, args: (args[0], -args[1])),
        lambda: setattr(Own, "forward", lambda self, t, y: -y),
    ):
        change()
        plain, fast = both_cheap(func, start(), ENDS)
        same(plain, fast)
        ends.append(fast.y[-1])
    assert not any(torch.allclose(one, other) for one, other in pairwise(ends))


class Dropping(Line):
    """A linear field, some of which is dropped in training mode."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, t, y):
        return self.drop(self.net(y))


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:func has an active Dropout")
def test_layers_that_are_another_function_at_each_evaluation_stay_as_they_are():
    func, settings = Dropping().eval(), {"method": "euler", "options": {"step_size": 0.1, **COMPILE}}
    same(*both_cheap(func, start(), ENDS))
    func.train()
    with pytest.warns(UserWarning, match="left aside.*another function at each"):
        odeint(func, start(), ENDS, **settings)
    func.eval()
    same(*both_cheap(func, start(), ENDS))
    assert sum(program.compiles for program in programs_of(func)) == 2  # in training mode, too, to no end


@torch.no_grad()
def test_a_number_that_changes_at_each_call_is_given_up_in_the_end():
    func = Moody()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for i in range(6):
            func.sign = -0.1 * (i + 1)
            plain = solve(func, start(), ENDS, method="euler", options={"step_size": 0.1})
            same(plain, solve(func, start(), ENDS, method="euler", options={"step_size": 0.1, **COMPILE}))
    said = [str(each.message) for each in said]
    assert sum("compiled the solve again, since func" in each for each in said) == 2
    assert sum("left aside" in each for each in said) == 1


@torch.no_grad()
def test_numbers_of_output_times_that_keep_changing_are_given_up():
    func = Moody()
    for n in (3, 4, 5, 6, 3):
        same(*both_cheap(func, start(), torch.linspace(0, 0.4, n, dtype=F64)))
    made = len(programs.compiled_of(func).programs)
    t = torch.linspace(0, 0.4, 7, dtype=F64)
    with pytest.warns(UserWarning, match="the number of output times keeps changing"):
        fast = solve(func, start(), t, method="euler", options={"step_size": 0.1, **COMPILE})
    assert torch.equal(fast.y, solve(func, start(), t, method="euler", options={"step_size": 0.1}).y)
    assert len(programs.compiled_of(func).programs) == made == 4


def test_a_tensor_that_comes_to_need_a_gradient():
    func, y0, settings = Moody(), start(), {"method": "euler", "options": {"step_size": 0.1, **COMPILE}}
    quiet(odeint, func, y0, ENDS, **settings)
    func.w.requires_grad_()
    with pytest.warns(UserWarning, match="left aside.*not among its parameters"):
        y = odeint(func, y0, ENDS, **settings)
    assert y.requires_grad


@torch.no_grad()
def test_several_modules_of_one_class():
    funcs = [Moody() for _ in range(4)]
    for i, func in enumerate(funcs):
        func.sign = -float(i)
    with torch._dynamo.config.patch(recompile_limit=2):  # torch compiles one function so often, and then no more
        for func in (*funcs, *funcs):
            same(*both_cheap(func, start(), ENDS))
    assert all(program.compiles == 1 for func in funcs for program in programs_of(func))


@torch.no_grad()
def test_a_lambda_made_anew_at_each_call_is_the_same_func():
    net = nn.Linear(2, 2, dtype=F64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "compiled the solve in")  # not: again
        for scale in (torch.tensor(1.0), torch.tensor(-2.0), torch.tensor(0.3)):

            def func(t, y, scale=scale):
                return scale * net(y)

            same(*both_cheap(lambda t, y: func(t, y), start(), ENDS))


@torch.no_grad()
def test_a_func_that_is_gone_leaves_nothing():
    func = Field()
    both_cheap(func, start(), ENDS)
    gone = weakref.ref(func)
    assert len(programs.ALL) == 1
    del func
    gc.collect()
    assert gone() is None
    assert len(programs.ALL) == 0


def test_another_func_on_the_way_back_is_an_error(size):
    func = Field()
    y = quiet(odeint_checkpoint, func, start(), ENDS, method="euler", options={"step_size": 0.1, **COMPILE})
    func.pull = 0.2
    with pytest.raises(AnotherFunction, match="a step ends somewhere else"):
        y.sum().backward()


# --- what is left aside, and what goes wrong -------------------------------------------------------------------------


def tuple_func(t, y):
    return tuple(-part for part in y)


def branches(t, y):
    return -y if y.sum() > 0 else y


class Called(Field):
    def callback_step(self, t, y, h):
        pass


LEFT = {
    "the state is a tuple": (tuple_func, (torch.ones(2), torch.ones(1)), {}),
    "the state is complex": (lambda t, y: 1j * y, torch.ones(2, dtype=torch.complex128), {}),
    "option 'step_t' is not compiled": (Moody(), start(), {"options": {"step_t": [1.0]}}),
    "option 'norm' is not compiled": (Moody(), start(), {"options": {"norm": lambda y: y.abs().max()}}),
    "the PI controller": (Moody(), start(), {"options": {"controller": "PI"}}),
    "tolerances for each entry": (Moody(), start(), {"rtol": torch.full((3, 2), 1e-5), "atol": 1e-6}),
    "scipy:RK45 is no Runge-Kutta method": (Moody(), start(), {"method": "scipy:RK45"}),
    "adams_bashforth is no Runge-Kutta": (Moody(), start(), {"method": "adams_bashforth"}),
    "func has callbacks": (Called(), start(), {}),
    "each sample has steps of its own": (Moody(), start(), {"options": {"per_sample": True}}),
    "torch.compile cannot take func: .*branching": (branches, start(), {}),
}


@torch.no_grad()
@pytest.mark.parametrize("reason", LEFT)
def test_what_is_left_aside_says_so_once_and_is_solved(reason):
    func, y0, settings = LEFT[reason]
    plain = solve(func, y0, ENDS, **settings)
    settings = {**settings, "options": {**settings.get("options", {}), **COMPILE}}
    with pytest.warns(UserWarning, match=f"option 'compile' is left aside.*: {reason}"):
        found = solve(func, y0, ENDS, **settings)
    parts = zip(plain.y, found.y, strict=True) if isinstance(y0, tuple) else [(plain.y, found.y)]
    assert all(torch.equal(a, b) for a, b in parts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solve(func, y0, ENDS, **settings)


def test_gradients_that_are_left_aside():
    t = torch.tensor(ENDS, dtype=F64, requires_grad=True)
    with pytest.warns(UserWarning, match="left aside.*gradient of the times t"):
        odeint(Moody(), start(), t, options=COMPILE).sum().backward()
    assert t.grad is not None
    w = torch.tensor(2.0, dtype=F64, requires_grad=True)
    with pytest.warns(UserWarning, match="left aside.*not among its parameters"):
        odeint(lambda t, y: -w * y, start(), ENDS, options=COMPILE).sum().backward()
    with pytest.warns(UserWarning, match="left aside.*no parameter of func"):
        odeint_checkpoint(lambda t, y: -w * y, start(), ENDS, adjoint_params=(w,), options=COMPILE).sum().backward()
    with pytest.warns(UserWarning, match="left aside.*the adjoint's own solve"):
        odeint_adjoint(Field(), start(), ENDS, options=COMPILE)
    with pytest.warns(UserWarning, match="left aside.*no Module"):
        odeint(Field().forward, start(), ENDS, options=COMPILE)
    with pytest.warns(UserWarning, match="left aside.*torch.func"):
        torch.func.jacrev(lambda y: odeint(Moody(), y, ENDS, options=COMPILE)[-1])(start())


@torch.no_grad()
def test_events_and_autocast_are_left_aside():
    with pytest.warns(UserWarning, match="left aside.*events"):
        odeint_event(Moody(), torch.ones(2, dtype=F64), 0.0, event_fn=lambda t, y: y[0] - 0.5, options=COMPILE)
    with torch.autocast("cpu"), pytest.warns(UserWarning, match="left aside.*autocast"):
        odeint(Moody(), start(), ENDS, options=COMPILE)


def test_the_way_back_that_cannot_be_compiled_is_solved_again(monkeypatch):
    func, settings = Line(), {"method": "euler", "options": {"step_size": 0.5}}
    plain = gradients(odeint_checkpoint, func, ENDS, start(), **settings)
    settings["options"].update(COMPILE)
    whole = programs.Program.__call__

    def broken(self, *args):
        if self.what == "the way back":
            raise programs.Stay("no way back")
        return whole(self, *args)

    monkeypatch.setattr(programs.Program, "__call__", broken)
    with pytest.warns(UserWarning, match="no way back"):
        fast = gradients(odeint_checkpoint, func, ENDS, start(), **settings)
    assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-13) for a, b in zip(plain, fast, strict=True))


@torch.no_grad()
@pytest.mark.parametrize(
    ("lacking", "reason"),
    [
        ("torch._dynamo.is_dynamo_supported", "no torch.compile for Python"),
        ("torch._inductor.cpp_builder.get_cpp_compiler", "no C\\+\\+ compiler"),
    ],
)
def test_a_machine_without_a_compiler(lacking, reason, monkeypatch):
    def fails():
        if "compiler" in lacking:
            raise RuntimeError("no compiler")
        return False

    monkeypatch.setattr(programs, "BACKEND", "inductor")
    programs._missing.cache_clear()
    monkeypatch.setattr(lacking, fails)
    try:
        with pytest.warns(UserWarning, match=f"left aside.*{reason}"):
            y = odeint(Moody(), start(), ENDS, options=COMPILE)
    finally:
        programs._missing.cache_clear()
    assert torch.equal(y, odeint(Moody(), start(), ENDS))


def test_windows_builds_without_the_wrapper_in_cpp(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    assert not building.build_settings("cpu")["cpp_wrapper"]
    monkeypatch.setattr("sys.platform", "linux")
    assert building.build_settings("cpu")["cpp_wrapper"]


def test_a_large_tanh_is_torchs_own():
    graph, small, large = torch.fx.Graph(), torch.empty(building.LARGE_TANH - 1), torch.empty(building.LARGE_TANH)
    for x in (small, large):
        graph.call_function(torch.ops.aten.tanh.default, (graph.placeholder("x"),)).meta["val"] = x
    building.TanhAsEager()(graph)
    assert ["should_fallback" in node.meta for node in graph.nodes if node.op == "call_function"] == [False, True]


@torch.no_grad()
def test_what_goes_wrong_raises_as_without_it():
    for func, y0, t, error, options in (
        (lambda t, y: y**2, torch.ones(1, dtype=F64), [0.0, 2.0], StepSizeUnderflow, {}),
        (lambda t, y: torch.log(1 - t) + 0 * y, torch.ones(1, dtype=F64), [0.0, 2.0], NonFiniteState, {}),
        (van_der_pol, torch.tensor([2.0, 0.0], dtype=F64), [0.0, 10.0], MaxStepsReached, {"max_num_steps": 70}),
    ):
        said = []
        for more in ({}, COMPILE):
            with pytest.raises(error) as found:
                quiet(solve, func, y0, t, method="heun_euler", rtol=1e-4, atol=1e-4, options={**options, **more})
            said.append(str(found.value)[:20])
        assert said[0] == said[1]


def test_bad_arguments_raise_as_without_it():
    func = Moody()
    quiet(odeint, func, start(), ENDS, options=COMPILE)
    bad: list[tuple[Any, Any, dict[str, Any], str]] = [
        (start(), [0.0, 0.0], {}, "strictly"),
        (start() * torch.nan, ENDS, {}, "y0 contains nan"),
        (start(), ENDS, {"rtol": -1.0}, "rtol must be zero or positive"),
        (start(), ENDS, {"options": {"first_stp": 1}}, "first_stp"),
        (start(), [[0.0, 1.0]], {}, "one-dimensional"),
    ]
    for y0, t, settings, match in bad:
        options = {**settings.get("options", {}), **COMPILE}
        with pytest.raises(ValueError, match=match):
            quiet(odeint, func, y0, t, **{**settings, "options": options})
    with pytest.raises(TypeError, match="'compile' must be True or False"):
        odeint(func, start(), ENDS, options={"compile": "yes"})
    with pytest.raises(ValueError, match="only nodelib"):
        numpy_ode.odeint(lambda t, y: -y, 1.0, ENDS, options=COMPILE)


# --- built -----------------------------------------------------------------------------------------------------------


def test_the_programs_as_built(built):
    """A loop with outputs inside, and its way back; of a pair of two stages, since building takes its time by stage."""
    func, settings = Line(), {"method": "heun_euler", "rtol": 1e-4, "atol": 1e-4}
    plain, fast = both(func, start(), NINE, **settings)
    same(plain, fast)
    want = gradients(odeint_checkpoint, func, NINE, start(), **settings)
    found = quiet(gradients, odeint_checkpoint, func, NINE, start(), options=COMPILE, **settings)
    for a, b in zip(want, found, strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-13)
