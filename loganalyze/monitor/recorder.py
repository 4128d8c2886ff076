"""Everything that was logged to a monitor: in memory as columns, on disk as lines, and as a `Run`.

The run is built by the functions that read the same directory later, from the same columns: what the
detectors see now is what they will see then. The lines are the state, and nothing else is saved.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.ingest import json_columns, json_history, monitor_files
from loganalyze.ingest.json_columns import Cells
from loganalyze.ingest.merge import merge
from loganalyze.monitor.lines import Lines, strict

if TYPE_CHECKING:
    from loganalyze.run import Problem, Run

NUMBERS, JOURNAL, LAYERS = "metrics.jsonl", "journal.jsonl", "layers.jsonl"
VERSION = 1


def _head(kind: str) -> dict[str, Any]:
    return {"loganalyze": kind, "version": VERSION}


class Recorder:
    """The files of one monitored run, and their numbers in memory.

    A directory that holds a run already is continued: its numbers are read back first.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.cells = Cells()
        self.problems: list[Problem] = []
        self._aside = 0.0
        self._numbers = Lines(directory / NUMBERS, _head(monitor_files.NUMBERS))
        self._journal = Lines(directory / JOURNAL, _head(monitor_files.JOURNAL))
        self._layers: Lines | None = None
        self.resumed = self._numbers.count > 1
        if self.resumed:
            self._read_back()

    def _read_back(self) -> None:
        data = (self.directory / NUMBERS).read_bytes()
        broken: list[int] = []
        for row, record in json_columns.parsed_lines(data, broken):
            if row > 1:  # below the head
                self.cells.add(row, record)
        self.problems = json_columns.left_out(broken)

    def add(self, step: int, found: Mapping[str, float]) -> None:
        """Keep the numbers of one log point."""
        record = {"step": step, "time": self._now(), **found}
        row = self._numbers.count + 1
        self.cells.add(row, record)
        self._numbers.add(strict(record))

    def _now(self) -> float:
        """Return the time of day, less the time that the monitor itself took: a step did not take that."""
        return round(time.time() - self._aside, 6)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the time inside of this block out of the times of the log."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._aside += time.perf_counter() - began

    def note(self, event: str, **facts: Any) -> None:
        """Write into the journal what happened."""
        record = {"event": event, "time": round(time.time(), 3), **facts}
        self._journal.add(strict(record))

    def add_layers(self, step: int, found: Mapping[str, float]) -> None:
        """Keep the statistics of layers; they have a file of their own, as they are many."""
        if self._layers is None:
            self._layers = Lines(self.directory / LAYERS, _head(monitor_files.LAYERS))
        self._layers.add(strict({"step": step, "time": self._now(), **found}))

    def run(self) -> Run:
        """Return what was logged so far, as reading the directory would give it."""
        root = self.directory
        found = self.cells.records()
        found = json_columns.Records(found.columns, found.row, found.held_out, self.problems)
        tables = json_history.tables(found, root / NUMBERS, root) if len(self.cells) else []
        tables += monitor_files.read(root / JOURNAL, root)
        return merge(root.resolve().name or "run", tables, str(root))

    def close(self) -> None:
        """Close the files."""
        for lines in (self._numbers, self._journal, self._layers):
            if lines is not None:
                lines.close()
