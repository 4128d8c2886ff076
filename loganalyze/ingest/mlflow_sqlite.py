"""MLflow's SQLite database, opened read-only and never migrated.

Columns that an older schema lacks are done without.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from loganalyze.frame import labelled, metrics_frame
from loganalyze.ingest.ingester import Facts, Table, relative
from loganalyze.ingest.mlflow_run import (
    COUNTED,
    MAX_TAG,
    NO_SETTINGS,
    STATUS,
    count_steps,
    is_deleted,
    seconds,
    segments,
)
from loganalyze.ingest.text_config import scalar
from loganalyze.names import canonical
from loganalyze.run import ConfigValue, Problem

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

SQLITE_MARK = b"SQLite format 3\0"
BATCH = 50_000  # rows that are Python objects at a time
MAX_STEP = 2.0**62  # beyond it a number is no step
DOUBLE_LIMIT = 1.7976931348623157e308  # what MLflow's databases hold in place of infinity


def claims_database(path: Path, head: bytes) -> bool:
    """Tell whether this is a SQLite database."""
    return head.startswith(SQLITE_MARK)


def read_database(path: Path, root: Path) -> list[Table]:
    """Read every run of an MLflow database; a database of another kind yields nothing.

    Raises
    ------
    ValueError
        If the database is damaged.
    """
    source = relative(path, root)
    try:
        with _settled(path) as settled, closing(_connect(settled)) as connection:
            tables = _columns(connection)
            if "run_uuid" not in tables.get("runs", ()) or "metrics" not in tables:
                return []
            runs = _rows(connection, "runs", tables["runs"], "")
            kept = [run for run in runs if not is_deleted(run)] or runs
            return [_database_run(connection, tables, run, source) for run in kept]
    except sqlite3.Error as error:
        raise ValueError(f"damaged database: {error}") from None


def read_one_run(path: Path, run: str) -> Table | None:
    """Read the run with this id; None where the database holds no such run.

    Raises
    ------
    ValueError
        If the database is damaged.
    """
    try:
        with _settled(path) as settled, closing(_connect(settled)) as connection:
            tables = _columns(connection)
            rows = _rows(connection, "runs", tables.get("runs", []), run)
            return _database_run(connection, tables, rows[0], path.name) if rows else None
    except sqlite3.Error as error:
        raise ValueError(f"damaged database: {error}") from None


def list_runs(path: Path) -> dict[str, tuple[str, float]]:
    """Return for each run of an MLflow database, by its id, what changes with it, and its last time.

    The time is in UNIX seconds. A database of another kind, or a damaged one, holds none.
    """
    try:
        with _settled(path) as settled, closing(_connect(settled)) as connection:
            tables = _columns(connection)
            if not {"run_uuid", "status", "start_time", "end_time"} <= set(tables.get("runs", ())):
                return {}
            runs = list(_rows(connection, "runs", tables["runs"], ""))
            runs = [run for run in runs if not is_deleted(run)] or runs
            latest = _latest(connection, tables)
    except (sqlite3.Error, OSError):
        return {}
    found = {}
    for run in runs:
        identifier = str(run["run_uuid"])
        ended = seconds(run["end_time"]) or seconds(run["start_time"]) or 0.0
        stamp = f"{run['status']} {run['end_time']} {latest.get(identifier)}"
        found[identifier] = (stamp, ended)
    return found


def _latest(connection: sqlite3.Connection, tables: dict[str, list[str]]) -> dict[str, str]:
    """Return for each run how many points it has and which was written last."""
    if "metrics" not in tables:
        return {}
    query = "select run_uuid, count(*), max(rowid), max(timestamp) from metrics group by run_uuid"
    return {str(run): str(rest) for run, *rest in connection.execute(query)}


@contextmanager
def _settled(path: Path) -> Iterator[Path]:
    """Give a database whose last writes lie beside it (a run in progress) as a copy of all parts.

    SQLite would bring it up to date in place, and in the mode that writes nothing leave them out.
    """
    parts = [path.with_name(path.name + ending) for ending in ("-wal", "-journal")]
    parts = [part for part in parts if part.is_file() and not part.is_symlink()]
    if not any(part.stat().st_size for part in parts):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        for part in (path, *parts):
            shutil.copyfile(part, Path(folder) / part.name)
        copy = Path(folder) / path.name
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("pragma schema_version")
            connection.execute("pragma journal_mode = delete")
        yield copy


def _connect(path: Path) -> sqlite3.Connection:
    # `immutable` keeps SQLite from writing anything, a journal or a lock included.
    location = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
    return sqlite3.connect(location, uri=True)


def _columns(connection: sqlite3.Connection) -> dict[str, list[str]]:
    names = [
        row[0] for row in connection.execute("select name from sqlite_master where type='table'")
    ]
    wanted = [name for name in names if name in {"runs", "metrics", "params", "tags"}]
    return {
        name: [row[1] for row in connection.execute(f"pragma table_info({name})")]
        for name in wanted
    }


def _rows(
    connection: sqlite3.Connection, table: str, columns: list[str], run: str
) -> list[dict[str, Any]]:
    """Return rows as dictionaries; the table is one of the four above, columns are its own."""
    chosen = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    where = ' where "run_uuid" = ?' if run else ""
    query = f"select rowid, {chosen} from {table}{where} order by rowid"  # noqa: S608
    found = connection.execute(query, (run,) if run else ())
    return [dict(zip(["rowid", *columns], row, strict=True)) for row in found]


def _database_run(
    connection: sqlite3.Connection, tables: dict[str, list[str]], run: dict[str, Any], source: str
) -> Table:
    identifier = str(run["run_uuid"])
    problems: list[Problem] = []
    points = _points(connection, tables["metrics"], identifier)
    config = {}
    for table, prefix in (("params", ""), ("tags", "tags.")):
        for row in _rows(connection, table, tables[table], identifier) if table in tables else ():
            text = str(row["value"])
            is_tag_to_read = len(text) <= MAX_TAG and not str(row["key"]).startswith(NO_SETTINGS)
            if not prefix or is_tag_to_read:
                value = scalar(text) if not prefix else text
                config[f"{prefix}{row['key']}"] = ConfigValue(value, f"{source}: {table}")
    named = config.pop("tags.mlflow.runName", None)
    return Table(
        source=source,
        format="mlflow-sqlite",
        run=f"mlflow:{identifier}",
        metrics=_metrics(points, source, problems),
        config=config,
        problems=tuple(problems),
        facts=Facts(
            status=STATUS.get(str(run.get("status"))),
            started=seconds(run.get("start_time")),
            ended=seconds(run.get("end_time")),
            name=str(named.value) if named else (run.get("name") or None),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Points:
    """The points of a run as columns: ``names[code[i]]`` is the logged name of point i."""

    names: tuple[str, ...]
    code: NDArray[np.int64]
    row: NDArray[np.int64]
    value: NDArray[np.float64]
    time: NDArray[np.float64]
    step: NDArray[np.int64]


def _points(connection: sqlite3.Connection, columns: list[str], run: str) -> _Points:
    """Return all points of a run; its rows become arrays a batch at a time."""
    import numpy as np

    optional = [name if name in columns else "0" for name in ("step", "is_nan")]
    query = (
        f"select key, rowid, value, timestamp, {', '.join(optional)} "  # noqa: S608 - names from here
        "from metrics where run_uuid = ? order by rowid"
    )
    cursor = connection.execute(query, (run,))
    code_of: dict[str, int] = {}
    codes, numbers = [np.zeros(0, dtype=np.int64)], [np.zeros((5, 0))]
    while batch := cursor.fetchmany(BATCH):
        key, *columns_of_batch = zip(*batch, strict=True)
        codes.append(np.array([code_of.setdefault(str(name), len(code_of)) for name in key]))
        numbers.append(np.stack([_numbers(column) for column in columns_of_batch]))
    row, value, time, step, is_nan = np.concatenate(numbers, axis=1)
    value[value >= DOUBLE_LIMIT] = np.inf
    value[value <= -DOUBLE_LIMIT] = -np.inf
    value[is_nan == 1] = np.nan
    return _Points(
        names=tuple(code_of),
        code=np.concatenate(codes),
        row=row.astype(np.int64),
        value=value,
        time=time / 1000.0,
        step=np.nan_to_num(step).clip(-MAX_STEP, MAX_STEP).astype(np.int64),
    )


def _numbers(column: Sequence[Any]) -> NDArray[np.float64]:
    """Return a column as numbers; what SQLite kept as something else is NaN."""
    import numpy as np
    import pandas as pd

    try:
        return np.array(column, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = pd.to_numeric(pd.Series(column, dtype=object), errors="coerce")
        return np.asarray(numbers, dtype=np.float64)


def _metrics(points: _Points, source: str, problems: list[Problem]) -> pd.DataFrame:
    import numpy as np

    step, segment = points.step, np.zeros(len(points.step), dtype=np.int64)
    by_name = np.argsort(points.code, kind="stable")
    bounds = np.flatnonzero(np.diff(points.code[by_name])) + 1
    for name, chosen in zip(
        points.names, np.split(by_name, bounds), strict=False
    ):  # no point: one empty part
        # The table is keyed by value: its order is not the order of logging; time is.
        chosen = chosen[np.lexsort((step[chosen], points.time[chosen]))]
        counts, counted = count_steps(step[chosen], points.time[chosen])
        step[chosen] = counts
        segment[chosen] = segments(counts)
        if counted:
            problems.append(Problem(f"{name}: {COUNTED}", lossy=False))
    return metrics_frame(
        {
            "metric": labelled(points.code, [canonical(name) for name in points.names]),
            "step": step,
            "time": points.time,
            "value": points.value,
            "segment": segment,
            "source": source,
            "row": points.row,
            "name": labelled(points.code, points.names),
        }
    )
