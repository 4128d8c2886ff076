"""From a matplotlib SVG to one that stands in a page: own ids, page colours, a name and a
description.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

SVG = "http://www.w3.org/2000/svg"
XLINK_HREF = "{http://www.w3.org/1999/xlink}href"

# Colours that matplotlib is given, and the variables of the page that replace them. They differ in
# one digit so that each can be found again in the SVG.
SENTINELS = {
    "#010203": "var(--fg)",
    "#010204": "var(--muted)",
    "#010205": "var(--grid)",
    "#010206": "var(--line-1)",
    "#010207": "var(--line-2)",
    "#010208": "var(--line-3)",
    "#010209": "var(--crit)",
    "#01020a": "var(--warn)",
    "#01020b": "var(--info)",
    "#01020c": "var(--line-4)",
    "#01020d": "var(--card)",
}
FG, MUTED, GRID, LINE_1, LINE_2, LINE_3, CRIT, WARN, INFO, LINE_4, CARD = SENTINELS

_REFERENCE = re.compile(r'(?:url\(#|href="#)([^)"]+)')
_DECIMALS = re.compile(r"(\d+\.\d{2})\d+")
_GEOMETRY = frozenset(
    {"d", "x", "y", "transform", "width", "height", "viewBox", "points", "cx", "cy"}
)


def inline(svg: str, key: str, title: str, description: str) -> str:
    """Make a figure fit to be inlined.

    Parameters
    ----------
    svg
        What matplotlib wrote (our own output, so that its XML is trusted).
    key
        Prefix of every id, unique in the page.
    title, description
        The accessible name and the text alternative.
    """
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ET.fromstring(svg[svg.index("<svg") :])  # noqa: S314 - our own output
    used = set(_REFERENCE.findall(svg))
    for node in [node for node in root if node.tag.endswith("}metadata")]:
        root.remove(node)
    for defs in root.findall(f"{{{SVG}}}defs"):
        for style in defs.findall(f"{{{SVG}}}style"):
            defs.remove(style)
    for node in root.iter():
        _rewrite(node, key, used)
    for attribute in ("width", "height"):
        root.attrib.pop(attribute, None)
    root.attrib.update({"role": "img", "aria-labelledby": f"{key}-t {key}-d", "class": "chart"})
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{{{SVG}}}{tag}", {"id": f"{key}-{tag[0]}"})
        element.text = text
        root.insert(position, element)
    return ET.tostring(root, encoding="unicode")


def _rewrite(node: ET.Element, key: str, used: set[str]) -> None:
    name = node.attrib.pop("id", None)
    if name in used:
        node.set("id", f"{key}-{name}")
    if node.tag.endswith("}text"):
        node.set("aria-hidden", "true")
    for attribute, value in list(node.attrib.items()):
        if attribute == XLINK_HREF and value.startswith("#"):
            value = f"#{key}-{value[1:]}"
        value = re.sub(r"url\(#([^)]+)\)", rf"url(#{key}-\1)", value)
        for sentinel, variable in SENTINELS.items():
            value = value.replace(sentinel, variable)
        node.set(attribute, _DECIMALS.sub(r"\1", value) if attribute in _GEOMETRY else value)
