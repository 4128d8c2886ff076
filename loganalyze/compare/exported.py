"""A run read back from what ``loganalyze export`` wrote: its numbers, without settings and events."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.errors import NothingReadable
from loganalyze.frame import METRIC_COLUMNS, metrics_frame
from loganalyze.run import Run, Source

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, Sequence[Any]]

MARKS = {".parquet": b"PAR1", ".csv": ",".join(METRIC_COLUMNS).encode(), ".jsonl": b'{"metric":'}
HEAD = 4096  # bytes in which the mark stands
WHOLE = ("step", "segment", "row")
TEXTS = ("metric", "source", "name")


def is_export(path: Path) -> bool:
    """Tell whether a file is one that ``loganalyze export`` wrote, by its first bytes."""
    mark = MARKS.get(path.suffix.lower())
    if mark is None or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(HEAD).startswith(mark)
    except OSError:
        return False


def read_export(path: Path) -> Run:
    """Return the run whose numbers an export holds.

    Raises
    ------
    NothingReadable
        If the file is damaged, or holds other columns or no number.
    """
    try:
        metrics = _frame(_READERS[path.suffix.lower()](path))
    except NothingReadable:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file, whatever its reader makes of it
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NothingReadable(f"cannot read the export {path}: {text}") from None
    if not len(metrics):
        raise NothingReadable(f"the export {path} holds no number")
    return _run(path, metrics)


def _parquet(path: Path) -> Columns:
    from pyarrow import parquet

    table = parquet.read_table(path)
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _csv(path: Path) -> Columns:
    import pandas as pd

    table = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str), keep_default_na=True)
    return {str(name): table[name].tolist() for name in table.columns}


def _jsonl(path: Path) -> Columns:
    import orjson

    columns: dict[str, list[Any]] = defaultdict(list)
    for line in path.read_bytes().splitlines():
        record = orjson.loads(line)
        for name in METRIC_COLUMNS:
            columns[name].append(record[name])
    return columns


_READERS = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}


def _frame(columns: Columns) -> pd.DataFrame:
    missing = [name for name in METRIC_COLUMNS if name not in columns]
    if missing:
        raise NothingReadable(f"no export of loganalyze: no column {', '.join(missing)}")
    made: dict[str, Any] = {}
    for name in METRIC_COLUMNS:
        if name in TEXTS:
            made[name] = [str(value) for value in columns[name]]
        elif name in WHOLE:
            made[name] = [int(value) for value in columns[name]]
        else:
            made[name] = [math.nan if value is None else float(value) for value in columns[name]]
    return metrics_frame(made)


def _run(path: Path, metrics: pd.DataFrame) -> Run:
    rows = Counter(zip(metrics["metric"].astype(str), metrics["source"].astype(str), strict=True))
    kinds: dict[str, list[str]] = defaultdict(list)
    for source in map(str, metrics["source"].cat.categories):
        kinds[Path(source).suffix].append(source)
    families = tuple(tuple(group) for group in kinds.values())
    preferred = {
        metric: max(families, key=lambda group: sum(rows[metric, source] for source in group))
        for metric in map(str, metrics["metric"].cat.categories)
    }
    times = metrics["time"].to_numpy()
    known = times[times == times]
    return Run(
        path.stem, str(path), metrics, framework="export",
        started=float(known.min()) if len(known) else None,
        ended=float(known.max()) if len(known) else None,
        sources=(Source(path.name, "export", len(metrics)),), preferred=preferred, families=families,
    )  # fmt: skip
