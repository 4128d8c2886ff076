"""From the tables of a run to one `Run`: how their numbers become one frame.

Of several ranks one gives the metrics (`ranks`); sources that continue each other become one family
(`families`), on one step axis (`step_axes`), with its restarts numbered (`segments`). Every other row is
kept. For each metric the finest family is preferred for analysis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.frame import empty_metrics, joined
from loganalyze.ingest.families import families, preferred, sources_of
from loganalyze.ingest.group import MLFLOW, group_tables
from loganalyze.ingest.ingester import Facts, Table
from loganalyze.ingest.lone_loss import with_the_lone_loss
from loganalyze.ingest.loss_terms import with_totals
from loganalyze.ingest.one_name import one_name_each
from loganalyze.ingest.ranks import one_rank
from loganalyze.ingest.segments import number_segments
from loganalyze.ingest.step_axes import to_optimizer_steps
from loganalyze.run import FATAL, ConfigValue, Event, EventKind, Run, Source, Status

if TYPE_CHECKING:
    import pandas as pd

    from loganalyze.run import IntArray

# Which format's word counts when they say the same number of things, and whose facts win.
RANK = (
    "hf-trainer-state", "tfevents", "mlflow", "mlflow-sqlite", "mlflow-server", "wandb", "csv",
    "json-history", "training-args", "config", "text",
)  # fmt: skip


def merge_runs(tables: Sequence[Table], root: Path, shown: str) -> list[Run]:
    """Sort tables into runs and merge each; newest first, each knowing the others' names."""
    groups = _unique_names(group_tables(tables), root)
    runs = [(merge(name, members, shown), members) for name, members in groups.items()]
    runs.sort(key=lambda item: _age_key(item[0], item[1], root), reverse=True)
    names = [run.name for run, _ in runs]
    return [
        replace(run, others=tuple(name for name in names if name != run.name)) for run, _ in runs
    ]


def _age_key(run: Run, members: Sequence[Table], root: Path) -> tuple[bool, float, str]:
    """Newest last: by the time in the data, else by the files' own time."""
    newest = _time(run.metrics, "fmax") or run.ended or 0.0
    if not newest:
        base = root if root.is_dir() else root.parent
        newest = max((_modified(base / table.source) for table in members), default=0.0)
    return bool(len(run.metrics)), newest, run.name


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _unique_names(groups: Mapping[str, list[Table]], root: Path) -> dict[str, list[Table]]:
    named: dict[str, list[Table]] = {}
    for key, members in groups.items():
        told = _told_name(members) if key.startswith(MLFLOW) else None
        name = told or key.removeprefix(MLFLOW)
        if name == "." or (len(groups) == 1 and not told):
            name = root.resolve().name or "run"
        if name in named:
            name = f"{name}#{key.removeprefix(MLFLOW)}"
        named[name] = members
    return named


def _told_name(members: Sequence[Table]) -> str | None:
    return next((table.facts.name for table in members if table.facts.name), None)


def merge(name: str, tables: Sequence[Table], shown: str) -> Run:
    """Merge the tables of one run."""
    tables = sorted(tables, key=lambda table: (_rank(table.format), table.order, table.source))
    tables = with_the_lone_loss([_named(with_totals(table)) for table in tables])
    config: dict[str, ConfigValue] = {}
    for table in sorted(tables, key=_latest_first):
        for key, value in table.config.items():
            config.setdefault(key, value)
    told = Run(name, shown, empty_metrics(), config=config)
    tables = one_rank(tables)
    bare = [table for table in tables if not len(table.frame)]
    groups = to_optimizer_steps(
        families(tables), told.number("gradient_accumulation_steps"), told.number("max_steps")
    )
    tables = [*(table for family in groups for table in family), *bare]
    frames = [number_segments(family) for family in groups]
    metrics = joined([frame for family in frames for frame in family])
    facts = [table.facts for table in sorted(tables, key=_latest_first)]
    run = replace(
        told,
        metrics=metrics,
        framework=_first(facts, "framework") or "unknown",
        planned_steps=_first(facts, "planned_steps"),
        planned_epochs=_first(facts, "planned_epochs"),
        started=_first(facts, "started") or _time(metrics, "fmin"),
        ended=_first(facts, "ended") or _time(metrics, "fmax"),
        events=_in_order(tables),
        sources=tuple(_sources(tables)),
        preferred=preferred(frames),
        families=tuple(sources_of(family) for family in frames),
    )
    if run.planned_steps is None:
        planned = run.number("max_steps")
        run = replace(run, planned_steps=int(planned) if planned and planned > 0 else None)
    return replace(run, status=_status(run, facts))


def _named(table: Table) -> Table:
    return replace(table, metrics=one_name_each(table.frame)) if len(table.frame) else table


def _latest_first(table: Table) -> tuple[int, float, str]:
    """A later start says what holds now: it may have been told to train for longer.

    Files of settings order themselves, those that count more first.
    """
    order = -table.order if len(table.frame) else table.order
    return _rank(table.format), order, table.source


def _rank(kind: str) -> int:
    return RANK.index(kind) if kind in RANK else len(RANK)


def _in_order(tables: Iterable[Table]) -> tuple[Event, ...]:
    """Return all events as they happened: by time, and in each source by row.

    An event without a time takes that of the one before it in its source; sources that state no
    time at all come last. So the failure that pulls other ranks down stands before theirs.
    """
    timed: list[tuple[float, str, int, Event]] = []
    for table in tables:
        last = float("-inf") if any(_has_time(event) for event in table.events) else float("inf")
        for event in sorted(table.events, key=lambda event: event.where.row or 0):
            if event.time is not None and event.time > last:
                last = event.time
            timed.append((last, event.where.source, event.where.row or 0, event))
    return tuple(entry[-1] for entry in sorted(timed, key=lambda entry: entry[:3]))


def _has_time(event: Event) -> bool:
    return event.time is not None and event.time == event.time


def _first(facts: Iterable[Facts], name: str) -> Any:
    return next((found for fact in facts if (found := getattr(fact, name)) is not None), None)


def _time(metrics: pd.DataFrame, which: str) -> float | None:
    """Return the earliest (``"fmin"``) or latest (``"fmax"``) time of any point."""
    import numpy as np

    times = metrics["time"].to_numpy()
    found = float(getattr(np, which).reduce(times)) if len(times) else math.nan
    return found if math.isfinite(found) else None


def _sources(tables: Sequence[Table]) -> Iterable[Source]:
    for table in sorted(tables, key=lambda table: table.source):
        frame = table.frame
        step = frame["step"].to_numpy()
        last = int(step.max(initial=-1))
        yield Source(
            path=table.source,
            format=table.format,
            rows=len(frame),
            metrics=tuple(sorted(str(name) for name in frame["metric"].unique())),
            first_step=_first_step(step) if last >= 0 else None,
            last_step=last if last >= 0 else None,
            problems=table.problems,
        )


def _first_step(step: IntArray) -> int:
    low = int(step.min())
    return low if low >= 0 else int(step[step >= 0].min())


def _status(run: Run, facts: Sequence[Facts]) -> Status:
    """Say how the run ended: what killed it counts more than what anybody says."""
    told = {fact.status for fact in facts}
    fatal = [event for event in run.events if event.kind in FATAL]
    training = run.series("train/loss")
    last = int(training.step[-1]) if len(training) else run.last_step
    ended = run.events_of(EventKind.TRAIN_END)
    from_zero = int(run.first_step == 0)  # steps 0 to n - 1 are n steps
    finished = (
        run.planned_steps is not None and last is not None and last + from_zero >= run.planned_steps
    )
    over = (ended or finished) and not _hung_at_exit(fatal, ended)
    if fatal and not over and _was_last(fatal[-1], last):
        return Status.CRASHED
    if Status.CRASHED in told:
        return Status.CRASHED
    if ended or finished or Status.COMPLETED in told:
        return Status.COMPLETED
    if Status.RUNNING in told:
        return Status.RUNNING
    if run.planned_steps is not None and last is not None:
        return Status.TRUNCATED
    return Status.UNKNOWN


def _hung_at_exit(fatal: Sequence[Event], ended: Sequence[Event]) -> bool:
    """Tell whether ranks waited for each other until a time-out after the training was over.

    Only a time-out counts: its watchdog takes the process down, while other errors at exit are often those
    of clearing up.
    """
    rows = {event.where.source: event.where.row or 0 for event in ended}
    return any(
        event.kind is EventKind.NCCL_TIMEOUT
        and event.where.source in rows
        and (event.where.row or 0) > rows[event.where.source]
        for event in fatal
    )


def _was_last(event: Event, last: int | None) -> bool:
    return event.step is None or last is None or event.step >= last
