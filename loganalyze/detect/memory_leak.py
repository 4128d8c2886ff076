"""The memory in use grows steadily with the steps.

What it does
------------
After a warm start of `warm` of the points, a robust line through the memory must rise by `growth` of the
level, by far more than its standard error, in each half as well, and without settling: the second half
rises at least half as much as the first.

Why it matters
--------------
A run that keeps something of every step ends when the memory does.

Not to be confused with
-----------------------
The pool of an allocator, which grows in steps and settles. Longer samples later in the data. A high-water
mark (max_memory_allocated), which only ever rises.

Settings
--------
`warm`, `growth`, `points`.

Fix
---
``total += loss.item()``; detach what is kept; clear lists each epoch.

References
----------
PyTorch documentation, frequently asked questions: do not accumulate history across the training loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run
from loganalyze.settings import setting
from loganalyze.signals.trend import change


@dataclass(frozen=True)
class LeakSettings:
    """Thresholds of the check."""

    warm: float = setting(0.2, unit="share of the points", source="pools fill in the first steps")
    growth: float = setting(0.1, unit="share of the level", source="visible, and not rounding")
    points: int = setting(10, unit="log points", source="a line needs them")


METRICS = ("gpu/memory_allocated", "host/memory_rss", "gpu/memory_reserved")
STEADY = 5  # different levels; a pool grows in two or three steps


def detect(run: Run, settings: LeakSettings) -> Detected:
    """Fit a line to each memory metric."""
    known = [name for name in METRICS if run.has(name)]
    if not known:
        return NotApplicable("no memory was logged")
    for name in known:
        series = run.series(name).finite()
        tail = series.take(slice(int(settings.warm * len(series)), None))
        if len(tail) < settings.points or float(np.median(tail.value)) <= 0:
            continue
        moved, error = change(tail.value)
        half = len(tail) // 2
        first, second = change(tail.value[:half])[0], change(tail.value[half:])[0]
        level = float(np.median(tail.value[: max(1, len(tail) // 10)]))
        rises = np.unique(np.maximum.accumulate(tail.value[half:]))
        steady = first > 0 and second > 0.5 * first and len(rises) >= STEADY
        if moved < settings.growth * level or moved < 6 * error or not steady:
            continue
        span = int(tail.step[-1] - tail.step[0])
        return (
            Finding(
                id="memory-leak",
                severity=Severity.WARNING,
                confidence=0.8,
                title=f"{name} grows steadily",
                summary=(
                    f"{name} rose from {tail.value[0]:.4g} at step {tail.step[0]:,} to "
                    f"{tail.value[-1]:.4g} at "
                    f"{tail.step[-1]:,}, {moved / level:.0%} of its level over {span:,} steps, "
                    "without settling."
                ),
                steps=(int(tail.step[0]), int(tail.step[-1])),
                metrics=(name,),
                evidence={
                    "metric": name,
                    "growth": moved / level,
                    "per_step": moved / max(span, 1),
                    "first": float(tail.value[0]),
                    "last": float(tail.value[-1]),
                },
                where=(tail.where(0), tail.where(len(tail) - 1)),
                fix=("total += loss.item(); detach what outlives a step; clear lists each epoch",),
            ),
        )
    return ()


DETECTOR = Detector(
    id="memory-leak",
    group="leak",
    passed="The memory in use does not grow with the steps",
    failed="The memory in use grows steadily",
    requires=(),
    settings=LeakSettings,
    detect=detect,
)
