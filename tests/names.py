"""Which global names the cells of a notebook bind, and to what, which they read without binding them first, and which
cells therefore need which."""

import ast
from collections.abc import Iterable
from typing import NamedTuple

SCRATCH = "scratch"  # a loop's variable, a with's, or axes from subplots: what a cell makes for itself


class Bound(NamedTuple):
    """A global name and what it is bound to: the expression, the definition or the import, or ``SCRATCH``."""

    name: str
    meaning: str


class Cell(ast.NodeVisitor):
    """One cell: ``bound`` in order, ``read`` before it is bound here, ``later`` read by functions when they are called,
    and ``imported`` and ``used``, wherever."""

    def __init__(self, source: str) -> None:
        self.bound: list[Bound] = []
        self.read: set[str] = set()
        self.later: set[str] = set()
        self.imported: set[str] = set()
        tree = ast.parse(source)
        self.used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        self.visit(tree)

    @property
    def names(self) -> set[str]:
        """All that the cell binds."""
        return {name for name, _ in self.bound}

    def bind(self, target: ast.AST, meaning: str) -> None:
        """All names in a target; of several, each gets the expression and its own place in it."""
        if isinstance(target, ast.Name):
            self.bound.append(Bound(target.id, meaning))
        elif isinstance(target, ast.Starred):
            self.bind(target.value, meaning)
        elif isinstance(target, ast.Tuple | ast.List):
            for i, part in enumerate(target.elts):
                self.bind(part, meaning if meaning == SCRATCH else f"{meaning} [{i}]")
        else:  # an entry or an attribute of something
            self.visit(target)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id not in self.names:
            self.read.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        called = getattr(node.value, "func", None)
        axes = isinstance(called, ast.Attribute) and called.attr == "subplots"
        for target in node.targets:
            self.bind(target, SCRATCH if axes else ast.unparse(node.value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)
            self.bind(node.target, ast.unparse(node.value))

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        if isinstance(node.target, ast.Name):
            self.visit_Name(node.target)
            if (
                node.target.id in self.read
            ):  # what another cell made is changed: running this one again changes it again
                self.bound.append(Bound(node.target.id, ast.unparse(node)))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.bind(node.target, ast.unparse(node.value))

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self.bind(node.target, SCRATCH)
        self.visit_all([*node.body, *node.orelse])

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars:
                self.bind(item.optional_vars, SCRATCH)
        self.visit_all(node.body)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type:
            self.visit(node.type)
        if node.name:
            self.bound.append(Bound(node.name, SCRATCH))
        self.visit_all(node.body)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._import(alias.asname or alias.name.partition(".")[0], alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._import(alias.asname or alias.name, f"{node.module}.{alias.name}")

    def _import(self, name: str, what: str) -> None:
        self.imported.add(name)
        self.bound.append(Bound(name, f"import {what}"))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.visit_all([*node.decorator_list, *defaults(node.args)])
        self.later |= free(*node.body) - arguments(node.args)
        self.bound.append(Bound(node.name, ast.unparse(node)))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.visit_all([*node.decorator_list, *node.bases])
        self.later |= free(*node.body)
        self.bound.append(Bound(node.name, ast.unparse(node)))

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit_all(defaults(node.args))
        self.later |= free(node.body) - arguments(node.args)

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        """Its variables are its own; the rest is read now."""
        self.read |= free(node) - self.names

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = comprehension  # type: ignore[assignment]

    def visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)


def defaults(args: ast.arguments) -> list[ast.expr]:
    """The expressions that are evaluated where a function is defined."""
    return [*args.defaults, *(default for default in args.kw_defaults if default)]


def arguments(node: ast.AST) -> set[str]:
    """The names of all arguments in there."""
    return {inner.arg for inner in ast.walk(node) if isinstance(inner, ast.arg)}


def free(*nodes: ast.AST) -> set[str]:
    """The names that a body or a comprehension reads and does not bind itself, functions in it included."""
    inside = [inner for node in nodes for inner in ast.walk(node)]
    names = [inner for inner in inside if isinstance(inner, ast.Name)]
    own = {name.id for name in names if isinstance(name.ctx, ast.Store)}.union(*map(arguments, nodes))
    for inner in inside:
        if isinstance(inner, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler) and inner.name:
            own.add(inner.name)
    return {name.id for name in names} - own


def two_meanings(sources: list[str], allowed: Iterable[str] = ()) -> dict[str, list[str]]:
    """Each global name that cells bind to different things, with these.

    What a cell makes for itself, a loop's variable say, may have the same name in another cell, as long as no cell and
    no function takes it from there. An import may be repeated. ``_`` and the ``allowed`` names may mean anything.
    """
    cells = [Cell(source) for source in sources]
    found: dict[str, list[str]] = {}
    for name in sorted(set().union(*(cell.names for cell in cells)) - {"_", *allowed}):
        meanings = [{meaning for other, meaning in cell.bound if other == name} for cell in cells]
        every = sorted(set().union(*meanings))
        binders = sum(map(bool, meanings))
        taken = any(name in cell.read | cell.later for cell in cells)
        if binders > 1 and (len(every) > 1 or (every == [SCRATCH] and taken)):
            found[name] = every
    return found


def binders(sources: list[str]) -> list[set[int]]:
    """For each cell, the numbers of the others that bind what it or a function of it reads.

    What two cells make for themselves under one name counts too: rather a cell too many. What a cell does to an object
    that another one made is not seen.
    """
    cells = [Cell(source) for source in sources]
    bound: dict[str, set[int]] = {}
    for i, cell in enumerate(cells):
        for name in cell.names - {"_"}:
            bound.setdefault(name, set()).add(i)
    return [set().union(*(bound.get(name, set()) for name in cell.read | cell.later)) for cell in cells]


def needed(sources: list[str], wanted: Iterable[int]) -> set[int]:
    """The numbers of the cells that must run for those ``wanted``, these included."""
    by, found, left = binders(sources), set(wanted), [*wanted]
    while left:
        new = by[left.pop()] - found
        found |= new
        left += new
    return found


def influenced(sources: list[str], first: Iterable[int]) -> set[int]:
    """The numbers of the cells that read what the ``first`` bind, or what such a cell binds, these included."""
    by, found = binders(sources), set(first)
    while new := {i for i, of in enumerate(by) if of & found} - found:
        found |= new
    return found


def unused_imports(sources: list[str]) -> set[str]:
    """What the cells import and none of them uses."""
    cells = [Cell(source) for source in sources]
    return set().union(*(cell.imported for cell in cells)) - set().union(*(cell.used for cell in cells))
