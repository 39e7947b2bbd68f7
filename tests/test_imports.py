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
# the ground floor, which both twins stand on
GROUND = {"nodelib.tableaus", "nodelib.arguments", "nodelib.controller", "nodelib.solution", "nodelib.scipy_solvers"}


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


@pytest.mark.parametrize("name", sorted(GROUND))
def test_ground_floor_imports_only_itself(name):
    path = ROOT / f"{name.replace('.', '/')}.py"
    assert {".".join(found.split(".")[:2]) for found in imported(path)} <= GROUND


@pytest.mark.parametrize(("twin", "other"), [("numpy_ode", "torch_ode"), ("torch_ode", "numpy_ode")])
def test_twins_import_the_ground_floor_and_not_each_other(twin, other):
    for path in (ROOT / "nodelib" / twin).glob("*.py"):
        found = {".".join(name.split(".")[:2]) for name in imported(path)}
        assert f"nodelib.{other}" not in found
        assert not found & {"nodelib.explore", "nodelib.models", "nodelib.data", "nodelib.exercises"}
