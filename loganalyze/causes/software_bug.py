"""The traceback is the cause: the program did what it was told, and that failed.

What it is
----------
An exception in the user's code, a missing file, a wrong shape, an argument that does not exist.

What speaks for it
------------------
The run ended with an exception, and nothing in the numbers before it was wrong. Without an exception: the
gradient or the loss breaks at a rate that moves no weight, or the gradient norm is exactly 1 or the root of 2
while the loss is lost, as overlapping communication of ZeRO-2 leaves it.

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
Python documentation, errors and exceptions; DeepSpeed#5347 (ZeRO-2), DeepSpeed#3742 (the loss of a guess
after one update at a rate of 1e-9).
"""

from __future__ import annotations

import math
import re

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.components import components
from loganalyze.causes.error_text import stated
from loganalyze.causes.onset import onset
from loganalyze.detect.loss_nonfinite import GUARD
from loganalyze.finding import Clue, Finding

# Ends that follow another error.
WAKE = ("ChildFailedError", "SignalException", "nccl-timeout", "signal")
KERNEL = re.compile(r"FATAL: kernel .{1,100} (?:is for|was built for)")
STUCK = (1.0, math.sqrt(2.0))  # gradient norms of a race in ZeRO-2
FEW = 3  # norms that are no chance when all are the same
TINY_RATE = 1e-7  # no update of this size breaks anything
BY_HAND = ("KeyboardInterrupt", "SystemExit")


def weigh(case: Case) -> list[Clue]:
    """Weigh whether the exception is the first thing that went wrong."""
    finding = case.found("crash")
    if finding is None or _is_guard(finding):
        return _from_the_first_step(case)
    exception = str(finding.evidence.get("exception", ""))
    frame = str(finding.evidence.get("frame", ""))
    clues = []
    if exception == "unknown":
        return [Clue("No log says what failed.", -MODERATE)]
    if exception == "unknown exception":
        return [Clue("The traceback is cut off: what failed is not told.", MODERATE)]
    if exception in BY_HAND:
        return [Clue(f"{exception}: the run was stopped by hand.", -DECISIVE)]
    if any(word in exception for word in WAKE):
        clues.append(Clue(f"{exception} is what other processes report of a failure.", -MODERATE))
    else:
        at = f" at {frame}" if frame else ""
        clues.append(Clue(f"The run ended with {exception}{at}.", STRONG))
    if case.found("loss-nonfinite", "loss-divergence", "grad-nonfinite", "loss-scale-collapse"):
        clues.append(Clue("The numbers were wrong before the error.", -DECISIVE))
    return clues


def _is_guard(finding: Finding) -> bool:
    """Tell whether the exception only reports a loss that is no number."""
    return GUARD.search(f"{finding.evidence.get('message')} {finding.summary}") is not None


def _from_the_first_step(case: Case) -> list[Clue]:
    """A kernel or a communication library that computes nonsense does so from the first step."""
    clues = [*stated(case, KERNEL), *_stuck(case), *_without_update(case)]
    if clues:
        return clues
    first = onset(case)
    terms = components(case)
    if first is not None and first.is_first and terms is not None and terms.is_whole_model:
        text = "All terms of the loss are NaN from the first row on: some devices and versions do that."
        return [Clue(text, -WEAK)]
    tiny = first is not None and first.rate is not None and first.rate < TINY_RATE
    loss = case.run.series("train/loss").finite()
    if first is None or not tiny or not len(loss) or not case.found("grad-nonfinite"):
        return [Clue("No error is in the log.", -STATED)]
    text = f"The gradient is NaN at a rate of {first.rate:.1g}, before any update, though the loss is finite."
    return [Clue(text, -MODERATE)]


def _stuck(case: Case) -> list[Clue]:
    lost, norms = case.found("loss-zero", "loss-nonfinite"), case.run.series("train/grad_norm")
    norm = norms.value[norms.step >= lost.steps[0]] if lost and lost.steps else norms.value[:0]
    if len(norm) < FEW or not any(np.allclose(norm, one, rtol=1e-6) for one in STUCK):
        return []
    text = f"Every gradient norm is exactly {norm[0]:.8g} while the loss is lost."
    return [Clue(text, DECISIVE)]


def _without_update(case: Case) -> list[Clue]:
    """Find a loss that left its level between two steps at a rate that moves no weight."""
    loss, rate = (case.run.series(f"train/{name}").finite() for name in ("loss", "learning_rate"))
    step = case.number("loss-divergence", "best_step")
    if step is None or not len(rate) or not len(loss):
        return []
    after = loss.take(loss.step > step)
    if not len(after) or float(rate.value[rate.step <= after.step[0]].max(initial=0)) >= TINY_RATE:
        return []
    text = (
        f"The loss went to {after.value[0]:.4g} at step {after.step[0]:,}, before any rate above "
        f"{TINY_RATE:g}: no update did that."
    )
    return [Clue(text, DECISIVE)]


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
    explains=(
        "crash",
        "grad-nonfinite",
        "grad-constant",
        "loss-zero",
        "loss-nonfinite",
        "loss-divergence",
    ),
    weigh=weigh,
    fix=fix,
    probe="data",
    is_testable=False,
)
