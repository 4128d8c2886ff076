"""Run directories of Weights & Biases: ``wandb/run-20260131_120000-ID``, ``offline-run-...-ID``.

A directory is read whole: the records in ``run-ID.wandb`` (curves, settings, exit code), and in
``files/`` what was printed, the settings and the command line. Directories with one ID are one run
that was resumed. ``wandb-summary.json`` holds last values: they are no curve, and no points are
made of them. The SDK's own logs are no training logs.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from loganalyze.ingest import config_file, stdout
from loganalyze.ingest.config_file import flatten
from loganalyze.ingest.ingester import Facts, Ingester, Table, relative
from loganalyze.ingest.wandb_curves import OPTIMIZER_STEPS, SUMMARY_MARK, metrics
from loganalyze.ingest.wandb_files import command_settings, read_metadata, read_summary
from loganalyze.ingest.wandb_log import MARK
from loganalyze.ingest.wandb_records import Contents, printed, read_contents
from loganalyze.run import ConfigValue, Event, EventKind, Problem, Status, Where

if TYPE_CHECKING:
    import pandas as pd

Reader: TypeAlias = Callable[[Path, Path, str], list[Table]]

FORMAT = "wandb"
_FOLDER = re.compile(r"^(?:offline-)?run-(?P<start>\d{8}_\d{6})-(?P<id>.+)$")
_SDK_LOG = re.compile(r"^debug(?:-\w+)?\.log$")
_OWN_SETTINGS = ("_wandb", "wandb_version")
_FRAMEWORKS = dict(zip(OPTIMIZER_STEPS, ("hf-trainer", "lightning"), strict=False))


def claims(path: Path, head: bytes) -> bool:
    """Tell whether this is a run's directory, a record file, or a log of the SDK itself."""
    if head:
        return head.startswith(MARK) or _is_sdk_log(path)
    try:
        if not (path / "files").is_dir():
            return False
        named = _FOLDER.match(path.resolve().name) is not None
        return named or any(map(_is_own_file, path.glob("run-*.wandb")))
    except OSError:
        return False


def _is_sdk_log(path: Path) -> bool:
    return path.absolute().parent.name == "wandb" and _SDK_LOG.match(path.name) is not None


def _is_own_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def read(path: Path, root: Path) -> list[Table]:
    """Read a run's directory, or one record file."""
    if path.is_dir():
        return _read_folder(path, root)
    if _is_sdk_log(path):
        return []
    run = "." if path == root else relative(path.parent, root)
    return _attempt(_read_records, path, root, run)


def _read_folder(folder: Path, root: Path) -> list[Table]:
    run, is_alone = _run_key(folder, root)
    records = [path for path in sorted(folder.glob("run-*.wandb")) if _is_own_file(path)]
    beside = [] if (folder / "files").is_symlink() else (folder / "files").glob("*")
    files = {path.name: path for path in beside if _is_own_file(path) and path.stat().st_size}

    def gather(reader: Reader, *paths: Path | None) -> list[Table]:
        return [table for path in paths if path for table in _attempt(reader, path, root, run)]

    curves = gather(_read_records, *records)
    output = gather(_read_output, files.get("output.log"))
    if not any(map(_has_data, output)):
        output = [*filter(_has_data, gather(_read_printed, *records))] or output
    settings = gather(_read_config, files.get("config.yaml"))
    settings += gather(read_metadata, files.get("wandb-metadata.json"))
    if not any(map(_has_data, curves)):
        settings += gather(read_summary, files.get("wandb-summary.json"))
    tables = [*curves, *output, *settings]
    if is_alone or any(map(_has_data, tables)):
        return tables
    # What a run without a number was told must not pass for the settings of its neighbours.
    return [replace(table, config={}, facts=Facts()) for table in tables]


def _has_data(table: Table) -> bool:
    return (table.metrics is not None and len(table.metrics) > 0) or bool(table.events)


def _attempt(reader: Reader, path: Path, root: Path, run: str) -> list[Table]:
    """Read one file of the directory; what breaks it costs that file alone."""
    try:
        return reader(path, root, run)
    except (OSError, ValueError, RecursionError) as error:
        problem = Problem(f"cannot be read: {error}")
        return [Table(source=relative(path, root), format=FORMAT, run=run, problems=(problem,))]


def _run_key(folder: Path, root: Path) -> tuple[str, bool]:
    """Return the first of the directories that share the run's ID, and whether it is all there is."""
    found = _FOLDER.match(folder.name)
    if folder == root or not found:
        return relative(folder, root), True
    beside = [
        (name["id"], name["start"], path)
        for path in folder.parent.iterdir()
        if (name := _FOLDER.match(path.name)) and path.is_dir()
    ]
    first = min(item for item in beside if item[0] == found["id"])
    return relative(first[-1], root), len({item[0] for item in beside}) == 1


def _read_records(path: Path, root: Path, run: str) -> list[Table]:
    source = relative(path, root)
    if not path.stat().st_size:
        problem = Problem("empty file", lossy=False)
        return [Table(source=source, format=FORMAT, run=run, problems=(problem,))]
    problems: list[Problem] = []
    with _mapped(path) as view:
        contents = read_contents(view, problems)
    frame = metrics(contents, source, problems)
    names = {"/".join(parts) for parts in contents.history.keys}
    facts = Facts(
        framework=next((word for key, word in _FRAMEWORKS.items() if key in names), None),
        status=_status(contents.exit_code),
        started=contents.started,
        name=contents.name,
    )
    return [
        Table(
            source=source,
            format=FORMAT,
            run=run,
            metrics=frame,
            config=_config(contents, source),
            events=_trainer_end(contents, frame, source),
            problems=tuple(problems),
            facts=facts,
            order=contents.started or 0.0,
        )
    ]


@contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as view,
    ):
        yield view


def _status(exit_code: int | None) -> Status | None:
    if exit_code is None:
        return None
    return Status.CRASHED if exit_code else Status.COMPLETED


def _config(contents: Contents, source: str) -> dict[str, ConfigValue]:
    """Return the settings told to W&B, and those of the command line that they lack."""
    told = {key: value for key, value in contents.config.items() if key not in _OWN_SETTINGS}
    config = {key: ConfigValue(value, f"{source}: config") for key, value in flatten(told).items()}
    for key, value in command_settings(contents.arguments).items():
        config.setdefault(key, ConfigValue(value, f"{source}: args"))
    return config


def _trainer_end(contents: Contents, frame: pd.DataFrame, source: str) -> tuple[Event, ...]:
    """Return the end of training that the Hugging Face Trainer logs as its summary."""
    summed = frame["row"][frame["metric"] == f"summary/{SUMMARY_MARK}"]
    row = contents.summary_row or (int(summed.max()) if len(summed) else None)
    if row is None:
        return ()
    before = frame["step"][frame["row"] <= row]
    step = int(before.max()) if len(before) else None
    text = "the Trainer logged its summary: training ended as it should"
    return (Event(EventKind.TRAIN_END, text, Where(source, row), step),)


def _read_config(path: Path, root: Path, run: str) -> list[Table]:
    (table,) = config_file.read(path, root)
    told = {
        key: value
        for key, value in table.config.items()
        if key.partition(".")[0] not in _OWN_SETTINGS
    }
    return [replace(table, run=run, config=told)]


def _read_output(path: Path, root: Path, run: str) -> list[Table]:
    return [replace(table, run=run) for table in stdout.read(path, root)]


def _read_printed(path: Path, root: Path, run: str) -> list[Table]:
    """Read what the run printed from its records; ``row`` is the line of what was printed."""
    with _mapped(path) as view:
        text = printed(view)
    source = f"{relative(path, root)}: output"
    table = stdout.read_stream(BytesIO(text.encode("utf-8", "replace")), source, run)
    return [table] if table.events or (table.metrics is not None and len(table.metrics)) else []


_READERS: dict[str, Reader] = {
    "output.log": _read_output,
    "config.yaml": _read_config,
    "wandb-metadata.json": read_metadata,
}
INGESTER = Ingester(FORMAT, claims, read)
