"""Placing text so that none lies over another. Widths are estimated: the reader's font is not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from loganalyze.report.redact import redact, visible

if TYPE_CHECKING:
    from loganalyze.report.curves import Entry

LETTER = 5.0  # points: the mean width of a letter at 8 points in the wider of the usual fonts
GAP = 10.0  # points between two labels
SIGN = 18.0  # points that the line or mark of a legend's entry takes
LONGEST = 48  # letters of a label


@dataclass(frozen=True, slots=True)
class Label:
    """A name above the axes: where it begins (or ends), and in which row."""

    left: float
    text: str
    colour: str
    align: Literal["left", "right"] = "left"
    row: int = 0


def shortened(text: str, longest: int = LONGEST) -> str:
    """Return text that fits: the middle gives way, for names differ at their ends."""
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 3
    return f"{text[: longest - 1 - tail]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - tail :]}"


def shown(text: str) -> str:
    """Return a name from a log as a figure shows it: short, without secrets, harmless."""
    return visible(redact(shortened(text)))


def width(text: str) -> float:
    """Estimate the width of a shortened text, in points."""
    return LETTER * len(shortened(text))


def packed(
    labels: Sequence[Label], left: float, right: float, most: int
) -> tuple[list[Label], int]:
    """Give each label a row in which it covers no other; return them and how many found no place."""
    placed: list[Label] = []
    ends: list[list[tuple[float, float]]] = [[] for _ in range(most)]
    seen: set[tuple[str, float]] = set()
    for label in sorted(labels, key=lambda one: one.left):
        if (label.text, round(label.left)) in seen:
            continue
        seen.add((label.text, round(label.left)))
        size = width(label.text)
        at_end = label.left + size > right and label.left - size >= left
        span = (label.left - size, label.left) if at_end else (label.left, label.left + size)
        for row, taken in enumerate(ends):
            if all(span[1] + GAP <= a or b + GAP <= span[0] for a, b in taken):
                taken.append(span)
                placed.append(replace(label, align="right" if at_end else "left", row=row))
                break
    return placed, len(seen) - len(placed)


def rows_of(entries: Sequence[Entry], room: float) -> list[list[tuple[float, Entry]]]:
    """Break the entries of a legend into rows; each comes with its distance from the left."""
    rows: list[list[tuple[float, Entry]]] = [[]]
    used = 0.0
    for entry in entries:
        size = SIGN + width(entry.label)
        if rows[-1] and used + size > room:
            rows.append([])
            used = 0.0
        rows[-1].append((used, entry))
        used += size + GAP
    return rows
