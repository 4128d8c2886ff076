"""Scalars of many records at once: records of one shape are the rows of one table of bytes.

Of each length that is frequent in a window, a record is taken as the example. Those that equal it in all
bits but those of time, step, tag and value have its shape; their columns are cut out whole. What
does not fit, or fails its checksum, is left to the reader of single events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.ingest import crc32c
from loganalyze.ingest.tf_event import HPARAMS_TAG
from loganalyze.ingest.tf_shape import Shape, shape_of
from loganalyze.ingest.tf_windows import Window
from loganalyze.ingest.tfrecord import FOOTER, RecordFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALLEST_GROUP = 64  # records; to read fewer one by one costs no more than setting up columns
_SHAPES = 8  # examples tried for records of one length: the next ones are no scalars either
_TIME_BYTES = 8
_WORD = 8  # bytes that are compared at once
_MIXER = 0x9E3779B97F4A7C15  # odd, its bits without pattern: 2 ** 64 / the golden ratio


@dataclass(frozen=True, slots=True)
class Group:
    """Scalars of one shape, shape (n,) each.

    Attributes
    ----------
    index
        Which records of the window they are, ascending.
    tags, code
        The different tags, and which of them each scalar has.
    """

    index: NDArray[np.intp]
    tags: list[str]
    code: NDArray[np.intp]
    step: NDArray[np.int64]
    time: NDArray[np.float64]
    value: NDArray[np.float64]


def groups(file: RecordFile, window: Window) -> Iterator[Group]:
    """Yield the scalars of a window that fit a shape and have the right checksum."""
    import numpy as np

    counts = np.bincount(window.classes)
    for number in np.flatnonzero(counts >= SMALLEST_GROUP).tolist():
        index = np.flatnonzero(window.classes == number)
        length = int(window.lengths[index[0]])
        if length < crc32c.LONGEST:
            yield from _of_length(file, window, index, length)


def _of_length(
    file: RecordFile, window: Window, index: NDArray[np.intp], length: int
) -> Iterator[Group]:
    width = -(-(length + FOOTER) // _WORD) * _WORD
    table = file.array(f"V{width}")
    index = index[window.starts[index] < len(table)]  # a last record may lack bytes after it
    rows = table[window.starts[index]].view("u1").reshape(-1, width)
    for _ in range(_SHAPES):
        if len(index) < SMALLEST_GROUP:
            return
        example = rows[0].tobytes()
        shape = _shape(example[:length])
        if shape is None:
            index, rows = index[1:], rows[1:]
            continue
        fits = _fits(rows, example, shape, length)
        if fits.all():
            yield from _scalars(rows, index, shape, length)
            return
        yield from _scalars(rows[fits], index[fits], shape, length)
        index, rows = index[~fits], rows[~fits]


def _shape(payload: bytes) -> Shape | None:
    try:
        return shape_of(memoryview(payload))
    except ValueError:
        return None


def _fits(rows: NDArray[np.uint8], example: bytes, shape: Shape, length: int) -> NDArray[np.bool_]:
    """Tell which rows have the bits of the example wherever the shape fixes them."""
    import numpy as np

    fixed = np.zeros(rows.shape[1], dtype=np.uint8)
    fixed[:length] = 0xFF
    for position in _varying(shape):
        fixed[position] = 0x80 if position in shape.step else 0  # a varint's bit "more follows"
    differs = np.zeros(len(rows), dtype=bool)
    for column, word, mask in zip(
        rows.view("<u8").T, np.frombuffer(example, "<u8"), fixed.view("<u8"), strict=True
    ):
        if mask:
            differs |= ((column ^ word) & mask) != 0
    return ~differs


def _varying(shape: Shape) -> Iterator[int]:
    yield from range(shape.time, shape.time + _TIME_BYTES)
    yield from shape.step
    yield from shape.tag
    yield from range(shape.value, shape.value + int(shape.kind[-1]))


def _scalars(
    rows: NDArray[np.uint8], index: NDArray[np.intp], shape: Shape, length: int
) -> Iterator[Group]:
    """Yield the rows, all of one shape, as scalars; those with a wrong checksum are left out."""
    import numpy as np

    code, first = _tag_codes(rows, shape.tag)
    names = [rows[row, shape.tag.start : shape.tag.stop].tobytes() for row in first.tolist()]
    kept = (_sums(rows, shape, length, code, first) == _column(rows, length, "<u4")) & (code >= 0)
    hidden = [name.startswith(HPARAMS_TAG.encode()) for name in names]
    kept &= ~np.array(hidden)[code]
    if not kept.all():
        rows, index = rows[kept], index[kept]
        used, code = np.unique(code[kept], return_inverse=True)
        names = [names[place] for place in used.tolist()]
    step = np.zeros(len(rows), dtype=np.int64)
    for place, position in enumerate(shape.step):
        step |= (rows[:, position] & np.int64(0x7F)) << 7 * place
    yield Group(
        index=index,
        tags=[name.decode("utf-8", "replace") for name in names],
        code=code,
        step=step,
        time=_column(rows, shape.time, "<f8").astype(np.float64),
        value=_column(rows, shape.value, shape.kind).astype(np.float64),
    )


def _column(rows: NDArray[np.uint8], position: int, kind: str) -> NDArray[Any]:
    """Return the numbers of type `kind` that stand at one position of each row."""
    return rows[:, position : position + int(kind[-1])].copy().view(kind).ravel()


def _tag_codes(rows: NDArray[np.uint8], tag: range) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number the different tags; return each row's number and the first row of each.

    Tags are told apart by a sum over their words, and compared with the first of their number: a
    row whose tag only has the same sum gets -1.
    """
    import numpy as np
    import pandas as pd

    mask = np.zeros(rows.shape[1], dtype=np.uint8)
    mask[tag.start : tag.stop] = 0xFF
    masks = mask.view("<u8")
    words = [rows.view("<u8")[:, place] & masks[place] for place in np.flatnonzero(masks)]
    mixed = np.zeros(len(rows), dtype=np.uint64)
    for word in words:
        mixed = (mixed ^ word) * np.uint64(_MIXER)
        mixed ^= mixed >> np.uint64(32)
    code = pd.factorize(mixed)[0]
    first = np.empty(int(code.max()) + 1, dtype=np.intp)
    first[code[::-1]] = np.arange(len(code))[::-1]
    for word in words:
        code = np.where(word == word[first][code], code, -1)
    return code, first


def _sums(
    rows: NDArray[np.uint8],
    shape: Shape,
    length: int,
    code: NDArray[np.intp],
    first: NDArray[np.intp],
) -> NDArray[np.uint32]:
    """Return the masked checksum of each row's payload; the tag's part is computed once per tag."""
    tag = [(position, rows[first, position]) for position in shape.tag]
    rest = [
        (position, rows[:, position]) for position in _varying(shape) if position not in shape.tag
    ]
    base = bytearray(rows[0, :length].tobytes())
    base[shape.tag.start : shape.tag.stop] = bytes(len(shape.tag))
    sums = crc32c.of_variants(bytes(base), rest, len(rows))
    parts = crc32c.of_variants(bytes(length), tag, len(first)) ^ crc32c.of_bytes(bytes(length))
    stored: NDArray[np.uint32] = crc32c.masked(sums ^ parts[code])
    return stored
