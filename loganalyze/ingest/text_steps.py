"""The step of every record in a log, and where the run started again.

A record's step is, in this order: what the line says; its place in the epoch (``Epoch:
[3][100/5005]`` is step 3 * 5005 + 100); the training's progress bar; the step before it; the
epoch; a count. A step that starts over with every epoch is counted on, and is no restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from loganalyze.ingest.text_metrics import Record

WRAPPED = 0.8  # share of an epoch after which a step that falls back starts the next epoch
MOVING = 0.5  # share of records at a new place of the bar, below which the bar stands still

MAX_STEP = 2**53  # beyond it a step is no longer exact as a float

Bar = tuple[int, int]  # position, total


@dataclass(slots=True)
class Seen:
    """A record with its place: row, wall time, and the progress bars around it."""

    record: Record
    row: int
    time: float
    rank: int | None = None
    before: Bar | None = None
    after: Bar | None = None
    on_line: bool = False  # the bar before it stands on the same line


@dataclass(frozen=True, slots=True)
class Placed:
    """Step and segment of each record; ``counted`` tells how many had to be counted.

    ``length`` is the steps of an epoch where steps start over with every epoch, else 0.
    """

    steps: list[int]
    segments: list[int]
    counted: int
    length: int


def place(seen: Sequence[Seen], every: int = 1) -> Placed:
    """Give each record its step; ``every`` is the logging interval for those without any."""
    bars = _bar_steps(seen)
    raw = [_index(item, bar) for item, bar in zip(seen, bars, strict=True)]
    length = _epoch_length(seen, raw)
    steps, counted = _layout(seen, raw, every, length)
    return Placed(steps, _segments(seen, steps), counted, length)


def training_bar(seen: Sequence[Seen]) -> int | None:
    """Return the total of the progress bar beside the training loss, if there is one."""
    totals = Counter(
        item.before[1] for item in seen if item.before and "loss" in item.record.values
    )
    return totals.most_common(1)[0][0] if totals else None


def _bar_steps(seen: Sequence[Seen]) -> list[int | None]:
    """Return the bar's step for each dictionary that reports a training loss.

    The bar before it may be some steps behind, as bars are drawn at most ten times a second;
    then the one drawn after it is right. Whichever gives the more even steps is taken.
    """
    total = training_bar([item for item in seen if item.record.is_dict])
    chosen = [item.record.is_dict and "loss" in item.record.values for item in seen]
    options = []
    for name in ("before", "after"):
        found = [
            bar[0] if take and (bar := getattr(item, name)) and bar[1] == total else None
            for item, take in zip(seen, chosen, strict=True)
        ]
        options.append(found)
    before, after = options
    best = after if _evenness(after) > _evenness(before) else before
    known = [step for step in best if step is not None]
    if not known or len(set(known)) < MOVING * sum(chosen):
        return [None] * len(seen)
    return best


def _evenness(steps: Sequence[int | None]) -> float:
    known = [step for step in steps if step is not None]
    gaps = Counter(b - a for a, b in pairwise(known) if b > a)
    return gaps.most_common(1)[0][1] / len(known) if gaps else 0.0


def _index(item: Seen, bar: int | None) -> Bar | None:
    """Return the step that the record states, with its total (0: unknown)."""
    record = item.record
    if record.step is not None:
        return record.step, record.total or 0
    if record.inner is not None:
        return record.inner
    if bar is not None:
        return bar, 0
    if not record.is_dict and item.on_line and item.before is not None:
        return item.before
    return None


def _layout(
    seen: Sequence[Seen], raw: Sequence[Bar | None], every: int, length: int
) -> tuple[list[int], int]:
    epochs = [item.record.epoch for item in seen if item.record.epoch is not None]
    bracketed = any(item.record.inner for item in seen)
    base = 0 if epochs and (min(epochs) < 1 or (bracketed and min(epochs) > 1)) else 1
    steps: list[int] = []
    counted, passed, last, losses = 0, 0, 0, 0
    has_index = any(raw)
    for item, index in zip(seen, raw, strict=True):
        epoch = item.record.epoch
        losses += "loss" in item.record.values
        if index is not None and length:
            passed += epoch is None and _wraps(last, index[0], length)
            last = index[0]
            at = (passed if epoch is None else int(epoch) - base) * length + index[0]
        elif index is not None:
            at = index[0]
        elif epoch is not None and length:
            at = (int(epoch) - base + 1) * length
        elif has_index and steps:
            at = steps[-1]
        elif epoch is not None and not item.record.is_dict:
            at = int(epoch)
        else:
            counted += 1
            at = (max(losses, 1) if item.record.is_dict else counted) * every
        steps.append(min(max(at, 0), MAX_STEP))
    return steps, counted


def _wraps(last: int, step: int, length: int) -> bool:
    return step < last and last >= WRAPPED * length


def _epoch_length(seen: Sequence[Seen], raw: Sequence[Bar | None]) -> int:
    """Return the steps of an epoch where steps start over with every epoch, else 0."""
    known = [
        (index, item.record.epoch)
        for item, index in zip(seen, raw, strict=True)
        if index is not None and "loss" in " ".join(item.record.values).lower()
    ]
    advances = backs = 0
    for (step, epoch), (now, later) in pairwise(known):
        if now[0] >= step[0]:
            continue
        if epoch is not None and later is not None:
            wrapped = later > epoch
        else:
            wrapped = now[1] == step[1] and bool(step[1]) and _wraps(step[0], now[0], step[1])
        advances += wrapped
        backs += not wrapped
    nested = advances > backs or any(
        item.record.inner and item.record.epoch is not None for item in seen
    )
    if not nested:
        return 0
    total = max((index[1] for index, _ in known), default=0)
    first = min((index[0] for index, _ in known), default=0)
    longest = max((index[0] for index, _ in known), default=0) + (first == 0)
    return max(total, longest, 1)


def _segments(seen: Sequence[Seen], steps: Sequence[int]) -> list[int]:
    """Count a restart wherever all numbers of a record fall back behind their last step."""
    segments: list[int] = []
    restarts, last = 0, dict[str, int]()
    for item, at in zip(seen, steps, strict=True):
        keys = item.record.values
        if keys and all(last.get(key, -1) > at for key in keys):
            restarts += 1
            last.clear()
        last.update(dict.fromkeys(keys, at))
        segments.append(restarts)
    return segments
