"""The framing of TensorBoard event files, and the bytes of such a file.

A record is: length (8 bytes, little endian), masked CRC-32C of the length, data, masked CRC-32C
of the data.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.ingest import crc32c

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTH = struct.Struct("<Q")
CRC = struct.Struct("<I")
HEADER = 12  # bytes before the data: length and its checksum
FOOTER = 4  # bytes after the data: its checksum
_PIECE = 1 << 20  # bytes of one payload that are checked at a time


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C that TFRecord files use."""
    return int(crc32c.masked(crc32c.of_bytes(data)))


def is_record_file(head: bytes) -> bool:
    """Tell whether bytes begin like a record file: a length and its right checksum."""
    return len(head) >= HEADER and masked_crc(head[:8]) == CRC.unpack_from(head, 8)[0]


def framed(payload: bytes) -> bytes:
    """Return `payload` as a record."""
    length = LENGTH.pack(len(payload))
    return b"".join((length, CRC.pack(masked_crc(length)), payload, CRC.pack(masked_crc(payload))))


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
        return bool(crc32c.masked(crc) == CRC.unpack_from(self.view, stop)[0])

    def release(self, start: int, stop: int) -> None:
        """Give the memory of bytes that are done with back; they could be read again."""
        advice = getattr(mmap, "MADV_DONTNEED", None)
        if advice is not None:
            start -= start % mmap.PAGESIZE
            self._mapped.madvise(advice, start, min(stop, self.size) - start)
