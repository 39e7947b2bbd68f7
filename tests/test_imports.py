"""Whoever reads the numpy twin does not wait for what it does not need; and the modules import only downward."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SLOW = ("torch", "scipy.integrate", "matplotlib", "IPython", "ipywidgets")
PROBE = """
import sys, time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
print(*sys.modules)
"""
# The layout: each room of ``nodelib``, from the ground up, and the rooms below that it may import from.
MAY_IMPORT = {
    "common": (),
    "data": (),
    "one_page": (),
    "numpy_ode": ("common",),
    "torch_ode": ("common",),
    "gradcheck": ("numpy_ode", "torch_ode"),
    "models": ("common", "torch_ode"),
    "experiments": ("common", "data", "torch_ode", "models"),
    "workbook": ("data",),  # the book's tools know no solver and no network
    "chapters": ("common", "data", "numpy_ode", "torch_ode", "models", "experiments", "workbook"),
}


def seconds_and_modules(module):
    """The time to import a module in a Python of its own, and all that this brought in."""
    command = [sys.executable, "-c", PROBE.format(module=module)]
    seconds, names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return float(seconds), set(names.split())


def test_numpy_twin_imports_nothing_slow(record_property):
    runs = [seconds_and_modules("nodelib.numpy_ode") for _ in range(3)]
    seconds, modules = min(run[0] for run in runs), runs[0][1]
    record_property("measured", f"import nodelib.numpy_ode: {seconds:.2f} s")
    assert "nodelib.numpy_ode.solve" in modules
    assert modules.isdisjoint(SLOW)
    assert not any(name.startswith("nodelib.torch_ode") for name in modules)
    assert seconds < 1.5  # 0.5 s is what it may take; a busy machine takes longer


def test_numpy_twin_solves_without_scipy():
    code = "import sys, numpy; from nodelib.numpy_ode import odeint; "
    code += "odeint(lambda t, y: -y, numpy.ones(2), (0, 1)); assert 'scipy.integrate' not in sys.modules; "
    code += (
        "odeint(lambda t, y: -y, numpy.ones(2), (0, 1), method='scipy:RK45'); assert 'scipy.integrate' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_torch_twin_imports_no_scipy_integrate_and_no_numpy_twin():
    _, modules = seconds_and_modules("nodelib.torch_ode")
    assert "torch" in modules
    assert "scipy.integrate" not in modules
    assert not any(name.startswith("nodelib.numpy_ode") for name in modules)


def imported(path):
    """The modules of the package that this file names in its import statements, at the top or in a function."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    names |= {f"{node.module}.{a.name}" for node in nodes if isinstance(node, ast.ImportFrom) for a in node.names}
    names |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name for name in names if name.startswith("nodelib.")}


def rooms():
    """(room, file) for every module of the package."""
    package = ROOT / "nodelib"
    return [(path.relative_to(package).parts[0].removesuffix(".py"), path) for path in sorted(package.rglob("*.py"))]


def test_every_room_stands_above_those_that_it_may_import_from():
    order = list(MAY_IMPORT)
    assert {room for room, _ in rooms()} - {"__init__"} == set(order)
    assert all(order.index(below) < order.index(room) for room, may in MAY_IMPORT.items() for below in may)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_from_those_below_it(room):
    for path in (path for name, path in rooms() if name == room):
        found = {name.split(".")[1] for name in imported(path)} - {room}
        assert found <= set(MAY_IMPORT[room]), f"{path.relative_to(ROOT)} imports from {found - set(MAY_IMPORT[room])}"


def test_no_chapter_imports_from_another():
    for room, path in rooms():
        if room == "chapters" and path.parent.name != "chapters":
            others = {name.split(".")[2] for name in imported(path) if name.startswith("nodelib.chapters.")}
            assert others <= {path.parent.name}
