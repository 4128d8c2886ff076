"""The framing of ``.wandb`` files: LevelDB's log format behind a header of seven bytes.

The file is cut into blocks of 32 KiB. A chunk is: CRC-32 of kind and data (4 bytes, little endian),
length (2), kind (1), data; it never crosses a block. A record is one whole chunk, or a first,
middle ones and a last. Source: LevelDB's ``doc/log_format.md``; the header and the plain CRC-32
are Weights & Biases' own.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from loganalyze.run import Problem

MARK = b":W&B"
_HEADER = struct.Struct("<4sHB")
_HEADER_FIELDS = (MARK, 0xBEE1, 0)  # ident, magic number, version
_BLOCK = 32_768
_CHUNK = struct.Struct("<IHB")
_LOST, _WHOLE, _FIRST, _MIDDLE, _LAST, _CUT = 0, 1, 2, 3, 4, 5
_SEEDS = [zlib.crc32(bytes([kind])) for kind in range(_LAST + 1)]


def records(data: memoryview, problems: list[Problem]) -> Iterator[tuple[int, bytes]]:
    """Yield (1-based number, payload) of every sound record.

    Damage costs the records that it touches: reading goes on at the next sound chunk, at the latest
    in the next block. What was lost is told in `problems`.

    Raises
    ------
    ValueError
        If this is no ``.wandb`` file of a known version.
    """
    if len(data) < _HEADER.size or _HEADER.unpack_from(data) != _HEADER_FIELDS:
        raise ValueError("no W&B record file of a known version")
    number, lost, first_lost, is_cut = 0, 0, 0, False
    parts: list[bytes] = []
    for position, kind, payload in _chunks(data):
        is_start = kind in (_WHOLE, _FIRST)
        if kind == _LOST or (is_start and parts):
            parts = []
            lost += 1
            first_lost = first_lost or position
        is_cut = kind == _CUT
        if is_start or (parts and kind in (_MIDDLE, _LAST)):
            parts.append(payload)
        if parts and kind in (_WHOLE, _LAST):
            number += 1
            yield number, b"".join(parts)
            parts = []
    if parts or is_cut:
        text = f"cut off in record {number + 1:,}: the {number:,} before it were kept"
        problems.append(Problem(text, number + 1))
    if lost:
        text = f"damaged in {lost:,} places, the first at byte {first_lost:,}: the rest was kept"
        problems.append(Problem(text))


def _chunks(data: memoryview) -> Iterator[tuple[int, int, bytes]]:
    """Yield (position, kind, data) of the chunks; damage as `_LOST`, an end within one as `_CUT`."""
    position, end = _HEADER.size, len(data)
    while position < end:
        block_end = position - position % _BLOCK + _BLOCK
        start = position + _CHUNK.size
        if start > block_end:
            position = block_end
            continue
        if start > end:
            yield position, _CUT, b""
            return
        checksum, length, kind = _CHUNK.unpack_from(data, position)
        stop = start + length
        if not (checksum or length or kind):  # zeros fill the rest of a block
            position = block_end
        elif stop > block_end or not _WHOLE <= kind <= _LAST:
            yield position, _LOST, b""
            position = block_end
        elif stop > end:
            yield position, _CUT, b""
            return
        else:
            payload = bytes(data[start:stop])
            is_sound = zlib.crc32(payload, _SEEDS[kind]) == checksum
            yield (position, kind, payload) if is_sound else (position, _LOST, b"")
            position = stop
