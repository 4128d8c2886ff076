"""A scheduler, the kernel or a person ended the process.

What it is
----------
Time limits, preemption and the kernel's oom-killer leave no traceback: the log just ends.

What speaks for it
------------------
The log ends in the middle, without an error. A signal or a scheduler's line is in it.

What speaks against it
----------------------
A traceback of the user's own code.

How to confirm
--------------
Look at the scheduler's accounting and the kernel's log for the time of the last line.

Fix
---
Checkpoint more often; ask for more time; resume.

References
----------
Slurm documentation, job states.
"""

from __future__ import annotations

from loganalyze.causes.cause import MODERATE, STRONG, Case, Hypothesis
from loganalyze.finding import Clue
from loganalyze.run import EventKind

LONGEST = 120  # characters quoted from the log
# Signals that a program brings on itself.
FAULTS = (
    "Segmentation fault",
    "Bus error",
    "SIGSEGV",
    "SIGABRT",
    "SIGBUS",
    "Aborted",
    "Floating point exception",
)


def weigh(case: Case) -> list[Clue]:
    """Weigh how the log ends."""
    clues = []
    if case.found("run-truncated"):
        clues.append(Clue("The log ends before the plan, without an error.", MODERATE))
    signals = case.run.events_of(EventKind.SIGNAL)
    if signals:
        text = signals[-1].text.strip().splitlines()[-1][:LONGEST]
        fault = any(word in signals[-1].text for word in FAULTS)
        clues.append(Clue(f'The log says "{text}".', -STRONG if fault else STRONG))
    finding = case.found("crash")
    if signals and finding and "SignalException" in str(finding.evidence.get("exception")):
        return clues  # the launcher raises it where a signal reaches it
    if finding and finding.evidence.get("kind") == EventKind.NCCL_TIMEOUT:
        text = "A collective operation timed out: processes waited for each other."
        clues.append(Clue(text, -STRONG))
    if finding and finding.evidence.get("frame"):
        clues.append(Clue("A traceback of the program itself ended it.", -STRONG))
    return clues


def fix(case: Case) -> list[str]:
    """Name where to look."""
    return ["Look for the time of the last line in the scheduler's accounting and in dmesg"]


HYPOTHESIS = Hypothesis(
    id="killed",
    title="The run was killed from outside",
    prior=0.0,
    explains=("run-truncated", "crash"),
    weigh=weigh,
    fix=fix,
    probe="data",
    is_testable=False,
)
