"""The files that the processes of one job write: which rank wrote which, and what each adds.

Every process of a distributed training prints its own log. They are one run: the lowest rank gives
the metrics, all of them give their failures.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import PurePosixPath

from loganalyze.ingest.ingester import Table
from loganalyze.run import FATAL, Event, Problem

# Each names the rank (and what it stands between). An array task (slurm-123_4.out) is a job of its own.
_TORCHRUN = re.compile(
    r"(?:(?P<before>(?:.*/)?attempt_)(?P<attempt>\d{1,6})/)?(?P<rank>\d{1,6})"
    r"(?P<after>/(?:stdout|stderr)\.log)$"
)
_RANKED = (
    re.compile(r"(?P<before>.*\bworkerlog\.|.*_workerlog\.)(?P<rank>\d{1,6})(?P<after>(?:\.log)?)$"),
    re.compile(
        r"(?P<before>(?:.*[/._-])?(?:local_?|global_?)?rank[_-]?)(?P<rank>\d{1,6})"
        r"(?P<after>(?:[._-][^/]*)?|/[^/]+)$", re.I,
    ),
    re.compile(r"(?P<before>(?:.*/)?slurm-\d+(?:_\d+)?-)(?P<rank>\d{1,6})(?P<after>\.(?:out|err|log))$"),
)  # fmt: skip
# The streams of one process: job.out (or .log) and job.err, stdout.log and stderr.log, job.o1 and job.e1.
_STREAM = re.compile(
    r"(?P<name>(?:^|(?<=[/._-]))std(?:out|err)(?=\.|$)|\.(?:out|err|log|[oe](?=\d+))(?=\d*$))"
)
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Member:
    """What the name of a log says about it.

    Attributes
    ----------
    job
        The same for all logs of one job.
    lane
        The same for the logs of one stream over the attempts of a job, which continue each other.
    rank
        None where the name states none.
    attempt
        Counts the restarts that the launcher made.
    """

    job: str
    lane: str
    rank: int | None = None
    attempt: int = 0


def members(paths: Iterable[str]) -> dict[str, Member]:
    """Return what each path says, with ranks only where there are several that count from 0.

    A number may be something else: ``lora_rank8.log`` and ``lora_rank16.log`` are two runs.
    """
    found = {path: _parse(path) for path in paths}
    ranks = defaultdict(set)
    for member in found.values():
        if member.rank is not None:
            ranks[member.job].add(member.rank)
    return {
        path: member if _counts(ranks[member.job]) else Member(_stream(path), path)
        for path, member in found.items()
    }


def home(path: str) -> str | None:
    """Return the folder of the run for a log that a launcher put into folders of its own."""
    found = _TORCHRUN.match(path)
    if found:
        return str(PurePosixPath(path).parents[2 if found["attempt"] else 1])
    found = _RANKED[1].match(path)
    if found and found["after"].startswith("/"):
        return str(PurePosixPath(path).parents[1])
    return None


def _parse(path: str) -> Member:
    found = _TORCHRUN.match(path)
    if found:
        lane = f"{found['before'] or ''}{_ANY}/{_ANY}{found['after']}"
        return Member(_stream(lane), lane, int(found["rank"]), int(found["attempt"] or 0))
    for pattern in _RANKED:
        found = pattern.match(path)
        if found:
            lane = f"{found['before']}{_ANY}{found['after']}"
            return Member(_stream(lane), lane, int(found["rank"]))
    return Member(_stream(path), path)


def _stream(path: str) -> str:
    return _STREAM.sub(_ANY, path)


def _counts(ranks: set[int]) -> bool:
    return bool(ranks) and (0 in ranks or (len(ranks) > 1 and max(ranks) - min(ranks) < len(ranks)))


def one_rank(tables: Sequence[Table]) -> list[Table]:
    """Keep of each job the metrics of its lowest rank, and what only the others have.

    All ranks keep their failures, marked with the rank; of other events only the kinds that no lower
    rank reports. A failure that has no step in its own file gets that of its job.
    """
    known = members(table.source for table in tables if table.format == "text")
    jobs: dict[str, list[Table]] = defaultdict(list)
    for table in tables:
        if table.format == "text":
            jobs[known[table.source].job].append(table)
    reduced: dict[str, Table] = {}
    for logs in jobs.values():
        if len(logs) > 1:
            reduced |= _reduce(logs, known)
    return [
        reduced.get(table.source, table) if table.format == "text" else table for table in tables
    ]


def _reduce(logs: Sequence[Table], known: Mapping[str, Member]) -> dict[str, Table]:
    logs = sorted(logs, key=lambda table: known[table.source].rank or 0)
    by_rank = {
        rank: list(own) for rank, own in groupby(logs, key=lambda table: known[table.source].rank)
    }
    ends: dict[int, int] = {}  # attempt -> last step of the lowest rank that has any
    reduced: dict[str, Table] = {}
    metrics: set[str] = set()
    kinds: set[str] = set()
    for rank, own in by_rank.items():
        kept = list(own)
        if rank is not None and len(by_rank) > 1:
            kept = [_without(table, rank, metrics, kinds) for table in own]
        for table in kept:
            metrics |= {str(name) for name in table.frame["metric"].unique()}
            kinds |= {event.kind for event in table.events}
        steps = [(known[t.source].attempt, n) for t in own if (n := _last_step(t)) is not None]
        ends = dict(sorted(steps)) | ends
        for table, whole in zip(kept, own, strict=True):
            end = ends.get(known[table.source].attempt)
            events = tuple(_at_end(event, _last_step(whole), end) for event in table.events)
            reduced[table.source] = replace(table, events=events)
    return reduced


def _without(table: Table, rank: int, metrics: set[str], kinds: set[str]) -> Table:
    """Drop from a table the metrics and the kinds of events that a lower rank gave."""
    events = tuple(
        replace(event, data={**event.data, "rank": rank})
        for event in table.events
        if event.kind in FATAL or event.kind not in kinds
    )
    frame, problems = table.frame, table.problems
    double = frame["metric"].cat.categories.isin(metrics)[frame["metric"].cat.codes.to_numpy()]
    if double.any():
        text = f"rank {rank} of the same run: its {int(double.sum()):,} points were left out"
        problems = (*problems, Problem(text, lossy=False))
        frame = frame[~double].reset_index(drop=True)
    return replace(table, metrics=frame, events=events, problems=problems)


def _at_end(event: Event, own: int | None, end: int | None) -> Event:
    """Put a failure after the last step of its own file after the last step of the job.

    Ranks need not log at the same steps, and error streams log none: what ended one ended all.
    """
    if event.kind in FATAL and end is not None and (event.step is None or event.step == own):
        return replace(event, step=end)
    return event


def _last_step(table: Table) -> int | None:
    return int(table.frame["step"].max()) if len(table.frame) else None
