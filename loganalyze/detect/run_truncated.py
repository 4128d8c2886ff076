"""The log ends before the planned last step, and no error says why.

What it does
------------
Compares the last logged step with the planned one. It holds if more than `missing` of the steps
are missing, which is also more than the logging interval explains, and neither an error nor an
end of training is in the log.

Why it matters
--------------
Whatever is concluded from such a run is concluded from an unfinished one.

Not to be confused with
-----------------------
Early stopping and other ends that the log states. A crash. A run that is still going. A log with
a coarse interval. A trainer state that was saved with a checkpoint ends at that checkpoint by
nature (info). Lines that name no step, in a log that does not say how often it was written to.

Settings
--------
`missing`, `excerpt`.

Fix
---
Look at the scheduler's and the kernel's log for the time of the last line: time limit,
preemption, oom-kill.

References
----------
Slurm documentation: ``TIMEOUT``, ``PREEMPTED``, ``OUT_OF_MEMORY`` states.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import FATAL, Run, Status
from loganalyze.settings import setting
from loganalyze.signals.counted import counted_sources


@dataclass(frozen=True)
class TruncatedSettings:
    """Thresholds of the check."""

    missing: float = setting(0.02, unit="share of the steps", source="rounding of epochs to steps")
    excerpt: int = setting(20, unit="log points", source="shorter logs are often excerpts")


def detect(run: Run, settings: TruncatedSettings) -> Detected:
    """Compare the last step with the plan."""
    planned, last = run.planned_steps, run.last_step
    if planned is None:
        return NotApplicable("the planned number of steps is not known")
    if last is None:
        return NotApplicable("no step was logged")
    if run.status is Status.RUNNING:
        return NotApplicable("the run is still going")
    if run.status is Status.COMPLETED:
        return ()
    if run.events_of(*FATAL):
        return NotApplicable("an error in the log says why it ended")
    series = run.series("train/loss")
    uncounted = set(series.sources) - counted_sources(run)
    if len(series) and not uncounted and not run.number("logging_steps"):
        return NotApplicable(
            "the log names no steps, and not how many lie between two of its lines"
        )
    interval = int(np.median(np.diff(series.step))) if len(series) > 1 else 0
    missing = planned - last
    if missing <= max(settings.missing * planned, interval):
        return ()
    few = len(series) < settings.excerpt or _is_checkpoint(run, last)
    return (
        Finding(
            id="run-truncated",
            severity=Severity.INFO if few else Severity.WARNING,
            confidence=0.6 if few else 0.85,
            title=f"The log ends at step {last:,} of {planned:,}",
            summary=(
                f"The log ends at step {last:,} of {planned:,} ({last / planned:.0%}), and nothing in it "
                "says why."
            ),
            steps=(last, last),
            metrics=("train/loss",),
            evidence={"last_step": last, "planned_steps": planned, "share_done": last / planned},
            where=(series.where(len(series) - 1),) if len(series) else (),
            fix=(
                "Resume from the last checkpoint; look at the scheduler's log for the last time stamp",
            ),
        ),
    )


def _is_checkpoint(run: Run, last: int) -> bool:
    """A state that was saved with a checkpoint ends there, whether or not the run went on."""
    every = run.number("save_steps")
    saved = bool(every and every >= 1 and last % int(every) == 0)
    return saved and all(s.format == "hf-trainer-state" for s in run.sources if s.rows)


DETECTOR = Detector(
    id="run-truncated",
    group="truncated",
    passed="The run reached its planned end, or says why not",
    failed="The log ends before the planned last step",
    requires=(),
    settings=TruncatedSettings,
    detect=detect,
)
