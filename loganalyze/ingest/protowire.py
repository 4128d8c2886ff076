"""The wire format of protocol buffers: a message as its fields, nothing copied.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

FieldValue: TypeAlias = "int | memoryview"

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes
_UINT64 = (1 << 64) - 1


def fields(data: memoryview) -> Iterator[tuple[int, int, FieldValue, int]]:
    """Yield (field number, wire type, value, where the value begins) of a message.

    Values other than varints are views of `data`.

    Raises
    ------
    ValueError
        If the bytes are no message.
    """
    position, end = 0, len(data)
    while position < end:
        key, position = varint(data, position)
        number, kind, start = key >> 3, key & 7, position
        value: FieldValue
        if kind == VARINT:
            value, position = varint(data, position)
        elif kind == BYTES:
            length, start = varint(data, position)
            position = start + length
            value = data[start:position]
        elif kind in (FIXED64, FIXED32):
            position += 8 if kind == FIXED64 else 4
            value = data[start:position]
        else:
            raise ValueError(f"wire type {kind} is not known")
        if position > end:
            raise ValueError("a field runs over the end of its message")
        yield number, kind, value, start


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """Return the unsigned number at `position`, and the position after it."""
    result = 0
    for index in range(_LONGEST_VARINT):
        if position + index >= len(data):
            break
        byte = data[position + index]
        result |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return result & _UINT64, position + index + 1
    raise ValueError("a number runs over the end of its message")


def signed(value: int) -> int:
    """Return the int64 that a varint holds."""
    return value - (1 << 64) if value >= 1 << 63 else value
