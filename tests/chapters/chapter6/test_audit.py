"""The audit: each bound fails on a planted change, and each claim is measured by one cell, in its section."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

from nodelib.chapters.chapter6.audit import Audit, Claim, together
from nodelib.chapters.chapter6.claims import AUDIT
from tests.chapters.chapter6.planted import PLANTED

NOTEBOOK = Path(__file__).parents[3] / "notebooks" / "06_limitations.ipynb"

pytestmark = pytest.mark.usefixtures("one_thread")
EXAMPLE = Claim(
    "batch", "Cost adapts to the input.", "[P] § 3", "one step for all", "6.3", "does not hold",
    {"joint > 5 alone": lambda joint, alone: joint > 5 * alone}, "{joint} jointly, {alone} alone",
)  # fmt: skip


UNBROKEN: set[str] = set()


@cache
def numbers_of(function):
    """The planted numbers, measured once."""
    return function()


def cells():
    """The chapter's cells, each with the number of the section that it is in."""
    section = ""
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if heading := re.match(r"#+ (?:Box:? )?(6\.\d+)", source):
            section = heading[1]
        yield section, cell["cell_type"], source


def test_a_claim_is_held_to_its_bounds(capsys):
    """What holds is kept and printed; what does not is an error with the bound and the numbers."""
    audit = Audit((EXAMPLE,))
    assert audit.table().rows[0][3] == "run its section first"
    audit.measured("batch", joint=100, alone=10)
    assert capsys.readouterr().out.endswith("100 jointly, 10 alone\n")
    assert audit.table().rows[0][3] == "100 jointly, 10 alone"
    with pytest.raises(AssertionError, match=r"not joint > 5 alone, with joint = 40, alone = 10"):
        audit.measured("batch", joint=40, alone=10)
    with pytest.raises(KeyError, match="no claim is called 'bath'"):
        audit.measured("bath", joint=1, alone=1)
    with pytest.raises(ValueError, match="none of holds"):
        Claim("x", "", "", "", "6.1", "perhaps", {}, "")


def test_the_order_of_the_table():
    """That of the sections, whose numbers are no decimals."""
    other = [Claim(name, "", "", "", name, "holds", {}, "") for name in ("6.10", "6.2")]
    assert [claim.key for claim in together([tuple(other), (EXAMPLE,)])] == ["6.2", "batch", "6.10"]


def test_there_are_sixteen_rows_and_more():
    """Each with bounds and a planted change."""
    assert len(AUDIT.claims) >= 16
    assert len({claim.key for claim in AUDIT.claims}) == len(AUDIT.claims)
    for claim in AUDIT.claims:
        assert claim.bounds, claim.key
    assert set(PLANTED) == {claim.key for claim in AUDIT.claims}


@pytest.mark.parametrize("key", sorted(PLANTED))
def test_a_planted_change_breaks_a_bound(key):
    """The measurement is made anew, with something changed that the claim's verdict hangs on."""
    for function in PLANTED[key]:
        with pytest.raises(AssertionError, match=f"audit, {key}: not"):
            Audit(AUDIT.claims).measured(key, **numbers_of(function))


def test_each_bound_is_broken_by_a_planted_change():
    """A bound that no change breaks may be no bound."""
    unbroken = {
        f"{claim.key}: {words}"
        for claim in AUDIT.claims
        for words, bound in claim.bounds.items()
        if all(bound(**numbers_of(function)) for function in PLANTED[claim.key])
    }
    assert unbroken == UNBROKEN


def test_each_claim_is_measured_by_one_cell_in_its_section():
    """And the link in its row leads to that section's heading."""
    found = [(section, cell) for section, kind, cell in cells() if kind == "code"]
    headings = {cell.splitlines()[0].lstrip("# ").replace(" ", "-") for _, kind, cell in cells() if kind == "markdown"}
    for claim in AUDIT.claims:
        where = [section for section, cell in found if re.search(rf'measured\(\s*"{claim.key}"', cell)]
        assert where == [claim.section], claim.key
        assert AUDIT.anchors[claim.section] in headings
