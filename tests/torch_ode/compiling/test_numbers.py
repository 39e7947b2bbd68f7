"""options={"compile": True}: the same numbers as without it."""

import pytest
import torch

from tests.torch_ode.compiling.fields import ENDS, F64, NINE, Field, Moody, both, same, start, van_der_pol

pytestmark = pytest.mark.filterwarnings("ignore:compiled")


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


def test_a_state_of_one_number():
    def func(t, y):
        return torch.cos(t) - y**3

    y0 = torch.tensor(0.7, dtype=F64, requires_grad=True)
    plain, fast = both(func, y0, NINE, {"step_size": 0.25}, method="midpoint", dense=True)
    same(plain, fast)
    s = torch.linspace(0, 3, 40, dtype=F64)
    assert torch.allclose(fast(s), plain(s), rtol=0, atol=1e-12)
    want, found = (torch.autograd.grad(sol.y.square().sum(), y0)[0] for sol in (plain, fast))
    assert torch.allclose(want, found, rtol=1e-12)


@torch.no_grad()
def test_single_precision_to_its_floor():
    func = Field(dtype=torch.float32)
    plain, fast = both(func, start(dtype=torch.float32), [0.0, 2.0], method="bosh3", rtol=1e-4, atol=1e-5)
    assert torch.allclose(fast.y, plain.y, rtol=1e-5, atol=2e-6)
