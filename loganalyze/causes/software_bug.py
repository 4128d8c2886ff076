"""The traceback is the cause: the program did what it was told, and that failed.

What it is
----------
An exception in the user's code, a missing file, a wrong shape, an argument that does not exist.

What speaks for it
------------------
The run ended with an exception, and nothing in the numbers before it was wrong.

What speaks against it
----------------------
The exception is only the last link: memory, NaN, another rank.

How to confirm
--------------
Run the innermost frame alone with the same inputs.

Fix
---
Read the innermost frame of your own code and the message.

References
----------
Python documentation, errors and exceptions.
"""

from __future__ import annotations

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, Case, Hypothesis
from loganalyze.finding import Clue

WAKE = ("ChildFailedError", "nccl-timeout", "signal")  # ends that follow another error
BY_HAND = ("KeyboardInterrupt", "SystemExit")


def weigh(case: Case) -> list[Clue]:
    """Weigh whether the exception is the first thing that went wrong."""
    finding = case.found("crash")
    if finding is None:
        return []
    exception = str(finding.evidence.get("exception", ""))
    frame = str(finding.evidence.get("frame", ""))
    clues = []
    if exception == "unknown":
        return [Clue("No log says what failed.", -MODERATE)]
    if exception in BY_HAND:
        return [Clue(f"{exception}: the run was stopped by hand.", -DECISIVE)]
    if any(word in exception for word in WAKE):
        clues.append(Clue(f"{exception} is what other processes report of a failure.", -MODERATE))
    else:
        at = f" at {frame}" if frame else ""
        clues.append(Clue(f"The run ended with {exception}{at}.", STRONG))
    if case.found("loss-nonfinite", "loss-divergence", "grad-nonfinite"):
        clues.append(Clue("The numbers were wrong before the error.", -MODERATE))
    return clues


def fix(case: Case) -> list[str]:
    """Name the frame."""
    finding = case.found("crash")
    frame = str(finding.evidence.get("frame", "")) if finding else ""
    return [f"Start at {frame}"] if frame else ["Read the end of the run's stdout"]


HYPOTHESIS = Hypothesis(
    id="software-bug",
    title="An error in the code or its environment",
    prior=1.2,
    explains=("crash",),
    weigh=weigh,
    fix=fix,
    probe="data",
)
