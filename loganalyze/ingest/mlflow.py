"""MLflow stores, read without MLflow: the ``mlruns`` folder and the SQLite database.

Databases are opened read-only and never migrated; columns that an older schema lacks are done without.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from loganalyze.ingest.config_file import load_yaml
from loganalyze.ingest.ingester import HEAD_BYTES, Facts, Ingester, Table, relative
from loganalyze.ingest.text_config import scalar
from loganalyze.names import canonical
from loganalyze.run import ConfigValue, Problem, Status, metrics_frame

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

SQLITE_MARK = b"SQLite format 3\0"
MAX_TEXT = 1_000_000  # bytes of meta.yaml, a parameter or a tag that are read
MAX_TAG = 500  # characters of a tag that are settings; longer ones are documents
DOUBLE_LIMIT = 1.7976931348623157e308  # what MLflow's databases hold in place of infinity
STATUS = {
    "1": Status.RUNNING, "RUNNING": Status.RUNNING, "2": Status.RUNNING, "SCHEDULED": Status.RUNNING,
    "3": Status.COMPLETED, "FINISHED": Status.COMPLETED, "4": Status.CRASHED, "FAILED": Status.CRASHED,
    "5": Status.CRASHED, "KILLED": Status.CRASHED,
}  # fmt: skip
COUNTED = "every point has the same step: they were counted instead"


def claims_run_folder(path: Path, head: bytes) -> bool:
    """Tell whether this directory is one run of a file store."""
    meta = path / "meta.yaml"
    if head or not any((path / part).is_dir() for part in ("metrics", "params")):
        return False
    try:
        if meta.is_symlink() or not meta.is_file():
            return False
        with meta.open("rb") as file:
            text = file.read(HEAD_BYTES)
    except OSError:
        return False
    return b"artifact_uri" in text and (b"run_id" in text or b"run_uuid" in text)


def read_run_folder(path: Path, root: Path) -> list[Table]:
    """Read one run of a file store into one table; a deleted one only if no other is left."""
    import pandas as pd

    meta = _meta(path)
    if _is_deleted(meta) and any(not _is_deleted(_meta(other)) for other in _siblings(path)):
        return []
    run = str(meta.get("run_id") or meta.get("run_uuid") or path.name)
    problems: list[Problem] = []
    frames = []
    for file in _files(path / "metrics"):
        source = relative(file, root)
        key = file.relative_to(path / "metrics").as_posix()
        try:
            frames.append(_metric_file(file, key, source, problems))
        except OSError as error:
            problems.append(Problem(f"{key}: cannot be read: {error.strerror}"))
    metrics = metrics_frame({})
    if frames:
        metrics = pd.concat([frame.astype({c: str for c in _TEXT}) for frame in frames])
        metrics = metrics.reset_index(drop=True).astype({c: "category" for c in _TEXT})
    config, name = _settings_of_folder(path, root)
    return [
        Table(
            source=relative(path, root),
            format="mlflow",
            run=f"mlflow:{run}",
            metrics=metrics,
            config=config,
            problems=tuple(problems),
            facts=Facts(
                status=STATUS.get(str(meta.get("status"))),
                started=_seconds(meta.get("start_time")),
                ended=_seconds(meta.get("end_time")),
                name=name or meta.get("run_name") or None,
            ),
        )
    ]


_TEXT = ("metric", "source", "name")


def _meta(run: Path) -> dict[str, Any]:
    try:
        with (run / "meta.yaml").open("rb") as file:
            loaded = load_yaml(file.read(MAX_TEXT))
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _siblings(run: Path) -> list[Path]:
    return [path for path in run.parent.iterdir() if path != run and claims_run_folder(path, b"")]


def _is_deleted(run: Mapping[str, Any]) -> bool:
    return str(run.get("lifecycle_stage")) == "deleted"


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(found)


def _settings_of_folder(path: Path, root: Path) -> tuple[dict[str, ConfigValue], str | None]:
    config: dict[str, ConfigValue] = {}
    for file in _files(path / "params"):
        key = file.relative_to(path / "params").as_posix()
        config[key] = ConfigValue(scalar(_text(file)), relative(file, root))
    name = None
    for file in _files(path / "tags"):
        key, value = file.name, _text(file)
        if key == "mlflow.runName":
            name = value
        elif len(value) <= MAX_TAG and not key.startswith("mlflow.log-model"):
            config[f"tags.{key}"] = ConfigValue(value, relative(file, root))
    return config, name


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_TEXT).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _metric_file(path: Path, key: str, source: str, problems: list[Problem]) -> pd.DataFrame:
    time, value, step, row, bad = parse_metric(path.read_bytes())
    if bad:
        problems.append(
            Problem(f"{key}: {len(bad):,} broken lines, the first at line {bad[0]}", bad[0])
        )
    step, counted = count_steps(step, time)
    if counted:
        problems.append(Problem(f"{key}: {COUNTED}", lossy=False))
    return metrics_frame(
        {
            "metric": [canonical(key)] * len(step),
            "step": step,
            "time": time,
            "value": value,
            "segment": segments(step),
            "source": [source] * len(step),
            "row": row,
            "name": [key] * len(step),
        }
    )


def parse_metric(
    data: bytes,
) -> tuple[
    NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], list[int]
]:
    """Parse lines ``milliseconds value step`` (the step is missing in old stores).

    Returns
    -------
    time, value, step, row
        Arrays of equal length; time in UNIX seconds, row 1-based.
    bad
        Numbers of the lines that are no point.
    """
    import numpy as np

    points, bad = [], []
    for number, line in enumerate(data.split(b"\n"), start=1):
        parts = line.split()
        if not parts:
            continue
        try:
            step = int(parts[2]) if len(parts) > 2 else 0
            point = (float(parts[0]) / 1000.0, float(parts[1]), step, number)
        except (ValueError, IndexError):
            bad.append(number)
            continue
        if abs(step) < 2**62:
            points.append(point)
        else:
            bad.append(number)
    columns = list(zip(*points, strict=True)) if points else [(), (), (), ()]
    return (
        np.array(columns[0], dtype=np.float64),
        np.array(columns[1], dtype=np.float64),
        np.array(columns[2], dtype=np.int64),
        np.array(columns[3], dtype=np.int64),
        bad,
    )


def count_steps(
    step: NDArray[np.int64], time: NDArray[np.float64]
) -> tuple[NDArray[np.int64], bool]:
    """Count the points of a metric that was logged without steps (all at one)."""
    import numpy as np

    if len(step) < 2 or (step != step[0]).any():
        return step, False
    return np.argsort(np.argsort(time, kind="stable"), kind="stable") + 1, True


def segments(step: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the restarts: every fall of the step begins a new one."""
    import numpy as np

    return np.cumsum(np.diff(step, prepend=step[:1]) < 0).astype(np.int64)


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
            kept = [run for run in runs if not _is_deleted(run)] or runs
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
    """Return rows as dictionaries; table and column names come from the fixed list above."""
    chosen = ", ".join(f'"{name}"' for name in columns)
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
            started=_seconds(run.get("start_time")),
            ended=_seconds(run.get("end_time")),
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


def _seconds(milliseconds: Any) -> float | None:
    try:
        return float(milliseconds) / 1000.0 if milliseconds else None
    except (TypeError, ValueError):
        return None


FILE_STORE = Ingester("mlflow", claims_run_folder, read_run_folder)
DATABASE = Ingester("mlflow-sqlite", claims_database, read_database)
