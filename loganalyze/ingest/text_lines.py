"""From the bytes of a log to clean lines: encoding, carriage returns, colours, prefixes, time
stamps.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from loganalyze.run import Problem

MAX_LINE = 1_000_000  # characters; longer lines are data that somebody printed, not a log

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]")
_RANK = re.compile(
    r"^\s*\[?(?:default|rank|gpu)[ _]?(\d+)\]?\s*[:|]\s*|^\s*(\d{1,4}):\s(?=\S)", re.I
)
_STAMP = re.compile(
    r"^\W{0,2}(?:\w+\W{1,3})?(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\S*"
)
_LOGGER = re.compile(
    r"^[\s\]|:-]*(?:(?:\[(?:INFO|WARNING|WARN|ERROR|DEBUG|CRITICAL)\b[^\]]{0,60}\]"
    r"|(?:INFO|WARNING|WARN|ERROR|DEBUG|CRITICAL)\b\]?)[\s:|>-]*)?"
    r"(?:\[?[\w.]+\.py:\d+(?::\w+)?\]?[\s:|>-]*(?:\d{4}-\d\d-\d\d [\d:,]+ >>\s*)?)?",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line.

    ``row`` is its physical line number (1-based); several updates of a progress bar share one.
    ``bare`` is ``text`` without time stamp, logger and rank prefixes.
    """

    row: int
    text: str
    bare: str
    time: float
    rank: int | None


def decode(data: bytes) -> tuple[str, list[Problem]]:
    """Decode a log: UTF-16 by its mark, else UTF-8, with what does not fit replaced."""
    for mark, name in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            return data.decode(name, "replace"), []
    text = data.decode("utf-8-sig", "replace")
    wrong = text.count("\ufffd") - data.count("\ufffd".encode())
    if wrong <= 0:
        return text, []
    return text, [Problem(f"{wrong:,} characters are not UTF-8 and were replaced", lossy=False)]


def lines(text: str, problems: list[Problem]) -> Iterator[Line]:
    """Yield the logical lines of a log that are not empty; over-long ones lose their beginning."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    for row, physical in enumerate(text.split("\n"), start=1):
        if len(physical) > MAX_LINE:
            cut = f"a line of {len(physical):,} characters was cut to {MAX_LINE:,}"
            problems.append(Problem(cut, row))
            physical = physical[-MAX_LINE:]
        for part in physical.split("\r"):
            if part and not part.isspace():
                yield _line(row, part)


def _line(row: int, text: str) -> Line:
    rest, rank, time = text, None, float("nan")
    found = _RANK.match(rest)
    if found:
        rank = int(found[1] or found[2])
        rest = rest[found.end() :]
    if "20" in rest[:40] or "19" in rest[:40]:
        stamp = _STAMP.match(rest)
        if stamp:
            time = _seconds(stamp)
            rest = rest[stamp.end() :]
    bare = rest[match.end() :] if (match := _LOGGER.match(rest)) else rest
    return Line(row, text, bare, time, rank)


def _seconds(stamp: re.Match[str]) -> float:
    try:
        year, month, day, hour, minute, second = (int(stamp[index]) for index in range(1, 7))
        when = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return float("nan")
    return when.timestamp() + float(f"0.{stamp[7] or 0}")
