"""From one line of a log to its `Reading`: prefixes off, then the kinds of lines in turn."""

from __future__ import annotations

import re

from loganalyze.ingest import (
    text_config,
    text_dicts,
    text_history,
    text_idioms,
    text_pairs,
    text_place,
    text_tables,
)
from loganalyze.ingest.text_reading import Draft, Kind, Reading, Role, assemble

_RANK = re.compile(  # torchrun, SLURM's srun -l, Open MPI's --tag-output
    r"^\s*\[?(?:default|rank|gpu)[ _]?(\d+)\]?\s*[:|]\s*|^\s*(\d{1,4}):\s(?=\S)"
    r"|^\[\d+,(\d+)\]<std(?:out|err)>:\s?", re.I
)  # fmt: skip
_WORKER = re.compile(r"^\((?:\w+ )?pid=\d+(?:, ip=[\d.]+)?\)\s?")  # Ray
_ABSEIL = re.compile(r"^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{1,9}\s+\d+ [\w./-]+:\d+\]\s?")
_STAMP = re.compile(
    r"^\W{0,2}(?:[\w.:/-]{1,60}\W{1,3})?((?:\d{4}[-/]\d\d[-/]\d\d|\d\d/\d\d/\d{4})[T ]"
    r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)\S*"
)
_LOGGER = re.compile(
    r"^[\s\]|:-]*(?:(?:\[(?:INFO|WARNING|WARN|ERROR|DEBUG|CRITICAL)\b[^\]]{0,60}\]"
    r"|(?:INFO|WARNING|WARN|ERROR|DEBUG|CRITICAL)\b\]?)[\s:|>-]*)?"
    r"(?:\[?[\w.]+\.py:\d+(?::\w+)?\]?[\s:|>-]*(?:\d{4}-\d\d-\d\d [\d:,]+ >>\s*)?)?",
    re.I,
)
_BRACE = re.compile(r"\{\s*\"")
_RANK_INSIDE = re.compile(r"[\s:]*\[?rank[ _]?(\d+)\]?\s*[:|]\s*", re.I)
_LISTS = re.compile(r"['\"]:\s*\[")
BAR = re.compile(  # tqdm, whatever it counts: `12/100 [00:01<00:09, 8.1batch/s`
    r"(?<!\d)(\d{1,12})/(\d{1,12})\s+\[(?:[^\]]{0,80}(?:it/s|s/it|\?it)|\d+:\d\d[^\]]{0,60}(?:[A-Za-z?]/s|s/[A-Za-z]))"
)
_DIGIT_OR_NAN = re.compile(r"\d|nan|inf", re.I)


def prefix(text: str) -> tuple[Draft, int]:
    """Return rank and time of a line, and where its own text begins."""
    line = Draft()
    start = 0
    rank = _RANK.match(text)
    if rank and not text_idioms.DARKNET.match(text):
        line.put(rank.span(rank.lastindex or 0), Role.RANK)
        start = rank.end()
    for mark in (_WORKER, _ABSEIL):
        if opened := mark.match(text[start:]):
            start += opened.end()
    if "20" in text[start : start + 40] or "19" in text[start : start + 40]:
        stamp = _STAMP.match(text[start:])
        if stamp:
            line.put((start + stamp.start(1), start + stamp.end(1)), Role.STAMP)
            start += stamp.end()
    inside = _RANK_INSIDE.match(text[start:]) if not rank else None
    if inside:
        line.put((start + inside.start(1), start + inside.end(1)), Role.RANK)
        start += inside.end()
    logger = _LOGGER.match(text[start:])
    return line, start + (logger.end() if logger else 0)


def read_line(text: str, heads: tuple[tuple[str, ...], ...] = ()) -> Reading | None:
    """Return what a line says; None for prose. `heads` are those of tables that it may be in."""
    if not _DIGIT_OR_NAN.search(text):
        place = text_place.heading(text)
        return assemble([place]) if place else None
    line, start = prefix(text)
    for bar in BAR.finditer(text):
        line.drop(Role.BAR)
        line.drop(Role.BAR_TOTAL)
        line.put(bar.span(1), Role.BAR)
        line.put(bar.span(2), Role.BAR_TOTAL)
    drafts = _records(text, start, heads)
    bare = text[start:]
    if (
        not drafts
        and not text_config.is_dump(bare)
        and (place := text_place.header(text, start) or text_place.heading(bare))
    ):
        drafts = [place]
    if not drafts and not line.has(Role.BAR):
        return None
    return assemble(drafts, line, _framework(drafts, bare))


def _records(text: str, start: int, heads: tuple[tuple[str, ...], ...]) -> list[Draft]:
    if _LISTS.search(text) and (found := text_history.curves(text)):
        return found
    if "{'" in text and (found := text_dicts.dictionaries(text, start)):
        return found
    if ":::MLL" in text:
        point = text_dicts.mlperf(text)
        return [point] if point else []
    if text.rstrip().endswith("}") and (brace := _BRACE.search(text)):
        record = text_dicts.json_record(text, brace.start())
        return [record] if record else []
    for names in heads:
        if (entry := text_tables.row(text, start, names)) is not None:
            return [entry]
    if (found_cell := text_tables.cell(text, start)) is not None:
        return [found_cell]
    if (entry := text_tables.headless(text)) is not None:
        return [entry]
    if text_config.is_dump(text[start:]):
        return []
    record = text_pairs.line_record(text, start)
    return [record] if record else []


def _framework(drafts: list[Draft], bare: str) -> str | None:
    for draft in drafts:
        if draft.kind is Kind.DICT and "loss" in draft.names() and draft.has(Role.EPOCH):
            return "hf-trainer"
        if draft.kind is Kind.LINE and (named := text_idioms.framework(draft, bare)):
            return named
    return None
