"""The framing of TensorBoard event files: where records lie, and whether they are sound.

A record is: length (8 bytes, little endian), masked CRC-32C of the length, data, masked CRC-32C
of the data. The lengths form a chain that only a walk can follow; but a training loop logs the
same few metrics again and again, so a run of records is guessed to repeat the lengths of the last
ones, and the guess is checked as a whole.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.ingest import crc32c
from loganalyze.run import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
HEADER = 12  # bytes before the data: length and its checksum
FOOTER = 4  # bytes after the data: its checksum
WINDOW_RECORDS = 65_536
WINDOW_BYTES = 32 << 20
_PIECE = 1 << 20  # bytes of one payload that are checked at a time
_SAMPLE = 128  # records walked before a guess
_LONGEST_PERIOD = 32  # metrics logged in turn that a guess finds


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C that TFRecord files use."""
    return int(crc32c.masked(crc32c.of_bytes(data)))


def is_record_file(head: bytes) -> bool:
    """Tell whether bytes begin like a record file: a length and its right checksum."""
    return len(head) >= HEADER and masked_crc(head[:8]) == _CRC.unpack_from(head, 8)[0]


def framed(payload: bytes) -> bytes:
    """Return `payload` as a record."""
    length = _LENGTH.pack(len(payload))
    return b"".join(
        (length, _CRC.pack(masked_crc(length)), payload, _CRC.pack(masked_crc(payload)))
    )


class RecordFile:
    """The bytes of a file, mapped: read where they are looked at, given back when told.

    Attributes
    ----------
    view
        All bytes, read-only.
    size
        Their number.

    Raises
    ------
    ValueError
        If the file is empty.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.view = memoryview(self._mapped)
        self.size = len(self.view)

    def array(self, kind: str) -> NDArray[Any]:
        """Return the numbers of type `kind` that begin at every byte."""
        import numpy as np

        dtype = np.dtype(kind)
        count = max(self.size - dtype.itemsize + 1, 0)
        return np.ndarray((count,), dtype, buffer=self._mapped if count else None, strides=(1,))

    def is_sound(self, start: int, stop: int) -> bool:
        """Tell whether the payload between two positions has the checksum that follows it."""
        crc = 0
        for at in range(start, stop, _PIECE):
            crc = crc32c.of_bytes(bytes(self.view[at : min(at + _PIECE, stop)]), crc)
            if stop - start > _PIECE:
                self.release(at, at + _PIECE)
        return bool(crc32c.masked(crc) == _CRC.unpack_from(self.view, stop)[0])

    def release(self, start: int, stop: int) -> None:
        """Give the memory of bytes that are done with back; they could be read again."""
        advice = getattr(mmap, "MADV_DONTNEED", None)
        if advice is not None:
            start -= start % mmap.PAGESIZE
            self._mapped.madvise(advice, start, min(stop, self.size) - start)


@dataclass(frozen=True, slots=True)
class Window:
    """Some records that follow each other; all have sound lengths.

    Attributes
    ----------
    number
        1-based number of the first one.
    starts, lengths
        Position and length of each payload in the file, in bytes: shape (n,).
    classes
        For each record, which of the different lengths it has: shape (n,).
    """

    number: int
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    classes: NDArray[np.intp]


def windows(file: RecordFile, problems: list[Problem]) -> Iterator[Window]:
    """Yield all records of a file; payloads are not checked yet.

    A wrong length or a cut is told in `problems`; nothing can be found after it.
    """
    at, number = 0, 1
    while at < file.size:
        lengths = _chain(file, at)
        if not len(lengths):
            problems.append(Problem(f"cut off in the header of record {number:,}", number))
            return
        starts, classes, sound = _headers(file, at, lengths)
        whole = sound
        if sound:
            stop = int(starts[sound - 1]) + int(lengths[sound - 1]) + FOOTER
            whole -= stop > file.size
        if whole:
            part = slice(0, whole)
            yield Window(number, starts[part], lengths[part].astype("int64"), classes[part])
            end = int(starts[whole - 1]) + int(lengths[whole - 1]) + FOOTER
            file.release(at, end)
            at, number = end, number + whole
        if sound < len(lengths):
            text = f"damaged at byte {at:,}: {file.size - at:,} bytes after it are lost"
            problems.append(Problem(text, number))
            return
        if whole < sound:
            text = f"cut off in record {number:,}: the {number - 1:,} before it were kept"
            problems.append(Problem(text, number))
            return


def _headers(
    file: RecordFile, at: int, lengths: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.intp], int]:
    """Return where payloads start, the class of each length, and how many headers are sound."""
    import numpy as np
    import pandas as pd

    spans = lengths + np.uint64(HEADER + FOOTER)
    starts = (np.cumsum(spans) - spans).astype(np.int64) + (at + HEADER)
    classes, kinds = pd.factorize(lengths)
    right = np.array([masked_crc(_LENGTH.pack(kind)) for kind in kinds.tolist()], dtype=np.uint32)
    wrong = file.array("<u4")[starts - _CRC.size] != right[classes]
    return starts, classes, int(wrong.argmax()) if wrong.any() else len(lengths)


def _chain(file: RecordFile, at: int) -> NDArray[np.uint64]:
    """Return the lengths of the records from `at` on, as far as a window goes."""
    import numpy as np

    stop = at + WINDOW_BYTES
    parts: list[NDArray[np.uint64]] = []
    count = 0
    while at < stop and count < WINDOW_RECORDS:
        walked, at = _walk(file.view, at)
        parts.append(np.array(walked, dtype=np.uint64))
        count += len(walked)
        if len(walked) < _SAMPLE:
            break
        period = _period(walked)
        if period:
            run = _repeated(file, at, parts[-1][-period:], min(stop, file.size))
            parts.append(run)
            count += len(run)
            at += int(run.sum()) + len(run) * (HEADER + FOOTER)
    return np.concatenate(parts)


def _walk(view: memoryview, at: int) -> tuple[list[int], int]:
    """Return the lengths of the next few records, and the position after them."""
    lengths: list[int] = []
    last = len(view) - HEADER
    unpack = _LENGTH.unpack_from
    while at <= last and len(lengths) < _SAMPLE:
        length = unpack(view, at)[0]
        lengths.append(length)
        at += length + HEADER + FOOTER
    return lengths, at


def _period(lengths: list[int]) -> int | None:
    """Return after how many records the lengths repeat, or None where they do not."""
    for period in range(1, _LONGEST_PERIOD + 1):
        if lengths[period:] == lengths[:-period]:
            return period
    return None


def _repeated(
    file: RecordFile, at: int, pattern: NDArray[np.uint64], stop: int
) -> NDArray[np.uint64]:
    """Return the lengths of the records from `at` on as far as they repeat `pattern`.

    A guess reaches twice as far as what came true before: a wrong one wastes little.
    """
    import numpy as np

    numbers = file.array("<u8")
    span = int(pattern.sum()) + len(pattern) * (HEADER + FOOTER)
    offsets = np.cumsum(pattern + np.uint64(HEADER + FOOTER)).astype(np.int64)
    offsets = np.concatenate(([0], offsets[:-1]))
    periods, found = 0, _SAMPLE // len(pattern)
    parts = [pattern[:0]]
    while found:
        found = min(2 * found, (stop - at) // span, WINDOW_RECORDS // len(pattern) - periods)
        if found <= 0:
            break
        places = (at + span * np.arange(found)[:, None] + offsets).ravel()
        same = numbers[places] == np.tile(pattern, found)
        count = len(same) if same.all() else int(same.argmin())
        parts.append(np.tile(pattern, found)[:count])
        if count < len(same):
            break
        periods, at = periods + found, at + found * span
    return np.concatenate(parts)
