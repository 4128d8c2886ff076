"""The words of the page templates: those that the catalogue is asked for, and those that it is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from jinja2 import Environment, nodes

from wording.source import ROOT, Text, literal

SHOWN = frozenset({"aria-label", "alt", "placeholder", "title"})  # attributes that a reader meets
SILENT = frozenset({"code", "script", "style"})  # elements without words
NAMES = frozenset({"loganalyze", "schema_version"})
TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)  # of Jinja


class Words(HTMLParser):
    """Collects what a template shows without asking the catalogue."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.inside: list[str] = []
        self.found: list[Text] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside.append(tag)
        for name, value in attrs:
            if name in SHOWN or name.startswith("data-word"):
                self._take(value or "")

    def handle_endtag(self, tag: str) -> None:
        while tag in self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not SILENT & set(self.inside):
            self._take(data)

    def _take(self, text: str) -> None:
        words = re.findall(r"[A-Za-z][\w-]+", text)
        if set(words) - NAMES:
            self.found.append(Text(" ".join(text.split()), self.path, self.getpos()[0]))


def bare_words() -> Iterator[Text]:
    """Yield what the templates show without asking the catalogue."""
    for path in _paths():
        words = Words(str(path.relative_to(ROOT)))
        source = path.read_text("utf-8")
        words.feed(TAG.sub(lambda tag: "\n" * tag[0].count("\n"), source))
        yield from words.found


def template_texts() -> Iterator[Text]:
    """Yield the skeletons of the templates: the arguments of ``_(...)``."""
    for path, tree in _templates():
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "_":
                for skeleton in _template_skeletons(call.args[0]):
                    yield Text(skeleton, path, call.lineno)


def _template_skeletons(node: nodes.Expr) -> list[str]:
    """Return the skeletons of an argument: one for each way that it may turn out; none for a value."""
    if isinstance(node, nodes.CondExpr):
        ways = [node.expr1, *([node.expr2] if node.expr2 else [])]
        return [skeleton for way in ways for skeleton in _template_skeletons(way)]
    skeleton = _template_skeleton(node)
    return [] if skeleton == "{}" else [skeleton]


def _template_skeleton(node: nodes.Expr) -> str:
    if isinstance(node, nodes.Const):
        return literal(str(node.value))
    if isinstance(node, nodes.Mod):  # "%d more" % count
        words = _template_skeleton(node.left)
        values = iter(node.right.items if isinstance(node.right, nodes.Tuple) else [node.right])
        return re.sub(r"%(?:%|[.\d]*[dfgs])", lambda mark: _hole(mark[0], values), words)
    if isinstance(node, nodes.Concat):  # "from " ~ name
        return "".join(_template_skeleton(part) for part in node.nodes)
    return "{}"


def _hole(mark: str, values: Iterator[nodes.Expr]) -> str:
    """Return the hole of a mark for ``%``: a number where it is one, or is written by ``number``."""
    if mark == "%%":
        return "%"
    value = next(values)
    called = value.node if isinstance(value, nodes.Call) else None
    is_number = isinstance(called, nodes.Name) and called.name == "number"
    return "{#}" if is_number or not mark.endswith("s") else "{}"


def _templates() -> Iterator[tuple[str, nodes.Template]]:
    environment = Environment(autoescape=True)
    for path in _paths():
        yield str(path.relative_to(ROOT)), environment.parse(path.read_text("utf-8"))


def _paths() -> list[Path]:
    return sorted((ROOT / "templates").rglob("*.j2"))
