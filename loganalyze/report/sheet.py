"""Lines of text for a terminal of a given width, in one language, with or without colour and Unicode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from unicodedata import combining, east_asian_width

from loganalyze.lang import ENGLISH
from loganalyze.lang.translation import label
from loganalyze.report.redact import visible

STYLES = {
    "critical": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "info": "\x1b[36m",
    "healthy": "\x1b[1;32m",
    "insufficient": "\x1b[1;36m",
    "bold": "\x1b[1m",
    "faint": "\x1b[2m",
}
RESET = "\x1b[0m"
_WORDS = re.compile(r"(\s*)(\S+)")
NARROWEST, WIDEST = 40, 200  # columns; beyond them text is laid out as for these


@dataclass
class Sheet:
    """Text that is being laid out.

    Attributes
    ----------
    width
        Columns; a longer word (a path, a setting) is never cut.
    """

    width: int = 80
    color: bool = False
    unicode: bool = True
    lang: str = ENGLISH
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.width = min(max(self.width, NARROWEST), WIDEST)

    def blank(self) -> Sheet:
        """Return an empty sheet of the same kind."""
        return Sheet(self.width, self.color, self.unicode, self.lang)

    def style(self, text: str, name: str) -> str:
        """Return `text` in a colour, or as it is where colour is off."""
        return f"{STYLES[name]}{text}{RESET}" if self.color else text

    def shape(self, shapes: tuple[str, str]) -> str:
        """Return the Unicode or the ASCII form of a severity mark."""
        return shapes[0] if self.unicode else shapes[1]

    def put(self, text: str, *, indent: str = "", hang: str = "", style: str = "") -> None:
        """Add `text`, wrapped at spaces, its own words in the sheet's language."""
        told = visible(label(text, self.lang))
        shown = told if self.unicode else told.encode("ascii", "replace").decode()
        for line in wrap(shown, self.width, indent, hang or indent):
            self.lines.append(self.style(line, style) if style else line)

    def gap(self) -> None:
        """Add an empty line, unless there is one."""
        if self.lines and self.lines[-1]:
            self.lines.append("")


def wrap(text: str, width: int, indent: str, hang: str) -> Iterator[str]:
    """Yield `text` in lines of at most `width` columns; only a longer word makes a longer line."""
    line = indent
    for space, word in _WORDS.findall(text):
        gap = " " * len(space)  # a line break in a name makes no line
        if line.strip() and columns(line + gap + word) > width:
            yield line
            line, gap = hang, ""
        line += gap + word
    yield line


def columns(text: str) -> int:
    """Return how many columns `text` takes; an East Asian letter takes two."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 1 + (east_asian_width(char) in "WF") for char in text)
