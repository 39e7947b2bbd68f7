"""The audit: a claim, who made it, what is known now, and a bound on what a cell of the chapter measures.

A cell calls ``measured(key, …)`` with its numbers. They are held to the claim's bounds at once; ``table()`` shows those
of all claims, each with a link to its section.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nodelib.workbook.table import Table

VERDICTS = ("holds", "holds, on a condition", "does not hold", "not shown")


@dataclass(frozen=True)
class Claim:
    """One row of the audit.

    key:      its name in ``measured``.
    claim:    what is claimed, in one sentence; ``made``: where, e.g. "[P] § 3".
    known:    what is known now, with its source, in one sentence.
    section:  of the chapter, such as "6.3", which has the cell that measures.
    verdict:  one of ``VERDICTS``.
    bounds:   in words, such as "joint > 5 alone" -> whether it holds of the numbers, which it takes by name.
    says:     the numbers in words, a format such as "{joint} evaluations jointly, {alone:.0f} alone".
    """

    key: str
    claim: str
    made: str
    known: str
    section: str
    verdict: str
    bounds: dict[str, Callable[..., bool]]
    says: str

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"claim {self.key!r}: verdict {self.verdict!r} is none of {', '.join(VERDICTS)}")


@dataclass
class Audit:
    """Claims in the order of the table, and what has been measured of them in this session."""

    claims: tuple[Claim, ...]
    anchors: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)

    def measured(self, key: str, **numbers: float) -> None:
        """Hold the numbers to the bounds of the claim, keep them for the table, and print them in words.

        Raises KeyError for an unknown key, and AssertionError, with the bound and the numbers, where one does not hold.
        """
        claim = self._claim(key)
        for words, bound in claim.bounds.items():
            if not bound(**numbers):
                said = ", ".join(f"{name} = {value:.4g}" for name, value in numbers.items())
                raise AssertionError(f"audit, {key}: not {words}, with {said}")
        self.found[key] = claim.says.format(**numbers)
        print(f"{claim.claim}\n{claim.verdict}: {self.found[key]}")

    def table(self) -> Table:
        """All claims: what was measured, or which section to run first."""
        rows = [
            (
                claim.claim,
                claim.made,
                claim.known,
                self.found.get(claim.key, "run its section first"),
                f"[§ {claim.section}](#{self.anchors.get(claim.section, '')})",
                claim.verdict,
            )
            for claim in self.claims
        ]
        return Table(("claim", "made in", "known now", "measured here", "cell", "verdict"), rows)

    def by_verdict(self) -> dict[str, list[Claim]]:
        """The claims of each verdict, for the verdicts that there are."""
        found = {verdict: [claim for claim in self.claims if claim.verdict == verdict] for verdict in VERDICTS}
        return {verdict: claims for verdict, claims in found.items() if claims}

    def _claim(self, key: str) -> Claim:
        for claim in self.claims:
            if claim.key == key:
                return claim
        raise KeyError(f"audit: no claim is called {key!r}; there are {', '.join(claim.key for claim in self.claims)}")


def together(parts: Iterable[tuple[Claim, ...]]) -> tuple[Claim, ...]:
    """The claims of several files, in the order of the chapter's sections."""
    claims = [claim for part in parts for claim in part]
    return tuple(sorted(claims, key=lambda claim: [int(number) for number in claim.section.split(".")]))
