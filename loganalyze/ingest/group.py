"""Which tables are one run: by their folders, and by the numbers that they share.

A folder joins the one above it if it adds a format; an MLflow run joins the folder whose numbers it
repeats; two logs in one folder that contradict each other are two runs, unless one job wrote both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from loganalyze.ingest.ingester import PER_FILE, Table
from loganalyze.ingest.overlap import AGREEMENT, FEWEST, Points, agreement, contradict, points
from loganalyze.ingest.ranks import home, members

MLFLOW = "mlflow:"


def group_tables(tables: Sequence[Table]) -> dict[str, list[Table]]:
    """Sort tables into runs by their keys; see the module for the rules."""
    groups: dict[str, list[Table]] = defaultdict(list)
    attachments = []
    ranked = members(table.source for table in tables if table.format == "text")
    for table in tables:
        if _has_data(table):
            member = ranked.get(table.source) if table.format == "text" else None
            own = home(table.source) if member and member.rank is not None else None
            groups[own or table.run].append(table)
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
    return bool(len(table.frame)) or bool(table.events)


def _split_conflicting_logs(groups: Mapping[str, list[Table]]) -> dict[str, list[Table]]:
    """Two logs in one folder that give other values for the same steps are two runs.

    The logs of one job (its ranks, its two streams) stay together, whatever they say.
    """
    split: dict[str, list[Table]] = {}
    for key, tables in groups.items():
        runs: list[list[tuple[list[Table], Points]]] = [[]]
        for logs in _jobs(tables):
            own = points(_of_lowest_rank(logs))
            kind = logs[0].format  # another format may count another axis
            run = next((run for run in runs if not _contradicted(own, kind, run)), None)
            if run is None:
                runs.append(run := [])
            run.append((logs, own))
        split[key] = [table for table in tables if table.format not in PER_FILE]
        for number, run in enumerate(runs):
            logs = [table for job, _ in run for table in job]
            split.setdefault(_name(logs) if number else key, []).extend(logs)
    return {key: tables for key, tables in split.items() if tables}


def _contradicted(own: Points, kind: str, run: Sequence[tuple[list[Table], Points]]) -> bool:
    return any(contradict(own, other) for logs, other in run if logs[0].format == kind)


def _jobs(tables: Sequence[Table]) -> list[list[Table]]:
    """Return the files that stand for themselves, those of one job together."""
    logs = [table for table in tables if table.format in PER_FILE]
    known = members(table.source for table in logs)
    jobs: dict[tuple[str, str], list[Table]] = defaultdict(list)
    for table in logs:
        jobs[table.format, known[table.source].job].append(table)
    return list(jobs.values())


def _of_lowest_rank(logs: Sequence[Table]) -> list[Table]:
    known = members(table.source for table in logs)
    ranks = {known[table.source].rank or 0 for table in logs if len(table.frame)}
    return [table for table in logs if (known[table.source].rank or 0) == min(ranks, default=0)]


def _name(logs: Sequence[Table]) -> str:
    """Return the path of the first log that has numbers, or of the first one."""
    return next((table for table in logs if len(table.frame)), logs[0]).source


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
    theirs = {folder: points(groups[folder]) for folder in folders if stores}
    for store in stores:
        own = points(groups[store])
        for folder in folders:
            shared, equal = agreement(own, theirs[folder])
            if shared >= FEWEST and equal >= AGREEMENT * shared:
                groups[folder].extend(groups.pop(store))
                break


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
    return below or list(groups)
