"""Wide tables, a column a metric: placed in the run, and laid out as a row per logged number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loganalyze.frame import labelled, metrics_frame
from loganalyze.names import METRIC_ALIASES, canonical, fold
from loganalyze.run import Problem

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from loganalyze.run import FloatArray, IntArray

MAX_STEP = 2.0**53  # beyond it a step is no longer exact as a float
MOST_RESTARTS = 20  # more than anybody starts one run again: several runs share the table
MAX_CELLS = 30_000_000  # rows times columns; the frame takes some 60 bytes for each that is filled
COUNTED = "no step in it: the rows were counted instead"
_EPOCH_MEANS = ("train_loss_epoch", "train/loss_epoch", "loss_epoch", "train/epoch_loss")


@dataclass(frozen=True)
class Column:
    """The numbers of one metric: ``value`` and ``logged`` have an entry per row of the table.

    Where ``logged`` is False the cell is empty; a NaN that was logged is a value. ``metric`` is the
    canonical name where the file's format says more than the logged name does.
    """

    name: str
    value: FloatArray
    logged: NDArray[np.bool_]
    metric: str = ""


@dataclass(frozen=True)
class Wide:
    """A table as it stands in its file: `n` rows, each with a place in the run.

    Attributes
    ----------
    step
        Optimizer step (or whatever the run counts), NaN where the row states none.
    epoch
        NaN where the row states none.
    time
        UNIX seconds, NaN where the row states none.
    row
        1-based line or entry number in the file.
    part
        Number of the part of the file, where a second header begins a second start.
    held_out
        True for the rows of an evaluation.
    """

    step: FloatArray
    epoch: FloatArray
    time: FloatArray
    row: IntArray
    part: IntArray
    held_out: NDArray[np.bool_]
    columns: tuple[Column, ...]


def check_size(rows: int, columns: int) -> None:
    """Refuse a table that would not fit into memory.

    Raises
    ------
    ValueError
        If it has more than `MAX_CELLS` cells, filled or empty.
    """
    if rows * columns > MAX_CELLS:
        raise ValueError(f"{rows:,} rows of {columns:,} columns: too many to read")


def long_frame(
    table: Wide, source: str, end: float | None = None
) -> tuple[pd.DataFrame, list[Problem]]:
    """Lay out a wide table as a metrics frame, in the order of the file.

    Parameters
    ----------
    table
        The table.
    source
        Path of its file, as sources are named.
    end
        A step that may be the last one of an epoch, where the table logs only some of them.

    Returns
    -------
    tuple
        The frame, and remarks about how its steps came about.
    """
    import numpy as np

    columns = _by_split(table)
    if not columns:
        return metrics_frame({}), []
    logged = np.stack([column.logged for column in columns], axis=1)
    step, problems = place(table, np.asarray(logged.any(axis=1)), end)
    segment = segments(step, table.part, logged)
    restarts = int(segment.max(initial=0))
    if restarts > MOST_RESTARTS:
        text = f"steps fall back {restarts:,} times: several runs seem to share this table"
        problems.append(Problem(text))
    value = np.stack([column.value for column in columns], axis=1)
    at, code = np.nonzero(logged)
    frame = metrics_frame(
        {
            "metric": labelled(code, metric_names(columns)),
            "step": step[at],
            "epoch": table.epoch[at],
            "time": table.time[at],
            "value": value[at, code],
            "segment": segment[at],
            "source": source,
            "row": table.row[at],
            "name": labelled(code, [column.name for column in columns]),
        }
    )
    return frame, problems


def _by_split(table: Wide) -> list[Column]:
    """Part each column into what was logged in training and what in an evaluation."""
    columns = []
    for column in table.columns:
        metric = column.metric or canonical(column.name)
        held_out = metric if metric.startswith("eval/") else canonical(f"eval/{column.name}")
        for name, rows in ((metric, ~table.held_out), (held_out, table.held_out)):
            logged = column.logged & rows
            if logged.any():
                columns.append(replace(column, logged=logged, metric=name))
    return columns


def metric_names(columns: Sequence[Column]) -> list[str]:
    """Return the metric of each column; of several columns for one metric, the finest is it.

    The others keep their own names: a mean over the epoch is no point of the curve per step. Where
    such a mean is the only training loss, it is the training loss.
    """
    known = [column.metric for column in columns]
    if "train/loss" not in known:
        means = [at for at, column in enumerate(columns) if fold(column.name) in _EPOCH_MEANS]
        known = ["train/loss" if at in means[:1] else metric for at, metric in enumerate(known)]
    best: dict[str, tuple[int, int, int]] = {}
    for at, (column, metric) in enumerate(zip(columns, known, strict=True)):
        aliases = (metric, *METRIC_ALIASES.get(metric, ()))
        rank = aliases.index(fold(column.name)) if fold(column.name) in aliases else len(aliases)
        best[metric] = max(best.get(metric, (-1, 0, 0)), (int(column.logged.sum()), -rank, -at))
    return [
        metric if -best[metric][2] == at else _own_name(column.name, metric, at)
        for at, (column, metric) in enumerate(zip(columns, known, strict=True))
    ]


def _own_name(name: str, metric: str, index: int) -> str:
    is_hidden = metric.startswith("eval/") and not canonical(name).startswith("eval/")
    own = f"eval/{name}" if is_hidden else name
    return own if own != metric else f"{own}.{index}"


def place(
    table: Wide, logged: NDArray[np.bool_], end: float | None = None
) -> tuple[IntArray, list[Problem]]:
    """Return the step of each row, and remarks; `logged` tells which rows hold a number.

    A step that starts over with every epoch is counted on: epoch times the steps of an epoch, which
    is the longest place that was logged in one (or `end`, if that is the next place to be logged).
    An evaluation then stands at the end of its epoch.
    """
    import numpy as np

    step, epoch = table.step, table.epoch
    if not _known(step, logged).any():
        whole = _known(epoch, logged)
        if whole.any() and (epoch[whole] == np.floor(epoch[whole])).all():
            return _clean(_carried(epoch)), []
        return np.cumsum(logged).astype(np.int64), [Problem(COUNTED, lossy=False)]
    training = np.where(table.held_out, np.nan, step)
    length = _epoch_length(training, epoch, end)
    if not length:
        return _clean(_carried(step)), []
    base = 0 if np.nanmin(epoch) < 1 else 1
    inside = np.where(np.isfinite(training), training, length)
    counted = (np.floor(_carried(epoch)) - base) * length + inside
    text = f"steps start over with every epoch, which was taken to have {length:,.0f} of them"
    return _clean(counted), [Problem(text, lossy=False)]


def _known(values: FloatArray, logged: NDArray[np.bool_]) -> NDArray[np.bool_]:
    import numpy as np

    return np.isfinite(values) & logged


def _carried(values: FloatArray) -> FloatArray:
    """Give each row without a value the one above it."""
    import numpy as np

    at = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values)), -1))
    return np.where(at >= 0, values[at], np.nan)


def _clean(step: FloatArray) -> IntArray:
    import numpy as np

    return np.nan_to_num(np.clip(step, -1, MAX_STEP), nan=-1.0).astype(np.int64)


def _epoch_length(step: FloatArray, epoch: FloatArray, end: float | None) -> float:
    """Return the steps of an epoch where steps start over with every epoch, else 0."""
    import numpy as np

    both = np.isfinite(step) & np.isfinite(epoch)
    at, turn = step[both], epoch[both]
    falls = np.diff(at) < 0
    wrapped = falls & (np.diff(turn) > 0)
    if wrapped.sum() <= (falls & ~wrapped).sum():
        return 0.0
    longest = float(at.max()) + (at.min() == 0)
    gaps = np.diff(np.unique(at))
    interval = float(np.median(gaps)) if len(gaps) else longest
    return end if end is not None and longest <= end < longest + interval else longest


def segments(step: IntArray, part: IntArray, logged: NDArray[np.bool_]) -> IntArray:
    """Count a restart at each new part, and wherever all numbers of a row fall back.

    A number that falls back alone is another clock (an evaluation that is logged late), not a restart.
    """
    import numpy as np

    rows = np.flatnonzero(logged.any(axis=1) & (step >= 0))
    at, here = step[rows], logged[rows]
    fell = np.zeros(len(rows), dtype=bool)
    held = np.zeros(len(rows), dtype=bool)
    for column in here.T:
        points = np.flatnonzero(column)
        back = np.diff(at[points]) < 0
        fell[points[1:][back]] = True
        held[points[1:][~back]] = True
    restart = np.zeros(len(step), dtype=np.int64)
    restart[rows] = fell & ~held & (np.diff(at, prepend=at[:1]) < 0)
    restart[1:] |= np.diff(part) > 0
    return np.cumsum(restart)
