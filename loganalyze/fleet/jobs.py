"""Jobs of many ranks: their logs in portions for the workers, and which of them the diagnosis needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from loganalyze.fleet.flight import Flight, dump_rank, read_dump
from loganalyze.fleet.rank_log import RankLog, RankTask
from loganalyze.fleet.ranks import Job, compare, first_failures
from loganalyze.fleet.unit import Unit

AT_ONCE = 8  # logs of one task: few enough to share the work evenly
NEEDED = 8  # ranks that failed first, whose logs the diagnosis reads beside that of the lowest rank


def rank_tasks(units: Iterable[Unit]) -> list[RankTask]:
    """Return the tasks that read all ranks of all jobs."""
    return [
        RankTask(replace(unit, files=(), ranks=()), unit.ranks[start : start + AT_ONCE])
        for unit in units
        for start in range(0, len(unit.ranks), AT_ONCE)
    ]


def look_at(unit: Unit, logs: Sequence[RankLog]) -> tuple[Job, Unit]:
    """Compare the ranks of a job; give that, and the unit with those logs only that its diagnosis needs."""
    job = compare(unit.name, unit.address, logs, _flights(unit))
    lowest = min(rank for rank, _ in unit.ranks)
    wanted = {lowest, *(log.rank for log in first_failures(logs, NEEDED))}
    left_out = {path for rank, path in unit.ranks if rank not in wanted}
    return job, replace(unit, files=tuple(f for f in unit.files if f.path not in left_out))


def _flights(unit: Unit) -> list[Flight]:
    return [
        flight
        for file in unit.files
        if (rank := dump_rank(file.name)) is not None
        for flight in read_dump(Path(unit.root) / file.path, rank, file.path)
    ]
