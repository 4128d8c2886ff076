"""CRC-32C, the checksum of event files: of one byte string, and of many of one length at once.

For many it uses that the checksum is linear over GF(2): strings of one length that differ in a few
bytes only have checksums that differ by the XOR of one table entry per differing byte. See
R. N. Williams, "A painless guide to CRC error detection algorithms" (1993), sections 9 and 10.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, lowest bit first
_MASK_DELTA = 0xA282EAD8  # TFRecord stores a rotated sum, so that sums of sums stay random
LONGEST = 512  # bytes of the strings that `of_variants` takes; one table of 1 kB for each


def masked(crc: Any) -> Any:
    """Return what TFRecord files store for a checksum (or an array of them)."""
    rotated = (crc >> 15) | (crc << 17)
    return (rotated + _MASK_DELTA) & 0xFFFFFFFF


def of_bytes(data: bytes, before: int = 0) -> int:
    """Return the checksum of `data`, or of all data so far where it continues one (`before`)."""
    import google_crc32c

    return int(google_crc32c.extend(before, data))


def of_variants(
    base: bytes, columns: Iterable[tuple[int, NDArray[np.uint8]]], count: int
) -> NDArray[np.uint32]:
    """Return the checksums of `count` variants of one byte string.

    Parameters
    ----------
    base
        The common bytes, at most `LONGEST`; what stands at the varying positions does not matter.
    columns
        (position, its byte in each variant) for every position that varies.
    """
    import numpy as np

    common = bytearray(base)
    sums = np.zeros(count, dtype=np.uint32)
    for position, column in columns:
        common[position] = 0
        sums ^= _tables()[len(base) - 1 - position].take(column)
    sums ^= np.uint32(of_bytes(bytes(common)))
    return sums


@cache
def _tables() -> NDArray[np.uint32]:
    """Return what a byte adds to a checksum, by how many bytes follow it: shape (LONGEST, 256)."""
    import numpy as np

    register: NDArray[Any] = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        register = (register >> 1) ^ (register & 1) * np.uint32(_POLYNOMIAL)
    tables = np.empty((LONGEST, 256), dtype=np.uint32)
    tables[0] = register
    for following in range(1, LONGEST):
        before = tables[following - 1]
        tables[following] = (before >> 8) ^ register[before & 0xFF]
    return tables
