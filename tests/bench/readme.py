"""README as the tests read it."""

from typing import Any

from nodelib.experiments import records


def tables() -> list[str]:
    """Its tables, each from its first line to its last: where one is looked for here, a row more or less shows."""
    blocks: list[list[str]] = [[]]
    for line in (records.ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return ["\n".join(lines) for lines in blocks if lines]


def prose() -> str:
    """All of it, with a space where a line ends."""
    return " ".join((records.ROOT / "README.md").read_text(encoding="utf-8").split())


def made(record: dict[str, Any]) -> str:
    """On what and when a record was made, as README says it."""
    return f"{record['provenance']['device'].rpartition(', ')[0]}, {record['provenance']['date']}"
