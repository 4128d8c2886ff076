"""The lines of a log around a place: read from a bounded part of a file inside the run directory.

The directory is hostile. Only regular files are opened, none that a link leads to from inside to outside,
and of each at most `SCANNED` bytes from its start and `TAIL` from its end are read.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from loganalyze.report.redact import redact, visible
from loganalyze.run import Run, Where

SCANNED = 16 << 20  # bytes in which a line is looked for by its number
TAIL = 128 << 10  # bytes at the end in which it is looked for by its text
WIDTH = 300  # characters of one line
TEXT = "text"  # the format of the sources whose rows are lines
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\n]*\x07")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log, harmless; its number where it is known."""

    number: int | None
    text: str
    cited: bool = False


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Neighbouring lines of one file."""

    source: str
    lines: tuple[Line, ...]


def around(run: Run, where: Where, before: int, after: int) -> Excerpt | None:
    """Return the lines around a cited one, or None where they cannot be had safely."""
    if where.row is None or not _is_text(run, where.source):
        return None
    head = _read(run, where.source, 0, SCANNED)
    if head is None:
        return None
    lines = head.split(b"\n")
    if where.row > len(lines) - (len(head) == SCANNED):  # the last one may be cut
        return None
    first = max(where.row - 1 - before, 0)
    part = lines[first : where.row + after]
    numbers = range(first + 1, first + 1 + len(part))
    shown = [Line(n, _shown(raw), n == where.row) for n, raw in zip(numbers, part, strict=True)]
    while shown and not shown[-1].text:
        shown.pop()
    return Excerpt(where.source, tuple(shown)) if shown else None


def tail(run: Run, source: str, count: int) -> Excerpt | None:
    """Return the last lines of a log."""
    size = _size(run, source)
    if size is None or not _is_text(run, source):
        return None
    start = max(size - TAIL, 0)
    data = _read(run, source, start, TAIL)
    if not data:
        return None
    raw = data.rstrip(b"\n").split(b"\n")[1 if start else 0 :]
    lines = tuple(Line(None, _shown(line)) for line in raw[-count:])
    return Excerpt(source, lines) if lines else None


def quoted(source: str, text: str, most: int) -> Excerpt | None:
    """Return the text of an event as an excerpt; its middle is left out where it is long."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > most:
        head = most // 3
        lines = [*lines[:head], f"... {len(lines) - most} lines ...", *lines[head - most :]]
    shown = tuple(Line(None, _shown(line.encode("utf-8", "replace"))) for line in lines)
    return Excerpt(source, shown) if shown else None


def _shown(raw: bytes) -> str:
    """Return a line without colours, updates of a progress bar, secrets and active characters."""
    last = raw.rstrip(b"\r").rsplit(b"\r", 1)[-1]
    text = last[: 8 * WIDTH].decode("utf-8", "replace")
    text = redact(_ANSI.sub("", text))
    return visible(
        text if len(text) <= WIDTH else f"{text[:WIDTH]} \N{HORIZONTAL ELLIPSIS}"
    ).replace("\t", "    ")


def _is_text(run: Run, source: str) -> bool:
    return any(one.path == source and one.format == TEXT for one in run.sources)


def _inside(run: Run, source: str) -> Path | None:
    """Return the file of a source, links resolved, if it lies in the run directory."""
    try:
        root = Path(run.path).resolve(strict=True)
        if root.is_file():
            return root if Path(source).name == root.name else None
        path = (root / source).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return None
    return path if path.is_relative_to(root) else None


def _size(run: Run, source: str) -> int | None:
    path = _inside(run, source)
    try:
        return None if path is None else path.stat().st_size
    except OSError:
        return None


def _read(run: Run, source: str, start: int, most: int) -> bytes | None:
    path = _inside(run, source)
    if path is None:
        return None
    try:
        # Neither a pipe that blocks nor a link put there since the path was resolved.
        handle = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        )
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            file.seek(start)
            data = file.read(most)
    except OSError:
        return None
    return None if data[:2] in (b"\xff\xfe", b"\xfe\xff") else data
