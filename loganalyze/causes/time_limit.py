"""A scheduler or a service ended the run when its time was up.

What it is
----------
Batch systems end a job at its limit; notebook services after 9, 12 or 24 hours. The log just stops, or a
line of the scheduler follows.

What speaks for it
------------------
``DUE TO TIME LIMIT`` and the like. The log spans nearly a whole number of hours that is usual as a limit.

What speaks against it
----------------------
A traceback of the program. A run that ended after some odd time.

How to confirm
--------------
The scheduler's accounting (``sacct -j JOB -o State,Elapsed,Timelimit``).

Fix
---
Ask for more time, save before the limit, resume from the last checkpoint.

References
----------
Slurm documentation, job states (TIMEOUT).
"""

from __future__ import annotations

import re

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.error_text import stated
from loganalyze.finding import Clue

ERROR = re.compile(
    r"DUE TO TIME ?LIMIT|[Tt]ime limit (?:reached|exceeded|expired)|exceed\w* (?:its )?(?:hard )?wall ?time"
    r"|walltime \d+ exceeded|TERM_RUNLIMIT|max(?:imum)? (?:run ?time|duration) (?:reached|exceeded)",
)
LIMITS = np.array([1, 2, 3, 4, 6, 8, 9, 10, 12, 16, 18, 20, 24, 36, 48, 72, 96, 120, 168])  # hours
NEAR = 0.02  # share of a limit that setting up and the last unlogged steps may take


def weigh(case: Case) -> list[Clue]:
    """Read the message; else compare the time that the log spans with usual limits."""
    clues = stated(case, ERROR)
    if clues:
        return clues
    hours = _hours(case)
    if hours is not None:
        limit = LIMITS[(hours <= LIMITS) & (hours >= (1 - NEAR) * LIMITS)]
        if len(limit):
            text = f"The log spans {hours:.2f} hours, just under {limit[0]}, a usual limit."
            clues.append(Clue(text, MODERATE))
        else:
            clues.append(Clue(f"The log spans {hours:.3g} hours, no usual limit.", -STRONG))
    if case.found("crash"):
        clues.append(Clue("An error ended it.", -DECISIVE))
    return clues or [Clue("The log tells no times.", -WEAK)]


def _hours(case: Case) -> float | None:
    """Return the hours between the first and the last time in the log."""
    time = case.run.metrics["time"].to_numpy()
    time = time[np.isfinite(time)]
    return float(np.ptp(time)) / 3600 if len(time) > 1 and np.ptp(time) > 0 else None


def fix(case: Case) -> list[str]:
    """Name what is missing."""
    steps = case.run.series("train/loss").step
    if case.run.planned_steps and len(steps):
        done = int(steps[-1]) / case.run.planned_steps
        return [f"Ask for {1 / done:.1f} x the time, or resume: {done:.0%} of the plan was done"]
    return ["Ask for more time, or resume from the last checkpoint"]


HYPOTHESIS = Hypothesis(
    id="time-limit",
    title="Its time was up",
    prior=-1.0,
    explains=("run-truncated", "crash"),
    weigh=weigh,
    fix=fix,
    probe="data",
    is_testable=False,
)
