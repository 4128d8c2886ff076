"""Where the records of an event file lie, a window at a time.

The lengths form a chain that only a walk can follow; but a training loop logs the same few metrics
again and again, so a run of records is guessed to repeat the lengths of the last ones, and the
guess is checked as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loganalyze.ingest.tf_rescue import next_record
from loganalyze.ingest.tfrecord import CRC, FOOTER, HEADER, LENGTH, RecordFile, masked_crc
from loganalyze.run import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW_RECORDS = 65_536
WINDOW_BYTES = 32 << 20
MAX_RESCUES = 100  # damaged places after which the next record is looked for
_SAMPLE = 128  # records walked before a guess
_LONGEST_PERIOD = 32  # metrics logged in turn that a guess finds


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

    Damage is told in `problems`. After a wrong length the next sound record is looked for; what
    lies between counts as one record.
    """
    at, number, rescues = 0, 1, 0
    while at < file.size:
        lengths = _chain(file, at)
        if not len(lengths):
            problems.append(Problem(f"cut off in the header of record {number:,}", number))
            return
        starts, classes, sound = _headers(file, at, lengths)
        cut = sound > 0 and _end(starts, lengths, sound - 1) > file.size
        whole = sound - cut
        if whole:
            yield Window(number, starts[:whole], lengths[:whole].astype("int64"), classes[:whole])
            end = _end(starts, lengths, whole - 1)
            file.release(at, end)
            at, number = end, number + whole
        if cut:
            text = f"cut off in record {number:,}: the {number - 1:,} before it were kept"
            problems.append(Problem(text, number))
            return
        if sound < len(lengths):
            rescues += 1
            found = next_record(file, at + 1) if rescues <= MAX_RESCUES else None
            problems.append(Problem(_damage(file, at, found), number))
            at, number = file.size if found is None else found, number + 1


def _end(starts: NDArray[np.int64], lengths: NDArray[np.uint64], index: int) -> int:
    return int(starts[index]) + int(lengths[index]) + FOOTER


def _damage(file: RecordFile, at: int, found: int | None) -> str:
    if found is None:
        return f"damaged at byte {at:,}: {file.size - at:,} bytes after it are lost"
    return f"damaged at byte {at:,}: {found - at:,} bytes are lost"


def _headers(
    file: RecordFile, at: int, lengths: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.intp], int]:
    """Return where payloads start, the class of each length, and how many headers are sound."""
    import numpy as np
    import pandas as pd

    spans = lengths + np.uint64(HEADER + FOOTER)
    starts = (np.cumsum(spans) - spans).astype(np.int64) + (at + HEADER)
    classes, kinds = pd.factorize(lengths)
    right = np.array([masked_crc(LENGTH.pack(kind)) for kind in kinds.tolist()], dtype=np.uint32)
    wrong = file.array("<u4")[starts - CRC.size] != right[classes]
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
    unpack = LENGTH.unpack_from
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
