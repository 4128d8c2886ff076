"""All scalars of an event file as columns, and the metrics frame made of them."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from loganalyze.frame import labelled, metrics_frame
from loganalyze.ingest.tf_columns import groups
from loganalyze.ingest.tf_event import Events, read_event
from loganalyze.ingest.tf_windows import Window, windows
from loganalyze.ingest.tfrecord import RecordFile
from loganalyze.names import canonical
from loganalyze.run import Problem

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Columns: TypeAlias = dict[str, NDArray[Any]]

MAX_PROBLEMS = 1_000  # records told one by one; the rest of a file of rubbish is counted
SUMMARY_TAG = "train/train_runtime"
_SUMMARY_TAGS = re.compile(
    r"^train/(?:train_(?:loss|runtime|samples_per_second|steps_per_second)|total_flos)$"
)
KERAS_EPOCH = "epoch_"  # tags whose step counts epochs
_COLUMNS = {"tag": "int32", "step": "int64", "time": "float64", "value": "float64", "row": "int64"}
_UNREAD = -1  # in a column of tags: no scalar was read from this record


@dataclass
class Points:
    """The scalars of a file in the order of their records, and what else it held.

    Attributes
    ----------
    tags
        Tag -> its number.
    parts
        Columns, one part a window: ``tag`` (its number), ``step``, ``time``, ``value``, ``row``.
    untold
        How many damaged records are not among the `problems`.
    """

    tags: dict[str, int] = field(default_factory=dict)
    parts: list[Columns] = field(default_factory=list)
    events: Events = field(default_factory=Events)
    problems: list[Problem] = field(default_factory=list)
    untold: int = 0

    def numbers(self, tags: list[str]) -> NDArray[np.int32]:
        """Return the numbers of tags; new ones get the next."""
        import numpy as np

        return np.array([self.tags.setdefault(tag, len(self.tags)) for tag in tags], dtype="int32")

    def tell(self, text: str, row: int) -> None:
        """Note that a record could not be read."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(text, row))
        else:
            self.untold += 1

    def columns(self) -> Columns:
        """Hand over the columns of all parts as one; each part is given up as it is copied."""
        import numpy as np

        return {
            name: np.concatenate([np.empty(0, kind), *(part.pop(name) for part in self.parts)])
            for name, kind in _COLUMNS.items()
        }


def read_points(file: RecordFile) -> Points:
    """Read all events of a file."""
    points = Points()
    for window in windows(file, points.problems):
        columns = _grouped(file, window, points)
        _single(file, window, columns["tag"] == _UNREAD, points)
        points.parts.append(_in_order(columns, points))
    if points.untold:
        points.problems.append(Problem(f"{points.untold:,} more records could not be read"))
    return points


def _grouped(file: RecordFile, window: Window, points: Points) -> Columns:
    """Read the records of a window that can be read in groups: columns with a place per record."""
    import numpy as np

    count = len(window.starts)
    columns = {name: np.zeros(count, kind) for name, kind in _COLUMNS.items()}
    columns["row"] = np.arange(window.number, window.number + count)
    columns["tag"][:] = _UNREAD
    for group in groups(file, window):
        columns["tag"][group.index] = points.numbers(group.tags)[group.code]
        columns["step"][group.index] = group.step
        columns["time"][group.index] = group.time
        columns["value"][group.index] = group.value
    read = np.flatnonzero(columns["tag"] != _UNREAD)
    if len(read):
        points.events.began(window.number + int(read[0]), float(columns["time"][read[0]]))
    return columns


def _single(file: RecordFile, window: Window, left: NDArray[np.bool_], points: Points) -> None:
    """Read the records of a window that are `left`, one by one."""
    places = left.nonzero()[0]
    rows = (places + window.number).tolist()
    starts, lengths = window.starts[places].tolist(), window.lengths[places].tolist()
    for row, start, length in zip(rows, starts, lengths, strict=True):
        if not file.is_sound(start, start + length):
            points.tell(f"wrong checksum of record {row:,}: left out", row)
            continue
        try:
            read_event(file.view[start : start + length], row, points.events)
        except (ValueError, struct.error) as error:
            points.tell(f"record {row:,} is no event: {error}", row)


def _in_order(columns: Columns, points: Points) -> Columns:
    """Put the scalars of groups and those of single events in the order of their records."""
    import numpy as np

    read = columns["tag"] != _UNREAD
    columns = {name: column[read] for name, column in columns.items()}
    scalars = points.events.scalars
    if not scalars:
        return columns
    tags, step, time, value, row = (list(column) for column in zip(*scalars, strict=True))
    scalars.clear()
    added: dict[str, Any] = {
        "tag": points.numbers(tags),
        "step": step,
        "time": time,
        "value": value,
        "row": row,
    }
    places = np.searchsorted(columns["row"], row)
    return {name: np.insert(column, places, added[name]) for name, column in columns.items()}


def points_frame(points: Points, source: str, prefix: str) -> pd.DataFrame:
    """Return the points as rows; `prefix` names the split that the folder stands for."""
    import numpy as np

    columns = points.columns()
    tags, code = list(points.tags), columns["tag"]
    counts_epochs = np.array([tag.startswith(KERAS_EPOCH) for tag in tags], dtype=bool)
    epoch = columns["step"].astype(np.float64)
    if len(code):
        epoch[~counts_epochs[code]] = np.nan
    return metrics_frame(
        {
            "metric": labelled(code, _metric_names(tags, prefix)),
            "step": columns["step"],
            "epoch": epoch,
            "time": columns["time"],
            "value": columns["value"],
            "segment": segments(code, columns["step"]),
            "source": source,
            "row": columns["row"],
            "name": labelled(code, tags),
        }
    )


def _metric_names(tags: list[str], prefix: str) -> list[str]:
    """Return the canonical names of tags in a folder that stands for a split, or for none."""
    has_summary = SUMMARY_TAG in tags
    return [
        f"summary/{tag.removeprefix('train/')}"
        if has_summary and _SUMMARY_TAGS.match(tag)
        else canonical(tag if tag.startswith(prefix) else f"{prefix}{tag}")
        for tag in tags
    ]


def segments(code: NDArray[np.int32], step: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the restarts before each point: places where a tag's step falls back.

    Several tags fall back at one restart: it is counted at the first of them. A tag that falls
    back below what it logged since that place tells the next restart.

    Parameters
    ----------
    code, step
        Number of the tag, and step, of each point in the order of the log: shape (n,).
    """
    import numpy as np

    segment = np.zeros(len(code), dtype=np.int64)
    small = code.astype(np.min_scalar_type(code.max(initial=0)))  # sorted by counting
    order = np.argsort(small, kind="stable")
    tags, steps = small[order], step[order]
    falls = (tags[1:] == tags[:-1]) & (steps[1:] < steps[:-1])
    found = order[1:][falls]
    by_place = np.argsort(found)
    last = 0
    for place, before in zip(
        found[by_place].tolist(), order[:-1][falls][by_place].tolist(), strict=True
    ):
        if before >= last:
            segment[place] = 1
            last = place
    return np.cumsum(segment)
