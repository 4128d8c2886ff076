"""Notebooks: the table of losses that the Hugging Face Trainer shows below its progress bar.

A notebook says nothing of where its training wrote, and may be older than what lies beside it: its
tables are read only where it is itself what was pointed at. ``row`` counts their rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from loganalyze.ingest.axes import COUNTERS, is_measure, wide_table
from loganalyze.ingest.ingester import Facts, Ingester, Table, relative
from loganalyze.ingest.json_columns import from_records
from loganalyze.ingest.wide import long_frame
from loganalyze.names import fold
from loganalyze.run import Problem

MAX_BYTES = 64 * 2**20  # figures and all
MAX_PAGE = 2**20  # characters of one output; the parser's time may grow faster than that
_PLANNED = re.compile(r"\[ *\d+/(\d+) [^\[\]]{0,80}Epoch [\d.]{1,12}/(\d+)\]")
_TRAINED = frozenset({"training_loss", "train_loss", "loss"})


def claims(path: Path, head: bytes) -> bool:
    """Tell whether this is a notebook."""
    return path.suffix == ".ipynb" and head.lstrip()[:1] == b"{"


def read(path: Path, root: Path) -> list[Table]:
    """Read the tables of losses in a notebook, a run each.

    Raises
    ------
    ValueError
        If it is too large or no notebook.
    """
    import orjson

    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes: not read as a notebook")
    try:
        notebook = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ValueError(f"no notebook: {error}") from None
    source = relative(path, root)
    found = [(page, rows) for page in _pages(notebook) for rows in _tables(page)]
    if path != root:
        text = "a notebook with a table of losses: point at it alone to read it"
        remark = Problem(text, lossy=False)
        folder = relative(path.parent, root)
        return [Table(source, "notebook", folder, problems=(remark,))] if found else []
    return [
        _table(source, "." if number == 1 else f"table-{number}", page, rows)
        for number, (page, rows) in enumerate(found, start=1)
    ]


def _table(source: str, run: str, page: str, rows: Sequence[Sequence[str]]) -> Table:
    names = _names(rows[0])
    records = from_records(
        (row, dict(zip(names, cells, strict=False))) for row, cells in enumerate(rows[1:], start=1)
    )
    wide = wide_table(records.columns, records.row, records.row * 0, records.held_out)
    metrics, remarks = long_frame(wide, source)
    return Table(
        source, "notebook", run, metrics, problems=tuple(remarks), facts=_facts(page, names[0])
    )


def _facts(page: str, counter: str) -> Facts:
    """Read the progress bar above the table; its steps are no plan for a table by epochs."""
    planned = _PLANNED.search(page)
    if not planned:
        return Facts()
    steps = int(planned[1]) if counter == "step" else None
    return Facts(
        framework="hf-trainer", planned_steps=steps or None, planned_epochs=float(planned[2])
    )


def _names(header: Sequence[str]) -> list[str]:
    """Name the columns: beside a validation loss, all but the training loss are of the evaluation."""
    folded = [fold(name) for name in header]
    if "validation_loss" not in folded:
        return folded
    ours = COUNTERS | _TRAINED | {"validation_loss"}
    return [name if name in ours else f"eval_{name}" for name in folded]


def _pages(notebook: Any) -> Iterator[str]:
    """Yield the HTML outputs of the cells."""
    for cell in _list(notebook, "cells"):
        for output in _list(cell, "outputs"):
            data = output.get("data") if isinstance(output, dict) else None
            page = data.get("text/html") if isinstance(data, dict) else None
            if isinstance(page, list):
                page = "".join(part for part in page if isinstance(part, str))
            if isinstance(page, str) and len(page) <= MAX_PAGE and "<table" in page:
                yield page


def _list(value: Any, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _tables(page: str) -> list[list[list[str]]]:
    """Return the tables whose header names a counter and something that trainings log."""
    parser = _Cells()
    # What follows a broken declaration is lost: the parser gives up on it with an assertion.
    with suppress(AssertionError):
        parser.feed(page)
    tables = []
    for rows in parser.tables:
        names = [fold(name) for name in rows[0]] if len(rows) > 1 else []
        if any(name in COUNTERS for name in names) and any(map(is_measure, names)):
            tables.append(rows)
    return tables


class _Cells(HTMLParser):
    """Collects the texts of the cells of every table."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in {"td", "th"} and self.tables and self.tables[-1]:
            self.tables[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th", "tr", "table"}:
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.tables[-1][-1][-1] += data.strip()


INGESTER = Ingester("notebook", claims, read)
