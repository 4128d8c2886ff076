"""MLflow's SQLite database, opened read-only and never migrated.

Columns that an older schema lacks are done without.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from loganalyze.ingest.ingester import Facts, Table, relative
from loganalyze.ingest.mlflow_run import (
    COUNTED,
    MAX_TAG,
    STATUS,
    count_steps,
    is_deleted,
    seconds,
    segments,
)
from loganalyze.ingest.text_config import scalar
from loganalyze.names import canonical
from loganalyze.run import ConfigValue, Problem, metrics_frame

if TYPE_CHECKING:
    import pandas as pd

SQLITE_MARK = b"SQLite format 3\0"
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
    import pandas as pd

    identifier = str(run["run_uuid"])
    problems: list[Problem] = []
    rows = pd.DataFrame(
        _rows(connection, "metrics", tables["metrics"], identifier),
        columns=["rowid", *tables["metrics"]],
    )
    config = {}
    for table, prefix in (("params", ""), ("tags", "tags.")):
        for row in _rows(connection, table, tables[table], identifier) if table in tables else ():
            text = str(row["value"])
            if not prefix or len(text) <= MAX_TAG:
                value = scalar(text) if not prefix else text
                config[f"{prefix}{row['key']}"] = ConfigValue(value, f"{source}: {table}")
    named = config.pop("tags.mlflow.runName", None)
    return Table(
        source=source,
        format="mlflow-sqlite",
        run=f"mlflow:{identifier}",
        metrics=_database_metrics(rows, source, problems),
        config=config,
        problems=tuple(problems),
        facts=Facts(
            status=STATUS.get(str(run.get("status"))),
            started=seconds(run.get("start_time")),
            ended=seconds(run.get("end_time")),
            name=str(named.value) if named else (run.get("name") or None),
        ),
    )


def _database_metrics(rows: pd.DataFrame, source: str, problems: list[Problem]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    value = pd.to_numeric(rows["value"], errors="coerce").to_numpy(np.float64).copy()
    value[value >= DOUBLE_LIMIT] = np.inf
    value[value <= -DOUBLE_LIMIT] = -np.inf
    if "is_nan" in rows:
        value[rows["is_nan"].astype(bool).to_numpy()] = np.nan
    time = pd.to_numeric(rows["timestamp"], errors="coerce").to_numpy(np.float64) / 1000.0
    step = np.zeros(len(rows), dtype=np.int64)
    if "step" in rows:
        step = pd.to_numeric(rows["step"], errors="coerce").fillna(0).to_numpy(np.int64).copy()
    key = rows["key"].astype(str).to_numpy(dtype=object)
    segment = np.zeros(len(rows), dtype=np.int64)
    for name in np.unique(key.astype(str)):
        chosen = np.flatnonzero(key == name)
        # The table is keyed by value: its order is not the order of logging; time is.
        chosen = chosen[np.lexsort((step[chosen], time[chosen]))]
        counts, counted = count_steps(step[chosen], time[chosen])
        step[chosen] = counts
        segment[chosen] = segments(counts)
        if counted:
            problems.append(Problem(f"{name}: {COUNTED}", lossy=False))
    return metrics_frame(
        {
            "metric": [canonical(name) for name in key],
            "step": step,
            "time": time,
            "value": value,
            "segment": segment,
            "source": [source] * len(rows),
            "row": rows["rowid"].to_numpy(np.int64),
            "name": key,
        }
    )
