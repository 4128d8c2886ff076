"""Raw text: whatever a training printed. Numbers become rows, known lines become events."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from loganalyze.ingest import text_history
from loganalyze.ingest.ingester import Ingester, Table, relative
from loganalyze.ingest.text_layout import lay_out
from loganalyze.ingest.text_lines import windows
from loganalyze.ingest.text_reader import Reader
from loganalyze.run import Problem

LOG_NAME = re.compile(
    r"\.(?:log|out|err|stdout|stderr|jsonl|txt)$|\.o\d+$|^workerlog\.\d+$|^nohup|^slurm-|^stdout|^output"
)
NOT_A_LOG = re.compile(
    r"^(?:readme|requirements|license|licence|changelog|vocab|merges|notice|authors|added_tokens|environment)|"
    r"\.(?:py|md|rst|ya?ml|toml|cfg|ini|html?|csv|tsv|json|xml|ipynb|sh|js|css|pyc|bin|pt|pth|safetensors|"
    r"npy|npz|pkl|png|jpe?g|gz|zip|tar|model|lock)$", re.I
)  # fmt: skip
_METRIC_LINE = re.compile(rb"loss\W{1,4}[\d.]|'loss'|\"loss\"|Traceback \(most recent", re.I)


def claims(path: Path, head: bytes) -> bool:
    """Tell whether this is text that a training may have printed."""
    if not head:
        return False
    is_utf16 = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    if b"\0" in head and not is_utf16:
        return False
    if NOT_A_LOG.search(path.name):
        return False
    return bool(LOG_NAME.search(path.name)) or bool(_METRIC_LINE.search(head))


def read(path: Path, root: Path) -> list[Table]:
    """Read one log into one table."""
    run = relative(path.parent, root) if path != root else "."
    with path.open("rb") as file:
        table = read_stream(file, relative(path, root), run)
        if _is_empty(table) and path.stat().st_size <= text_history.LONGEST:
            # Perhaps it is one structure, printed over many lines.
            file.seek(0)
            whole = BytesIO(text_history.on_one_line(file.read()))
            table = read_stream(whole, relative(path, root), run)
    if _is_empty(table) and path.suffix not in {".log", ".out"}:
        return []
    if _is_empty(table):
        nothing = Problem("no metric was recognised in it", lossy=False)
        table = replace(table, problems=(*table.problems, nothing))
    return [table]


def read_stream(file: BinaryIO, source: str, run: str) -> Table:
    """Read what a training printed, from an open file, into one table."""
    problems: list[Problem] = []
    reader = Reader(source)
    for lines in windows(file, problems):
        reader.feed(lines)
    return finished(reader, problems, run)


def finished(reader: Reader, problems: Sequence[Problem], run: str) -> Table:
    """Return the table of a log that has been taken in; the reader is spent."""
    found = lay_out(reader)
    return Table(
        source=reader.source,
        format="text",
        run=run,
        metrics=found.metrics,
        config=reader.config,
        events=found.events,
        problems=(*problems, *found.problems),
        facts=found.facts,
    )


def _is_empty(table: Table) -> bool:
    return (table.metrics is None or not len(table.metrics)) and not table.events


INGESTER = Ingester("text", claims, read)
