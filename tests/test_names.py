"""The analysis of global names sees what would break a cell that is run again, and nothing else."""

import pytest

from tests.names import Cell, influenced, needed, two_meanings, unused_imports


@pytest.mark.parametrize("cells", [
    ("h = 1", "h = 2"),
    ("h = 1", "for h in (1, 2): pass"),
    ("h = 1", "a, (b, h) = f()"),
    ("a, b = 1, 2", "b, a = 1, 2"),
    ("def f(): return 1", "def f(): return 2"),
    ("def f(): return 1", "f = 2"),
    ("class A: pass", "A = 1"),
    ("import numpy as np", "np = 1"),
    ("from a import f", "from b import f"),
    ("total = 0", "total += 1"),
    ("if x:\n    h = 1", "h = 2"),
    ("with a() as h: pass", "h = 3"),
    ("print(h := 1)", "h = 2"),
    ("x: int = 1", "x: int = 2"),
    ("[*a, b] = c", "a = 1"),
    ("for k in (1,): pass", "for k in (2,): pass\nprint(k)", "print(k)"),
    ("for k in (1,): pass", "for k in (2,): pass", "def f(): return k"),
    ("for k in (1,): pass", "for k in (2,): pass", "g = lambda: k"),
    ("fig, ax = plt.subplots()", "fig, ax = plt.subplots(2)", "ax.plot()"),
    ("try: pass\nexcept A as e: pass", "e = 1"),
])  # fmt: skip
def test_two_meanings_are_seen(cells):
    assert len(two_meanings(list(cells))) in (1, 2)


@pytest.mark.parametrize("cells", [
    ("h = 1", "h = 1"),
    ("h = 1\nh = 2",),
    ("import numpy as np", "import numpy as np"),
    ("for k in (1,): print(k)", "for k in (2,): print(k)", "[k for k in (1, 2)]", "f(lambda k: k)"),
    ("fig, ax = plt.subplots()\nax.plot()", "fig, ax = plt.subplots(2)\nax.plot()"),
    ("def f():\n    h = 1\n    return h", "def g():\n    h = 2\n    return h", "h = 3"),
    ("{h: 1 for h in x}", "h = 1", "x[0] = 1", "x[0] = 2", "x.y = 1", "x.y = 2"),
    ("_ = f(1)", "_ = f(2)"),
    ("n = 0\nn += 1", "m = 3"),
    ("for k in (1,):\n    def f(x, k=k): return k", "for k in (2,):\n    g = lambda x, k=k: k * x"),
    ("with a() as b: b.x()", "with c() as b: b.y()"),
])  # fmt: skip
def test_one_meaning_is_left_alone(cells):
    assert two_meanings(list(cells)) == {}


def test_a_name_may_be_allowed():
    assert two_meanings(["h = 1", "h = 2"], allowed={"h"}) == {}


def test_what_is_read_before_it_is_bound_comes_from_another_cell():
    cell = Cell("h = h / 2\nfor k in range(n): h = k\n[i * m for i in h]\ndef f(a, b=c): return a + d")
    assert cell.read == {"h", "range", "n", "m", "c"}
    assert cell.later == {"d"}


def test_imports_that_no_cell_uses_are_seen():
    assert unused_imports(["import a.b, c as d\nfrom e import f, g", "a.b.x(f)\ndef h(): return g"]) == {"d"}


CELLS = [
    "import a\nn = 1",
    "def f(x): return g(x) + n",
    "def g(x): return a.h(x)",
    "m = f(2)",
    "for k in range(3): print(k)",
    "p = [m for _ in 'ab']\n_ = p",
    "print(_, b.c)",
]


@pytest.mark.parametrize(("wanted", "expected"), [
    ([], set()), ([4], {4}), ([2], {0, 2}), ([1], {0, 1, 2}), ([5], {0, 1, 2, 3, 5}), ([4, 6], {4, 6}),
])  # fmt: skip
def test_a_cell_needs_those_that_bind_what_it_reads_or_its_functions_read(wanted, expected):
    assert needed(CELLS, wanted) == expected


@pytest.mark.parametrize(("first", "expected"), [
    ([], set()), ([5], {5}), ([2], {1, 2, 3, 5}), ([3], {3, 5}), ([0], {0, 1, 2, 3, 5}), ([4], {4}),
])  # fmt: skip
def test_a_cell_influences_those_that_read_what_it_binds_and_so_on(first, expected):
    assert influenced(CELLS, first) == expected
