"""From a log of any size to windows of clean lines: encoding, carriage returns, colours.

A window is some megabytes of whole lines, as UTF-8. Its lines are not Python strings: they are offsets
into the window's bytes, which Arrow's kernels work on without a copy.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from loganalyze.run import Problem

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loganalyze.run import IntArray

WINDOW = 8 << 20  # bytes read at once; bounds the memory that a log of any size needs
MAX_LINE = 1_000_000  # bytes; longer lines are data that somebody printed, not a log

_ANSI = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b[@-_]")
BOLD = re.compile(rb"\*\*(?=[\d.])|(?<=[\d%])\*\*")  # numbers set in bold by Markdown
_CURLY_DICT = b"{\xe2\x80\x98"
_OPEN = (b"{\n", b",\n")  # how a line ends inside of a dictionary printed over several
_SPREAD = re.compile(
    rb"\{(?:['\"][^{}\n]*,)?\n"
    rb"(?:[ \t]+['\"][^{}\n]{0,500},?\n){0,200}(?:[ \t]+['\"][^{}\n]{0,500})?\}"
)
_ENDS = (10, 13)  # a carriage return ends an update of a progress bar
_MARKS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Lines:
    """The logical lines of one window.

    Attributes
    ----------
    data
        UTF-8 bytes of the window.
    offsets
        Shape (n + 1,): line ``i`` is ``data[offsets[i]:offsets[i + 1]]``, with its end.
    rows
        Shape (n,): 1-based number of the physical line in the file; the updates of a progress bar
        share one.
    first
        Number of logical lines in the windows before this one.
    """

    data: bytes
    offsets: IntArray
    rows: IntArray
    first: int

    def __len__(self) -> int:
        return len(self.rows)

    def text(self, index: int) -> str:
        """Return line `index` without its end."""
        start, stop = int(self.offsets[index]), int(self.offsets[index + 1])
        line = self.data[max(start, stop - MAX_LINE) : stop]
        return line.decode("utf-8", "replace").rstrip("\r\n")

    def array(self) -> pa.LargeStringArray:
        """Return the lines as an Arrow array that shares the window's memory."""
        import pyarrow as pa

        buffers = pa.py_buffer(self.offsets), pa.py_buffer(self.data)
        return pa.LargeStringArray.from_buffers(len(self), *buffers)


def windows(file: BinaryIO, problems: list[Problem], size: int = WINDOW) -> Iterator[Lines]:
    """Yield the lines of a log, window by window.

    What is not UTF-8 (or UTF-16 with its mark) is replaced; over-long lines lose their beginning.
    Both are told in `problems` when the last window has been read.
    """
    splitter = Splitter()
    for block in _whole_lines(_utf8(iter(lambda: file.read(size), b"")), size, problems):
        lines = splitter.lines(block, problems)
        if len(lines):
            yield lines
    problems += splitter.remarks()


@dataclass
class Splitter:
    """Turns blocks of whole lines into lines, and counts on from one block to the next.

    Attributes
    ----------
    row, first
        Numbers of the physical line (1-based) and of the logical line that come next.
    wrong
        Characters replaced so far.
    """

    row: int = 1
    first: int = 0
    wrong: int = 0

    def lines(self, block: bytes, problems: list[Problem]) -> Lines:
        """Return the lines of a block; what is cut from one is told in `problems`."""
        clean = _ANSI.sub(b"", block) if b"\x1b" in block else block
        if _CURLY_DICT in clean:  # quoted by a web page or a word processor
            clean = clean.replace(b"\xe2\x80\x98", b"'").replace(b"\xe2\x80\x99", b"'")
        if b"**" in clean:
            clean = BOLD.sub(b"  ", clean)
        clean, replaced = _valid(clean)
        self.wrong += replaced
        lines = _split(clean, self.row, self.first)
        problems += _too_long(lines)
        self.row += clean.count(b"\n")
        self.first += len(lines)
        return lines

    def remarks(self) -> list[Problem]:
        """Tell of the characters that were replaced."""
        if not self.wrong:
            return []
        text = f"{self.wrong:,} characters are not UTF-8 and were replaced"
        return [Problem(text, lossy=False)]


def whole(block: bytes) -> int:
    """Return how many bytes of a block are whole lines."""
    return max(block.rfind(b"\n"), block.rfind(b"\r", 0, len(block) - 1)) + 1


def _utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Turn UTF-16 into UTF-8, by the mark at the beginning."""
    codec: codecs.IncrementalDecoder | None = None
    for number, chunk in enumerate(chunks):
        if number == 0:
            name = next((name for mark, name in _MARKS if chunk.startswith(mark)), None)
            codec = codecs.getincrementaldecoder(name)("replace") if name else None
            chunk = chunk.removeprefix(codecs.BOM_UTF8)
        yield chunk if codec is None else codec.decode(chunk).encode("utf-8", "replace")


def _whole_lines(chunks: Iterator[bytes], size: int, problems: list[Problem]) -> Iterator[bytes]:
    """Yield whole lines, about `size` bytes at a time; keep the end of a line that is too long."""
    rest, dropped = b"", 0
    for chunk in chunks:
        block = rest + chunk
        end = whole(block)
        rest = block[end:]
        if end:
            yield block[:end]
        if len(rest) > size + MAX_LINE:
            dropped += len(rest) - MAX_LINE
            rest = rest[-MAX_LINE:]
    if dropped:
        text = f"a line was cut to {MAX_LINE:,} characters: {dropped:,} before them are left out"
        problems.append(Problem(text))
    if rest:
        yield rest


def _too_long(lines: Lines) -> list[Problem]:
    import numpy as np

    length = np.diff(lines.offsets)
    return [
        Problem(f"a line of {length[i]:,} characters was cut to {MAX_LINE:,}", int(lines.rows[i]))
        for i in np.flatnonzero(length > MAX_LINE).tolist()
    ]


def _valid(block: bytes) -> tuple[bytes, int]:
    """Return valid UTF-8, and how many characters had to be replaced."""
    try:
        block.decode()
    except UnicodeDecodeError:
        text = block.decode("utf-8", "replace")
        return text.encode(), text.count("\ufffd") - block.count("\ufffd".encode())
    return block, 0


def _split(block: bytes, row: int, first: int) -> Lines:
    import numpy as np

    data = np.frombuffer(block, dtype=np.uint8)
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
        data = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero((data == _ENDS[0]) | (data == _ENDS[1])) + 1
    else:
        ends = np.flatnonzero(data == _ENDS[0]) + 1
    if len(data) and (not len(ends) or ends[-1] != len(data)):
        ends = np.append(ends, len(data))
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), ends.astype(np.int64)])
    is_end = data[offsets[1:] - 1] == _ENDS[0]
    rows = row + np.cumsum(is_end) - is_end
    if any(mark in block for mark in _OPEN):
        block, keep = _joined(block, offsets)
        offsets, rows = np.append(offsets[:-1][keep], offsets[-1]), rows[keep]
    return Lines(block, offsets, rows.astype(np.int64), first)


def _joined(block: bytes, offsets: IntArray) -> tuple[bytes, NDArray[np.bool_]]:
    """Make one line of each dictionary printed over several; tell which lines begin one or are whole."""
    import numpy as np

    data = bytearray(block)
    keep = np.ones(len(offsets) - 1, dtype=bool)
    for found in _SPREAD.finditer(block):
        start, stop = found.span()
        data[start:stop] = data[start:stop].replace(b"\r", b" ").replace(b"\n", b" ")
        inside = np.searchsorted(offsets[:-1], [start, stop], side="right")
        keep[inside[0] : inside[1]] = False
    return bytes(data), keep
