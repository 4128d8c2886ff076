"""The shape of a record that holds one scalar: where in its bytes time, step, tag and value stand.

Records of one length whose other bytes are equal have one shape: all of them can be read as
columns. Only what `tf_event` would read as exactly one scalar has a shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loganalyze.ingest.protowire import BYTES, FIXED32, FIXED64, VARINT, FieldValue, fields
from loganalyze.ingest.tf_event import TENSOR_TYPES, TYPED_FIELDS, is_single

_LONGEST_STEP = 8  # bytes: 2 ** 56 steps; longer ones are negative, or no steps

Found = tuple[int, int, FieldValue, int]


@dataclass(frozen=True, slots=True)
class Shape:
    """Positions in a payload.

    Attributes
    ----------
    time
        Where the 8 bytes of the time begin.
    step
        The bytes of the step, a varint; empty where the record has none (it is 0 then).
    tag
        The bytes of the tag.
    value, kind
        Where the value begins, and its NumPy type.
    """

    time: int
    step: range
    tag: range
    value: int
    kind: str


def shape_of(payload: memoryview) -> Shape | None:
    """Return the shape of an event, or None where it is anything but one plain scalar.

    Raises
    ------
    ValueError
        If the payload is no event.
    """
    event = list(fields(payload))
    times = [start for number, kind, _, start in event if (number, kind) == (1, FIXED64)]
    steps = [start for number, kind, _, start in event if (number, kind) == (2, VARINT)]
    summaries = list(_messages(event, 5))
    if len(times) != 1 or len(steps) > 1 or len(summaries) != 1:
        return None
    summary, base = summaries[0]
    values = list(_messages(fields(summary), 1, base))
    step = _varint_bytes(payload, steps[0]) if steps else range(0)
    if len(values) != 1 or len(step) > _LONGEST_STEP:
        return None
    return _with_value(times[0], step, *values[0])


def _with_value(time: int, step: range, data: memoryview, base: int) -> Shape | None:
    found = list(fields(data))
    tags = list(_messages(found, 1, base))
    simple = [base + start for number, kind, _, start in found if (number, kind) == (2, FIXED32)]
    tensors = list(_messages(found, 8, base))
    if len(tags) != 1 or len(simple) + len(tensors) != 1:
        return None
    place = (simple[0], "<f4") if simple else _tensor_number(*tensors[0])
    if place is None:
        return None
    text, start = tags[0]
    return Shape(time, step, range(start, start + len(text)), *place)


def _messages(
    found: Iterator[Found] | list[Found], wanted: int, base: int = 0
) -> Iterator[tuple[memoryview, int]]:
    """Yield (bytes, where they begin) of the fields of length-type with one number."""
    for number, kind, value, start in found:
        if number == wanted and kind == BYTES and isinstance(value, memoryview):
            yield value, base + start


def _varint_bytes(data: memoryview, start: int) -> range:
    stop = start
    while data[stop] >= 0x80:
        stop += 1
    return range(start, stop + 1)


def _tensor_number(data: memoryview, base: int) -> tuple[int, str] | None:
    """Return where the number of a scalar tensor stands, and its type; None where it is no such."""
    kind, single = 0, True
    numbers: list[tuple[int, str, int]] = []  # position, type, bytes there
    for number, wire, value, start in fields(data):
        if isinstance(value, int):
            if number == 1:
                kind = value
            elif number in (7, 10):
                return None
        elif number == 2 and wire == BYTES:
            single = is_single(value)
        elif number == 4 and wire == BYTES:
            numbers.append((base + start, "content", len(value)))
        elif number in TYPED_FIELDS:
            numbers.append((base + start, TYPED_FIELDS[number], len(value)))
        elif number in (7, 10):
            return None
    if not single or kind not in TENSOR_TYPES or len(numbers) != 1:
        return None
    position, found, length = numbers[0]
    found = TENSOR_TYPES[kind] if found == "content" else found
    return (position, found) if length == int(found[-1]) else None
