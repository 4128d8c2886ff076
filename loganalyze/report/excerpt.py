"""The lines of a log around a place: read from a bounded part of a file inside the run directory.

The directory is hostile. Only regular files are opened, none that a link leads to from inside to outside,
and of each at most `SCANNED` bytes from its start and `TAIL` from its end are read.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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
    first = max(where.row - before, 1)
    lines = _lines(run, where.source, first, where.row + after)
    if len(lines) <= where.row - first:
        return None
    shown = [Line(n, _shown(raw), n == where.row) for n, raw in enumerate(lines, start=first)]
    while shown and not shown[-1].text:
        shown.pop()
    return Excerpt(where.source, tuple(shown)) if shown else None


def tail(run: Run, source: str, count: int) -> Excerpt | None:
    """Return the last lines of a log."""
    if not _is_text(run, source):
        return None
    with _opened(run, source) as file:
        if file is None or _is_wide(file):
            return None
        start = max(file.seek(0, os.SEEK_END) - TAIL, 0)
        file.seek(start)
        data = file.read(TAIL)
    raw = data.rstrip(b"\n").split(b"\n")[1 if start else 0 :]
    lines = tuple(Line(None, _shown(line)) for line in raw[-count:])
    return Excerpt(source, lines) if data and lines else None


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


def _lines(run: Run, source: str, first: int, last: int) -> list[bytes]:
    """Return some lines of a file by their numbers; none that are behind the first `SCANNED` bytes."""
    found: list[bytes] = []
    with _opened(run, source) as file:
        left = SCANNED if file is not None and not _is_wide(file) else 0
        for number in range(1, last + 1):
            line = file.readline(left) if file is not None and left > 0 else b""
            left -= len(line)
            if not line.endswith(b"\n") and left <= 0:
                break  # cut, or not reached
            if not line:
                break
            if number >= first:
                found.append(line.rstrip(b"\n"))
    return found


def _is_wide(file: BinaryIO) -> bool:
    """Tell whether the text has two bytes a letter, so that a line is not what ends in a newline byte."""
    head = file.read(2)
    file.seek(0)
    return head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def _opened(run: Run, source: str) -> Iterator[BinaryIO | None]:
    """Open the file of a source, if it is a regular one inside the run directory."""
    path = _inside(run, source)
    # Neither a pipe that blocks nor a link put there since the path was resolved.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        handle = None if path is None else os.open(path, flags)
    except OSError:
        handle = None
    if handle is None:
        yield None
        return
    with os.fdopen(handle, "rb") as file:
        yield file if stat.S_ISREG(os.fstat(handle).st_mode) else None
