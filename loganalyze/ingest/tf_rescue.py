"""Finding the next record after damage that has hidden where it begins.

A record begins where eight bytes are followed by their own checksum, and as many bytes as they
say by theirs: 64 bits that agree by chance once in 2 ** 64 places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.ingest import crc32c
from loganalyze.ingest.tfrecord import FOOTER, HEADER, LENGTH, RecordFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FIRST_SEARCH = 1 << 12  # bytes; most damage is short
_LONGEST_SEARCH = 1 << 20  # bytes looked through at a time
_TRIES = 16  # sound lengths with unsound data, before the search is given up


def next_record(file: RecordFile, at: int) -> int | None:
    """Return where the first sound record at or after `at` begins, or None where there is none."""
    reach, tries = _FIRST_SEARCH, 0
    last = file.size - HEADER - FOOTER
    while at <= last:
        stop = min(at + reach, last + 1)
        for place in _headers(file, at, stop).tolist():
            length = LENGTH.unpack_from(file.view, place)[0]
            if file.is_sound(place + HEADER, place + HEADER + length):
                return int(place)
            tries += 1
            if tries == _TRIES:
                return None
        file.release(at, stop)
        at, reach = stop, min(2 * reach, _LONGEST_SEARCH)
    return None


def _headers(file: RecordFile, at: int, stop: int) -> NDArray[np.int64]:
    """Return the places from `at` to `stop` at which a length and its checksum stand.

    Length 0 is left out: no event is empty, and a crash may leave zeros by the gigabyte.
    """
    import numpy as np

    room = file.size - HEADER - FOOTER - np.arange(at, stop)
    lengths = file.array("<u8")[at:stop]
    places = at + np.flatnonzero((lengths > 0) & (lengths <= room.astype(np.uint64)))
    data = file.array("u1")
    columns = [(index, data[places + index]) for index in range(LENGTH.size)]
    sums = crc32c.of_variants(bytes(LENGTH.size), columns, len(places))
    stored = file.array("<u4")[places + LENGTH.size]
    found: NDArray[np.int64] = places[crc32c.masked(sums) == stored]
    return found
