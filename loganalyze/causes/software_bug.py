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

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.onset import onset
from loganalyze.finding import Clue

WAKE = ("ChildFailedError", "nccl-timeout", "signal")  # ends that follow another error
TINY_RATE = 1e-7  # no update of this size breaks anything
BY_HAND = ("KeyboardInterrupt", "SystemExit")


def weigh(case: Case) -> list[Clue]:
    """Weigh whether the exception is the first thing that went wrong."""
    finding = case.found("crash")
    if finding is None:
        return _from_the_first_step(case)
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


def _from_the_first_step(case: Case) -> list[Clue]:
    """A kernel or a communication library that computes nonsense does so from the first step."""
    first = onset(case)
    tiny = first is not None and first.rate is not None and first.rate < TINY_RATE
    loss = case.run.series("train/loss").finite()
    if first is None or not tiny or not len(loss) or not case.found("grad-nonfinite"):
        return [Clue("No error is in the log.", -STATED)]
    text = f"The gradient is NaN at a rate of {first.rate:.1g}, before any update, though the loss is finite."
    return [Clue(text, -WEAK)]


def fix(case: Case) -> list[str]:
    """Name the frame."""
    if not case.found("crash"):
        return [
            "Change what computes the gradient: attention kernel, overlap_comm true -> false, ZeRO stage"
        ]
    finding = case.found("crash")
    frame = str(finding.evidence.get("frame", "")) if finding else ""
    return [f"Start at {frame}"] if frame else ["Read the end of the run's stdout"]


HYPOTHESIS = Hypothesis(
    id="software-bug",
    title="An error in the code or its environment",
    prior=1.2,
    explains=("crash", "grad-nonfinite"),
    weigh=weigh,
    fix=fix,
    probe="data",
)
