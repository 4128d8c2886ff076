"""The cells of a CSV file as columns of numbers: delimiters, broken lines, headers in the middle."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loganalyze.ingest.axes import HELD_OUT, SPLIT_NAMES, TIME_NAMES
from loganalyze.ingest.text_lines import BOLD
from loganalyze.ingest.wide import Column, check_size
from loganalyze.names import fold
from loganalyze.run import Problem

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loganalyze.run import FloatArray, IntArray

MAX_PARTS = 1_000  # headers in one file; each part costs a call of the parser
MAX_REMARKS = 5  # broken lines that are told one by one
LONGEST_NAME = 200  # characters of a column's name; a longer one is text of a data set
MOST_COLUMNS = 2_000  # the frame is laid out over rows times columns
EMPTY_CELLS = ("", "None", "null", "NULL")
_DECIMAL_COMMA = re.compile(rb"(?:^|;)\s*-?\d+,\d", re.MULTILINE)
_TENSOR = r"^\s*tensor\(([^,)]*).*$"  # what `str` makes of a number that was not detached
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Header:
    """The names of a table's columns and what stands between them.

    ``start`` is how the line begins in the file, to find it again.
    """

    names: tuple[str, ...]
    delimiter: str
    start: str


@dataclass(frozen=True)
class Part:
    """The lines below one header; ``row`` holds their 1-based numbers in the file."""

    columns: dict[str, Column]
    row: IntArray
    held_out: NDArray[np.bool_]
    problems: list[Problem] = field(default_factory=list)


def utf8(data: bytes) -> bytes:
    """Return the file as UTF-8 (or what is next to it), without a byte order mark and bold numbers."""
    if data[:2] in _UTF16:
        return data.decode("utf-16", "replace").encode("utf-8", "replace")
    data = data.removeprefix(_UTF8_MARK)
    return BOLD.sub(b"", data) if b"**" in data else data


def header(data: bytes) -> Header | None:
    """Read the first line of `data` as a header; None where it names no columns."""
    line = data.partition(b"\n")[0].decode("utf-8", "replace").strip("\r")
    delimiter = max(",\t;|", key=line.count)
    names = _split(line, delimiter)
    if not 2 <= len(names) <= MOST_COLUMNS or any(len(name) > LONGEST_NAME for name in names):
        return None
    if any(_is_number(name) for name in names):
        return None
    return Header(names, delimiter, delimiter.join(line.split(delimiter)[:2]))


def second_line_fits(head: bytes, named: Header, axes: Sequence[int]) -> bool:
    """Tell whether the line below the header has a cell per name, and a number on an axis.

    A head that ends before that line does not contradict.
    """
    lines = head.split(b"\n", 2)
    if len(lines) < 3:
        return True
    cells = _split(lines[1].decode("utf-8", "replace").strip("\r"), named.delimiter)
    return len(cells) == len(named.names) and any(
        _is_number(cells[index].replace(",", ".")) for index in axes
    )


def _split(line: str, delimiter: str) -> tuple[str, ...]:
    try:
        return tuple(cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), ()))
    except csv.Error:
        return ()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def parts(data: bytes) -> list[Part]:
    """Parse a file, part by part where its header is repeated.

    Raises
    ------
    ValueError
        If it has no header, or too many, or is no table at all.
    """
    first = header(data)
    if first is None:
        raise ValueError("no header that names columns")
    again = re.compile(rb"^" + re.escape(first.start.encode()), re.MULTILINE)
    starts = [found.start() for found in again.finditer(data)] or [0]
    if len(starts) > MAX_PARTS:
        raise ValueError(f"its header is repeated {len(starts):,} times: not read")
    found = []
    line = 1
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        found.append(_part(data[start:end], line))
        line += data.count(b"\n", start, end)
    return found


def _part(data: bytes, line: int) -> Part:
    """Parse one header and the lines below it; `line` is the number of the header's line."""
    import numpy as np

    named = header(data)
    if named is None:
        raise ValueError(f"no header that names columns in line {line:,}")
    cells, broken = _cells(data.partition(b"\n")[2], named)
    check_size(cells.num_rows, cells.num_columns)
    kept = np.ones(cells.num_rows + len(broken), dtype=bool)
    kept[[number - 1 for number, _, _ in broken]] = False
    problems = _remarks(broken, len(named.names), line)
    columns = {}
    held_out = np.zeros(cells.num_rows, dtype=bool)
    for index, name in enumerate(_unique(named.names)):
        if fold(name) in SPLIT_NAMES:
            held_out |= is_held_out(cells.column(index))
        elif name:
            value, logged, strange = numbers(cells.column(index), fold(name) in TIME_NAMES)
            columns[name] = Column(name, value, logged)
            if strange and logged.any():
                text = f"column {name!r}: {strange:,} of its cells hold no number and were left out"
                problems.append(Problem(text))
    return Part(columns, np.flatnonzero(kept) + line + 1, held_out, problems)


def _cells(body: bytes, named: Header) -> tuple[pa.Table, list[tuple[int, int, str]]]:
    """Parse lines into typed columns, and list those with another number of cells."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    broken: list[tuple[int, int, str]] = []

    def skip(row: Any) -> str:
        broken.append((row.number, row.actual_columns, row.text[:LONGEST_NAME]))
        return "skip"

    comma = named.delimiter == ";" and _DECIMAL_COMMA.search(body[:4096])
    table = arrow_csv.read_csv(
        pa.BufferReader(body or b"\n"),
        read_options=arrow_csv.ReadOptions(
            use_threads=False,  # only then are broken lines told with their numbers
            column_names=[str(index) for index in range(len(named.names))],
            encoding=_encoding(body),
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=named.delimiter, ignore_empty_lines=False, invalid_row_handler=skip
        ),
        convert_options=arrow_csv.ConvertOptions(
            null_values=list(EMPTY_CELLS),
            strings_can_be_null=True,
            decimal_point="," if comma else ".",
        ),
    )
    return table, broken


def _encoding(data: bytes) -> str:
    try:
        data.decode()
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _remarks(broken: Sequence[tuple[int, int, str]], expected: int, line: int) -> list[Problem]:
    """Tell of lines with another number of cells than the header has names."""
    remarks = [
        Problem(f"{cells} cells where the header names {expected}: line left out", number + line)
        for number, cells, _ in broken[:MAX_REMARKS]
    ]
    if len(broken) > MAX_REMARKS:
        remarks.append(Problem(f"{len(broken) - MAX_REMARKS:,} more such lines were left out"))
    return remarks


def _unique(names: Sequence[str]) -> list[str]:
    """Number the names that repeat: ``loss``, ``loss.1``."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        count = seen.get(name, 0)
        seen[name] = count + 1
        result.append(f"{name}.{count}" if name and count else name)
    return result


def is_held_out(cells: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Tell which cells name the split of an evaluation: ``val``, ``test``."""
    import numpy as np
    import pyarrow as pa

    words = cells.cast(pa.string()).to_pandas().str.strip().str.lower()
    return np.asarray(words.isin(HELD_OUT), dtype=bool)


def numbers(cells: pa.ChunkedArray, is_clock: bool) -> tuple[FloatArray, NDArray[np.bool_], int]:
    """Return a column's numbers, which cells hold one, and how many hold something else.

    Truth values and text are no numbers; the times of a clock become UNIX seconds.
    """
    import numpy as np
    import pyarrow as pa

    kind = cells.type
    if is_clock and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        whole = cells.cast(pa.timestamp("ns"), safe=False).cast(pa.int64())
        value = whole.cast(pa.float64(), safe=False).to_numpy() / 1e9
        return value, np.isfinite(value), 0
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        logged = ~cells.is_null().to_numpy()
        return cells.cast(pa.float64(), safe=False).to_numpy(), logged, 0
    if pa.types.is_string(kind):
        times = _times(cells) if is_clock else None
        return _from_text(cells) if times is None else times
    return np.full(len(cells), np.nan), np.zeros(len(cells), dtype=bool), 0


def _times(cells: pa.ChunkedArray) -> tuple[FloatArray, NDArray[np.bool_], int] | None:
    """Read times of day that differ in their precision, which keeps them from having one type."""
    import numpy as np
    import pandas as pd

    times = pd.to_datetime(cells.to_pandas(), format="ISO8601", errors="coerce", utc=True)
    since = (times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(1, "s")
    value = since.to_numpy(dtype=np.float64, na_value=np.nan)
    logged = np.isfinite(value)
    return (value, logged, int((~logged).sum()) - cells.null_count) if logged.any() else None


def _from_text(cells: pa.ChunkedArray) -> tuple[FloatArray, NDArray[np.bool_], int]:
    """Save the numbers of a column that holds other text as well."""
    import numpy as np
    import pandas as pd
    import pyarrow.compute as pc

    bare = pc.replace_substring_regex(cells, _TENSOR, r"\1")
    text = pc.utf8_lower(pc.utf8_trim_whitespace(bare)).to_pandas()
    value = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    logged = np.isfinite(value) | np.isinf(value) | text.isin(["nan", "-nan"]).to_numpy()
    return value, logged, int((~logged & text.notna().to_numpy()).sum())
