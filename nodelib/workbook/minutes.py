"""How long a chapter takes, from what is in it: `python -m nodelib.workbook.minutes` prints it for each.

    prose         200 words a minute; what is in <details>, solutions mostly, is not counted
    code          15 lines a minute, without blank lines and comments; stubs and checks belong to their exercise
    a prediction  half a minute
    a figure      half a minute
    an explorer   2 minutes
    an exercise   5 minutes

Cells tagged ``box`` may be left out and are counted apart; all others are the core path. Figures, explorers and
predictions are known by their stored outputs. Sums are rounded up to five minutes. The rates are guesses, the same for
every chapter; a reader who is new to the field, or does every exercise to its end, takes longer.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MINUTES = {"words": 1 / 200, "lines": 1 / 15, "predictions": 0.5, "figures": 0.5, "explorers": 2.0, "exercises": 5.0}
ROUND = 5


class Minutes(NamedTuple):
    """Of the core path, and of the boxes; 0 where there are none. Both in steps of five minutes."""

    core: int
    boxes: int

    def __str__(self) -> str:
        return f"{self.core} + {self.boxes}" if self.boxes else str(self.core)


def minutes(path: Path) -> Minutes:
    """How long the notebook at ``path`` takes."""
    core, boxes = contents(path)
    return Minutes(rounded(core), rounded(boxes))


@cache
def contents(path: Path) -> tuple[Counter[str], Counter[str]]:
    """How much of each kind in ``MINUTES`` is on the core path of the notebook, and in its boxes."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    core = [cell for cell in cells if "box" not in _tags(cell)]
    return _count(core), _count(cell for cell in cells if "box" in _tags(cell))


def rounded(found: Counter[str]) -> int:
    """The minutes for so much, up to the next five."""
    return ROUND * math.ceil(sum(MINUTES[kind] * n for kind, n in found.items()) / ROUND - 1e-9)


def _count(cells: Iterable[dict[str, Any]]) -> Counter[str]:
    found: Counter[str] = Counter()
    prose = []
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            prose.append(source)
        elif cell["cell_type"] == "code":
            found["exercises"] += "exercise" in _tags(cell)
            found["lines"] += 0 if {"exercise", "check"} & set(_tags(cell)) else _lines(source)
            found.update(filter(None, map(_kind, cell["outputs"])))
    found["words"] = len(re.sub(r"<details>.*?</details>", "", "\n".join(prose), flags=re.DOTALL).split())
    return found


def _lines(source: str) -> int:
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in source.splitlines())


def _kind(output: dict[str, Any]) -> str | None:
    data = output.get("data", {})
    if WIDGET_VIEW in data:
        return "explorers" if "image/png" in data else "predictions"
    return "figures" if "image/png" in data else None


def _tags(cell: dict[str, Any]) -> list[str]:
    return cell["metadata"].get("tags", [])


if __name__ == "__main__":
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        core, boxes = contents(path)
        print(f"{path.stem}: {minutes(path)} minutes\n  core  {dict(core)}\n  boxes {dict(boxes)}")
