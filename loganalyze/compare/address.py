"""What ``loganalyze diff`` takes for a run: a path, one of several runs or starts, or what was saved.

runs/x              a run directory, a log, a store, mlflow:URI#RUN_ID
runs#NAME           one of several runs at a path
runs/x@1            one start of a run, counted from 0: what was logged before or after a restart
metrics.parquet     what `loganalyze export` wrote (.parquet, .csv, .jsonl)
diagnosis.json      what `diagnose --format json` wrote, or a report: settings and findings, no curves
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from loganalyze.compare.exported import is_export, read_export
from loganalyze.errors import NothingReadable, UsageError
from loganalyze.ingest import load
from loganalyze.run import Run, Status

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis
    from loganalyze.run import Scalar

MLFLOW = "mlflow:"
MARK = b'"tool"'
HEAD = 2048  # bytes in which a diagnosis says that it is one


def opened(
    address: str,
    *,
    given: Mapping[str, Scalar] | None = None,
    told: Callable[[Path], None] | None = None,
) -> Run | Diagnosis:
    """Return the run at an address, or the diagnosis that was saved there.

    Raises
    ------
    NothingReadable
        If there is nothing to read.
    UsageError
        If no run, or no start, is called so.
    """
    saved = _saved(Path(address))
    if saved is not None:
        return saved
    path, name, start = parts(address)
    run = read_export(Path(path)) if is_export(Path(path)) else load(path, run=name, opened=told)
    if start is not None:
        run = segment(run, start)
    return run.with_config(given) if given else run


def parts(address: str) -> tuple[str, str | None, int | None]:
    """Take ``PATH#NAME@START`` apart; what is a path as it stands is one."""
    start = None
    if address == "-" or Path(address).exists():
        return address, None, None
    before, mark, number = address.rpartition("@")
    if mark and number.isdigit() and len(number) < 7:
        address, start = before, int(number)
        if Path(address).exists():
            return address, None, start
    if not address.startswith(MLFLOW):
        path, mark, name = address.rpartition("#")
        if mark and name and Path(path).exists():
            return path, name, start
    return address, None, start


def segment(run: Run, start: int) -> Run:
    """Return what one start of a run logged, as a run of its own.

    Raises
    ------
    UsageError
        If the run was not started so often.
    """
    numbers = run.metrics["segment"].to_numpy()
    known = np.unique(numbers)
    if start not in known:
        raise UsageError(
            f"{run.name} has no start @{start}; there are: {', '.join(f'@{n}' for n in known.tolist())}"
        )
    part = run.metrics[numbers == start].copy()
    part["segment"] = 0
    part = part.assign(
        **{name: part[name].cat.remove_unused_categories() for name in ("metric", "source", "name")}
    )
    steps = part["step"].to_numpy()
    first, last = int(steps.min()), int(steps.max())
    events = tuple(
        event for event in run.events if event.step is not None and first <= event.step <= last
    )
    is_last = start == int(known[-1])
    times = part["time"].to_numpy()
    times = times[np.isfinite(times)]
    return replace(
        run, name=f"{run.name}@{start}", metrics=part, events=run.events if is_last else events,
        status=run.status if is_last else Status.UNKNOWN, _cache={},
        planned_steps=run.planned_steps if is_last else None,
        started=float(times.min()) if len(times) else None,
        ended=float(times.max()) if len(times) else None,
    )  # fmt: skip


def _saved(path: Path) -> Diagnosis | None:
    """Return the diagnosis in a report or in a JSON document of this tool; None for anything else."""
    from loganalyze.report.read_back import embedded, read_back

    ending = path.suffix.lower()
    if not path.is_file() or ending not in (".json", ".html", ".htm"):
        return None
    if ending != ".json":
        return read_back(embedded(path))
    try:
        with path.open("rb") as file:
            if MARK not in file.read(HEAD):
                return None
    except OSError:
        return None
    return read_back(_document(path))


def _document(path: Path) -> object:
    import orjson

    try:
        return orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise NothingReadable(f"cannot read a diagnosis from {path}: {error}") from None
