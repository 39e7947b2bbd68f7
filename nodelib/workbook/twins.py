"""`python run.py twins`: where the code of the twins differs, side by side, file by file, and how long each of them is.

Both are read as text and shown one statement to a line. What does not compute is left out: documentation, comments,
imports, types, and the wording of messages. What remains is what a library for the GPU needs, and what else the torch
twin can do.
"""

import ast
import io
import shutil
import tokenize
from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import cache
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap

PACKAGE = Path(__file__).parents[1]
TWINS = ("numpy_ode", "torch_ode")
NARROWEST, USUAL = 100, 160  # characters a screen line
ALIKE = 0.6  # two lines that share this much stand beside each other
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
HEAD = """\
Left numpy_ode, right torch_ode: | marks lines that differ, < and > lines that only one has.
Left out: documentation, comments, imports, types, and the wording of messages ('…').
A method is shown as Class.method; what only one twin defines, by what it is for."""

Row = tuple[str | None, str | None]  # a line of each twin, None where it has none


class Bare(ast.NodeTransformer):
    """Takes out of a syntax tree what does not compute."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [child for child in node.body if not is_text(child)]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        return super().generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        return None

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is None:
            return ast.Expr(node.target)
        return ast.Assign([node.target], self.visit(node.value), lineno=node.lineno)

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        is_message = isinstance(node.value, str) and node.value.count(" ") > 2
        return ast.Constant("…") if is_message else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Constant | ast.JoinedStr:
        return ast.Constant("…") if ast.unparse(node).count(" ") > 2 else node


def is_text(node: ast.AST) -> bool:
    """Is this statement a docstring?"""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def parts(source: str) -> dict[str, list[str]]:
    """The code, bare: the lines of every function, class and method by name, and under "" all other lines."""
    found: dict[str, list[str]] = {"": []}
    for node in Bare().visit(ast.parse(source)).body:
        methods = []
        if isinstance(node, ast.ClassDef):
            methods = [child for child in node.body if isinstance(child, ast.FunctionDef)]
            node.body = [child for child in node.body if child not in methods]
        for method in methods:
            method.name = f"{node.name}.{method.name}"
        for child in (node, *methods):
            found.setdefault(getattr(child, "name", ""), []).extend(ast.unparse(child).strip().splitlines())
    return found


def rows(ours: list[str], theirs: list[str]) -> Iterator[Row]:
    """The lines of both in order, those that are equal or alike beside each other."""
    for tag, i, j, k, m in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        yield from zip(ours[i:j], theirs[k:m], strict=True) if tag == "equal" else pairs(ours[i:j], theirs[k:m])


def pairs(ours: list[str], theirs: list[str]) -> Iterator[Row]:
    """Rows of lines that all differ: the two that are most alike beside each other, then so above them and below."""
    every = ((likeness(a, b), -i, -j) for i, a in enumerate(ours) for j, b in enumerate(theirs))
    most, i, j = max(every, default=(0, 0, 0))
    if most < ALIKE:
        yield from zip_longest(ours, theirs)
        return
    yield from pairs(ours[:-i], theirs[:-j])
    yield ours[-i], theirs[-j]
    yield from pairs(ours[1 - i :], theirs[1 - j :])


@cache
def likeness(a: str, b: str) -> float:
    """From 0, nothing in common, to 1, equal."""
    return SequenceMatcher(None, a.strip(), b.strip(), autojunk=False).ratio()


def paired(ours: str, theirs: str) -> Iterator[list[Row]]:
    """The parts of both sources in order, each as its rows."""
    left, right = parts(ours), parts(theirs)
    names = [list(left), list(right)]
    order: dict[str, None] = {}  # a name that has moved counts where it comes first
    for _, i, j, k, m in SequenceMatcher(None, *names, autojunk=False).get_opcodes():
        order |= dict.fromkeys([*names[0][i:j], *names[1][k:m]])
    says = summaries(ours) | summaries(theirs)
    for name in order:
        both = [
            side[name] if name in left and name in right else brief(side.get(name, []), says.get(name, ""))
            for side in (left, right)
        ]
        yield list(rows(*both))


def summaries(source: str) -> dict[str, str]:
    """The first line of the docstring of each function, class and method."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            methods = [child for child in getattr(node, "body", []) if isinstance(child, ast.FunctionDef)]
            for name, child in [(node.name, node), *((f"{node.name}.{m.name}", m) for m in methods)]:
                found[name] = (ast.get_docstring(child) or "").split("\n")[0]
    return found


def brief(lines: list[str], says: str) -> list[str]:
    """A definition that only one twin has, as its first line, its docstring's, and how many lines it has."""
    heads = [i for i, line in enumerate(lines) if line.startswith(("def ", "class "))]
    if not heads or len(lines) - heads[0] < 4:
        return lines
    return [*lines[: heads[0] + 1], f"    … {len(lines) - heads[0] - 1} lines. {says}".rstrip(". ") + "."]


def side_by_side(ours: str, theirs: str, width: int = USUAL) -> list[str]:
    """Where two sources differ: screen lines of at most that width, with runs of equal lines folded into one.

    Where a function or class differs, the line that names it is shown even if that is equal.
    """
    lines: list[str] = []
    equal = 0
    for part in paired(ours, theirs):
        differs = any(left != right for left, right in part)
        for left, right in part:
            if left == right and not (differs and str(left).startswith(("def ", "class "))):
                equal += 1
                continue
            lines += [*folded(equal), *screen_lines(left, right, (width - 3) // 2)]
            equal = 0
    return [*lines, *folded(equal)]


def folded(equal: int) -> list[str]:
    """The one line that stands for so many equal ones."""
    return [f"… {equal} equal line{'s' if equal > 1 else ''}"] if equal else []


def screen_lines(left: str | None, right: str | None, column: int) -> list[str]:
    """A row in two columns; a line too long for its column goes on below, indented further."""
    mark = " " if left == right else ">" if left is None else "<" if right is None else "|"
    halves = zip_longest(wrapped(left or "", column), wrapped(right or "", column), fillvalue="")
    return [f"{ours:{column}} {mark} {theirs}".rstrip() for ours, theirs in halves]


def wrapped(line: str, column: int) -> list[str]:
    """The line in pieces that fit the column."""
    indent = " " * (len(line) - len(line.lstrip()) + 6)
    return wrap(line, column, subsequent_indent=indent, break_on_hyphens=False)


def purpose(source: str, width: int) -> list[str]:
    """What a file that only one twin has is for, in the words of its docstring."""
    paragraphs = (ast.get_docstring(ast.parse(source)) or "").split("\n\n")
    return [line for paragraph in paragraphs for line in wrap(paragraph, width)]


def code_lines(source: str) -> int:
    """How many lines hold code: not documentation, not a comment, not blank."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in SILENT:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and is_text(node):
            found.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(found)


def report(package: Path = PACKAGE, width: int = USUAL) -> list[str]:
    """Every file of the twins side by side, as screen lines, and at the end how many lines of code each twin has.

    Of a file that only one twin has, its purpose.
    """
    lines, totals = HEAD.splitlines(), [0, 0]
    for name in sorted({path.name for twin in TWINS for path in (package / twin).glob("*.py")}):
        files = [package / twin / name for twin in TWINS]
        ours, theirs = (file.read_text(encoding="utf-8") if file.exists() else "" for file in files)
        counts = [code_lines(ours), code_lines(theirs)]
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        lines += ["", f"== {name}: {counts[0]} and {counts[1]} lines of code ".ljust(width, "=")]
        lines += side_by_side(ours, theirs, width) if ours and theirs else purpose(ours or theirs, width)
    both = " and ".join(f"{twin} {total}" for twin, total in zip(TWINS, totals, strict=True))
    return [*lines, "", f"Lines of code, without documentation, comments and blank lines: {both}."]


if __name__ == "__main__":
    print("\n".join(report(width=max(NARROWEST, shutil.get_terminal_size((USUAL, 24)).columns))))
