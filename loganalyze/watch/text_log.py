"""A log of text that grows: read on from where the last reading ended.

The reader of a log takes it in windows of some megabytes. Here it keeps its state after the last full
window, and reads what is behind that anew each time: the lines come to the reader in the same windows as
when the whole log is read at the end, so that both come to the same table. A line that is not finished
waits.
"""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import BinaryIO

from loganalyze.ingest import stdout
from loganalyze.ingest.ingester import Table
from loganalyze.ingest.text_lines import MAX_LINE, WINDOW, Splitter, whole
from loganalyze.ingest.text_reader import Reader
from loganalyze.run import Problem
from loganalyze.watch.fingerprint import Fingerprint, fingerprint

_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TextLog:
    """One log, followed.

    Attributes
    ----------
    taken
        Bytes that were read so far, over all readings.
    """

    def __init__(self, source: str, run: str, window: int = WINDOW) -> None:
        self._source, self._run, self._window = source, run, window
        self.taken = 0
        self._last: Fingerprint | None = None
        self._restart()

    def _restart(self) -> None:
        self._reader, self._splitter = Reader(self._source), Splitter()
        self._problems: list[Problem] = []
        self._full = 0  # windows that were there as a whole
        self._done = 0  # bytes of them that the reader has: up to the last line's end

    def read(self, path: Path, *, settled: bool) -> Table | None:
        """Return the table of the log as it is now; None where it must be read as a whole.

        Parameters
        ----------
        settled
            Nobody writes at present: a last line without an end is whole.
        """
        now = fingerprint(path)
        if now is None or now.head[:2] in _WIDE:
            return None
        if self._last is None or not now.grew_from(self._last):
            self._restart()
        self._last = now
        with path.open("rb") as file:
            while self._full_window(file, now.size):
                pass
            file.seek(self._done)
            rest = file.read(now.size - self._done)
        self.taken += len(rest)
        if len(rest) > self._window + MAX_LINE:  # a line without an end: cut by the ordinary reader
            return None
        head = b"" if self._done else codecs.BOM_UTF8
        return self._with_rest(rest.removeprefix(head), settled=settled)

    def _full_window(self, file: BinaryIO, size: int) -> bool:
        """Take in the lines of the next window, if it is all there."""
        boundary = (self._full + 1) * self._window
        if boundary > size:
            return False
        file.seek(self._done)
        block = file.read(boundary - self._done)
        self.taken += len(block)
        self._full += 1
        end = whole(block)
        text = block[:end] if self._done else block[:end].removeprefix(codecs.BOM_UTF8)
        if text and len(lines := self._splitter.lines(text, self._problems)):
            self._reader.feed(lines)
        self._done += end
        return True

    def _with_rest(self, rest: bytes, *, settled: bool) -> Table:
        reader, problems = self._reader.fork(), list(self._problems)
        splitter = Splitter(self._splitter.row, self._splitter.first, self._splitter.wrong)
        end = whole(rest)
        blocks = [rest[:end], rest[end:] if settled else b""]
        for block in blocks:
            if block and len(lines := splitter.lines(block, problems)):
                reader.feed(lines)
        return stdout.finished(reader, [*problems, *splitter.remarks()], self._run)
