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
                yield Text(_template_skeleton(call.args[0]), path, call.lineno)


def _template_skeleton(node: nodes.Expr) -> str:
    if isinstance(node, nodes.Const):
        return literal(str(node.value))
    if isinstance(node, nodes.Mod):  # "%d more" % count
        words = _template_skeleton(node.left)
        return re.sub(r"%s", "{}", re.sub(r"%[.\d]*[dfg]", "{#}", words)).replace("%%", "%")
    if isinstance(node, nodes.Concat):  # "from " ~ name
        return "".join(_template_skeleton(part) for part in node.nodes)
    return "{}"


def _templates() -> Iterator[tuple[str, nodes.Template]]:
    environment = Environment(autoescape=True)
    for path in sorted((ROOT / "templates").rglob("*.j2")):
        yield str(path.relative_to(ROOT)), environment.parse(path.read_text("utf-8"))
