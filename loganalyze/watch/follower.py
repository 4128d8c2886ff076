"""Reading a path again and again: what did not change is not read again, what grew is read on.

The walk over the directory, the choice of a reader for each file and the merging are those of `load`: only
the reading of single files goes through this memory.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loganalyze.errors import NothingReadable, UsageError
from loganalyze.ingest import STANDARD_INPUT, ingesters, load_all
from loganalyze.ingest.discover import discover
from loganalyze.ingest.ingester import Ingester, Table, relative
from loganalyze.ingest.merge import merge_runs
from loganalyze.ingest.mlflow_uri import parse_address
from loganalyze.watch.fingerprint import states
from loganalyze.watch.text_log import TextLog

if TYPE_CHECKING:
    from loganalyze.run import Run

BY_LINES = frozenset(
    {"csv", "json-history", "monitor"}
)  # a last line without an end is not finished
COPIED = 64 * 2**20  # bytes; of a larger file the unfinished line is read as it is
State = dict[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class _Read:
    state: State
    neighbours: frozenset[str]
    settled: bool
    tables: tuple[Table, ...]


class Follower:
    """Follows one path.

    Attributes
    ----------
    readings
        How many files were read, over all calls.
    """

    def __init__(self, path: str) -> None:
        if path == STANDARD_INPUT:
            raise UsageError("standard input cannot be watched: give the path of a log")
        address = parse_address(path)
        self._path, self._remote = path, address is not None and address.local is None
        self._address = address
        self._root = Path(path) if address is None or address.local is None else address.local
        self._state: State = {}
        self._known: dict[Path, _Read] = {}
        self._logs: dict[Path, TextLog] = {}
        self._old: State = {}
        self.readings = 0

    def changed(self) -> bool:
        """Tell whether there is something new since the last `read`, or lines may be finished now."""
        if self._remote:
            return True
        now = states(self._root)
        return now != self._state or self._state != self._old

    def read(self) -> list[Run]:
        """Read what is new; return the runs, newest first.

        Raises
        ------
        NothingReadable
            If there is no training log (yet).
        """
        if self._remote:
            return load_all(self._path)
        self._old, self._state = self._state, states(self._root)
        shown = self._path if self._address is None else self._address.shown
        if not self._root.exists():
            raise NothingReadable(f"{shown} does not exist")
        readers = [replace(item, read=self._reading(item)) for item in ingesters()]
        tables = discover(self._root, readers).tables
        if self._address is not None:
            tables = [table for table in tables if self._address.wants(table)]
        self._forget()
        runs = merge_runs(tables, self._root, shown)
        if not any(len(run.metrics) or run.events for run in runs):
            raise NothingReadable(f"nothing readable in {shown} yet")
        return runs

    def _forget(self) -> None:
        gone = [path for path in self._known if not path.exists()]
        for path in gone:
            self._known.pop(path)
            self._logs.pop(path, None)

    def _reading(self, ingester: Ingester) -> Callable[[Path, Path], Sequence[Table]]:
        def read(path: Path, root: Path) -> Sequence[Table]:
            return self._read(ingester, path, root)

        return read

    def _read(self, ingester: Ingester, path: Path, root: Path) -> Sequence[Table]:
        """Return the tables of one file (or folder), from memory where it did not change."""
        state, before = states(path), self._known.get(path)
        settled = all(self._old.get(name) == entry for name, entry in state.items())
        neighbours = frozenset() if ingester.name == "text" else _neighbours(path)
        known = before is not None and (before.state, before.neighbours) == (state, neighbours)
        if (
            before is not None
            and known
            and (settled == before.settled or not _is_open(before, path))
        ):
            return before.tables
        self.readings += 1
        try:
            tables = self._anew(ingester, path, root, settled=settled)
        except (OSError, ValueError):
            if before is None or settled:
                raise
            return before.tables  # it is being written over just now
        if not settled:
            tables = [_without_tail(table) for table in tables]
        self._known[path] = _Read(state, neighbours, settled, tuple(tables))
        return tables

    def _anew(
        self, ingester: Ingester, path: Path, root: Path, *, settled: bool
    ) -> Sequence[Table]:
        if ingester.name == "text":
            return self._text(ingester, path, root, settled=settled)
        if settled or ingester.name not in BY_LINES:
            return ingester.read(path, root)
        with _finished_lines(path, root) as (part, base):
            return ingester.read(part, base)

    def _text(
        self, ingester: Ingester, path: Path, root: Path, *, settled: bool
    ) -> Sequence[Table]:
        run = relative(path.parent, root) if path != root else "."
        log = self._logs.setdefault(path, TextLog(relative(path, root), run))
        table = log.read(path, settled=settled)
        if table is None or not (len(table.frame) or table.events):
            return ingester.read(path, root)  # it knows more shapes of small files
        return [table]


def _neighbours(path: Path) -> frozenset[str]:
    """Return the names beside a file and above it: some readers look whether another is there."""
    names: set[str] = set()
    for folder in (path.parent, path.parent.parent):
        try:
            names.update(entry.name for entry in folder.iterdir())
        except OSError:
            continue
    return frozenset(names)


def _is_open(read: _Read, path: Path) -> bool:
    """Tell whether something of a file was held back while it was written."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            if not file.tell():
                return False
            file.seek(-1, 2)
            return file.read(1) != b"\n" or read.tables == ()
    except OSError:  # a folder
        return True


def _without_tail(table: Table) -> Table:
    """Leave out the remarks on what is behind the last row: it is not finished yet."""
    last = int(table.frame["row"].max()) if len(table.frame) else 0
    kept = tuple(p for p in table.problems if p.row is None or p.row <= last)
    return table if len(kept) == len(table.problems) else replace(table, problems=kept)


@contextmanager
def _finished_lines(path: Path, root: Path) -> Iterator[tuple[Path, Path]]:
    """Give a copy without the last line where that has no end yet, else the file itself."""
    with path.open("rb") as file:
        data = b"" if path.stat().st_size > COPIED else file.read()
    if not data or data.endswith(b"\n") or b"\n" not in data:
        yield path, root
        return
    folder = Path(tempfile.mkdtemp(prefix="loganalyze-"))
    try:
        copy = folder / (relative(path, root) if path != root else path.name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(data[: data.rfind(b"\n") + 1])
        yield copy, copy if path == root else folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
