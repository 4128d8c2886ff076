"""The step of every record in a log, and where the run started again.

A record's step is, in this order: what the line says; its place in the epoch (``Epoch:
[3][100/5005]`` is step 3 * 5005 + 100); the training's progress bar; the step before it; the
epoch; a count. A step that starts over with every epoch is counted on, and is no restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loganalyze.ingest.text_reading import Kind, Role
from loganalyze.ingest.text_records import MAX_STEP, Records
from loganalyze.names import canonical

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loganalyze.run import FloatArray, IntArray

    Mask = NDArray[np.bool_]

LOSS = "train/loss"
WRAPPED = 0.8  # share of an epoch after which a step that falls back starts the next epoch
MOVING = 0.5  # share of records at a new place of the bar, below which the bar stands still
RULED = 3  # lines from the last row of a table to the first of the next: both are ruled off
CELL_GAP = 4  # lines (of headings and rules) that may stand between two rows of one table


@dataclass(frozen=True)
class Bars:
    """The progress bars around each record; NaN where there is none."""

    before: FloatArray
    before_total: FloatArray
    after: FloatArray
    after_total: FloatArray
    on_line: Mask


@dataclass(frozen=True, slots=True)
class Placed:
    """Step and segment of each record; ``counted`` tells how many had to be counted.

    ``length`` is the steps of an epoch where steps start over with every epoch, else 0.
    """

    steps: IntArray
    segments: IntArray
    counted: int
    length: int


def around(records: Records, bars: tuple[IntArray, FloatArray, FloatArray]) -> Bars:
    """Find the bars before (or on) the line of each record, and after it."""
    import numpy as np

    line, position, total = bars
    unknown = np.full(len(records), np.nan)
    if not len(line):
        return Bars(unknown, unknown, unknown, unknown, np.zeros(len(records), dtype=bool))
    position, total = np.append(position, np.nan), np.append(total, np.nan)
    after = np.searchsorted(line, records.line, side="right")
    before = after - 1  # -1 is the NaN at the end
    on_line = (before >= 0) & (line[before] == records.line)
    return Bars(position[before], total[before], position[after], total[after], on_line)


def place(records: Records, bars: Bars, every: int, first_epoch: float) -> Placed:
    """Give each record its step; ``every`` is the logging interval for those without any.

    `first_epoch` is the lowest that any line of the log names, with or without a metric.
    """
    import numpy as np

    losses = records.having([k for k, n in enumerate(records.names) if canonical(n) == LOSS])
    named = records.having([k for k, n in enumerate(records.names) if _is_training_loss(n)])
    if not named.any():  # accuracies only
        named = np.ones(len(records), dtype=bool)
    index, total = _index(records, bars, losses)
    length = _epoch_length(records, bars, index, total, named)
    steps, counted = _layout(records, index, losses, max(every, 1), length, first_epoch)
    whole: IntArray = np.clip(steps, 0, MAX_STEP).astype(np.int64)
    return Placed(whole, _segments(records, whole), counted, length)


def _is_training_loss(name: str) -> bool:
    return "loss" in name.lower() and not canonical(name).startswith("eval/")


def training_bar(bars: Bars, losses: Mask) -> int | None:
    """Return the total of the progress bar beside the training loss, if there is one."""
    import numpy as np

    totals, counts = np.unique(
        bars.before_total[losses & ~np.isnan(bars.before)], return_counts=True
    )
    return int(totals[counts.argmax()]) if len(totals) else None


def share_places(records: Records) -> Records:
    """Rows of one printed table have one step: that of the row which names it."""
    import numpy as np

    cells = np.flatnonzero(records.is_kind(Kind.CELL))
    step = records.place[Role.STEP]
    if not len(cells) or np.isnan(step[cells]).all():
        return records
    known = ~np.isnan(step[cells])
    gap = np.diff(records.line[cells], prepend=-CELL_GAP - 1)
    starts = (gap > CELL_GAP) | _between_steps(gap, known)
    table = np.cumsum(starts) - 1
    shared = np.full(table[-1] + 1, np.nan)
    shared[table[known]] = step[cells][known]
    step = step.copy()
    step[cells] = shared[table]
    return records.with_place(STEP=step)


def _between_steps(gap: IntArray, known: Mask) -> Mask:
    """Mark the cells that begin a table: between two rows that name a step, after the widest gap."""
    import numpy as np

    stretch: IntArray = (
        np.cumsum(known) - known
    )  # how many rows that name a step come before each cell
    widest = np.zeros(int(stretch[-1]) + 1, dtype=np.int64)
    np.maximum.at(widest, stretch, gap)
    first = np.flatnonzero((gap == widest[stretch]) & (gap >= RULED) & (stretch > 0))
    first = first[np.unique(stretch[first], return_index=True)[1]]
    marks = np.zeros(len(gap), dtype=bool)
    marks[first] = True
    return marks


def _index(records: Records, bars: Bars, losses: Mask) -> tuple[FloatArray, FloatArray]:
    """Return the step that each record states, with its total (0: unknown)."""
    import numpy as np

    place = records.place
    dicts = records.is_kind(Kind.DICT)
    index = place[Role.STEP].copy()
    total = np.where(np.isnan(index), 0.0, np.nan_to_num(place[Role.TOTAL]))
    for option, option_total in (
        (place[Role.INNER], np.nan_to_num(place[Role.LENGTH])),
        (_bar_steps(bars, dicts & losses), np.zeros(len(records))),
        (np.where(~dicts & bars.on_line, bars.before, np.nan), np.nan_to_num(bars.before_total)),
    ):
        take = np.isnan(index) & ~np.isnan(option)
        index[take], total[take] = option[take], option_total[take]
    return index, total


def _bar_steps(bars: Bars, chosen: Mask) -> FloatArray:
    """Return the bar's step for each dictionary that reports a training loss.

    The bar before it may be some steps behind, as bars are drawn at most ten times a second;
    then the one drawn after it is right. Whichever gives the more even steps is taken.
    """
    import numpy as np

    none = np.full(len(chosen), np.nan)
    total = training_bar(bars, chosen)
    if total is None:
        return none
    before = np.where(chosen & (bars.before_total == total), bars.before, np.nan)
    after = np.where(chosen & (bars.after_total == total), bars.after, np.nan)
    best = after if _evenness(after) > _evenness(before) else before
    known = best[~np.isnan(best)]
    return best if len(known) and len(np.unique(known)) >= MOVING * chosen.sum() else none


def _evenness(steps: FloatArray) -> float:
    import numpy as np

    known = steps[~np.isnan(steps)]
    gaps = np.diff(known)
    _, counts = np.unique(gaps[gaps > 0], return_counts=True)
    return float(counts.max()) / len(known) if len(counts) else 0.0


def _epoch_length(
    records: Records, bars: Bars, index: FloatArray, total: FloatArray, named: Mask
) -> int:
    """Return the steps of an epoch where steps start over with every epoch, else 0."""
    import numpy as np

    on_line = np.where(bars.on_line, np.nan_to_num(bars.before_total), 0)
    total = np.where(total > 0, total, np.where(on_line >= index, on_line, 0))
    epoch = records.place[Role.EPOCH]
    known = np.flatnonzero(~np.isnan(index) & named)
    step, at, of = index[known], epoch[known], total[known]
    fell = np.diff(step)
    back = np.flatnonzero((fell < 0) | ((fell == 0) & (np.diff(at) > 0)))
    both = ~np.isnan(at[back]) & ~np.isnan(at[back + 1])
    same = (of[back] == of[back + 1]) & (of[back] > 0)
    wrapped = np.where(both, at[back + 1] > at[back], same & (step[back] >= WRAPPED * of[back]))
    nested = int(wrapped.sum()) * 2 > len(back)
    nested |= bool((~np.isnan(records.place[Role.INNER]) & ~np.isnan(epoch)).any())
    if not nested or not len(known):
        return 0
    if of.max() >= step.max():  # a bar is drawn at 0 and at its total: the same place
        return max(int(of.max()), 1)
    return int(step.max()) + int(step.min() == 0)


def _layout(
    records: Records, index: FloatArray, losses: Mask, every: int, length: int, first: float
) -> tuple[FloatArray, int]:
    import numpy as np

    epoch = records.place[Role.EPOCH]
    dicts = records.is_kind(Kind.DICT)
    indexed, timed = ~np.isnan(index), ~np.isnan(epoch)
    whole = np.floor(epoch)
    bracketed = bool((~np.isnan(records.place[Role.INNER])).any())
    base = 0 if first < 1 or (bracketed and first > 1) else 1
    steps = np.full(len(records), np.nan)
    if length:
        passed = np.zeros(len(records))
        passed[indexed] = _passed(index[indexed], timed[indexed], length)
        steps = np.where(timed, whole - base, passed) * length + index
        ended = ~indexed & timed
        steps[ended] = (whole[ended] - base + 1) * length
    else:
        steps[indexed] = index[indexed]
    left = np.isnan(steps)
    if indexed.any() and not _stands_still(steps, left & dicts & losses):
        left[:] = False  # those take the step before them
    by_epoch = left & timed & ~dicts
    steps[by_epoch] = whole[by_epoch]
    counted = left & ~by_epoch
    # An evaluation takes the step of the loss before it; where no loss is logged, each counts.
    logged = losses if losses.any() else dicts
    count = np.where(dicts, np.maximum(np.cumsum(logged), 1), np.cumsum(counted)) * every
    steps[counted] = count[counted]
    return _filled(steps), int(counted.sum())


def _stands_still(steps: FloatArray, chosen: Mask) -> bool:
    """Tell whether the steps before some records are those of other lines, printed too rarely."""
    import numpy as np

    count = np.count_nonzero(chosen)
    places = len(np.unique(_filled(steps)[chosen]))
    return bool(count > 1 and places < MOVING * count)


def _passed(index: FloatArray, timed: Mask, length: int) -> FloatArray:
    """Count the epochs that have passed, where no line names them: each fall from near the end is one."""
    import numpy as np

    last = np.concatenate([np.zeros(1), index[:-1]])
    return np.cumsum(~timed & (index < last) & (last >= WRAPPED * length)).astype(np.float64)


def _filled(steps: FloatArray) -> FloatArray:
    """Let every unknown step be the one before it; at the beginning, the first that is known."""
    import numpy as np

    if not len(steps):
        return steps
    known = np.where(np.isnan(steps), int((~np.isnan(steps)).argmax()), np.arange(len(steps)))
    return steps[np.maximum.accumulate(known)]


def _segments(records: Records, steps: IntArray) -> IntArray:
    """Count a restart wherever all numbers of a record fall back behind their last step."""
    import numpy as np

    segments = np.zeros(len(records), dtype=np.int64)
    owner, code = records.owner, records.code
    order = np.argsort(code, kind="stable")
    same = code[order][1:] == code[order][:-1]
    earlier = np.full(len(owner), -1)  # the record that held the same number before
    earlier[order[1:][same]] = owner[order[:-1][same]]
    falls = (earlier >= 0) & (steps[earlier] > steps[owner])
    if not falls.any():
        return segments
    held = np.bincount(owner, minlength=len(records))
    fallen = np.bincount(owner[falls], minlength=len(records))
    start = 0
    first = np.searchsorted(owner, np.arange(len(records) + 1))
    for record in np.flatnonzero((held > 0) & (held == fallen)).tolist():
        # What an earlier start logged is no measure for this one.
        if (earlier[first[record] : first[record + 1]] >= start).all():
            segments[record:] += 1
            start = record
    return segments
