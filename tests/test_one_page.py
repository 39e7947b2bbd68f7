"""The page is one page, stands alone and is right; and both twins are held to it: the same steps, states, gradients."""

import re
from pathlib import Path

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad

import nodelib.numpy_ode.adjoint
import nodelib.torch_ode.adjoint
from nodelib import numpy_ode, one_page
from nodelib.gradcheck import check_gradient
from tests.twins.both import KNOWN, TWINS, lotka_volterra
from tests.twins.ways import THETA, Y0, Way, every_output, gap, swirl

SPANS = {
    "forward": np.array([0.3, 1.4]),
    "many outputs": np.linspace(0.3, 1.4, 23),
    "uneven outputs, backward": 1.4 - 1.1 * np.linspace(0, 1, 12) ** 2,
}
TIMES = {"increasing": np.array([0.1, 0.3, 0.45, 1.8]), "decreasing": np.array([1.8, 0.45, 0.3, 0.1])}
HARDER = {  # many rejections; the largest change of the step, both ways; no slope at the start, or none at all
    "lotka_volterra": lotka_volterra,
    "switch": lambda xp: lambda t, y: -y * (1 + xp.tanh(20 * (t - 4))),
    "from rest": lambda xp: lambda t, y: xp.sin(t + 0 * y),
    "rest": lambda xp: lambda t, y: 0 * y,
}
BACKWARD_SOLVER = {"numpy": (nodelib.numpy_ode.adjoint, "solve"), "torch": (nodelib.torch_ode.adjoint, "run")}


def page_gradients(func, y0, t, theta, g, rtol=1e-11, atol=1e-12):
    """The page's gradients of the page's solution, in the order that ``check_gradient`` expects."""
    ys, _ = one_page.odeint(lambda s, y: func(s, y, *theta), y0, t, rtol, atol)
    return one_page.gradients(func, ys, t, theta, g, rtol, atol)


def assert_same_steps(page, twin):
    """Accepted or not, t and h. An error ratio magnifies the last bits, which two libraries round differently."""
    assert [accepted for *_, accepted in twin] == [accepted for *_, accepted in page]
    t_and_h = [np.array([step[:2] for step in steps]) for steps in (page, twin)]
    assert t_and_h[1] == pytest.approx(t_and_h[0], rel=1e-5, abs=1e-9)


def assert_same_solve(twin, func, y0, t, tol):
    """Solve with both; compare states and steps."""
    ys, steps = one_page.odeint(func(np), y0, t, tol, tol / 10)
    sol = twin.solve(func(twin.xp), twin.array(y0), twin.array(t), rtol=tol, atol=tol / 10)
    assert_same_steps(steps, sol.steps)
    assert twin.numpy(sol.y) == pytest.approx(ys, rel=1e-10, abs=1e-10)


def recorded(monkeypatch, module, name, steps_of):
    """The list to which that solver of the module will add the steps of each of its solves."""
    steps, solver = [], getattr(module, name)

    def recording(*args, **settings):
        found = solver(*args, **settings)
        steps.extend(steps_of(found))
        return found

    monkeypatch.setattr(module, name, recording)
    return steps


def test_it_is_one_page_that_stands_alone():
    text = Path(one_page.__file__).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    assert re.findall(r"^ *(?:from|import) (\w+)", text, re.MULTILINE) == ["numpy", "autograd", "autograd"]


@pytest.mark.parametrize("span", SPANS.values(), ids=SPANS)
@pytest.mark.parametrize("problem", KNOWN.values(), ids=KNOWN)
def test_it_solves(problem, span):
    ys, _ = one_page.odeint(problem.func(np), problem.exact(span[0]), span, 1e-10, 1e-11)
    assert ys == pytest.approx(problem.exact(span), abs=1e-8)


@pytest.mark.parametrize("t", TIMES.values(), ids=TIMES)
def test_its_gradients_agree_with_central_differences(t):
    table = check_gradient(numpy_ode.odeint, swirl(anp), Y0, t, THETA, loss=every_output, gradient=page_gradients)
    assert table.worst < 1e-8


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("slope", [lambda t, y: y * y, lambda t, y: np.sqrt(1 - t) * y], ids=["blows up", "nan"])
def test_where_the_solution_ends_it_says_so(slope):
    with pytest.raises(RuntimeError, match=r"underflow in the step size at t = (1:|0\.99|1\.00)"):
        one_page.odeint(slope, [1.0], [0.0, 2.0])


@pytest.mark.parametrize("tol", [1e-5, 1e-8])
@pytest.mark.parametrize("span", SPANS.values(), ids=SPANS)
@pytest.mark.parametrize("problem", KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_a_twin_takes_the_steps_of_the_page(twin, problem, span, tol):
    assert_same_solve(twin, problem.func, problem.exact(span[0]), span, tol)


@pytest.mark.parametrize("t", [np.linspace(0, 8, 20), np.linspace(8, 0, 20)], ids=["forward", "backward"])
@pytest.mark.parametrize("func", HARDER.values(), ids=HARDER)
@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_a_twin_takes_the_steps_of_the_page_where_the_control_works_hard(twin, func, t):
    assert_same_solve(twin, func, np.ones(2), t, 1e-6)


@pytest.mark.parametrize("t", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("name", BACKWARD_SOLVER)
def test_the_adjoint_of_a_twin_is_that_of_the_page(name, t, monkeypatch):
    func, tol = swirl(anp), {"rtol": 1e-6, "atol": 1e-7}
    ys, forward = one_page.odeint(lambda s, y: func(s, y, *THETA), Y0, t, **tol)
    g = grad(every_output)(ys)  # type: ignore
    page = recorded(monkeypatch, one_page, "odeint", lambda found: found[1])
    twin = recorded(monkeypatch, *BACKWARD_SOLVER[name], lambda sol: sol.steps)
    dy0, dt, dtheta = one_page.gradients(func, ys, t, THETA, g, **tol)
    theirs = Way(name, "odeint_adjoint").gradients(swirl, Y0, t, THETA, every_output, **tol)
    assert gap([dy0, dt, *dtheta], theirs) < 1e-10
    assert_same_steps(page, twin[len(forward) :] if name == "torch" else twin)  # torch solves forward by run as well
