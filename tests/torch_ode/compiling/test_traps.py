"""The traps that compilers set: what changes between calls, and what an evaluation changes."""

import gc
import sys
import warnings
import weakref
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from nodelib.common.solution import NonFiniteState
from nodelib.torch_ode import odeint, solve
from nodelib.torch_ode.compiling import programs
from tests.torch_ode.compiling.fields import (
    COMPILE,
    ENDS,
    F64,
    NINE,
    Field,
    Line,
    Moody,
    Small,
    both_cheap,
    programs_of,
    quiet,
    same,
    start,
)

pytestmark = pytest.mark.filterwarnings("ignore:compiled")


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
def test_a_number_of_a_readers_module_whose_name_begins_with_torch(monkeypatch):
    """torch's own functions are trusted not to change; torchmine's are not torch's."""
    mine = ModuleType("torchmine")
    exec("SCALE = 1.0\ndef func(t, y):\n    return -y * SCALE", vars(mine))
    monkeypatch.setitem(sys.modules, "torchmine", mine)
    for mine.SCALE in (1.0, 2.0):  # type: ignore[attr-defined]
        same(*both_cheap(mine.func, start(), ENDS))


@torch.no_grad()
def test_parameters_that_have_become_nan_are_said_at_once(size):
    func = Small()
    quiet(odeint, func, start(), ENDS, method="heun_euler", rtol=1e-3, atol=1e-3, options=COMPILE)
    func.w.fill_(torch.nan)
    program = programs_of(func)[0]
    calls, run = [], program.run
    program.run = lambda *args: calls.append(0) or run(*args)
    with pytest.raises(NonFiniteState, match="at its first evaluation"):
        odeint(func, start(), ENDS, method="heun_euler", rtol=1e-3, atol=1e-3, options=COMPILE)
    assert len(calls) == 1


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
