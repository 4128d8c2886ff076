"""Too few numbers were logged to judge the training.

What it does
------------
Counts the finite train losses. Fewer than `points` are not enough for a judgement, and it says
what to log.

Why it matters
--------------
"Nothing found" must not mean "nothing looked at".

Not to be confused with
-----------------------
A short run that crashed: the crash is the finding then, unless it was stopped by hand.

Settings
--------
`points`.

Fix
---
Log the train loss at least twenty times over the run: ``--logging_steps``.

References
----------
A level and a trend need four points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.crash import BY_HAND
from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, Severity
from loganalyze.run import FATAL, Run
from loganalyze.settings import setting


@dataclass(frozen=True)
class DataSettings:
    """Thresholds of the check."""

    points: int = setting(4, unit="log points", source="a level and a trend")


LOG_LINES = 20  # train losses over a run that make most checks possible


def detect(run: Run, settings: DataSettings) -> Detected:
    """Count the train losses."""
    series = run.series("train/loss")
    count = int(np.isfinite(series.value).sum())
    if count >= settings.points or len(series) >= settings.points or _broke(run):
        return ()
    interval = ""
    if run.last_step and run.last_step > LOG_LINES:
        interval = f": --logging_steps {max(1, run.last_step // LOG_LINES)}"
    what = f"only {count} train losses were logged" if count else "no train loss was logged"
    return (
        Finding(
            id="insufficient-data",
            severity=Severity.INFO,
            confidence=1.0,
            title="There is too little to judge",
            summary=f"Too little to judge the training: {what}, {settings.points} are the least.",
            metrics=("train/loss",),
            evidence={"points": count, "needed": settings.points},
            where=tuple(series.where(i) for i in range(len(series))),
            fix=(f"Log the train loss at least {LOG_LINES} times over the run{interval}",),
        ),
    )


def _broke(run: Run) -> bool:
    """Tell whether an error ended the run; a stop by hand says nothing of the training, nor does its wake."""
    ends = run.events_of(*FATAL)
    stops = {event.step for event in ends if event.data.get("exception") in BY_HAND}
    return any(event.step not in stops for event in ends)


DETECTOR = Detector(
    id="insufficient-data",
    group="data",
    passed="Enough train losses were logged",
    failed="There is too little to judge",
    requires=(),
    settings=DataSettings,
    detect=detect,
)
