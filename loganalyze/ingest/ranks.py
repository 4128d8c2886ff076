"""Logs of the ranks of one job are one run: the lowest rank gives the numbers, all give their events.

Ranks are told by the names that launchers give: ``workerlog.3``, ``train_rank3.log``,
``attempt_0/3/stdout.log`` (torchrun), ``slurm-4711-3.out`` (a SLURM task; ``slurm-4711_3.out`` is
another job of an array, and no rank).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from loganalyze.ingest.ingester import Table
from loganalyze.run import Problem, metrics_frame

_NAMES = (
    re.compile(r"^(workerlog\.)(\d{1,5})()$"),
    re.compile(r"^(.*?rank[._-]?)(\d{1,5})((?:\D.*)?)$", re.I),
    re.compile(r"^(slurm-\d+[.-])(\d{1,5})(\.(?:out|err|log))$"),
)
_TORCHRUN = re.compile(r"^(.*?attempt_\d+)/(\d{1,5})/(?:stdout|stderr)\.log$")


def rank_of(source: str) -> tuple[str, int] | None:
    """Return the job that a log belongs to, and its rank in it; None where its name tells none."""
    torchrun = _TORCHRUN.match(source)
    if torchrun:
        return torchrun[1], int(torchrun[2])
    path = PurePosixPath(source)
    for pattern in _NAMES:
        found = pattern.match(path.name)
        if found:
            return f"{path.parent.as_posix()}/{found[1]}*{found[3]}", int(found[2])
    return None


def join_ranks(tables: Sequence[Table]) -> list[Table]:
    """Return the tables with those of one job under one run, and with one rank's numbers."""
    jobs: dict[str, list[tuple[int, Table]]] = defaultdict(list)
    for table in tables:
        if table.format == "text" and (found := rank_of(table.source)):
            jobs[found[0]].append((found[1], table))
    joined: dict[int, Table] = {}
    for members in jobs.values():
        if len({rank for rank, _ in members}) > 1:
            for (_, table), changed in zip(members, _join(members), strict=True):
                joined[id(table)] = changed
    return [joined.get(id(table), table) for table in tables]


def _join(members: Sequence[tuple[int, Table]]) -> list[Table]:
    run = min((table.run for _, table in members), key=len)
    if _TORCHRUN.match(members[0][1].source):
        run = PurePosixPath(run).parent.as_posix()
    logged = [rank for rank, table in members if table.metrics is not None and len(table.metrics)]
    leader = min(logged, default=-1)
    known = {
        str(name)
        for rank, table in members
        if rank == leader and table.metrics is not None
        for name in table.metrics["metric"].cat.categories
    }
    return [_as_rank(rank, table, run, leader, known) for rank, table in members]


def _as_rank(rank: int, table: Table, run: str, leader: int, known: set[str]) -> Table:
    events = tuple(replace(event, data={**event.data, "rank": rank}) for event in table.events)
    table = replace(table, run=run, events=events)
    if table.metrics is None or rank == leader:
        return table
    only_here = ~table.metrics["metric"].isin(known)
    left_out = int((~only_here).sum())
    if not left_out:
        return table
    text = f"rank {rank} of the same run: its {left_out:,} points were left out"
    metrics = (
        table.metrics[only_here].reset_index(drop=True) if only_here.any() else metrics_frame({})
    )
    problems = (*table.problems, Problem(text, lossy=False))
    return replace(table, metrics=metrics, problems=problems)
