"""The programs as they are built, and what the builder is asked for."""

import pytest
import torch

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
