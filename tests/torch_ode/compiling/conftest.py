"""Compiled solves are traced as always and run as traced, which builds nothing, unless a test asks for ``built``."""

import pytest

from nodelib.torch_ode.compiling import cases, programs


@pytest.fixture(autouse=True)
def traced(request, monkeypatch, one_thread):
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
