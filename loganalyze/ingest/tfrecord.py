"""The framing of TensorBoard event files, and the protocol-buffer wire format inside.

A record is: length (8 bytes, little endian), masked CRC-32C of the length, data, masked CRC-32C
of the data. Only what is needed is decoded; payloads of images and histograms are stepped over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias

from loganalyze.run import Problem

Buffer: TypeAlias = "memoryview[int] | memoryview"
FieldValue: TypeAlias = "int | memoryview"

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8
CHECKED_BYTES = 65_536  # data above this is an image or a histogram: its checksum is not worth it

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def masked_crc(data: bytes | memoryview) -> int:
    """Return the masked CRC-32C that TFRecord files use."""
    import google_crc32c

    crc = int(google_crc32c.value(bytes(data)))
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def is_record_file(head: bytes) -> bool:
    """Tell whether bytes begin like a record file: a length and its right checksum."""
    return len(head) >= 12 and masked_crc(head[:8]) == _CRC.unpack_from(head, 8)[0]


def records(data: memoryview, problems: list[Problem]) -> Iterator[tuple[int, memoryview]]:
    """Yield (1-based number, payload) of every sound record.

    Damage is told in `problems`: a record with a wrong checksum is left out; after a wrong length,
    or a cut, nothing further can be found.
    """
    position, number, end = 0, 0, len(data)
    while position < end:
        number += 1
        if position + 12 > end:
            problems.append(Problem(f"cut off in the header of record {number:,}", number))
            return
        if masked_crc(data[position : position + 8]) != _CRC.unpack_from(data, position + 8)[0]:
            text = f"damaged at byte {position:,}: {end - position:,} bytes after it are lost"
            problems.append(Problem(text, number))
            return
        length = _LENGTH.unpack_from(data, position)[0]
        start, stop = position + 12, position + 12 + length
        if stop + 4 > end:
            text = f"cut off in record {number:,}: the {number - 1:,} before it were kept"
            problems.append(Problem(text, number))
            return
        payload = data[start:stop]
        if length <= CHECKED_BYTES and masked_crc(payload) != _CRC.unpack_from(data, stop)[0]:
            problems.append(Problem(f"wrong checksum of record {number:,}: left out", number))
        else:
            yield number, payload
        position = stop + 4


def fields(data: memoryview) -> Iterator[tuple[int, int, FieldValue]]:
    """Yield (field number, wire type, value) of a message; values of length-type are views.

    Raises
    ------
    ValueError
        If the bytes are no message.
    """
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        value: FieldValue
        if kind == VARINT:
            value, position = _varint(data, position)
        elif kind == BYTES:
            length, position = _varint(data, position)
            value = data[position : position + length]
            position += length
        elif kind in (FIXED64, FIXED32):
            width = 8 if kind == FIXED64 else 4
            value = data[position : position + width]
            position += width
        else:
            raise ValueError(f"wire type {kind} is not known")
        if position > end:
            raise ValueError("a field runs over the end of its message")
        yield number, kind, value


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise ValueError("a number runs over the end of its message")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7


def signed(value: int) -> int:
    """Return the int64 that a varint holds."""
    return value - (1 << 64) if value >= 1 << 63 else value
