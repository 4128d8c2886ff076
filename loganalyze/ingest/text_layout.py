"""From the records of a log to the rows of its table: places, ranks, steps, restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loganalyze.frame import labelled, metrics_frame
from loganalyze.ingest.ingester import Facts
from loganalyze.ingest.text_reader import Reader
from loganalyze.ingest.text_reading import Kind, Role
from loganalyze.ingest.text_records import MAX_EPOCH, Records
from loganalyze.ingest.text_splits import by_split
from loganalyze.ingest.text_steps import Bars, Placed, around, place, share_places, training_bar
from loganalyze.names import canonical
from loganalyze.run import Event, EventKind, Problem, Status, Where

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from loganalyze.run import FloatArray, IntArray


FEWEST_LOOSE = 10  # losses without any step that make a curve; fewer may be prose
FEWEST_ROWS = 4  # the same, where another number stands beside each loss, or line follows line
DENSE = 2  # lines for each of them: more lie between those of prose
CONTINUED = 3  # lines over which one record may be printed
REGULAR = 0.5  # of the lines with a loss that such a line follows; fewer may be by accident
MOST_RESTARTS = 20  # more than anybody starts one run again: several runs share the log
SUMMARY = "the Trainer printed its summary: training ended as it should"


@dataclass(frozen=True)
class Layout:
    """What one log comes to."""

    metrics: pd.DataFrame
    events: tuple[Event, ...]
    problems: tuple[Problem, ...]
    facts: Facts


def lay_out(reader: Reader) -> Layout:
    """Give every record of a log its step, and every event that of the record before it."""
    problems = list(reader.collector.finish())
    drawn, framework = reader.heap.bars(), reader.heap.framework()
    records = _outside(reader.heap.records(), reader.blocks)
    reader.heap.clear()  # everything stands twice in memory now
    for index in records.is_kind(Kind.SUMMARY).nonzero()[0].tolist():
        at = int(records.line[index])
        reader.collector.add(EventKind.TRAIN_END, SUMMARY, int(records.row[index]), at)
    first_epoch = records.place[Role.EPOCH].min(
        initial=MAX_EPOCH, where=records.place[Role.EPOCH] >= 0
    )
    records, drawn = by_split(records.take(~records.is_kind(Kind.SUMMARY)), drawn)
    records = _under_headers(records)
    records = share_places(records)
    records = _one_rank(records, problems)
    bars = around(records, drawn)
    has_place = _has_place(records, bars)
    records = records.take(has_place if has_place.any() else _curve(records))
    bars = around(records, drawn)
    interval = reader.config.get("logging_steps")
    every = interval.value if interval and isinstance(interval.value, int) else 1
    placed = place(records, bars, every, float(first_epoch))
    problems += _remarks(placed)
    return Layout(
        rows(reader.source, records, placed),
        tuple(_placed_events(reader.collector.events, records, placed, drawn)),
        tuple(problems),
        replace(_facts(reader, records, bars, placed), framework=framework),
    )


def _outside(records: Records, blocks: Sequence[tuple[int, int]]) -> Records:
    """Leave out what stands inside a traceback."""
    import numpy as np

    keep = np.ones(len(records), dtype=bool)
    for start, stop in blocks:
        first, last = np.searchsorted(records.line, [start, stop])
        keep[first:last] = False
    return records.take(keep)


def _under_headers(records: Records) -> Records:
    """Let a place that stands on a line of its own count for the lines below it."""
    import numpy as np

    headers = np.flatnonzero(records.is_kind(Kind.HEADER))
    if not len(headers):
        return records
    columns = {role: column.copy() for role, column in records.place.items()}
    own_step = ~np.isnan(columns[Role.STEP]) | ~np.isnan(columns[Role.INNER])
    own_epoch = ~np.isnan(columns[Role.EPOCH])
    free = records.is_kind(Kind.LINE, Kind.CELL)
    last = np.searchsorted(headers, np.arange(len(records)), side="right") - 1
    with_epoch = headers[own_epoch[headers]]
    if len(with_epoch):
        numbers = np.arange(len(records))
        above = np.searchsorted(with_epoch, numbers, side="right") - 1
        # A record that names its own epoch ends what a header says.
        named = np.maximum.accumulate(np.where(own_epoch, numbers, -1))
        take = free & ~own_epoch & (above >= 0) & (with_epoch[above] >= named)
        for role in (Role.EPOCH, Role.EPOCHS):
            columns[role][take] = columns[role][with_epoch[above[take]]]
    take = free & ~own_step & ~own_epoch & (last >= 0)
    for role in (Role.STEP, Role.TOTAL):
        columns[role][take] = columns[role][headers[last[take]]]
    return replace(records, place=columns).take(~records.is_kind(Kind.HEADER))


def _one_rank(records: Records, problems: list[Problem]) -> Records:
    """Keep the records of one rank: the lowest, and those that name none."""
    import numpy as np

    ranks = records.place[Role.RANK]
    if np.isnan(ranks).all():
        return records
    lowest = np.nanmin(ranks)
    keep = np.isnan(ranks) | (ranks == lowest)
    if left := int((~keep).sum()):
        text = f"{left:,} metric lines of ranks above {lowest:.0f} were left out"
        problems.append(Problem(text, lossy=False))
    return records.take(keep)


def _has_place(records: Records, bars: Bars) -> NDArray[np.bool_]:
    """Tell which records have a place in the run; any other number may be prose."""
    import numpy as np

    found = records.is_kind(Kind.DICT) | bars.on_line
    for role in (Role.STEP, Role.EPOCH, Role.INNER):
        found |= ~np.isnan(records.place[role])
    evaluations = [k for k, n in enumerate(records.names) if canonical(n).startswith("eval/")]
    if not found.any():  # a table of an evaluation stands for itself
        return records.is_kind(Kind.CELL) & records.having(evaluations)
    if found.any():  # an evaluation belongs to the training before it
        start = int(found.argmax())
        found[start:] |= records.having(evaluations)[start:]
        again = np.unique(records.code[found[records.owner] & np.isin(records.code, evaluations)])
        found[:start] |= records.having(again.tolist())[:start]  # before the first step
    return found | _continued(records, found)


def _continued(records: Records, placed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which records go on where one with a place stands: the same names follow it each time."""
    import numpy as np

    index = np.maximum.accumulate(np.where(placed, np.arange(len(records)), -1))
    near = ~placed & (index >= 0) & (records.line - records.line[index] <= CONTINUED)
    size = len(records.names)
    loose = np.bincount(records.code[~placed[records.owner]], minlength=size)
    close = np.bincount(records.code[near[records.owner]], minlength=size)
    often = max(2.0, REGULAR * np.count_nonzero(placed & records.having(_losses(records))))
    names = np.flatnonzero((close >= often) & (close == loose))
    return near & records.having(names.tolist())


def _losses(records: Records) -> list[int]:
    return [code for code, name in enumerate(records.names) if "loss" in name.lower()]


def _curve(records: Records) -> NDArray[np.bool_]:
    """Return the records of the loss printed most often, if it was often enough."""
    import numpy as np

    counts = np.bincount(records.code, minlength=len(records.names))
    most = max(_losses(records), key=lambda code: int(counts[code]), default=-1)
    found = records.having([most])
    held = np.bincount(records.owner, minlength=len(records))[found]
    lines = records.line[found]
    dense = len(lines) > 1 and int(lines[-1] - lines[0]) < DENSE * len(lines)
    fewest = FEWEST_ROWS if len(held) and (held.min() > 1 or dense) else FEWEST_LOOSE
    return found if found.sum() >= fewest else np.zeros(len(records), dtype=bool)


def _remarks(placed: Placed) -> list[Problem]:
    remarks = []
    if placed.counted:
        text = "no step in some lines: they were counted instead"
        remarks.append(Problem(text, lossy=False))
    restarts = int(placed.segments.max(initial=0))
    if restarts > MOST_RESTARTS:
        text = f"steps fall back {restarts:,} times: several runs seem to share this log"
        remarks.append(Problem(text))
    return remarks


def _placed_events(
    events: Sequence[Event],
    records: Records,
    placed: Placed,
    drawn: tuple[IntArray, FloatArray, FloatArray],
) -> list[Event]:
    """Give each event the step of the last record before it, and the time if that is the later one.

    Before the first record, and where there is none, a progress bar tells the step.
    """
    import numpy as np

    found = []
    for event in events:
        before = int(np.searchsorted(records.line, event.step or 0, side="right")) - 1
        if before < 0:
            found.append(replace(event, step=_bar_step(event.step or 0, drawn)))
            continue
        stamp = float(records.place[Role.STAMP][before])
        known = event.time if event.time is not None and not stamp > event.time else stamp
        time = known if known == known else None
        found.append(replace(event, step=int(placed.steps[before]), time=time))
    return sorted(found, key=_row)


def _bar_step(line: int, drawn: tuple[IntArray, FloatArray, FloatArray]) -> int | None:
    """Return the position of the last unfinished progress bar before `line`, or None."""
    import numpy as np

    lines, position, total = drawn
    running = np.flatnonzero((lines < line) & (position > 0) & (position < total))
    return int(position[running[-1]]) if len(running) else None


def _row(event: Event) -> int:
    where: Where = event.where
    return where.row or 0


def _facts(reader: Reader, records: Records, bars: Bars, placed: Placed) -> Facts:
    """Return what the log says about the run as a whole."""
    planned = None if placed.length else _first(records, Role.TOTAL)
    dicts = records.is_kind(Kind.DICT)
    if planned is None and dicts.any():
        losses = records.having([code for code, name in enumerate(records.names) if name == "loss"])
        planned = training_bar(bars, losses)
    ended = any(event.kind is EventKind.TRAIN_END for event in reader.collector.events)
    return Facts(
        status=Status.COMPLETED if ended else None,
        planned_steps=int(planned) if planned else None,
        planned_epochs=_first(records, Role.EPOCHS),
    )


def _first(records: Records, role: Role) -> float | None:
    import numpy as np

    known = records.place[role][~np.isnan(records.place[role])]
    known = known[known > 0]
    return float(known[0]) if len(known) else None


def rows(source: str, records: Records, placed: Placed) -> pd.DataFrame:
    """Return one row for each number of each record."""
    owner = records.owner
    names = list(records.names)
    return metrics_frame(
        {
            "metric": labelled(records.code, [canonical(name) for name in names]),
            "step": placed.steps[owner],
            "epoch": records.place[Role.EPOCH][owner],
            "time": records.place[Role.STAMP][owner],
            "value": records.value,
            "segment": placed.segments[owner],
            "source": source,
            "row": records.row[owner],
            "name": labelled(records.code, names),
        }
    )
