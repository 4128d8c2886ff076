"""Which tables are one run: by their folders, and by the numbers that they share.

A folder joins the one above it if it adds a format; an MLflow run joins the folder whose numbers it
repeats; two logs in one folder that contradict each other are two runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from loganalyze.ingest.ingester import PER_FILE, Table
from loganalyze.ingest.ranks import join_ranks, rank_of

if TYPE_CHECKING:
    import pandas as pd

AGREEMENT = 0.9  # share of common points that must be equal for two stores to hold one run
RESTARTED = 0.5  # share of the shorter log's points, up to which it may be a restart of the other
ROUNDED_TOLERANCE = 2e-3  # relative; what a log prints with 3 to 4 digits
MLFLOW = "mlflow:"


def group_tables(tables: Sequence[Table]) -> dict[str, list[Table]]:
    """Sort tables into runs by their keys; see the module for the rules."""
    groups: dict[str, list[Table]] = defaultdict(list)
    attachments = []
    for table in join_ranks(tables):
        if _has_data(table):
            groups[table.run].append(table)
        else:
            attachments.append(table)
    groups = _split_conflicting_logs(groups)
    _fold_folders(groups)
    _fold_stores(groups)
    for table in attachments:
        for key in _owners(table.run, groups):
            groups[key].append(table)
    if not groups and attachments:
        groups["."] = attachments
    return dict(groups)


def _has_data(table: Table) -> bool:
    return (table.metrics is not None and len(table.metrics) > 0) or bool(table.events)


def _split_conflicting_logs(groups: Mapping[str, list[Table]]) -> dict[str, list[Table]]:
    """Two logs or tables in one folder that give other values for the same steps are two runs."""
    split: dict[str, list[Table]] = defaultdict(list)
    for key, members in groups.items():
        kept: list[Table] = []
        for table in members:
            twins = [
                other
                for other in kept
                if other.format == table.format
                and table.format in PER_FILE
                and not _are_ranks(table, other)
            ]
            if any(_conflict(table, other) for other in twins):
                split[str(PurePosixPath(key) / PurePosixPath(table.source).name)].append(table)
            else:
                kept.append(table)
        split[key].extend(kept)
    return split


def _are_ranks(one: Table, two: Table) -> bool:
    first, second = rank_of(one.source), rank_of(two.source)
    return first is not None and second is not None and first[0] == second[0]


def _conflict(one: Table, two: Table) -> bool:
    """Tell two runs from a run and its restart, which repeats some of the last steps."""
    shared, equal = _agreement([one], [two])
    shorter = min(len(table.metrics) if table.metrics is not None else 0 for table in (one, two))
    return shared >= max(3, RESTARTED * shorter) and equal < 0.5 * shared


def _fold_folders(groups: dict[str, list[Table]]) -> None:
    """A folder joins the one above it if it adds a format that the upper one lacks."""
    folders = sorted(
        (key for key in groups if not key.startswith(MLFLOW)), key=_depth, reverse=True
    )
    for key in folders:
        above = _nearest_above(key, groups)
        if above is None or not _formats(groups[key]).isdisjoint(_formats(groups[above])):
            continue
        rivals = [
            other
            for other in groups
            if other not in (key, above)
            and _is_below(other, above)
            and _formats(groups[other]) & _formats(groups[key])
        ]
        if not rivals:
            groups[above].extend(groups.pop(key))
    folders = [key for key in groups if not key.startswith(MLFLOW)]
    formats = [kind for key in folders for kind in _formats(groups[key])]
    if len(folders) > 1 and len(set(formats)) == len(formats):
        # logs/train.log beside tb/events...: one run in two folders.
        first = min(folders, key=_depth)
        for key in folders:
            if key != first:
                groups[first].extend(groups.pop(key))


def _fold_stores(groups: dict[str, list[Table]]) -> None:
    """An MLflow run joins the folder whose numbers it repeats, or the only one there is."""
    stores = [key for key in groups if key.startswith(MLFLOW)]
    folders = [key for key in groups if not key.startswith(MLFLOW)]
    if len(stores) == 1 and len(folders) == 1:
        groups[folders[0]].extend(groups.pop(stores[0]))
        return
    for store in stores:
        for folder in folders:
            shared, equal = _agreement(groups[store], groups[folder])
            if shared >= 3 and equal >= AGREEMENT * shared:
                groups[folder].extend(groups.pop(store))
                break


def _agreement(ours: Sequence[Table], theirs: Sequence[Table]) -> tuple[int, int]:
    """Count the common (metric, step) points of two sets of tables, and the equal ones."""
    import numpy as np

    left, right = _points(ours), _points(theirs)
    if left is None or right is None:
        return 0, 0
    both = left.add_suffix("_l").join(right.add_suffix("_r"), how="inner")
    one, two = both["value_l"].to_numpy(), both["value_r"].to_numpy()
    return len(both), int(np.isclose(one, two, rtol=ROUNDED_TOLERANCE, equal_nan=True).sum())


def _points(tables: Sequence[Table]) -> pd.DataFrame | None:
    import pandas as pd

    frames = [
        table.metrics[["metric", "step", "value"]].astype({"metric": str})
        for table in tables
        if table.metrics is not None and len(table.metrics)
    ]
    if not frames:
        return None
    points = pd.concat(frames, ignore_index=True)
    points = points[(points["step"] > 0) & points["metric"].str.contains("/")]
    return points.groupby(["metric", "step"], sort=False).last()


def _formats(tables: Iterable[Table]) -> set[str]:
    return {table.format for table in tables if _has_data(table)}


def _depth(key: str) -> int:
    return len(PurePosixPath(key).parts)


def _is_below(key: str, above: str) -> bool:
    return not key.startswith(MLFLOW) and PurePosixPath(key).is_relative_to(above) and key != above


def _nearest_above(key: str, groups: Mapping[str, object]) -> str | None:
    above = [other for other in groups if not other.startswith(MLFLOW) and _is_below(key, other)]
    return max(above, key=_depth, default=None)


def _owners(key: str, groups: Mapping[str, object]) -> list[str]:
    """Find the runs that a configuration file or a remark belongs to."""
    if key in groups:
        return [key]
    above = _nearest_above(key, groups)
    if above is not None:
        return [above]
    below = [other for other in groups if _is_below(other, key)]
    return below or ([] if key.startswith(MLFLOW) else list(groups))
