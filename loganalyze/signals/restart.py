"""Restarts: where they were, which go on where a start stopped, and which begin anew."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from loganalyze.run import EventKind, Run, Series

if TYPE_CHECKING:
    from loganalyze.run import IntArray

INTERVALS = 2  # logging intervals within which a first step is that of a new beginning
# "checkpoints/step_360.pt", "checkpoint-360", "(step 360)", "global_step360", "iter_0000360"
_STEP = re.compile(r"(?:step|checkpoint|ckpt|iter(?:ation)?)s?[-_= :]{0,2}(\d{1,12})\b", re.I)


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
    steps = set()
    for event in run.events_of(EventKind.RESUME):
        named = _STEP.findall(event.text)
        if named:
            steps.add(int(named[-1]))
        elif event.step is not None:
            steps.add(event.step)
    checkpoint = run.setting("resume_from_checkpoint")
    if checkpoint is not None:
        steps.update(int(n) for n in _STEP.findall(str(checkpoint.value))[-1:])
    return np.array(sorted(steps), dtype=np.int64)
