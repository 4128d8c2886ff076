"""The ranks of one job side by side: who failed first, who is slow, who disagrees, who fell silent.

Which rank failed first is told apart from the cascade: an error of a rank's own making outranks what others
report because it is gone (a time-out of a collective, a closed connection, SIGTERM). Among those of one kind
the earliest counts: by time where the logs state it, else by step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import median
from typing import Any

from loganalyze.fleet.flight import Flight
from loganalyze.fleet.rank_log import COMPARED, RankLog

SLOW = 1.15  # times the median rank's step time: below it, ranks wait for each other anyway
SLOW_Z = 6.0  # robust standard deviations of the ranks' step times
TO_DEVIATION = (
    1.4826  # times the median absolute deviation: the standard deviation of a normal distribution
)
FEWEST = 4  # ranks, below which no rank is slow or in disagreement beside the others
EQUAL = 2e-3  # relative; what ranks print of one reduced number with 3 to 4 digits
REDUCED = 0.9  # share of the steps at which most ranks agree, for a number to be one of all ranks
DIFFERENT = 3  # steps at which a rank must differ; one may be a print out of turn
BEHIND = 3  # intervals of logging that a rank is behind when it fell silent
SHOWN = 20  # ranks of a kind that are listed


@dataclass(frozen=True, slots=True)
class Odd:
    """A rank that differs from the others, and a sentence that says how."""

    rank: int
    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Job:
    """What the ranks of one job say together.

    Attributes
    ----------
    ranks
        How many have a log; ``world`` how many there should be by their numbers.
    root
        The rank that failed first; None if none did.
    """

    name: str
    path: str
    ranks: int
    world: int
    failed: int = 0
    root: Odd | None = None
    stragglers: tuple[Odd, ...] = ()
    disagreeing: tuple[Odd, ...] = ()
    silent: tuple[Odd, ...] = ()
    collectives: tuple[Odd, ...] = ()

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to say of it."""
        return not (
            self.root or self.stragglers or self.disagreeing or self.silent or self.collectives
        )


def compare(name: str, path: str, logs: Sequence[RankLog], flights: Sequence[Flight] = ()) -> Job:
    """Compare the ranks of one job."""
    logs = sorted(logs, key=lambda log: log.rank)
    failed = [log for log in logs if log.failure is not None]
    silent = _silent(logs)
    return Job(
        name,
        path,
        ranks=len({log.rank for log in logs}),
        world=max((log.rank for log in logs), default=-1) + 1,
        failed=len({log.rank for log in failed}),
        root=_root(failed, silent),
        stragglers=_stragglers(logs)[:SHOWN],
        disagreeing=_disagreeing(logs)[:SHOWN],
        silent=silent[:SHOWN],
        collectives=_behind(flights)[:SHOWN],
    )


def first_failures(logs: Sequence[RankLog], count: int) -> list[RankLog]:
    """Return the ranks that failed first, in that order."""
    return sorted((log for log in logs if log.failure is not None), key=_precedence)[:count]


def _precedence(log: RankLog) -> tuple[bool, float, float, int]:
    failure = log.failure
    assert failure is not None  # noqa: S101 - narrows the type: only failed ranks come here
    when = failure.time if failure.time is not None else math.inf
    step = failure.step if failure.step is not None else math.inf
    return failure.follows, when, step, log.rank


def _root(failed: Sequence[RankLog], silent: Sequence[Odd]) -> Odd | None:
    """Name the rank that failed first; a rank that fell silent, where all others only report that."""
    if not failed:
        return None
    first = first_failures(failed, 1)[0]
    failure = first.failure
    assert failure is not None  # noqa: S101 - as above
    if failure.follows and silent:
        odd = silent[0]
        return Odd(odd.rank, f"{odd.text}; the others only report that it is gone", odd.where)
    at = f" after step {failure.step:,}" if failure.step is not None else ""
    text = f"{failure.text or failure.kind}{at}"
    return Odd(first.rank, text, failure.where)


def _stragglers(logs: Sequence[RankLog]) -> tuple[Odd, ...]:
    known = [(log, log.step_seconds) for log in logs if log.step_seconds is not None]
    if len(known) < FEWEST:
        return ()
    middle = median(seconds for _, seconds in known)
    spread = TO_DEVIATION * median(abs(seconds - middle) for _, seconds in known)
    slow = [
        (seconds, log)
        for log, seconds in known
        if seconds > SLOW * middle and seconds > middle + SLOW_Z * spread
    ]
    return tuple(
        Odd(log.rank, f"{seconds:.3g} s a step, {seconds / middle:.2f} x the median rank", log.path)
        for seconds, log in sorted(slow, key=lambda item: -item[0])
    )


def _disagreeing(logs: Sequence[RankLog]) -> tuple[Odd, ...]:
    found: dict[int, Odd] = {}
    for metric in COMPARED:
        for odd in _differing(metric, [log for log in logs if metric in log.samples]):
            found.setdefault(odd.rank, odd)
    return tuple(found.values())


def _differing(metric: str, logs: Sequence[RankLog]) -> list[Odd]:
    """Find ranks that state another value than most, for a number on which the ranks otherwise agree."""
    if len(logs) < FEWEST:
        return []
    steps = sorted(set.intersection(*(set(log.samples[metric]) for log in _longest(logs, metric))))
    differs: dict[int, list[tuple[int, float, float]]] = {}
    agreed = 0
    for step in steps:
        known = [(log, log.samples[metric][step]) for log in logs if step in log.samples[metric]]
        finite = [value for _, value in known if math.isfinite(value)]
        if 2 * len(finite) <= len(known):
            continue
        middle = median(finite)
        odd = [(log, value) for log, value in known if not _same(value, middle)]
        if 2 * len(odd) < len(known):
            agreed += 1
            for log, value in odd:
                differs.setdefault(log.rank, []).append((step, value, middle))
    if not steps or agreed < REDUCED * len(steps):
        return []  # each rank logs its own
    paths = {log.rank: log.path for log in logs}
    return [
        Odd(
            rank,
            f"{metric} {points[0][1]:.5g} at step {points[0][0]:,}, where most ranks say {points[0][2]:.5g}",
            paths[rank],
        )
        for rank, points in sorted(differs.items())
        if len(points) >= min(DIFFERENT, len(steps))
    ]


def _longest(logs: Sequence[RankLog], metric: str) -> list[RankLog]:
    """Return the ranks that logged as many points as the median one: a silent one must not hide the rest."""
    middle = median(len(log.samples[metric]) for log in logs)
    return [log for log in logs if len(log.samples[metric]) >= middle]


def _same(value: float, other: float) -> bool:
    return math.isfinite(value) and abs(value - other) <= EQUAL * max(abs(value), abs(other))


def _silent(logs: Sequence[RankLog]) -> tuple[Odd, ...]:
    """Find ranks that stopped steps before the others without a word, and ranks without a log."""
    known = [log for log in logs if log.last_step is not None]
    if len(known) < FEWEST:
        return ()
    middle = median(log.last_step for log in known if log.last_step is not None)
    quiet = [
        log
        for log in known
        if log.failure is None and log.last_step < middle - BEHIND * log.interval  # type: ignore[operator]
    ]
    quiet.sort(key=lambda log: (log.last_step or 0, log.rank))
    missing = sorted(set(range(max(log.rank for log in logs) + 1)) - {log.rank for log in logs})
    return (
        *(
            Odd(
                log.rank,
                f"silent after step {log.last_step:,}, the median rank went on to {middle:,.0f}",
                log.path,
            )
            for log in quiet
        ),
        *(Odd(rank, "no log of this rank", "") for rank in missing),
    )


def _behind(flights: Sequence[Flight]) -> tuple[Odd, ...]:
    """Find ranks that had completed fewer collectives of a group than most, or were in another one."""
    found: list[Odd] = []
    for group in sorted({flight.group for flight in flights}):
        members = [flight for flight in flights if flight.group == group]
        if len(members) < 2:
            continue
        most = max(member.done for member in members)
        pending = [member.pending for member in members if member.done == most and member.pending]
        usual = max(set(pending), key=lambda told: (pending.count(told), told), default="")
        for member in members:
            if member.done < most:
                text = f"completed {member.done:,} collectives of group {group}, others {most:,}"
                text += f"; it was in {member.pending}" if member.pending else ""
                found.append(Odd(member.rank, text, member.path))
            elif member.pending and member.pending != usual:
                text = f"was in {member.pending} of group {group}, others in {usual}"
                found.append(Odd(member.rank, text, member.path))
    return tuple(found)


def job_to_plain(job: Job) -> dict[str, Any]:
    """Return a job as plain values."""
    return asdict(job)


def job_from_plain(values: Mapping[str, Any]) -> Job:
    """Return the job that `job_to_plain` made, after its way through JSON."""
    given = {entry.name: values[entry.name] for entry in fields(Job) if entry.name in values}
    for key in ("stragglers", "disagreeing", "silent", "collectives"):
        given[key] = tuple(Odd(**odd) for odd in given.get(key, ()))
    given["root"] = Odd(**given["root"]) if given.get("root") else None
    return Job(**given)
