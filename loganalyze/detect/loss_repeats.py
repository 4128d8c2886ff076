"""The losses of one epoch repeat those of another digit for digit.

What it does
------------
For each lag from 2 log points to half of the log, the share of losses that equal the loss one lag earlier is
counted. The finding holds if at some lag at least `share` of the losses (`points` at least) repeat exactly,
while they differ among themselves (`distinct`) and carry enough digits that chance does not do it. A log
whose second half is one value of five digits or more repeats as well; four digits do where they are those of
log(C), ten times in a row at least.

Why it matters
--------------
If no weight changes, the same batch gives the same loss. Nothing is being updated.

Not to be confused with
-----------------------
Losses rounded to few digits. A converged run whose loss is 0. A restart that trains the same steps
again: those rows are superseded.

Settings
--------
`share`, `points`, `distinct`.

Fix
---
List the parameters with requires_grad; compare one weight before and after a step.

References
----------
TRACE#5: per-batch losses of the second epoch equal those of the first to four decimals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.settings import setting
from loganalyze.signals.robust import FloatArray


@dataclass(frozen=True)
class RepeatSettings:
    """Thresholds of the check."""

    share: float = setting(0.95, unit="share of the losses", source="all but rounding")
    points: int = setting(5, unit="log points", source="fewer may repeat by chance")
    distinct: float = setting(
        0.7, unit="share of distinct losses in a period", source="no constant"
    )


EVEN = 5e-5  # half of the fourth digit behind the point
STANDING = 3  # equal losses in a row
DIGITS = 5  # of a value whose repetition is no chance
SURE = 10  # equal losses in a row
FEW_DIGITS = 4  # of log(C), a value that no training comes to by itself
CLASSES = range(2, 11)  # more would have a logarithm near any value
MOST = 4_096  # log points looked at; a period is an epoch, and two of them suffice


def detect(run: Run, settings: RepeatSettings) -> Detected:
    """Look for a lag at which the losses repeat."""
    series = run.series("train/loss").finite().take(slice(0, MOST))
    if _stands(series.value):
        return (_constant(series),)
    if len(series) < settings.points + 2:
        return NotApplicable(f"{len(series)} losses are too few, {settings.points + 2} needed")
    lag = _period(series.value, settings)
    if lag is None:
        return ()
    count = len(series) - lag
    return (
        Finding(
            id="loss-repeats",
            severity=Severity.CRITICAL,
            confidence=0.95 if count >= 10 else 0.8,
            title=f"The losses repeat exactly every {lag} log points",
            summary=(
                f"From step {series.step[lag]:,} on, each train loss equals the one {lag} log "
                "points earlier, digit "
                f"for digit ({count:,} of them): the same batches meet the same weights."
            ),
            steps=(int(series.step[lag]), int(series.step[-1])),
            metrics=("train/loss",),
            evidence={"period_points": lag, "repeated": count},
            where=(series.where(0), series.where(lag)),
            fix=(
                "Compare one weight before and after a step; list the parameters that require a gradient",
            ),
        ),
    )


def _stands(value: FloatArray) -> bool:
    """Tell whether the log ends in one value, given to so many digits that chance does not repeat it."""
    if len(value) < STANDING or value[-1] == 0:
        return False
    last = int(np.flatnonzero(value != value[-1])[-1]) + 1 if (value != value[-1]).any() else 0
    digits = len(f"{abs(value[-1]):.10g}".replace(".", "").strip("0"))
    count = len(value) - last
    if digits >= DIGITS:
        return count >= max(STANDING, len(value) / 2)
    even = np.log(np.array(CLASSES))
    return digits >= FEW_DIGITS and count >= SURE and bool((np.abs(even - value[-1]) < EVEN).any())


def _constant(series: Series) -> Finding:
    value = series.value
    other = np.flatnonzero(value != value[-1])
    first = int(other[-1]) + 1 if len(other) else 0
    count = len(value) - first
    return Finding(
        id="loss-repeats",
        severity=Severity.CRITICAL if count >= SURE else Severity.WARNING,
        confidence=0.9 if count >= SURE else 0.6,
        title=f"The loss is {value[-1]:.7g} digit for digit",
        summary=(
            f"From step {series.step[first]:,} to {series.step[-1]:,} each of {count:,} logged losses is "
            f"exactly {value[-1]:.7g}, whatever the batch: the output no longer depends on it."
        ),
        steps=(int(series.step[first]), int(series.step[-1])),
        metrics=("train/loss",),
        evidence={"period_points": 1, "repeated": count, "value": float(value[-1])},
        where=(series.where(first), series.where(len(series) - 1)),
        fix=(
            "Print the logits of two batches: if they agree, go back to the step before this one",
        ),
    )


def _period(value: FloatArray, settings: RepeatSettings) -> int | None:
    """Return the shortest lag at which the values repeat, or None."""
    n = len(value)
    # Few digits: so few different values that equal ones are no wonder.
    if len(np.unique(value)) < settings.points:
        return None
    first = np.flatnonzero(value[2:] == value[0]) + 2
    second = np.flatnonzero(value[3:] == value[1]) + 2
    for lag in np.union1d(first, second).tolist():
        if n - lag < settings.points:
            break
        same = value[lag:] == value[:-lag]
        period = value[:lag]
        if same.mean() >= settings.share and len(np.unique(period)) >= max(
            3, settings.distinct * lag
        ):
            return int(lag)
    return None


DETECTOR = Detector(
    id="loss-repeats",
    group="repeats",
    passed="The losses do not repeat",
    failed="The losses repeat digit for digit",
    requires=("train/loss",),
    settings=RepeatSettings,
    detect=detect,
)
