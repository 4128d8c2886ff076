"""Tables of metrics as CSV or TSV: Lightning, Keras, Ultralytics, Stable-Baselines3, TensorBoard.

A table is known by its header: one column counts steps or epochs, another is a training metric.
An empty cell was not logged, ``nan`` is a value. A header that stands in the middle begins the
next start of a run. ``row`` is the 1-based number of the line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from loganalyze.ingest.axes import COUNTERS, is_measure, wide_table
from loganalyze.ingest.csv_cells import Part, header, parts, second_line_fits, utf8
from loganalyze.ingest.ingester import Facts, Ingester, Table, relative
from loganalyze.ingest.wide import Column, Wide, long_frame
from loganalyze.names import METRIC_ALIASES, canonical, fold

MAX_BYTES = 256 * 2**20  # ten million cells or more, whose frame needs ten times the memory
ENDINGS = frozenset({".csv", ".tsv", ".txt", ".log"})
TENSORBOARD_NAMES = ("wall_time", "step", "value")
_TENSORBOARD_FILE = re.compile(r"(?:^|-)tag-(.+?)(?: \(\d+\))?$")
_WANDB_COLUMN = re.compile(r"^(.+?) - (.+?)(__MIN|__MAX)?$")
_EVAL_FILE = re.compile(r"^(?:val|valid|validation|eval|test|dev)(?:[_.-]|$)", re.I)


def claims(path: Path, head: bytes) -> bool:
    """Tell whether this is a table of metrics, by its header."""
    if path.suffix.lower() not in ENDINGS or not head:
        return False
    named = header(utf8(head))
    if named is None:
        return False
    names = tuple(fold(name) for name in named.names)
    axes = [index for index, name in enumerate(names) if name in COUNTERS]
    if not axes or not second_line_fits(utf8(head), named, axes):
        return False
    return names == TENSORBOARD_NAMES or any(map(is_measure, names))


def read(path: Path, root: Path) -> list[Table]:
    """Read one file into one table.

    Raises
    ------
    ValueError
        If it is too large, or no line of it holds a number.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes: not read as a table of metrics")
    found = parts(utf8(path.read_bytes()))
    problems = [problem for part in found for problem in part.problems]
    source = relative(path, root)
    wide = _wide(found, path.stem)
    metrics, notes = long_frame(wide, source)
    if not len(metrics):
        raise ValueError("a header of metrics, but no number below it")
    return [
        Table(
            source=source,
            format="csv",
            run=relative(path.parent, root) if path != root else ".",
            metrics=metrics,
            problems=(*problems, *notes),
            facts=Facts(framework=_framework(wide.columns)),
        )
    ]


def _framework(columns: Sequence[Column]) -> str | None:
    names = {column.name for column in columns}
    if names & {"train/box_loss", "metrics/mAP50(B)", "metrics/accuracy_top1"}:
        return "ultralytics"
    return "stable-baselines3" if "time/fps" in names and "time/iterations" in names else None


def _wide(found: Sequence[Part], stem: str) -> Wide:
    """Put the parts one below the other, and sort the columns into axes and metrics."""
    import numpy as np

    names = list(dict.fromkeys(name for part in found for name in part.columns))
    held_out = np.concatenate([part.held_out for part in found])
    wide = wide_table(
        [_stacked(name, found) for name in names],
        row=np.concatenate([part.row for part in found]),
        part=np.repeat(np.arange(len(found)), [len(part.row) for part in found]),
        held_out=held_out | bool(_EVAL_FILE.match(stem)),
    )
    return replace(wide, columns=_named(wide.columns, stem))


def _stacked(name: str, found: Sequence[Part]) -> Column:
    import numpy as np

    empty = [(np.full(len(part.row), np.nan), np.zeros(len(part.row), bool)) for part in found]
    pieces = [
        (part.columns[name].value, part.columns[name].logged) if name in part.columns else nothing
        for part, nothing in zip(found, empty, strict=True)
    ]
    return Column(
        name,
        np.concatenate([value for value, _ in pieces]),
        np.concatenate([logged for _, logged in pieces]),
    )


def _named(columns: Sequence[Column], stem: str) -> tuple[Column, ...]:
    """Name the columns of downloaded tables by what they hold: a tag, a metric of one run."""
    if [fold(column.name) for column in columns] == ["value"]:
        return (Column(_tag(stem), columns[0].value, columns[0].logged),)
    matches = [_WANDB_COLUMN.match(column.name) for column in columns]
    runs = {match[1] for match in matches if match}
    if len(runs) != 1 or not all(matches):
        return tuple(columns)
    return tuple(
        Column(match[2], column.value, column.logged)
        for column, match in zip(columns, matches, strict=True)
        if match and not match[3]
    )


def _tag(stem: str) -> str:
    """Return the tag that TensorBoard put into the name of a download: ``run-x-tag-train_loss``."""
    found = _TENSORBOARD_FILE.search(stem)
    tag = found[1] if found else stem
    slashed = tag.replace("_", "/", 1)  # what the browser made of the slash
    return slashed if canonical(slashed) in METRIC_ALIASES else tag


INGESTER = Ingester("csv", claims, read)
