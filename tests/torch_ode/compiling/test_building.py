"""The programs as they are built, and what the builder is asked for."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from nodelib.torch_ode import odeint, odeint_adjoint, odeint_checkpoint
from nodelib.torch_ode.compiling import building, programs
from tests.torch_ode.compiling.fields import (
    COMPILE,
    ENDS,
    NINE,
    Line,
    Moody,
    both,
    gradients,
    programs_of,
    quiet,
    same,
    start,
    with_option,
)

pytestmark = pytest.mark.filterwarnings("ignore:compiled")


def test_the_programs_as_built(built):
    """A loop with outputs inside, its way back, and the adjoint; of two stages, since each takes its time to build."""
    func, settings = Line(), {"method": "heun_euler", "rtol": 1e-4, "atol": 1e-4}
    plain, fast = both(func, start(), NINE, **settings)
    same(plain, fast)
    for solver in (odeint_checkpoint, odeint_adjoint):
        want = gradients(solver, func, NINE, start(), **settings)
        found = quiet(gradients, solver, func, NINE, start(), **with_option(settings))
        for a, b in zip(want, found, strict=True):
            assert torch.allclose(a, b, rtol=1e-12, atol=1e-13)
    assert [program.compiles for program in programs_of(func)] == [1] * 3


def test_windows_builds_without_the_wrapper_in_cpp(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    assert not building.settings("cpu")["cpp_wrapper"]
    monkeypatch.setattr("sys.platform", "linux")
    assert building.settings("cpu")["cpp_wrapper"]


def test_a_large_tanh_is_torchs_own():
    graph, small, large = torch.fx.Graph(), torch.empty(building.LARGE_TANH - 1), torch.empty(building.LARGE_TANH)
    for x in (small, large):
        graph.call_function(torch.ops.aten.tanh.default, (graph.placeholder("x"),)).meta["val"] = x
    building.TanhAsEager()(graph)
    assert ["should_fallback" in node.meta for node in graph.nodes if node.op == "call_function"] == [False, True]


def bound(rows: int) -> int:
    """The k for which a (rows, k) matrix times a (k, 4) one is the largest of the small products."""
    return building.SMALL_PRODUCT // (4 * rows)


@pytest.mark.parametrize(("rows", "more", "called"), [(2, 0, False), (32, 0, False), (2, 1, True), (32, 1, True)])
def test_a_small_product_is_loops_and_a_large_one_a_call(rows, more, called):
    draw, k = torch.Generator().manual_seed(0), bound(rows) + more
    bias, a, b = (torch.randn(size, generator=draw, dtype=torch.float64) for size in ((4,), (rows, k), (4, k)))

    def products(bias, a, b):
        plain = a @ b.T, torch.addmm(bias, a, b.T)
        return *plain, torch.addmm(bias, a, b.T, beta=0.5), torch.addmm(bias, a, b.T, alpha=2)

    graph = make_fx(products, decomposition_table=building.decompositions())(bias, a, b)
    names = [str(node.target) for node in graph.graph.nodes if "mm" in str(node.target)]
    # the last two, which no layer asks for, are left to torch
    assert names == (["aten.mm.default", "aten.addmm.default"] if called else []) + ["aten.addmm.default"] * 2
    for found, exact in zip(graph(bias, a, b), products(bias, a, b), strict=True):
        assert torch.allclose(found, exact, rtol=1e-13, atol=1e-13)


def test_a_product_for_any_size_of_a_batch_is_a_call():
    graph = make_fx(torch.mm, decomposition_table=building.decompositions(), tracing_mode="symbolic")
    traced = graph(torch.ones(3, 3), torch.ones(3, 3)).graph
    assert torch.ops.aten.mm.default in [node.target for node in traced.nodes]


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
