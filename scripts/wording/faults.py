"""What a language lacks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from loganalyze.causes import HYPOTHESES
from loganalyze.detect import DETECTORS
from loganalyze.lang.catalogue import JOINED, table
from loganalyze.lang.explanations import AS_THEY_ARE, ROOM, digest, sections
from loganalyze.lang.skeleton import Skeleton
from wording.places import ROOMS
from wording.source import Text, texts
from wording.templates import bare_words, template_texts


def faults(lang: str) -> Iterator[str]:
    """Yield what is wrong with the catalogue of a language, a line each."""
    for room in ROOMS:
        entries = table(lang, room)
        joined = entries.pop(JOINED, {})
        needed = {text.skeleton: text for text in said(room)}
        for skeleton, text in needed.items():
            if skeleton not in entries:
                yield f"{room}: no translation of {_quoted(skeleton)} ({text.path}:{text.line})"
        for key, template in (entries | joined).items():
            if key not in needed and key not in joined:
                yield f"{room}: nothing says {_quoted(key)} any more"
            holes = len(Skeleton.parse(key).holes)
            if any(int(slot) >= holes for slot in re.findall(r"(?<!\{)\{(\d+)", template)):
                yield f"{room}: {_quoted(key)} has no hole for a slot of {template!r}"
    yield from _documentation_faults(lang)
    for text in bare_words():
        yield f"report: {_quoted(text.skeleton)} is not asked for with _() ({text.path}:{text.line})"


def _quoted(key: str) -> str:
    """Return a key as it stands in the file."""
    return json.dumps(key, ensure_ascii=False)


def said(room: str) -> Iterator[Text]:
    """Yield the texts of a room; those of the templates are the report's."""
    yield from texts(room)
    if room == "report":
        yield from template_texts()


def _documentation_faults(lang: str) -> Iterator[str]:
    every = table(lang, ROOM)
    kinds = {"finding": DETECTORS, "cause": HYPOTHESES}
    for kind, items in kinds.items():
        told = every.get(kind, {})
        for item in items:
            own = told.get(item.id, {})
            for heading in sections(item.explanation):
                if heading not in AS_THEY_ARE and heading not in own:
                    yield f"{ROOM}: {kind} {item.id} lacks {heading!r}"
            if own and own.get("of") != digest(item.explanation):
                yield (
                    f"{ROOM}: the documentation of {kind} {item.id} changed; translate it, then set "
                    f'of = "{digest(item.explanation)}"'
                )
        for identifier in told.keys() - {item.id for item in items}:
            yield f"{ROOM}: there is no {kind} {identifier} any more"
