"""The documentation of findings and causes in other languages, by kind, id and section.

A module's documentation is its first lines and sections under underlined headings. A translation stands in
``explanations.toml`` under ``finding`` or ``cause`` and the id: ``summary``, then each heading in English.
``of`` is the digest of the English text that was translated, so that a change of it does not go unseen
(`digest`).
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from loganalyze.lang import ENGLISH
from loganalyze.lang.catalogue import table

ROOM = "explanations"
SUMMARY = "summary"
# Sections that are the same in every language: citations, and names of settings.
AS_THEY_ARE = frozenset({"References", "Settings"})
DIGEST_LENGTH = 8  # hexadecimal digits


@cache
def _table(lang: str) -> dict[str, Any]:
    return table(lang, ROOM)


def sections(text: str) -> dict[str, str]:
    """Return a module's documentation by heading; what stands before the first is the summary."""
    found: dict[str, list[str]] = {SUMMARY: []}
    heading = SUMMARY
    for line in text.splitlines():
        if line and set(line) == {"-"} and found[heading]:
            title = found[heading].pop()
            heading = title
            found[heading] = []
        else:
            found[heading].append(line)
    return {name: "\n".join(lines).strip("\n") for name, lines in found.items()}


def digest(text: str) -> str:
    """Return a digest of what is to be translated of a documentation."""
    told = [f"{name}\n{body}" for name, body in sections(text).items() if name not in AS_THEY_ARE]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:DIGEST_LENGTH]


def explained(kind: str, identifier: str, text: str, lang: str) -> str:
    """Return the documentation of a ``"finding"`` or a ``"cause"``; in English what has no translation."""
    if lang == ENGLISH:
        return text
    own, headings = _own(kind, identifier, lang), _table(lang).get("headings", {})
    parts = []
    for name, body in sections(text).items():
        told = own.get(name, body).strip()
        told = headings.get(told, told)
        title = headings.get(name, name)
        parts.append(told if name == SUMMARY else f"{title}\n{'-' * _width(title)}\n{told}")
    return "\n\n".join(parts)


def title(heading: str, lang: str) -> str:
    """Return the heading of a section."""
    headings: dict[str, str] = _table(lang).get("headings", {})
    return headings.get(heading, heading)


def section(kind: str, identifier: str, heading: str, english: str, lang: str) -> str:
    """Return one section as a single line, given its English text."""
    told = english if lang == ENGLISH else _own(kind, identifier, lang).get(heading, english)
    return " ".join(told.split())


def _own(kind: str, identifier: str, lang: str) -> dict[str, str]:
    found: dict[str, str] = _table(lang).get(kind, {}).get(identifier, {})
    return found


def _width(text: str) -> int:
    """Return the columns of a heading: letters beyond Latin take two."""
    return sum(2 if ord(letter) > 0x1100 else 1 for letter in text)
