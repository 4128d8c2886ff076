"""The words of the page templates: those that the catalogue is asked for, and those that it is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from jinja2 import Environment, nodes

from wording.source import ROOT, Text, literal


def bare_words() -> Iterator[Text]:
    """Yield what the templates show without asking the catalogue."""
    for path, tree in _templates():
        for node in tree.find_all(nodes.TemplateData):
            for words in re.findall(
                r">([^<>]+)<|(?:title|aria-label)=\"([^\"{]+)", f">{node.data}<"
            ):
                shown = " ".join(unescape(words[0] or words[1]).split())
                if re.search(r"[A-Za-z]{2}", shown):
                    yield Text(shown, path, node.lineno)


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
    for path in sorted((ROOT / "templates").rglob("*.j2")):
        yield str(path.relative_to(ROOT)), environment.parse(path.read_text("utf-8"))
