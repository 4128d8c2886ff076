"""Lines of a given width, counted in columns: a Korean or Chinese character takes two."""

from __future__ import annotations

import textwrap
from unicodedata import east_asian_width

SECOND = "\0"  # stands for the second column of a wide character while lines are made


def wrap(text: str, width: int, *, indent: str = "", hang: str = "") -> list[str]:
    """Return `text` in lines of at most `width` columns; long words (paths, settings) are never cut.

    Parameters
    ----------
    text
        Without control characters, as `loganalyze.report.redact.visible` returns it.
    indent, hang
        What the first line, and every other line, begins with.
    """
    wide = "".join(letter + SECOND * (columns(letter) - 1) for letter in text)
    lines = textwrap.wrap(
        wide,
        width,
        initial_indent=indent,
        subsequent_indent=hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(SECOND, "") for line in lines]


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
