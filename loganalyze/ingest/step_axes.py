"""Step axes: sources that count micro-steps are put on the axis of optimizer steps.

With gradient accumulation over k batches some loggers count batches and others count updates. A batch
counter m is m // k updates, as the trainers themselves count: an update is done with its k-th batch.
Nothing is converted unless the run's settings state k and the numbers show the factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from loganalyze.ingest.ingester import Facts, Table
from loganalyze.ingest.overlap import Points, points
from loganalyze.run import Problem

if TYPE_CHECKING:
    from loganalyze.run import FloatArray, IntArray

LOSS = "train/loss"
CLOSER = 0.8  # times the distance of two curves, at most, once the steps of one are divided


class Extent(NamedTuple):
    """How far a family's training loss runs, and its usual logging interval, in steps."""

    last: int
    interval: float


def to_optimizer_steps(
    families: Sequence[Sequence[Table]], k: float | None, planned: float | None
) -> list[list[Table]]:
    """Convert the families that count micro-steps.

    Parameters
    ----------
    families
        Sources that continue each other, grouped.
    k
        Batches per update (``gradient_accumulation_steps``); None where the settings say nothing.
    planned
        Updates planned by the settings (``max_steps``), if they say so.
    """
    if k is None or k < 2 or k != int(k):
        return [list(family) for family in families]
    extents = [_extent(family) for family in families]
    converted = []
    for index, family in enumerate(families):
        others = [i for i in range(len(families)) if i != index]
        updates = _updates(index, others, families, extents, int(k), planned)
        converted.append([_convert(table, int(k), updates) for table in family])
    return converted


def _extent(family: Sequence[Table]) -> Extent | None:
    import numpy as np

    parts = []
    for table in family:
        step = table.frame["step"].to_numpy()[(table.frame["metric"] == LOSS).to_numpy()]
        parts.append(step[step >= 0])
    steps = np.unique(np.concatenate(parts))
    if len(steps) < 2:
        return None
    return Extent(int(steps[-1]), float(np.median(np.diff(steps))))


def _updates(
    index: int,
    others: Sequence[int],
    families: Sequence[Sequence[Table]],
    extents: Sequence[Extent | None],
    k: int,
    planned: float | None,
) -> int | None:
    """Return the last update of a family that counts micro-steps; None for any other."""
    own = extents[index]
    if own is None:
        return None
    for other in others:
        that = extents[other]
        if that is None or abs(own.last - k * that.last) > max(own.interval, k * that.interval):
            continue
        if _fits_better(points(families[index]), points(families[other]), k):
            return that.last  # else both count the same, and one ended early
    if planned and abs(own.last - k * planned) <= max(own.interval, k):
        return int(planned)
    return None


def _fits_better(own: Points, other: Points, k: int) -> bool:
    """Tell whether a curve lies closer to the other one once its steps are divided."""
    import numpy as np

    def distance(step: IntArray, value: FloatArray, metric: str) -> float:
        at, theirs = other[metric]
        there = step <= at[-1]
        with np.errstate(all="ignore"):  # a loss may be infinite, or nearly so
            gap = np.abs(value[there] - np.interp(step[there], at, theirs))
            gap = gap[np.isfinite(gap)]
            return float(np.median(gap)) if len(gap) else np.inf

    for metric in (LOSS, "train/learning_rate"):
        if metric in own and metric in other:
            step, value = own[metric]
            if distance(step // k, value, metric) < CLOSER * distance(step, value, metric):
                return True
    return False


def _convert(table: Table, k: int, updates: int | None) -> Table:
    """Divide the steps of the metrics that run beyond the last update: they count micro-steps.

    The others are on another axis (epochs, say) or ended so early that nobody can tell.
    """
    import numpy as np

    frame = table.frame
    if updates is None:
        return table
    codes, step = frame["metric"].cat.codes.to_numpy(), frame["step"].to_numpy()
    last = np.full(len(frame["metric"].cat.categories), -1)
    np.maximum.at(last, codes, step)
    micro = (last > updates)[codes] & (step >= 0)
    if table.format == "text":  # one counter for all that a log prints
        micro = step >= 0
    text = f"its steps are micro-steps: divided by the {k} batches of an update"
    return replace(
        table,
        metrics=frame.assign(step=np.where(micro, step // k, step)),
        events=tuple(
            event if event.step is None else replace(event, step=event.step // k)
            for event in table.events
        ),
        problems=(*table.problems, Problem(text, lossy=False)),
        facts=_facts(table.facts, k, updates),
    )


def _facts(facts: Facts, k: int, updates: int) -> Facts:
    """A total that lies beyond the last update was counted in micro-steps, too."""
    planned = facts.planned_steps
    if planned is None or planned <= updates * (1 + k) / 2:
        return facts
    return replace(facts, planned_steps=planned // k)
