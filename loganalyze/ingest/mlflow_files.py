"""One run of MLflow's file store: a folder with ``meta.yaml``, metrics, params and tags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from loganalyze.frame import labelled, metrics_frame
from loganalyze.ingest.config_file import load_yaml
from loganalyze.ingest.ingester import HEAD_BYTES, Facts, Table, relative
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

_Columns: TypeAlias = "dict[str, NDArray[Any]]"

MAX_STEP = 2**62  # a step beyond it is damage
MAX_TEXT = 1_000_000  # bytes of meta.yaml, a parameter or a tag that are read


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
    meta = _meta(path)
    if is_deleted(meta) and any(not is_deleted(_meta(other)) for other in _siblings(path)):
        return []
    run = str(meta.get("run_id") or meta.get("run_uuid") or path.name)
    problems: list[Problem] = []
    parts: dict[tuple[str, str], _Columns] = {}
    for file in _files(path / "metrics"):
        source = relative(file, root)
        key = file.relative_to(path / "metrics").as_posix()
        try:
            parts[key, source] = _metric_file(file, key, problems)
        except OSError as error:
            problems.append(Problem(f"{key}: cannot be read: {error.strerror}"))
    config, name = _settings_of_folder(path, root)
    return [
        Table(
            source=relative(path, root),
            format="mlflow",
            run=f"mlflow:{run}",
            metrics=_frame(parts),
            config=config,
            problems=tuple(problems),
            facts=Facts(
                status=STATUS.get(str(meta.get("status"))),
                started=seconds(meta.get("start_time")),
                ended=seconds(meta.get("end_time")),
                name=name or meta.get("run_name") or None,
            ),
        )
    ]


def _meta(run: Path) -> dict[str, Any]:
    try:
        with (run / "meta.yaml").open("rb") as file:
            loaded = load_yaml(file.read(MAX_TEXT))
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _siblings(run: Path) -> list[Path]:
    return [path for path in run.parent.iterdir() if path != run and claims_run_folder(path, b"")]


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
        elif len(value) <= MAX_TAG and not key.startswith(NO_SETTINGS):
            config[f"tags.{key}"] = ConfigValue(value, relative(file, root))
    return config, name


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_TEXT).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _metric_file(path: Path, key: str, problems: list[Problem]) -> _Columns:
    time, value, step, row, bad = parse_metric(path.read_bytes())
    if bad:
        problems.append(
            Problem(f"{key}: {len(bad):,} broken lines, the first at line {bad[0]}", bad[0])
        )
    step, counted = count_steps(step, time)
    if counted:
        problems.append(Problem(f"{key}: {COUNTED}", lossy=False))
    return {"step": step, "time": time, "value": value, "segment": segments(step), "row": row}


def _frame(parts: dict[tuple[str, str], _Columns]) -> pd.DataFrame:
    """Lay the metrics one below the other; `parts` has the columns of each by its key and its file."""
    import numpy as np

    if not parts:
        return metrics_frame({})
    keys, sources = zip(*parts, strict=True)
    files = list(parts.values())
    code = np.repeat(np.arange(len(files)), [len(file["step"]) for file in files])
    return metrics_frame(
        {
            **{name: np.concatenate([file[name] for file in files]) for name in files[0]},
            "metric": labelled(code, [canonical(key) for key in keys]),
            "source": labelled(code, sources),
            "name": labelled(code, keys),
        }
    )


Points: TypeAlias = """tuple[
    NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], list[int]
]"""


def parse_metric(data: bytes) -> Points:
    """Parse lines ``milliseconds value step`` (the step is missing in old stores).

    Returns
    -------
    time, value, step, row
        Arrays of equal length; time in UNIX seconds, row 1-based.
    bad
        Numbers of the lines that are no point.
    """
    return _whole(data) or _line_by_line(data)


def _whole(data: bytes) -> Points | None:
    """Parse a file in which every line is a point, or return None."""
    import io

    import numpy as np
    import pyarrow as pa
    from pyarrow import csv

    fields = {"time": pa.float64(), "value": pa.float64(), "step": pa.int64()}
    if len(data.partition(b"\n")[0].split()) != len(fields):
        return None
    try:
        table = csv.read_csv(
            io.BytesIO(data),
            read_options=csv.ReadOptions(column_names=list(fields)),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=csv.ConvertOptions(column_types=fields, null_values=[]),
        )
    except pa.ArrowInvalid:
        return None
    time, value, step = (table[name].to_numpy() for name in fields)
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    if len(step) != lines or (np.abs(step) >= MAX_STEP).any():
        return None
    return time / 1000.0, value, step, np.arange(1, lines + 1), []


def _line_by_line(data: bytes) -> Points:
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
        if abs(step) < MAX_STEP:
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
