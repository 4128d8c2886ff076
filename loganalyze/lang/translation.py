"""The translation of one text by the catalogue of a language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from loganalyze.lang import ENGLISH
from loganalyze.lang.catalogue import Entry, Kind, catalogue
from loganalyze.lang.particles import particle
from loganalyze.lang.skeleton import NUMBER, Spent, Tries

LONGEST = 2000  # characters; no sentence of ours is longer, a line of a log may be
MOST_TRIES = 3000  # places tried for one text; ordinary ones take fewer than 100
DEEPEST = 4  # phrases inside of phrases
REMEMBERED = 4096  # texts
_SLOT = re.compile(r"\{\{|\}\}|\{(\d+)(!r)?(?::([^{}]+))?\}")
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z\d\"'])")
_LISTED = ("; ", ", ")


@lru_cache(maxsize=REMEMBERED)
def translate(text: str, lang: str) -> str:
    """Return a text in another language, or as it is where the catalogue does not know it.

    A text of several sentences is translated sentence by sentence where it is not known as a whole, and
    what stands after the name of a file by itself. Numbers and values stay as they are.
    """
    if lang == ENGLISH:
        return text
    search = _Search(lang)
    whole = search.whole(text, Kind.TEXT)
    if whole is not None:
        return whole
    for pieces, mark in ((_SENTENCE_END.split(text), " "), (text.split("; "), "; ")):
        told = [search.whole(piece, Kind.TEXT) for piece in pieces] if len(pieces) > 1 else []
        if any(piece is not None for piece in told):
            return mark.join(a or b for a, b in zip(told, pieces, strict=True))
    name, colon, rest = text.partition(": ")
    return f"{name}{colon}{search.whole(rest, Kind.TEXT) or rest}"


@lru_cache(maxsize=REMEMBERED)
def label(text: str, lang: str) -> str:
    """Return one of the renderers' own labels in another language: few words, perhaps around values."""
    if lang == ENGLISH:
        return text
    found = _Search(lang).whole(text, Kind.LABEL)
    return text if found is None else found


@dataclass(frozen=True, slots=True)
class _Told:
    """A translation and how many characters of the original it takes over unread."""

    text: str
    unread: int


class _Search:
    """The search for one text, with what it has cost so far."""

    def __init__(self, lang: str) -> None:
        self.book = catalogue(lang)
        self.tries = Tries(MOST_TRIES)
        self.phrases: dict[tuple[str, bool], _Told | None] = {}
        self.depth = 0

    def whole(self, text: str, kind: Kind) -> str | None:
        """Translate a text as one sentence; None where it is not known.

        A reading in which every phrase is known counts before one in which some stay English.
        """
        if len(text) > LONGEST:
            return None
        try:
            told = self._look_up(text, kind, strict=True)
            told = self._look_up(text, kind, strict=False) if told is None else told
        except Spent:
            return None
        return None if told is None else told.text

    def _look_up(self, text: str, kind: Kind, *, strict: bool) -> _Told | None:
        """Translate a text as it is, without its full stop, or with a capital at its beginning."""
        bare = text[:-1] if text.endswith(".") and not text.endswith("..") else text
        for form in dict.fromkeys((text, bare, text[:1].upper() + text[1:])):
            exact = self.book.exact.get(form)
            told = _Told(exact, 0) if exact is not None else None
            told = told or self._instance(form, kind, strict=strict)
            if told is not None:
                closed = form == bare != text
                return _Told(f"{told.text.rstrip('.')}.", told.unread) if closed else told
        return None

    def _instance(self, text: str, kind: Kind, *, strict: bool) -> _Told | None:
        """Return the reading that leaves least unread; of several such, the one with most words."""
        best: _Told | None = None
        for entry in self.book.candidates(text, kind):
            parts = entry.skeleton.match(text, self.tries, self._is_known if strict else None)
            if parts is not None:
                told = self._filled(entry, parts)
                best = told if best is None or told.unread < best.unread else best
        return best

    def _is_known(self, part: str) -> bool:
        return _is_value(part) or self._phrase(part, strict=True) is not None

    def _phrase(self, part: str, *, strict: bool) -> _Told | None:
        """Translate what stands in a hole: a phrase, a list of phrases, or a file and a phrase."""
        key = part, strict
        if key not in self.phrases:
            self.phrases[key] = None  # a phrase that holds itself
            if self.depth < DEEPEST:
                self.depth += 1
                try:
                    self.phrases[key] = self._listed(part, strict=strict)
                finally:
                    self.depth -= 1
        return self.phrases[key]

    def _listed(self, part: str, *, strict: bool) -> _Told | None:
        told = self._look_up(part, Kind.PHRASE, strict=strict)
        for mark in _LISTED if told is None else ():
            pieces = part.split(mark)
            each = [self._phrase(p, strict=True) for p in pieces] if len(pieces) > 1 else []
            known = [one for one in each if one is not None]
            if known and len(known) == len(pieces):
                return _Told(mark.join(one.text for one in known), sum(o.unread for o in known))
        name, colon, rest = part.partition(": ")
        if told is None and rest and _is_value(name):
            told = self._look_up(rest, Kind.PHRASE, strict=True)
            told = told and _Told(f"{name}{colon}{told.text}", told.unread + len(name))
        return told

    def _filled(self, entry: Entry, parts: tuple[str, ...]) -> _Told:
        holes = zip(parts, entry.skeleton.holes, strict=True)
        told = [self._part(part, kind) for part, kind in holes]
        text, begin = "", 0
        for slot in _SLOT.finditer(entry.template):
            text += entry.template[begin : slot.start()]
            begin = slot.end()
            if slot[1] is None:
                text += slot[0][0]
                continue
            index = int(slot[1])
            text += parts[index] if slot[2] else told[index].text
            text += particle(text, slot[3]) if slot[3] else ""
        return _Told(text + entry.template[begin:], sum(one.unread for one in told))

    def _part(self, part: str, kind: str) -> _Told:
        if not part or kind == "#":
            return _Told(part, 0)
        phrase = None
        if kind:
            phrase = self._phrase(part, strict=True) or self._phrase(part, strict=False)
        return phrase or _Told(part, 0 if NUMBER.fullmatch(part) else len(part))


def _is_value(part: str) -> bool:
    """Tell whether a part may stand as it is: a number, a name, a file, a list of such; nothing, too."""
    spaced = any(letter.isspace() for letter in part.replace(", ", ","))
    return not spaced or NUMBER.fullmatch(part) is not None
