"""The user-facing texts of the source as skeletons: what varies is left open, the words stand.

A skeleton is what `loganalyze.lang` has a translation for. Its holes are

``{#}``
    a number: the source gives it a format (``{ratio:.1f}``),
``{came_back}``
    a phrase, under the name it has in the source; phrases are texts of their own,
``{}``
    a value that is never translated: a file, a metric, a line of the log.

Which strings of a module are texts is told by where they stand, with more rather than fewer taken in. Left
out are documentation, keys, names, patterns, comparisons, arguments of functions that look something up, and
what stands in `wording.places`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from wording.places import (
    HIDDEN,
    KEYS,
    LOOKUPS,
    MOST,
    NUMERIC,
    ROOMS,
    SHOWN,
    SHOWN_ENUMS,
    SINK_KEYS,
    SINKS,
    VALUES,
    is_text,
)

ROOT = Path(__file__).resolve().parents[2]
FIELD = re.compile(r"\{(\w+)(?::([^{}]+))?\}")  # of str.format


@dataclass(frozen=True, slots=True)
class Text:
    """A skeleton and where it stands."""

    skeleton: str
    path: str
    line: int


def texts(room: str) -> Iterator[Text]:
    """Yield the texts of one room in the order of the source."""
    package = ROOT / "loganalyze"
    for pattern in ROOMS[room]:
        for path in sorted(package.glob(pattern)):
            tree = ast.parse(path.read_text("utf-8"))
            name = str(path.relative_to(ROOT))
            reader = Reader(name)
            reader.visit(tree)
            yield from reader.found


class Reader(ast.NodeVisitor):
    """Collects the texts of a module."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: list[Text] = []
        self.sink = False
        self.shown = False
        self.inserted: frozenset[str] = frozenset()

    # What is never shown.
    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        return

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)
        if isinstance(node.slice, ast.JoinedStr):
            self.visit(node.slice)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assigned(node.target, node.value)

    def visit_arg(self, node: ast.arg) -> None:
        return

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        before, self.inserted = self.inserted, _inserted(node)
        for part in (*node.args.defaults, *node.body):
            self.visit(part)
        self.inserted = before

    def visit_Dict(self, node: ast.Dict) -> None:
        for key in node.keys:
            if key is not None:
                self._with(False, key)
        for value in node.values:
            self.visit(value)

    # Places.
    def visit_Assign(self, node: ast.Assign) -> None:
        self._assigned(node.targets[0], node.value)
        if isinstance(node.targets[0], ast.Subscript):
            self.visit(node.targets[0])

    def _assigned(self, target: ast.expr, value: ast.expr) -> None:
        name = target.id if isinstance(target, ast.Name) else ""
        if name not in HIDDEN:
            sink = name in SHOWN or name in self.inserted or (self.shown and name.isupper())
            self._with(sink, value)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        before, self.shown = self.shown, node.name in SHOWN_ENUMS
        self.generic_visit(node)
        self.shown = before

    def visit_Call(self, node: ast.Call) -> None:
        name = _called(node)
        if name not in LOOKUPS:
            for argument in node.args:
                self._with(name in SINKS, argument)
        else:
            for argument in node.args:
                if not isinstance(argument, (ast.Constant, ast.JoinedStr, ast.BinOp)):
                    self.visit(argument)
        for keyword in node.keywords:
            if name == "setting" or keyword.arg not in KEYS:
                self._with(name == "setting" or keyword.arg in SINK_KEYS, keyword.value)
        if isinstance(node.func, ast.Attribute):
            self.visit(node.func.value)

    def _with(self, sink: bool, node: ast.expr) -> None:
        before, self.sink = self.sink, sink
        self.visit(node)
        self.sink = before

    # Strings.
    def visit_Constant(self, node: ast.Constant) -> None:
        self._take(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._take(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if not self._take(node):
            self.generic_visit(node)

    def _take(self, node: ast.expr) -> bool:
        found = skeletons(node)
        if found is None:
            return False
        for skeleton in found:
            if is_text(skeleton, self.sink):
                self.found.append(Text(skeleton, self.path, node.lineno))
        for part in ast.walk(node):
            if isinstance(part, ast.FormattedValue) and skeletons(part.value) is None:
                before, self.sink = self.sink, False
                self.visit(part.value)
                self.sink = before
        return True


def _inserted(function: ast.FunctionDef) -> frozenset[str]:
    """Return the names of what a function puts into its f-strings as it is."""
    holes = [node for node in ast.walk(function) if isinstance(node, ast.FormattedValue)]
    return frozenset(node.value.id for node in holes if isinstance(node.value, ast.Name))


def skeletons(node: ast.expr) -> list[str] | None:
    """Return the skeletons of a string expression, or None where it is none."""
    if isinstance(node, ast.Constant):
        return [_constant(node.value)] if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = [_part(value) for value in node.values]
        made = ["".join(chosen) for chosen in product(*parts)]
        assert len(made) <= MOST, ast.unparse(node)
        return made
    if isinstance(node, ast.IfExp):
        left, right = skeletons(node.body), skeletons(node.orelse)
        return [*left, *right] if left is not None and right is not None else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = skeletons(node.left), skeletons(node.right)
        if left is None and right is None:
            return None
        left = [_hole(node.left)] if left is None else left
        right = [_hole(node.right)] if right is None else right
        return [a + b for a, b in product(left, right)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        one = skeletons(node.left)
        return [*one, ""] if one is not None and len(one) == 1 else None
    return None


def _part(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant):
        return [literal(str(node.value))]
    assert isinstance(node, ast.FormattedValue)
    spec = node.format_spec
    if isinstance(spec, ast.JoinedStr):
        constant = "".join(v.value if isinstance(v, ast.Constant) else "0" for v in spec.values)
        return ["{#}" if _is_numeric(constant) else "{}"]
    return skeletons(node.value) or [_hole(node.value)]


def _constant(text: str) -> str:
    """Return a string as a skeleton; one that ``str.format`` is to fill has holes of its own."""
    made, begin = "", 0
    for field in FIELD.finditer(text):
        made += literal(text[begin : field.start()])
        made += "{#}" if field[2] and _is_numeric(field[2]) else f"{{{field[1]}}}"
        begin = field.end()
    return made + literal(text[begin:])


def _is_numeric(spec: str) -> bool:
    return bool(NUMERIC.fullmatch(spec)) and bool(re.search(r"[,.dfge%]", spec))


def _hole(node: ast.expr) -> str:
    if isinstance(node, ast.Call) and _called(node) in {"len", "int", "round", "float", "sum"}:
        return "{#}"
    name = _name(node)
    return f"{{{name}}}" if name and name not in VALUES else "{}"


def _name(node: ast.expr) -> str:
    """Return the name of what fills a hole: the last one in it."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Call):
        return _called(node).strip("_")
    if isinstance(node, (ast.Subscript, ast.Starred)):
        return _name(node.value)
    if isinstance(node, ast.BoolOp):
        return _name(node.values[0])
    if isinstance(node, ast.BinOp):
        return _name(node.left)
    return ""


def _called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
