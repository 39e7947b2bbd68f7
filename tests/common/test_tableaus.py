"""Every tableau satisfies its order conditions, for its end point, its error estimate and its dense output."""

from fractions import Fraction
from functools import cache

import pytest

from nodelib.common.tableaus import TABLEAUS, Tableau

Tree = tuple["Tree", ...]  # a rooted tree is the tuple of the subtrees that hang from its root

# The fractions of dopri8 were published as 18-digit approximations, its dense output as decimals to some 1e-12.
TOLERANCE = {"dopri8": 1e-14, "tsit5": 1e-14}
DENSE_TOLERANCE = {"dopri8": 1e-12, "tsit5": 1e-14}


@cache
def trees(n: int) -> tuple[Tree, ...]:
    """All rooted trees with n nodes: 1, 1, 2, 4, 9, 20, 48, 115 of them for n = 1 … 8."""

    def forests(nodes: int, largest: int) -> list[Tree]:
        if nodes == 0:
            return [()]
        return [
            (tree, *rest)
            for size in range(min(nodes, largest), 0, -1)
            for tree in trees(size)
            for rest in forests(nodes - size, size)
        ]

    return tuple({tuple(sorted(forest)) for forest in forests(n - 1, n - 1)})


def size(tree: Tree) -> int:
    return 1 + sum(map(size, tree))


def density(tree: Tree) -> int:
    """γ(t) of HNW II.2: the order condition of the tree reads Σ_i b_i Φ_i = 1/γ."""
    result = size(tree)
    for subtree in tree:
        result *= density(subtree)
    return result


def elementary_weights(tableau: Tableau, order: int) -> dict[Tree, list[Fraction]]:
    """Φ_i(t) for every tree with at most ``order`` nodes."""

    @cache
    def inner(tree: Tree) -> list[Fraction]:
        phi = [Fraction(1)] * tableau.stages
        for subtree in tree:
            sub = inner(subtree)
            phi = [
                p * sum((a * s for a, s in zip(row, sub, strict=False)), Fraction(0))
                for p, row in zip(phi, tableau.a, strict=True)
            ]
        return phi

    return {tree: inner(tree) for n in range(1, order + 1) for tree in trees(n)}


def residual(weights, phi: dict[Tree, list[Fraction]], theta: Fraction = Fraction(1)) -> Fraction:
    """Largest violation of Σ_i b_i(θ) Φ_i(t) = θ^|t| / γ(t) over the trees."""
    sums = {
        tree: sum((b * p for b, p in zip(weights, values, strict=True)), Fraction(0)) for tree, values in phi.items()
    }
    return max(abs(total - theta ** size(tree) / density(tree)) for tree, total in sums.items())


def test_number_of_rooted_trees():
    assert [len(trees(n)) for n in range(1, 9)] == [1, 1, 2, 4, 9, 20, 48, 115]


@pytest.mark.parametrize("tableau", TABLEAUS.values(), ids=TABLEAUS.keys())
def test_order_conditions(tableau):
    phi = elementary_weights(tableau, tableau.order)
    assert residual(tableau.b, phi) <= TOLERANCE.get(tableau.name, 0)


@pytest.mark.parametrize("tableau", TABLEAUS.values(), ids=TABLEAUS.keys())
def test_order_is_not_higher_than_stated(tableau):
    phi = elementary_weights(tableau, tableau.order + 1)
    assert residual(tableau.b, phi) > 1e-7


@pytest.mark.parametrize("tableau", [t for t in TABLEAUS.values() if t.b_err], ids=lambda t: t.name)
def test_embedded_method_is_one_order_lower(tableau):
    b_hat = [b - e for b, e in zip(tableau.b, tableau.b_err, strict=True)]
    assert residual(b_hat, elementary_weights(tableau, tableau.order - 1)) <= TOLERANCE.get(tableau.name, 0)
    assert residual(b_hat, elementary_weights(tableau, tableau.order)) > 1e-6


@pytest.mark.parametrize("tableau", TABLEAUS.values(), ids=TABLEAUS.keys())
def test_dense_output(tableau):
    phi = elementary_weights(tableau, tableau.dense_order)
    for theta in (Fraction(1, 3), Fraction(4, 5), Fraction(1)):
        weights = [sum(p * theta ** (m + 1) for m, p in enumerate(row)) for row in tableau.dense]
        assert residual(weights, phi, theta) <= DENSE_TOLERANCE.get(tableau.name, 0)
    ends = [abs(sum(row) - b) for row, b in zip(tableau.dense, tableau.b, strict=True)]
    assert max(ends) <= DENSE_TOLERANCE.get(tableau.name, 0)  # continuous: the end of one step is the start of the next


@pytest.mark.parametrize("tableau", TABLEAUS.values(), ids=TABLEAUS.keys())
def test_nodes_are_row_sums(tableau):
    gaps = [abs(c - sum(row, Fraction(0))) for c, row in zip(tableau.c, tableau.a, strict=True)]
    assert max(gaps) <= TOLERANCE.get(tableau.name, 0)


def test_nodes_and_fsal():
    dopri5 = TABLEAUS["dopri5"]
    assert dopri5.c == tuple(map(Fraction, ("0", "1/5", "3/10", "4/5", "8/9", "1", "1")))
    assert {t.name for t in TABLEAUS.values() if t.fsal} == {"bosh3", "dopri5", "tsit5", "dopri8"}
