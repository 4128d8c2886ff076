"""Sources that continue each other are one family; each metric is analysed from one family.

The files of a format are a family. A log of text is one of its own, unless it goes on where another
log of the run stopped, or a launcher says that it is the next attempt of the same job.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loganalyze.ingest.ingester import PER_FILE, Table
from loganalyze.ingest.overlap import Points, continues, points
from loganalyze.ingest.ranks import members

if TYPE_CHECKING:
    import pandas as pd


def families(tables: Sequence[Table]) -> list[list[Table]]:
    """Group the tables that have metrics, each group in the order in which it was written."""
    formats: dict[str, list[Table]] = defaultdict(list)
    for table in tables:
        if len(table.frame):
            formats[table.format].append(table)
    found: list[list[Table]] = []
    for kind, members_of_kind in formats.items():
        alone = kind not in PER_FILE or len(members_of_kind) == 1
        found += [members_of_kind] if alone else _chains(members_of_kind)
    return found


def _chains(logs: Sequence[Table]) -> list[list[Table]]:
    known = members(log.source for log in logs)
    lanes: dict[str, list[Table]] = defaultdict(list)
    for log in logs:
        lanes[known[log.source].lane].append(log)
    chains: list[tuple[list[Table], Points]] = []
    by_start = sorted(((_in_order(lane), points(lane)) for lane in lanes.values()), key=_start)
    for lane, own in by_start:
        for index, (chain, last) in enumerate(chains):
            if continues(own, last):
                chains[index] = ([*chain, *lane], own)
                break
        else:
            chains.append((lane, own))
    return [chain for chain, _ in chains]


def _in_order(lane: Sequence[Table]) -> list[Table]:
    known = members(log.source for log in lane)
    return sorted(lane, key=lambda log: known[log.source].attempt)


def _start(lane: tuple[list[Table], Points]) -> int:
    return min((int(step[0]) for step, _ in lane[1].values()), default=0)


def preferred(frames: Sequence[Sequence[pd.DataFrame]]) -> dict[str, tuple[str, ...]]:
    """Pick the finest family per metric: most distinct steps; the earlier family on a tie.

    Parameters
    ----------
    frames
        For each family the metrics of its sources.
    """
    import numpy as np

    held: dict[str, list[int]] = defaultdict(list)
    for index, family in enumerate(frames):
        for metric in {name for frame in family for name in _with_step(frame)}:
            held[metric].append(index)
    names = [sources_of(family) for family in frames]
    best = {}
    for metric, indices in held.items():
        counts = [_distinct(frames[index], metric) for index in indices if len(indices) > 1]
        best[metric] = names[indices[int(np.argmax(counts)) if counts else 0]]
    return best


def sources_of(family: Sequence[pd.DataFrame]) -> tuple[str, ...]:
    """Return the names of all sources in a family; one table may hold several (a file a metric)."""
    return tuple(sorted({str(name) for frame in family for name in frame["source"].unique()}))


def _with_step(frame: pd.DataFrame) -> list[str]:
    import numpy as np

    codes = frame["metric"].cat.codes.to_numpy()
    step = frame["step"].to_numpy()
    names = frame["metric"].cat.categories
    used = np.bincount(codes if not (step < 0).any() else codes[step >= 0], minlength=len(names))
    return [str(names[index]) for index in np.flatnonzero(used).tolist()]


def _distinct(family: Sequence[pd.DataFrame], metric: str) -> int:
    import numpy as np

    parts = []
    for frame in family:
        step = frame["step"].to_numpy()[(frame["metric"] == metric).to_numpy()]
        parts.append(step[step >= 0])
    steps = np.concatenate(parts)
    if (steps[1:] >= steps[:-1]).all():
        return int(np.count_nonzero(steps[1:] != steps[:-1])) + 1
    return len(np.unique(steps))
