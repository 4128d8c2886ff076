"""One event of a TensorBoard file, read field by field: its scalars, settings and hparams.

This reads any event. Plain scalars, which are nearly all events of a long log, are read as whole
columns in `tf_columns`; what this module says about a record is what that one has to say.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from loganalyze.ingest.protowire import BYTES, FIXED32, FIXED64, VARINT, fields, signed, varint

HPARAMS_TAG = "_hparams_/"
SETTINGS_TAGS = ("args", "model_config")  # of the Hugging Face Trainer's texts
MAX_SETTINGS = 1_000_000  # bytes of all texts of settings and hparams of a file; more is data
MAX_TAG = 10_000  # bytes; a longer one is no name

# TensorProto: data type -> NumPy type of the content; field of the typed values -> their type
TENSOR_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}
TYPED_FIELDS = {5: "<f4", 6: "<f8"}
_INTEGER_FIELDS = (7, 10)
_TEXT_TYPE = 7
_DOUBLE, _FLOAT = struct.Struct("<d"), struct.Struct("<f")
_STRUCTS = {5: _FLOAT, 6: _DOUBLE}


@dataclass
class Events:
    """What events held, in their order.

    Attributes
    ----------
    first
        (number of the record, time) of the first event, or None.
    scalars
        (tag, step, time, value, number of the record) of each scalar.
    texts
        Tag -> first text with settings.
    hparams
        Payloads of the events of the hparams plugin.
    oversized
        How many texts and hparams were left out for their size.
    room
        Bytes of further texts and hparams that are kept.
    """

    first: tuple[int, float] | None = None
    scalars: list[tuple[str, int, float, float, int]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    hparams: list[bytes] = field(default_factory=list)
    oversized: int = 0
    room: int = MAX_SETTINGS

    def began(self, row: int, time: float) -> None:
        """Note an event; the first one counts."""
        if self.first is None or row < self.first[0]:
            self.first = (row, time)

    def has_room(self, size: int) -> bool:
        """Tell whether `size` more bytes of settings are kept, and count them."""
        fits = size <= self.room
        self.room -= size if fits else 0
        self.oversized += not fits
        return fits


def read_event(data: memoryview, row: int, events: Events) -> None:
    """Read one event into `events`.

    Raises
    ------
    ValueError, struct.error
        If it is no event; what precedes the damage was read.
    """
    time, step = 0.0, 0
    summary: memoryview | None = None
    for number, kind, value, _ in fields(data):
        if number == 1 and kind == FIXED64:
            time = _DOUBLE.unpack(value)[0]  # type: ignore[arg-type]
        elif number == 2 and kind == VARINT:
            step = signed(value)  # type: ignore[arg-type]
        elif number == 5 and kind == BYTES:
            summary = value  # type: ignore[assignment]
    events.began(row, time)
    if summary is None:
        return
    has_hparams = False
    for number, kind, value, _ in fields(summary):
        if number == 1 and kind == BYTES:
            has_hparams |= _value(value, row, step, time, events)  # type: ignore[arg-type]
    if has_hparams and events.has_room(len(data)):
        events.hparams.append(bytes(data))


def _value(data: memoryview, row: int, step: int, time: float, events: Events) -> bool:
    """Read one value of a summary; tell whether it belongs to the hparams plugin."""
    tag, found = "", None
    for number, kind, value, _ in fields(data):
        if number == 1 and kind == BYTES:
            tag = _tag(value)  # type: ignore[arg-type]
        elif number == 2 and kind == FIXED32:
            found = _FLOAT.unpack(value)[0]  # type: ignore[arg-type]
        elif number == 8 and kind == BYTES:
            content = _tensor(value)  # type: ignore[arg-type]
            if isinstance(content, memoryview):
                _keep_text(tag, content, events)
            elif content is not None:
                found = content
    if tag.startswith(HPARAMS_TAG):
        return True
    if found is not None:
        events.scalars.append((tag, step, time, found, row))
    return False


def _tag(data: memoryview) -> str:
    if len(data) > MAX_TAG:
        raise ValueError(f"a tag of {len(data):,} bytes")
    return bytes(data).decode("utf-8", "replace")


def _keep_text(tag: str, text: memoryview, events: Events) -> None:
    new = tag.startswith(SETTINGS_TAGS) and tag not in events.texts
    if new and events.has_room(len(tag) + len(text)):
        events.texts[tag] = bytes(text).decode("utf-8", "replace")


def _tensor(data: memoryview) -> float | memoryview | None:
    """Return the one number of a scalar tensor, or the text of a text tensor; else None."""
    kind, single = 0, True
    content: memoryview | None = None
    text: memoryview | None = None
    typed: float | None = None
    for number, wire, value, _ in fields(data):
        if isinstance(value, int):
            if number == 1:
                kind = value
            elif number in _INTEGER_FIELDS:
                typed = float(signed(value))
        elif number == 2 and wire == BYTES:
            single = is_single(value)
        elif number == 4 and wire == BYTES:
            content = value
        elif number in _STRUCTS:
            typed = _STRUCTS[number].unpack_from(value)[0]
        elif number in _INTEGER_FIELDS and wire == BYTES and len(value):
            typed = float(signed(varint(value, 0)[0]))
        elif number == 8 and wire == BYTES and text is None:
            text = value
    if kind == _TEXT_TYPE:
        return text
    if not single or kind not in TENSOR_TYPES:
        return None
    if content is not None:
        import numpy as np

        return float(np.frombuffer(content, TENSOR_TYPES[kind], count=1)[0])
    return typed


def is_single(shape: memoryview) -> bool:
    """Tell whether a tensor of this shape (a TensorShapeProto) has one element."""
    for number, wire, value, _ in fields(shape):
        if number == 2 and wire == BYTES:
            for inner, kind, size, _ in fields(value):  # type: ignore[arg-type]
                if inner == 1 and kind == VARINT and size != 1:
                    return False
    return True
