"""The history of a ``trainer_state.json``, as the Trainer writes it, straight into columns.

The Trainer indents by two blanks and puts one number on each line. That layout is checked line by line;
then all numbers of a key are taken at once, and no Python object is made for any of them. A file that
looks otherwise is left to the careful reader in `hf_trainer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loganalyze.run import FloatArray, IntArray

_OPENS = b'\n  "log_history": [\n'
_CLOSES = b"\n  ]"
_BLANK, _QUOTE, _COMMA, _NEWLINE = b" "[0], b'"'[0], b","[0], b"\n"[0]
_ENTRY, _ENTRY_ENDS = b"{"[0], b"}"[0]
_INDENT = 6  # blanks before a key
_CONSTANTS = frozenset({b"NaN", b"Infinity", b"-Infinity"})  # written by Python, though no JSON
WINDOW = 2 << 20  # bytes read at once: what is worked on stays in the processor's cache
MOST_KEYS = 500  # different keys in one history; more is data in the names


@dataclass(frozen=True)
class Columns:
    """The numbers of a history in the order of the file.

    Attributes
    ----------
    entry, code, value
        Shape (n,): for each number the 0-based index of its entry, its key (an index into `keys`),
        itself; what is no number is NaN, and False in `is_number`.
    count
        Entries in the history, those without numbers included.
    rest
        The file without its history; empty where the history is all there is.
    """

    keys: tuple[str, ...]
    entry: NDArray[np.int32]
    code: NDArray[np.int16]
    value: FloatArray
    is_number: NDArray[np.bool_]
    count: int
    rest: bytes


def read_columns(data: bytes, number: Callable[[object], float | None]) -> Columns | None:
    """Return the history in `data` as columns; None where its layout is not the Trainer's own.

    `number` turns a value that is not printed as a plain number into one, or into None.
    """
    import numpy as np

    opened = data.find(_OPENS)
    start, stop = opened + len(_OPENS), data.rfind(_CLOSES) + 1
    if opened < 0 or stop <= start:
        return None
    keys: dict[bytes, int] = {}
    parts: list[_Part] = []
    begin, count = start, 0
    while begin < stop:
        end = stop if begin + WINDOW >= stop else data.rfind(b"\n", begin, begin + WINDOW) + 1
        part = _read_part(data, begin, end, keys, number) if end > begin else None
        if part is None:
            return None
        parts.append(replace(part, entry=part.entry + np.int32(count - 1)))
        count += part.count
        begin = end
    return Columns(
        tuple(prefix[1:-3].decode("utf-8", "replace") for prefix in keys),
        np.concatenate([part.entry for part in parts]),
        np.concatenate([part.code for part in parts]),
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.is_number for part in parts]),
        count,
        data[: start - 1] + data[stop:],
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """A window of the history; ``entry`` counts from 1 for the first that begins in it."""

    entry: NDArray[np.int32]
    code: NDArray[np.int16]
    value: FloatArray
    is_number: NDArray[np.bool_]
    count: int


def _read_part(
    data: bytes,
    begin: int,
    end: int,
    keys: dict[bytes, int],
    number: Callable[[object], float | None],
) -> _Part | None:
    """Read whole lines, ``data[begin:end]``; give new keys the next numbers in `keys`."""
    import numpy as np

    body = np.frombuffer(data, dtype=np.uint8)[begin:end]
    ends = np.flatnonzero(body == _NEWLINE)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1] + 1])
    if not len(ends) or (ends - starts).min() < _INDENT - 1:
        return None
    mark = body[starts + _INDENT - 2]
    is_key = mark == _BLANK
    if not _is_regular(body, starts, ends, mark):
        return None
    entry = np.cumsum(mark == _ENTRY, dtype=np.int32)
    entry_of = entry[is_key]
    first = starts[is_key] + (begin + _INDENT)
    last = ends[is_key]
    last = last - (body[last - 1] == _COMMA) + begin
    code = np.empty(len(first), dtype=np.int16)
    value = np.empty(len(first))
    is_number = np.ones(len(first), dtype=bool)
    lines_of = _by_key(data, first, last)
    if lines_of is None:
        return None
    for prefix, lines in lines_of.items():
        code[lines] = keys.setdefault(prefix, len(keys))
        span = first[lines] + len(prefix), last[lines]
        found = _values(data, *span, number)
        if found is None:
            return None
        value[lines], is_number[lines] = found
        if (np.diff(entry_of[lines]) == 0).any():
            return None  # a key that stands twice in one entry
    return _Part(entry_of, code, value, is_number, int(entry[-1]))


def _is_regular(
    body: NDArray[np.uint8], starts: IntArray, ends: IntArray, mark: NDArray[np.uint8]
) -> bool:
    """Tell whether every line opens or closes an entry, or holds one key and one plain value."""
    is_key = mark == _BLANK
    opens, closes = mark == _ENTRY, mark == _ENTRY_ENDS
    if not (is_key | opens | closes).all() or abs(int(opens.sum()) - int(closes.sum())) > 1:
        return False
    if not is_key.any():
        return not len(mark)
    if (ends[is_key] - starts[is_key]).min() <= _INDENT:
        return False
    if not (body[starts[is_key] + _INDENT] == _QUOTE).all():
        return False
    # A list or an object as a value ends its first line with the bracket that opens it.
    final = body[ends[is_key] - 1]
    return bool(((final != b"["[0]) & (final != b"{"[0])).all())


def _by_key(data: bytes, first: IntArray, last: IntArray) -> dict[bytes, IntArray] | None:
    """Return for each ``"key": `` the lines that begin with it."""
    import numpy as np

    # Eight bytes at any place, as one number. Behind the history stands at least `\n  ]`.
    words = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
    head = words[np.minimum(first, len(words) - 1)]
    lines_of: dict[bytes, IntArray] = {}
    left = np.arange(len(first))
    while len(left):
        line = data[first[left[0]] : last[left[0]]]
        colon = line.find(b'": ', 1)
        prefix = line[: colon + 3]
        if colon < 0 or b"\\" in prefix or len(lines_of) >= MOST_KEYS:
            return None
        same = _is_part(head[left], prefix[:8])
        lines = left[same]
        for at in range(8, len(prefix), 8):
            there = np.minimum(first[lines] + at, len(words) - 1)
            lines = lines[_is_part(words[there], prefix[at : at + 8])]
        lines = lines[last[lines] - first[lines] > len(prefix)]
        if not len(lines) or lines[0] != left[0]:
            return None
        lines_of[prefix] = lines
        left = left[~same] if len(lines) == same.sum() else np.setdiff1d(left, lines)
    return lines_of


def _is_part(words: NDArray[np.uint64], part: bytes) -> NDArray[np.bool_]:
    """Tell which of `words` begin with the bytes of `part`."""
    import numpy as np

    mask = np.uint64((1 << (8 * len(part))) - 1)
    found: NDArray[np.bool_] = (words & mask) == np.uint64(int.from_bytes(part, "little"))
    return found


def _values(
    data: bytes, first: IntArray, last: IntArray, number: Callable[[object], float | None]
) -> tuple[FloatArray, NDArray[np.bool_]] | None:
    """Return the numbers printed at ``data[first:last]``, and which of them are; None for what is no JSON."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    # What stands between two values is taken as a text of its own, so that no byte is copied.
    offsets = np.empty(2 * len(first) + 2, dtype=np.int64)
    offsets[0] = 0
    offsets[1:-1:2], offsets[2::2], offsets[-1] = first, last, last[-1]
    buffers = pa.py_buffer(offsets), pa.py_buffer(data)
    texts = pa.LargeStringArray.from_buffers(2 * len(first) + 1, *buffers)
    texts = texts.take(pa.array(np.arange(1, 2 * len(first) + 1, 2)))
    try:
        values = pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)
        return values, np.ones(len(values), dtype=bool)
    except pa.ArrowInvalid:
        return _one_by_one(texts, number)


def _one_by_one(
    texts: pa.LargeStringArray, number: Callable[[object], float | None]
) -> tuple[FloatArray, NDArray[np.bool_]] | None:
    import numpy as np
    import orjson
    import pyarrow as pa

    found = []
    for text in texts.cast(pa.large_binary()).to_pylist():  # damage need not be UTF-8
        try:
            found.append(number(orjson.loads(text)))
        except orjson.JSONDecodeError:
            if text not in _CONSTANTS:
                return None
            found.append(number(text.decode()))
    values = np.array([np.nan if item is None else item for item in found], dtype=np.float64)
    return values, np.array([item is not None for item in found], dtype=bool)


def from_entries(
    history: Sequence[Mapping[str, object]], number: Callable[[object], float | None]
) -> Columns:
    """Return a parsed history as columns: the plain way, for any layout."""
    import numpy as np

    keys: dict[str, int] = {}
    entry: list[int] = []
    code: list[int] = []
    value: list[float] = []
    for index, item in enumerate(history):
        for key, logged in item.items():
            found = number(logged)
            if found is not None:
                entry.append(index)
                code.append(keys.setdefault(key, len(keys)))
                value.append(found)
    return Columns(
        tuple(keys),
        np.array(entry, dtype=np.int32),
        np.array(code, dtype=np.int16),
        np.array(value, dtype=np.float64),
        np.ones(len(value), dtype=bool),
        len(history),
        b"",
    )
