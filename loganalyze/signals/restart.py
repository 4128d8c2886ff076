"""Restarts: where they were, which go on where a start stopped, and which begin anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loganalyze.names import named_step
from loganalyze.run import EventKind, Run, Series

if TYPE_CHECKING:
    from loganalyze.run import IntArray

INTERVALS = 2  # logging intervals within which a first step is that of a new beginning


def begins_anew(series: Series, border: int) -> bool:
    """Tell whether the start at index `border` of all starts begins from the first step again."""
    own = series.step[series.segment == series.segment[border]]
    interval = int(np.median(np.diff(own))) if len(own) > 1 else 1
    return int(series.step[border]) <= max(int(series.step[0]), INTERVALS * interval)


def told_restarts(run: Run) -> IntArray:
    """Return the steps that the run says it was restarted from, ascending.

    A line about a restart names the step, or stands behind the last step of the same file; the settings of
    the restarted run name the checkpoint.
    """
    steps: set[int | None] = set()
    for event in run.events_of(EventKind.RESUME):
        named = named_step(event.text)
        steps.add(event.step if named is None else named)
    checkpoint = run.setting("resume_from_checkpoint")
    if checkpoint is not None:
        steps.add(named_step(str(checkpoint.value)))
    return np.array(sorted(step for step in steps if step is not None), dtype=np.int64)
