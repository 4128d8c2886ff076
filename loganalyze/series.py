"""The view of one metric that analysis works on, selected from the table of everything logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.run import Series

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from loganalyze.run import FloatArray, IntArray, Run

STEP_SECONDS = "perf/step_seconds"
LOSS = "train/loss"
SAME_AXIS = 1.5  # times the loss's last step, beyond which a metric counts something else


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a metrics frame as arrays: taking them out of the frame costs more than their use.

    ``metric``, ``source`` and ``name`` hold numbers, the first two into `metrics` and `sources`.
    """

    metrics: dict[str, int]
    sources: tuple[str, ...]
    metric: NDArray[Any]
    source: NDArray[Any]
    name: NDArray[Any]
    step: IntArray
    epoch: FloatArray
    time: FloatArray
    value: FloatArray
    segment: IntArray
    row: IntArray
    restarted: bool


def columns(metrics: pd.DataFrame | Columns) -> Columns:
    """Return the columns of a metrics frame; those at hand are returned as they are."""
    if isinstance(metrics, Columns):
        return metrics
    metric, source, name = (metrics[column].cat for column in ("metric", "source", "name"))
    plain = ("step", "epoch", "time", "value", "segment", "row")
    numbers = {column: metrics[column].to_numpy() for column in plain}
    return Columns(
        metrics={str(label): code for code, label in enumerate(metric.categories)},
        sources=tuple(str(label) for label in source.categories),
        metric=metric.codes.to_numpy(),
        source=source.codes.to_numpy(),
        name=name.codes.to_numpy(),
        restarted=bool(numbers["segment"].any()),
        **numbers,
    )


def select(
    metrics: pd.DataFrame | Columns, metric: str, sources: tuple[str, ...] | None = None
) -> Series:
    """Return `metric` as the given sources logged it (all of them by default).

    Sorted by step, the last of several points at one step, without what a restart superseded.
    """
    import numpy as np

    table = columns(metrics)
    rows = _rows(table, metric, sources)
    step = table.step[rows]
    if len(rows) and table.restarted:
        segment = table.segment[rows]
        keep = step < _superseded_from(table, metric, sources, step, segment)[segment]
        rows, step = rows[keep], step[keep]
    if (step[1:] < step[:-1]).any():
        order = np.argsort(step, kind="stable")
        rows, step = rows[order], step[order]
    last = np.ones(len(step), dtype=bool)
    last[:-1] = step[1:] != step[:-1]
    if not last.all():
        rows = rows[last]
    return _taken(table, metric, rows)


def every_start(metrics: pd.DataFrame | Columns, metric: str, sources: tuple[str, ...]) -> Series:
    """Return all points of `metric` in the order of the log, those that a restart superseded too."""
    table = columns(metrics)
    return _taken(table, metric, _rows(table, metric, sources))


def _taken(table: Columns, metric: str, rows: IntArray) -> Series:
    import numpy as np

    return Series(
        metric=metric,
        sources=table.sources,
        step=table.step[rows],
        value=table.value[rows],
        epoch=table.epoch[rows],
        time=table.time[rows],
        row=table.row[rows],
        origin=table.source[rows].astype(np.int64),
        segment=table.segment[rows],
    )


def families(run: Run) -> dict[str, list[tuple[str, ...]]]:
    """Return for each metric the families of sources that hold it, the preferred one first."""
    import numpy as np

    table, files = run.columns, run.columns.sources
    pairs = table.metric.astype(np.int64) * len(files) + table.source
    shape = len(table.metrics), len(files)
    present = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    home = {file: index for index, family in enumerate(run.families) for file in family}
    found = {}
    for name, counts in zip(table.metrics, present, strict=True):
        groups: dict[int | str, list[str]] = {}
        for file in (files[index] for index in np.flatnonzero(counts).tolist()):
            groups.setdefault(home.get(file, file), []).append(file)
        preferred = run.preferred.get(name, ())
        ordered = sorted(groups.values(), key=lambda group: group[0] not in preferred)
        found[name] = [tuple(group) for group in ordered]
    return found


def step_seconds(run: Run) -> Series:
    """Return the seconds that a step took, from the times at which the training loss was logged.

    Each point stands where the later of two neighbouring losses was logged: ``dt / d(step)``.
    The gap of a restart is left out; pauses for evaluation and saving are in it. Points that share
    a time stamp (of whole seconds, say) count as one. The first family that has times is used,
    which need not be the one that the loss is taken from.
    """
    import numpy as np

    for sources in families(run).get(LOSS, ()):
        loss = select(run.columns, LOSS, sources)
        loss = loss.take(np.isfinite(loss.time))
        loss = loss.take(np.r_[True, np.diff(loss.time) != 0][: len(loss)])
        seconds, steps = np.diff(loss.time), np.diff(loss.step)
        good = (np.diff(loss.segment) == 0) & (seconds > 0)
        if good.any():
            points = loss.take(np.flatnonzero(good) + 1)
            return points.measuring(STEP_SECONDS, seconds[good] / steps[good])
    return select(run.columns, STEP_SECONDS)


def _rows(table: Columns, metric: str, sources: tuple[str, ...] | None) -> IntArray:
    """Return the positions of the rows of a metric that have a step, under one name per start.

    A logger may write two numbers that are one metric here: ``train_loss_step`` and ``train_loss``.
    The one written more often counts, if both are written at the same steps; a later start, or
    another kind of line, may just use another name.
    """
    import numpy as np

    if metric not in table.metrics:
        return np.zeros(0, dtype=np.int64)
    rows = np.flatnonzero(table.metric == table.metrics[metric])
    wanted = np.array([sources is None or file in sources for file in table.sources], bool)
    if not wanted.all():
        rows = rows[wanted[table.source[rows]]]
    step = table.step[rows]
    rows = rows if (step >= 0).all() else rows[step >= 0]
    name = table.name[rows]
    if len(rows) and (name != name[0]).any():
        rows = rows[_under_one_name(name.astype(np.int64), table.step[rows], table.segment[rows])]
    return rows


def _under_one_name(name: IntArray, step: IntArray, segment: IntArray) -> NDArray[np.bool_]:
    """Mark in each segment the points of the commonest name, and of those that add other steps."""
    import numpy as np

    shape = int(segment.max()) + 1, int(name.max()) + 1
    pair = segment * shape[1] + name
    counts = np.bincount(pair, minlength=shape[0] * shape[1]).reshape(shape)
    first = name == counts.argmax(axis=1)[segment]
    place = np.unique(step, return_inverse=True)[1] * shape[0] + segment
    double = np.unique(pair[~first & np.isin(place, place[first])])
    return np.asarray(first | ~np.isin(pair, double))


def _superseded_from(
    table: Columns,
    metric: str,
    sources: tuple[str, ...] | None,
    step: IntArray,
    segment: IntArray,
) -> IntArray:
    """Return for each segment the first step that a later one logged.

    A restart that crashed before its first evaluation supersedes older evaluations all the same:
    the steps of the training loss count too, where they count the same thing.
    """
    import numpy as np

    first = _first_steps(step, segment)
    if metric != LOSS:
        rows = _rows(table, LOSS, sources)
        other = table.step[rows]
        if len(other) and step.max() <= SAME_AXIS * other.max():
            starts = _first_steps(other, table.segment[rows])
            longer, shorter = sorted((first, starts), key=len, reverse=True)
            first = longer.copy()
            first[: len(shorter)] = np.minimum(longer[: len(shorter)], shorter)
    never = np.iinfo(np.int64).max
    later = np.minimum.accumulate(np.r_[first[1:], never][::-1])[::-1]
    return np.asarray(later, dtype=np.int64)


def _first_steps(step: IntArray, segment: IntArray) -> IntArray:
    import numpy as np

    first = np.full(int(segment.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, segment, step)
    return first
