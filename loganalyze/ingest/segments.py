"""Where a run started again: one number per start, over all sources of a family.

A restart shows in one of four ways: steps fall back inside a source (its reader counts those); a
line says that training was resumed; another process goes on in a file of its own; a checkpoint
holds points that the final state does not, because training went back behind them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loganalyze.ingest.ingester import Table
from loganalyze.run import EventKind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from loganalyze.run import IntArray

STATES = "hf-trainer-state"  # each file of this format repeats the history of those before it
# events.out.tfevents.<time>.<host>.<process>.<count>: one process may write several files.
_PROCESS = re.compile(r"tfevents\.\d+\.(.+\.\d+)\.\d+(?:\.v2)?$")


def number_segments(family: Sequence[Table]) -> list[pd.DataFrame]:
    """Return the metrics of each source with its restarts counted over the whole family.

    Points that a later state repeats unchanged are left out.
    """
    if family[0].format == STATES:
        return _states(family)
    frames = []
    start = _Start()
    top = -1
    for table in family:
        inner = _resumed(table)
        spans = _spans(table.frame)
        if start.is_left(table, spans):
            start = _Start(top + 1)
        start.take(table, spans)
        frames.append(_numbered(table.frame, inner + start.number if start.number else inner))
        top = max(top, start.number + int(inner.max(initial=0)))
    return frames


@dataclass
class _Start:
    """One start of the run: the number of its first segment, and what was seen of it so far."""

    number: int = 0
    last: dict[str, int] = field(default_factory=dict)  # metric -> its last step
    processes: set[str] = field(default_factory=set)

    def is_left(self, table: Table, spans: dict[str, tuple[int, int]]) -> bool:
        """Tell whether a source is written by a later start.

        Sources without a common metric (train and validation) are parallel, and so is one that only
        evaluates. One process goes on in another file without having started again, unless its
        steps fall back.
        """
        training = {metric for metric in self.last if not metric.startswith("eval/")}
        common = spans.keys() & (training or self.last.keys())
        is_snapshot = all(first == last for first, last in spans.values())  # a file for each epoch
        if is_snapshot or _process(table) in self.processes:
            return any(spans[metric][0] < self.last[metric] for metric in common)
        return bool(common)

    def take(self, table: Table, spans: dict[str, tuple[int, int]]) -> None:
        """Remember what a source of this start reached."""
        for metric, (_, last) in spans.items():
            self.last[metric] = max(last, self.last.get(metric, last))
        process = _process(table)
        if process:
            self.processes.add(process)


def _process(table: Table) -> str | None:
    found = _PROCESS.search(table.source)
    return found[1] if found else None


def _numbered(frame: pd.DataFrame, segment: IntArray) -> pd.DataFrame:
    if segment is frame["segment"].to_numpy():
        return frame
    return frame.assign(segment=segment)


def _spans(frame: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Return the first and the last step of each metric."""
    import numpy as np

    names = frame["metric"].cat.categories
    codes, step = frame["metric"].cat.codes.to_numpy(), frame["step"].to_numpy()
    low = np.full(len(names), np.iinfo(np.int64).max)
    high = np.full(len(names), -1, dtype=np.int64)
    placed = step >= 0
    np.minimum.at(low, codes[placed], step[placed])
    np.maximum.at(high, codes[placed], step[placed])
    used = np.flatnonzero(high >= 0).tolist()
    return {str(names[index]): (int(low[index]), int(high[index])) for index in used}


def _resumed(table: Table) -> IntArray:
    """Return the segments of a source, with a new one after each line that says so.

    Such a line starts nothing before the first loss (the program was only told where to begin),
    after the last (the best weights are loaded to be tested), or where steps fall back anyway.
    """
    import numpy as np

    frame = table.frame
    segment, row = frame["segment"].to_numpy(), frame["row"].to_numpy()
    told = sorted({e.where.row or 0 for e in table.events if e.kind is EventKind.RESUME})
    if not told:
        return segment
    training = np.flatnonzero((frame["metric"] == "train/loss").to_numpy())
    training = training if len(training) else np.arange(len(row))
    places = np.searchsorted(row[training], told, side="right")
    places = np.unique(places[(places > 0) & (places < len(training))])
    same = segment[training[places]] == segment[training[places - 1]]
    begins = np.zeros(len(row), dtype=np.int64)
    for place in places[same].tolist():
        line = max(line for line in told if line < row[training[place]])
        begins[np.searchsorted(row, line, side="right")] = 1
    return segment + np.cumsum(begins)


def _states(family: Sequence[Table]) -> list[pd.DataFrame]:
    """Keep the latest state whole, and of the older ones what training left behind.

    A state repeats the history of the checkpoint that it went on from. What an older state has
    beyond their common beginning was superseded; the later state starts again right there.
    """
    import numpy as np

    codes = _common_codes(family)
    latest, *older = range(len(family) - 1, -1, -1)
    kept = [latest]
    branches: list[tuple[int, int, int]] = []  # where it leaves the latest, its index, from row
    for index in older:
        common = [_common_length(family, codes, index, other) for other in kept]
        if max(common) < len(codes[index]):
            branches.append((common[0], index, max(common)))
            kept.append(index)
    branches.sort()
    frames = []
    for count, (_, index, start) in enumerate(branches):
        left = family[index].frame.iloc[start:].reset_index(drop=True)
        frames.append(_numbered(left, left["segment"].to_numpy() + count))
    final = family[latest].frame
    segment = final["segment"].to_numpy()
    if branches:
        starts = np.asarray([leaves for leaves, _, _ in branches])
        segment = segment + np.searchsorted(starts, np.arange(len(final)), side="right")
    return [*frames, _numbered(final, segment)]


def _common_codes(family: Sequence[Table]) -> list[NDArray[np.int32]]:
    """Return the metrics of each state as numbers that mean the same in all of them."""
    import numpy as np

    place: dict[str, int] = {}
    found = []
    for table in family:
        names = [str(name) for name in table.frame["metric"].cat.categories]
        new = np.asarray([place.setdefault(name, len(place)) for name in names], dtype=np.int32)
        found.append(new[table.frame["metric"].cat.codes.to_numpy()])
    return found


def _common_length(
    family: Sequence[Table], codes: Sequence[NDArray[np.int32]], one: int, two: int
) -> int:
    """Return the number of rows that two states have in common at their beginning."""
    import numpy as np

    n = min(len(codes[one]), len(codes[two]))
    left, right = family[one].frame, family[two].frame
    other = codes[one][:n] != codes[two][:n]
    other |= left["step"].to_numpy()[:n] != right["step"].to_numpy()[:n]
    mine, theirs = left["value"].to_numpy()[:n], right["value"].to_numpy()[:n]
    other |= (mine != theirs) & ~(np.isnan(mine) & np.isnan(theirs))
    return int(other.argmax()) if other.any() else n
