"""Readers' copies: without outputs, answers folded, made once and never touched again, and told when they are old."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from nodelib.workbook import copies
from nodelib.workbook.copies import copy_all, copy_fresh, reader_copy

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def chapter(said: str = "It grows.") -> str:
    shown = [new_output("stream", name="stdout", text="2\n")]
    cells = [
        new_markdown_cell("# 1 One"),
        new_code_cell("1 + 1", execution_count=1, outputs=shown, metadata={"tags": ["check"]}),
        new_markdown_cell(f"{said}\n\n$$x$$", metadata={"tags": ["answer"]}),
    ]
    return nbformat.writes(
        new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "notebooks").mkdir()
    for name in ("01_one.ipynb", "02_two.ipynb"):
        (tmp_path / "notebooks" / name).write_text(chapter(), encoding="utf-8")
    shutil.copy(ROOT / "notebooks" / "matplotlibrc", tmp_path / "notebooks")
    return tmp_path


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "mine").glob("*.ipynb"))


def test_a_copy_has_no_outputs_and_its_answers_are_folded(root):
    copy_all(root)
    copy = nbformat.read(root / "mine" / "01_one.ipynb", as_version=4)
    nbformat.validate(copy)
    head, code, answer = copy.cells
    assert (code.outputs, code.execution_count, code.source) == ([], None, "1 + 1")
    assert answer.source == ("<details><summary>After your prediction</summary>\n\nIt grows.\n\n$$x$$\n\n</details>")
    assert head.source == "# 1 One"
    assert copy.metadata.kernelspec.name == "python3"


def test_what_is_stored_stays_as_it_is(root):
    before = [path.read_bytes() for path in sorted((root / "notebooks").iterdir())]
    copy_all(root)
    copy_fresh(["01"], root)
    assert [path.read_bytes() for path in sorted((root / "notebooks").iterdir())] == before


def test_a_copy_that_is_there_is_never_written(root):
    assert copy_all(root) == ["mine/01_one.ipynb: your copy, new", "mine/02_two.ipynb: your copy, new"]
    mine = root / "mine" / "01_one.ipynb"
    mine.write_text("all my work", encoding="utf-8")
    (root / "mine" / "02_two.ipynb").unlink()
    lines = copy_all(root)
    assert mine.read_text(encoding="utf-8") == "all my work"
    assert "mine/02_two.ipynb: your copy, new" in lines
    copy_fresh(["01"], root)
    assert mine.read_text(encoding="utf-8") == "all my work"


def test_a_chapter_that_has_changed_is_named_until_there_is_a_fresh_copy(root):
    copy_all(root)
    assert copy_all(root) == []
    mine = root / "mine" / "01_one.ipynb"
    worked_on = json.loads(mine.read_text(encoding="utf-8"))
    worked_on["cells"][1]["source"] = "1 + 2"  # the reader's own changes are none of the chapter's
    mine.write_text(json.dumps(worked_on), encoding="utf-8")
    assert copy_all(root) == []
    (root / "notebooks" / "01_one.ipynb").write_text(chapter("It shrinks."), encoding="utf-8")
    (line,) = copy_all(root)
    assert line.startswith("mine/01_one.ipynb: the chapter has changed since you copied it.")
    assert "python run.py lab --fresh 01" in line
    assert copy_fresh(["01"], root) == [root / "mine" / "01_one-2.ipynb"]
    assert copy_all(root) == []
    assert copy_fresh(["01"], root) == [root / "mine" / "01_one-3.ipynb"]
    assert names(root) == ["01_one-2.ipynb", "01_one-3.ipynb", "01_one.ipynb", "02_two.ipynb"]


def test_new_outputs_alone_do_not_make_a_copy_old(root):
    copy_all(root)
    stored = root / "notebooks" / "01_one.ipynb"
    stored.write_text(stored.read_text(encoding="utf-8").replace("2\\n", "3\\n"), encoding="utf-8")
    assert copy_all(root) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"metadata": {}}', '{"metadata": 3}'])
def test_a_copy_that_cannot_be_read_counts_as_old_and_stops_nothing(root, text):
    copy_all(root)
    (root / "mine" / "01_one.ipynb").write_text(text)
    (line,) = copy_all(root)
    assert "01_one.ipynb: the chapter has changed" in line


def test_half_a_copy_is_not_left_behind(root, monkeypatch):
    (root / "mine").mkdir()
    monkeypatch.setattr(copies, "_copied", lambda path: 3)  # what cannot be written
    with pytest.raises(TypeError):
        copy_fresh(["01"], root)
    assert names(root) == []


@pytest.mark.parametrize("name", ["03", "one", ""])
def test_a_name_that_no_chapter_has_copies_nothing(root, name):
    with pytest.raises(ValueError, match=f"no chapter begins with '{name}': there are 01_one, 02_two"):
        copy_fresh(["01", name], root)
    assert not (root / "mine").exists()


def test_the_command_prints_what_is_new_and_says_what_is_wrong(root, monkeypatch, capsys):
    monkeypatch.setattr(copies, "ROOT", root)
    monkeypatch.setattr(copies.copy_all, "__defaults__", (root,))
    monkeypatch.setattr(copies.copy_fresh, "__defaults__", (root,))
    assert copies.main([]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "mine/01_one.ipynb: your copy, new."
    assert copies.main(["--fresh", "02", "--fresh", "01"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"mine/0{n}-2.ipynb: a new copy." for n in ("1_one", "2_two")]
    assert copies.main(["--fresh", "07"]) == 1
    assert "No copies made: no chapter begins with '07'" in capsys.readouterr().err
    shutil.rmtree(root / "mine")
    (root / "mine").write_text("a file")
    assert copies.main([]) == 1
    assert "No copies made: " in capsys.readouterr().err


def test_it_needs_no_package_so_that_it_takes_no_time():
    code = "import sys, nodelib.workbook.copies; print({'nbformat', 'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_links_lead_from_a_copy_to_where_they_lead_from_the_chapter(path: Path):
    """`mine/` is beside `notebooks/`; a link to a file of `notebooks/` itself leads to the copy, if it has one."""
    copied = {chapter.name for chapter in CHAPTERS} | set(copies.OTHERS)
    text = json.dumps(reader_copy(json.loads(path.read_text(encoding="utf-8"))), ensure_ascii=False)
    links = re.findall(r"\]\((?!https?:|#)([^)\s#]+)", text)
    for target in links + re.findall(r'(?:src|href)=\\"(?!https?:|#)([^"\\#]+)', text):
        assert (path.parent / target).exists(), target
        assert target.startswith("../") or target in copied, target


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_fold_hides_no_heading_and_no_solution(path: Path):
    """Headings make the table of contents, and a fold within a fold is opened twice."""
    for cell in nbformat.read(path, as_version=4).cells:
        if "answer" in cell.metadata.get("tags", []):
            assert cell.cell_type == "markdown"
            assert not re.search(r"^#|<details", cell.source, re.MULTILINE), cell.source
