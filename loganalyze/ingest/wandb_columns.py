"""Numbers that W&B logged, column by column: history has millions, so that none gets an object."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator

from loganalyze.ingest.protowire import BYTES, fields

KEY, NESTED_KEY, VALUE = 1, 2, 16  # the fields of every item: of history, samples, settings
_VALUE_TAG = b"\x82\x01"  # field 16, with a length
_ONE_BYTE = 0x80  # lengths below it take one byte
_QUOTED = {b'"NaN"': float("nan"), b'"Infinity"': float("inf"), b'"-Infinity"': float("-inf")}
MAX_NESTED = 1_000  # numbers taken from one logged dictionary; more is data

Key = tuple[str, ...]


class Columns:
    """Numbers as they come: for each its key and its value, for each record how many it has.

    Attributes
    ----------
    keys
        The keys seen, in parts: ``("train", "loss")`` for ``{"train": {"loss": 1}}``.
    code, value
        One entry a number: index into `keys`, and the number itself.
    row, time, count
        One entry a record: its number; its UNIX seconds (NaN where its items say them); how many of
        the numbers are its.
    media
        Keys that hold an image, a histogram or another object, whose numbers are no metrics.
    """

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.code, self.value = array("q"), array("d")
        self.row, self.time, self.count = array("q"), array("d"), array("q")
        self.media: set[Key] = set()
        self._codes: dict[Key, int] = {}
        self._encoded: dict[bytes, int] = {}

    def add(self, row: int, time: float, data: memoryview, item: int) -> None:
        """Take in a record, whose items stand in the repeated field number `item`.

        Raises
        ------
        ValueError
            If the bytes are no message.
        """
        before = len(self.code)
        try:
            self._add_items(bytes(data), item << 3 | BYTES)
        finally:
            self.row.append(row)
            self.time.append(time)
            self.count.append(len(self.code) - before)

    def _add_items(self, data: bytes, tag: int) -> None:
        # This loop runs for each number of a run: no call in it that could be spared.
        encoded, find = self._encoded, data.find
        add_code, add_value = self.code.append, self.value.append
        position, end = 0, len(data)
        while position + 1 < end and data[position] == tag and data[position + 1] < _ONE_BYTE:
            start = position + 2
            stop = start + data[position + 1]
            if stop > end:
                break
            position = stop
            cut = find(_VALUE_TAG, start, stop)
            code = encoded.get(data[start:cut]) if cut > 0 else None
            if code is None or cut + 3 + data[cut + 2] != stop:
                self._add_item(data[start:stop])
                continue
            text = data[cut + 3 : stop]
            try:
                value = float(text)
            except ValueError:
                self._add_other(code, text)
                continue
            add_code(code)
            add_value(value)
        for number, kind, item, _ in fields(memoryview(data)[position:]):
            if number << 3 | kind == tag:
                self._add_item(bytes(item))

    def _add_item(self, item: bytes) -> None:
        """Take in one key and its value, and remember how the key is encoded."""
        parts, text = decode_item(item)
        code = self._code(parts)
        cut = item.find(_VALUE_TAG)
        if item[cut + 3 :] == text and len(text) < _ONE_BYTE:
            self._encoded[item[:cut]] = code
        try:
            self._add_number(code, float(text))
        except ValueError:
            self._add_other(code, text)

    def _code(self, parts: Key) -> int:
        code = self._codes.setdefault(parts, len(self.keys))
        if code == len(self.keys):
            self.keys.append(parts)
        return code

    def _add_number(self, code: int, value: float) -> None:
        self.code.append(code)
        self.value.append(value)

    def _add_other(self, code: int, text: bytes) -> None:
        """Take in a value that is no plain number: a quoted one, or a dictionary of numbers."""
        parts = self.keys[code]
        if parts[-1] == "_type":
            self.media.add(parts[:-1])
        elif text in _QUOTED:
            self._add_number(code, _QUOTED[text])
        elif text.startswith(b"{"):
            for inner, number in _numbers(text):
                self._add_number(self._code((*parts, *inner)), number)


def decode_item(item: bytes) -> tuple[Key, bytes]:
    """Return the parts of an item's key, and its value as JSON.

    Raises
    ------
    ValueError
        If the bytes are no item.
    """
    parts: list[str] = []
    text = b""
    for number, kind, value, _ in fields(memoryview(item)):
        if kind != BYTES:
            continue
        if number in (KEY, NESTED_KEY):
            parts.append(bytes(value).decode("utf-8", "replace"))
        elif number == VALUE:
            text = bytes(value)
    return tuple(parts) or ("",), text


def load_value(text: bytes, integer: type[int] | type[float] = int) -> object:
    """Return a JSON value as Python reads it (NaN and infinities too); None for what is none."""
    try:
        return json.loads(text, parse_int=integer)
    except (ValueError, RecursionError):
        return None


def _numbers(text: bytes) -> Iterator[tuple[Key, float]]:
    """Yield the numbers of a dictionary with their keys; objects with a ``_type`` hold none."""
    found = 0
    waiting: list[tuple[Key, object]] = [((), load_value(text, float))]
    while waiting and found < MAX_NESTED:
        parts, value = waiting.pop()
        if isinstance(value, dict) and "_type" not in value:
            waiting += [((*parts, str(key)), item) for key, item in reversed(value.items())]
        elif isinstance(value, float):
            found += 1
            yield parts, value
