"""The numbers of a JSON file as columns: lines of objects, a list of objects, an object of lists.

Nested objects become names with slashes. Bare ``NaN`` and ``Infinity`` are values. A line or an entry
that is damaged costs itself only.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from loganalyze.ingest.axes import COUNTERS, HELD_OUT, SPLIT_NAMES, TIME_NAMES
from loganalyze.ingest.csv_cells import MAX_REMARKS, MOST_COLUMNS, is_held_out, numbers
from loganalyze.ingest.wide import Column, check_size
from loganalyze.names import fold
from loganalyze.run import Problem

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loganalyze.run import IntArray

MAX_LEVELS = 3  # of nesting in a record; deeper ones are settings, not numbers
BLOCK = 2**24  # bytes; no line of a log is longer
WRAPPERS = ("history", "log_history", "logs", "log", "metrics", "records", "results")
_ENTRY = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True)
class Records:
    """What a file of records holds: ``row`` is the 1-based number of the line or entry."""

    columns: list[Column]
    row: IntArray
    held_out: NDArray[np.bool_]
    problems: list[Problem] = field(default_factory=list)


def from_lines(data: bytes) -> Records:
    """Read JSON lines; a line that is no object is left out and told of."""
    broken: list[int] = []
    whole, _, last = data.rpartition(b"\n")
    is_cut = bool(last.strip()) and _parsed(last) is None  # while it was written, as is normal
    data = whole + b"\n" if is_cut else data
    table = _arrow(data)
    found = from_records(parsed_lines(data, broken)) if table is None else _from_arrow(table)
    broken += [data.count(b"\n") + 1] * is_cut
    return replace(found, problems=left_out(broken))


def left_out(broken: list[int]) -> list[Problem]:
    """Tell of the lines, by number, that hold no record."""
    remarks = [Problem("no JSON object: line left out", row) for row in broken[:MAX_REMARKS]]
    if len(broken) > MAX_REMARKS:
        remarks.append(Problem(f"{len(broken) - MAX_REMARKS:,} more such lines were left out"))
    return remarks


def parsed_lines(data: bytes, broken: list[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects with the numbers of their lines; `broken` collects those of the others."""
    for row, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            record = _parsed(line)
            if isinstance(record, dict):
                yield row, record
            else:
                broken.append(row)


def _arrow(data: bytes) -> pa.Table | None:
    """Parse lines all at once; None where they are not uniform, or not one object to a line."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    try:
        table = arrow_json.read_json(
            pa.BufferReader(data),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=BLOCK),
        )
    except pa.ArrowException:
        return None
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    if table.num_rows != lines or table.num_columns > MOST_COLUMNS:
        return None
    check_size(table.num_rows, table.num_columns)
    return table


def _from_arrow(table: pa.Table) -> Records:
    import numpy as np

    held_out = np.zeros(table.num_rows, dtype=bool)
    columns = []
    for top, nested in zip(table.column_names, table.columns, strict=True):
        for name, cells in _leaves(top, nested):
            if fold(name) in SPLIT_NAMES:
                held_out |= is_held_out(cells)
            else:
                value, logged, _ = numbers(cells, fold(name) in TIME_NAMES)
                columns.append(Column(name, value, logged))
    return Records(columns, np.arange(1, table.num_rows + 1), held_out)


def _leaves(
    name: str, cells: pa.ChunkedArray, level: int = 0
) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """Yield the columns in a column of objects, or the column itself."""
    import pyarrow as pa

    if not pa.types.is_struct(cells.type):
        yield name, cells
    elif level < MAX_LEVELS:
        for inner, part in zip(cells.type, cells.flatten(), strict=True):
            yield from _leaves(f"{name}/{inner.name}", part, level + 1)


def _parsed(text: bytes | str) -> Any:
    """Parse one value, with NaN and Infinity; None where it is damaged."""
    import orjson

    for parse in (orjson.loads, json.loads):  # the fast one is strict
        try:
            return parse(text)
        except (ValueError, RecursionError):
            continue
    return None


def from_records(records: Iterable[tuple[int, Mapping[str, Any]]]) -> Records:
    """Lay out parsed records, each with its number in the file, as columns.

    Raises
    ------
    ValueError
        If they are too many for memory.
    """
    cells = Cells()
    for row, record in records:
        cells.add(row, record)
    return cells.records()


@dataclass
class Cells:
    """Collects records one by one, as columns; what was collected may be looked at in between."""

    _columns: dict[str, tuple[array[int], array[float]]] = field(default_factory=dict)
    _rows: array[int] = field(default_factory=lambda: array("q"))
    _held_out: array[int] = field(default_factory=lambda: array("b"))
    _kinds: dict[str, Callable[[Any], float | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: int, record: Mapping[str, Any]) -> None:
        """Add a record, with its number in the file."""
        at = len(self._rows)
        self._rows.append(row)
        self._held_out.append(0)
        for name, value in _flat(record, ""):
            if isinstance(value, str) and fold(name) in SPLIT_NAMES:
                self._held_out[at] |= value.strip().lower() in HELD_OUT
            number = self._reader(name)(value)
            if number is not None and (name in self._columns or len(self._columns) < MOST_COLUMNS):
                places, found = self._columns.setdefault(name, (array("q"), array("d")))
                places.append(at)
                found.append(number)

    def _reader(self, name: str) -> Callable[[Any], float | None]:
        known = self._kinds.get(name)
        if known is None:
            known = _seconds if fold(name) in TIME_NAMES else _number
            if len(self._kinds) < MOST_COLUMNS:
                self._kinds[name] = known
        return known

    def records(self) -> Records:
        """Return everything that was added so far.

        Raises
        ------
        ValueError
            If it is too much for memory.
        """
        import numpy as np

        check_size(len(self._rows), len(self._columns))
        columns = [_column(name, len(self), *pair) for name, pair in self._columns.items()]
        rows = np.array(self._rows, np.int64)
        return Records(columns, rows, np.array(self._held_out, dtype=bool))


def _column(name: str, size: int, places: array[int], found: array[float]) -> Column:
    import numpy as np

    value = np.full(size, np.nan)
    logged = np.zeros(size, dtype=bool)
    value[np.asarray(places)] = found
    logged[np.asarray(places)] = True
    return Column(name, value, logged)


def _flat(record: Mapping[str, Any], prefix: str, level: int = 0) -> Iterable[tuple[str, Any]]:
    for key, value in record.items():
        if not isinstance(value, dict):
            yield f"{prefix}{key}", value
        elif level < MAX_LEVELS:
            yield from _flat(value, f"{prefix}{key}/", level + 1)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _seconds(value: Any) -> float | None:
    """Return UNIX seconds, also from the text of a time of day; one without a zone is UTC."""
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return _number(value)


def from_whole(data: bytes) -> Records:
    """Read a file that is one JSON value: a list of records, an object of lists, or one record.

    Raises
    ------
    ValueError
        If it is none of these, or damaged beyond its complete records.
    """
    loaded = _parsed(data)
    if isinstance(loaded, dict):
        loaded = next((loaded[key] for key in WRAPPERS if _holds_records(loaded.get(key))), loaded)
    if isinstance(loaded, list):
        return from_records(_numbered(loaded))
    if isinstance(loaded, dict):
        lists = {key: found for key, value in loaded.items() if (found := _list(value))}
        return _from_lists(lists) if lists else from_records([(1, loaded)])
    text = data.decode("utf-8", "replace")
    entries = [entry for found in _ENTRY.finditer(text) if (entry := _parsed(found[0]))]
    if not entries:
        raise ValueError("no JSON, and no complete record in it")
    remark = f"damaged or cut off: {len(entries):,} complete records were kept"
    return replace(from_records(_numbered(entries)), problems=[Problem(remark)])


def _numbered(entries: Iterable[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    return ((at, entry) for at, entry in enumerate(entries, start=1) if isinstance(entry, dict))


def _holds_records(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and isinstance(next(iter(value), None), dict)
    )


def _list(value: Any) -> list[Any] | None:
    """Return the numbers of a metric: a list, or what pandas makes of one (``{"0": ..}``)."""
    if isinstance(value, dict) and value and all(key.isdecimal() for key in value):
        value = list(value.values())
    if isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value):
        return value
    return None


def _from_lists(lists: Mapping[str, list[Any]]) -> Records:
    """Lay out lists of one length; their places count from 0, as epochs of Keras do."""
    import numpy as np

    sizes = [len(values) for values in lists.values()]
    size = max(set(sizes), key=lambda size: (sizes.count(size), size))
    kept = {name: values for name, values in lists.items() if len(values) == size}
    entries = zip(*kept.values(), strict=True)
    found = from_records(_numbered(dict(zip(kept, entry, strict=True)) for entry in entries))
    left = ", ".join(name for name in lists if name not in kept)
    remark = [Problem(f"lists that are not {size:,} long were left out: {left}")] if left else []
    if not any(fold(column.name) in COUNTERS for column in found.columns):
        index = Column("epoch", np.arange(size, dtype=np.float64), np.ones(size, dtype=bool))
        found.columns.append(index)
    return replace(found, problems=remark)
