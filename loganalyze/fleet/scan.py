"""A scan from its roots to its table: find, leave out what is known, work off the rest, put in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from loganalyze import __version__
from loganalyze.errors import NothingReadable
from loganalyze.fleet.content import content_key
from loganalyze.fleet.dask_engine import run_on_cluster
from loganalyze.fleet.discover import find
from loganalyze.fleet.engine import memory_for_each, processors, run_tasks
from loganalyze.fleet.found import Scan
from loganalyze.fleet.index import FORMAT, Index, Known, opened
from loganalyze.fleet.jobs import look_at, rank_tasks
from loganalyze.fleet.plan import Costs, Plan
from loganalyze.fleet.rank_log import RankLog, RanksDone, no_ranks, read_ranks
from loganalyze.fleet.ranks import Job, job_from_plain, job_to_plain
from loganalyze.fleet.row import Row, from_plain
from loganalyze.fleet.unit import Unit, stamp_of
from loganalyze.fleet.work import Done, Task, diagnose_unit, report_name

T = TypeVar("T")
R = TypeVar("R")
LOST = "the process that read it died: it may need more memory than there is"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Read:
    """A unit with what is known of it."""

    unit: Unit
    content: str
    rows: tuple[Row, ...]
    failure: str
    job: Job | None = None


def scan(
    *roots: str | Path, plan: Plan | None = None, progress: Progress = lambda done, total: None
) -> Scan:
    """Diagnose every run below some folders, MLflow stores or servers, or URLs of object stores.

    Parameters
    ----------
    plan
        How: settings, index, workers, which runs.
    progress
        Told how many units are done, of how many.

    Raises
    ------
    NothingReadable
        If a root does not exist or cannot be listed, or no run was found below any.
    UsageError
        If the index cannot be used.
    """
    plan = plan or Plan()
    start = time.monotonic()
    names = tuple(str(root) for root in roots)
    units = _chosen(_found(names), plan)
    costs = Costs(units=len(units), finding=time.monotonic() - start)
    read: list[_Read] = []
    with _index(plan) as index:
        new = []
        for unit in units:
            known = _known(unit, index, plan)
            if known is None:
                new.append(unit)
            else:
                read.append(known)
        costs = replace(costs, known=len(read))
        progress(len(read), len(units))
        for one, done in _worked_off(new, plan):
            costs = costs.plus(done)
            if one is None:
                continue
            if index is not None and isinstance(done, Done):
                _keep(one, done, index)
            read.append(one)
            progress(len(read), len(units))
    return _ordered(names, read, replace(costs, seconds=time.monotonic() - start), plan)


def _found(roots: Sequence[str]) -> Iterator[Unit]:
    """Yield the units below all roots, with names that tell them apart."""
    seen: dict[str, int] = {}
    addresses = set()
    for root in roots:
        for unit in find(root):
            if (unit.address, unit.name) in addresses:
                continue
            addresses.add((unit.address, unit.name))
            name = unit.name if unit.name not in seen else f"{root.rstrip('/')}/{unit.name}"
            seen[unit.name] = 1
            yield unit if name == unit.name else replace(unit, name=name)


def _chosen(units: Iterable[Unit], plan: Plan) -> list[Unit]:
    chosen = [unit for unit in units if unit.modified >= plan.since]
    if plan.newest:
        chosen = sorted(chosen, key=lambda unit: -unit.modified)[: plan.newest]
    return chosen


@contextmanager
def _index(plan: Plan) -> Iterator[Index | None]:
    if plan.index is None:
        yield None
        return
    settings = plan.settings
    told = stamp_of(
        repr(item)
        for item in (
            __version__, FORMAT, sorted(settings.changed.items()), settings.select, settings.ignore,
            sorted(settings.given.items()),
        )
    )  # fmt: skip
    with opened(plan.index, told) as index:
        yield index


def _key(unit: Unit) -> str:
    return f"{unit.address} {unit.name.rpartition('/')[2]}"


def _known(unit: Unit, index: Index | None, plan: Plan) -> _Read | None:
    """Return what is remembered of a unit, by its stamp, else by its content."""
    if index is None:
        return None
    found = index.known(_key(unit), unit.stamp)
    if found is None and index.may_know(unit.size):
        found = index.same(content_key(unit))
    if found is None:
        return None
    try:
        read = _remembered(unit, found)
    except (TypeError, ValueError, KeyError):
        return None  # damaged: it is read again
    if plan.reports and not all(_report(read, row, plan).exists() for row in read.rows):
        return None
    index.keep(_key(unit), unit.stamp, found.content, unit.size, found.result, found.failure)
    return read


def _remembered(unit: Unit, found: Known) -> _Read:
    job = found.result.get("job")
    rows = tuple(from_plain(row) for row in found.result["rows"])
    return _Read(unit, found.content, rows, found.failure, job_from_plain(job) if job else None)


def _keep(read: _Read, done: Done, index: Index) -> None:
    job = job_to_plain(read.job) if read.job else None
    result = {"rows": done.rows, "job": job}
    if read.content and read.failure != LOST:
        unit = read.unit
        index.keep(_key(unit), unit.stamp, read.content, unit.size, result, read.failure)


def _worked_off(
    units: Sequence[Unit], plan: Plan
) -> Iterator[tuple[_Read | None, Done | RanksDone]]:
    """Read and diagnose units; of a job of many ranks, all ranks first, which are no result by themselves."""
    logs: dict[str, list[RankLog]] = {}
    for done in _results(read_ranks, rank_tasks(units), no_ranks, plan):
        yield None, done
        logs.setdefault(done.task.unit.name, []).extend(done.logs)
    jobs: dict[str, Job] = {}
    tasks = []
    for unit in units:
        if unit.name in logs:
            jobs[unit.name], chosen = look_at(unit, logs.pop(unit.name))
        else:
            chosen = unit
        tasks.append(Task(unit, chosen.files, plan.settings, plan.reports, plan.lang))
    for result in _results(diagnose_unit, tasks, _lost, plan):
        unit = result.task.unit
        rows = tuple(from_plain(row) for row in result.rows)
        yield _Read(unit, result.content, rows, result.failure, jobs.get(unit.name)), result


def _lost(task: Task) -> Done:
    return Done(task, "", (), LOST)


def _results(
    work: Callable[[T], R], tasks: Sequence[T], lost: Callable[[T], R], plan: Plan
) -> Iterator[R]:
    if not tasks:
        return iter(())
    if plan.dask:
        return run_on_cluster(work, tasks, lost, address=plan.dask)
    workers = min(plan.workers or processors(), len(tasks))
    memory = plan.memory or memory_for_each(workers)
    return run_tasks(work, tasks, lost, workers=workers, memory=memory)


def _report(read: _Read, row: Row, plan: Plan) -> Path:
    return Path(plan.reports) / report_name(read.content, row.run)


def _ordered(roots: tuple[str, ...], read: Sequence[_Read], costs: Costs, plan: Plan) -> Scan:
    """Give the rows their places, and put the worst first."""
    rows: list[Row] = []
    reports: dict[str, str] = {}
    for one in read:
        placed = [_placed(row, one.unit) for row in one.rows]
        if not placed and one.failure:
            placed = [replace(_placed(Row(), one.unit), headline=one.failure)]
        for row, kept in zip(placed, one.rows, strict=False):
            if plan.reports:
                reports[row.name] = str(_report(one, kept, plan))
        rows += placed
    if not rows:
        where = ", ".join(roots)
        raise NothingReadable(f"no run was found below {where} ({len(read):,} places looked at)")
    rows.sort(key=lambda row: row.order)
    jobs = [replace(one.job, name=one.unit.name, path=one.unit.address) for one in read if one.job]
    jobs.sort(key=lambda job: (job.quiet, -job.failed, job.name))
    empty = sum(not one.rows and not one.failure for one in read)
    return Scan(roots, tuple(rows), tuple(jobs), reports, costs, empty)


def _placed(row: Row, unit: Unit) -> Row:
    """Give a row its name and its path: those of this scan, not of the one that read it."""
    name = unit.name if row.run is None else f"{unit.name}: {row.run}"
    return replace(row, name=name, path=unit.address, size=unit.size, modified=unit.modified)
