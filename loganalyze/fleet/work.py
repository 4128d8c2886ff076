"""The one function that a scan calls for each unit, in whatever process or on whatever machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loganalyze.errors import NothingReadable
from loganalyze.fleet.content import content_key
from loganalyze.fleet.listing import Entry
from loganalyze.fleet.row import row_of, to_plain
from loganalyze.fleet.unit import Place, Unit
from loganalyze.run import Run
from loganalyze.settings import Settings


@dataclass(frozen=True, slots=True)
class Task:
    """A unit to diagnose.

    Attributes
    ----------
    files
        Those of its files that are read.
    reports
        Folder for the HTML postmortem of each of its runs; empty for none.
    """

    unit: Unit
    files: tuple[Entry, ...]
    settings: Settings = field(default_factory=Settings)
    reports: str = ""
    lang: str = "en"


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a task.

    Attributes
    ----------
    content
        Fingerprint of what was read.
    rows
        A row for each run, as plain values, without the places that the reader of the index knows.
    failure
        Why there is none; empty where nothing was to be expected.
    cpu
        Seconds of processor time.
    requests
        Requests to an object store or a server.
    peak
        Most bytes of memory that the process has used so far; 0 where the system does not say.
    """

    task: Any
    content: str
    rows: tuple[dict[str, Any], ...]
    failure: str = ""
    cpu: float = 0.0
    read: int = 0
    requests: int = 0
    peak: int = 0


def peak_memory() -> int:
    """Return the most bytes of memory that this process has used so far; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def diagnose_unit(task: Task) -> Done:
    """Read and diagnose what a unit holds; never raises for what it holds."""
    start = time.process_time()
    unit = task.unit
    content, failure, requests = "", "", 0
    rows: tuple[dict[str, Any], ...] = ()
    try:
        content = content_key(unit)
        runs, requests = READERS[unit.place](replace(unit, files=task.files))
        rows = tuple(_row(run, runs, task, content) for run in runs if _holds_anything(run))
    except NothingReadable as error:
        failure = str(error) if unit.sure else ""
    except MemoryError:
        failure = "it needs more memory than a worker may use (--memory)"
    except Exception as error:  # noqa: BLE001 - one bad run never stops the scan
        failure = f"{type(error).__name__}: {error}"
    spent = time.process_time() - start
    return Done(task, content, rows, failure, spent, unit.size, requests, peak_memory())


def _holds_anything(run: Run) -> bool:
    return bool(len(run.metrics) or run.events)


def _row(run: Run, runs: list[Run], task: Task, content: str) -> dict[str, Any]:
    from loganalyze.diagnosis import diagnose

    diagnosis = diagnose(run, task.settings)
    row = row_of(diagnosis)
    several = len(runs) > 1
    if task.reports:
        write_report(
            diagnosis,
            Path(task.reports),
            report_name(content, run.name if several else None),
            task.lang,
        )
    return to_plain(replace(row, run=run.name if several else None))


def report_name(content: str, run: str | None) -> str:
    """Return the name of the file with the postmortem of a run."""
    from loganalyze.fleet.unit import stamp_of

    return f"{stamp_of((content, run or ''))}.html"


def write_report(diagnosis: Any, folder: Path, name: str, lang: str) -> None:
    """Write a postmortem, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}"
    diagnosis.to_html(partial, lang=lang)
    partial.replace(folder / name)


def _local(unit: Unit) -> tuple[list[Run], int]:
    from loganalyze.ingest import load_all

    return load_all(unit.address, keep=only(unit, Path(unit.root))), 0


def only(unit: Unit, root: Path) -> Callable[[Path], bool]:
    """Return what tells the files of a unit, and the folders that they are in, from all others."""
    allowed: set[str] = set()
    for file in unit.files:
        path = str(root / file.path)
        while path not in allowed and len(path) > 1:
            allowed.add(path)
            path = path.rpartition("/")[0]
    return lambda path: str(path) in allowed


def _database(unit: Unit) -> tuple[list[Run], int]:
    from loganalyze.ingest.merge import merge
    from loganalyze.ingest.mlflow_sqlite import read_one_run

    path, _, identifier = unit.address.removeprefix("mlflow:sqlite:///").rpartition("#")
    table = read_one_run(Path(path), identifier)
    return ([merge(unit.name, [table], unit.address)] if table else []), 0


def _server(unit: Unit) -> tuple[list[Run], int]:
    from loganalyze.ingest import load

    run = load(unit.address)
    # The run itself, its nested runs, and a history for each metric.
    return [replace(run, others=())], 2 + run.metrics["name"].nunique()


def _remote(unit: Unit) -> tuple[list[Run], int]:
    from loganalyze.fleet.remote import fetched

    with fetched(unit) as (folder, requests):
        from loganalyze.ingest import load_all

        return load_all(folder), requests


READERS: dict[Place, Callable[[Unit], tuple[list[Run], int]]] = {
    Place.LOCAL: _local,
    Place.DATABASE: _database,
    Place.SERVER: _server,
    Place.REMOTE: _remote,
}
