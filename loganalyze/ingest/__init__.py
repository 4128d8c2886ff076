"""Reading: a path becomes a `Run`.

`load` finds what a directory holds (`discover`), lets each ingester read what it claims, sorts
the resulting tables into runs and merges each run's tables into one (`merge`).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from loganalyze.errors import NothingReadable, UsageError
from loganalyze.ingest import (
    checkpoint,
    config_file,
    csv_table,
    hf_trainer,
    json_history,
    mlflow,
    mlflow_server,
    monitor_files,
    notebook,
    stdout,
    tensorboard,
    training_args,
    wandb_run,
)
from loganalyze.ingest.ingester import Ingester, Table
from loganalyze.ingest.mlflow_uri import parse_address
from loganalyze.plugins import added

if TYPE_CHECKING:
    from loganalyze.run import Run, Scalar

# Most specific first: the first one that claims a path reads it.
INGESTERS: tuple[Ingester, ...] = (
    wandb_run.INGESTER,
    monitor_files.INGESTER,
    hf_trainer.INGESTER,
    tensorboard.INGESTER,
    mlflow.FILE_STORE,
    mlflow.DATABASE,
    csv_table.INGESTER,
    json_history.INGESTER,
    training_args.INGESTER,
    checkpoint.INGESTER,
    notebook.INGESTER,
    config_file.INGESTER,
    stdout.INGESTER,
)

STANDARD_INPUT = "-"
Opened: TypeAlias = Callable[[Path], None]


@cache
def ingesters() -> tuple[Ingester, ...]:
    """Return the ingesters that others add (``loganalyze.ingesters``), then those of this package.

    An added one knows its own format best, and is asked first: the last of ours takes any text.
    """
    return (*added("loganalyze.ingesters", Ingester), *INGESTERS)


def load(
    path: str | Path,
    *,
    run: str | None = None,
    given: Mapping[str, Scalar] | None = None,
    opened: Opened | None = None,
) -> Run:
    """Read the training run at `path`.

    Parameters
    ----------
    path
        A directory, one file, ``"-"`` for standard input, or an MLflow store or tracking server:
        ``"mlflow:URI#RUN_ID"``. The latter is the only one that is read over a network.
    run
        Which run, where the path holds several (a name from `Run.others`); the newest otherwise.
    given
        Settings of the run that its log lacks, such as ``{"num_classes": 280}``.
    opened
        Told the path of each file before it is read, for a display of progress.

    Raises
    ------
    NothingReadable
        If there is no training log at `path`.
    UsageError
        If no run is called `run`.
    """
    address = parse_address(str(path))
    if address is not None and address.local is None:
        chosen = mlflow_server.load_run(address, run)
    else:
        chosen = _pick(load_all(path, opened=opened), run)
    return chosen.with_config(given) if given else chosen


def load_all(
    path: str | Path,
    *,
    opened: Opened | None = None,
    keep: Callable[[Path], bool] = lambda path: True,
) -> list[Run]:
    """Read every run at `path`, newest first; each lists the others.

    Of a directory, only the files and folders that `keep` agrees to.

    Raises
    ------
    NothingReadable
        If there is no training log at `path`.
    """
    if str(path) == STANDARD_INPUT:
        return _load_standard_input()
    address = parse_address(str(path))
    if address is None:
        return _load_files(Path(path), str(path), opened, keep=keep)
    if address.local is None:
        return mlflow_server.load_runs(address)
    return _load_files(address.local, address.shown, opened, address.wants)


def _load_files(
    root: Path,
    shown: str,
    opened: Opened | None,
    wants: Callable[[Table], bool] = lambda table: True,
    keep: Callable[[Path], bool] = lambda path: True,
) -> list[Run]:
    """Read the runs in a file or below a directory, of those tables that are wanted."""
    from loganalyze.ingest.discover import discover
    from loganalyze.ingest.merge import merge_runs

    if not root.exists():
        raise NothingReadable(f"{shown} does not exist")
    readers = ingesters()
    if opened is not None:
        readers = tuple(_told(item, opened) for item in readers)
    found = discover(root, readers, keep)
    tables = [table for table in found.tables if wants(table)]
    runs = merge_runs(tables, root, shown)
    if not any(len(run.metrics) or run.events for run in runs):
        raise NothingReadable(_nothing(shown, tables, found.names))
    return runs


def _told(ingester: Ingester, opened: Opened) -> Ingester:
    """Return an ingester that tells of each path before it reads it."""

    def read(path: Path, root: Path) -> Sequence[Table]:
        opened(path)
        return ingester.read(path, root)

    return replace(ingester, read=read)


def _load_standard_input() -> list[Run]:
    from loganalyze.ingest.merge import merge_runs

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin.log"
        path.write_bytes(sys.stdin.buffer.read())
        tables = list(stdout.INGESTER.read(path, path))
        runs = merge_runs(tables, path, STANDARD_INPUT)
    if not any(len(run.metrics) or run.events for run in runs):
        raise NothingReadable("nothing readable on standard input: no line holds a metric")
    return runs


def _pick(runs: list[Run], name: str | None) -> Run:
    if name is None:
        return runs[0]
    for run in runs:
        if run.name == name:
            return run
    names = ", ".join(run.name for run in runs)
    raise UsageError(f"no run is called {name!r}; there are: {names}")


def _nothing(path: str | Path, tables: list[Table], names: list[str]) -> str:
    problems = [f"{table.source}: {problem.text}" for table in tables for problem in table.problems]
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        return f"nothing readable in {path}: {'; '.join(problems[:3])}{more}"
    seen = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    files = f"{len(names)} files seen: {seen}" if names else "it is empty"
    formats = (
        "logs of stdout, trainer_state.json, TensorBoard event files, MLflow stores, W&B runs, "
        "CSV and JSON histories, notebooks"
    )
    return f"nothing readable in {path} ({files}). Formats: {formats}"
