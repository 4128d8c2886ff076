"""What one rank of a job printed, in short: how far it came, how fast, what it reported, how it failed."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loganalyze.fleet.unit import Unit
from loganalyze.fleet.work import peak_memory
from loganalyze.run import FATAL, EventKind

if TYPE_CHECKING:
    from loganalyze.run import Event, Run, Series

SAMPLES = 64  # points of a curve that are compared between ranks, at most
LONGEST = 300  # characters of an error that are kept
COMPARED = ("train/loss", "train/grad_norm")
# What a rank reports because another one is gone: the cascade, not its beginning.
_FOLLOWS = re.compile(
    r"nccl|gloo|watchdog|connection (?:reset|closed|refused)|broken pipe|remote process|socket|peer|"
    r"collective|timed? ?out|barrier|store|rendezvous|sigterm|signal 15|terminated|heartbeat|aborted",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """The first failure in a log.

    Attributes
    ----------
    follows
        Whether it is of the kind that a rank reports because another one is gone.
    """

    kind: str
    text: str
    where: str
    time: float | None
    step: int | None
    follows: bool


@dataclass(frozen=True, slots=True)
class RankLog:
    """One rank.

    Attributes
    ----------
    last_time
        UNIX seconds of the last number or failure with a time.
    interval
        Steps between two points of its loss.
    step_seconds
        Median.
    samples
        Metric -> step -> value, at the same steps for all ranks.
    """

    rank: int
    path: str
    last_step: int | None = None
    last_time: float | None = None
    interval: int = 1
    step_seconds: float | None = None
    failure: Failure | None = None
    samples: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RankTask:
    """Logs of some ranks of one job."""

    unit: Unit
    logs: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class RanksDone:
    """What became of a `RankTask`, and what it took: processor seconds, and the most bytes of memory."""

    task: RankTask
    logs: tuple[RankLog, ...]
    cpu: float = 0.0
    peak: int = 0


def read_ranks(task: RankTask) -> RanksDone:
    """Read the logs of some ranks; one that cannot be read is one that says nothing."""
    start = time.process_time()
    logs = tuple(_read(rank, path, task.unit.root) for rank, path in task.logs)
    return RanksDone(task, logs, time.process_time() - start, peak_memory())


def no_ranks(task: RankTask) -> RanksDone:
    """Return what is known where the process that read the logs died."""
    return RanksDone(task, tuple(RankLog(rank, path) for rank, path in task.logs))


def _read(rank: int, path: str, root: str) -> RankLog:
    from loganalyze.ingest import stdout
    from loganalyze.ingest.merge import merge

    try:
        tables = stdout.INGESTER.read(Path(root) / path, Path(root))
        return summary(rank, path, merge(path, tables, path))
    except Exception:  # noqa: BLE001 - a broken log must not hide the others
        return RankLog(rank, path)


def summary(rank: int, path: str, run: Run) -> RankLog:
    """Reduce the log of one rank to what is compared between ranks."""
    import numpy as np

    loss = run.series("train/loss")
    seconds = run.series("perf/step_seconds").finite().value
    failure = _first_failure(run)
    times = [value for value in (run.ended, failure.time if failure else None) if value is not None]
    return RankLog(
        rank,
        path,
        last_step=run.last_step,
        last_time=max(times, default=None),
        interval=max(int(np.median(np.diff(loss.step))), 1) if len(loss) > 1 else 1,
        step_seconds=float(np.median(seconds)) if len(seconds) else None,
        failure=failure,
        samples={metric: _sample(run.series(metric)) for metric in COMPARED if run.has(metric)},
    )


def _first_failure(run: Run) -> Failure | None:
    """Return the first failure that is of the rank's own making, or else the first one."""
    found = [_failure(event) for event in run.events if event.kind in FATAL]
    return next((failure for failure in found if not failure.follows), next(iter(found), None))


def _failure(event: Event) -> Failure:
    from loganalyze.report.redact import redact

    told = [str(event.data[key]) for key in ("exception", "message") if event.data.get(key)]
    lines = event.text.strip().splitlines() or [""]
    text = redact(": ".join(told) or lines[-1])[:LONGEST]
    time = event.time if event.time is not None and event.time == event.time else None
    follows = event.kind in (EventKind.NCCL_TIMEOUT, EventKind.SIGNAL) or bool(
        _FOLLOWS.search(text)
    )
    return Failure(event.kind.value, text, str(event.where), time, event.step, follows)


def _sample(series: Series) -> dict[int, float]:
    """Return points at steps that are multiples of a power of two: all ranks have them in common."""
    stride = 1
    steps = series.step
    while (chosen := steps % stride == 0).sum() > SAMPLES:
        stride *= 2
    points = series.take(chosen)
    return dict(zip(points.step.tolist(), points.value.tolist(), strict=True))
