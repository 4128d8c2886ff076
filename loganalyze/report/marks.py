"""What happened in a run beside its numbers, by step: epochs, saves, evaluations, restarts, failures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from loganalyze.run import FATAL, Event, EventKind, Run, Series
from loganalyze.signals.checkpoints import checkpoints
from loganalyze.signals.restart import told_restarts

T = TypeVar("T")

LISTED = 200  # marks of one kind in the table of events; more are a metric, not events
INTERVALS = 2  # of logging, within which two signs of a restart are of the same one
TEXT = 160  # characters of an event's first line


class MarkKind(StrEnum):
    """The kinds of marks, in the order in which the page names them."""

    FAILURE = "failure"
    RESTART = "restart"
    SKIPPED = "skipped step"
    CHECKPOINT = "checkpoint"
    EVALUATION = "evaluation"
    EPOCH = "epoch"
    END = "end"
    PARTING = "the curves part"


KINDS = {
    **dict.fromkeys(FATAL, MarkKind.FAILURE),
    EventKind.LOSS_SCALE: MarkKind.SKIPPED,
    EventKind.SKIPPED_STEP: MarkKind.SKIPPED,
    EventKind.TRAIN_END: MarkKind.END,
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that happened.

    Attributes
    ----------
    step
        None where the log does not tell.
    where
        ``train.log:65``, or empty.
    anchor
        Id of its line in the table of events; empty for one that is not listed.
    """

    kind: MarkKind
    step: int | None
    text: str
    where: str = ""
    anchor: str = ""


def marks(run: Run) -> tuple[Mark, ...]:
    """Return the marks of a run, by step; of each kind at most `LISTED` have an anchor."""
    found = [*_events(run), *_restarts(run), *_checkpoints(run), *_evaluations(run), *_epochs(run)]
    found.sort(
        key=lambda mark: (mark.step is None, mark.step or 0, list(MarkKind).index(mark.kind))
    )
    return tuple(_anchored(found))


def spread(items: Sequence[T], most: int) -> list[T]:
    """Return at most `most` of the items, evenly chosen, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def _anchored(found: Iterable[Mark]) -> Iterator[Mark]:
    of_kind: dict[MarkKind, list[Mark]] = {}
    every = list(found)
    for mark in every:
        of_kind.setdefault(mark.kind, []).append(mark)
    listed = {id(mark) for group in of_kind.values() for mark in spread(group, LISTED)}
    count: dict[MarkKind, int] = dict.fromkeys(of_kind, 0)
    for mark in every:
        count[mark.kind] += 1
        name = f"e-{mark.kind.value.replace(' ', '-')}-{count[mark.kind]}"
        anchor = name if id(mark) in listed else ""
        yield Mark(mark.kind, mark.step, mark.text, mark.where, anchor)


def _events(run: Run) -> Iterator[Mark]:
    seen: set[tuple[MarkKind, str]] = set()
    for event in run.events:
        kind = KINDS.get(event.kind)
        if kind is not None and (kind, str(event.where)) not in seen:
            seen.add((kind, str(event.where)))  # a traceback may be two kinds of failure
            yield Mark(kind, event.step, _line(event), str(event.where))


def _line(event: Event) -> str:
    """Return the line of an event that says what happened: the last one of a traceback."""
    lines = [line for line in event.text.splitlines() if line.strip()]
    if not lines:
        return event.kind.value
    return (lines[-1] if event.kind is EventKind.TRACEBACK else lines[0]).strip()[:TEXT]


def _restarts(run: Run) -> Iterator[Mark]:
    """Join what the log says of restarts with the steps from which its numbers begin anew."""
    import numpy as np

    loss = run.series("train/loss")
    interval = float(np.median(np.diff(loss.step))) if len(loss) > 1 else 0.0
    told = set(told_restarts(run).tolist())
    borders = loss.step[1:][np.diff(loss.segment) > 0].tolist()
    seen = {b for b in borders if not any(abs(b - t) <= INTERVALS * interval for t in told)}
    lines = {event.step: event for event in run.events_of(EventKind.RESUME)}
    for step in sorted(told | seen):
        event = lines.get(step)
        text = "the run was restarted" if event is None else _line(event)
        yield Mark(MarkKind.RESTART, step, text, "" if event is None else str(event.where))


def _checkpoints(run: Run) -> Iterator[Mark]:
    for one in checkpoints(run):
        yield Mark(MarkKind.CHECKPOINT, one.step, one.name)


def _evaluations(run: Run) -> Iterator[Mark]:
    for name in ("eval/loss", "eval/accuracy"):
        series = run.series(name)
        if len(series):
            for index in range(len(series)):
                text = f"{name} {series.value[index]:.6g}"
                yield Mark(
                    MarkKind.EVALUATION, int(series.step[index]), text, str(series.where(index))
                )
            return


def _epochs(run: Run) -> Iterator[Mark]:
    told = [event for event in run.events_of(EventKind.EPOCH_END) if event.step is not None]
    for event in told:
        yield Mark(MarkKind.EPOCH, event.step, _line(event), str(event.where))
    if not told:
        yield from _epoch_starts(run.series("train/loss"))


def _epoch_starts(loss: Series) -> Iterator[Mark]:
    """Read the boundaries from the epoch that stands beside each loss."""
    import numpy as np

    loss = loss.take(np.isfinite(loss.epoch))
    whole = np.floor(loss.epoch)
    for index in (np.flatnonzero(np.diff(whole) > 0) + 1).tolist():
        text = f"epoch {int(whole[index])} done"
        yield Mark(MarkKind.EPOCH, int(loss.step[index]), text, str(loss.where(index)))
