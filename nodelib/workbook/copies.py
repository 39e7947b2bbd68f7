"""Readers' own copies of the chapters: `python -m nodelib.workbook.copies [--fresh 02 …]`, which `run.py lab` calls.

A copy lies in `mine/`, beside `notebooks/`, so that links lead from it to the same places. It has no outputs, and what
answers a prediction is folded. It is made once and never written again: it is the reader's. It remembers which cells
it was made from, so that a chapter that has changed since is named; `--fresh` then makes a new copy beside the old.
"""

import argparse
import hashlib
import json
import sys
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLD = "<details><summary>After your prediction</summary>\n\n{}\n\n</details>"
OTHERS = ("matplotlibrc",)  # what the notebooks need beside them


def reader_copy(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook without outputs, its cells tagged `answer` folded, and what it was made from in its metadata."""
    metadata = notebook.get("metadata", {}) | {"nodelib": {"made from": source_hash(notebook)}}
    return notebook | {"cells": [_reader_cell(cell) for cell in notebook["cells"]], "metadata": metadata}


def _reader_cell(cell: dict[str, Any]) -> dict[str, Any]:
    if cell["cell_type"] == "code":
        return cell | {"outputs": [], "execution_count": None}
    if "answer" in tags(cell):
        return cell | {"source": FOLD.format("".join(cell["source"]).strip()).splitlines(keepends=True)}
    return cell


def source_hash(notebook: dict[str, Any]) -> str:
    """Of what the reader gets of a stored notebook: kinds, sources and tags of its cells; outputs do not count."""
    parts = [[cell["cell_type"], "".join(cell["source"]), tags(cell)] for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def tags(cell: dict[str, Any]) -> list[str]:
    """The cell's tags."""
    return cell["metadata"].get("tags", [])


def copy_all(root: Path = ROOT) -> list[str]:
    """Copy each chapter that is not there yet; return lines for the reader, one a chapter that is new or has changed.

    Raises OSError where `mine` cannot be written.
    """
    mine = root / "mine"
    mine.mkdir(exist_ok=True)
    for name in OTHERS:
        _write_new(mine / name, (root / "notebooks" / name).read_text(encoding="utf-8"))
    lines = []
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        text = _copied(path)
        if _write_new(mine / path.name, text):
            lines.append(f"mine/{path.name}: your copy, new")
        elif json.loads(text)["metadata"]["nodelib"] not in _made(mine, path.stem):
            lines.append(
                f"mine/{path.name}: the chapter has changed since you copied it. Your copy stays as it is; "
                f"python run.py lab --fresh {path.name[:2]} makes a new one beside it"
            )
    return lines


def copy_fresh(names: list[str], root: Path = ROOT) -> list[Path]:
    """A new copy of each chapter whose file name begins with one of `names`, beside those there are; return them.

    Raises ValueError for a name that no chapter has, before anything is copied.
    """
    stored = sorted((root / "notebooks").glob("*.ipynb"))
    for name in names:
        if not name or not any(path.name.startswith(name) for path in stored):
            raise ValueError(f"no chapter begins with {name!r}: there are {', '.join(path.stem for path in stored)}")
    made = []
    for path in (path for path in stored if path.name.startswith(tuple(names))):
        for k in count(1):
            copy = root / "mine" / (path.name if k == 1 else f"{path.stem}-{k}.ipynb")
            if _write_new(copy, _copied(path)):
                made.append(copy)
                break
    return made


def _copied(path: Path) -> str:
    copy = reader_copy(json.loads(path.read_text(encoding="utf-8")))
    return json.dumps(copy, indent=1, ensure_ascii=False) + "\n"


def _write_new(path: Path, text: str) -> bool:
    """Write a file that is not there yet, and say whether it was not; one that is there is never touched."""
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            try:
                file.write(text)
            except BaseException:
                path.unlink()  # half a copy would never be made whole
                raise
    except FileExistsError:
        return False
    return True


def _made(mine: Path, stem: str) -> list[Any]:
    """What the reader's copies of this chapter remember; None for one that cannot be read."""
    return [_memory(path) for path in mine.glob(f"{stem}*.ipynb")]


def _memory(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["metadata"]["nodelib"]
    except (OSError, ValueError, KeyError, TypeError):  # the reader's, who may have done anything to it
        return None


def main(arguments: list[str]) -> int:
    """Copy, and print what the reader should know; 1 when a name is none, or `mine` cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m nodelib.workbook.copies", description=__doc__)
    parser.add_argument(
        "--fresh", nargs="+", action="extend", default=[], metavar="NAME", help="a new copy of these; 02 is name enough"
    )
    names = parser.parse_args(arguments).fresh
    try:
        (ROOT / "mine").mkdir(exist_ok=True)
        fresh = copy_fresh(names) if names else []
        lines = [f"mine/{path.name}: a new copy" for path in fresh] + copy_all()
    except (ValueError, OSError) as error:
        print(f"No copies made: {error}", file=sys.stderr)
        return 1
    print("".join(f"{line}.\n" for line in lines), end="", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
