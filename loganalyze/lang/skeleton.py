"""Sentences with holes: which of them a text is an instance of, and what stands in its holes.

A hole is ``{#}``, a number; ``{name}``, a phrase, which is a text of the catalogue itself where it can be; or
``{}``, any value, which is never translated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

NUMBER = re.compile(
    r" *[+-]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?|nan|inf|NaN)%?"
)
_HOLE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


class Spent(Exception):  # noqa: N818 - no error: the search is over
    """A text has taken as many tries as one text may take."""


class Tries:
    """How many places may still be tried for one text: what a hostile one can cost."""

    def __init__(self, most: int) -> None:
        self.left = most

    def take(self) -> None:
        """Count one try.

        Raises
        ------
        Spent
            When none is left.
        """
        self.left -= 1
        if self.left < 0:
            raise Spent


@dataclass(frozen=True)
class Skeleton:
    """A sentence in pieces: literals, one more than there are holes between them."""

    literals: tuple[str, ...]
    holes: tuple[str, ...]

    @classmethod
    def parse(cls, key: str) -> Skeleton:
        """Read ``"At step {#} {what}"``; a brace itself is written twice."""
        literals, holes, begin = [""], [], 0
        for found in _HOLE.finditer(key):
            literals[-1] += key[begin : found.start()]
            begin = found.end()
            if found[1] is None:
                literals[-1] += found[0][0]
            else:
                holes.append(found[1])
                literals.append("")
        literals[-1] += key[begin:]
        return cls(tuple(literals), tuple(holes))

    @cached_property
    def weight(self) -> int:
        """Number of letters that stand: of two that fit, the one that says more is meant."""
        return sum(letter.isalpha() for literal in self.literals for letter in literal)

    def match(
        self, text: str, tries: Tries, is_known: Callable[[str], bool] | None
    ) -> tuple[str, ...] | None:
        """Return what stands in the holes, or None where the text is no instance.

        Where several places of a literal would do, the first counts. With `is_known`, phrases must be
        known, empty or numbers.
        """
        if not text.startswith(self.literals[0]) or not text.endswith(self.literals[-1]):
            return None
        if not self.holes:
            return () if text == self.literals[0] else None
        parts = self._fill(text, 0, len(self.literals[0]), tries, is_known)
        return None if parts is None else tuple(parts)

    def _fill(
        self,
        text: str,
        hole: int,
        begin: int,
        tries: Tries,
        is_known: Callable[[str], bool] | None,
    ) -> list[str] | None:
        if hole == len(self.holes):
            return [] if begin == len(text) else None
        kind = self.holes[hole]
        literal = self.literals[hole + 1]
        last = hole + 1 == len(self.holes)
        for end in _ends(text, begin, kind, literal, last=last):
            tries.take()
            part = text[begin:end]
            if kind not in ("", "#") and is_known is not None and not is_known(part):
                continue
            rest = self._fill(text, hole + 1, end + len(literal), tries, is_known)
            if rest is not None:
                return [part, *rest]
        return None


def _ends(text: str, begin: int, kind: str, literal: str, *, last: bool) -> Iterator[int]:
    """Yield where a hole that starts at `begin` may end, the nearest place first."""
    if kind == "#":
        found = NUMBER.match(text, begin)
        if found and text.startswith(literal, found.end()):
            yield found.end()
    elif last:
        end = len(text) - len(literal)
        if end >= begin:
            yield end
    elif literal:
        end = text.find(literal, begin)
        while end >= 0:
            yield end
            end = text.find(literal, end + 1)
    else:  # two holes side by side: the second begins with no letter, or one of them is empty
        for end in range(begin + 1, len(text) + 1):
            if end == len(text) or not text[end].isalnum():
                yield end
        yield begin
