"""The catalogue of a language: its sentences, and which of them a text may be an instance of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import Any

from loganalyze.errors import UsageError
from loganalyze.lang import LANGUAGES
from loganalyze.lang.skeleton import Skeleton

SENTENCES = ("findings", "causes", "sources", "probe", "compare")
LABELS = ("report", "cli")
JOINED = "joined"  # table of a file: what stands in no place of the source as a whole
OWN_WORDS = 6  # letters from which a sentence with open phrases says enough to be recognised alone
PREFIX = 4  # characters by which sentences are looked up


class Kind(Enum):
    """What is to be translated, which tells what may be meant by few words of its own."""

    TEXT = auto()
    LABEL = auto()
    PHRASE = auto()


@dataclass(frozen=True)
class Entry:
    """A sentence and its translation, with ``{0}`` for the first hole, ``{0!r}`` for it as it is.

    ``{0:은}`` puts the particle after it that its last sound asks for.
    """

    skeleton: Skeleton
    template: str
    is_label: bool = False

    def is_for(self, kind: Kind) -> bool:
        """Tell whether a text of this kind may be recognised by it."""
        if kind is Kind.TEXT:
            return self.skeleton.weight >= OWN_WORDS or set(self.skeleton.holes) <= {"#"}
        return kind is Kind.PHRASE or self.is_label


class Catalogue:
    """All sentences of one language."""

    def __init__(self, sentences: Mapping[str, str], labels: Mapping[str, str]) -> None:
        entries = [Entry(Skeleton.parse(k), template) for k, template in sentences.items()]
        entries += [Entry(Skeleton.parse(k), template, True) for k, template in labels.items()]
        self.exact = {
            entry.skeleton.literals[0]: entry.template.replace("{{", "{").replace("}}", "}")
            for entry in entries
            if not entry.skeleton.holes
        }
        self.entries = sorted(
            (entry for entry in entries if entry.skeleton.holes), key=lambda e: -e.skeleton.weight
        )
        self._by_prefix: dict[str, list[Entry]] = {}

    def candidates(self, text: str, kind: Kind) -> list[Entry]:
        """Return the entries that begin and end as `text` does, those that say most first."""
        prefix = text[:PREFIX]
        if prefix not in self._by_prefix:
            self._by_prefix[prefix] = [
                entry
                for entry in self.entries
                if (begin := entry.skeleton.literals[0])[:PREFIX] == prefix[: len(begin)]
            ]
        return [
            entry
            for entry in self._by_prefix[prefix]
            if text.endswith(entry.skeleton.literals[-1]) and entry.is_for(kind)
        ]


@cache
def catalogue(lang: str) -> Catalogue:
    """Read the catalogue of a language.

    Raises
    ------
    UsageError
        If there is no such language.
    """
    if lang not in LANGUAGES:
        raise UsageError(f"no language is called {lang!r}; there are {', '.join(LANGUAGES)}")
    return Catalogue(_rooms(lang, SENTENCES), _rooms(lang, LABELS))


def _rooms(lang: str, rooms: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for room in rooms:
        read = table(lang, room)
        found |= read.pop(JOINED, {}) | read
    return found


def table(lang: str, room: str) -> dict[str, Any]:
    """Read one file of a language; empty where there is none."""
    import tomllib
    from importlib import resources

    file = resources.files("loganalyze.lang") / lang / f"{room}.toml"
    return tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
